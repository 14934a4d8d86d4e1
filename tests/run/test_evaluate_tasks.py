"""`mai1 evaluate tasks=[...]`, and tasks that are evaluated while a model learns, as a person runs them."""

import json
from pathlib import Path

import pytest

from mai1.report.evaluation import evaluations
from tests.run.conftest import TINY_RUN
from tests.support.commands import run_command

CHOICES = [
    {"query": f"Question: Which is number {i}?", "choices": [f"the number {i}", "another", "none"], "gold": i % 3}
    for i in range(12)
]
ANSWERS = [{"question": f"What is {i}?", "answer": f"{i}"} for i in range(4)]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    for name, records in (("pick", CHOICES), ("say", ANSWERS)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def settings(corpus: Path, folder: Path, tasks: Path, *more: str) -> list[str]:
    evaluation = [f"evaluation.tasks=[{tasks}/pick.jsonl]", "evaluation.every_steps=2", "evaluation.limit=6"]
    return [*TINY_RUN, f"data.path={corpus}", f"run.directory={folder}", "run.name=first", *evaluation, *more]


@pytest.fixture(scope="module")
def trained(corpus, tasks, tmp_path_factory) -> Path:
    """A run that was stopped and went on."""
    folder = tmp_path_factory.mktemp("runs")
    for more in (["train.stop_after_steps=3"], []):
        done = run_command("pretrain", *settings(corpus, folder, tasks, *more))
        assert done.code == 0, done.err
    return folder / "first"


def test_tasks_are_evaluated_while_the_model_learns(trained: Path):
    records = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    found = [record for record in records if record["kind"] == "tasks"]
    assert [record["step"] for record in found] == [0, 2, 4, 6]
    assert all(record["tasks"]["pick"]["acc_error"] > 0 for record in found)
    files = sorted(path.name for path in (trained / "evaluation").iterdir())
    assert files == sorted(f"{step:08d}.{ending}" for step in (0, 2, 4, 6) for ending in ("html", "json"))
    last = json.loads((trained / "evaluation" / "00000006.json").read_text())
    assert last["tasks"]["pick"]["items"] == 6 and last["tasks"]["pick"]["scores"]["all"]["acc"][
        "chance"
    ] == pytest.approx(1 / 3)
    assert "<svg" in evaluations(trained) and "pick" in evaluations(trained)


def test_what_training_measured_is_what_the_command_finds(trained: Path, tasks: Path, tmp_path: Path, mai1):
    output = tmp_path / "found.json"
    done = mai1("evaluate", f"checkpoint={trained}", f"tasks=[{tasks}/pick.jsonl]", "limit=6", f"output={output}")
    assert done.code == 0, done.err
    found, measured = (
        json.loads(path.read_text())["tasks"]["pick"] for path in (output, trained / "evaluation" / "00000006.json")
    )
    assert found["prompts_sha256"] == measured["prompts_sha256"] and found["task_sha256"] == measured["task_sha256"]
    assert found["figures"] == measured["figures"]
    assert f"pick                 acc              {found['scores']['all']['acc']['value']:>9.4f}" in done.out


def test_ranks_that_share_items_and_experts_find_what_one_finds(trained: Path, tasks: Path, tmp_path: Path):
    common = ["evaluate", f"checkpoint={trained}", f"tasks=[{tasks}/pick.jsonl,say]", "tokens_at_once=60"]
    common += [f"definitions={{say: {{path: {tasks}/say.jsonl, max_new_tokens: 3}}}}"]
    found = []
    for name, ranks in (("one", []), ("two", ["launch.ranks=2"]), ("experts", ["launch.ranks=2", "expert_parallel=2"])):
        done = run_command(*common, *ranks, f"output={tmp_path / name}.json")
        assert done.code == 0, done.err
        found.append(json.loads((tmp_path / f"{name}.json").read_text())["tasks"])
    for other in found[1:]:
        for task in ("pick", "say"):
            assert other[task]["scores"] == found[0][task]["scores"]
            assert [s["reply"] for s in other[task]["samples"]] == [s["reply"] for s in found[0][task]["samples"]]
    refused = run_command(*common, "expert_parallel=2")
    assert refused.code == 2 and "expert_parallel=2 must divide the 1 ranks" in refused.err


def test_several_tasks_with_examples_and_answers_in_words(trained: Path, tasks: Path, tmp_path: Path, mai1):
    output = tmp_path / "found.json"
    done = mai1(
        "evaluate", f"checkpoint={trained}", "tasks=[mine,pick]", "num_fewshot=1", f"output={output}", "precision=fp32",
        f"definitions={{mine: {{path: {tasks}/say.jsonl, max_new_tokens: 3}}, pick: {{path: {tasks}/pick.jsonl}}}}",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads(output.read_text())
    assert set(found["tasks"]) == {"mine", "pick"} and len(found["model_sha256"]) == 64
    assert found["tasks"]["mine"]["scores"]["all"]["exact_match"]["chance"] == 0.25
    assert found["tasks"]["mine"]["definition"]["max_new_tokens"] == 3
    page = (trained / "evaluation" / "00000006.html").read_text()
    assert "What is 2?" in page and "Question: Which is number" in page


def test_items_that_stand_in_the_training_text_are_scored_apart(trained, corpus, texts, tmp_path, mai1):
    sentences = [path.read_text()[:2000].split(". ")[2:4] for path in sorted(texts.iterdir())[:30]]
    items = [
        {"question": " ".join(pair[0].split()[:40]), "choices": [pair[1], "nothing of that"], "gold": 0}
        for pair in sentences
        if len(pair) == 2 and len(pair[0].split()) > 20
    ]
    new = {
        "question": "Would the committee of seven elder gardeners ever agree upon planting purple tulips beside " * 2
    }
    items.append(new | {"choices": ["never in their lives", "on most days"], "gold": 1})
    path, output = tmp_path / "seen.jsonl", tmp_path / "found.json"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    for text in ("auto", str(texts)):
        done = mai1("evaluate", f"checkpoint={trained}", f"tasks=[{path}]", f"training_text={text}", f"output={output}")
        assert done.code == 0, done.err
        parts = json.loads(output.read_text())["tasks"]["seen"]["parts"]
        assert parts[-1] == "clean" and parts.count("dirty") > len(items) / 2, text
        assert "  dirty" in done.out and "  clean" in done.out


def test_items_of_the_tuning_conversations_and_of_the_text_before_are_both_found(trained, tmp_path, mai1):
    conversations = tmp_path / "chats" / "train.jsonl"
    conversations.parent.mkdir()
    asked = [f"How many of the {n} silver bells in the old tower ring at noon on feast days?" for n in range(30)]
    answers = [f"Exactly {n} of them ring, but only when the wind is calm." for n in range(30)]
    records = [
        {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]}
        for q, a in zip(asked, answers, strict=True)
    ]
    conversations.write_text("".join(json.dumps(record) + "\n" for record in records))
    tuned = mai1(
        "sft", f"run.directory={tmp_path}", "run.name=tuned", f"checkpoint.init_from={trained}", f"data.train={conversations}",
        "data.heldout=''", "data.sequence_length=96", "train.steps=1", "batch.sequences_per_step=2",
        "batch.sequences_per_microbatch=2", "samples.questions=0",
    )  # fmt: skip
    assert tuned.code == 0, tuned.err
    items = [{"question": asked[3], "choices": [answers[3], "None of them rings at all."], "gold": 0}]
    items.append({"question": "Which of the seven gardeners would ever plant purple tulips beside the gate?"})
    items[1] |= {"choices": ["never in their long lives", "on most days of the week"], "gold": 1}
    path, output = tmp_path / "bells.jsonl", tmp_path / "found.json"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    for text in ("auto", str(conversations)):
        done = mai1(
            "evaluate", f"checkpoint={tmp_path}/tuned", f"tasks=[{path}]", f"training_text={text}", f"output={output}"
        )
        assert done.code == 0, done.err
        assert json.loads(output.read_text())["tasks"]["bells"]["parts"] == ["dirty", "clean"], text
    conversations.rename(tmp_path / "gone.jsonl")
    refused = mai1("evaluate", f"checkpoint={tmp_path}/tuned", f"tasks=[{path}]", "training_text=auto")
    assert refused.code == 2 and "train.jsonl, which" in refused.err and "is not there: name the data" in refused.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tasks=[nothing.jsonl]"], "the task nothing.jsonl is no file"),
        (["tasks=[mine.yaml]"], "tasks=mine.yaml: task files with code are not run"),
        (["tasks=[a.jsonl]", "num_fewshot=-1"], "num_fewshot=-1 must not be negative"),
        (["tasks=[a.jsonl]", "tokens_at_once=0"], "tokens_at_once=0 must be at least 1"),
        (["definitions={mine: {path: x, max_new_tokens: 0}}"], "max_new_tokens=0 of the task x must be at least 1"),
        (["tasks=[a.jsonl]", "data=''", "expert_parallel=2"], "the task a.jsonl is no file"),
        (["kernels=compiled", "precision=bf16"], "kernels=compiled computes whole models in fp32 on CPUs, but here is"),
    ],
)
def test_mistakes_are_named(trained: Path, mai1, arguments: list[str], message: str):
    done = mai1("evaluate", f"checkpoint={trained}", *arguments)
    assert done.code == 2 and message in done.err


