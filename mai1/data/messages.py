"""One message of any shape, made into ours: role and text, and where there are such, calls of tools and reasoning.

    OpenAI       {"role", "content", "tool_calls"? | "function_call"?, "tool_call_id"?, "name"?}
    Anthropic    {"role", "content": [{"type": "text" | "tool_use" | "tool_result" | "thinking", ...}]}
    ShareGPT     {"from", "value"}, in which `function_call` says a JSON object

Calls become OpenAI's `{"type": "function", "function": {"name", "arguments"}}` with the arguments as an object.
"""

import json

ROLE_OF_SPEAKER = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "assistant", "chatgpt", "bing", "bard", "model", "function_call"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "observation", "function_response", "ipython", "function"), "tool"),
}
"""ShareGPT's speakers, and the roles of messages, by our role."""
REASONING = ("reasoning_content", "reasoning", "thinking")


def is_message(value: object) -> bool:
    """Whether a value can only be a message."""
    return isinstance(value, dict) and isinstance(value.get("role"), str)


def says(role: str, content: str) -> dict:
    """A message of text."""
    return {"role": role, "content": content}


def read_messages(told: object) -> list[dict]:
    """A list of messages or of ShareGPT's turns; ValueError says what is wrong with one."""
    messages = []
    for message in as_list(told):
        if isinstance(message, dict) and "from" in message and "role" not in message:
            messages.append(_spoken(message) | _not_learned(message))
        elif is_message(message):
            messages += _told(message)
        else:
            raise ValueError("every message needs a role, and every turn of conversations needs from and value")
    return messages


def _told(message: dict) -> list[dict]:
    """A message with a role; several where it holds results of tools."""
    role = ROLE_OF_SPEAKER.get(message["role"], message["role"])
    if isinstance(message.get("content"), list):
        return _of_parts(message, role)
    calls = message.get("tool_calls") or ([message["function_call"]] if message.get("function_call") else [])
    if calls:
        content = as_text_of(message, "content") if message.get("content") else ""
        found = says(role, content) | {"tool_calls": [_call(call) for call in as_list(calls)]}
    else:
        found = says(role, as_text_of(message, "content"))
    found |= {key: message[key] for key in ("tool_call_id", "name") if isinstance(message.get(key), str)}
    reasoning = next((message[key] for key in REASONING if isinstance(message.get(key), str)), None)
    return [found | ({"reasoning_content": reasoning} if reasoning else {}) | _not_learned(message)]


def _of_parts(message: dict, role: str) -> list[dict]:
    """A content of several parts: texts joined, uses of tools as calls, results of tools as messages of their own."""
    texts, calls, results, reasoning = [], [], [], []
    for part in as_list(message["content"]):
        kind = part.get("type") if isinstance(part, dict) else None
        match kind:
            case "text":
                texts.append(as_text_of(part, "text"))
            case "thinking":
                reasoning.append(as_text_of(part, "thinking"))
            case "tool_use":
                call = _call({"name": part.get("name"), "arguments": part.get("input") or {}})
                calls.append(call | ({"id": part["id"]} if isinstance(part.get("id"), str) else {}))
            case "tool_result":
                results.append(_result(part))
            case _:
                raise ValueError(
                    f"content has a part of type {str(kind)[:40]!r}, but only text and tools can be learned"
                )
    said = says(role, "".join(texts)) | ({"tool_calls": calls} if calls else {}) | _not_learned(message)
    said |= {"reasoning_content": "\n".join(reasoning)} if reasoning else {}
    return [*results, said] if texts or calls or not results else results


def _result(part: dict) -> dict:
    content = part.get("content", "")
    if isinstance(content, list):
        content = "".join(as_text_of(entry, "text") for entry in content if isinstance(entry, dict))
    found = says("tool", content if isinstance(content, str) else _json(content))
    return found | ({"tool_call_id": part["tool_use_id"]} if isinstance(part.get("tool_use_id"), str) else {})


def _spoken(turn: dict) -> dict:
    """One of ShareGPT's turns."""
    if not isinstance(turn.get("from"), str):
        raise ValueError("every turn of conversations needs from and value")
    role = ROLE_OF_SPEAKER.get(turn["from"].lower())
    if role is None:
        raise ValueError(f"from={turn['from'][:40]!r} must be one of {', '.join(ROLE_OF_SPEAKER)}")
    text = as_text_of(turn, "value")
    if turn["from"].lower() != "function_call":
        return says(role, text)
    try:
        calls = json.loads(text)
        return says(role, "") | {
            "tool_calls": [_call(call) for call in (calls if isinstance(calls, list) else [calls])]
        }
    except (ValueError, RecursionError):
        return says(role, text)


def _call(call: object) -> dict:
    """A call of a tool, whose arguments may be JSON text."""
    function = call["function"] if isinstance(call, dict) and isinstance(call.get("function"), dict) else call
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise ValueError("every tool call needs a name")
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        arguments = parsed(arguments, f"the arguments of the call of {function['name']}") if arguments.strip() else {}
    found = {"type": "function", "function": {"name": function["name"], "arguments": arguments}}
    is_named = isinstance(call, dict) and isinstance(call.get("id"), str)
    return found | ({"id": call["id"]} if is_named else {})


def _not_learned(message: dict) -> dict:
    """`{"train": False}` where a message says that it is not to be learned: OpenAI's weight and axolotl's train."""
    weight, train = message.get("weight"), message.get("train")
    if weight not in (None, 0, 1) or train not in (None, False, True):
        raise ValueError(f"weight={weight} and train={train} of a message must be 0 or 1, and true or false")
    return {"train": False} if weight == 0 and weight is not None or train is False else {}


def parsed(text: str, what: str) -> object:
    """JSON text; ValueError names what it is."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} must be JSON ({error})") from None


def as_list(value: object) -> list:
    """A list with something in it; ValueError for anything else."""
    if not isinstance(value, list) or not value:
        found = "an empty one" if value == [] else type(value).__name__
        raise ValueError(f"a non-empty JSON list is needed, not {found}")
    return value


def as_text_of(record: dict, field: str) -> str:
    """A field that is text; ValueError for anything else."""
    if not isinstance(record.get(field), str):
        raise ValueError(f"{field} must be a string, not {type(record.get(field)).__name__}")
    return record[field]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
