"""The task `curate`: one slice from its reader through all stages to a store, with a count for every document."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.config import CurateConfig
from data_prep.contamination.index import ContaminationIndex
from data_prep.contamination.stage import ContaminationStage
from data_prep.dedup.exact import content_key
from data_prep.dedup.minhash import band_keys
from data_prep.document import Document, Dropped, Stage, apply_stages
from data_prep.reading.bad import Bad
from data_prep.reading.slices import Slice, read_slice
from data_prep.reading.source import SourceConfig
from data_prep.stages.boilerplate import BoilerplateStage
from data_prep.stages.code import KindStage
from data_prep.stages.extraction import ExtractionStage
from data_prep.stages.language import LanguageStage
from data_prep.stages.pii import PiiStage
from data_prep.stages.repair import RepairStage
from data_prep.stages.rules import RulesStage
from data_prep.stages.secrets import SecretsStage
from data_prep.stages.urls import UrlStage
from data_prep.store import StoreWriter
from data_prep.tally import Tally

BATCH_CHARACTERS = 1 << 20
INDEX = "index.npz"
"""The index of evaluation sets in its folder."""

EMPTY = "empty"
"""Nothing is left after the stages that change texts."""


@dataclass(frozen=True, slots=True)
class CurateTask:
    """What one slice is curated with; everything that its result depends on."""

    slice: Slice
    source: SourceConfig
    config: CurateConfig
    contamination: str
    """The folder of the index of evaluation sets, named by its content; empty: none."""

    lists: dict[str, str]
    """The digests of the files that the configuration names."""


def curate(task: CurateTask, folder: Path) -> dict:
    """Write the slice's store into `folder`; returns the tally as JSON."""
    stages, tally = build_stages(task), Tally()
    minhash = task.config.dedup.minhash
    with StoreWriter(folder, num_bands=minhash.num_bands) as store:
        for batch in _batches(_documents(task, tally)):
            kept = list(_survivors(batch, stages, tally))
            texts = [document.text for document in kept]
            bands_NB = band_keys(texts, minhash) if minhash.is_on else np.zeros((len(kept), minhash.num_bands))
            store.add(kept, keys=[content_key(text) for text in texts], bands_NB=bands_NB.astype(np.uint64))
        store.close()
    (folder / "tally.json").write_text(json.dumps(tally.to_json(), ensure_ascii=False), encoding="utf-8")
    return {"documents": tally.table("kept")["documents"], "bytes": tally.table("kept")["bytes"]}


def build_stages(task: CurateTask) -> list[Stage]:
    """The stages in their order: what makes text first, then what names it, what drops it, what changes its words."""
    config = task.config
    stages: list[Stage] = [
        UrlStage(config.urls),
        ExtractionStage(config.extraction),
        RepairStage(config.repair),
        BoilerplateStage(config.boilerplate),
        KindStage(config.rules.code),
        LanguageStage(config.language),
        RulesStage(config.rules),
        SecretsStage(config.secrets),
        PiiStage(config.pii),
    ]
    if task.contamination:
        index = ContaminationIndex.load(Path(task.contamination) / INDEX)
        stages.append(ContaminationStage(index, config.contamination))
    return stages


def _documents(task: CurateTask, tally: Tally) -> Iterator[Document]:
    """What can be read of the slice; what cannot is counted."""
    for item in read_slice(task.slice, task.source):
        if isinstance(item, Bad):
            tally.bad(item.reason, item.name, item.detail)
        elif isinstance(item, Dropped):
            tally.read(item.document)
            tally.drop(item)
        else:
            tally.read(item)
            yield item


def _survivors(batch: list[Document], stages: list[Stage], tally: Tally) -> Iterator[Document]:
    for outcome in apply_stages(batch, stages):
        if isinstance(outcome, Document) and not outcome.text.strip():
            outcome = Dropped(outcome, EMPTY, "no text")
        if isinstance(outcome, Dropped):
            tally.drop(outcome)
        else:
            tally.keep(outcome)
            yield outcome


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    """Lists of about a million characters."""
    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.text) + len(document.markup) + 100
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
