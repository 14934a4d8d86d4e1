"""Strategies that damage files as disks and people do, and how often to try: MAI1_FUZZ_EXAMPLES=100000 for a long run."""

import json
import os
import tempfile
from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

set_hypothesis_home_dir(os.path.join(tempfile.gettempdir(), "mai1-hypothesis"))

EXAMPLES = int(os.environ.get("MAI1_FUZZ_EXAMPLES", "0"))
"""0: a few, the same ones each time, for CI."""


def fuzz(max_examples: int) -> Callable:
    """How a property is tried: seeded and few, or at random and many. No limit on time: a busy machine is no failure."""
    return settings(
        max_examples=EXAMPLES or max_examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


NUMBERS = [0, 1, -1, 255, 1 << 15, (1 << 31) - 1, 1 << 31, -(1 << 31), 1 << 32, 1 << 61, (1 << 63) - 1, (1 << 64) - 1]
INTERESTING = [n.to_bytes(8, "little", signed=n < 0) for n in NUMBERS] + [b"\xff" * 4, b"\x00" * 16, b"{", b'"', b"\n"]


def damaged(whole: bytes, *, first_bytes: int | None = None) -> st.SearchStrategy[bytes]:
    """`whole` with a few of its bytes (the first ones alone, if asked) flipped, overwritten, cut out or put in."""
    places = st.integers(0, max(0, min(len(whole), first_bytes or len(whole)) - 1))
    edit = st.tuples(
        st.sampled_from(["flip", "overwrite", "insert", "cut", "truncate"]),
        places,
        st.one_of(st.sampled_from(INTERESTING), st.binary(min_size=1, max_size=12)),
    )
    return st.lists(edit, min_size=1, max_size=4).map(lambda edits: _apply(whole, edits))


def _apply(whole: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    data = bytearray(whole)
    for kind, place, material in edits:
        if kind == "flip" and place < len(data):
            data[place] ^= 1 << (material[0] % 8)
        elif kind == "overwrite":
            data[place : place + len(material)] = material[: max(0, len(data) - place)]
        elif kind == "insert":
            data[place:place] = material
        elif kind == "cut":
            del data[place : place + len(material)]
        elif kind == "truncate":
            del data[place:]
    return bytes(data)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(
        [0, -1, 1, 10**18, -(10**30), 10**400, 0.5, 1e308, float("nan"), float("inf"), "", "x", "../x", "\ud800"]
    ),
    st.integers(),
    st.text(max_size=8),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


def changed_json(content: object) -> st.SearchStrategy[object]:
    """The same JSON with one to three of its values anywhere replaced, removed or doubled."""
    paths = list(_paths(content))
    edit = st.tuples(st.sampled_from(paths), st.sampled_from(["replace", "remove", "wrap"]), VALUES)
    return st.lists(edit, min_size=1, max_size=3).map(lambda edits: _change(content, edits))


def _paths(content: object, prefix: tuple = ()) -> list[tuple]:
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [prefix, *(path for key, value in items for path in _paths(value, (*prefix, key)))]


def _change(content: object, edits: list[tuple[tuple, str, object]]) -> object:
    content = json.loads(json.dumps(content))
    for path, kind, value in edits:
        if not path:
            content = value if kind == "replace" else content
            continue
        try:
            holder = content
            for key in path[:-1]:
                holder = holder[key]
            if kind == "remove":
                del holder[path[-1]]
            else:
                holder[path[-1]] = [holder[path[-1]]] if kind == "wrap" else value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier edit took the place away
    return content
