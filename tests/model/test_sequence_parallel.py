"""Ranks that hold slices of the same rows compute what one rank computes from the whole rows."""

from unittest import mock

import numpy as np
import pytest
import torch
import torch.distributed as dist

from mai1.data.batch import Row
from mai1.data.loader import BatchConfig, Loader
from mai1.dist import World, sum_over_ranks, sum_tensor_over_ranks
from mai1.engine.ds_config import EngineConfig
from mai1.engine.experts import expert_parallel_group
from mai1.engine.topology import place_of, sequence_parallel_group
from mai1.loss import LossConfig, as_totals, compute_losses, count_totals, counted_tokens
from mai1.model.attention import AttentionKind, QKNorm
from mai1.model.init import initialize
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.moe.experts import Experts
from mai1.model.moe.routing_policy import Choice, RoutingConfig
from mai1.model.sequence_parallel import check_sequence_parallel
from mai1.model.transformer import MoETransformer
from tests.support.ranks import run_ranks
from tests.support.tiny import END_OF_TEXT, tiny_model_config

NUM_RANKS, NUM_ROWS, NUM_POSITIONS = 4, 4, 24
TOLERANCE = 1e-5
LATENT = {"kind": AttentionKind.latent, "num_kv_heads": 4, "head_dim": 12, "qk_norm": QKNorm.none}
LATENT |= {"kv_rank": 20, "rope_dim": 8, "value_dim": 16}
SEQUENCE_LOSS, SWITCH_LOSS = (
    BalanceConfig(method=method, loss_weight=0.3, z_loss_weight=1e-2)
    for method in (BalanceMethod.sequence_loss, BalanceMethod.switch_loss)
)
CASES = {
    "two key-value heads": {},
    "one key-value head": {"attention": {"num_kv_heads": 1}},
    "three key-value heads for twelve": {"attention": {"num_heads": 12, "num_kv_heads": 3}},
    "norm over all heads": {"attention": {"qk_norm": QKNorm.width}},
    "latent": {"attention": LATENT},
    "latent queries": {"attention": LATENT | {"query_rank": 24}},
    "one document a row": {"is_packed": False},
    "recomputation": {"recompute": True, "num_mtp_layers": 1},
    "further tokens": {"num_mtp_layers": 2},
    "loss over sequences": {"balance": SEQUENCE_LOSS},
    "loss over the microbatch": {"balance": SWITCH_LOSS},
    "jitter": {"routing": RoutingConfig(jitter=0.2)},
    "capacity": {"routing": RoutingConfig(capacity_factor=0.7), "num_mtp_layers": 1},
    "experts choose": {"routing": RoutingConfig(choice=Choice.expert), "num_mtp_layers": 1},
    "forced balance": {"routing": RoutingConfig(forced_balance=True)},
    "experts apart": {"expert_parallel": 2},
    "experts apart, latent, few rows at once": {
        "expert_parallel": 4,
        "attention": LATENT,
        "routing": RoutingConfig(max_rows=16),
        "balance": SEQUENCE_LOSS,
        "num_mtp_layers": 1,
    },
}


class ShortDocuments:
    """Random rows; packed ones have documents of 1 to 11 tokens, the second row ends with more than half of padding."""

    sequence_length, rows_per_epoch, fingerprint, source_names = NUM_POSITIONS, 100, "short", ["one"]

    def __init__(self, *, is_packed: bool) -> None:
        self.is_packed = is_packed

    def read(self, sample: int) -> Row:
        generator = np.random.default_rng(sample)
        ids, mask = generator.integers(0, 250, NUM_POSITIONS + 1), generator.integers(0, 4, NUM_POSITIONS + 1) > 0
        if not self.is_packed:
            return Row(ids, mask.astype(np.uint8), num_valid=len(ids))
        num_valid = 10 if sample % 4 == 1 else len(ids)
        ids[generator.integers(1, 12, NUM_POSITIONS).cumsum()[:3] % NUM_POSITIONS] = END_OF_TEXT
        ids[num_valid:], mask[num_valid:] = 0, False
        return Row(ids, mask.astype(np.uint8), num_valid=num_valid)


