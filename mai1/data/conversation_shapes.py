"""The shapes in which people keep conversations, each made into the one we use: a list of `{"role", "content"}` messages.

    messages     {"messages": [{"role", "content", "tool_calls"?}], "tools"?}     also a bare list of messages
    ShareGPT     {"conversations": [{"from", "value"}], "system"?, "tools"?}
    alpaca       {"instruction", "input"?, "output", "system"?, "history"?}
    pairs        {"prompt", "completion"}, {"question", "answer"}
    preferences  {"prompt" | "question" | alpaca's fields | nothing, "chosen", "rejected"}: answers or whole conversations

Tools become text, so that every tokenizer and template can carry them: their definitions stand in the system message, a
call is the JSON object `{"name", "arguments"}` that the assistant says, its result a message of the role `tool`.
"""

import json
from dataclasses import dataclass

ROLE_OF_SPEAKER = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "assistant", "chatgpt", "bing", "bard", "model", "function_call"), "assistant"),
    "system": "system",
    **dict.fromkeys(("tool", "observation", "function_response", "ipython", "function"), "tool"),
}
"""ShareGPT's speakers, and the roles of messages, by our role."""

TOOL_INTRODUCTION = (
    "You can use the tools below. To use one, answer with nothing but a JSON object of its name and arguments."
)
PAIRS = (("prompt", "completion"), ("question", "answer"))


@dataclass(frozen=True, slots=True)
class Preference:
    """Two answers to the same conversation; a person or a model liked the first better."""

    messages: list[dict]
    """The conversation up to the answer."""

    chosen: str
    rejected: str


def to_messages(record: object) -> list[dict]:
    """One record of any of the shapes as messages; ValueError says what is wrong with it."""
    if isinstance(record, list):
        return [_message(message) for message in _list(record)]
    if not isinstance(record, dict):
        raise ValueError("a conversation must be a JSON object with messages, instruction/output or prompt/completion")
    if "messages" in record:
        return _with_tools([_message(message) for message in _list(record["messages"])], record)
    if "conversations" in record:
        return _with_tools([_spoken(turn) for turn in _list(record["conversations"])], record)
    if "instruction" in record and "output" in record:
        return [*_asked(record), _says("assistant", _text(record, "output"))]
    for asked, answered in PAIRS:
        if asked in record and answered in record:
            return [_says("user", _text(record, asked)), _says("assistant", _text(record, answered))]
    raise ValueError(
        f"fields {', '.join(map(str, record)) or '(none)'} are none of messages, conversations, instruction/output, "
        "prompt/completion, question/answer"
    )


def is_preference(record: object) -> bool:
    """Whether a record holds a better and a worse answer."""
    return isinstance(record, dict) and "chosen" in record and "rejected" in record


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
        chosen, rejected = ([*asked, _says("assistant", _answer(record[key], key))] for key in ("chosen", "rejected"))
    if chosen[-1]["role"] != "assistant" or rejected[-1]["role"] != "assistant":
        raise ValueError("chosen and rejected must end with what the assistant says")
    return Preference(chosen[:-1], chosen[-1]["content"], rejected[-1]["content"])


def _asked_before(record: dict) -> list[dict]:
    """What a preference answers; nothing where `chosen` and `rejected` tell it themselves."""
    if "messages" in record or isinstance(record.get("prompt"), list):
        key = "messages" if "messages" in record else "prompt"
        return _with_tools([_message(message) for message in _list(record[key])], record)
    if "conversations" in record:
        return _with_tools([_spoken(turn) for turn in _list(record["conversations"])], record)
    if "instruction" in record:
        return _asked(record)
    key = next((key for key in ("prompt", "question") if key in record), "")
    return [*_system(record), _says("user", _text(record, key))] if key else []


def _answer(value: object, key: str) -> str:
    """A worse or better answer: text, or a message that the assistant says."""
    if isinstance(value, dict):
        value = (_message(value) if "role" in value else _spoken(value))["content"]
    if not isinstance(value, str):
        raise ValueError(f"{key} must be a text or a message, not {type(value).__name__}")
    return value


def _asked(record: dict) -> list[dict]:
    """Alpaca's system, history, instruction and input."""
    messages = _system(record)
    for turn in record.get("history") or []:
        if not isinstance(turn, list) or len(turn) != 2 or not all(isinstance(text, str) for text in turn):
            raise ValueError("history must be a list of [question, answer]")
        messages += [_says("user", turn[0]), _says("assistant", turn[1])]
    question = _text(record, "instruction")
    if record.get("input"):
        question += "\n\n" + _text(record, "input")
    return [*messages, _says("user", question)]


def _system(record: dict) -> list[dict]:
    return [_says("system", _text(record, "system"))] if record.get("system") else []


def _with_tools(messages: list[dict], record: dict) -> list[dict]:
    """The conversation with ShareGPT's system text and the definitions of its tools in its system message."""
    if record.get("system") and messages[0]["role"] != "system":
        messages = [*_system(record), *messages]
    tools = record.get("tools")
    if isinstance(tools, str):
        try:
            tools = json.loads(tools) if tools.strip() else None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"tools must be JSON ({error})") from None
    if not tools:
        return messages
    if not isinstance(tools, list):
        raise ValueError(f"tools must be a list of definitions, not {type(tools).__name__}")
    definitions = "\n".join([TOOL_INTRODUCTION, *(_json(_definition(tool)) for tool in tools)])
    if messages[0]["role"] == "system":
        return [_says("system", f"{messages[0]['content']}\n\n{definitions}"), *messages[1:]]
    return [_says("system", definitions), *messages]


def _definition(tool: object) -> object:
    """What a tool is, without OpenAI's wrapping."""
    return tool["function"] if isinstance(tool, dict) and isinstance(tool.get("function"), dict) else tool


def _message(message: object) -> dict:
    if not is_message(message):
        raise ValueError("every message needs a role")
    role = ROLE_OF_SPEAKER.get(message["role"], message["role"])
    calls = message.get("tool_calls") or ([message["function_call"]] if message.get("function_call") else [])
    if not calls:
        return _says(role, _text(message, "content"))
    said = [_text(message, "content")] if message.get("content") else []
    return _says(role, "\n".join([*said, *(_call(call) for call in _list(calls))]))


def _call(call: object) -> str:
    """OpenAI's call of a tool, whose arguments may be a JSON text."""
    function = _definition(call)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise ValueError("every tool call needs a name")
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the arguments of the call of {function['name']} must be JSON ({error})") from None
    return _json({"name": function["name"], "arguments": arguments})


def _spoken(turn: object) -> dict:
    """One of ShareGPT's turns."""
    if not isinstance(turn, dict) or not isinstance(turn.get("from"), str):
        raise ValueError("every turn of conversations needs from and value")
    role = ROLE_OF_SPEAKER.get(turn["from"].lower())
    if role is None:
        raise ValueError(f"from={turn['from'][:40]!r} must be one of {', '.join(ROLE_OF_SPEAKER)}")
    return _says(role, _text(turn, "value"))


def _says(role: str, content: str) -> dict:
    return {"role": role, "content": content}


def is_message(value: object) -> bool:
    """Whether a value can only be a message."""
    return isinstance(value, dict) and isinstance(value.get("role"), str)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list(value: object) -> list:
    if not isinstance(value, list) or not value:
        found = "an empty one" if value == [] else type(value).__name__
        raise ValueError(f"a non-empty JSON list is needed, not {found}")
    return value


def _text(record: dict, field: str) -> str:
    if not isinstance(record.get(field), str):
        raise ValueError(f"{field} must be a string, not {type(record.get(field)).__name__}")
    return record[field]
