"""The shapes in which people keep conversations, each made into the one we use: a list of `{"role", "content"}` messages.

    messages     {"messages": [{"role", "content", "tool_calls"?}], "tools"?}     also a bare list of messages
                 contents may be lists of text and, as Anthropic has them, tool_use and tool_result
    ShareGPT     {"conversations": [{"from", "value"}], "system"?, "tools"?}
    alpaca       {"instruction", "input"?, "output" | "response", "system"?, "history"?}, {"instruction", "instances"}
    pairs        {"prompt", "completion"}, {"question", "answer"}, {"query", "response", "history"?}, {"problem", "solution"},
                 {"input", "output"}; prompt and completion may be lists of messages
    preferences  {"prompt" | "question" | alpaca's fields | nothing, "chosen", "rejected"}: answers or whole conversations

`"train": false` or `"weight": 0` on a message: it is not learned. A foreign chat template is given tools and their calls as
they are (`to_dialogue`). For ours they become text: definitions stand in the system message, a call is the JSON object
`{"name", "arguments"}` that the assistant says, its result a message of the role `tool`; reasoning is left out.
"""

import json
from dataclasses import dataclass, field

from mai1.data.messages import ROLE_OF_SPEAKER, as_list, as_text_of, parsed, read_messages, says

TOOL_INTRODUCTION = (
    "You can use the tools below. To use one, answer with nothing but a JSON object of its name and arguments."
)
LISTS = ("messages", "conversations", "conversation")
QUESTIONS = ("prompt", "question", "query", "problem")
PAIRS = (("prompt", "completion"), ("question", "answer"), ("query", "response"), ("problem", "solution"))
ANSWERS_OF_INSTRUCTIONS = ("output", "response")
LABELS = ("label", "kto_tag")
"""Fields that say of an answer whether it was liked."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A conversation with all that a chat template may ask for."""

    messages: list[dict]
    """Role and content of each, and where there are such: tool_calls, tool_call_id, name, reasoning_content, train=False."""

    tools: list[dict] = field(default_factory=list)
    """Definitions as OpenAI has them."""


@dataclass(frozen=True, slots=True)
class Preference:
    """Two answers to the same conversation; a person or a model liked the first better."""

    messages: list[dict]
    """The conversation up to the answer."""

    chosen: str
    rejected: str


def to_messages(record: object) -> list[dict]:
    """One record of any of the shapes as messages of text alone; ValueError says what is wrong with it."""
    return as_text(to_dialogue(record))


def to_dialogue(record: object) -> Dialogue:
    """One record of any of the shapes as it is told; ValueError says what is wrong with it."""
    if isinstance(record, list):
        return Dialogue(read_messages(record))
    if not isinstance(record, dict):
        raise ValueError("a conversation must be a JSON object with messages, instruction/output or prompt/completion")
    for key in LISTS:
        if key in record:
            return Dialogue([*_system(record, before=record[key]), *read_messages(record[key])], _tools(record))
    if "instruction" in record:
        if "instances" in record:
            return Dialogue(_instance(record))
        for key in ANSWERS_OF_INSTRUCTIONS:
            if key in record:
                return Dialogue([*_asked(record), says("assistant", as_text_of(record, key))])
    for asked, answered in PAIRS:
        if asked in record and answered in record:
            return Dialogue(_pair(record, asked, answered), _tools(record))
    if "input" in record and "output" in record:
        return Dialogue(_pair(record, "input", "output"), _tools(record))
    raise ValueError(
        f"fields {', '.join(map(str, record)) or '(none)'} are none of messages, conversations, instruction/output, "
        "prompt/completion, question/answer, query/response"
    )


def as_text(dialogue: Dialogue) -> list[dict]:
    """Messages of a role and a text, with the tools and their calls in these texts."""
    messages = []
    for message in dialogue.messages:
        said = [message["content"]] if message["content"] or not message.get("tool_calls") else []
        said += [_json(call["function"]) for call in message.get("tool_calls", ())]
        kept = {"train": False} if message.get("train") is False else {}
        messages.append(says(message["role"], "\n".join(said)) | kept)
    if not dialogue.tools:
        return messages
    definitions = "\n".join([TOOL_INTRODUCTION, *(_json(_definition(tool)) for tool in dialogue.tools)])
    if messages[0]["role"] == "system":
        return [says("system", f"{messages[0]['content']}\n\n{definitions}"), *messages[1:]]
    return [says("system", definitions), *messages]


def is_preference(record: object) -> bool:
    """Whether a record holds a better and a worse answer."""
    return isinstance(record, dict) and "chosen" in record and "rejected" in record


def is_undesirable(record: object) -> bool:
    """Whether a record's answer was judged to be none to imitate; a number may be a class of something else."""
    return isinstance(record, dict) and any(record.get(key) is False for key in LABELS)


