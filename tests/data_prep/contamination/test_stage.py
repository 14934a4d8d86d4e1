"""Contamination: what is found against sets of n-grams, and what becomes of the documents."""

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest

from data_prep.contamination.config import ContaminationAction, ContaminationConfig, ContaminationRule, TaskConfig
from data_prep.contamination.index import ContaminationIndex
from data_prep.contamination.stage import ContaminationStage, items_in_label
from data_prep.document import Document, Dropped

NAMES = [f"{first}{second}" for first in "bdfgklmnprst" for second in ("a", "en", "ist", "or", "um", "ill", "ace")]
LABEL, CUT, DROP = ContaminationAction.label, ContaminationAction.cut, ContaminationAction.drop
NGRAM, OVERLAP = ContaminationRule.ngram, ContaminationRule.weighted_overlap


def prose(rng: random.Random, num_words: int) -> str:
    return " ".join(rng.choices(NAMES, k=num_words))


def filler(num_words: int) -> str:
    return " ".join(f"other{number}" for number in range(num_words))


@pytest.fixture
def make(tmp_path: Path):
    """make(questions, **settings): a stage whose one task `t` has these questions, or (question, answer) pairs."""

    def make_stage(items: list, **settings) -> ContaminationStage:
        pairs = [item if isinstance(item, tuple) else (item, "") for item in items]
        lines = [json.dumps({"question": question, "answer": answer}) + "\n" for question, answer in pairs]
        (tmp_path / "t.jsonl").write_text("".join(lines), encoding="utf-8")
        tasks = {"t": TaskConfig(path=str(tmp_path / "t.jsonl"), answer="answer")}
        config = ContaminationConfig(**{"tasks": tasks, "action": LABEL} | settings)
        return ContaminationStage(ContaminationIndex.build(config), config)

    return make_stage


def labels(stage: ContaminationStage, *texts: str) -> list[dict[int, float]]:
    outcomes = stage([Document(text=text, name="n") for text in texts])
    return [items_in_label(outcome.labels.get("contamination.t", "")) for outcome in outcomes]


def ngrams(text: str, size: int) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}


@pytest.mark.parametrize("seed", range(4))
def test_overlap_equals_sums_over_sets(make, seed: int):
    rng = random.Random(seed)
    common = prose(rng, 30)
    questions = [prose(rng, rng.randrange(10, 60)) + " " + common[: rng.randrange(120)] for _ in range(40)]
    sets = [ngrams(question, 5) for question in questions]
    idf = {gram: math.log1p(len(sets) / sum(gram in s for s in sets)) for gram in set.union(*sets)}
    texts = []
    for question in questions:
        words = question.split()
        for place in rng.sample(range(len(words)), rng.randrange(3)):
            words[place] = "changed"
        texts.append(" ".join(words))
    found = labels(make(questions), *texts)
    num_found = 0
    for text, items in zip(texts, found, strict=True):
        for number, question in enumerate(questions):
            own = ngrams(text, 5) & sets[number]
            overlap = sum(idf[gram] for gram in own) / sum(idf[gram] for gram in sets[number])
            length = len(question.split())
            required = 1.0 if length <= 20 else 0.8 if length >= 50 else 1.0 - 0.2 * (length - 20) / 30
            assert (number in items) == (overlap >= required - 1e-9), (overlap, required)
            assert items.get(number, 0.0) == pytest.approx(overlap if number in items else 0.0, abs=0.006)
            num_found += number in items
    assert 10 < num_found < 40


@pytest.mark.parametrize("seed", range(4))
def test_one_shared_run_of_words_is_enough_for_the_ngram_rule(make, seed: int):
    rng = random.Random(seed)
    questions = [prose(rng, rng.randrange(14, 40)) for _ in range(40)]
    stage = make(questions, rule=NGRAM)
    assert stage.index.sizes_T.tolist() == [13]
    texts = []
    for question in questions:
        words = question.split()
        start, size = rng.randrange(len(words)), rng.randrange(8, 20)
        texts.append(f"{prose(rng, 30)} {' '.join(words[start : start + size])} {prose(rng, 30)}")
    for text, items in zip(texts, labels(stage, *texts), strict=True):
        expected = {n for n, question in enumerate(questions) if ngrams(text, 13) & ngrams(question, 13)}
        assert set(items) == expected


