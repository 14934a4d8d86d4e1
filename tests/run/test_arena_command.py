"""`mai1 arena` from checkpoints to the page, stopped and gone on, judged by references, a person and a fake API."""

import json
import re
from pathlib import Path

import evalica
import numpy as np
import pytest

from mai1.arena.ranking import ELO
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


@pytest.fixture
def decided(arena, prompts, tmp_path: Path):
    """Battles between models of whom the right answers are: `of` names, prompt by prompt, the model that gives it."""

    def run(of: str, *options: str):
        assert arena("match=text", names="abc").code == 0  # nobody is right
        (tmp_path / "arena" / "battles.jsonl").unlink()
        lines = {name: (tmp_path / "arena" / "answers" / f"{name}.jsonl").read_text().splitlines() for name in "abc"}
        said = {name: [json.loads(line)["text"] for line in each] for name, each in lines.items()}
        records = [json.loads(line) for line in prompts.read_text().splitlines()]
        for number, record in enumerate(records):
            record["answer"] = said[of[number]][number] if of[number] in said else "what nobody says"
        path = tmp_path / "decided.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return arena("match=text", f"prompts={path}", *options, names="abc")

    return run


def test_ratings_of_models_are_those_of_evalica(decided, tmp_path: Path):
    done = decided("abcaa-", "ranking.ridge=0", "ranking.bootstrap_rounds=10")
    assert done.code == 0, done.err
    assert "note:" not in done.err
    winners = {"left": evalica.Winner.X, "right": evalica.Winner.Y, "tie": evalica.Winner.Draw}
    battles = judgements(tmp_path)
    assert {each["verdict"] for each in battles} == set(winners)
    sides = [[each[side] for each in battles] for side in ("left", "right")]
    found = evalica.bradley_terry(
        *sides, [winners[each["verdict"]] for each in battles], tolerance=1e-15, limit=100_000
    )
    strengths = np.log(found.scores)
    rows = json.loads((tmp_path / "arena" / "leaderboard.json").read_text())["ratings"]
    for row in rows:
        expected = 1000 + ELO * (strengths[row["model"]] - strengths.mean())
        assert row["rating"] == pytest.approx(expected, abs=1e-3) and row["low"] < expected < row["high"]


def test_a_model_that_won_every_battle_is_said_not_to_be_measured(decided, arena, tmp_path: Path):
    done = decided("aaaaaa")
    assert done.code == 0, done.err
    assert "do not say how far apart a | b, c are" in done.err
    rows = json.loads((tmp_path / "arena" / "leaderboard.json").read_text())["ratings"]
    assert rows[0]["model"] == "a" and rows[0]["high"] - rows[0]["low"] > 200
    refused = arena("match=text", f"prompts={tmp_path}/decided.jsonl", "ranking.ridge=0", names="abc")
    assert refused.code == 2 and "ranking.ridge=0 gives no finite ratings" in refused.err


def test_other_right_answers_are_not_mixed_with_what_was_decided(decided, arena, tmp_path: Path):
    assert decided("abcaa-").code == 0
    refused = arena("match=text", names="abc")
    assert refused.code == 2 and "was decided by other right answers or another match: delete it" in refused.err
    (tmp_path / "arena" / "battles.jsonl").unlink()
    assert arena("match=text", names="abc").code == 0


def test_a_prompt_without_a_right_answer_is_said_before_anything_is_computed(arena, tmp_path: Path):
    (tmp_path / "open.jsonl").write_text(json.dumps({"question": "Why?", "answer": "Because."}) + "\n")
    refused = arena("match=number", f"prompts={tmp_path}/open.jsonl")
    assert refused.code == 2 and "prompt 1 has no number as its reference" in refused.err
    assert not (tmp_path / "arena").exists()


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
    keys = iter(["q"])
    assert "note: no battle of c has been decided" in arena("judge=terminal", names="abc").err
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


def test_an_answer_may_hold_any_end_of_line(arena, tmp_path: Path):
    assert arena("match=text").code == 0
    path = tmp_path / "arena" / "answers" / "a.jsonl"
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    records[0]["text"] = "one\u2028two\u0085three"
    path.write_text("\n".join(json.dumps(record, ensure_ascii=False) for record in records), encoding="utf-8")
    (tmp_path / "arena" / "battles.jsonl").unlink()
    done = arena("match=text")
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("arena.json", "does not say of what the arena is .* choose another output"),
        ("answers/a.jsonl", "delete it to have"),
    ],
)
def test_a_damaged_file_of_an_arena_is_named(arena, tmp_path: Path, file: str, says: str):
    assert arena("match=text").code == 0
    (tmp_path / "arena" / file).write_bytes(b"[")
    done = arena("match=text")
    assert done.code == 2 and re.search(f"{re.escape(file)} .*{says}", done.err), done.err
