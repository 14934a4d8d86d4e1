"""`mai1 arena` from checkpoints to the page, stopped and gone on, judged by references, a person and a fake API."""

import json
from pathlib import Path

import pytest

from tests.support.random_checkpoint import write_random_checkpoint

NUM_PROMPTS = 6


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {name: write_random_checkpoint(folder / name, num_layers=2 + number) for number, name in enumerate("abc")}


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prompts") / "questions.jsonl"
    path.write_text(
        "".join(json.dumps({"question": f"{n} and {n}?", "answer": f"{2 * n}"}) + "\n" for n in range(NUM_PROMPTS))
    )
    return path


@pytest.fixture
def arena(mai1, checkpoints, prompts, tmp_path: Path):
    def run(*options: str, names: str = "ab"):
        models = ", ".join(f"{name}: {checkpoints[name]}" for name in names)
        settings = (
            f"checkpoints={{{models}}}",
            f"prompts={prompts}",
            f"output={tmp_path}/arena",
            "sampling.max_new_tokens=6",
        )
        return mai1("arena", *settings, *options)

    return run


def judgements(tmp_path: Path) -> list[dict]:
    return [json.loads(line) for line in (tmp_path / "arena" / "battles.jsonl").read_text().splitlines()]


def test_the_exact_judge_rates_and_the_same_command_does_nothing_twice(arena, tmp_path: Path):
    done = arena("match=text", "ranking.bootstrap_rounds=10")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].split()[:2] == ["model", "rating"] and "leaderboard.html" in done.err
    assert len(judgements(tmp_path)) == NUM_PROMPTS
    written = {path: path.read_bytes() for path in (tmp_path / "arena").rglob("*.jsonl")}
    assert arena("match=text", "ranking.bootstrap_rounds=10").out == done.out
    assert {path: path.read_bytes() for path in (tmp_path / "arena").rglob("*.jsonl")} == written


def test_a_model_that_comes_later_meets_the_others(arena, tmp_path: Path):
    assert arena("match=text").code == 0
    before = judgements(tmp_path)
    done = arena("match=text", names="abc")
    assert done.code == 0, done.err
    assert judgements(tmp_path)[:NUM_PROMPTS] == before and len(judgements(tmp_path)) == 3 * NUM_PROMPTS
    facts = json.loads((tmp_path / "arena" / "leaderboard.json").read_text())
    assert {entry["model"] for entry in facts["ratings"]} == {"a", "b", "c"}


def test_a_person_at_the_terminal_may_stop_and_go_on(arena, tmp_path: Path, monkeypatch):
    keys = iter(["a", "b", "q"])
    monkeypatch.setattr("builtins.input", lambda _: next(keys))
    done = arena("judge=terminal")
    assert done.code == 0, done.err
    assert [each["verdict"] for each in judgements(tmp_path)] == ["left", "right"]
    monkeypatch.setattr("builtins.input", lambda _: "t")
    assert arena("judge=terminal").code == 0
    assert [each["verdict"] for each in judgements(tmp_path)] == ["left", "right", *["tie"] * (NUM_PROMPTS - 2)]


def test_equal_answers_tie_without_a_judge(mai1, checkpoints, prompts, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("nobody need be asked"))
    models = f"checkpoints={{one: {checkpoints['a']}, same: {checkpoints['a']}}}"
    options = ("judge=terminal", "sampling.max_new_tokens=4", f"output={tmp_path}/arena")
    done = mai1("arena", models, f"prompts={prompts}", *options)
    assert done.code == 0, done.err
    assert {each["judge"] for each in judgements(tmp_path)} == {"equal"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["sampling.max_new_tokens=7"],
            "holds an arena of other prompts, models or sampling: choose another directory",
        ),
        (["seed=5"], "holds an arena of other prompts"),
        (["max_prompts=2"], "holds an arena of other prompts"),
    ],
)
def test_answers_of_other_settings_are_not_mixed(arena, options: list[str], said: str):
    assert arena("match=text").code == 0
    refused = arena("match=text", *options)
    assert refused.code == 2 and said in refused.err


def test_mistakes_are_said_before_anything_is_computed(arena, mai1, prompts, tmp_path: Path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for options, said in (
        (["judge=api"], "api.model='' must name"),
        (["judge=api", "api.model=x"], "api.key_variable=OPENAI_API_KEY is not set"),
        (["web.port=70000"], "web.port=70000 must be from 0 to 65535"),
        (["rows_at_once=0"], "rows_at_once=0 must be at least 1"),
    ):
        refused = arena(*options)
        assert refused.code == 2 and said in refused.err
    assert not (tmp_path / "arena").exists()
    alone = mai1("arena", "checkpoints={a: nowhere}", f"prompts={prompts}")
    assert alone.code == 2 and "name two models or more" in alone.err
    nothing = mai1("arena", "checkpoints={a: nowhere, b: nowhere}", f"prompts={prompts}", f"output={tmp_path}/x")
    assert nothing.code == 2 and "checkpoints.a=nowhere holds no checkpoint" in nothing.err


def test_a_prompt_that_is_too_long_is_left_out_and_all_of_them_refused(arena, tmp_path: Path):
    refused = arena("sampling.max_new_tokens=100000")
    assert refused.code == 2 and "are all longer than" in refused.err


def test_max_prompts_has_an_effect(arena, tmp_path: Path):
    assert arena("match=text", "max_prompts=2").code == 0
    assert len(judgements(tmp_path)) == 2


def test_help_lists_the_keys(mai1):
    shown = mai1("arena", "--help").out
    assert "ridge=0.0625" in shown and "key_variable=OPENAI_API_KEY" in shown and "rows_at_once=16" in shown
