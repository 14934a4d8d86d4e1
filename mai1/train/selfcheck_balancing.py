"""Self-check of the balancing: the selection bias moves and is heeded, or the loss has the gradient of its definition.

Legend: N tokens of the probe, D width, E experts.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from mai1.data.batch import Batch
from mai1.dist import World, sum_over_ranks
from mai1.loss import LossConfig, Losses, StepTotals, as_totals, compute_losses, count_totals
from mai1.model.moe.balance import BalanceConfig, BalanceMethod, update_selection_bias
from mai1.model.moe.router import Router, Routing, Scores
from mai1.model.transformer import ModelOutput

NUM_TOKENS = 31
"""A prime: the probe's choices are hardly ever spread evenly, where the losses have no gradient."""
LOGIT_STEP = 1e-3
"""By about how much the logits change for the finite difference."""
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 3e-2}
"""Of loss and gradient, relative."""
LARGE_BIAS = 1e3


def is_balanced(balance: BalanceConfig, router: Router) -> bool:
    """Whether anything evens out the experts: a factor of 0 turns it off, and who takes all experts has no choice."""
    factor = balance.bias_rate if balance.method is BalanceMethod.bias else balance.loss_weight
    return balance.method is not BalanceMethod.none and factor > 0 and router.top_k < len(router.weight)


def totals_of_probe(balance: BalanceConfig, world: World, *, device: torch.device) -> StepTotals:
    """Totals of a step in which every rank has the probe as one row. Every rank must call this."""
    counts = count_totals([_probe_row(device)], counted=balance.counted, num_mtp_layers=0)
    return as_totals(sum_over_ranks(counts, world))


def balance_problems(
    router: Router, balance: BalanceConfig, world: World, *, totals: StepTotals, seed: int
) -> list[str]:
    """What is wrong with the balancing of one layer; its router is left as it was. `totals` are those of the probe."""
    probe_ND = torch.randn(NUM_TOKENS, router.weight.shape[1], generator=torch.Generator().manual_seed(seed))
    probe_ND = probe_ND.to(router.weight.device)
    if balance.method is BalanceMethod.bias:
        return _bias_problems(router, probe_ND, rate=balance.bias_rate)
    return _loss_problems(router, probe_ND, balance, world, totals=totals, seed=seed)


@torch.no_grad()
def _bias_problems(router: Router, probe_ND: torch.Tensor, *, rate: float) -> list[str]:
    bias_E = router.selection_bias
    if bias_E.dtype is not torch.float32:
        return [f"selection_bias is {bias_E.dtype} and not fp32, which rounds steps of balance.bias_rate={rate} away"]
    before_E, skewed_E = bias_E.clone(), torch.zeros(len(bias_E), dtype=torch.int64, device=bias_E.device)
    skewed_E[0] = 1000
    try:
        bias_E.zero_()  # so that no step is rounded away
        update_selection_bias(router, skewed_E, rate=rate)
        moved_E = bias_E.clone()
        bias_E.copy_(before_E)
        target = int(router(probe_ND).tokens_per_expert_E.argmin())
        bias_E[target] += LARGE_BIAS
        num_following = int((router(probe_ND).experts_NK == target).any(1).sum())
    finally:
        bias_E.copy_(before_E)
    problems = []
    if not (moved_E[0] < 0 and moved_E[1:].mean() > 0):
        problems.append(
            f"after a step with all load on expert 0 its selection_bias changed by {moved_E[0]:.1e} and that of the others by "
            f"{moved_E[1:].mean():.1e}: the first must fall and the others rise, or no load is ever evened out"
        )
    if num_following < NUM_TOKENS:
        problems.append(
            f"only {num_following} of {NUM_TOKENS} tokens go to expert {target} when its selection_bias is raised by "
            f"{LARGE_BIAS:.0f}: the choice of experts does not heed the bias"
        )
    return problems


