"""What blocks keep for their backward: the planner's formulas against what autograd saves of the real model, exactly."""

import numpy as np
import pytest
import torch

from mai1.data.batch import Batch, Row, collate
from mai1.dist import World
from mai1.engine.experts import expert_parallel_group
from mai1.loss import LossConfig, as_totals, compute_losses, count_totals, counted_tokens
from mai1.model.init import initialize
from mai1.model.lora import LoraConfig
from mai1.model.moe.balance import BalanceConfig, Counted
from mai1.model.moe.layer import MoELayer
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.model.transformer import ModelConfig, MoETransformer
from mai1.plan.layout import Format, Layout, Recompute
from mai1.plan.memory.activations import FULL, Microbatch, block_keeps
from mai1.plan.memory.division import pieces_of
from mai1.plan.memory.of_stage import StageMemory
from mai1.plan.workload import Workload
from tests.plan.live_storages import Alive, saved_storages
from tests.support.ranks import run_ranks
from tests.support.tiny import family_configs, tiny_model_config

FAMILIES = family_configs()
SHAPES = ((2, 64, False), (2, 256, False), (1, 96, True))
"""Rows, positions, and whether several documents share a row; the first has too few rows for a loop over experts."""


def built(config: ModelConfig) -> MoETransformer:
    """A model in training mode."""
    model = MoETransformer(config)
    initialize(model, seed=0)
    return model.train()