@pytest.mark.parametrize(("length", "expected"), [(6, None), (8, 8), (10, 10), (13, 13), (30, 13)])
def test_short_items_have_shorter_ngrams_and_the_shortest_are_left_out(make, length: int, expected: int | None):
    rng = random.Random(length)
    questions = [prose(rng, length) for _ in range(20)]
    if expected is None:
        with pytest.raises(ValueError, match=r"tasks\.t\.path=\S+ must hold an item of at least 8 words"):
            make(questions, rule=NGRAM)
    else:
        assert make(questions, rule=NGRAM).index.sizes_T.tolist() == [expected]


def test_every_planted_question_is_found_and_no_other(make):
    rng = random.Random(5)
    questions = [prose(rng, rng.randrange(13, 80)) for _ in range(60)]
    texts = [f"{filler(50)} {question} {filler(50)}" for question in questions]
    for rule in ContaminationRule:
        found = labels(make(questions, rule=rule), filler(2000), *texts)
        assert [set(items) for items in found] == [set(), *({number} for number in range(60))]


def test_dress_does_not_hide_a_question(make):
    question = "If the caf\u00e9 sells 12 cakes, and each costs 3 coins: how many coins does it earn?"
    stage = make([question])
    other = "IF THE CAFE SELLS\n12 cakes and each costs 3 coins \u2013 how many coins does it earn"
    assert labels(stage, f"x {other} y", question.replace("12", "13")) == [{0: 1.0}, {}]


def test_a_short_question_needs_its_answer_and_a_long_one_does_not(make):
    short = ("Animals that eat plants are", "herbivores such as the cow and the horse")
    long = (filler(25), "an answer of more than five words to a question")
    stage = make([short, long])
    assert labels(stage, *short, f"{short[0]} {short[1]}", f"{short[0]}\nAnswer: {short[1]}", long[0]) == [
        *({}, {}),
        *({0: 1.0}, {0: 1.0}, {1: 1.0}),
    ]


def test_ngrams_that_stand_far_apart_do_not_count_together(make):
    words = filler(40).split()
    halves = " ".join(words[:20]), " ".join(words[16:])
    stage = make([" ".join(words)])
    apart = " ".join(f"between{number}" for number in range(200))
    assert labels(stage, " x ".join(halves), f" {apart} ".join(halves)) == [{0: 1.0}, {}]


def test_documents_end_where_they_end(make):
    words = filler(30).split()
    stage = make([" ".join(words)], rule=NGRAM)
    assert labels(stage, " ".join(words[:12]), " ".join(words[12:24]), " ".join(words[:13])) == [{}, {}, {0: 0.06}]


def test_batches_do_not_matter(make):
    rng = random.Random(6)
    questions = [prose(rng, 30) for _ in range(20)]
    stage = make(questions)
    texts = [f"{filler(9)} {questions[n % 20]} {prose(rng, 50)}" if n % 3 else filler(n) for n in range(40)]
    assert labels(stage, *texts) == [labels(stage, text)[0] for text in texts]


def test_a_dropped_document_tells_why(make):
    stage = make([filler(30), prose(random.Random(0), 30)], action=DROP)
    clean, bad = Document(text="clean", name="a"), Document(text=f"x {filler(30)} y", name="b", labels={"kind": "code"})
    kept, dropped = stage([clean, bad])
    assert kept is clean and isinstance(dropped, Dropped)
    assert dropped.reason == "contamination.t" and dropped.detail == "item 0: overlap=1.00"
    assert dropped.document.labels == {"kind": "code", "contamination.t": "0:1.00"}