def _loss_problems(
    router: Router, probe_ND: torch.Tensor, balance: BalanceConfig, world: World, *, totals: StepTotals, seed: int
) -> list[str]:
    """Loss and gradient, as training computes them, against the loss's definition in fp64 and its finite difference."""
    num_experts, dtype = len(router.weight), router.weight.dtype
    generator = torch.Generator().manual_seed(seed + 1)
    step_ED = torch.randn(router.weight.shape, generator=generator, dtype=torch.float64).to(probe_ND.device)
    step_ED *= LOGIT_STEP / router.weight.shape[1] ** 0.5
    last_load_E = torch.arange(1, num_experts + 1, device=probe_ND.device)

    with _matrix_by_itself(router):
        routing = router(probe_ND)
        losses = _losses(routing, balance, totals=totals, last_load_E=last_load_E)
        if not losses.total.requires_grad:
            return [
                f"no gradient of balance.method={balance.method.value} reaches router.weight: nothing is evened out"
            ]
        [grad_ED] = torch.autograd.grad(losses.total, router.weight)

    load_E = last_load_E if balance.method is BalanceMethod.global_loss else routing.tokens_per_expert_E
    logits_NE, shift_NE = (probe_ND.double() @ weight.double().t() for weight in (router.matrix_ED.detach(), step_ED))
    value, above, below = (
        _defined_loss(logits_NE + sign * shift_NE, load_E, router.scores) / world.size for sign in (0, 1, -1)
    )
    expected, found = balance.loss_weight * (above - below) / 2, float((grad_ED.double() * step_ED).sum())
    typical = float(grad_ED.double().norm() * step_ED.norm()) / step_ED.numel() ** 0.5
    problems, tolerance = [], TOLERANCE[dtype]
    if not abs(float(losses.balance) - value) <= tolerance * value:
        problems.append(
            f"the loss of balance.method={balance.method.value} is {float(losses.balance):.6g} on this rank's share where "
            f"its definition gives {value:.6g}: it is not the mean over the tokens of all ranks"
        )
    if not abs(found - expected) <= tolerance * max(typical, abs(expected)):
        problems.append(
            f"the gradient of balance.method={balance.method.value} by router.weight along a random direction is {found:.3e} "
            f"where finite differences of its definition give {expected:.3e}: the router is not pushed as configured"
        )
    return problems


@contextmanager
def _matrix_by_itself(router: Router) -> Iterator[None]:
    """Inside, an adapted router has a gradient by its whole matrix, whose factors get theirs from it."""
    was_trained = router.weight.requires_grad
    router.weight.requires_grad_(was_trained or router.lora_scale > 0)
    try:
        yield
    finally:
        router.weight.requires_grad_(was_trained)


def _losses(routing: Routing, balance: BalanceConfig, *, totals: StepTotals, last_load_E: torch.Tensor) -> Losses:
    """The losses of a step in which every rank has one row of the probe, with nothing but balancing in them."""
    hidden_BTD = torch.zeros(1, NUM_TOKENS, 1, device=last_load_E.device)
    return compute_losses(
        ModelOutput(hidden_BTD, hidden_BTD[0, :2], {0: routing}),
        _probe_row(last_load_E.device),
        loss=LossConfig(),
        balance=replace(balance, z_loss_weight=0.0),
        totals=totals,
        last_load_LE=last_load_E[None],
    )


def _probe_row(device: torch.device) -> Batch:
    zeros_BT = torch.zeros(1, NUM_TOKENS, dtype=torch.int64, device=device)
    return Batch(
        tokens_BT=zeros_BT,
        targets_BT=zeros_BT,
        positions_BT=zeros_BT,
        segments_BT=zeros_BT,
        loss_mask_BT=torch.ones_like(zeros_BT, dtype=torch.float32),
        sources_BT=zeros_BT,
        samples_B=zeros_BT[:, 0],
        epochs_BT=zeros_BT,
        is_packed=False,
    )


def _defined_loss(logits_NE: torch.Tensor, load_E: torch.Tensor, scores: Scores) -> float:
    """`E * sum_e f_e * P_e` with f_e the share of the load, P_e the mean of the normalised scores."""
    scores_NE = logits_NE.softmax(-1) if scores is Scores.softmax else logits_NE.sigmoid()
    shares_NE = scores_NE / scores_NE.sum(-1, keepdim=True)
    return float(len(load_E) * (load_E / load_E.sum() * shares_NE.mean(0)).sum())
