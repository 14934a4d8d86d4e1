"""The stages of `mai1 prepare`: sources -> spools -> tokenizer -> shards -> instruction data, in one directory."""

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from data_prep.cleaning import Newlines
from data_prep.collect import Collected, Collector
from data_prep.embedded import KINDS, PREFIX
from data_prep.encode import SPLITS, Part, even_sample, write_shards
from data_prep.filters import FilterConfig
from data_prep.questions import Pair, pairs_of, write_questions
from data_prep.sources import Source, SourceConfig
from data_prep.splitting import Budget, HeldoutKind, choose_heldout, split_tail
from data_prep.workers import Workers
from mai1.tokenizer.tokenizer import MODEL_FILE, Tokenizer
from mai1.tokenizer.training import TokenizerConfig, train_tokenizer

SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
DOCSTRINGS = f"{PREFIX}docstrings"
"""The source that questions are made from."""


def embedded_sources() -> dict[str, SourceConfig]:
    """The text that comes with Python and its packages: what is prepared when no source is named."""
    return {kind: SourceConfig(path=PREFIX + kind) for kind in KINDS}


@dataclass(kw_only=True, slots=True)
class PrepareConfig:
    """What becomes of raw text."""

    output: str = "data/embedded"
    """The directory to write."""

    sources: dict[str, SourceConfig] = field(default_factory=dict)
    """Sources by name; each becomes a shard of that name. Empty: the text that comes with Python and its packages."""

    max_bytes: int = 0
    """Most UTF-8 bytes of text from all sources together, shared evenly between them; 0: no limit."""

    heldout: HeldoutKind = HeldoutKind.documents
    """What is held out: whole documents, or the tail of every document."""

    heldout_fraction: float = 0.03
    """Share of documents, or of every document's characters, that is held out; 0: nothing."""

    seed: int = 0
    """Decides what is held out and what a limit leaves over."""

    newlines: Newlines = Newlines.unix
    """unix: every line ends in a newline character alone; keep: as written."""

    filters: FilterConfig = field(default_factory=FilterConfig)
    """Which documents are dropped."""

    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    """How the tokenizer is learned."""

    tokenizer_from: str = ""
    """A tokenizer, corpus or checkpoint directory whose tokenizer is used; empty: learn one."""

    questions: int = 20_000
    """Most question-answer pairs made from `embedded:docstrings`; 0: none."""

    workers: int = 0
    """Processes; 0: one per CPU that this process may use."""

    overwrite: bool = False
    """Replace an output that holds a corpus of other settings."""

    def __post_init__(self) -> None:
        if not self.output:
            raise ValueError("prepare.output='' must name a directory: choose one")
        for name in self.sources:
            if not SOURCE_NAME.fullmatch(name):
                raise ValueError(f"prepare.sources.{name} must be named with letters, digits, - and _: rename it")
        for key, least in (("max_bytes", 0), ("seed", 0), ("questions", 0), ("workers", 0)):
            if getattr(self, key) < least:
                raise ValueError(f"prepare.{key}={getattr(self, key)} must be at least {least}")
        if not 0.0 <= self.heldout_fraction <= 0.5:
            raise ValueError(f"prepare.heldout_fraction={self.heldout_fraction} must be from 0 to 0.5")


