import json
from pathlib import Path

import pytest

from data_prep.contamination.config import ContaminationAction, ContaminationConfig, TaskConfig
from data_prep.contamination.index import ContaminationIndex
from data_prep.contamination.stage import ContaminationStage
from data_prep.dedup.minhash import MinHashConfig
from data_prep.instruct import InstructConfig, InstructPreparation, InstructSourceConfig, check_sources
from data_prep.stages.pii import PiiConfig
from data_prep.stages.repair import RepairConfig
from mai1.data.instructions import read_conversations
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.training import TokenizerConfig, TokenizerKind, train_tokenizer
from tests.data_prep.conftest import text_of_number

ASK, SAY = "How far is it to the next village?", "An hour on foot along the river."
SHAPES = [
    {"messages": [{"role": "user", "content": "one " + ASK}, {"role": "assistant", "content": SAY}]},
    {"conversations": [{"from": "human", "value": "two " + ASK}, {"from": "gpt", "value": SAY}]},
    {"instruction": "three " + ASK, "input": "", "output": SAY},
    {"prompt": "four " + ASK, "completion": SAY},
    {"question": "five " + ASK, "answer": SAY},
]
ITEM = {
    "question": "Which of the seven old bridges over the northern canal was opened by the mayor in the spring of 1911?",
    "answer": "The one beside the copper mill with nine narrow arches",
}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    texts = [text_of_number(i) for i in range(20)] + [json.dumps(SHAPES), json.dumps(ITEM)]
    return train_tokenizer(texts, TokenizerConfig(kind=TokenizerKind.char, vocab_size=400))


@pytest.fixture
def prepared(tokenizer: Tokenizer, tmp_path: Path):
    """prepared(records of one source, or {source: records}, settings) -> statistics; files under tmp_path / "out"."""

    def run(
        records: list | dict, contamination: ContaminationStage | None = None, near: bool = False, **settings
    ) -> dict:
        sources = {}
        for name, own in (records if isinstance(records, dict) else {"mine": records}).items():
            (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in own))
            sources[name] = InstructSourceConfig(path=str(tmp_path / f"{name}.jsonl"), **settings.pop(name, {}))
        config = InstructConfig(sources=sources, **{"heldout_fraction": 0.0} | settings)
        preparation = InstructPreparation(
            config, RepairConfig(), PiiConfig(), MinHashConfig(is_on=near), contamination, tokenizer, 0
        )
        return preparation.run([], tmp_path / "out")

    return run


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def pairs(count: int) -> list[dict]:
    """Conversations of which no two are alike."""
    words = [text_of_number(i, num_words=30).split() for i in range(count)]
    return [{"prompt": " ".join(own[:12]) + f" {i}?", "completion": " ".join(own[12:])} for i, own in enumerate(words)]


def test_every_shape_becomes_messages_that_tuning_reads(prepared, tmp_path: Path):
    statistics = prepared(SHAPES)
    lines = lines_of(tmp_path / "out" / "train.jsonl")
    numbers = ("one", "two", "three", "four", "five")
    assert [line["messages"] for line in lines] == [
        [{"role": "user", "content": f"{number} {ASK}"}, {"role": "assistant", "content": SAY}] for number in numbers
    ]
    assert [line["name"] for line in lines] == [f"mine:mine.jsonl:{i}" for i in range(1, 6)]
    assert {line["source"] for line in lines} == {"mine"}
    assert read_conversations(tmp_path / "out" / "train.jsonl") == [line["messages"] for line in lines]
    assert statistics["train"] == 5 and statistics["heldout"] == 0


def test_what_is_dropped_has_a_reason_and_broken_records_their_place(prepared):
    broken = [{"text": "nothing"}, {"messages": [{"role": "judge", "content": "x"}]}, 7]
    short, long = {"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": "word " * 300}
    figures = prepared([*SHAPES, *broken, short, long], max_tokens=200, min_answer_characters=2)["sources"]["mine"]
    assert figures["read"] == 10 and figures["kept"] == 5
    assert figures["dropped"] == {"instruct.broken": 3, "instruct.short_answer": 1, "instruct.too_long": 1}
    assert "mine.jsonl:6: fields text are none of messages" in figures["broken"]


def test_answers_that_were_judged_undesirable_are_dropped(prepared, tmp_path: Path):
    judged = [record | {"label": number % 2 == 0} for number, record in enumerate(pairs(6))]
    figures = prepared(judged)["sources"]["mine"]
    assert figures["dropped"] == {"instruct.undesirable": 3} and figures["kept"] == 3
    answers = [line["messages"][-1]["content"] for line in lines_of(tmp_path / "out" / "train.jsonl")]
    assert answers == [record["completion"] for record in judged if record["label"]]


