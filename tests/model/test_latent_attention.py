import math
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mai1.model.attention import AttentionConfig, AttentionKind, QKNorm
from mai1.model.init import initialize
from mai1.model.isolation import isolate
from mai1.model.key_value_cache import KeyValueCache
from mai1.model.latent_attention import LatentAttention
from mai1.model.rope import rotation_at
from mai1.model.transformer import MoETransformer
from tests.support.ranks import run_ranks
from tests.support.tiny import END_OF_TEXT, family_configs, tiny_trainer, train

D_MODEL, HEADS, NOPE, ROPE, VALUE, KV_RANK, THETA = 20, 3, 5, 4, 6, 7, 100.0
SEGMENTS_BT = torch.tensor([[0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 0, -1, -1]])
POSITIONS_BT = torch.tensor([[0, 1, 2, 0, 1, 0, 1], [0, 1, 2, 3, 4, 5, 6]])
SIZES = {"num_heads": HEADS, "num_kv_heads": HEADS, "head_dim": NOPE, "rope_dim": ROPE, "value_dim": VALUE}
LATENT = {"kind": AttentionKind.latent, "qk_norm": QKNorm.none, "kv_rank": KV_RANK, **SIZES}


def make_attention(query_rank: int) -> LatentAttention:
    attention = LatentAttention(AttentionConfig(**LATENT, query_rank=query_rank), d_model=D_MODEL)
    generator = torch.Generator().manual_seed(1)
    for parameter in attention.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return attention


def random_input(*, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 7, D_MODEL, generator=torch.Generator().manual_seed(seed))


def run(attention: LatentAttention, x_BTD: torch.Tensor) -> torch.Tensor:
    isolation = isolate(SEGMENTS_BT, SEGMENTS_BT, device=x_BTD.device)
    return attention(x_BTD, rotation=rotation_at(POSITIONS_BT, rope_dim=ROPE, theta=THETA), isolation=isolation)