def test_cutting_leaves_no_item_and_counts_the_places(make):
    question, rest = filler(30), " ".join(f"rest{number}" for number in range(100))
    stage = make([question], action=CUT, margin_characters=20)
    (left,) = stage([Document(text=f"{rest}\n{question}\n{rest} {question} {rest}", name="n", edits={"a": 1})])
    assert left.edits == {"a": 1, "contamination.cut": 2} and left.labels == {"contamination.t": "0:1.00"}
    assert "other" not in left.text and left.text.count("rest50") == 3 and labels(stage, left.text) == [{}]
    assert len(left.text) > 3 * (len(rest) - 50)


@pytest.mark.parametrize(("settings", "num_copies"), [({"max_cuts": 2}, 3), ({"margin_characters": 2000}, 1)])
def test_documents_with_too_many_places_or_nothing_left_are_dropped(make, settings: dict, num_copies: int):
    question, rest = filler(30), " ".join(f"rest{number}" for number in range(100))
    stage = make([question], action=CUT, **{"margin_characters": 20} | settings)
    (outcome,) = stage([Document(text=f"{rest} {question} " * num_copies + rest, name="n")])
    assert isinstance(outcome, Dropped) and outcome.reason == "contamination.t"


def test_a_saved_index_finds_the_same(make, tmp_path: Path):
    rng = random.Random(7)
    stage = make([prose(rng, 30) for _ in range(10)] + ["too short"])
    stage.index.save(tmp_path / "index.npz")
    ContaminationIndex.build(stage.config).save(tmp_path / "again.npz")
    assert (tmp_path / "index.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    loaded = ContaminationIndex.load(tmp_path / "index.npz")
    for name in ContaminationIndex.__slots__:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(stage.index, name))
    assert loaded.task_names.tolist() == ["t"] and loaded.num_items_T.tolist() == [11]
    assert loaded.num_short_T.tolist() == [1]


def test_tasks_are_reported_apart(tmp_path: Path):
    rng, tasks = random.Random(8), {}
    questions = {name: [prose(rng, 20 + 10 * n) for n in range(5)] for name in ("one", "two")}
    for name, texts in questions.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"question": t}) + "\n" for t in texts))
        tasks[name] = TaskConfig(path=str(tmp_path / f"{name}.jsonl"))
    config = ContaminationConfig(tasks=tasks, action=LABEL)
    stage = ContaminationStage(ContaminationIndex.build(config), config)
    (found,) = stage(
        [Document(text=f"{questions['two'][3]} x {questions['one'][0]} x {questions['two'][1]}", name="n")]
    )
    assert found.labels == {"contamination.one": "0:1.00", "contamination.two": "1:1.00 3:1.00"}


def test_without_tasks_nothing_is_found():
    config = ContaminationConfig()
    documents = [Document(text="anything", name="n")]
    assert ContaminationStage(ContaminationIndex.build(config), config)(documents) == documents


def test_a_document_of_all_questions_holds_all_also_with_bounded_work(make, monkeypatch: pytest.MonkeyPatch):
    rng = random.Random(10)
    shared = prose(rng, 6)
    questions = [f"{prose(rng, 10)} {shared} {prose(rng, 10)}" for _ in range(50)]
    stage, text = make(questions), "\n".join(questions)
    assert labels(stage, text) == [dict.fromkeys(range(50), 1.0)]
    monkeypatch.setattr("data_prep.contamination.stage.MAX_PAIRS", 10)
    assert labels(stage, text) == [dict.fromkeys(range(50), 1.0)]


@pytest.mark.parametrize("text", ["", "word " * 1_000_000, "\ud800 \u65e5\u672c " * 1000, "x" * 1_000_000])
def test_strange_documents_pass(make, text: str):
    repeated = ["word " * 30] + [prose(random.Random(9), 30) + " word word word word word word" for _ in range(50)]
    for rule in ContaminationRule:
        (items,) = labels(make(repeated, rule=rule), text)
        assert set(items) == ({0} if text.startswith("word") else set())
