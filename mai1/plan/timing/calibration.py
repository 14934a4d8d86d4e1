"""Fits the clock's constants to published throughputs, and judges it on families of models that it has not seen."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from mai1.plan.timing.constants import FITTED, Constants, Software
from mai1.plan.timing.published import Published, read_habits
from mai1.plan.timing.stage import Stage, busiest_stage
from mai1.plan.timing.step_time import StepTime, clock_stage

REFERENCE = "megatron"
"""The program whose factor is 1."""

PRIORS = {
    "matmul": (0.75, 0.15),
    "fp8": (0.55, 0.2),
    "operands": (1.0, 0.5),
    "passes": (1.3, 0.4),
    "launch_s": (2e-3, 0.8),
    "hidden_experts": (0.6, 0.3),
    "hidden_state": (0.6, 0.3),
}
"""Where the fit of each constant begins, and the deviation of its logarithm that weighs as much as one typical error."""
FACTOR_DEVIATION = 0.25
"""The same of a program's factor, which begins at 1."""
ERROR = 0.1
"""A typical error of the clock, as a deviation of the logarithm of tokens per second."""
STEPS = 12


@dataclass(frozen=True, slots=True)
class Fit:
    """Constants and how long each program takes, as a multiple of the reference."""

    constants: Constants
    factors: dict[str, float]

    def factor_of(self, program: str) -> float:
        """Of one not fitted: the geometric mean of all that were, the reference's 1 among them."""
        if program == REFERENCE:
            return 1.0
        known = [*self.factors.values(), 1.0]
        return self.factors.get(program, math.prod(known) ** (1 / len(known)))


def predict(row: Published, fit: Fit) -> StepTime:
    """A published run's step by the clock."""
    habits = read_habits()[row.software]
    software = Software(
        factor=fit.factor_of(habits.factor),
        deduplicates=habits.deduplicates,
        slices=row.slices,
        reduces_fp32=habits.reduces_fp32,
        runs_ahead=habits.runs_ahead,
        divides_by_hand=True,
    )
    return clock_stage(_counted(row, software.deduplicates), row.hardware, constants=fit.constants, software=software)


@cache
def _counted(row: Published, deduplicates: bool) -> Stage:
    return busiest_stage(
        row.workload, row.layout, imbalance=1.0, software=Software(deduplicates=deduplicates, divides_by_hand=True)
    )


def error_of(row: Published, fit: Fit) -> float:
    """Predicted tokens per second over the measured ones, less 1."""
    return predict(row, fit).tokens_per_second_per_device / row.tokens_per_s - 1


def fit_to(rows: Sequence[Published]) -> Fit:
    """Least squares on logarithms with priors: Levenberg-Marquardt's step with a small fixed damping."""
    programs = sorted({read_habits()[row.software].factor for row in rows} - {REFERENCE})
    weights = np.array([weight_of(row, rows) for row in rows])
    deviations = np.array([deviation for _, deviation in PRIORS.values()] + [FACTOR_DEVIATION] * len(programs))

    def residuals(moved: np.ndarray) -> np.ndarray:
        fit = _at(moved * deviations, programs)
        errors = np.array([math.log1p(error_of(row, fit)) for row in rows])
        return np.concatenate([errors * weights / ERROR, moved])

    moved = minimize(residuals, np.zeros(len(deviations)))
    return _at(moved * deviations, programs)


def weight_of(row: Published, rows: Sequence[Published]) -> float:
    """Runs that differ in nothing but the number of devices count as two together."""
    same = sum(other.row.split("-")[0] == row.row.split("-")[0] for other in rows)
    return min(1.0, math.sqrt(2 / same))


def leave_families_out(rows: Sequence[Published]) -> dict[str, Fit]:
    """For each family, what is fitted to the rows of all others."""
    return leave_out(rows, lambda row: row.family)


def leave_out(rows: Sequence[Published], kind_of: Callable[[Published], str]) -> dict[str, Fit]:
    """For each kind of rows, what is fitted to the rows of all other kinds."""
    fitted = [row for row in rows if not row.only_checked]
    kinds = sorted({kind_of(row) for row in rows})
    return {kind: fit_to([row for row in fitted if kind_of(row) != kind]) for kind in kinds}


def minimize(residuals: Callable[[np.ndarray], np.ndarray], start: np.ndarray) -> np.ndarray:
    """Where the sum of squares is smallest."""
    at, value, damping = start, residuals(start), 1e-2
    for _ in range(STEPS):
        slopes = np.stack([(residuals(at + 1e-4 * axis) - value) / 1e-4 for axis in np.eye(len(at))], axis=1)
        step = np.linalg.solve(slopes.T @ slopes + damping * np.eye(len(at)), -slopes.T @ value)
        found = residuals(at + step)
        if found @ found < value @ value:
            at, value, damping = at + step, found, damping / 4
        else:
            damping *= 10
        if np.abs(step).max() < 1e-3:
            break
    return at


def _at(logarithms: np.ndarray, programs: list[str]) -> Fit:
    """The constants that lie so far from their priors."""
    values = {name: start * math.exp(by) for (name, (start, _)), by in zip(PRIORS.items(), logarithms, strict=False)}
    shares = ("hidden_experts", "hidden_state")
    values |= {name: min(values[name], 1.0) for name in shares}
    factors = np.exp(logarithms[len(PRIORS) :])
    return Fit(replace(FITTED, **values), dict(zip(programs, factors.tolist(), strict=True)))