def test_statistics_are_those_of_counting_by_hand(prepared, tokenizer: Tokenizer, tmp_path: Path):
    figures = prepared([*SHAPES, {"prompt": "mail to ann@rivermail.net please", "completion": "Done."}])["sources"][
        "mine"
    ]
    chats = [encode_chat(tokenizer, line["messages"]) for line in lines_of(tmp_path / "out" / "train.jsonl")]
    assert figures["tokens"] == sum(len(chat.ids) for chat in chats)
    assert figures["supervised_tokens"] == sum(sum(chat.loss_mask) for chat in chats)
    assert figures["supervised_tokens"] == 5 * (len(SAY) + 1) + len("Done.") + 1  # one token a character, and <|end|>
    assert figures["supervised_fraction"] == round(figures["supervised_tokens"] / figures["tokens"], 6)
    assert figures["messages"] == {"2": 6} and sum(figures["lengths"].values()) == 6
    assert figures["edits"] == {"pii.email": 1}
    assert json.loads((tmp_path / "out" / "statistics.json").read_text()) == {"mine": figures}


def test_copies_are_kept_once_in_the_first_source(prepared, tmp_path: Path):
    talks = pairs(12)
    near = talks[3] | {"completion": talks[3]["completion"] + " indeed"}
    long = {"prompt": "Tell it.", "completion": " ".join(text_of_number(i) for i in range(90, 94))}
    sources = {"a": [*talks, long], "b": [talks[0], near, long | {"completion": long["completion"] + " End."}]}
    sources["b"].append({"prompt": "Quite another question?", "completion": "Yes, quite another answer."})
    figures = prepared(sources, near=True)["sources"]
    assert figures["a"]["kept"] == 13 and figures["b"]["dropped"]["dedup.exact"] == 1
    assert (
        figures["b"]["dropped"]["dedup.near"] >= 1 and figures["b"]["kept"] + sum(figures["b"]["dropped"].values()) == 4
    )
    assert "dedup.exact" not in figures["a"]["dropped"]


def test_a_preference_is_no_copy_of_the_conversation_it_was_made_from(prepared, tmp_path: Path):
    talks = pairs(6)
    preferences = [{"prompt": t["prompt"], "chosen": t["completion"], "rejected": "No."} for t in talks]
    figures = prepared({"talks": talks, "liked": [*preferences, preferences[0]]})["sources"]
    assert figures["talks"]["kept"] == figures["liked"]["kept"] == figures["liked"]["preferences"] == 6
    assert figures["liked"]["dropped"] == {"dedup.exact": 1}
    assert len(lines_of(tmp_path / "out" / "train.jsonl")) == 6


def test_preferences_have_their_own_files(prepared, tmp_path: Path):
    record = {
        "prompt": "What now?",
        "chosen": "Write to me at ann@rivermail.net.",
        "rejected": "Ask bob@rivermail.net.",
    }
    prepared([record, SHAPES[0]])
    (line,) = lines_of(tmp_path / "out" / "preferences.train.jsonl")
    assert line["messages"] == [{"role": "user", "content": "What now?"}]
    assert (line["chosen"], line["rejected"]) == ("Write to me at [EMAIL].", "Ask [EMAIL].")
    assert len(lines_of(tmp_path / "out" / "train.jsonl")) == 1


def test_the_worse_answer_counts_for_the_longest(prepared):
    record = {"prompt": "What now?", "chosen": "Go.", "rejected": "Stay " * 100}
    assert prepared([record, SHAPES[0]], max_tokens=200)["sources"]["mine"]["dropped"] == {"instruct.too_long": 1}


def test_text_is_repaired_as_that_of_documents(prepared, tmp_path: Path):
    figures = prepared([{"prompt": "half \ud800 pair\r\nnext", "completion": "a\x00b\n"}])["sources"]["mine"]
    (line,) = lines_of(tmp_path / "out" / "train.jsonl")
    assert [message["content"] for message in line["messages"]] == ["half \ufffd pair\nnext", "ab"]
    assert figures["edits"] == {"repair.control_characters": 1, "repair.line_ends": 1, "repair.surrogates": 1}


def test_equal_questions_are_held_out_together(prepared, tmp_path: Path):
    talks = pairs(40)
    others = [talk | {"completion": f"Another answer, number {i}, of its own words."} for i, talk in enumerate(talks)]
    liked = [{"prompt": t["prompt"], "chosen": f"Yes, as {i} says.", "rejected": "No."} for i, t in enumerate(talks)]
    prepared({"a": talks, "b": others, "c": liked}, heldout_fraction=0.3)
    questions = {
        split: {line["messages"][0]["content"] for kind in ("", "preferences.") for line in
                lines_of(tmp_path / "out" / f"{kind}{split}.jsonl")} for split in ("train", "heldout")
    }  # fmt: skip
    assert not questions["train"] & questions["heldout"]
    assert 4 <= len(questions["heldout"]) <= 20 and len(questions["train"] | questions["heldout"]) == 40


