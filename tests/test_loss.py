import math

import pytest
import torch

from mai1.data.batch import Batch, Row, collate
from mai1.loss import StepTotals, compute_losses
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.moe.router import Routing
from mai1.model.transformer import ModelOutput
from tests.model.test_router import balance_by_loop

VOCABULARY, ROWS, LENGTH = 11, 3, 4
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
    logits_BTV = torch.randn(ROWS, LENGTH, VOCABULARY, generator=generator).requires_grad_()
    routings = {}
    for layer in layers:
        logits_NE = torch.randn(ROWS * LENGTH, 5, generator=generator).requires_grad_()
        scores_NE = logits_NE.sigmoid()
        routings[layer] = Routing(logits_NE, scores_NE, scores_NE.topk(2).indices, None, None)
    return ModelOutput(logits_BTV, routings)


def rows_of(output: ModelOutput, batch: Batch, part: slice) -> tuple[ModelOutput, Batch]:
    """A microbatch of some rows."""
    routings = {}
    for layer, routing in output.routings.items():
        whole = (routing.logits_NE, routing.scores_NE, routing.experts_NK)
        routings[layer] = Routing(*(x.unflatten(0, (ROWS, -1))[part].flatten(0, 1) for x in whole), None, None)
    tensors = [getattr(batch, name)[part] for name in Batch.__slots__[:-1]]
    return ModelOutput(output.logits_BTV[part], routings), Batch(*tensors, is_packed=True)


TOTALS = StepTotals(num_targets=7.0, num_tokens=9.0)
BALANCE = BalanceConfig(method=BalanceMethod.sequence_loss, loss_weight=0.3, z_loss_weight=0.2)


def test_losses_equal_a_loop_over_targets_and_tokens():
    batch, output = make_batch(), make_output()
    losses = compute_losses(output, batch, balance=BALANCE, totals=TOTALS)
    nats, z, balance = 0.0, 0.0, 0.0
    for b in range(ROWS):
        for t in range(LENGTH):
            logits = output.logits_BTV[b, t].tolist()
            probability = math.exp(logits[batch.targets_BT[b, t]]) / sum(map(math.exp, logits))
            nats -= batch.loss_mask_BT[b, t].item() * math.log(probability)
            if t < NUM_VALID[b]:
                z += sum(
                    math.log(sum(map(math.exp, r.logits_NE[b * LENGTH + t].tolist()))) ** 2
                    for r in output.routings.values()
                )
    valid_BT = torch.arange(LENGTH) < torch.tensor(NUM_VALID)[:, None]
    balance = sum(balance_by_loop(r.scores_NE, r.experts_NK, valid_BT).item() for r in output.routings.values())
    assert losses.language.item() == pytest.approx(nats / 7)
    assert losses.router_z.item() == pytest.approx(z / (2 * 9))
    assert losses.balance.item() == pytest.approx(balance / (2 * 9))
    assert losses.total.item() == pytest.approx(nats / 7 + 0.2 * z / 18 + 0.3 * balance / 18)


def test_shares_of_microbatches_add_up_to_the_whole_with_their_gradients():
    batch, whole = make_batch(), make_output()
    compute_losses(whole, batch, balance=BALANCE, totals=TOTALS).total.backward()
    parts, total = make_output(), 0.0
    for part in (slice(0, 1), slice(1, 2), slice(2, 3)):
        share = compute_losses(*rows_of(parts, batch, part), balance=BALANCE, totals=TOTALS).total
        assert part.start < 2 or share.item() == 0.0  # padding alone adds nothing
        share.backward(retain_graph=True)  # the parts come from one routing
        total += share.item()
    assert total == pytest.approx(compute_losses(whole, batch, balance=BALANCE, totals=TOTALS).total.item())
    torch.testing.assert_close(parts.logits_BTV.grad, whole.logits_BTV.grad)
    for layer, routing in whole.routings.items():
        torch.testing.assert_close(parts.routings[layer].logits_NE.grad, routing.logits_NE.grad)


@pytest.mark.parametrize("method", [BalanceMethod.bias, BalanceMethod.none])
def test_router_losses_that_are_off_reach_no_router(method: BalanceMethod):
    output = make_output()
    losses = compute_losses(
        output, make_batch(), balance=BalanceConfig(method=method, z_loss_weight=0.0), totals=TOTALS
    )
    losses.total.backward()
    assert losses.total.item() == losses.language.item() and losses.balance == losses.router_z == 0
    assert all(routing.logits_NE.grad is None for routing in output.routings.values())


def test_the_loss_of_bf16_logits_is_computed_in_fp32():
    batch, output = make_batch(), make_output()
    output.logits_BTV = output.logits_BTV.detach().to(torch.bfloat16)
    rounded = ModelOutput(output.logits_BTV.float(), output.routings)
    found, expected = (compute_losses(o, batch, balance=BALANCE, totals=TOTALS).language for o in (output, rounded))
    assert found.dtype is torch.float32 and found.item() == expected.item()


@pytest.mark.parametrize("key", ["bias_rate", "loss_weight", "z_loss_weight"])
@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_negative_factors_are_refused(key: str, value: float):
    with pytest.raises(ValueError, match=f"balance.{key}={value} must not be negative: use 0"):
        BalanceConfig(**{key: value})