def compute(world: World, case: str, *, sequence_parallel: int, rows_at_once: int) -> dict[str, np.ndarray]:
    """Logits of this rank's positions; losses, counts and gradients summed over ranks; of four rows, by microbatches."""
    changes = {"expert_parallel": 1, "is_packed": True, "recompute": False, **CASES[case]}
    balance, routing = (changes.pop("balance", BalanceConfig()), changes.pop("routing", RoutingConfig()))
    expert_parallel, is_packed, recompute = (changes.pop(key) for key in ("expert_parallel", "is_packed", "recompute"))
    engine = EngineConfig(sequence_parallel=sequence_parallel, expert_parallel=expert_parallel if world.size > 1 else 1)
    model = MoETransformer(
        tiny_model_config(**changes),
        expert_group=expert_parallel_group(engine.expert_parallel),
        sequence_group=sequence_parallel_group(world, engine),
    )
    initialize(model, seed=3)
    model.set_routing(routing, seed=7)
    model.recompute = recompute
    batches = _batches(world, engine, is_packed=is_packed, rows_at_once=rows_at_once)
    num_mtp_layers = model.config.num_mtp_layers
    totals = sum_over_ranks(count_totals(batches, counted=balance.counted, num_mtp_layers=num_mtp_layers), world)
    found = {"totals": torch.tensor(totals), "logits": [], "losses": 0, "choices": 0, "dropped": 0}
    for batch in batches:
        output = model(
            batch.tokens_BT,
            positions_BT=batch.positions_BT,
            segments_BT=batch.isolating_segments_BT,
            counted_BT=counted_tokens(batch, balance.counted),
            samples_B=batch.samples_B,
        )
        losses = compute_losses(output, batch, loss=LossConfig(), balance=balance, totals=as_totals(totals))
        losses.total.backward()
        parts = (losses.total.detach(), losses.language, losses.mtp, losses.router_z, losses.balance)
        found["losses"] += torch.stack(parts)
        found["choices"] += torch.stack([routing.tokens_per_expert_E for routing in output.routings.values()])
        found["dropped"] += torch.stack([routing.dropped_E for routing in output.routings.values()])
        hidden = [output.hidden_BTD, *output.further_BTD]
        found["logits"].append(torch.stack([x_BTD @ output.unembedding_VD.t() for x_BTD in hidden], dim=1).detach())
    found["logits"] = torch.cat(found["logits"])
    summed = {name: found[name] for name in ("losses", "choices", "dropped")} | _gradients(model)
    found |= {name: sum_tensor_over_ranks(tensor, world) for name, tensor in summed.items()}
    is_returned = {"logits"} if world.rank else set(found)
    return {name: tensor.numpy() for name, tensor in found.items() if name in is_returned}


def _batches(world: World, engine: EngineConfig, *, is_packed: bool, rows_at_once: int) -> list:
    place, config = place_of(world, engine), BatchConfig(sequences_per_step=4, sequences_per_microbatch=rows_at_once)
    loader = Loader(
        ShortDocuments(is_packed=is_packed),
        config,
        end_of_text_id=END_OF_TEXT,
        data_rank=place.data_rank,
        data_size=place.data_size,
        sequence_rank=place.sequence_rank,
        sequence_size=place.sequence_size,
    )
    return loader.microbatches(0)


def _gradients(model: MoETransformer) -> dict[str, torch.Tensor]:
    """Every weight's, in the whole weight's shape: those of experts elsewhere are 0."""
    gradients = {f"gradient of {name}": parameter.grad for name, parameter in model.named_parameters()}
    for name, module in model.named_modules():
        if isinstance(module, Experts):
            for weight in ("gate_up", "down"):
                local = gradients[f"gradient of {name}.{weight}"]
                whole = local.new_zeros(model.config.moe.num_experts, *local.shape[1:])
                whole[module.first_expert : module.first_expert + len(local)] = local
                gradients[f"gradient of {name}.{weight}"] = whole
    return gradients


def compute_all(world: World) -> dict[tuple[str, int], dict[str, np.ndarray]]:
    """Every case in two and in four slices; with two, two pairs of ranks read different rows."""
    return {
        (case, size): compute(world, case, sequence_parallel=size, rows_at_once=size)
        for case in CASES
        for size in (2, 4)
    }


@pytest.fixture(scope="module")
def of_ranks() -> list[dict]:
    return run_ranks(compute_all, NUM_RANKS)