def turn(x_C: torch.Tensor, position: int) -> torch.Tensor:
    """Channel pairs (2p, 2p + 1) as complex numbers times exp(i * position * theta^(-2p/C))."""
    turned = []
    for p in range(len(x_C) // 2):
        angle = position * THETA ** (-2 * p / len(x_C))
        z = complex(x_C[2 * p], x_C[2 * p + 1]) * complex(math.cos(angle), math.sin(angle))
        turned += [z.real, z.imag]
    return torch.tensor(turned, dtype=x_C.dtype)


def rms(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x / math.sqrt(float((x * x).sum()) / len(x) + 1e-6) * weight  # as the stock class has it


def attend_by_loop(attention: LatentAttention, x_BTD: torch.Tensor) -> torch.Tensor:
    """Equations 9 to 19 for every row, position, head and visible key on its own, in double precision."""
    w = {name.removesuffix(".weight"): p.detach().double() for name, p in attention.named_parameters()}
    result = torch.zeros(*x_BTD.shape, dtype=torch.float64)
    for b, x_TD in enumerate(x_BTD.detach().double()):
        for t, x_D in enumerate(x_TD):
            seen = [s for s in range(t + 1) if SEGMENTS_BT[b, s] == SEGMENTS_BT[b, t]]
            mixed = []
            for h in range(HEADS):
                query = query_of(w, x_D, h, int(POSITIONS_BT[b, t]))
                pairs = [key_and_value_of(w, x_TD[s], h, int(POSITIONS_BT[b, s])) for s in seen]
                scores = torch.stack([query @ key / math.sqrt(NOPE + ROPE) for key, _ in pairs]).exp()
                mixed.append(sum(score * value for score, (_, value) in zip(scores, pairs, strict=True)) / scores.sum())
            result[b, t] = w["output"] @ torch.cat(mixed)
    return result


def query_of(w: dict[str, torch.Tensor], x_D: torch.Tensor, head: int, position: int) -> torch.Tensor:
    latent = rms(w["query_down"] @ x_D, w["query_norm"]) if "query_down" in w else x_D
    query = w["query"][head * (NOPE + ROPE) : (head + 1) * (NOPE + ROPE)] @ latent
    return torch.cat((query[:NOPE], turn(query[NOPE:], position)))


def key_and_value_of(
    w: dict[str, torch.Tensor], x_D: torch.Tensor, head: int, position: int
) -> tuple[torch.Tensor, torch.Tensor]:
    down = w["kv_down"] @ x_D
    up = w["kv_up"][head * (NOPE + VALUE) : (head + 1) * (NOPE + VALUE)] @ rms(down[:KV_RANK], w["kv_norm"])
    return torch.cat((up[:NOPE], turn(down[KV_RANK:], position))), up[NOPE:]


@pytest.mark.parametrize("query_rank", [0, 8])
def test_latent_attention_equals_a_loop_over_heads_and_keys(query_rank: int):
    attention, x_BTD = make_attention(query_rank), random_input()
    torch.testing.assert_close(run(attention, x_BTD).double(), attend_by_loop(attention, x_BTD), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("query_rank", [0, 8])
def test_its_gradients_equal_finite_differences(query_rank: int):
    attention = make_attention(query_rank).double()
    names, weights = zip(*attention.named_parameters(), strict=True)

    def mixed(x_BTD: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        options = {
            "rotation": rotation_at(POSITIONS_BT[:, :3], rope_dim=ROPE, theta=THETA),
            "isolation": isolate(SEGMENTS_BT[:, 1:4], SEGMENTS_BT[:, 1:4], device=x_BTD.device),
        }
        return torch.func.functional_call(attention, dict(zip(names, weights, strict=True)), x_BTD, options)

    x_BTD = random_input()[:, :3].double().requires_grad_()
    assert torch.autograd.gradcheck(mixed, (x_BTD, *weights), fast_mode=True)


def test_the_norms_of_the_latents_have_the_eps_of_the_stock_class():
    x_BTD = random_input() * 1e-3
    torch.testing.assert_close(
        run(make_attention(8), x_BTD).double(), attend_by_loop(make_attention(8), x_BTD), atol=1e-7, rtol=1e-4
    )


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_changing_one_document_never_changes_another(changed: int):
    attention, x_BTD, is_changed_BT = make_attention(8), random_input(), torch.eq(SEGMENTS_BT, changed)
    other_BTD = torch.where(is_changed_BT[..., None], random_input(seed=1), x_BTD)
    moved_BT = (run(attention, x_BTD) - run(attention, other_BTD)).abs().amax(-1)
    assert (moved_BT[~is_changed_BT] < 1e-6).all() and (moved_BT[is_changed_BT] > 1e-2).all()


@pytest.mark.parametrize("chunks", [[7], [4, 1, 1, 1], [1] * 7])
@torch.no_grad()
def test_a_cache_of_latents_gives_what_no_cache_gives(chunks: list[int]):
    attention, x_BTD, cache = make_attention(8), random_input(), KeyValueCache(num_layers=1, capacity=7)
    found, first = [], 0
    for size in chunks:
        part = slice(first, first + size)
        segments_BT = SEGMENTS_BT[:, part]
        isolation = cache.begin(segments_BT, segments_BT)
        rotation = rotation_at(POSITIONS_BT[:, part], rope_dim=ROPE, theta=THETA)
        found.append(attention(x_BTD[:, part], rotation=rotation, isolation=isolation, cache=cache, layer=0))
        cache.finish(size)
        first += size
    torch.testing.assert_close(torch.cat(found, dim=1), run(attention, x_BTD), atol=1e-6, rtol=1e-5)
    assert [kept.shape for kept in cache.layers[0]] == [(2, 1, 7, KV_RANK + ROPE)]


@torch.no_grad()
def test_packed_documents_of_a_whole_model_equal_each_document_alone():
    model = MoETransformer(replace(family_configs()["deepseek_v3"], init_std=0.1))
    initialize(model, seed=2)
    documents = [[END_OF_TEXT, *text] for text in (b"a first document", b"x", b"the last, cut")]
    tokens_BT = torch.tensor([sum(documents, [])])
    positions_BT = torch.cat([torch.arange(len(ids)) for ids in documents])[None]
    segments_BT = torch.cat([torch.full((len(ids),), i) for i, ids in enumerate(documents)])[None]
    packed_TV = model(tokens_BT, positions_BT=positions_BT, segments_BT=segments_BT).logits_BTV[0]
    alone_TV = torch.cat([model(torch.tensor([ids])).logits_BTV[0] for ids in documents])
    torch.testing.assert_close(packed_TV, alone_TV, atol=1e-5, rtol=1e-5)


def losses_of_rank(world, expert_parallel: int) -> list[tuple[float, float]]:
    with tempfile.TemporaryDirectory() as folder:
        model = family_configs()["deepseek_v3"]
        return train(tiny_trainer(world, Path(folder), model=model, expert_parallel=expert_parallel), 8)


def test_two_ranks_with_split_experts_equal_one():
    [expected] = run_ranks(losses_of_rank, 1, 1)
    for found in run_ranks(losses_of_rank, 2, 2):
        torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), atol=1e-5, rtol=1e-5)
    assert expected[-1][0] < expected[0][0]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        (dict(kv_rank=0), "model.attention.kv_rank=0 must be at least 1"),
        (dict(rope_dim=0), "model.attention.rope_dim=0 must be at least 1"),
        (dict(value_dim=0), "model.attention.value_dim=0 must be at least 1"),
        (dict(rope_dim=3), "model.attention.rope_dim=3 must be even: use 4"),
        (dict(query_rank=-1), "model.attention.query_rank=-1 must not be negative: use 0 for no latent"),
        (dict(num_kv_heads=1), "num_kv_heads=1 must equal num_heads=3 with kind=latent.*use 3"),
        (dict(qk_norm=QKNorm.head), "qk_norm=head cannot stand beside kind=latent.*use none"),
    ],
)
def test_impossible_sizes_are_refused_with_the_mend(changes: dict, error: str):
    with pytest.raises(ValueError, match=error):
        AttentionConfig(**LATENT | changes)
