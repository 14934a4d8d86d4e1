import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mai1.data.batch import Batch, Row, collate
from mai1.loss import LossConfig, StepTotals, as_totals, compute_losses, count_totals, counted_tokens, token_losses
from mai1.model.moe.balance import BalanceConfig, BalanceMethod, Counted
from mai1.model.moe.router import Routing, Scores
from mai1.model.transformer import ModelOutput
from tests.model.test_balance import balance_by_loop, make_routing

VOCABULARY, WIDTH, ROWS, LENGTH = 11, 6, 3, 4
NUM_VALID = (5, 2, 0)
"""A full row, one that is mostly padding, and an empty one."""


def make_batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(VOCABULARY, (ROWS, LENGTH + 1), generator=generator).numpy()
    masks = torch.tensor([[0, 0, 1, 1, 1], [0, 1, 0, 0, 0], [0] * 5]).byte().numpy()
    rows = [Row(i, m, num_valid=n) for i, m, n in zip(ids, masks, NUM_VALID, strict=True)]
    return collate(rows, end_of_text_id=0)


def make_output(layers: tuple[int, ...] = (1, 2)) -> ModelOutput:
    generator = torch.Generator().manual_seed(1)
    hidden_BTD = torch.randn(ROWS, LENGTH, WIDTH, generator=generator).requires_grad_()
    unembedding_VD = torch.randn(VOCABULARY, WIDTH, generator=generator).requires_grad_()
    routings = {}
    for layer in layers:
        logits_NE = torch.randn(ROWS * LENGTH, 5, generator=generator).requires_grad_()
        counted_BT = counted_tokens(make_batch(), Counted.targets)
        routings[layer] = make_routing(logits_NE, counted_BT=counted_BT, scores=Scores.sigmoid)
    return ModelOutput(hidden_BTD, unembedding_VD, routings)


def rows_of(output: ModelOutput, batch: Batch, part: slice) -> tuple[ModelOutput, Batch]:
    """A microbatch of some rows."""
    routings = {}
    for layer, routing in output.routings.items():
        whole = (routing.logits_NE, routing.scores_NE, routing.experts_NK, routing.weights_NK)
        tokens = (x.unflatten(0, (ROWS, -1))[part].flatten(0, 1) for x in whole)
        sequences = (routing.counted_BT[part], routing.tokens_per_expert_BE[part])
        routings[layer] = Routing(*tokens, *sequences, routing.dropped_E)
    names = [name for name in Batch.__slots__ if name.endswith(("_B", "_BT")) and getattr(batch, name) is not None]
    tensors = {name: getattr(batch, name)[part] for name in names}
    return ModelOutput(output.hidden_BTD[part], output.unembedding_VD, routings), replace(batch, **tensors)


TOTALS = StepTotals(num_targets=7.0, num_tokens=9.0, num_counted=5.0)
LOSS = LossConfig(mtp_weight=0.5)
BALANCE = BalanceConfig(method=BalanceMethod.sequence_loss, loss_weight=0.3, z_loss_weight=0.2)


def test_losses_equal_a_loop_over_targets_and_tokens():
    batch, output = make_batch(), make_output()
    losses = compute_losses(output, batch, loss=LOSS, balance=BALANCE, totals=TOTALS)
    nats, z, balance = 0.0, 0.0, 0.0
    for b in range(ROWS):
        for t in range(LENGTH):
            logits = output.logits_BTV[b, t].tolist()
            probability = math.exp(logits[batch.targets_BT[b, t]]) / sum(map(math.exp, logits))
            nats -= batch.loss_mask_BT[b, t].item() * math.log(probability)
            if batch.loss_mask_BT[b, t]:
                z += sum(
                    math.log(sum(map(math.exp, r.logits_NE[b * LENGTH + t].tolist()))) ** 2
                    for r in output.routings.values()
                )
    for r in output.routings.values():
        balance += balance_by_loop(r.scores_NE, r.experts_NK, batch.loss_mask_BT > 0, method=BALANCE.method).item()
    assert losses.language.item() == pytest.approx(nats / 7)
    assert losses.router_z.item() == pytest.approx(z / (2 * 5))
    assert losses.balance.item() == pytest.approx(balance / (2 * 5))
    assert losses.total.item() == pytest.approx(nats / 7 + 0.2 * z / 10 + 0.3 * balance / 10)


def test_what_counts_are_the_targets_or_all_but_padding():
    batch = make_batch()
    assert counted_tokens(batch, Counted.targets).tolist() == [[False] + [True] * 3, [True] + [False] * 3, [False] * 4]
    assert counted_tokens(batch, Counted.tokens).tolist() == [[True] * 4, [True] * 2 + [False] * 2, [False] * 4]


