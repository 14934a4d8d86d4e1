"""The phases of `mai1 prepare`, each a list of independent tasks: slices -> curated -> scored -> chosen -> ids -> shards."""

import dataclasses
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np

from data_prep.as_json import to_json
from data_prep.config import CurateConfig, PrepareConfig, located, word_lists
from data_prep.contamination.index import ContaminationIndex
from data_prep.contamination.stage import ContaminationStage
from data_prep.curation import INDEX, CurateTask
from data_prep.dedup.passages import PassageUnit
from data_prep.encoding import SPLITS, EncodeTask, join_shards, load_tokenizer, parts_of
from data_prep.engine.start import Engine
from data_prep.engine.task import Result, Task
from data_prep.facts import Curated, count_cuts, dropped_of, select_tallies, source_facts
from data_prep.figures import write_figures
from data_prep.folders import digests_of, keep_folder
from data_prep.instruct import InstructPreparation
from data_prep.progress import progress_bar
from data_prep.questions import Pair, choose_questions, pairs_of
from data_prep.reading.slices import Slice
from data_prep.repeats import PassageTask, roles_of_slices
from data_prep.scores.config import as_fitted, example_files
from data_prep.scoring import FitTask, ScoreTask, choose_by_score, read_scores
from data_prep.selection import Selection, Selector
from data_prep.splitting import HeldoutKind
from data_prep.store import read_columns
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.training import even_sample, train_tokenizer

DOCSTRINGS = "embedded:docstrings"
"""The source that questions are made from."""

SPARE = 1.25
"""A limited source whose slices come in a hashed order is read until it has this many times its share."""

SUMS = ("documents", "bytes", "tokens")


@dataclass(slots=True)
class Chosen:
    """A curated slice and what was decided about its documents."""

    source: str
    documents: Path
    """The folder of the curated slice."""

    selected: Path
    """The folder of the decisions, named by its content."""

    num_bytes: int


