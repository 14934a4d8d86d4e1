"""Which answers meet, what was decided, and the file that remembers it: one line a judgement, on disk before the next."""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import Enum
from itertools import combinations
from pathlib import Path


class Verdict(Enum):
    """What a judge decides; a skipped battle counts for nothing."""

    left = "left"
    right = "right"
    tie = "tie"
    skip = "skip"


@dataclass(frozen=True, slots=True)
class Prompt:
    """What models answer."""

    name: str
    messages: list[dict]
    """The conversation up to the answer."""
    reference: str = ""
    """The right answer, where one is known."""


@dataclass(frozen=True, slots=True)
class Battle:
    """Two answers to one prompt; who stands left is decided by the seed, and no judge is told the names."""

    prompt: Prompt
    left: str
    right: str
    """Names of the models."""
    left_answer: str
    right_answer: str

    @property
    def key(self) -> tuple[str, str, str]:
        """The same for both sides."""
        return (self.prompt.name, *sorted((self.left, self.right)))


@dataclass(frozen=True, slots=True)
class Judgement:
    """A line of battles.jsonl."""

    prompt: str
    left: str
    right: str
    verdict: str
    judge: str
    swapped: str = ""
    """What the same judge said with the sides exchanged, as seen by the battle's sides; empty: it was not asked."""
    first: str = ""
    """What it said before, in the battle's own order, where it was asked twice."""

    @property
    def key(self) -> tuple[str, str, str]:
        """The battle's key."""
        return (self.prompt, *sorted((self.left, self.right)))


def schedule(prompts: list[Prompt], answers: dict[str, dict[str, str]], *, seed: int) -> list[Battle]:
    """Every pair of models on every prompt that both answered, in an order and with sides that the seed decides.

    `answers`: model -> prompt's name -> text.
    """
    battles = []
    for prompt in prompts:
        for pair in combinations(sorted(answers), 2):
            if all(prompt.name in answers[model] for model in pair):
                left, right = pair if _hash(seed, "side", prompt.name, *pair) % 2 else pair[::-1]
                battles.append(Battle(prompt, left, right, answers[left][prompt.name], answers[right][prompt.name]))
    return sorted(battles, key=lambda battle: _hash(seed, "order", *battle.key))


def still_open(battles: list[Battle], judged: Iterable[Judgement]) -> list[Battle]:
    """The battles that nobody has judged yet."""
    done = {judgement.key for judgement in judged}
    return [battle for battle in battles if battle.key not in done]


class JudgementFile:
    """battles.jsonl: what stands in it is on disk, and a line that a killed process tore is cut off."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.judgements = self._read()

    def add(self, judgement: Judgement) -> None:
        """Append and wait until it is on disk. OSError, which names the file, where there is no room."""
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(judgement), ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        self.judgements.append(judgement)

    def _read(self) -> list[Judgement]:
        if not self.path.is_file():
            return []
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            os.truncate(self.path, len(whole))
        return [self._parse(line, number) for number, line in enumerate(whole.splitlines(), start=1)]

    def _parse(self, line: bytes, number: int) -> Judgement:
        try:
            judgement = Judgement(**json.loads(line))
            Verdict(judgement.verdict)
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{self.path}:{number} is no judgement ({error}): correct the line or delete it") from None
        return judgement


def _hash(seed: int, *parts: str) -> int:
    return int.from_bytes(hashlib.blake2b(json.dumps([seed, *parts]).encode(), digest_size=8).digest(), "big")