class NoNetwork:
    """The harness's tasks where no data set can be reached; reading the real list takes ten seconds."""

    all_tasks = ["arc_easy", "arc_challenge", "piqa"]
    task_index = dict.fromkeys(all_tasks)

    def load(self, names: list[str]) -> dict:
        raise ConnectionError(f"no route to {names[0]}")


def test_tasks_that_need_a_network_and_misspelled_ones_say_so(trained: Path, mai1, monkeypatch):
    pytest.importorskip("lm_eval")
    monkeypatch.setattr("mai1.evaluate.harness_tasks.task_manager", NoNetwork)
    done = mai1("evaluate", f"checkpoint={trained}", "tasks=[arc_easy]")
    assert done.code == 2 and "tasks=arc_easy needs a data set from the network, which could not be read" in done.err
    done = mai1("evaluate", f"checkpoint={trained}", "tasks=[arc_eazy]")
    assert done.code == 2 and "did you mean arc_easy" in done.err


@pytest.mark.parametrize("key", ["pipeline_parallel", "sequence_parallel"])
def test_tasks_that_generate_are_refused_where_ranks_hold_parts_of_rows(corpus, tasks, tmp_path, mai1, key):
    asked = f"evaluation.tasks=[{tasks}/say.jsonl]"
    done = mai1("pretrain", *settings(corpus, tmp_path, tasks), asked, f"engine.{key}=2", "engine.zero_stage=1")
    assert done.code == 2 and "evaluation.tasks=say generates text" in done.err and f"engine.{key}=2" in done.err