@dataclass(slots=True)
class Pipeline:
    """The phases of one run."""

    config: PrepareConfig
    engine: Engine

    work: Path
    """Where tasks and phases leave their results: it outlives a killed run."""

    output: Path
    """The staging directory that becomes the output."""

    is_quiet: bool

    def run(self, slices: dict[str, list[Slice]]) -> dict:
        """Run every phase; returns the manifest's contents."""
        index = self._contamination_index()
        sources = self._curate(slices, index)
        scores = self._score(sources)
        selection = self._select(sources, scores)
        chosen = self._cut_passages(self._write_chosen(sources, selection, scores))
        tokenizer = self._tokenizer(chosen)
        sums = self._encode(sources, chosen, tokenizer)
        instruct = self._write_instructions(chosen, tokenizer, index)
        contamination = Path(index) / INDEX if index else None
        write_figures(self.output, sources, selection, scores, contamination=contamination)
        totals = {key: sum(sums[name][split][key] for name in sums for split in SPLITS) for key in SUMS}
        return {
            "tokenizer_hash": tokenizer.hash,
            "vocab_size": tokenizer.vocabulary.size,
            "totals": {**totals, "bytes_per_token": totals["bytes"] / totals["tokens"]},
            "sources": {source.name: source_facts(source, sums[source.name]) for source in sources},
            "instruct": instruct,
        }

    def _curate(self, slices: dict[str, list[Slice]], index: str) -> list[Curated]:
        """Every slice through the stages; limited sources are read no further than their share needs."""
        stages = located(
            CurateConfig(**{entry.name: getattr(self.config, entry.name) for entry in fields(CurateConfig)})
        )
        shares, lists = shares_of(self.config, slices), digests_of(word_lists(stages))
        sources = [Curated(name, self.config.sources[name], places) for name, places in slices.items()]
        while wave := [(s, piece) for s in sources for piece in s.next_slices(SPARE * shares[s.name])]:
            tasks = [
                Task("curate", to_json(CurateTask(piece, s.config, stages, index, lists)), weight=piece.num_bytes)
                for s, piece in wave
            ]
            results = self.engine.run(tasks, title="curate")
            for (source, _), result in zip(wave, results, strict=True):
                source.add(result)
        for source in sources:
            source.check(self.config.errors)
        return sources

    def _contamination_index(self) -> str:
        """The folder of the index of evaluation sets, named by what is in it; empty without any."""
        if not self.config.contamination.tasks:
            return ""
        index = ContaminationIndex.build(self.config.contamination)
        return str(keep_folder(self.work / "contamination", lambda folder: index.save(folder / INDEX)))

    def _score(self, sources: list[Curated]) -> dict[str, np.ndarray]:
        """One number a document and scorer; scorers are fitted on an even sample of the curated text."""
        config, folders = as_fitted(self.config.scores), folders_of(sources)
        if not config.scorers:
            return {}
        num_bytes = sum(source.num_bytes for source in sources)
        examples = digests_of([str(path) for path in example_files(config).values()])
        task = FitTask([str(folder) for folder in folders], num_bytes, config, examples)
        (fitted,) = self.engine.run([Task("fit", to_json(task), weight=num_bytes)], title="fit scores")
        pieces = [result for source in sources for result in source.results]
        tasks = [
            Task(
                "score",
                to_json(ScoreTask(str(piece.folder), str(fitted.folder), config)),
                weight=piece.summary["bytes"],
            )
            for piece in pieces
        ]
        scored = [result.folder for result in self.engine.run(tasks, title="score")]
        return read_scores(scored, list(config.scorers))

    def _select(self, sources: list[Curated], scores: dict[str, np.ndarray]) -> Selection:
        """Decide on all documents; what is dropped here is counted and shown with the rest."""
        folders = folders_of(sources)
        columns = read_columns(folders, num_bands=self.config.dedup.minhash.num_bands)
        source_N = np.repeat(np.arange(len(sources)), [source.num_documents for source in sources])
        choose = partial(choose_by_score, scores, folders, self.config.scores) if scores else None
        selector = Selector(columns, source_N, self.config)
        selection = selector.run(choose)
        select_tallies(sources, selection, columns)
        for source in sources:
            source.check_kept()
        selector.hold_out()
        return selection

    def _write_chosen(
        self, sources: list[Curated], selection: Selection, scores: dict[str, np.ndarray]
    ) -> list[Chosen]:
        """Leave each slice's decisions where its tasks find them."""
        chosen, first = [], 0
        for source in sources:
            for result in source.results:
                places = slice(first, first + result.summary["documents"])
                files = {"fate.npy": selection.fate_N[places]}
                columns = {name: values[places] for name, values in scores.items()}
                folder = keep_folder(self.work / "selected", partial(save_arrays, files=files, columns=columns))
                chosen.append(Chosen(source.name, result.folder, folder, result.summary["bytes"]))
                first = places.stop
        return chosen

    def _cut_passages(self, chosen: list[Chosen]) -> list[Chosen]:
        """Tell each slice which of its passages stood before."""
        config = self.config.dedup.passages
        if config.unit is PassageUnit.off:
            return chosen
        tasks = [
            Task(
                "passages", to_json(PassageTask(str(each.documents), str(each.selected), config)), weight=each.num_bytes
            )
            for each in chosen
        ]
        roles = roles_of_slices([result.folder for result in self.engine.run(tasks, title="passages")])
        cut = []
        for each, roles_P in zip(chosen, roles, strict=True):
            save = partial(add_roles, selected=each.selected, roles_P=roles_P)
            cut.append(dataclasses.replace(each, selected=keep_folder(self.work / "selected", save)))
        return cut

    def _tokenizer(self, chosen: list[Chosen]) -> Tokenizer:
        """The tokenizer given, or one learned on an even sample of the training text."""
        if self.config.tokenizer_from:
            tokenizer = load_tokenizer(self.config.tokenizer_from)
        else:
            total, limit = sum(each.num_bytes for each in chosen), self.config.tokenizer.sample_bytes
            parts = (part for each in chosen for part in parts_of(self._encode_task(each)))
            texts = (part.text for part in parts if part.split == "train")
            size = min(total, limit) if limit else total
            with progress_bar("learn tokenizer", total=size, unit="B", is_quiet=self.is_quiet) as bar:
                sample = even_sample(texts, share=min(1.0, limit / max(total, 1)) if limit else 1.0)
                tokenizer = train_tokenizer(sample, self.config.tokenizer, advance=bar.update)
        tokenizer.save(self.output / "tokenizer")
        return tokenizer

    def _encode(
        self, sources: list[Curated], chosen: list[Chosen], tokenizer: Tokenizer
    ) -> dict[str, dict[str, dict[str, int]]]:
        """Write the shards; returns source to split to sums."""
        folder = keep_folder(self.work / "tokenizers", tokenizer.save)
        tasks = [Task("encode", to_json(self._encode_task(each, folder)), weight=each.num_bytes) for each in chosen]
        parts: dict[str, list[Result]] = {}
        for each, result in zip(chosen, self.engine.run(tasks, title="encode"), strict=True):
            parts.setdefault(each.source, []).append(result)
        sums = {}
        for source in sources:
            done = parts[source.name]
            count_cuts(source, [part.summary["cut"] for part in done])
            sums[source.name] = {s: {key: sum(part.summary[s][key] for part in done) for key in SUMS} for s in SPLITS}
            facts = {"tokenizer_hash": tokenizer.hash, "source": source.name, "dropped": dropped_of(source)}
            manifests = {split: facts | sums[source.name][split] for split in SPLITS}
            folders = [part.folder for part in done]
            join_shards(folders, self.output, source.name, vocab_size=tokenizer.vocabulary.size, manifests=manifests)
        return sums

    def _encode_task(self, chosen: Chosen, tokenizer: Path | None = None) -> EncodeTask:
        return EncodeTask(
            documents=str(chosen.documents),
            selected=str(chosen.selected),
            passages=self.config.dedup.passages,
            heldout=self.config.heldout,
            heldout_fraction=self.config.heldout_fraction,
            tokenizer=str(tokenizer or ""),
            library=self.config.library,
        )

    def _write_instructions(self, chosen: list[Chosen], tokenizer: Tokenizer, index: str) -> dict:
        """Instruction data: conversations from files, and questions made from docstrings, on their modules' side."""
        config, seed = self.config, self.config.seed
        made = choose_questions(self._pairs(chosen), max_pairs=config.questions, source=DOCSTRINGS, seed=seed)
        contamination = (
            ContaminationStage(ContaminationIndex.load(Path(index) / INDEX), config.contamination) if index else None
        )
        preparation = InstructPreparation(
            config.instructions,
            config.repair,
            config.pii,
            config.dedup.minhash,
            contamination,
            tokenizer,
            seed,
            config.secrets,
            config.persona,
        )
        return preparation.run(made, self.output / "instruct")

    def _pairs(self, chosen: list[Chosen]) -> Iterator[tuple[str, Pair]]:
        for each in chosen:
            if self.config.questions and self.config.sources[each.source].path == DOCSTRINGS:
                for part in parts_of(self._encode_task(each)):
                    split = part.split if self.config.heldout is HeldoutKind.documents else "train"
                    yield from ((split, pair) for pair in pairs_of(part.text, seed=self.config.seed))


