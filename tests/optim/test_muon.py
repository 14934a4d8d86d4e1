"""Muon's mathematics on its own: orthogonal matrices, which matrices there are, the formula of a step."""

import math

import pytest
import torch

from mai1.checkpoint.names import tensor_names
from mai1.model.transformer import MoETransformer
from mai1.optim.adamw import build_adamw, parameter_groups
from mai1.optim.config import Method, OptimConfig
from mai1.optim.muon import Muon, directions, moments_of, orthogonalize, stack_of
from tests.support.tiny import family_configs


def random_matrix(rows: int, columns: int, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def with_singular_values(values: torch.Tensor, columns: int) -> torch.Tensor:
    """A matrix `[n, columns]` with these n singular values."""
    left = torch.linalg.qr(random_matrix(len(values), len(values), seed=1))[0]
    right = torch.linalg.qr(random_matrix(columns, len(values), seed=2))[0]
    return left @ values.diag() @ right.T


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_singular_values_down_to_a_thousandth_of_the_norm_come_near_1(dtype: torch.dtype):
    values = torch.logspace(0, -3, 24)
    values /= values.norm() * 0.999  # so that the smallest is above 0.0005 of the norm, and the next above 0.001
    matrix = with_singular_values(values, 40).to(dtype)
    found = torch.linalg.svdvals(orthogonalize(matrix[None])[0].float())
    band = (0.84, 1.13) if dtype is torch.float32 else (0.7, 1.2)
    assert ((found > band[0]) & (found < band[1]))[values > 1e-3].all(), found


@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (12, 40), (40, 12)])
def test_a_direction_is_the_polar_factor_and_as_large_as_an_update_of_adamw(rows: int, columns: int):
    update = random_matrix(rows, columns) * 1e-6
    left, values, right = torch.linalg.svd(update, full_matrices=False)
    (direction,) = directions([update])
    along = (left.T @ direction @ right.T) / (0.2 * math.sqrt(max(rows, columns)))
    is_seen = values > 1e-3 * values.norm()
    assert ((along.diagonal() - 1).abs() < 0.17)[is_seen].all()
    assert (along - along.diagonal().diag()).abs().max() < 1e-3
    assert direction.square().mean().sqrt() == pytest.approx(0.2, rel=0.1)


def test_directions_do_not_depend_on_scale_nor_on_what_they_are_computed_with():
    shapes = [(6, 10), (10, 6), (6, 10), (8, 8), (1, 5)]
    updates = [random_matrix(*shape, seed=i) for i, shape in enumerate(shapes)]
    together = directions(updates)
    for update, direction in zip(updates, together, strict=True):
        assert direction.shape == update.shape
        assert torch.allclose(directions([update * 1e-8])[0], direction, atol=1e-5)
    assert torch.allclose(directions([updates[0].T])[0], together[0].T, atol=1e-5)


def test_no_gradient_is_no_direction():
    assert not directions([torch.zeros(4, 6)])[0].any()
    assert directions([torch.full((4, 6), 1e-30)])[0].abs().max() < 1e-10


@pytest.mark.parametrize("family", family_configs())
def test_matrices_are_those_of_hugging_face(family: str):
    """Every matrix that Muon moves is exactly one matrix of the Hugging Face model, experts, gates and ups apart."""
    config = family_configs()[family]
    with torch.device("meta"):
        model = MoETransformer(config)
    matrices, others = parameter_groups(model.named_parameters(), OptimConfig(method=Method.muon))
    assert (matrices["method"], others["method"]) == (Method.muon, Method.adamw)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    ours = set()
    for parameter in matrices["params"]:
        stack = stack_of(names[id(parameter)], tuple(parameter.shape))
        assert stack.count * stack.numel == parameter.numel()
        shape = (stack.rows, stack.columns)
        ours |= {(names[id(parameter)], i * stack.numel, shape) for i in range(stack.count)}
    theirs = {(t.name, t.start, t.shape) for t in tensor_names(config) if len(t.shape) == 2 and not t.is_repeated}
    assert ours == {row for row in theirs if "embedding" not in row[0]}
    assert not any("embedding" in name for name, _, _ in ours)


def one_matrix(config: OptimConfig) -> tuple[torch.Tensor, Muon]:
    flat = torch.linspace(-1, 1, 12)
    optimizer = Muon([{"params": [flat], "weight_decay": 0.5, "method": Method.muon}], config)

    def replace(update: torch.Tensor) -> None:
        update.copy_(directions([update.view(3, 4)])[0].flatten())

    optimizer.orthogonalizers[flat] = replace
    return flat, optimizer


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_steps_equal_the_formula_of_muon(momentum: float):
    flat, optimizer = one_matrix(OptimConfig(method=Method.muon, learning_rate=0.1, momentum=momentum))
    weights, moment = flat.clone().view(3, 4), torch.zeros(3, 4)
    for step in range(4):
        gradient = random_matrix(3, 4, seed=step)
        flat.grad = gradient.flatten().clone()
        optimizer.step()
        moment = momentum * moment + (1 - momentum) * gradient
        (direction,) = directions([momentum * moment + (1 - momentum) * gradient])
        weights = weights - 0.1 * 0.5 * weights - 0.1 * direction
        assert torch.allclose(flat.view(3, 4), weights, atol=1e-6)
        assert torch.allclose(optimizer.state[flat]["momentum_buffer"].view(3, 4), moment, atol=1e-6)
    assert int(optimizer.state[flat]["step"]) == 4


def test_norms_and_embeddings_move_as_with_adamw_alone():
    config = OptimConfig(method=Method.muon, learning_rate=0.1)
    moved = []
    for build in (Muon, build_adamw):
        matrix, norm = torch.ones(6), torch.nn.Parameter(torch.tensor([0.5, -2.0]))
        groups = [
            {"params": [matrix], "weight_decay": 0.1, "method": Method.muon},
            {"params": [norm], "weight_decay": 0.0, "method": Method.adamw},
        ]
        optimizer = build(groups, config)
        if isinstance(optimizer, Muon):
            optimizer.orthogonalizers[matrix] = lambda update: None
        for gradient in ([1.0, -3.0], [0.25, 5.0]):
            matrix.grad, norm.grad = torch.ones(6), torch.tensor(gradient)
            optimizer.step()
        moved.append(norm.tolist())
        kept = set(optimizer.state[norm])
    assert moved[0] == moved[1]
    assert kept == {"step", *moments_of(groups[1])}


def test_an_impossible_momentum_is_refused_by_key():
    with pytest.raises(ValueError, match=r"optim.momentum=1.0 must be at least 0 and below 1"):
        OptimConfig(momentum=1.0)
