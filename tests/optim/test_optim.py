import math

import pytest
import torch

from mai1.model.transformer import MoETransformer
from mai1.optim.adamw import OptimConfig, build_adamw, parameter_groups
from mai1.optim.schedule import Schedule, learning_rate_factor
from tests.support.tiny import family_configs


def factors(schedule: str, *, steps: int = 20, warmup_steps: int = 4, decay_fraction: float = 0.25) -> list[float]:
    options = dict(warmup_steps=warmup_steps, decay_fraction=decay_fraction, final_factor=0.1)
    return [learning_rate_factor(s, schedule=Schedule(schedule), steps=steps, **options) for s in range(steps)]


@pytest.mark.parametrize("schedule", [s.value for s in Schedule])
def test_warm_up_is_linear_and_ends_at_the_peak(schedule: str):
    assert factors(schedule)[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert factors(schedule, warmup_steps=0)[0] == 1.0
    assert factors(schedule, warmup_steps=50)[-1] == pytest.approx(20 / 50)


def test_cosine_passes_the_middle_and_ends_at_the_final_factor():
    found = factors("cosine", steps=21)
    assert found[12] == pytest.approx(0.55) and found[20] == pytest.approx(0.1)
    expected = [0.1 + 0.9 * (1 + math.cos(math.pi * k / 16)) / 2 for k in range(17)]
    assert found[4:] == pytest.approx(expected)


def test_warmup_stable_decay_is_flat_then_linear_to_the_final_factor():
    found = factors("warmup_stable_decay")
    assert found[3:15] == [1.0] * 12
    assert found[15:] == pytest.approx([1 - 0.9 * k / 5 for k in range(1, 6)])
    assert factors("constant")[4:] == [1.0] * 16


@pytest.mark.parametrize("schedule", [s.value for s in Schedule])
@pytest.mark.parametrize(
    ("steps", "warmup_steps", "decay_fraction"), [(1, 0, 0.2), (5, 4, 1.0), (7, 7, 0.5), (300, 9, 0.0)]
)
def test_the_learning_rate_only_falls_after_the_warm_up(schedule, steps, warmup_steps, decay_fraction):
    found = factors(schedule, steps=steps, warmup_steps=warmup_steps, decay_fraction=decay_fraction)
    after = found[max(0, warmup_steps - 1) :]
    assert all(0 < f <= 1 for f in found) and after == sorted(after, reverse=True)


@pytest.mark.parametrize("family", family_configs())
def test_every_parameter_is_in_one_group_and_only_matrices_decay(family: str):
    with torch.device("meta"):
        model = MoETransformer(family_configs()[family])
    groups = parameter_groups(model.named_parameters(), OptimConfig(weight_decay=0.3))
    decay_of = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(decay_of) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        is_plain = "norm" in name or "embedding" in name
        assert decay_of[id(parameter)] == (0.0 if is_plain else 0.3), name
    assert len({group["name"] for group in groups}) == len(groups)


def test_two_steps_equal_the_formula_of_adamw():
    weight = torch.nn.Parameter(torch.tensor([0.5, -2.0]))
    config = OptimConfig(learning_rate=0.1, beta1=0.8, beta2=0.9, eps=1e-8, weight_decay=0.5)
    optimizer = build_adamw([{"params": [weight], "weight_decay": 0.5}], config)
    expected, first, second = weight.tolist(), [0.0, 0.0], [0.0, 0.0]
    for step, gradient in enumerate([[1.0, -3.0], [0.25, 5.0]], start=1):
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        for i, g in enumerate(gradient):
            first[i], second[i] = 0.8 * first[i] + 0.2 * g, 0.9 * second[i] + 0.1 * g * g
            update = first[i] / (1 - 0.8**step) / (math.sqrt(second[i] / (1 - 0.9**step)) + 1e-8)
            expected[i] -= 0.1 * update + 0.1 * 0.5 * expected[i]
    assert weight.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (dict(learning_rate=0.0), "optim.learning_rate=0.0 must be above 0"),
        (dict(learning_rate=math.nan), "optim.learning_rate=nan must be above 0"),
        (dict(warmup_steps=-1), "optim.warmup_steps=-1 must not be negative"),
        (dict(beta2=1.0), "optim.beta2=1.0 must be at least 0 and below 1"),
        (dict(final_factor=1.5), "optim.final_factor=1.5 must be from 0 to 1"),
    ],
)
def test_impossible_settings_are_refused_by_key(options: dict, error: str):
    with pytest.raises(ValueError, match=error):
        OptimConfig(**options)
