"""Local tasks: what files may look like, what is asked, and that the harness makes the same scores of the same items."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mai1.checkpoint.inference import load_model
from mai1.evaluate.config import AskConfig, Prompting
from mai1.evaluate.likelihood import SharedModel
from mai1.evaluate.replies import Prompt, reply
from mai1.evaluate.suite import ALL, evaluate_task, lines_of
from mai1.evaluate.task_files import Kind, TaskConfig, read_task_file
from mai1.evaluate.tasks import LocalTask
from mai1.generate.compiled_step import compile_step
from mai1.generate.sampling import SamplingConfig
from mai1.tokenizer.tokenizer import Tokenizer
from tests.support.checkpoints import ALONE

CHOICES = [
    {"query": "Question: What binds names?", "choices": ["Assignment", "a loop statement", "nothing"], "gold": 0, "topic": "a"},
    {"query": "Question: What repeats a block of code?", "choices": ["a module", "A loop"], "gold": 1, "topic": "a"},
    {"query": "Question: What returns from a function?", "choices": ["return", "pass", "yield é"], "gold": 0, "topic": "b"},
]  # fmt: skip
COMPLETIONS = [
    {"context": f"The name {i} is", "continuation": word} for i, word in enumerate(["bound", "free", "bound"])
]
ANSWERS = [{"question": f"What is {i} plus {i}?", "answer": f"It is so.\n#### {2 * i}"} for i in range(6)]
TEXTS = [{"text": "The assignment statement binds names. " * n} for n in (1, 30)]


@pytest.fixture
def write(tmp_path: Path):
    def write(records: list, name: str = "task.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    return write


@pytest.fixture(scope="module")
def shared(checkpoint: Path, tokenizer: Tokenizer) -> SharedModel:
    return SharedModel(model=load_model(checkpoint), world=ALONE, pad_id=tokenizer.pad_id)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc compiles the kernel")
def test_replies_of_compiled_steps_are_the_models(shared: SharedModel, tokenizer: Tokenizer):
    texts, sampling = (
        ("The assignment", "What binds names in a function?", "a"),
        SamplingConfig(max_new_tokens=12),
    )
    prompts = [Prompt(tuple(tokenizer.encode(text)), (), sampling) for text in texts]
    step, calls = compile_step(shared.model, key="kernels"), []
    compiled = replace(shared, step=lambda *given: calls.append(1) or step(*given))
    assert reply(compiled, tokenizer, prompts) == reply(shared, tokenizer, prompts) and calls


def open_task(path: Path, ask: dict | None = None, **config) -> LocalTask:
    return LocalTask(path.stem, TaskConfig(path=str(path), **config), AskConfig(**(ask or {})))


@pytest.mark.parametrize(
    ("records", "kind"),
    [(CHOICES, Kind.choices), (COMPLETIONS, Kind.completion), (ANSWERS, Kind.answer), (TEXTS, Kind.text)],
)
def test_the_kind_of_a_file_is_known_by_its_fields(write, records: list, kind: Kind):
    assert read_task_file(TaskConfig(path=""), write(records)).kind is kind


@pytest.mark.parametrize(
    "record",
    [
        {"question": "q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"},  # ARC
        {"ctx": "q", "endings": ["x", "y"], "label": "1"},  # HellaSwag
        {"goal": "q", "sol1": "x", "sol2": "y", "label": 1},  # PIQA
        {"question": "q", "A": "x", "B": "y", "C": "z", "D": "w", "answer": "B"},
    ],
)
def test_records_of_well_known_sets_are_choices_as_they_come(write, record: dict):
    file = read_task_file(TaskConfig(path=""), write([record]))
    assert file.kind is Kind.choices
    assert (file.items[0].question, file.items[0].choices[:2], file.items[0].answer) == ("q", ("x", "y"), "y")


def test_choices_may_be_fields_of_their_own(write):
    path = write([{"premise": "q", "choice1": "x", "choice2": "y", "label": 1}])
    file = read_task_file(TaskConfig(path="", question="premise", choices="choice1, choice2"), path)
    assert file.items[0].choices == ("x", "y") and file.items[0].gold == 1
    with pytest.raises(ValueError, match=r"say which one is the choices|which one is the question"):
        read_task_file(TaskConfig(path="", choices="choice1,choice3", kind=Kind.choices), path)


@pytest.mark.parametrize(
    ("choices", "gold"),
    [
        (["x", "y", "z"], 1),
        (["x", "y", "z"], "y"),
        (["x", "y", "z"], "B"),
        (["x", "y", "z"], "1"),
        ({"text": ["x", "y", "z"], "label": ["1", "2", "3"]}, "2"),
        ([{"text": "x", "label": "A"}, {"text": "y", "label": "B"}, {"text": "z", "label": "C"}], "B"),
    ],
)
def test_the_right_choice_is_known_by_number_letter_label_or_text(write, choices: object, gold: object):
    path = write([{"question": "Which?", "choices": choices, "answer": gold}])
    [item] = read_task_file(TaskConfig(path=""), path).items
    assert item.choices == ("x", "y", "z") and item.gold == 1 and item.answer == "y"


@pytest.mark.parametrize(
    ("record", "config", "message"),
    [
        ({"question": "x", "choices": ["a", "b"], "gold": 2}, {}, "task.jsonl:1: choices must be a list of at least two texts"),
        ({"question": "x", "choices": ["a"], "gold": 0}, {}, "at least two texts"),
        ({"question": "x", "choices": [1, 2], "gold": 0}, {}, "at least two texts"),
        ({"question": " ", "answer": "1"}, {}, "question must be a text that is not empty"),
        ({"question": "x", "answer": None}, {}, "answer must be a text or a number"),
        ({"stem": "x", "answer": "1"}, {}, "has the fields stem, answer: say which one is the question"),
        ({"foo": "x"}, {}, "say which one is the question"),
        ([1], {}, "must hold JSON objects with a question each"),
    ],
)  # fmt: skip
def test_what_is_no_task_is_refused_with_its_place(write, record: object, config: dict, message: str):
    with pytest.raises(ValueError, match=message):
        read_task_file(TaskConfig(path="", **config), write([record]))


def test_fields_of_ones_own_are_named(write):
    path = write([{"stem": "What?", "endings2": ["a", "b"], "right": 1}])
    config = TaskConfig(path="", question="stem", choices="endings2", answer="right")
    assert read_task_file(config, path).items[0].answer == "b"


def contexts(task: LocalTask) -> list[str]:
    return [task.context(item) for item in task.items]


def test_prompts_are_those_of_the_harness(write):
    assert contexts(open_task(write(CHOICES)))[0] == "Question: What binds names?\nAnswer:"
    assert contexts(open_task(write(COMPLETIONS)))[0] == "The name 0 is"
    assert contexts(open_task(write(ANSWERS)))[1] == "Question: What is 1 plus 1?\nAnswer:"
    told = open_task(write(ANSWERS), before="Q: ", after="\nA:")
    assert contexts(told)[1] == "Q: What is 1 plus 1?\nA:"


def test_examples_are_drawn_for_each_item_and_never_the_item_itself(write):
    task = open_task(write(ANSWERS), {"num_fewshot": 5})
    for item, context in zip(task.items, contexts(task), strict=True):
        assert context.count(item.question) == 1 and context.endswith(f"{item.question}\nAnswer:")
        assert all(context.count(other.question) == 1 for other in task.items)
    limited = open_task(write(ANSWERS), {"num_fewshot": 2, "limit": 3})
    whole = open_task(write(ANSWERS), {"num_fewshot": 2})
    assert contexts(limited) == contexts(whole)[::2]  # a limit changes no prompt
    assert contexts(whole) != contexts(open_task(write(ANSWERS), {"num_fewshot": 2, "seed": 1}))


def test_examples_may_come_from_a_file_of_their_own(write):
    examples = write([{"question": "What is a hundred?", "answer": "#### 100"}], "examples.jsonl")
    task = open_task(write(ANSWERS), {"num_fewshot": 1}, examples=str(examples), between="\n---\n")
    assert contexts(task)[0].startswith("Question: What is a hundred?\nAnswer: #### 100\n---\nQuestion: What is 0")
    with pytest.raises(ValueError, match="num_fewshot=2 must not exceed the 1 items to draw examples from"):
        open_task(write(ANSWERS), {"num_fewshot": 2}, examples=str(examples))


def test_in_a_chat_examples_are_turns(write):
    task = open_task(write(ANSWERS), {"num_fewshot": 1, "prompting": Prompting.chat})
    roles = [message["role"] for message in task.messages(task.items[0])]
    assert roles == ["user", "assistant", "user"]
    assert task.messages(task.items[0])[-1]["content"] == "What is 0 plus 0?"


def test_choices_are_graded_whole_per_character_and_per_byte(write, shared: SharedModel, tokenizer: Tokenizer):
    task = open_task(write(CHOICES))
    for graded, item in zip(task.grade(shared, tokenizer), task.items, strict=True):
        values = torch.tensor(graded.log_likelihoods)
        sizes = {
            "acc": [1] * len(item.choices),
            "acc_norm": [len(choice) for choice in item.choices],
            "acc_bytes": [len(choice.encode()) for choice in item.choices],
        }
        for metric, size in sizes.items():
            assert graded.figures[metric].numerator == float((values / torch.tensor(size)).argmax() == item.gold)
            assert graded.figures[metric].chance == 1 / len(item.choices)


def test_replies_are_graded_by_the_answer_in_them(write, shared: SharedModel, tokenizer: Tokenizer, monkeypatch):
    said = ["", "so 2", "#### 4.0 and 7", "7", "eight", "10"]
    monkeypatch.setattr("mai1.evaluate.tasks.reply", lambda *_, **__: said)
    result = evaluate_task(open_task(write(ANSWERS)), shared, tokenizer)
    assert [graded.figures["exact_match"].numerator for graded in result.graded] == [0, 1, 1, 0, 0, 1]
    assert result.scores[ALL]["exact_match"].chance == pytest.approx(1 / 6)  # each answer is as common as the others


def test_a_record_tells_all_that_is_needed_to_repeat_it(write, shared: SharedModel, tokenizer: Tokenizer):
    tasks = [open_task(write(CHOICES), {"seed": seed, "num_fewshot": 1}) for seed in (0, 0, 1)]
    records = [evaluate_task(task, shared, tokenizer).record() for task in tasks]
    assert json.loads(json.dumps(records[0])) == records[1]
    assert records[0]["prompts_sha256"] != records[2]["prompts_sha256"]
    assert records[0]["task_sha256"] == records[2]["task_sha256"]
    assert records[0]["definition"]["kind"] == "choices" and records[0]["num_fewshot"] == 1
    assert records[0]["samples"][0]["question"] == CHOICES[0]["query"] and len(records[0]["figures"]["acc"]) == 3


def test_clusters_widen_the_error(write, shared: SharedModel, tokenizer: Tokenizer):
    task = open_task(write(CHOICES * 4), cluster="topic")
    assert {graded.cluster for graded in task.grade(shared, tokenizer)} == {"a", "b"}


def test_clean_and_dirty_items_are_scored_apart(write, shared: SharedModel, tokenizer: Tokenizer):
    long = "The assignment statement binds the names on its left to the values that stand on its right side"
    items = [
        {"question": f"{long} number {i} of {i} of all?", "choices": ["yes it does", "no"], "gold": 0} for i in range(4)
    ]
    task = open_task(write([*items, {"question": "What eats?", "choices": ["cats", "dust"], "gold": 0}]))
    seen = items[2]["question"] + " yes it does"
    result = evaluate_task(task, shared, tokenizer, seen_items=lambda index: index.seen_in([seen]))
    assert [part.value for part in result.parts] == ["clean", "clean", "dirty", "clean", "short"]
    assert {part: scores["acc"].items for part, scores in result.scores.items()} == {
        "all": 5,
        "clean": 3,
        "dirty": 1,
        "short": 1,
    }
    assert any("dirty" in line for line in lines_of(result))


def test_the_harness_gives_the_same_scores_for_the_same_items(
    write, shared: SharedModel, tokenizer: Tokenizer, tmp_path
):
    pytest.importorskip("lm_eval")
    from lm_eval.api.task import ConfigurableTask

    from mai1.evaluate.harness_tasks import HarnessTask

    path = write(CHOICES * 5)
    metrics = [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "acc_norm")]
    theirs = ConfigurableTask(
        config={
            "task": "mine", "dataset_path": "json", "test_split": "test", "output_type": "multiple_choice",
            "dataset_kwargs": {"data_files": {"test": str(path)}, "cache_dir": str(tmp_path / "cache")},
            "doc_to_text": "{{query}}\nAnswer:", "doc_to_target": "gold", "doc_to_choice": "choices", "metric_list": metrics,
        }
    )  # fmt: skip
    local = evaluate_task(open_task(path), shared, tokenizer)
    stock = evaluate_task(HarnessTask(theirs, AskConfig()), shared, tokenizer)
    for metric in ("acc", "acc_norm"):
        assert local.scores[ALL][metric].value == stock.scores[ALL][metric].value
        assert local.scores[ALL][metric].standard_error == pytest.approx(stock.scores[ALL][metric].standard_error)
    for mine, other in zip(local.graded, stock.graded, strict=True):
        assert mine.log_likelihoods == pytest.approx(other.log_likelihoods, abs=1e-5)


def test_names_that_would_run_code_are_refused():
    from mai1.evaluate.config import TasksConfig

    with pytest.raises(ValueError, match=r"tasks=mine\.yaml: task files with code are not run"):
        TasksConfig(tasks=["mine.yaml"])
    with pytest.raises(ValueError, match="a name is there twice"):
        TasksConfig(tasks=["a/x.jsonl", "b/x.jsonl"])
