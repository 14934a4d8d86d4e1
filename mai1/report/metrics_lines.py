"""Lines of metrics.jsonl: nearly all of them are shares of experts, which Arrow reads several times as fast as json does."""

import itertools
import json
import math
import re
from typing import Any

import numpy as np
import pyarrow

LARGEST_FLOAT32 = 3.4e38
LOAD = re.compile(rb'"load": \[([^\]]+)\]')


def parse(line: bytes) -> object:
    """A line of JSON; None for anything else."""
    try:
        return json.loads(line.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None


def parse_metrics(line: bytes) -> object:
    """A line of JSON with the loads of experts as float32 arrays: a long run holds millions of them."""
    texts: list[bytes] = []

    def put_aside(load: re.Match[bytes]) -> bytes:
        texts.append(load[1])
        return b'"load": "#%d"' % (len(texts) - 1)

    rest = LOAD.sub(put_aside, line)
    try:
        loads = _as_written_by_us(texts) if texts else []
    except ValueError:
        return _compact(parse(line), {})
    return _compact(parse(rest), {f"#{index}": load for index, load in enumerate(loads)})


def number(value: object) -> float | None:
    """`value` as a finite float, or None: what was not measured, or diverged beyond float32, is not a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < LARGEST_FLOAT32 else None


def mapping(value: object) -> dict[str, Any]:
    """`value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _as_written_by_us(texts: list[bytes]) -> list[np.ndarray]:
    """Lists of numbers, `, ` between them, all in one go; ValueError for any other text."""
    joined = b", ".join(texts)
    commas = np.flatnonzero(np.frombuffer(joined, dtype=np.uint8) == ord(","))
    digits = joined.translate(None, b", ")
    if len(digits) != len(joined) - 2 * len(commas):
        raise ValueError("other blanks than one after each comma")
    offsets = np.concatenate([[0], commas - 2 * np.arange(len(commas)), [len(digits)]]).astype(np.int32)
    numbers = pyarrow.StringArray.from_buffers(len(commas) + 1, pyarrow.py_buffer(offsets), pyarrow.py_buffer(digits))
    with np.errstate(over="ignore"):
        shares = numbers.cast(pyarrow.float64()).to_numpy().astype(np.float32)
    ends = itertools.accumulate(text.count(b",") + 1 for text in texts)
    return [shares[start:end] for start, end in itertools.pairwise([0, *ends])]


def _compact(record: object, loads: dict[str, np.ndarray]) -> object:
    """The record with its loads as arrays: those put aside by their mark, others share by share."""
    for layer in mapping(mapping(record).get("layers")).values():
        for holder in (layer, *mapping(mapping(layer).get("sources")).values()):
            load = mapping(holder).get("load")
            if isinstance(load, list):
                holder["load"] = _shares(load)
            elif isinstance(load, str):
                holder["load"] = loads.get(load)
    return record


def _shares(load: list[Any]) -> np.ndarray:
    shares = [math.nan if (share := number(value)) is None else share for value in load]
    with np.errstate(over="ignore"):
        return np.array(shares, dtype=np.float32)
