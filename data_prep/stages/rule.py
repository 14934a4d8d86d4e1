"""One rule: a figure of a text, a limit, and the name under which a document that breaks it is counted."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from data_prep.stages.view import TextView

Measure = Callable[[TextView, float], float]
"""The figure of a text. Given the limit, it may answer anything within the limit as soon as that is certain."""


class Bound(Enum):
    """Which side of its limit a figure has to be on."""

    at_least = "at least"
    at_most = "at most"
    below = "below"


@dataclass(frozen=True, slots=True)
class Rule:
    """A document is dropped when its figure is on the wrong side; a limit of 0 turns the rule off."""

    name: str
    """`family.rule`; the reason that is counted."""

    figure: str
    """What is measured, for people."""

    bound: Bound
    limit: float
    measure: Measure

    def what_is_wrong(self, view: TextView) -> str:
        """What was measured and what it had to be; empty when the text keeps the rule."""
        found = self.measure(view, self.limit)
        if self.bound is Bound.at_least:
            is_broken = found < self.limit
        else:
            is_broken = found > self.limit if self.bound is Bound.at_most else found >= self.limit
        return f"{self.figure}={found:.6g}, {self.bound.value} {self.limit:.6g}" if is_broken else ""


def at_least(name: str, figure: str, limit: float, measure: Callable[[TextView], float]) -> Rule:
    """A rule that drops what has less."""
    return Rule(name, figure, Bound.at_least, limit, lambda view, _: measure(view))


def at_most(name: str, figure: str, limit: float, measure: Callable[[TextView], float]) -> Rule:
    """A rule that drops what has more."""
    return Rule(name, figure, Bound.at_most, limit, lambda view, _: measure(view))


def below(name: str, figure: str, limit: float, measure: Callable[[TextView], float]) -> Rule:
    """A rule that drops what has as much, or more."""
    return Rule(name, figure, Bound.below, limit, lambda view, _: measure(view))


def share(part: float, whole: float) -> float:
    """`part / whole`, and 0 of nothing."""
    return part / whole if whole else 0.0


def check_limits(
    config: object, section: str, *, counts: tuple[str, ...] = (), fractions: tuple[str, ...] = ()
) -> None:
    """ValueError with the dotted key for a count below 0 or a share outside of 0 to 1."""
    for key in counts:
        if getattr(config, key) < 0:
            raise ValueError(f"{section}.{key}={getattr(config, key)} must be at least 0: use 0 to turn it off")
    for key in fractions:
        if not 0.0 <= getattr(config, key) <= 1.0:
            raise ValueError(f"{section}.{key}={getattr(config, key)} must be from 0 to 1: 0 turns it off")


def check_order(config: object, section: str, low: str, high: str) -> None:
    """ValueError where the upper limit is on and below the lower one."""
    least, most = getattr(config, low), getattr(config, high)
    if most and most < least:
        raise ValueError(f"{section}.{high}={most} must be at least {low}={least}: raise it or use 0")
