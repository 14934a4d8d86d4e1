"""What can be said about the mixture of sources: how much of each a run trains on, when, and how often."""

import math
from dataclasses import dataclass, field
from enum import Enum

from mai1.data.online_mixing import OnlineConfig


class OnExhausted(Enum):
    """What becomes of a run whose sources were all seen max_epochs times."""

    stop = "stop"
    repeat = "repeat"


@dataclass(kw_only=True, slots=True)
class MixtureChange:
    from_step: int
    """Step from which on these weights hold; steps are counted in data, so that rows that a rollback leaves out count too."""
    weights: dict[str, float]
    """Each source's share of the rows, of any sum; 0 leaves one out."""
    ramp_steps: int = 0
    """Steps over which the shares move here in a straight line; 0: at once."""

    def __post_init__(self) -> None:
        _check_weights(self.weights, "data.mixture.curriculum.weights")
        if self.from_step < 1:
            raise ValueError(
                f"data.mixture.curriculum.from_step={self.from_step} must be at least 1: what holds from the start is "
                "data.mixture.weights"
            )
        if self.ramp_steps < 0:
            raise ValueError(f"data.mixture.curriculum.ramp_steps={self.ramp_steps} must not be negative")


@dataclass(kw_only=True, slots=True)
class MixtureConfig:
    weights: dict[str, float] = field(default_factory=dict)
    """Each source's share of the rows, of any sum; 0 leaves one out. Empty: by size."""
    temperature: float = 1.0
    """Without weights: shares go with size ** (1 / temperature). 1 is by size; the larger, the more even."""
    max_epochs: float = 0.0
    """Times a source may be seen, then its share goes to the others; 0: no limit. About 4 cost little (arXiv 2305.16264)."""
    source_epochs: dict[str, float] = field(default_factory=dict)
    """The same for single sources, before max_epochs."""
    on_exhausted: OnExhausted = OnExhausted.stop
    """stop | repeat: when all sources are seen that often; stop refuses a run that would get there."""
    curriculum: list[MixtureChange] = field(default_factory=list)
    """Other weights from some steps on: [{from_step: 1000, weights: {web: 1, code: 2}, ramp_steps: 100}, ...]."""
    online: OnlineConfig = field(default_factory=OnlineConfig)
    """Weights that follow the sources' training losses."""

    def __post_init__(self) -> None:
        _check_weights(self.weights, "data.mixture.weights")
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"data.mixture.temperature={self.temperature} must be above 0: 1 is by size")
        if self.weights and self.temperature != 1:
            raise ValueError(
                f"data.mixture.temperature={self.temperature} evens out sizes, but data.mixture.weights are given: use "
                "one of them"
            )
        for key, value in {"max_epochs": self.max_epochs, **self.source_epochs}.items():
            if not 0 <= value < math.inf:
                name = key if key == "max_epochs" else f"source_epochs.{key}"
                raise ValueError(f"data.mixture.{name}={value} must not be negative: use 0 for no limit")
        _check_order(self.curriculum)
        if self.online.every_steps and self.curriculum:
            raise ValueError(
                "data.mixture.online.every_steps and data.mixture.curriculum both move the weights: use one of them"
            )

    @property
    def is_plain(self) -> bool:
        """Whether all sources are simply shuffled together."""
        asked = (self.weights, self.max_epochs, self.source_epochs, self.curriculum, self.online.every_steps)
        return self.temperature == 1 and not any(asked)


def _check_weights(weights: dict[str, float], key: str) -> None:
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ValueError(f"{key}.{name}={weight} must not be negative or infinite: use 0 to leave the source out")


def _check_order(curriculum: list[MixtureChange]) -> None:
    end = 0
    for change in curriculum:
        if change.from_step < end:
            raise ValueError(
                f"data.mixture.curriculum.from_step={change.from_step} comes before step {end}, where the change before it "
                "ends: put changes in order, one after the other"
            )
        end = change.from_step + max(1, change.ramp_steps)
