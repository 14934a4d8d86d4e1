"""Conversations from files people have, .jsonl or .json, in any of the shapes of `conversation_shapes.py`.

A .json file holds a list of conversations or just one. What is no conversation is refused with its place in the file.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from mai1.data.conversation_shapes import Dialogue, as_text, is_undesirable, to_dialogue
from mai1.data.messages import is_message

MAX_LINE_BYTES = 16 * 2**20
MAX_FILE_BYTES = 2**30
"""Of a .json file, which is read whole."""


def read_conversations(path: Path) -> list[list[dict]]:
    """All conversations of a file, in order."""
    return [as_text(dialogue) for dialogue, _ in read_with_sources(path)]


def read_with_sources(path: Path) -> list[tuple[Dialogue, str]]:
    """All conversations of a file as they are told, in order, each with its `source` field or else the file's name."""
    if not path.is_file():
        raise ValueError(f"{path} is no file: name a .jsonl or .json file of conversations")
    conversations = []
    for where, record in read_records(path):
        if is_undesirable(record):
            raise ValueError(
                f"{where}: an answer that was judged undesirable must not be imitated: leave it out, or learn from it "
                "with `mai1 align preference.method=kto`"
            )
        try:
            conversations.append((to_dialogue(record), _source(record) or path.stem))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    if not conversations:
        raise ValueError(f"{path} is empty: it needs at least one conversation")
    return conversations


def _source(record: object) -> str:
    """What a record says of where it comes from; empty when it says nothing."""
    source = record.get("source") if isinstance(record, dict) else None
    return source if isinstance(source, str) else ""


def read_records(path: Path, *, is_repaired: bool = False) -> Iterator[tuple[str, object]]:
    """Every record with its place in the file; ValueError for what is no JSON.

    Also for halves of surrogate pairs, which are no text, unless whoever reads the records repairs that.
    """
    if path.suffix == ".json":
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise ValueError(
                f"{path} has {size} bytes, more than {MAX_FILE_BYTES}: use .jsonl, one conversation a line"
            )
        content = _parse(_decode(path.read_bytes(), str(path)), str(path), is_repaired=is_repaired)
        if not isinstance(content, list) or is_message(content[0] if content else None):
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
                yield where, _parse(_decode(line, where), where, is_repaired=is_repaired)


def _decode(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8-sig")  # editors of some systems begin a file with a byte order mark
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} is not UTF-8 at byte {error.start}: convert the file") from None


def _parse(text: str, where: str, *, is_repaired: bool) -> object:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON ({error}): correct it; .jsonl has one object a line") from None
    if not is_repaired and ("\\ud" in text or "\\uD" in text):
        try:
            json.dumps(record, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"{where} has half of a surrogate pair (\\ud800 to \\udfff), which is no text: correct it"
            ) from None
    return record
