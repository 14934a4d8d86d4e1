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
from data_prep.encode import Part, encode_parts, even_sample
from data_prep.filters import FilterConfig
from data_prep.questions import Pair, pairs_of, write_questions
from data_prep.sources import Source, SourceConfig
from data_prep.splitting import Budget, HeldoutKind, split_tail
from data_prep.workers import Workers
from mai1.data.shards import ShardWriter
from mai1.tokenizer.tokenizer import MODEL_FILE, Tokenizer
from mai1.tokenizer.training import TokenizerConfig, train_tokenizer

SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
SPLITS = ("train", "heldout")
DOCSTRINGS = f"{PREFIX}docstrings"
"""The source that questions are made from."""


def _embedded_sources() -> dict[str, SourceConfig]:
    return {kind: SourceConfig(path=PREFIX + kind) for kind in KINDS}


@dataclass(kw_only=True, slots=True)
class PrepareConfig:
    """What becomes of raw text."""

    output: str = "data/embedded"
    """The directory to write."""

    sources: dict[str, SourceConfig] = field(default_factory=_embedded_sources)
    """Sources by name; each becomes a shard of that name."""

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
        if not self.sources:
            raise ValueError("prepare.sources={} must hold at least one source: add one")
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
        heldout = {c.name: self._heldout(c) for c in collected}
        self._check_heldout(heldout)
        tokenizer = self._tokenizer(collected, heldout)
        tokenizer.save(self.directory / "tokenizer")
        by_source = {c.name: self._encode(c, heldout[c.name], tokenizer) for c in collected}
        pairs = self._questions(collected, heldout)
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
            "instruct": pairs,
        }

    def _collect(self, sources: dict[str, Source]) -> list[Collected]:
        """Read all sources, smallest first, so that what a small one leaves of its share goes to the larger ones."""
        collector = Collector(self.config.filters, self.config.newlines, self.config.seed)
        left, done = self.config.max_bytes, []
        ordered = sorted(sources, key=lambda name: (sources[name].estimated_bytes, name))
        for number, name in enumerate(self._bar(ordered, "read", unit="source")):
            share = left // (len(ordered) - number) if self.config.max_bytes else 0
            own = self.config.sources[name].max_bytes
            budget = Budget(min(limit for limit in (share, own) if limit) if share or own else 0)
            spool = self.directory / "spool" / name
            result = collector.collect(name, sources[name], budget=budget, spool=spool, workers=self.workers)
            if not result.num_bytes:
                raise ValueError(_explain_empty(result, self.config.sources[name].path, budget))
            left = max(1, left - result.num_bytes)
            done.append(result)
        return done

    def _heldout(self, collected: Collected) -> set[bytes]:
        if self.config.heldout is HeldoutKind.tail:
            return set()
        return collected.heldout(fraction=self.config.heldout_fraction, seed=self.config.seed)

    def _check_heldout(self, heldout: dict[str, set[bytes]]) -> None:
        by_documents = self.config.heldout is HeldoutKind.documents and self.config.heldout_fraction > 0
        if by_documents and not any(heldout.values()):
            raise ValueError(
                f"prepare.heldout_fraction={self.config.heldout_fraction} needs two documents in some source, but each "
                "has one: set heldout=tail to hold out the end of each, or heldout_fraction=0"
            )

    def _parts(self, collected: Collected, heldout: set[bytes]) -> Iterator[Part]:
        """The texts of a source with the split of each."""
        for kept, text in collected.texts():
            if self.config.heldout is HeldoutKind.documents:
                yield Part("heldout" if kept.family in heldout else "train", text)
                continue
            for split, part in zip(
                ("train", "heldout"), split_tail(text, fraction=self.config.heldout_fraction), strict=True
            ):
                if part:
                    yield Part(split, part)

    def _tokenizer(self, collected: list[Collected], heldout: dict[str, set[bytes]]) -> Tokenizer:
        if self.config.tokenizer_from:
            return load_tokenizer(self.config.tokenizer_from)
        total = sum(c.num_bytes for c in collected)
        limit = self.config.tokenizer.sample_bytes
        share = min(1.0, limit / total) if limit else 1.0
        texts = (p.text for c in collected for p in self._parts(c, heldout[c.name]) if p.split == "train")
        with self._bar(None, "learn tokenizer", unit="slice") as bar:
            return train_tokenizer(_counted(even_sample(texts, share=share), bar), self.config.tokenizer)

    def _encode(self, collected: Collected, heldout: set[bytes], tokenizer: Tokenizer) -> dict:
        """Write the shards of a source; returns its entry in the manifest."""
        size = tokenizer.vocabulary.size
        stems = {split: self.directory / split / collected.name for split in SPLITS}
        sums = {split: {"documents": 0, "bytes": 0, "tokens": 0} for split in stems}
        with (
            ShardWriter(stems["train"], vocab_size=size) as train,
            ShardWriter(stems["heldout"], vocab_size=size) as held,
            self._bar(None, f"encode {collected.name}", unit="B", total=collected.num_bytes) as bar,
        ):
            writers = {"train": train, "heldout": held}
            parts = self._parts(collected, heldout)
            directory = self.directory / "tokenizer"
            for split, num_bytes in encode_parts(parts, writers, tokenizer_directory=directory, workers=self.workers):
                sums[split]["documents"] += 1
                sums[split]["bytes"] += num_bytes
                bar.update(num_bytes)
            for split, writer in writers.items():
                sums[split]["tokens"] = writer.num_tokens
                if writer.num_documents:
                    writer.close(
                        {
                            "tokenizer_hash": tokenizer.hash,
                            "source": collected.name,
                            "split": split,
                            "bytes": sums[split]["bytes"],
                            "dropped": collected.dropped,
                        }
                    )
        num_tokens = sums["train"]["tokens"] + sums["heldout"]["tokens"]
        return {
            "path": self.config.sources[collected.name].path,
            "read": collected.num_read,
            "kept": sum(collected.taken),
            **sums,
            "bytes_per_token": collected.num_bytes / num_tokens,
            "dropped": collected.dropped,
        }

    def _questions(self, collected: list[Collected], heldout: dict[str, set[bytes]]) -> dict:
        """Instruction data from the docstring sources, on the side of the split where their modules are."""
        if not self.config.questions:
            return {"train": 0, "heldout": 0}
        directory, seed = self.directory / "instruct", self.config.seed
        pairs = self._pairs(collected, heldout)
        return write_questions(pairs, directory, max_pairs=self.config.questions, source=DOCSTRINGS, seed=seed)

    def _pairs(self, collected: list[Collected], heldout: dict[str, set[bytes]]) -> Iterator[tuple[str, Pair]]:
        for source in collected:
            if self.config.sources[source.name].path == DOCSTRINGS:
                for kept, text in source.texts():
                    split = "heldout" if kept.family in heldout[source.name] else "train"
                    yield from ((split, pair) for pair in pairs_of(text, seed=self.config.seed))

    def _write_samples(self, collected: list[Collected]) -> None:
        lines = [json.dumps(sample, ensure_ascii=False) + "\n" for source in collected for sample in source.samples]
        (self.directory / "dropped_samples.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")

    def _bar(self, items: Iterable | None, title: str, *, unit: str, total: int | None = None) -> tqdm:
        """A progress bar with the time left, silent when asked to be."""
        is_bytes = unit == "B"
        return tqdm(items, desc=title, unit=unit, total=total, unit_scale=is_bytes, disable=self.is_quiet, leave=False)


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