def to_preference(record: dict) -> Preference:
    """A record with `chosen` and `rejected`; ValueError where the two do not answer the same conversation."""
    if isinstance(record["chosen"], list) and isinstance(record["rejected"], list):
        chosen, rejected = (_asked_before(record) + to_messages(record[key]) for key in ("chosen", "rejected"))
        if chosen[:-1] != rejected[:-1]:
            raise ValueError("chosen and rejected must be the same conversation up to their last messages")
    else:
        asked = _asked_before(record)
        if not asked:
            raise ValueError("chosen and rejected need a prompt, question, instruction or messages that they answer")
        chosen, rejected = ([*asked, says("assistant", _answer(record[key], key))] for key in ("chosen", "rejected"))
    if chosen[-1]["role"] != "assistant" or rejected[-1]["role"] != "assistant":
        raise ValueError("chosen and rejected must end with what the assistant says")
    return Preference(chosen[:-1], chosen[-1]["content"], rejected[-1]["content"])


def _asked_before(record: dict) -> list[dict]:
    """What a preference answers, as text; nothing where `chosen` and `rejected` tell it themselves."""
    lists = [key for key in (*LISTS, "prompt") if key in record and (key in LISTS or isinstance(record[key], list))]
    if lists:
        told = record[lists[0]]
        return as_text(Dialogue([*_system(record, before=told), *read_messages(told)], _tools(record)))
    if "instruction" in record:
        return _asked(record)
    key = next((key for key in QUESTIONS if key in record), "")
    return [*_system(record), says("user", as_text_of(record, key))] if key else []


def _answer(value: object, key: str) -> str:
    """A worse or better answer: text, or a message that the assistant says."""
    if isinstance(value, dict):
        return to_messages([value])[0]["content"]
    if not isinstance(value, str):
        raise ValueError(f"{key} must be a text or a message, not {type(value).__name__}")
    return value


def _pair(record: dict, asked: str, answered: str) -> list[dict]:
    """A question and its answer, texts or messages; of messages, what stands in the question is not learned."""
    before = _system(record) + _history(record)
    if not isinstance(record[asked], list) and not isinstance(record[answered], list):
        return [*before, says("user", as_text_of(record, asked)), says("assistant", as_text_of(record, answered))]
    told = record[asked]
    question = [says("user", as_text_of(record, asked))] if isinstance(told, str) else read_messages(told)
    answer = record[answered]
    said = [says("assistant", answer)] if isinstance(answer, str) else read_messages(answer)
    unlearned = [m | {"train": False} if m["role"] == "assistant" else m for m in question]
    return [*before, *unlearned, *said]


def _instance(record: dict) -> list[dict]:
    """Self-instruct's task with one example of it."""
    instances = as_list(record["instances"])
    if len(instances) != 1 or not isinstance(instances[0], dict):
        raise ValueError(f"instances has {len(instances)} entries, but a conversation is one: write a record for each")
    return [*_asked(record | instances[0]), says("assistant", as_text_of(instances[0], "output"))]


def _asked(record: dict) -> list[dict]:
    """Alpaca's system, history, instruction and input, which Dolly calls context."""
    question = as_text_of(record, "instruction")
    for key in ("input", "context"):
        if record.get(key):
            question += "\n\n" + as_text_of(record, key)
    return [*_system(record), *_history(record), says("user", question)]


def _history(record: dict) -> list[dict]:
    messages = []
    for turn in record.get("history") or []:
        if not isinstance(turn, list) or len(turn) != 2 or not all(isinstance(text, str) for text in turn):
            raise ValueError("history must be a list of [question, answer]")
        messages += [says("user", turn[0]), says("assistant", turn[1])]
    return messages


def _system(record: dict, *, before: object = None) -> list[dict]:
    """The system text of a record, unless the conversation before which it would stand begins with one."""
    first = before[0] if isinstance(before, list) and before else None
    speaker = (first.get("role") or first.get("from")) if isinstance(first, dict) else ""
    if not record.get("system") or (isinstance(speaker, str) and ROLE_OF_SPEAKER.get(speaker.lower()) == "system"):
        return []
    return [says("system", as_text_of(record, "system"))]


def _tools(record: dict) -> list[dict]:
    """Definitions of tools, also as JSON text or as Anthropic has them, as OpenAI has them."""
    tools = record.get("tools") or record.get("functions")
    if isinstance(tools, str):
        tools = parsed(tools, "tools") if tools.strip() else None
    if not tools:
        return []
    if not isinstance(tools, list):
        raise ValueError(f"tools must be a list of definitions, not {type(tools).__name__}")
    return [_wrapped(tool) for tool in tools]


def _wrapped(tool: object) -> object:
    definition = _definition(tool)
    if isinstance(definition, dict) and "input_schema" in definition:
        definition = {("parameters" if key == "input_schema" else key): v for key, v in definition.items()}
    return {"type": "function", "function": definition} if isinstance(definition, dict) else definition


def _definition(tool: object) -> object:
    """What a tool or a call is, without OpenAI's wrapping."""
    return tool["function"] if isinstance(tool, dict) and isinstance(tool.get("function"), dict) else tool


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
