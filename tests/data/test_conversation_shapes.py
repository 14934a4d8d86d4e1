import json
from pathlib import Path

import pytest

from mai1.data.conversation_shapes import (
    TOOL_INTRODUCTION,
    Dialogue,
    Preference,
    as_text,
    is_preference,
    to_dialogue,
    to_messages,
    to_preference,
)
from mai1.data.instructions import read_conversations, read_records

SHARED = Path(__file__).parents[3] / "shared" / "data" / "instruct"
ASK, ANSWER = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}
TOOL = {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "number"}}}}
CALL = {"name": "add", "arguments": {"a": 1}}
WITH_TOOL = [
    {"role": "system", "content": f"{TOOL_INTRODUCTION}\n{json.dumps(TOOL)}"},
    {"role": "user", "content": "1?"},
    {"role": "assistant", "content": json.dumps(CALL)},
    {"role": "tool", "content": "1"},
    {"role": "assistant", "content": "One."},
]


def sharegpt(*turns: tuple[str, str], **more: object) -> dict:
    return {"conversations": [{"from": speaker, "value": text} for speaker, text in turns], **more}


@pytest.mark.parametrize(
    "record",
    [
        sharegpt(
            ("human", "1?"), ("function_call", json.dumps(CALL)), ("observation", "1"), ("gpt", "One."), tools=[TOOL]
        ),
        sharegpt(
            ("human", "1?"),
            ("function_call", json.dumps(CALL)),
            ("observation", "1"),
            ("gpt", "One."),
            tools=json.dumps([TOOL]),
        ),
        {
            "messages": [
                {"role": "user", "content": "1?"},
                {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": CALL}]},
                {"role": "tool", "tool_call_id": "x", "content": "1"},
                {"role": "assistant", "content": "One."},
            ],
            "tools": [{"type": "function", "function": TOOL}],
        },
        {
            "messages": [
                {"role": "user", "content": "1?"},
                {"role": "assistant", "content": "", "function_call": {"name": "add", "arguments": '{"a": 1}'}},
                {"role": "function", "name": "add", "content": "1"},
                {"role": "assistant", "content": "One."},
            ],
            "tools": [TOOL],
        },
    ],
)
def test_tools_and_their_calls_become_the_same_text_from_every_shape(record: dict):
    assert to_messages(record) == WITH_TOOL


def test_a_system_text_comes_first_and_takes_the_tools_in():
    record = sharegpt(("human", "Hi"), ("gpt", "Hello"), system="Be brief.", tools=[TOOL])
    assert to_messages(record)[0]["content"].startswith(f"Be brief.\n\n{TOOL_INTRODUCTION}")
    assert [m["role"] for m in to_messages(record)] == ["system", "user", "assistant"]


def test_history_and_system_of_alpaca_come_before_the_instruction():
    record = {"instruction": "And 2?", "output": "Two.", "system": "Count.", "history": [["1?", "One."]]}
    assert [m["content"] for m in to_messages(record)] == ["Count.", "1?", "One.", "And 2?", "Two."]


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "Why?", "chosen": "Because.", "rejected": "No."},
        {"question": "Why?", "chosen": "Because.", "rejected": "No."},
        {"instruction": "Why?", "input": "", "output": "Because.", "chosen": "Because.", "rejected": "No."},
        {"messages": [ASK], "chosen": ANSWER, "rejected": {"role": "assistant", "content": "No."}},
        {"prompt": [ASK], "chosen": [ANSWER], "rejected": [{"role": "assistant", "content": "No."}]},
        {"chosen": [ASK, ANSWER], "rejected": [ASK, {"role": "assistant", "content": "No."}]},
        sharegpt(
            ("human", "Why?"), chosen={"from": "gpt", "value": "Because."}, rejected={"from": "gpt", "value": "No."}
        ),
    ],
)
def test_every_shape_of_a_preference_becomes_the_same(record: dict):
    assert is_preference(record) and to_preference(record) == Preference([ASK], "Because.", "No.")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"chosen": "a", "rejected": "b"}, "need a prompt, question, instruction or messages"),
        ({"prompt": "q", "chosen": 1, "rejected": "b"}, "chosen must be a text or a message, not int"),
        ({"chosen": [ASK, ANSWER], "rejected": [ANSWER, ANSWER]}, "must be the same conversation up to their last"),
        ({"chosen": [ANSWER, ASK], "rejected": [ANSWER, ASK]}, "must end with what the assistant says"),
    ],
)
def test_wrong_preferences_are_refused(record: dict, message: str):
    with pytest.raises(ValueError, match=message):
        to_preference(record)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (sharegpt(("dog", "Wow")), "from='dog' must be one of human"),
        ({"conversations": [{"value": "x"}]}, "needs from and value"),
        (sharegpt(("human", "a"), tools="{"), "tools must be JSON"),
        (sharegpt(("human", "a"), tools={"a": 1}), "tools must be a list of definitions, not dict"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "every tool call needs a name"),
        ({"instruction": "a", "output": "b", "history": [["c"]]}, "history must be a list"),
    ],
)
def test_wrong_conversations_are_refused(record: dict, message: str):
    with pytest.raises(ValueError, match=message):
        to_messages(record)


