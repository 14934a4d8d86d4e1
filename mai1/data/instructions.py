"""Conversations from files people have: messages, alpaca, prompt/completion and question/answer, as .jsonl or .json.

A .json file holds a list of conversations or just one; messages may also stand in a bare list. Everything becomes a list
of `{"role", "content"}` messages; what cannot is refused with its place in the file.
"""

import json
from collections.abc import Iterator
from pathlib import Path

MAX_LINE_BYTES = 16 * 2**20
MAX_FILE_BYTES = 2**30
"""Of a .json file, which is read whole."""


def read_conversations(path: Path) -> list[list[dict]]:
    """All conversations of a file, in order."""
    return [messages for messages, _ in read_with_sources(path)]


def read_with_sources(path: Path) -> list[tuple[list[dict], str]]:
    """All conversations of a file, in order, each with its `source` field or else the file's name."""
    if not path.is_file():
        raise ValueError(f"{path} is no file: name a .jsonl or .json file of conversations")
    conversations = []
    for where, record in _records(path):
        try:
            conversations.append((to_messages(record), _source(record) or path.stem))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    if not conversations:
        raise ValueError(f"{path} is empty: it needs at least one conversation")
    return conversations


def to_messages(record: object) -> list[dict]:
    """One record of any of the shapes as messages."""
    if isinstance(record, list):
        return [_message(message) for message in _list(record)]
    if not isinstance(record, dict):
        raise ValueError("a conversation must be a JSON object with messages, instruction/output or prompt/completion")
    if "messages" in record:
        return [_message(message) for message in _list(record["messages"])]
    if "instruction" in record and "output" in record:  # alpaca
        question = _text(record, "instruction")
        if record.get("input"):
            question += "\n\n" + _text(record, "input")
        return [{"role": "user", "content": question}, {"role": "assistant", "content": _text(record, "output")}]
    for asked, answered in (("prompt", "completion"), ("question", "answer")):
        if asked in record and answered in record:
            return [
                {"role": "user", "content": _text(record, asked)},
                {"role": "assistant", "content": _text(record, answered)},
            ]
    raise ValueError(
        f"fields {', '.join(record) or '(none)'} are none of messages, instruction/output, prompt/completion, "
        "question/answer"
    )


def _source(record: object) -> str:
    """What a record says of where it comes from; empty when it says nothing."""
    source = record.get("source") if isinstance(record, dict) else None
    return source if isinstance(source, str) else ""


def _records(path: Path) -> Iterator[tuple[str, object]]:
    if path.suffix == ".json":
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise ValueError(
                f"{path} has {size} bytes, more than {MAX_FILE_BYTES}: use .jsonl, one conversation a line"
            )
        content = _parse(_decode(path.read_bytes(), str(path)), str(path))
        if not isinstance(content, list) or _is_message(content[0] if content else None):
            yield str(path), content
            return
        for number, record in enumerate(content, start=1):
            yield f"{path}, entry {number}", record
        return
    with open(path, "rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), start=1):
            where = f"{path}:{number}"
            if len(line) > MAX_LINE_BYTES:
                raise ValueError(f"{where} is longer than {MAX_LINE_BYTES} bytes: split the conversation")
            if line.strip():
                yield where, _parse(_decode(line, where), where)


def _decode(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} is not UTF-8 at byte {error.start}: convert the file") from None


def _parse(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON ({error}): correct it; .jsonl has one object a line") from None


def _list(value: object) -> list:
    if not isinstance(value, list) or not value:
        found = "an empty one" if value == [] else type(value).__name__
        raise ValueError(f"a non-empty JSON list is needed, not {found}")
    return value


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str)


def _message(message: object) -> dict:
    if not _is_message(message):
        raise ValueError("every message needs a role")
    return {"role": message["role"], "content": _text(message, "content")}


def _text(record: dict, field: str) -> str:
    if not isinstance(record.get(field), str):
        raise ValueError(f"{field} must be a string, not {type(record.get(field)).__name__}")
    return record[field]
