import json
from pathlib import Path

import pytest

from mai1.data import instructions
from mai1.data.conversation_shapes import to_messages
from mai1.data.instructions import read_conversations, read_with_sources

ASK, ANSWER = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [ASK, ANSWER]},
        [ASK, ANSWER],
        {"instruction": "Why?", "output": "Because."},
        {"instruction": "Why?", "input": "", "output": "Because."},
        {"prompt": "Why?", "completion": "Because.", "source": "book"},
        {"question": "Why?", "answer": "Because."},
        {"messages": [ASK | {"name": "x"}, ANSWER], "prompt": "ignored", "completion": "ignored"},
    ],
)
@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_every_shape_becomes_the_same_messages(tmp_path: Path, record: object, ending: str):
    lines = [record, {"messages": [ASK]}]
    content = json.dumps(lines) if ending == "json" else "\n\n".join(map(json.dumps, lines))
    assert read_conversations(write(tmp_path, f"c.{ending}", content)) == [[ASK, ANSWER], [ASK]]


@pytest.mark.parametrize("content", [[ASK, ANSWER], {"messages": [ASK, ANSWER]}])
def test_a_json_file_may_be_one_conversation(tmp_path: Path, content: object):
    assert read_conversations(write(tmp_path, "c.json", json.dumps(content))) == [[ASK, ANSWER]]


def test_the_input_of_alpaca_follows_the_instruction():
    record = {"instruction": "Add.", "input": "1 + 1", "output": "2"}
    assert to_messages(record)[0] == {"role": "user", "content": "Add.\n\n1 + 1"}


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("c.jsonl", "", r"c\.jsonl is empty: it needs at least one conversation"),
        ("c.jsonl", "\n\n{]", r"c\.jsonl:3 is not JSON \(.*\): correct it"),
        ("c.jsonl", b"{}\n\xff", r"c\.jsonl:1: fields \(none\) are none of messages"),
        (
            "c.jsonl",
            b'{"prompt": "a", "completion": "b"}\n\xff',
            r"c\.jsonl:2 is not UTF-8 at byte 0: convert the file",
        ),
        (
            "c.jsonl",
            '{"prompt": "a"}',
            "c.jsonl:1: fields prompt are none of messages, conversations, instruction/output, prompt/completion",
        ),
        ("c.jsonl", '{"prompt": "a", "completion": 3}', "c.jsonl:1: completion must be a string, not int"),
        ("c.jsonl", '{"instruction": null, "output": "b"}', "instruction must be a string, not NoneType"),
        ("c.jsonl", '{"instruction": "a", "input": ["b"], "output": "c"}', "input must be a string, not list"),
        ("c.jsonl", '{"messages": []}', "a non-empty JSON list is needed, not an empty one"),
        ("c.jsonl", '{"messages": "hi"}', "a non-empty JSON list is needed, not str"),
        ("c.jsonl", '{"messages": [{"content": "x"}]}', "every message needs a role"),
        ("c.jsonl", '{"messages": [{"role": "user", "content": null}]}', "content must be a string, not NoneType"),
        ("c.jsonl", "7", "c.jsonl:1: a conversation must be a JSON object with messages"),
        ("c.jsonl", "[" * 100_000, r"c\.jsonl:1 is not JSON"),
        ("c.json", '{"messages": []}', "c.json: a non-empty JSON list is needed, not an empty one"),
        ("c.json", "[]", "c.json is empty"),
        ("c.json", "[[]]", "c.json, entry 1: a non-empty JSON list is needed, not an empty one"),
        ("c.json", "[1]", "c.json, entry 1: a conversation must be a JSON object"),
        ("c.json", b"\xff", r"c\.json is not UTF-8 at byte 0"),
        ("c.jsonl", '{}\n{"prompt": "\\ud800", "completion": "b"}', r"c\.jsonl:1: fields"),
        ("c.jsonl", '{"prompt": "\\ud800", "completion": "b"}', r"c\.jsonl:1 has half of a surrogate pair"),
        ("c.jsonl", '{"prompt": "a", "completion": "\\uDFFF\\uD800"}', r"c\.jsonl:1 has half of a surrogate pair"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(tmp_path: Path, name: str, content: str | bytes, error: str):
    with pytest.raises(ValueError, match=error):
        read_conversations(write(tmp_path, name, content))


def test_a_whole_surrogate_pair_is_a_character(tmp_path: Path):
    content = '{"prompt": "\\ud83d\\ude42", "completion": "\\\\ud800"}'
    (messages,) = read_conversations(write(tmp_path, "c.jsonl", content))
    assert [message["content"] for message in messages] == ["\U0001f642", "\\ud800"]


def test_a_missing_file_and_an_endless_line_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValueError, match="no.jsonl is no file: name a .jsonl or .json file"):
        read_conversations(tmp_path / "no.jsonl")
    monkeypatch.setattr(instructions, "MAX_LINE_BYTES", 40)
    with pytest.raises(ValueError, match=r"c\.jsonl:2 is longer than 40 bytes: split the conversation"):
        read_conversations(write(tmp_path, "c.jsonl", '{"prompt": "a", "completion": "b"}\n' + "x" * 41))


SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "instruct"


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared instruction files")
@pytest.mark.parametrize(
    ("name", "count"),
    [("gsm8k_train.jsonl", 7473), ("rasbt_instruction-data.json", 1100), ("llamafactory_identity.json", 91)],
)
def test_published_instruction_files_are_read_whole(name: str, count: int):
    conversations = read_conversations(SHARED / name)
    assert len(conversations) == count
    assert all([m["role"] for m in talk] == ["user", "assistant"] for talk in conversations)


def test_a_conversation_is_from_its_source_field_or_else_its_file(tmp_path: Path):
    fields = [{"source": "manuals"}, {}, {"source": ""}, {"source": 7}]
    records = [{"prompt": "a", "completion": "b"} | field for field in fields]
    path = write(tmp_path, "mine.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    assert [source for _, source in read_with_sources(path)] == ["manuals", "mine", "mine", "mine"]
    assert [dialogue.messages for dialogue, _ in read_with_sources(path)] == read_conversations(path)


@pytest.mark.parametrize("label", [{"label": False}, {"kto_tag": False}])
def test_an_answer_that_was_judged_undesirable_is_not_imitated(tmp_path: Path, label: dict):
    lines = [{"messages": [ASK, ANSWER]} | {key: True for key in label}, {"messages": [ASK, ANSWER]} | label]
    path = write(tmp_path, "judged.jsonl", "\n".join(map(json.dumps, lines)))
    with pytest.raises(
        ValueError, match=r"judged.jsonl:2: .*undesirable must not be imitated: .*preference.method=kto"
    ):
        read_conversations(path)


def test_a_number_beside_a_conversation_may_be_the_class_of_something_else(tmp_path: Path):
    path = write(tmp_path, "classes.jsonl", json.dumps({"messages": [ASK, ANSWER], "label": 0}))
    assert read_conversations(path) == [[ASK, ANSWER]]


@pytest.mark.parametrize("name", ["talks.jsonl", "talks.json"])
def test_a_byte_order_mark_and_line_ends_of_another_system_are_no_part_of_a_record(tmp_path, name):
    lines = [b'{"prompt": "a", "completion": "b"}', b'{"prompt": "c", "completion": "d"}']
    content = b"\r\n".join([*lines, b"", b""]) if name.endswith("l") else b"[" + b",\r\n".join(lines) + b"]"
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content)
    assert [talk[1]["content"] for talk in read_conversations(tmp_path / name)] == ["b", "d"]