@dataclass(slots=True)
class Pipeline:
    """The stages of one run, all inside the staging directory."""

    config: PrepareConfig
    directory: Path
    workers: Workers
    is_quiet: bool

    def run(self, sources: dict[str, Source]) -> dict:
        """Run every stage; returns the manifest's contents."""
        (self.directory / "spool").mkdir()
        collected = self._collect(sources)
        heldout = self._choose_heldout(collected)
        tokenizer = self._tokenizer(collected, heldout)
        tokenizer.save(self.directory / "tokenizer")
        by_source = {source.name: self._encode(source, heldout, tokenizer) for source in collected}
        instruct = self._write_questions(collected, heldout)
        self._write_samples(collected)
        shutil.rmtree(self.directory / "spool")
        totals = {
            key: sum(source[split][key] for source in by_source.values() for split in SPLITS)
            for key in ("documents", "bytes", "tokens")
        }
        return {
            "tokenizer_hash": tokenizer.hash,
            "vocab_size": tokenizer.vocabulary.size,
            "totals": {**totals, "bytes_per_token": totals["bytes"] / totals["tokens"]},
            "sources": {name: by_source[name] for name in sources},
            "instruct": instruct,
        }

    def _collect(self, sources: dict[str, Source]) -> list[Collected]:
        """Read all sources, smallest first, so that what a small one leaves of its share goes to the larger ones."""
        collector = Collector(self.config.filters, self.config.newlines, self.config.seed)
        left: int = self.config.max_bytes
        done: list[Collected] = []
        ordered = sorted(sources, key=lambda name: (sources[name].estimated_bytes, name))
        for number, name in enumerate(ordered):
            limits = [left // (len(ordered) - number)] if self.config.max_bytes else []
            limits += [own] if (own := self.config.sources[name].max_bytes) else []
            budget = Budget(max(1, min(limits)) if limits else 0)
            spool = self.directory / "spool" / name
            total = min(budget.max_bytes or sources[name].estimated_bytes, sources[name].estimated_bytes)
            with self._bar(f"read {name}", unit="B", total=total) as bar:
                result = collector.collect(
                    name, sources[name], budget=budget, spool=spool, workers=self.workers, advance=bar.update
                )
            if not result.num_bytes:
                raise ValueError(_explain_empty(result, self.config.sources[name].path, budget))
            left -= result.num_bytes
            done.append(result)
        return done

    def _choose_heldout(self, collected: list[Collected]) -> set[bytes]:
        """The families to hold out, the same for all sources: a module's code and docstrings stay together."""
        fraction = self.config.heldout_fraction
        if self.config.heldout is HeldoutKind.tail or fraction == 0:
            return set()
        chosen = {
            family
            for source in collected
            for family in choose_heldout(source.families(), fraction=fraction, seed=self.config.seed)
        }
        if not chosen:
            raise ValueError(
                f"prepare.heldout_fraction={fraction} needs two documents in some source, but each has one: "
                "set heldout=tail to hold out the end of each, or heldout_fraction=0"
            )
        return chosen

    def _parts(self, source: Collected, heldout: set[bytes]) -> Iterator[Part]:
        """The texts of a source with the split of each."""
        for kept, text in source.texts():
            if self.config.heldout is HeldoutKind.documents:
                yield Part("heldout" if kept.family in heldout else "train", text)
            else:
                parts = zip(SPLITS, split_tail(text, fraction=self.config.heldout_fraction), strict=True)
                yield from (Part(split, part) for split, part in parts if part)

    def _tokenizer(self, collected: list[Collected], heldout: set[bytes]) -> Tokenizer:
        if self.config.tokenizer_from:
            return load_tokenizer(self.config.tokenizer_from)
        total = sum(source.num_bytes for source in collected)
        limit = self.config.tokenizer.sample_bytes
        share = min(1.0, limit / total) if limit else 1.0
        texts = (p.text for source in collected for p in self._parts(source, heldout) if p.split == "train")
        with self._bar("learn tokenizer", unit="slice") as bar:
            return train_tokenizer(_counted(even_sample(texts, share=share), bar), self.config.tokenizer)

    def _encode(self, source: Collected, heldout: set[bytes], tokenizer: Tokenizer) -> dict:
        """Write the shards of a source; returns its entry in the manifest."""
        with self._bar(f"encode {source.name}", unit="B", total=source.num_bytes) as bar:
            sums = write_shards(
                self._parts(source, heldout),
                self.directory,
                source.name,
                tokenizer=tokenizer,
                manifest={"tokenizer_hash": tokenizer.hash, "source": source.name, "dropped": source.dropped},
                workers=self.workers,
                advance=bar.update,
            )
        num_tokens = sum(sums[split]["tokens"] for split in SPLITS)
        return {
            "path": self.config.sources[source.name].path,
            "read": source.num_read,
            "kept": sum(source.taken),
            **sums,
            "bytes_per_token": source.num_bytes / num_tokens,
            "dropped": source.dropped,
        }

    def _write_questions(self, collected: list[Collected], heldout: set[bytes]) -> dict[str, int]:
        """Instruction data from the docstring sources, on the side of the split where their modules are."""
        if not self.config.questions:
            return dict.fromkeys(SPLITS, 0)
        directory, seed = self.directory / "instruct", self.config.seed
        pairs = self._pairs(collected, heldout)
        return write_questions(pairs, directory, max_pairs=self.config.questions, source=DOCSTRINGS, seed=seed)

    def _pairs(self, collected: list[Collected], heldout: set[bytes]) -> Iterator[tuple[str, Pair]]:
        for source in collected:
            if self.config.sources[source.name].path == DOCSTRINGS:
                for kept, text in source.texts():
                    split = "heldout" if kept.family in heldout else "train"
                    yield from ((split, pair) for pair in pairs_of(text, seed=self.config.seed))

    def _write_samples(self, collected: list[Collected]) -> None:
        lines = [json.dumps(sample, ensure_ascii=False) + "\n" for source in collected for sample in source.samples]
        (self.directory / "dropped_samples.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")

    def _bar(self, title: str, *, unit: str, total: int | None = None) -> tqdm:
        """A progress bar with the time left, silent when asked to be."""
        return tqdm(desc=title, unit=unit, total=total, unit_scale=True, disable=self.is_quiet, leave=False)


def load_tokenizer(directory: str) -> Tokenizer:
    """The tokenizer of a tokenizer, corpus or checkpoint directory."""
    path = Path(directory).expanduser()
    inside = path / "tokenizer"
    try:
        return Tokenizer.load(inside if (inside / MODEL_FILE).is_file() else path)
    except ValueError as error:
        raise ValueError(f"prepare.tokenizer_from={directory} must hold a tokenizer: {error}") from error


def _counted(texts: Iterable[str], bar: tqdm) -> Iterator[str]:
    for text in texts:
        bar.update(1)
        yield text


def _explain_empty(collected: Collected, path: str, budget: Budget) -> str:
    key = f"prepare.sources.{collected.name}.path={path}"
    if not collected.num_read:
        return f"{key} must hold at least one document: name a source with text"
    reasons = ", ".join(f"{count['documents']} {reason}" for reason, count in sorted(collected.dropped.items()))
    if "over_max_bytes" in collected.dropped:
        return f"{key} has no document within max_bytes={budget.max_bytes} ({reasons}): raise max_bytes"
    return f"{key} must keep at least one of its {collected.num_read} documents ({reasons}): relax prepare.filters"
