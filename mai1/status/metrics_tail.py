"""What metrics.jsonl says of now and of the way so far, for any size of the file."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mai1.report.records import newest_of_each_step, number
from mai1.status.files import last_lines, opened, parsed, sampled_lines

FIRST_TAIL_BYTES, LAST_TAIL_BYTES = 2**18, 2**24
ENOUGH_RECORDS = 20
MOST_RECORDS = 400
"""Of the end that are parsed: more say nothing new of now."""
NUM_SAMPLES, FEWEST_SAMPLES = 48, 8
PARSED_BYTES = 2**23
"""Of lines that are parsed for the curve: with large records it has fewer points."""


@dataclass(slots=True)
class MetricsTail:
    """Records by kind, in the order of steps."""

    train: list[dict[str, Any]] = field(default_factory=list)
    """The last ones."""
    heldout: list[dict[str, Any]] = field(default_factory=list)
    """Those among the last records and the samples; the newest is the run's newest where the tail reaches it."""
    curve: list[dict[str, Any]] = field(default_factory=list)
    """Of training, evenly taken from the whole file."""
    num_skipped: int = 0
    """Steps that the guard refused, among the last records."""
    num_bytes: int = 0


def read_tail(path: Path) -> MetricsTail:
    """The end of a metrics.jsonl and samples of the rest; empty where there is nothing to read."""
    with opened(path) as file:
        if file is None:
            return MetricsTail()
        size = os.fstat(file.fileno()).st_size
    last = _last_records(path, size)
    sampled = _sampled(path, size)
    everything = [*sampled, *last]
    return MetricsTail(
        train=newest_of_each_step(last, kind="train"),
        heldout=newest_of_each_step(everything, kind="heldout"),
        curve=newest_of_each_step([*sampled, *last[-1:]] if sampled else last, kind="train"),
        num_skipped=sum(record.get("kind") == "skipped" for record in last),
        num_bytes=size,
    )


def _last_records(path: Path, size: int) -> list[dict[str, Any]]:
    """More and more of the end until there are enough records of training and a held-out loss, or too many bytes."""
    num_bytes = FIRST_TAIL_BYTES
    while True:
        lines = last_lines(path, max_bytes=num_bytes)
        rare = [line for line in lines[:-MOST_RECORDS] if b'"heldout"' in line[:100]]
        records = [record for record in map(parsed, rare[-1:] + lines[-MOST_RECORDS:]) if _is_record(record)]
        kinds = [record["kind"] for record in records]
        is_enough = kinds.count("train") >= ENOUGH_RECORDS and "heldout" in kinds
        if is_enough or num_bytes >= min(size, LAST_TAIL_BYTES):
            return records
        num_bytes *= 4


def _sampled(path: Path, size: int) -> list[dict[str, Any]]:
    if size <= FIRST_TAIL_BYTES:
        return []  # the tail is all of it
    longest = max(map(len, last_lines(path, max_bytes=FIRST_TAIL_BYTES)), default=FIRST_TAIL_BYTES)
    num_samples = min(NUM_SAMPLES, max(FEWEST_SAMPLES, PARSED_BYTES // max(1, longest)))
    records = map(parsed, sampled_lines(path, num_samples=num_samples))
    return [record for record in records if _is_record(record)]


def _is_record(record: dict[str, Any]) -> bool:
    return isinstance(record.get("kind"), str) and number(record.get("step")) is not None