def a_batch(rows: int, positions: int, *, is_packed: bool) -> Batch:
    """Random ids, with a border of documents in every row where rows are packed."""
    ids = np.random.default_rng(0).integers(1, 300, size=(rows, positions + 1))
    if is_packed:
        ids[:, positions // 3] = 0
    made = [Row(row, np.ones_like(row, dtype=np.uint8), num_valid=len(row)) for row in ids]
    return collate(made, end_of_text_id=0)


def losses_of(model: MoETransformer, batch: Batch) -> tuple[torch.Tensor, object]:
    """As the trainer computes them, of one microbatch a step."""
    counts = count_totals([batch], counted=Counted.targets, num_mtp_layers=model.config.num_mtp_layers)
    output = model(
        batch.tokens_BT,
        positions_BT=batch.positions_BT,
        segments_BT=batch.isolating_segments_BT,
        counted_BT=counted_tokens(batch, Counted.targets),
        samples_B=batch.samples_B,
    )
    losses = compute_losses(output, batch, loss=LossConfig(), balance=BalanceConfig(), totals=as_totals(counts))
    return losses.total, output


def planned(
    config: ModelConfig,
    batch: Batch,
    *,
    recompute: Recompute = Recompute.none,
    max_rows: int = 0,
    lora: LoraConfig | None = None,
) -> StageMemory:
    """The planner's view of one rank that reads all rows at once."""
    rows, positions = batch.tokens_BT.shape
    layout = Layout(num_devices=1, microbatch=rows, format=Format.fp32, recompute=recompute)
    training = {"max_rows": max_rows, "lora": lora}
    workload = Workload(model=config, sequence_length=positions, sequences_per_step=rows, **training)
    return StageMemory(workload, layout, pieces_of(config, layout), 0, 1.0, batch.is_packed)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_planned_activations_are_what_autograd_saves(family: str, shape: tuple[int, int, bool]):
    """But for the results, which the loss reads and nobody saves; to less than a byte a token, for scalars."""
    config, (rows, positions, is_packed) = FAMILIES[family], shape
    model, batch = built(config), a_batch(rows, positions, is_packed=is_packed)
    saved = sum(saved_storages(model, lambda: losses_of(model, batch)).values())
    wanted = planned(config, batch)
    activations, _ = wanted.activations(1)
    assert abs(saved - (activations - wanted.stream)) < rows * positions


@pytest.mark.parametrize("recompute", [Recompute.none, Recompute.full])
@pytest.mark.parametrize("family", ["deepseek_v3", "glm4_moe", "olmoe"])
def test_planned_activations_are_alive_until_the_backward(family: str, recompute: Recompute):
    """Of all storages that a forward makes; and the largest sum of any moment is what the planner says, within a tenth."""
    config = FAMILIES[family]
    model, batch = built(config), a_batch(2, 256, is_packed=False)
    model.recompute = recompute is Recompute.full
    with Alive() as alive:
        total, output = losses_of(model, batch)
        del output  # and with it the results
        kept = alive.bytes
        total.backward()
    wanted = planned(config, batch, recompute=recompute)
    activations, _ = wanted.activations(1)
    ids = batch.tokens_BT.nbytes  # made before
    assert abs(kept - (activations + wanted.loss_gradients() - wanted.stream - ids)) < 2 * batch.tokens_BT.numel()
    memory = wanted.memory()
    peak = memory.activations + memory.loss + memory.workspace + memory.communication
    gradients = memory.weights  # of each weight one, at the end
    assert peak / 1.1 < alive.peak < 1.1 * (peak + gradients)


@pytest.mark.parametrize("recompute", [Recompute.none, Recompute.full])
@pytest.mark.parametrize("max_rows", [128, 700])
def test_a_cap_on_rows_keeps_what_is_planned(max_rows: int, recompute: Recompute):
    """1,024 choices in eight trips or in two: what stays until the backward, and the most there is at once."""
    config = tiny_model_config(moe={"expert_width": 96})
    model, batch = built(config), a_batch(2, 256, is_packed=False)
    model.set_routing(RoutingConfig(max_rows=max_rows), seed=0)
    model.recompute = recompute is Recompute.full
    with Alive() as alive:
        total, output = losses_of(model, batch)
        del output
        kept = alive.bytes
        total.backward()
    wanted = planned(config, batch, recompute=recompute, max_rows=max_rows)
    activations, _ = wanted.activations(1)
    ids = batch.tokens_BT.nbytes
    assert abs(kept - (activations + wanted.loss_gradients() - wanted.stream - ids)) < 2 * batch.tokens_BT.numel()
    memory = wanted.memory()
    peak = memory.activations + memory.loss + memory.workspace + memory.communication
    assert peak / 1.1 < alive.peak < 1.1 * (peak + memory.weights)
    assert memory.total < planned(config, batch, recompute=recompute).memory().total


@pytest.mark.parametrize("max_rows", [0, 64])
def test_rows_from_other_ranks_are_counted_where_they_arrive(max_rows: int):
    for kept, wanted in run_ranks(of_a_mixture if not max_rows else of_trips, 2):
        assert abs(kept - wanted) < (256 if max_rows else 64)


def of_trips(world: World) -> tuple[float, float]:
    """What stays of rows that travel in four trips, 64 at most on a rank at once."""
    config, num_tokens = tiny_model_config(), 128
    layer = MoELayer(config.moe, d_model=config.d_model, expert_group=expert_parallel_group(2))
    layer.router.policy = RoutingConfig(max_rows=64, forced_balance=True)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=0.1, generator=torch.Generator().manual_seed(world.rank * (parameter.dim() == 3)))
    x_BTD = torch.randn(1, num_tokens, config.d_model).requires_grad_()
    with Alive() as alive:
        y_BTD, routing = layer(x_BTD)
        kept = alive.bytes - y_BTD.nbytes
    microbatch = Microbatch(tokens=num_tokens, rows=2 * num_tokens, rows_at_once=64)
    of_layer = block_keeps(config, Layout(num_devices=2, expert=2, format=Format.fp32), microbatch, is_dense=False)
    return kept, of_layer.router + of_layer.routed + of_layer.dense


def of_a_mixture(world: World) -> tuple[float, float]:
    """What a layer whose experts are spread over two ranks saves, and what is planned for the rows that came."""
    config, num_tokens = tiny_model_config(), 128
    layer = MoELayer(config.moe, d_model=config.d_model, expert_group=expert_parallel_group(2))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=0.1, generator=torch.Generator().manual_seed(world.rank * (parameter.dim() == 3)))
    x_BTD = torch.randn(1, num_tokens, config.d_model, generator=torch.Generator().manual_seed(world.rank))
    rows = []
    layer.experts.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    saved = sum(saved_storages(layer, lambda: layer(x_BTD.requires_grad_())).values())
    microbatch = Microbatch(tokens=num_tokens, rows=rows[0])
    kept = block_keeps(config, Layout(num_devices=2, expert=2, format=Format.fp32), microbatch, is_dense=False)
    z_loss = num_tokens * (config.moe.num_experts + 1) * FULL  # is not computed here
    return saved, kept.router + kept.routed + kept.dense - z_loss + x_BTD.nbytes
