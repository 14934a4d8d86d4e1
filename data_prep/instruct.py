"""Instruction data: conversations in any shape to one, cleaned, each once, without evaluation items, counted in tokens.

instruct/train.jsonl heldout.jsonl               {"messages", "source", "name"} a line
instruct/preferences.train.jsonl ...heldout      {"messages", "chosen", "rejected", "source", "name"} a line
instruct/choices.heldout.jsonl                   questions with four answers, to measure with: see wrong_answers.py
instruct/statistics.json                         what was read, dropped and kept of each source, and lengths
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from data_prep.contamination.stage import ContaminationStage
from data_prep.dedup.clusters import clusters_of, keepers, pairs_of_band
from data_prep.dedup.exact import content_key
from data_prep.dedup.minhash import MinHashConfig, band_keys
from data_prep.document import Document, Dropped
from data_prep.splitting import uniform
from data_prep.stages.persona import PersonaConfig, PersonaStage
from data_prep.stages.pii import PiiConfig, PiiStage
from data_prep.stages.repair import RepairConfig, repair
from data_prep.stages.secrets import SecretsConfig, SecretsStage
from data_prep.talk import Figures, Talk, record_of, talk_of
from data_prep.wrong_answers import choices_of, preferences_of
from mai1.data.conversation_shapes import is_undesirable
from mai1.data.instructions import read_records
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.tokenizer import Tokenizer

SPLITS = ("train", "heldout")
BROKEN, UNDESIRABLE = "instruct.broken", "instruct.undesirable"
RECORDS_CHECKED = 100
"""Records of a file of which one must be a conversation."""


@dataclass(kw_only=True, slots=True)
class InstructSourceConfig:
    """One file of conversations."""

    path: str
    """A .jsonl or .json file: messages, ShareGPT, alpaca, prompt/completion, question/answer, or preference pairs."""

    max_conversations: int = 0
    """Most conversations taken, an even sample; 0: all."""

    licence: str = ""
    """Under which terms they may be used, for the data card."""

    origin: str = ""
    """Who wrote them and where they were found, for the data card."""

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("instructions.sources.*.path='' must name a .jsonl or .json file")
        if self.max_conversations < 0:
            raise ValueError(
                f"instructions.sources.*.max_conversations={self.max_conversations} must be at least 0: use 0 for all"
            )


@dataclass(kw_only=True, slots=True)
class InstructConfig:
    """Which conversations become instruction data."""

    sources: dict[str, InstructSourceConfig] = field(default_factory=dict)
    """Files by name; the name is the `source` of their conversations."""

    max_tokens: int = 0
    """Longest conversation, in tokens; longer: `instruct.too_long`; 0: any."""

    min_answer_characters: int = 1
    """Shortest text that the assistant says in all; less: `instruct.short_answer`."""

    heldout_fraction: float = 0.02
    """Share of conversations that are held out, by a hash of what the user says first, so that equal questions stay together."""

    def __post_init__(self) -> None:
        for key in ("max_tokens", "min_answer_characters"):
            if getattr(self, key) < 0:
                raise ValueError(f"instructions.{key}={getattr(self, key)} must be at least 0")
        if not 0.0 <= self.heldout_fraction <= 0.5:
            raise ValueError(f"instructions.heldout_fraction={self.heldout_fraction} must be from 0 to 0.5")


@dataclass(slots=True)
class InstructPreparation:
    """Everything that conversations are prepared with."""

    config: InstructConfig
    repair: RepairConfig
    pii: PiiConfig
    minhash: MinHashConfig
    contamination: ContaminationStage | None
    tokenizer: Tokenizer
    seed: int
    secrets: SecretsConfig = field(default_factory=SecretsConfig)
    persona: PersonaConfig = field(default_factory=PersonaConfig)

    def run(self, made: list[tuple[str, dict]], directory: Path) -> dict:
        """Write `made` (split, record) and the prepared conversations; returns the statistics."""
        figures = {name: self._read(name, source) for name, source in self.config.sources.items()}
        for are_preferences in (False, True):
            self._drop_copies(figures, are_preferences=are_preferences)
        for name, source in self.config.sources.items():
            self._limit(figures[name], source)
        lines = {split: [record for s, record in made if s == split] for split in SPLITS}
        preferences = {split: preferences_of(records) for split, records in lines.items()}
        _write(directory / "choices.heldout.jsonl", choices_of(lines["heldout"], seed=self.seed))
        counts = Counter(split for split, _ in made)
        for each in figures.values():
            for talk in each.kept:
                split = self._split_of(talk)
                counts[split] += 1
                (lines if talk.rejected is None else preferences)[split].append(record_of(talk))
        for split in SPLITS:
            _write(directory / f"{split}.jsonl", lines[split])
            _write(directory / f"preferences.{split}.jsonl", preferences[split])
        statistics = {name: each.to_json() for name, each in figures.items()}
        if statistics:
            text = json.dumps(statistics, indent=1) + "\n"
            (directory / "statistics.json").write_text(text, encoding="utf-8", newline="\n")
        return {split: counts[split] for split in SPLITS} | ({"sources": statistics} if statistics else {})

    def _read(self, name: str, source: InstructSourceConfig) -> Figures:
        """The conversations of one file that pass on their own."""
        figures, persona = Figures(), PersonaStage(self.persona)
        for where, record in read_records(Path(source.path).expanduser(), is_repaired=True):
            figures.read += 1
            try:
                talk = talk_of(name, where, record)
                reason = UNDESIRABLE if is_undesirable(record) else ""
                reason = reason or self._clean(talk) or persona(talk) or self._measure(talk)
            except ValueError as error:
                figures.broken = figures.broken or f"{where}: {error}"
                reason = BROKEN
            if reason:
                figures.dropped[reason] += 1
            else:
                figures.kept.append(talk)
        figures.samples = persona.samples
        if not figures.kept:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(figures.dropped.items()))
            such = f"; {figures.broken}" if figures.broken else ""
            raise ValueError(
                f"instructions.sources.{name}.path={source.path} must keep at least one of its {figures.read} "
                f"conversations ({reasons}{such}): name another file or relax instructions"
            )
        return figures

    def _measure(self, talk: Talk) -> str:
        """Count its tokens; why a conversation is dropped for its lengths, empty when it may stay. ValueError: its roles."""
        said = sum(len(m["content"].strip()) for m in talk.messages if m["role"] == "assistant")
        chat = encode_chat(self.tokenizer, talk.messages)
        talk.num_tokens, talk.num_targets = len(chat.ids), sum(chat.loss_mask)
        longest = talk.num_tokens
        if talk.rejected is not None:
            worse = [*talk.messages[:-1], {"role": "assistant", "content": talk.rejected}]
            longest = max(longest, len(encode_chat(self.tokenizer, worse).ids))
        if said < self.config.min_answer_characters:
            return "instruct.short_answer"
        return "instruct.too_long" if 0 < self.config.max_tokens < longest else ""

    def _clean(self, talk: Talk) -> str:
        """Repair it, replace secrets and personal data message by message; the reason when the whole holds an evaluation item."""
        said = [m["content"] for m in talk.messages] + ([talk.rejected] if talk.rejected is not None else [])
        cleaned = []
        for text in said:
            text, edits = repair(text, self.repair)
            (document,) = SecretsStage(self.secrets)([Document(text.strip("\n"), talk.name, edits=edits)])
            (document,) = PiiStage(self.pii)([document])
            talk.edits.update(document.edits)
            cleaned.append(document.text)
        talk.messages = [m | {"content": text} for m, text in zip(talk.messages, cleaned, strict=False)]
        talk.rejected = cleaned[-1] if talk.rejected is not None else None
        if self.contamination is None:
            return ""
        (outcome,) = self.contamination([Document(talk.text, talk.name)])
        if isinstance(outcome, Dropped):
            return outcome.reason
        talk.labels = outcome.labels
        return next(iter(outcome.labels), "") if outcome.text != talk.text else ""  # half a conversation is none

    def _drop_copies(self, figures: dict[str, Figures], *, are_preferences: bool) -> None:
        """Equal and nearly equal ones are kept once, in the first source that has them: they are not learned from together
        with preferences, so each kind is compared with its own."""
        talks = [t for each in figures.values() for t in each.kept if (t.rejected is not None) is are_preferences]
        if not talks:
            return
        texts = [talk.text for talk in talks]
        keys = [content_key(text) for text in texts]
        first = {key: place for place, key in reversed(list(enumerate(keys)))}
        equal = np.array([[first[key], place] for place, key in enumerate(keys) if first[key] != place], np.int64)
        bands = band_keys(texts, self.minhash) if self.minhash.is_on else np.empty((len(talks), 0), np.uint64)
        pairs = [equal.reshape(-1, 2), *(pairs_of_band(bands[:, band]) for band in range(bands.shape[1]))]
        is_kept = keepers(clusters_of(len(talks), pairs), [np.arange(len(talks))])
        copies = {id(talks[place]): first[keys[place]] != place for place in np.flatnonzero(~is_kept).tolist()}
        for each in figures.values():
            for talk in each.kept:
                if id(talk) in copies:
                    each.dropped["dedup.exact" if copies[id(talk)] else "dedup.near"] += 1
            each.kept = [talk for talk in each.kept if id(talk) not in copies]

    def _limit(self, figures: Figures, source: InstructSourceConfig) -> None:
        if 0 < source.max_conversations < len(figures.kept):
            ordered = sorted(figures.kept, key=lambda t: uniform(t.text.encode(), seed=self.seed, purpose="sample"))
            taken = {id(talk) for talk in ordered[: source.max_conversations]}
            figures.dropped["limit.max_conversations"] += len(figures.kept) - len(taken)
            figures.kept = [talk for talk in figures.kept if id(talk) in taken]

    def _split_of(self, talk: Talk) -> str:
        number = uniform(talk.question.encode(), seed=self.seed, purpose="instruct")
        return "heldout" if number < self.config.heldout_fraction else "train"


def check_sources(config: InstructConfig) -> None:
    """ValueError, before anything is prepared, unless every file of conversations can be read and begins with some."""
    for name, source in config.sources.items():
        key, path = f"instructions.sources.{name}.path={source.path}", Path(source.path).expanduser()
        if not path.is_file():
            raise ValueError(f"{key} must be a .jsonl or .json file: check the path")
        mistake = "it is empty"
        for where, record in islice(read_records(path, is_repaired=True), RECORDS_CHECKED):
            try:
                talk_of(name, where, record)
                break
            except ValueError as error:
                mistake = f"{where}: {error}"
        else:
            raise ValueError(f"{key} must begin with conversations ({mistake}): name another file or convert it")


def _write(path: Path, records: list[dict]) -> None:
    """One JSON object a line; no file without any."""
    if records:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines: Iterator[str] = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
