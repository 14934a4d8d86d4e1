"""Repeated passages over a whole corpus: each slice lists the keys of its passages, all keys are compared, slices are told.

Only what was selected is looked at, in the order of sources and documents; the first occurrence stays whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from data_prep.dedup.passages import PassageConfig, cut, passages_of, repeated_places, spans_to_cut
from data_prep.store import Stored, read_documents

DOCUMENTS_AT_ONCE = 256
PASSAGES_AT_ONCE = 1 << 24
"""Passages compared at a time, 40 bytes of memory each."""


@dataclass(frozen=True, slots=True)
class PassageTask:
    """What the passages of one slice depend on."""

    documents: str
    selected: str
    """The folder of the slice's `fate.npy`."""

    config: PassageConfig


def list_passages(task: PassageTask, folder: Path) -> dict:
    """Write the keys of the slice's passages, uint64 in the order of its selected documents."""
    keys = [np.empty(0, np.uint64)]
    for batch in _batches(selected_documents(Path(task.documents), Path(task.selected))):
        keys.append(passages_of([document.text for document in batch], task.config).keys_P)
    keys_P = np.concatenate(keys)
    np.save(folder / "keys.npy", keys_P, allow_pickle=False)
    return {"passages": len(keys_P)}


def roles_of_slices(folders: list[Path]) -> list[np.ndarray]:
    """For each slice what each of its passages is, uint8, by keys over all slices; memory is bounded by a range of keys."""
    keys = [np.load(folder / "keys.npy", mmap_mode="r", allow_pickle=False) for folder in folders]
    ends = np.cumsum([len(each) for each in keys])
    roles_P = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    num_parts = max(1, -(-len(roles_P) // PASSAGES_AT_ONCE))
    for part in range(num_parts):
        places, roles = repeated_places(keys, part=part, num_parts=num_parts)
        roles_P[places] = roles
    return np.split(roles_P, ends[:-1])


def shortened(documents: Iterator[Stored], roles_P: np.ndarray, config: PassageConfig) -> Iterator[tuple[Stored, str]]:
    """Each selected document of a slice with the text that is left of it."""
    done = 0
    for batch in _batches(documents):
        passages = passages_of([document.text for document in batch], config)
        roles = roles_P[done : done + len(passages.keys_P)]
        done += len(roles)
        for document, spans in zip(batch, spans_to_cut(passages, roles), strict=True):
            yield document, cut(document.text, spans) if len(spans) else document.text
    assert done == len(roles_P)


def selected_documents(documents: Path, selected: Path) -> Iterator[Stored]:
    """The documents of a slice that were not dropped."""
    fate_N = np.load(selected / "fate.npy", allow_pickle=False)
    return (document for document, fate in zip(read_documents(documents), fate_N, strict=True) if fate)


def _batches(documents: Iterator[Stored]) -> Iterator[list[Stored]]:
    while batch := list(islice(documents, DOCUMENTS_AT_ONCE)):
        yield batch