def folders_of(sources: list[Curated]) -> list[Path]:
    """The curated slices of all sources, in order."""
    return [folder for source in sources for folder in source.folders]


def save_arrays(folder: Path, *, files: dict[str, np.ndarray], columns: dict[str, np.ndarray]) -> None:
    """What was decided about the documents of one slice."""
    for name, values in files.items():
        np.save(folder / name, values, allow_pickle=False)
    np.savez(folder / "scores.npz", **columns)


def add_roles(folder: Path, *, selected: Path, roles_P: np.ndarray) -> None:
    """The same decisions, and what each passage is."""
    for name in ("fate.npy", "scores.npz"):
        shutil.copyfile(selected / name, folder / name)
    np.save(folder / "roles.npy", roles_P, allow_pickle=False)


def shares_of(config: PrepareConfig, slices: dict[str, list[Slice]]) -> dict[str, int]:
    """The bytes each source may probably give, by its size on disk; 0: no limit. Selection decides exactly, afterwards."""
    sizes = {name: sum(piece.num_bytes for piece in pieces) for name, pieces in slices.items()}
    left, shares = config.max_bytes, {}
    ordered = sorted(sizes, key=lambda name: (sizes[name], name))
    for number, name in enumerate(ordered):
        own = config.sources[name].max_bytes
        limits = ([max(1, left // (len(ordered) - number))] if config.max_bytes else []) + ([own] if own else [])
        shares[name] = min(limits, default=0)
        left -= min([sizes[name], *limits])
    return shares
