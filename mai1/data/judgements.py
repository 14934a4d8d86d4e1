"""Answers that were judged one by one, as KTO learns from them, and the files that say so.

    {"prompt" | "messages" | alpaca's fields, "completion", "label": true}    TRL; any shape of a conversation with a `label`
    {"messages" | "conversations", "kto_tag": false}                          LLaMA-Factory
    {"prompt", "chosen", "rejected"}                                          a pair: an answer of each kind

`label` is true, false, 1, 0, "desirable", "undesirable", "true" or "false".
"""

from dataclasses import dataclass
from pathlib import Path

from mai1.data.conversation_shapes import LABELS, is_preference, to_messages, to_preference
from mai1.data.instructions import read_records

VERDICTS = {"true": True, "1": True, "desirable": True, "false": False, "0": False, "undesirable": False}


@dataclass(frozen=True, slots=True)
class Judged:
    """A conversation with an answer that was liked, one that was not, or both."""

    messages: list[dict]
    """The conversation up to the answer."""

    desirable: str | None
    undesirable: str | None


def read_judged(path: Path) -> list[tuple[Judged, str]]:
    """All answers of a .jsonl or .json file, in order, each with its `source` field or else the file's name.

    ValueError names the place of what has no label, and where one kind of answer is missing altogether.
    """
    if not path.is_file():
        raise ValueError(f"{path} is no file: name a .jsonl or .json file of answers with a label, or of pairs")
    found = []
    for where, record in read_records(path):
        try:
            judged = to_judged(record)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        source = record.get("source")
        found.append((judged, source if source and isinstance(source, str) else path.stem))
    for kind in ("desirable", "undesirable"):
        if all(getattr(judged, kind) is None for judged, _ in found):
            raise ValueError(
                f"{path} holds no {kind} answer, but preference.method=kto learns from both kinds: add some"
            )
    return found


def to_judged(record: object) -> Judged:
    """A record with a label, or a pair; ValueError where it is neither, or ends with no answer."""
    if is_preference(record):
        pair = to_preference(record)
        return Judged(pair.messages, pair.chosen, pair.rejected)
    key = next((key for key in LABELS if isinstance(record, dict) and key in record), None)
    if key is None:
        raise ValueError("a judged answer needs the field label, or else chosen and rejected")
    verdict = VERDICTS.get(str(record[key]).lower())
    if verdict is None:
        raise ValueError(f"{key}={str(record[key])[:40]!r} must be true or false")
    *asked, answer = to_messages(record)
    if not asked or answer["role"] != "assistant":
        raise ValueError("a judged answer must be the last message, by the assistant, behind what it answers")
    said = answer["content"]
    return Judged(asked, said if verdict else None, None if verdict else said)
