import statistics
from dataclasses import replace

import pytest

from mai1.model.flops import count_parameters, training_flops_per_token
from mai1.plan.timing.calibration import PRIORS, Fit, error_of, fit_to, leave_families_out, predict
from mai1.plan.timing.constants import FITTED
from mai1.plan.timing.published import Published, read_published, read_sources

ROWS = {row.row: row for row in read_published()}
CORE = [row for row in ROWS.values() if not row.only_checked]
ORDERED = (
    ("17", "16", "13", "14"),
    ("22d", "22c", "22b", "22a", "21"),
    ("23-1024", "23-512", "23-256", "23-128"),
    ("25-1024", "25-512", "25-256", "25-128", "25-64"),
    *((f"29-{devices}", f"28-{devices}") for devices in (240, 480, 720, 960, 1440)),
)
GIGAFLOPS = {"1": 249.6, "10": 260.4, "40": 204.5, "13": 148.1, "4": 23.0}
"""Of one token, as published with the throughput of these rows."""
BILLIONS = {"1": 671, "31": 236, "13": 235, "4": 30.5, "6": 117, "21": 141, "25-64": 57.4, "K2": 1027}
"""Of all parameters, as the models' reports say."""


@pytest.fixture(scope="module")
def fit() -> Fit:
    return fit_to(CORE)


@pytest.fixture(scope="module")
def without() -> dict[str, Fit]:
    return leave_families_out(tuple(ROWS.values()))


def test_every_row_has_a_source_and_was_measured():
    assert {row.source for row in ROWS.values()} == set(read_sources()) and len(ROWS) == len(read_published())
    assert all(100 < row.tokens_per_s < 50_000 for row in ROWS.values())


@pytest.mark.parametrize("name", GIGAFLOPS)
def test_shapes_have_the_published_flops(name: str):
    row = ROWS[name]
    flops = training_flops_per_token(row.workload.model, context=row.workload.sequence_length)
    assert flops / 1e9 == pytest.approx(GIGAFLOPS[name], rel=0.01)


@pytest.mark.parametrize("name", BILLIONS)
def test_shapes_have_the_published_parameters(name: str):
    assert count_parameters(ROWS[name].workload.model).total / 1e9 == pytest.approx(BILLIONS[name], rel=0.02)


def test_cutting_experts_into_slices_keeps_the_model():
    whole, cut = ROWS["21"].workload.model, ROWS["22b"].workload.model
    router = 56 * 6144 * (cut.moe.num_experts - whole.moe.num_experts)
    assert count_parameters(cut).total == count_parameters(whole).total + router


def test_step_times_and_shares_of_the_peak_become_tokens():
    assert ROWS["13"].tokens_per_s == pytest.approx(2048 * 4096 / 19.7 / 256)
    assert ROWS["21"].tokens_per_s == pytest.approx(0.493 * 989.5e12 / 242.2e9, rel=1e-3)


def test_the_fitted_constants_are_those_of_the_data(fit: Fit):
    for name in PRIORS:
        assert getattr(FITTED, name) == pytest.approx(getattr(fit.constants, name), rel=0.01), name


def test_unseen_families_are_predicted_within_15_percent_on_average_and_35_at_worst(without: dict[str, Fit]):
    errors = [abs(error_of(row, without[row.family])) for row in CORE]
    assert statistics.mean(errors) <= 0.15 and max(errors) <= 0.35


def test_no_family_is_in_the_fit_that_judges_it(monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr("mai1.plan.timing.calibration.fit_to", lambda rows: seen.append({row.family for row in rows}))
    families = list(leave_families_out(tuple(ROWS.values())))
    assert all(family not in fitted for family, fitted in zip(families, seen, strict=True))


@pytest.mark.parametrize("group", ORDERED, ids=lambda group: group[0])
def test_what_was_measured_to_be_slower_is_predicted_to_be(group: tuple[str, ...], without: dict[str, Fit]):
    measured = [ROWS[name].tokens_per_s for name in group]
    assert measured == sorted(measured), "the rows are named from slow to fast"
    predicted = [tokens(ROWS[name], without[ROWS[name].family]) for name in group]
    assert predicted == sorted(predicted)


def test_constants_are_few_beside_the_rows(fit: Fit):
    sweeps = {row.row.split("-")[0] for row in CORE}
    assert len(sweeps) >= 3 * (len(PRIORS) + len(fit.factors))


def test_a_fit_recovers_constants_from_runs_that_it_made_itself(fit: Fit):
    """Throughputs by other constants, without noise: the fit finds those that many rows depend on."""
    other = Fit(replace(fit.constants, matmul=0.7, launch_s=3e-3), fit.factors)
    made = [replace(row, tokens_per_s=tokens(row, other)) for row in CORE]
    found = fit_to(made).constants
    assert found.matmul == pytest.approx(0.7, rel=0.05) and found.launch_s == pytest.approx(3e-3, rel=0.1)


def test_an_unknown_program_is_as_slow_as_the_known_on_average():
    fit = Fit(FITTED, {"a": 2.0, "b": 4.0})
    assert (fit.factor_of("a"), fit.factor_of("megatron"), fit.factor_of("c")) == (2.0, 1.0, 2.0)


def tokens(row: Published, fit: Fit) -> float:
    return predict(row, fit).tokens_per_second_per_device