def test_a_step_in_which_no_token_counts_has_router_losses_of_zero():
    output, batch = make_output(), make_batch()
    batch.loss_mask_BT.zero_()
    for routing in output.routings.values():
        routing.counted_BT, routing.tokens_per_expert_BE = batch.loss_mask_BT > 0, routing.tokens_per_expert_BE * 0
    losses = compute_losses(output, batch, loss=LOSS, balance=BALANCE, totals=StepTotals(7.0, 9.0, 0.0))
    losses.total.backward()
    assert losses.router_z == losses.balance == 0
    assert all(routing.logits_NE.grad.abs().sum() == 0 for routing in output.routings.values())


def test_shares_of_microbatches_add_up_to_the_whole_with_their_gradients():
    batch, whole = make_batch(), make_output()
    compute_losses(whole, batch, loss=LOSS, balance=BALANCE, totals=TOTALS).total.backward()
    parts, total = make_output(), 0.0
    for part in (slice(0, 1), slice(1, 2), slice(2, 3)):
        share = compute_losses(*rows_of(parts, batch, part), loss=LOSS, balance=BALANCE, totals=TOTALS).total
        assert part.start < 2 or share.item() == 0.0  # padding alone adds nothing
        share.backward(retain_graph=True)  # the parts come from one routing
        total += share.item()
    assert total == pytest.approx(compute_losses(whole, batch, loss=LOSS, balance=BALANCE, totals=TOTALS).total.item())
    torch.testing.assert_close(parts.hidden_BTD.grad, whole.hidden_BTD.grad)
    torch.testing.assert_close(parts.unembedding_VD.grad, whole.unembedding_VD.grad)
    for layer, routing in whole.routings.items():
        torch.testing.assert_close(parts.routings[layer].logits_NE.grad, routing.logits_NE.grad)


@pytest.mark.parametrize("method", [BalanceMethod.bias, BalanceMethod.none])
def test_router_losses_that_are_off_reach_no_router(method: BalanceMethod):
    output = make_output()
    losses = compute_losses(
        output, make_batch(), loss=LOSS, balance=BalanceConfig(method=method, z_loss_weight=0.0), totals=TOTALS
    )
    losses.total.backward()
    assert losses.total.item() == losses.language.item() and losses.balance == losses.router_z == 0
    assert all(routing.logits_NE.grad is None for routing in output.routings.values())


PACKED = [  # 0 begins a document; what is masked or padding never counts
    ([0, 5, 6, 7, 0, 3, 0, 8, 9, 10, 4], [1] * 11, 11),
    ([0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0], [0, 0, 1, 1, 0, 1, 1, 1, 1, 0, 0], 9),
    ([7, 1, 0, 2, 9, 9, 9, 9, 9, 9, 9], [1] * 4 + [0] * 7, 4),
]
NUM_DEPTHS = 3


def packed_batch(rows: slice = slice(None)) -> Batch:
    made = [Row(np.array(ids), np.array(mask, dtype=np.uint8), num_valid=n) for ids, mask, n in PACKED[rows]]
    return collate(made, end_of_text_id=0)


def further_output(rows: slice = slice(None)) -> ModelOutput:
    """Hidden states of every depth; one MoE layer of the model and one of each depth, with the targets as load."""
    generator, batch = torch.Generator().manual_seed(3), packed_batch()
    hidden = [torch.randn(3, 10, WIDTH, generator=generator) for _ in range(NUM_DEPTHS + 1)]
    unembedding_VD = torch.randn(VOCABULARY, WIDTH, generator=generator).requires_grad_()
    routings = {}
    for layer in range(NUM_DEPTHS + 1):
        logits_BTE = torch.randn(3, 10, 5, generator=generator)
        counted_BT = torch.tensor([[counts(b, t, layer) for t in range(10)] for b in range(3)])
        routings[layer] = make_routing(
            logits_BTE[rows].flatten(0, 1), counted_BT=counted_BT[rows], scores=Scores.sigmoid
        )
    main_BTD, *further_BTD = (x_BTD[rows].requires_grad_() for x_BTD in hidden)
    assert batch.is_packed
    return ModelOutput(main_BTD, unembedding_VD, routings, further_BTD)


def counts(row: int, t: int, depth: int) -> bool:
    """From t the document goes on for `depth` tokens, and the one behind them is a target."""
    ids, mask, num_valid = PACKED[row]
    goes_on = all(ids[t + i] != 0 for i in range(1, depth + 1)) if t + depth < num_valid else False
    return goes_on and t + depth + 1 < len(ids) and mask[t + depth + 1] == 1


def nats_by_loop(output: ModelOutput, depth: int) -> list[float]:
    """Of every target of a depth."""
    hidden_BTD = output.further_BTD[depth - 1] if depth else output.hidden_BTD
    found = []
    for row, (ids, _, _) in enumerate(PACKED):
        for t in (t for t in range(10) if counts(row, t, depth)):
            logits = (output.unembedding_VD @ hidden_BTD[row, t]).tolist()
            found.append(math.log(sum(map(math.exp, logits))) - logits[ids[t + depth + 1]])
    return found


