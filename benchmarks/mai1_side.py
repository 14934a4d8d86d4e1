"""Our half of `benchmarks/prepare.py`: the same work as `datatrove_side.py`, by the functions that `mai1 prepare` consists of.

usage: python benchmarks/mai1_side.py PART --text FILE --output DIR --tokenizer DIR, started by `benchmarks/prepare.py`
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from one_core import Job, run_side

from data_prep.curation import BATCH_CHARACTERS
from data_prep.dedup.clusters import clusters_of, keepers, pairs_of_band
from data_prep.dedup.exact import content_key, pairs_of_equal
from data_prep.dedup.minhash import MinHashConfig, band_keys
from data_prep.dedup.passages import PassageConfig
from data_prep.document import Document, Stage, apply_stages
from data_prep.encoding import EncodeTask, encode, join_shards
from data_prep.reading.listing import list_slices
from data_prep.reading.slices import Slice, read_slice
from data_prep.reading.source import SourceConfig
from data_prep.selection import Fate
from data_prep.splitting import HeldoutKind
from data_prep.stages.basic import BasicConfig
from data_prep.stages.boilerplate import BoilerplateConfig, remove_boilerplate
from data_prep.stages.c4 import C4Config
from data_prep.stages.code import CodeConfig
from data_prep.stages.fineweb import FineWebConfig
from data_prep.stages.gopher import GopherConfig
from data_prep.stages.repetition import RepetitionConfig
from data_prep.stages.rules import RulesConfig, RulesStage
from data_prep.store import StoreWriter, as_pairs
from mai1.tokenizer.bulk import Library
from mai1.tokenizer.tokenizer import Tokenizer

WHOLE_FILE = 1 << 62
LIBRARIES = [Library.gigatoken, Library.tiktoken] if find_spec("gigatoken") else [Library.tiktoken]


def main() -> None:
    """Do one part."""
    run_side({"filters": filter_documents, "minhash": remove_copies, "tokens": tokenize})


def filter_documents(job: Job) -> None:
    """Each chain on documents that are in memory, by the thresholds of datatrove; all are judged as prose."""
    off = {"basic": BasicConfig(enabled=False), "code": CodeConfig(enabled=False)}
    lines = LinesStage(
        BoilerplateConfig(enabled=True, unpunctuated=True, min_line_words=3, menu_lines=0, repeated_menu_lines=0)
    )
    chains: dict[str, list[Stage]] = {
        "gopher quality + repetition": [
            rules(gopher=GopherConfig(enabled=True), repetition=RepetitionConfig(enabled=True), **off)
        ],
        "fineweb": [rules(fineweb=FineWebConfig(enabled=True), **off)],
        "c4": [lines, rules(c4=C4Config(enabled=True, min_sentences=5), **off)],
    }
    documents = [Document(each["text"], each["id"], language=each["language"]) for each in job.records()]
    for name, stages in chains.items():
        with job.clock(name):
            kept = [outcome for outcome in apply_stages(documents, stages) if isinstance(outcome, Document)]
        job.facts[name] = [document.name for document in kept]
    job.facts["gopher quality + repetition, the same words"] = job.facts["gopher quality + repetition"]


class LinesStage:
    """The line rules of C4 on every document, also on code, which our own stage leaves alone."""

    name = "lines"

    def __init__(self, config: BoilerplateConfig) -> None:
        self.config = config

    def __call__(self, documents: list[Document]) -> list[Document]:
        return [replace(each, text=remove_boilerplate(each.text, self.config)[0]) for each in documents]


def rules(**families: object) -> RulesStage:
    """A stage with these families of rules."""
    return RulesStage(RulesConfig(**families))


def remove_copies(job: Job) -> None:
    """From a file of JSON lines to a file of those that stay."""
    config = MinHashConfig()
    keys, bands, sizes, names = [], [], [], []
    with job.clock("signatures"):
        for batch in batches(read(job.text)):
            texts = [document.text for document in batch]
            keys += [content_key(text) for text in texts]
            bands.append(band_keys(texts, config))
            sizes += map(len, texts)
            names += [document.name for document in batch]
    with job.clock("buckets"):
        keys_N2, bands_NB = as_pairs(keys), np.concatenate(bands)
        pairs = [pairs_of_equal(keys_N2), *(pairs_of_band(bands_N) for bands_N in bands_NB.T)]
    with job.clock("clusters"):
        cluster_N = clusters_of(len(keys), pairs)
        is_kept_N = keepers(cluster_N, [-np.array(sizes), *keys_N2.T])
    with job.clock("filter"), open(job.output / "kept.jsonl", "w", encoding="utf-8") as file:
        for document, is_kept in zip(read(job.text), is_kept_N, strict=True):
            if is_kept:
                file.write(json.dumps({"text": document.text, "id": document.name}, ensure_ascii=False) + "\n")
    job.facts["kept"] = [name for name, is_kept in zip(names, is_kept_N, strict=True) if is_kept]


def read(path: Path) -> Iterator[Document]:
    """The documents of a file of JSON lines."""
    source, [piece] = slices(path)
    return read_slice(piece, source)


def batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    """Lists as long as those of the task `curate`."""
    batch, characters = [], 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def slices(path: Path) -> tuple[SourceConfig, list[Slice]]:
    """The file as a source of one slice."""
    source = SourceConfig(path=str(path), name_field="id", language_field="language")
    return source, list_slices("text", source, seed=0, slice_bytes=WHOLE_FILE)


def tokenize(job: Job) -> None:
    """From what the task `curate` leaves of the file to a shard: the task `encode`, and joining, by each library."""
    curated, selected = (job.output / name for name in ("curated", "selected"))
    for folder in (curated, selected):
        folder.mkdir()
    num_documents = store(job.text, curated)
    np.save(selected / "fate.npy", np.full(num_documents, Fate.train, np.uint8))
    np.savez(selected / "scores.npz")
    given = (str(curated), str(selected), PassageConfig(), HeldoutKind.documents, 0.0, str(job.tokenizer))
    tokenizer = Tokenizer.load(job.tokenizer)
    for library in LIBRARIES:
        encoded = job.output / library.value
        encoded.mkdir()
        with job.clock(library.value):
            sums = encode(EncodeTask(*given, library), encoded)
            manifests = {"train": sums["train"] | {"tokenizer_hash": ""}}
            join_shards([encoded], encoded, "text", vocab_size=tokenizer.vocabulary.size, manifests=manifests)


def store(text: Path, folder: Path) -> int:
    """The documents of a file as the task `curate` stores them; returns their number."""
    num_documents = 0
    with StoreWriter(folder, num_bands=1) as writer:
        for batch in batches(read(text)):
            keys = [content_key(document.text) for document in batch]
            writer.add(batch, keys=keys, bands_NB=np.zeros((len(batch), 1), np.uint64))
            num_documents += len(batch)
        writer.close()
    return num_documents


if __name__ == "__main__":
    main()