@pytest.mark.parametrize("num_slices", [2, 4])
@pytest.mark.parametrize("case", CASES)
def test_slices_of_rows_give_what_whole_rows_give(of_ranks: list[dict], case: str, num_slices: int):
    world = World(rank=0, size=1, local_rank=0, device=torch.device("cpu"))
    expected = compute(world, case, sequence_parallel=1, rows_at_once=num_slices)
    found = [of_rank[case, num_slices] for of_rank in of_ranks]
    by_rows = [found[first : first + num_slices] for first in range(0, NUM_RANKS, num_slices)]
    logits = np.concatenate([np.concatenate([f["logits"] for f in ranks], axis=2) for ranks in by_rows])
    assert logits.std() > 0.1 and logits.shape == expected["logits"].shape
    for name, value in ({"logits": logits} | {key: found[0][key] for key in expected if key != "logits"}).items():
        scale = max(np.abs(expected[name]).max(), 1e-3)
        np.testing.assert_allclose(value / scale, expected[name] / scale, rtol=0, atol=TOLERANCE, err_msg=name)
    assert (expected["dropped"].sum() > 0) == (case == "capacity")


def test_the_rows_cut_documents_and_leave_slices_of_nothing_but_padding():
    world = World(rank=0, size=1, local_rank=0, device=torch.device("cpu"))
    [batch] = _batches(world, EngineConfig(), is_packed=True, rows_at_once=4)
    border = NUM_POSITIONS // 2
    cut_B = batch.segments_BT[:, border - 1] == batch.segments_BT[:, border]
    assert cut_B.any() and (batch.segments_BT.amax(1) > 0).any()
    assert (batch.segments_BT[:, border:] == -1).all(1).any()
    assert _batches(world, EngineConfig(), is_packed=False, rows_at_once=4)[0].isolating_segments_BT is None


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (3, r"engine.sequence_parallel=3 must divide model.attention.num_heads=8: use 1 or 2 or 4$"),
        (8, r"engine.sequence_parallel=8 must divide data.sequence_length=100: use 1 or 2 or 4$"),
    ],
)
def test_slices_that_do_not_divide_heads_or_positions_are_refused_with_those_that_do(size: int, told: str):
    with pytest.raises(ValueError, match=told):
        check_sequence_parallel(size, num_heads=8, sequence_length=100)
    check_sequence_parallel(4, num_heads=8, sequence_length=100)


def measure(world: World, sequence_parallel: int, attention: dict) -> tuple[int, list[int], list[int]]:
    """Bytes of activations that one row leaves for the backward, and elements given to each all-to-all in both passes."""
    group = sequence_parallel_group(world, EngineConfig(sequence_parallel=sequence_parallel))
    model = MoETransformer(tiny_model_config(attention=attention), sequence_group=group)
    initialize(model, seed=3)
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept, given = {}, []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    def exchange(arriving: torch.Tensor, sent: torch.Tensor, group: dist.ProcessGroup) -> None:
        given.append(sent.numel())
        all_to_all(arriving, sent, group=group)

    all_to_all = dist.all_to_all_single
    with mock.patch.object(dist, "all_to_all_single", exchange):
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            hidden_BTD = model(torch.arange(1024)[None] % 250).hidden_BTD
        num_forward = len(given)
        hidden_BTD.sum().backward()
    num_bytes = sum(size for pointer, size in kept.items() if pointer not in weights)
    return num_bytes, given[:num_forward], given[num_forward:]


def measure_all(world: World) -> dict[tuple[int, str], tuple]:
    kinds = {"grouped": {}, "latent": LATENT}
    return {(size, kind): measure(world, size, kinds[kind]) for size in (1, 2, 4) for kind in kinds}


def test_slices_divide_activations_and_what_travels_is_two_exchanges_a_layer():
    found = run_ranks(measure_all, NUM_RANKS)[0]
    for size in (2, 4):
        of_slice = 1024 // size
        # grouped: four query heads and two key-value heads, or as many as ranks, of 16 channels; answers of four heads
        there_and_back = [of_slice * 16 * (4 + 2 * max(2, size)), of_slice * 16 * 4]
        # latent: queries of four heads, and for each rank the latent and the rotated key; answers of four heads
        of_latent = [of_slice * (4 * (12 + 8) + size * (20 + 8)), of_slice * 4 * 16]
        for kind, expected in (("grouped", there_and_back), ("latent", of_latent)):
            num_bytes, forward, backward = found[size, kind]
            assert forward == expected * 3 and backward == expected[::-1] * 3, (size, kind)
            assert num_bytes < 1.2 * found[1, kind][0] / size, (size, kind)