def further_totals() -> StepTotals:
    return as_totals(count_totals([packed_batch()], counted=Counted.targets, num_mtp_layers=NUM_DEPTHS))


def test_the_loss_of_further_tokens_equals_a_loop_over_documents():
    output, batch = further_output(), packed_batch()
    losses = compute_losses(output, batch, loss=LOSS, balance=BALANCE, totals=further_totals())
    means = []
    for depth in range(NUM_DEPTHS + 1):
        nats = nats_by_loop(output, depth)
        means.append(sum(nats) / len(nats))
    z, num_counted = 0.0, 0
    for depth, routing in output.routings.items():
        for row, t in ((row, t) for row in range(3) for t in range(10) if counts(row, t, depth)):
            z += math.log(sum(map(math.exp, routing.logits_NE[row * 10 + t].tolist()))) ** 2
            num_counted += 1
    assert losses.language.item() == pytest.approx(means[0])
    assert losses.mtp.item() == pytest.approx(sum(means[1:]) / NUM_DEPTHS)
    assert losses.router_z.item() == pytest.approx(z / num_counted)
    router = 0.2 * losses.router_z.item() + 0.3 * losses.balance.item()
    assert losses.total.item() == pytest.approx(means[0] + 0.5 * sum(means[1:]) / NUM_DEPTHS + router)


def test_totals_count_the_targets_of_every_depth():
    totals = further_totals()
    expected = [sum(counts(row, t, depth) for row in range(3) for t in range(10)) for depth in range(NUM_DEPTHS + 1)]
    assert [totals.num_targets, *totals.further_targets] == expected == [19, 14, 9, 6]
    assert [totals.num_counted, *totals.further_counted] == expected
    assert totals.num_tokens == 10 + 9 + 4
    tokens = as_totals(count_totals([packed_batch()], counted=Counted.tokens, num_mtp_layers=1))
    assert tokens.num_counted == tokens.num_tokens and tokens.further_counted == [7 + 7 + 2]


def test_shares_of_further_tokens_add_up_for_any_split_into_microbatches():
    whole, total = further_output(), 0.0
    expected = compute_losses(whole, packed_batch(), loss=LOSS, balance=BALANCE, totals=further_totals()).total
    expected.backward()
    gradient_VD = 0.0
    for part in (slice(0, 1), slice(1, 3)):
        output = further_output(part)
        share = compute_losses(output, packed_batch(part), loss=LOSS, balance=BALANCE, totals=further_totals()).total
        share.backward()
        total, gradient_VD = total + share.item(), gradient_VD + output.unembedding_VD.grad
        for mine_BTD, all_BTD in zip(output.further_BTD, whole.further_BTD, strict=True):
            torch.testing.assert_close(mine_BTD.grad, all_BTD.grad[part])
    assert total == pytest.approx(expected.item())
    torch.testing.assert_close(gradient_VD, whole.unembedding_VD.grad)


@torch.no_grad()
def test_the_loss_of_each_token_adds_up_to_the_loss_of_the_step():
    output, batch = further_output(), packed_batch()
    nats_BT = token_losses(output, batch)
    step = compute_losses(output, batch, loss=LOSS, balance=BALANCE, totals=further_totals())
    assert nats_BT.sum().item() == pytest.approx(step.language.item() * 19)
    assert (nats_BT[batch.loss_mask_BT == 0] == 0).all() and nats_BT.dtype is torch.float32


def test_the_weight_of_further_tokens_scales_their_gradient_alone():
    gradients = []
    for weight in (0.0, 0.25, 0.5):
        output = further_output()
        loss = LossConfig(mtp_weight=weight)
        compute_losses(output, packed_batch(), loss=loss, balance=BALANCE, totals=further_totals()).total.backward()
        gradients.append((output.hidden_BTD.grad, torch.stack([x_BTD.grad for x_BTD in output.further_BTD])))
    assert gradients[0][1].abs().max() == 0 < gradients[1][1].abs().max()
    torch.testing.assert_close(gradients[2][1], 2 * gradients[1][1])
    torch.testing.assert_close(gradients[2][0], gradients[0][0])


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_negative_weight_of_further_tokens_is_refused(value: float):
    with pytest.raises(
        ValueError, match=f"loss.mtp_weight={value} must not be negative or infinite: use model.num_mtp"
    ):
        LossConfig(mtp_weight=value)


@pytest.mark.parametrize("key", ["bias_rate", "loss_weight", "z_loss_weight"])
@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_negative_factors_are_refused(key: str, value: float):
    with pytest.raises(ValueError, match=f"balance.{key}={value} must not be negative: use 0"):
        BalanceConfig(**{key: value})