def test_real_tool_conversations_are_read_whole():
    path = SHARED / "llamafactory_glaive_toolcall_en_demo.json"
    if not path.is_file():
        pytest.skip("this checkout has no shared data")
    conversations = read_conversations(path)
    assert len(conversations) == 300
    with_tools = [c for c in conversations if c[0]["role"] == "system" and TOOL_INTRODUCTION in c[0]["content"]]
    calls = [m for c in conversations for m, after in zip(c, c[1:], strict=False) if after["role"] == "tool"]
    assert len(with_tools) > 100 and len(calls) > 100
    assert all(m["role"] == "assistant" and set(json.loads(m["content"])) >= {"name", "arguments"} for m in calls)


def test_real_preferences_are_read_whole():
    path = SHARED / "rasbt_instruction-data-with-preference.json"
    if not path.is_file():
        pytest.skip("this checkout has no shared data")
    pairs = [to_preference(record) for _, record in read_records(path)]
    assert len(pairs) == 1100 and all(p.messages[-1]["role"] == "user" and p.chosen for p in pairs)


QUESTION_AND_ANSWER = [ASK, ANSWER]


@pytest.mark.parametrize(
    "record",
    [
        {"query": "Why?", "response": "Because."},
        {"problem": "Why?", "solution": "Because."},
        {"input": "Why?", "output": "Because."},
        {"instruction": "Why?", "response": "Because.", "context": ""},
        {"instruction": "Why?", "instances": [{"input": "", "output": "Because."}]},
        {"prompt": [ASK], "completion": [ANSWER]},
        {"conversation": [ASK, ANSWER]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}, ANSWER]},
    ],
)
def test_every_common_shape_of_a_question_and_its_answer_becomes_the_same(record: dict):
    assert to_messages(record) == QUESTION_AND_ANSWER


ANTHROPIC = {
    "messages": [
        {"role": "user", "content": "1?"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "a", "name": "add", "input": {"a": 1}}],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "1"}]}],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "One."}]},
    ],
    "tools": [{"name": "add", "input_schema": TOOL["parameters"]}],
}
OPENAI = {
    "messages": [
        {"role": "user", "content": "1?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "assistant", "content": "One."},
    ],
    "tools": [{"type": "function", "function": TOOL}],
}


@pytest.mark.parametrize("record", [ANTHROPIC, OPENAI])
def test_tools_of_openai_and_anthropic_are_told_in_one_way(record: dict):
    call = {"type": "function", "function": CALL, "id": "a"}
    expected = [
        {"role": "user", "content": "1?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "1", "tool_call_id": "a"},
        {"role": "assistant", "content": "One."},
    ]
    assert to_dialogue(record) == Dialogue(expected, [{"type": "function", "function": TOOL}])
    assert to_messages(record) == WITH_TOOL


@pytest.mark.parametrize("mark", [{"train": False}, {"weight": 0}])
def test_a_message_may_say_that_it_is_not_learned(mark: dict):
    unlearned = ANSWER | {"train": False}
    assert to_messages({"messages": [ASK, ANSWER | mark]}) == [ASK, unlearned]
    assert to_messages(sharegpt(("human", "Why?")) | {}) == [ASK]
    turn = {"from": "gpt", "value": "Because."} | mark
    assert to_messages({"conversations": [{"from": "human", "value": "Why?"}, turn]}) == [ASK, unlearned]
    assert to_messages({"messages": [ASK, ANSWER | {"train": True, "weight": 1}]}) == [ASK, ANSWER]


def test_answers_in_a_prompt_of_messages_are_not_learned():
    record = {"prompt": [ASK, ANSWER, ASK], "completion": [ANSWER]}
    assert to_messages(record) == [ASK, ANSWER | {"train": False}, ASK, ANSWER]


def test_reasoning_is_kept_for_templates_that_show_it_under_every_name():
    for key in ("reasoning_content", "reasoning", "thinking"):
        told = to_dialogue({"messages": [ASK, ANSWER | {key: "Hm."}]})
        assert told.messages[1] == ANSWER | {"reasoning_content": "Hm."} and as_text(told) == [ASK, ANSWER]
    parts = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Because."}]
    told = to_dialogue({"messages": [ASK, {"role": "assistant", "content": parts}]})
    assert told.messages[1] == ANSWER | {"reasoning_content": "Hm."}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "part of type 'image_url'"),
        ({"messages": [ANSWER | {"weight": 0.5}]}, "weight=0.5"),
        ({"messages": [ANSWER | {"train": "no"}]}, "train=no"),
        ({"instruction": "a", "instances": [{}, {}]}, "instances has 2 entries"),
    ],
)
def test_what_cannot_be_learned_is_refused_by_name(record: dict, message: str):
    with pytest.raises(ValueError, match=message):
        to_messages(record)


def test_real_tasks_of_self_instruct_are_read_whole():
    path = SHARED / "self_instruct_seed_tasks.jsonl"
    if not path.is_file():
        pytest.skip("this checkout has no shared data")
    conversations = read_conversations(path)
    assert len(conversations) == 175 and all([m["role"] for m in c] == ["user", "assistant"] for c in conversations)
