"""Axes and figures of the report: ticks, numbers that people read, and long lines made short."""

import math
from dataclasses import dataclass

import numpy as np

MAX_POINTS = 600
OUTLYING = 8
"""Times the range of the usual values that the whole range must have for the highest ones to be cut off."""

LARGEST_WITH_UNIT = 1e15
"""From here on powers of ten: nobody reads 30000000000T."""


@dataclass(kw_only=True, slots=True)
class Thinned:
    """A line of at most MAX_POINTS points: the mean of each stretch and the range it covers."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(kw_only=True, slots=True)
class Scale:
    """Maps data values to positions in the drawing, linearly or by the logarithm."""

    first: float
    last: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, values: np.ndarray | float) -> np.ndarray:
        values = np.clip(np.asarray(values, dtype=np.float64), self.first, self.last)
        first, last = self.first, self.last
        if self.logarithmic:
            values, first, last = np.log10(values), math.log10(first), math.log10(last)
        return self.start + (values - first) / (last - first) * (self.end - self.start)


def thin(x: np.ndarray, y: np.ndarray, *, limit: int = MAX_POINTS) -> Thinned:
    """Average neighbours until at most `limit` points remain; points that are not finite are left out."""
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(x) <= limit:
        return Thinned(x=x, y=y, low=y, high=y)
    starts = stretches(len(x), limit)
    sizes = np.diff([*starts, len(x)])
    return Thinned(
        x=np.add.reduceat(x, starts) / sizes,
        y=np.add.reduceat(y, starts) / sizes,
        low=np.minimum.reduceat(y, starts),
        high=np.maximum.reduceat(y, starts),
    )


def stretches(length: int, limit: int) -> np.ndarray:
    """Where each of at most `limit` equal stretches of a sequence starts."""
    num_stretches = min(length, limit)
    return (np.arange(num_stretches) * length) // max(num_stretches, 1)


def linear_ticks(low: float, high: float, *, target: int = 5) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten) inside [low, high]."""
    rough = (high - low) / target
    if not rough > 0 or not math.isfinite(rough):
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.7)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def whole_ticks(low: float, high: float, *, target: int = 5) -> list[float]:
    """Like `linear_ticks`, for what is counted: no tick between two whole numbers."""
    return [tick for tick in linear_ticks(low, high, target=target) if tick == int(tick)]


def logarithmic_ticks(low: float, high: float, *, target: int = 5) -> list[float]:
    """Powers of ten inside [low, high], with 2 and 5 between them where there is room; linear ticks if too few fit."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if len(ticks) <= target + 2:
            break
    if len(ticks) < 3:
        return linear_ticks(low, high, target=target)
    return ticks[:: max(1, math.ceil(len(ticks) / (target + 2)))]


def padded_range(low: float, high: float, *, logarithmic: bool = False) -> tuple[float, float]:
    """A range with a little air around the data, never of zero width."""
    if logarithmic:
        low, high = math.log10(low), math.log10(high)
    air = (high - low) * 0.06
    if air <= abs(high) * 1e-9:
        air = 0.15 if logarithmic else max(abs(high) * 0.1, 1e-6)
    low, high = low - air, high + air
    return (10.0**low, 10.0**high) if logarithmic else (low, high)


def highest_shown(values: np.ndarray) -> float | None:
    """The top of the drawing where at most one value in fifty lies so far above that it would flatten all others."""
    ordered = np.sort(values)
    rest = ordered[: len(ordered) - max(1, len(ordered) // 50)]
    if len(ordered) < 20 or ordered[-1] - rest[0] <= OUTLYING * (rest[-1] - rest[0]) or rest[-1] == rest[0]:
        return None
    return float(rest[-1] + 0.25 * (rest[-1] - rest[0]))


def tick_labels(ticks: list[float]) -> list[str]:
    """Labels of one axis: the same unit for all of them, and no digit that the step does not need."""
    largest = max((abs(tick) for tick in ticks), default=0.0)
    if 0 < largest < 0.0095 or largest >= LARGEST_WITH_UNIT:
        return [scientific(tick) for tick in ticks]
    divisor, suffix = _unit(largest) if largest >= 10_000 else (1.0, "")
    step = min((abs(b - a) for a, b in zip(ticks, ticks[1:], strict=False)), default=largest or 1.0) / divisor
    decimals = next((places for places in range(6) if abs(round(step, places) - step) < step * 1e-6), 6)
    labels = [f"{tick / divisor:,.{decimals}f}" for tick in ticks]
    zeros = {f"{sign}{0:.{decimals}f}" for sign in ("", "-")}
    return ["0" if label in zeros else _clean(label) + suffix if suffix else label for label in labels]


def compact(value: float | None, *, digits: int = 3) -> str:
    """A number for people: 1.5M, 16.4k, 0.31, 2e-4, 3e22; an absent one is a dash."""
    if value is None or not math.isfinite(value):
        return "–"
    if value != 0 and not 0.001 <= abs(value) < LARGEST_WITH_UNIT:
        return scientific(value)
    divisor, suffix = _unit(abs(value) * (1 + 10.0**-digits / 2))
    scaled = value / divisor
    whole_digits = math.floor(math.log10(abs(scaled))) + 1 if scaled else 1
    return _clean(f"{scaled:.{max(0, digits - whole_digits)}f}") + suffix


def fixed(value: float | None, decimals: int = 3) -> str:
    """A number with a fixed count of decimals; an absent one is a dash."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{decimals}f}"


def grouped(value: float | None) -> str:
    """A whole number with its thousands apart; an absent one is a dash."""
    return "–" if value is None or not math.isfinite(value) else f"{value:,.0f}"


def percent(part: float | None, whole: float | None = 1.0) -> str:
    """A share as a percentage; a dash where there is nothing to divide."""
    if part is None or not whole:
        return "–"
    return f"{100 * part / whole:.1f}%"


def scientific(value: float) -> str:
    """2e-4, not 0.0002 nor 2.000000e-04."""
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return "0" if value == 0 else f"{_clean(mantissa)}e{int(exponent)}"


def _unit(largest: float) -> tuple[float, str]:
    units = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
    return next(((divisor, suffix) for divisor, suffix in units if largest >= divisor), (1.0, ""))


def _clean(label: str) -> str:
    return label.rstrip("0").rstrip(".") if "." in label else label