@pytest.mark.parametrize("action", list(ContaminationAction))
def test_evaluation_items_are_dropped_or_labelled_and_never_half_of_them_kept(prepared, tmp_path: Path, action):
    (tmp_path / "task.jsonl").write_text(json.dumps(ITEM) + "\n")
    task = TaskConfig(path=str(tmp_path / "task.jsonl"), question="question", answer="answer")
    config = ContaminationConfig(tasks={"quiz": task}, action=action, margin_characters=5)
    stage = ContaminationStage(ContaminationIndex.build(config), config)
    padding = text_of_number(1, num_words=200)
    held = {"prompt": f"{padding}\n\n{ITEM['question']}", "completion": f"{ITEM['answer']}.\n\n{padding}"}
    figures = prepared([*SHAPES, held], contamination=stage)["sources"]["mine"]
    lines = lines_of(tmp_path / "out" / "train.jsonl")
    if action is ContaminationAction.label:
        assert figures["contaminated"] == {"contamination.quiz": 1} and figures["kept"] == 6
        assert [line.get("labels") for line in lines] == [None] * 5 + [{"contamination.quiz": "0:1.00"}]
    else:
        assert figures["dropped"] == {"contamination.quiz": 1} and len(lines) == 5


def test_a_limit_takes_an_even_sample_that_no_order_changes(prepared, tmp_path: Path):
    talks = pairs(40)
    taken = []
    for records in (talks, talks[::-1]):
        figures = prepared(records, mine={"max_conversations": 10})["sources"]["mine"]
        assert figures["kept"] == 10 and figures["dropped"]["limit.max_conversations"] >= 20
        taken.append({line["messages"][0]["content"] for line in lines_of(tmp_path / "out" / "train.jsonl")})
    assert taken[0] == taken[1]


def test_tools_become_text(prepared, tmp_path: Path):
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "look", "arguments": '{"at": "map"}'}}]}
    messages = [{"role": "user", "content": ASK}, call, {"role": "tool", "content": "5 km"}, SHAPES[0]["messages"][1]]
    prepared([{"messages": messages, "tools": [{"type": "function", "function": {"name": "look"}}]}])
    (line,) = lines_of(tmp_path / "out" / "train.jsonl")
    assert [m["role"] for m in line["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    assert json.loads(line["messages"][2]["content"]) == {"name": "look", "arguments": {"at": "map"}}
    assert '{"name": "look"}' in line["messages"][0]["content"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"sources\.x\.path=.*x\.jsonl must be a .jsonl or .json file: check the path"),
        (b"", "must begin with conversations .it is empty.: name another file"),
        (b'{"text": "no"}\n' * 200, r"must begin with conversations .*x\.jsonl:100: fields text are none of messages"),
        (b"{broken\n", r"x\.jsonl:1 is not JSON"),
        (b"\xff\n", r"x\.jsonl:1 is not UTF-8 at byte 0"),
        (b"[" * 100_000, r"x\.jsonl:1 is not JSON"),
    ],
)
def test_a_file_without_conversations_is_refused_at_once(tmp_path: Path, content: bytes | None, message: str):
    path = tmp_path / "x.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        check_sources(InstructConfig(sources={"x": InstructSourceConfig(path=str(path))}))


@pytest.mark.parametrize("settings", [{"heldout_fraction": 0.6}, {"max_tokens": -1}, {"min_answer_characters": -1}])
def test_wrong_settings_are_refused(settings: dict):
    (key,) = settings
    with pytest.raises(ValueError, match=rf"instructions\.{key}="):
        InstructConfig(**settings)
    with pytest.raises(ValueError, match="max_conversations=-1 must be at least 0"):
        InstructSourceConfig(path="x", max_conversations=-1)


def test_claims_of_a_persona_are_dropped_and_counted_with_samples(prepared, tmp_path: Path):
    sad = {"prompt": "How are you?", "completion": "I am very sad today."}
    figures = prepared([*SHAPES, sad])["sources"]["mine"]
    assert figures["read"] == 6 and figures["kept"] == 5 and figures["dropped"] == {"persona.feeling": 1}
    assert figures["samples"]["persona.feeling"][0]["text"] == "I am very sad today."
    assert not [line for line in lines_of(tmp_path / "out" / "train.jsonl") if "sad" in line["messages"][-1]["content"]]


def test_secrets_in_conversations_are_replaced_and_counted(prepared, tmp_path: Path):
    token = "ghp_" + "a7Kd93jfLq0ZmXw2Rt5Vb8Ny1Ce4Hu6Gs7Po"
    figures = prepared([{"prompt": f"Is {token} safe?", "completion": f"No, revoke {token} now."}])["sources"]["mine"]
    assert figures["edits"] == {"secrets.token": 2}
    (line,) = lines_of(tmp_path / "out" / "train.jsonl")
    assert line["messages"][1]["content"] == "No, revoke [SECRET] now."
