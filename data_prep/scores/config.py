"""Settings of quality scores: which scorers there are, what each learns from, and what of its scores is kept."""

import re
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from data_prep.scores.importance import ImportanceConfig
from data_prep.scores.keep import KeepConfig
from data_prep.scores.linear import LinearConfig
from data_prep.scores.prior import PriorConfig

NAME = re.compile("[a-z][a-z0-9_]{0,39}")


class ScorerKind(Enum):
    """What a score measures."""

    prior = "prior"
    linear = "linear"
    importance = "importance"


NEEDED_PATHS = {ScorerKind.linear: ("positive", "negative"), ScorerKind.importance: ("target",)}
"""Settings that must name files, by the kind that learns from them."""


@dataclass(kw_only=True, slots=True)
class ScorerConfig:
    """One scorer and what of its scores is kept."""

    kind: ScorerKind
    """`prior`: how usual the words are; `linear`: like good or bad examples; `importance`: like a target set."""

    languages: list[str] = field(default_factory=list)
    """Languages that are scored; documents in others get no score and are kept. Empty: all."""

    prior: PriorConfig = field(default_factory=PriorConfig)
    """Settings of kind=prior."""

    linear: LinearConfig = field(default_factory=LinearConfig)
    """Settings of kind=linear."""

    importance: ImportanceConfig = field(default_factory=ImportanceConfig)
    """Settings of kind=importance."""

    keep: KeepConfig = field(default_factory=KeepConfig)
    """Which scores are kept; without limits, scores are stored and nothing is dropped."""


@dataclass(kw_only=True, slots=True)
class ScoresConfig:
    """Quality scores: one float32 per document and scorer."""

    scorers: dict[str, ScorerConfig] = field(default_factory=dict)
    """Scorers by name; the name is the column of the scores and part of the reason: `scores.NAME.low`."""

    characters: int = 100_000
    """How much of a document is scored, in characters from its beginning."""

    def __post_init__(self) -> None:
        if self.characters < 1000:
            raise ValueError(f"scores.characters={self.characters} must be at least 1,000")
        for name, scorer in self.scorers.items():
            if not NAME.fullmatch(name):
                raise ValueError(
                    f"scores.scorers.{name}: a name must be at most 40 of a-z, 0-9 and _, and begin with a letter"
                )
            for key in NEEDED_PATHS.get(scorer.kind, ()):
                if not getattr(getattr(scorer, scorer.kind.value), key):
                    raise ValueError(
                        f"scores.scorers.{name}.{scorer.kind.value}.{key}='' must name a file of examples, "
                        f"as kind={scorer.kind.value} learns from it"
                    )


def example_files(config: ScoresConfig) -> dict[str, Path]:
    """The files that scorers learn from, by key: what is fitted depends on their content, too."""
    return {
        f"scores.scorers.{name}.{each.kind.value}.{key}": Path(
            getattr(getattr(each, each.kind.value), key)
        ).expanduser()
        for name, each in config.scorers.items()
        for key in NEEDED_PATHS.get(each.kind, ())
    }


def as_fitted(config: ScoresConfig) -> ScoresConfig:
    """What decides the scores themselves: no limits, and its files by absolute paths, for tasks that run in any directory."""

    def located(scorer: ScorerConfig) -> ScorerConfig:
        kind, keys = scorer.kind.value, NEEDED_PATHS.get(scorer.kind, ())
        section = getattr(scorer, kind)
        paths = {key: str(Path(getattr(section, key)).expanduser().absolute()) for key in keys}
        return replace(scorer, keep=KeepConfig(), **{kind: replace(section, **paths)})

    return replace(config, scorers={name: located(scorer) for name, scorer in config.scorers.items()})
