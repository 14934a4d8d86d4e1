import math
from collections.abc import Callable

import pytest
import torch

from mai1.model.attention import Attention, AttentionConfig, QKNorm
from mai1.model.isolation import isolate
from mai1.model.key_value_cache import KeyValueCache
from mai1.model.rope import rotate, rotate_pairs, rotation_at

D_MODEL, HEAD_DIM, EPS = 20, 6, 1e-6
SEGMENTS_BT = torch.tensor([[0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 0, -1, -1]])
POSITIONS_BT = torch.tensor([[0, 1, 2, 0, 1, 0, 1], [0, 1, 2, 3, 4, 5, 6]])


def make_attention(qk_norm: QKNorm = QKNorm.none, *, num_kv_heads: int = 2) -> Attention:
    config = AttentionConfig(num_heads=4, num_kv_heads=num_kv_heads, head_dim=HEAD_DIM, qk_norm=qk_norm)
    attention = Attention(config, d_model=D_MODEL, norm_eps=EPS)
    generator = torch.Generator().manual_seed(1)
    for parameter in attention.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return attention


def random_input(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def run(attention: Attention, x_BTD: torch.Tensor) -> torch.Tensor:
    rotation = rotation_at(POSITIONS_BT, rope_dim=HEAD_DIM, theta=100.0)
    return attention(x_BTD, rotation=rotation, isolation=isolate(SEGMENTS_BT, SEGMENTS_BT, device=x_BTD.device))


def turn(x_C: torch.Tensor, position: int) -> torch.Tensor:
    """Channel pairs (p, p + C/2) as complex numbers times exp(i * position * theta^(-2p/C))."""
    half = len(x_C) // 2
    turned = [
        complex(x_C[p], x_C[p + half]) * complex(math.cos(angle), math.sin(angle))
        for p in range(half)
        for angle in [position * 100.0 ** (-2 * p / len(x_C))]
    ]
    return torch.tensor([z.real for z in turned] + [z.imag for z in turned], dtype=x_C.dtype)


def rms(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x / math.sqrt(float((x * x).sum()) / len(x) + EPS) * weight


def attend_by_loop(attention: Attention, x_BTD: torch.Tensor) -> torch.Tensor:
    """Every row, position, head and visible key on its own, in double precision."""
    w = {name: p.detach().double() for name, p in attention.named_parameters()}
    result = torch.zeros(*x_BTD.shape, dtype=torch.float64)
    for b, x_TD in enumerate(x_BTD.detach().double()):
        query, key, value = (x_TD @ w[f"{name}.weight"].T for name in ("query", "key", "value"))
        for t in range(len(x_TD)):
            mixed = []
            for h in range(4):
                g = h // 2  # two query heads share one key-value head
                q = turned_head(query[t], h, POSITIONS_BT[b, t], attention, w.get("query_norm.weight"))
                seen = [s for s in range(t + 1) if SEGMENTS_BT[b, s] == SEGMENTS_BT[b, t]]
                keys = [turned_head(key[s], g, POSITIONS_BT[b, s], attention, w.get("key_norm.weight")) for s in seen]
                scores = torch.stack([q @ k / math.sqrt(HEAD_DIM) for k in keys]).exp()
                values = torch.stack([value[s, g * HEAD_DIM : (g + 1) * HEAD_DIM] for s in seen])
                mixed.append((scores[:, None] * values).sum(0) / scores.sum())
            result[b, t] = w["output.weight"] @ torch.cat(mixed)
    return result


def turned_head(x: torch.Tensor, head: int, position: int, attention: Attention, weight: torch.Tensor | None):
    if attention.config.qk_norm is QKNorm.width:
        x = rms(x, weight)
    x_C = x[head * HEAD_DIM : (head + 1) * HEAD_DIM]
    return turn(rms(x_C, weight) if attention.config.qk_norm is QKNorm.head else x_C, int(position))


@pytest.mark.parametrize("qk_norm", QKNorm)
def test_attention_equals_a_loop_over_heads_and_keys(qk_norm: QKNorm):
    attention, x_BTD = make_attention(qk_norm), random_input(2, 7, D_MODEL)
    torch.testing.assert_close(run(attention, x_BTD).double(), attend_by_loop(attention, x_BTD), atol=2e-6, rtol=1e-5)


def test_rope_equals_a_rotation_of_complex_numbers():
    x_BTHC = random_input(2, 7, 3, HEAD_DIM)
    rotation = rotation_at(POSITIONS_BT * 9, rope_dim=HEAD_DIM, theta=100.0)
    halves, pairs = rotate(x_BTHC, rotation), rotate_pairs(x_BTHC, rotation)
    for b, t, h in ((0, 0, 0), (0, 4, 2), (1, 6, 1)):
        position = int(POSITIONS_BT[b, t]) * 9
        torch.testing.assert_close(halves[b, t, h], turn(x_BTHC[b, t, h], position), atol=1e-5, rtol=1e-5)
        neighbours = torch.cat((x_BTHC[b, t, h, 0::2], x_BTHC[b, t, h, 1::2]))
        expected = turn(neighbours, position).view(2, -1).T.flatten()
        torch.testing.assert_close(pairs[b, t, h], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("turned", [rotate, rotate_pairs])
def test_rope_has_the_gradient_of_finite_differences(turned: Callable):
    rotation = rotation_at(POSITIONS_BT, rope_dim=HEAD_DIM, theta=100.0)
    x_BTHC = random_input(2, 7, 2, HEAD_DIM).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: turned(x, rotation), x_BTHC)


@pytest.mark.parametrize("turned", [rotate, rotate_pairs])
def test_rope_keeps_dtype_and_values_of_half_precision(turned: Callable):
    rotation, x_BTHC = rotation_at(POSITIONS_BT, rope_dim=HEAD_DIM, theta=100.0), random_input(2, 7, 2, HEAD_DIM)
    result = turned(x_BTHC.bfloat16(), rotation)
    assert result.dtype is torch.bfloat16
    torch.testing.assert_close(result.float(), turned(x_BTHC.bfloat16().float(), rotation), atol=3e-2, rtol=2e-2)


@pytest.mark.parametrize("turned", [rotate, rotate_pairs])
def test_rope_scores_depend_on_the_distance_alone_also_far_out(turned: Callable):
    query, key = random_input(1, 1, 1, 64), random_input(1, 1, 1, 64, seed=1)

    def score(query_position: int, key_position: int) -> float:
        at = [rotation_at(torch.tensor([[p]]), rope_dim=64, theta=1e6) for p in (query_position, key_position)]
        return float((turned(query, at[0]) * turned(key, at[1])).sum())

    assert score(40_007, 40_000) == pytest.approx(score(7, 0), abs=5e-2)
    assert score(107, 100) == pytest.approx(score(7, 0), abs=1e-3) and abs(score(9, 0) - score(7, 0)) > 1e-2


def test_grouped_heads_equal_repeated_key_value_heads():
    grouped, full, x_BTD = make_attention(), make_attention(num_kv_heads=4), random_input(2, 7, D_MODEL)
    for name in ("query", "output"):
        getattr(full, name).load_state_dict(getattr(grouped, name).state_dict())
    for name in ("key", "value"):
        heads = getattr(grouped, name).weight.data.unflatten(0, (2, HEAD_DIM))
        getattr(full, name).weight.data.copy_(heads.repeat_interleave(2, dim=0).flatten(0, 1))
    torch.testing.assert_close(run(grouped, x_BTD), run(full, x_BTD), atol=1e-6, rtol=1e-5)


def test_a_cache_refuses_more_positions_than_it_holds():
    with pytest.raises(ValueError, match="5 positions exceed the cache's 4"):
        KeyValueCache(num_layers=1, capacity=4).begin(torch.zeros(1, 5, dtype=torch.int64), None)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (dict(num_kv_heads=3), "model.attention.num_kv_heads=3 must divide num_heads=8: use 1, 2, 4, 8"),
        (dict(head_dim=5), "model.attention.head_dim=5 must be even: use 6"),
        (dict(num_heads=0), "model.attention.num_heads=0 must be at least 1"),
        (dict(query_rank=8), "model.attention.query_rank=8 has no meaning with kind=grouped: use 0, or kind=latent"),
        (dict(kv_rank=8), "model.attention.kv_rank=8 has no meaning with kind=grouped"),
        (dict(rope_dim=8), "model.attention.rope_dim=8 has no meaning with kind=grouped"),
        (dict(value_dim=8), "model.attention.value_dim=8 has no meaning with kind=grouped"),
    ],
)
def test_impossible_heads_are_refused_with_the_mend(options: dict, error: str):
    with pytest.raises(ValueError, match=error):
        AttentionConfig(**options)
