"""Self-check before the first step of a launch: shows what a loss curve would hide for days, or ends the run.

It changes nothing: no random state, weight, buffer, gradient or counter. Cost: all experts of the first and the last MoE
layer on a few dozen tokens, one short row through the model forward and backward, and a reading of all weights.

Legend: B rows, T positions, D width.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from mai1.data.batch import Batch, Row, collate
from mai1.dist import World, gather_json
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.moe.layer import MoELayer
from mai1.model.sequence_parallel import own_positions, place_in_rows, whole_rows
from mai1.model.transformer import MoETransformer
from mai1.train.selfcheck_balancing import balance_problems, is_balanced, totals_of_probe
from mai1.train.selfcheck_experts import copy_problems, dense_problems

SEED = 20260101
POSITIONS_PER_RANK = 24
MAX_LEAK = 1e-6
"""Gradient of what is masked, relative to the largest: it is exactly 0, in every number format."""
MAX_LISTED = 4


def self_check(
    model: MoETransformer,
    balance: BalanceConfig,
    *,
    end_of_text_id: int,
    world: World,
    num_stages: int = 1,
    has_copies: bool = False,
) -> str:
    """One line that says what holds; RuntimeError on every rank alike when something does not. Every rank must call this.

    A model that grew may have copies of experts, which in any other are a fault. Of `num_stages` pipeline stages each
    checks what it holds: a model whose stages all keep documents apart does.
    The model's weights must be whole: where ZeRO-3 is going to shard them, call this before.
    """
    started, layers = time.perf_counter(), model.moe_layers()
    problems, largest = [], 0.0
    with _as_in_evaluation(model):
        for number in sorted({min(layers), max(layers)}):
            difference, found = dense_problems(layers[number], seed=SEED + number)
            largest = max(largest, difference)
            problems += [f"layer {number}: {text}" for text in found]
        problems += copy_problems(model, world, num_stages=num_stages, has_copies=has_copies)
        totals = totals_of_probe(balance, world, device=world.device)
        for number, layer in layers.items():
            if is_balanced(balance, layer.router):
                found = balance_problems(layer.router, balance, world, totals=totals, seed=SEED + number)
                problems += [f"layer {number}: {text}" for text in found]
        problems += isolation_problems(model, end_of_text_id=end_of_text_id)
    of_ranks = gather_json([problems, largest], world)
    _refuse([found for found, _ in of_ranks])
    largest = max(difference for _, difference in of_ranks)
    held = _what_holds(layers[min(layers)], balance, world, largest=largest, has_copies=has_copies)
    return f"self-check: {', '.join(held)} ({time.perf_counter() - started:.2f} s)"


def isolation_problems(model: MoETransformer, *, end_of_text_id: int) -> list[str]:
    """Whether a position of a packed row depends on another document, on what comes after it, or not on what is before.

    Where ranks share rows, the position and the first half of its document are on different ranks.
    """
    num_positions = POSITIONS_PER_RANK * place_in_rows(model.sequence_group)[1]
    second, looked_at = num_positions // 3, num_positions * 2 // 3  # begin and middle of the second document
    batch = _two_documents(model.config.vocab_size, num_positions, second=second, end_of_text_id=end_of_text_id)
    influence_T = _influence_of_positions(model, batch.to(next(model.parameters()).device), looked_at)
    places = {"a token of the document before": slice(0, second), "a later token": slice(looked_at + 1, None)}
    problems = [
        f"a position depends on {what} (influence {float(influence_T[place].max()):.1e} of the largest): attention does not "
        "keep to earlier tokens of the same document, and what is learned cannot be used to write"
        for what, place in places.items()
        if not influence_T[place].max() <= MAX_LEAK
    ]
    if not influence_T[second : num_positions // 2].max() > 0:
        problems.append("a position depends on no token of its document's first half: attention does not reach it")
    return problems


def _influence_of_positions(model: MoETransformer, batch: Batch, looked_at: int) -> torch.Tensor:
    """How much the hidden state at `looked_at` depends on every position, relative to the largest; fp64 `[T]`.

    It is its gradient by what the first block here is given, which is exactly 0 where nothing flows. Comparing outputs for
    changed inputs would need a tolerance that hides small leaks in bf16.
    """
    taken: list[torch.Tensor] = []
    hook = next(iter(model.layers)).register_forward_pre_hook(lambda _, given: taken.append(given[0].requires_grad_()))
    generator, like = torch.Generator().manual_seed(SEED), next(model.parameters())
    shape_BTD = (*batch.tokens_BT.shape, model.config.d_model)
    x_BTD = own_positions(torch.randn(shape_BTD, generator=generator), model.sequence_group)
    x_BTD = x_BTD.to(like).requires_grad_()  # what a stage behind the first is given
    inputs = {"positions_BT": batch.positions_BT, "segments_BT": batch.isolating_segments_BT, "x_BTD": x_BTD}
    try:
        output = model(batch.tokens_BT, **inputs)
    finally:
        hook.remove()
    direction_BTD = output.hidden_BTD.new_zeros(shape_BTD)
    direction_BTD[0, looked_at] = torch.randn(shape_BTD[-1], generator=generator)
    direction_BTD = own_positions(direction_BTD, model.sequence_group)
    [grad_BTD] = torch.autograd.grad(output.hidden_BTD, taken[0], direction_BTD)
    influence_T = whole_rows(grad_BTD.abs().amax(-1), model.sequence_group)[0].double().cpu()
    return influence_T / influence_T.max()


def _two_documents(vocab_size: int, num_positions: int, *, second: int, end_of_text_id: int) -> Batch:
    """A row of two documents, the other one from position `second` on, made as training makes it."""
    ids = np.random.default_rng(SEED).integers(0, vocab_size - 1, num_positions + 1)
    ids += ids >= end_of_text_id  # any id but this one
    ids[[0, second]] = end_of_text_id
    return collate([Row(ids, np.ones(len(ids), dtype=np.uint8), num_valid=len(ids))], end_of_text_id=end_of_text_id)


@contextmanager
def _as_in_evaluation(model: MoETransformer) -> Iterator[None]:
    """Plain routing, with gradients; afterwards the model is in the mode it was in."""
    was_training = model.training
    model.eval()
    try:
        with torch.enable_grad():
            yield
    finally:
        model.train(was_training)


def _refuse(problems_of_ranks: list[list[str]]) -> None:
    """RuntimeError that lists each problem once, with the ranks that noticed it."""
    noticed: dict[str, list[int]] = {}
    for rank, problems in enumerate(problems_of_ranks):
        for text in problems:
            noticed.setdefault(text, []).append(rank)
    if not noticed:
        return
    listed = [f"{_named(ranks, len(problems_of_ranks))}{text}" for text, ranks in list(noticed.items())[:MAX_LISTED]]
    more = f"; and {len(noticed) - MAX_LISTED} more" if len(noticed) > MAX_LISTED else ""
    raise RuntimeError(
        f"the self-check failed and nothing was trained: {'; '.join(listed)}{more}. This is a fault of the program, of the "
        "machine or of the weights it started from; train.self_check=false trains all the same"
    )


def _named(ranks: list[int], num_ranks: int) -> str:
    """Which ranks noticed it, unless all did."""
    if len(ranks) == num_ranks:
        return ""
    few = ", ".join(map(str, ranks[:MAX_LISTED])) + ", ..." * (len(ranks) > MAX_LISTED)
    return f"rank {few}: " if len(ranks) == 1 else f"ranks {few}: "


def _what_holds(
    layer: MoELayer, balance: BalanceConfig, world: World, *, largest: float, has_copies: bool
) -> list[str]:
    precision = f"{largest:.0e}".replace("e-0", "e-")
    spread = f" on {world.size} ranks" if world.size > 1 else ""
    balancing = {BalanceMethod.bias: "balancing moves the router"}.get(balance.method, "balancing gradients right")
    return [
        f"{'expert parallel = local' if layer.expert_group is not None else 'dispatch = dense'} to {precision}",
        f"{len(layer.router.weight)} experts {'there' if has_copies else 'distinct'}{spread}",
        balancing if is_balanced(balance, layer.router) else "balancing off",
        "documents isolated",
        *["replicas equal"] * (world.size > 1),
    ]
