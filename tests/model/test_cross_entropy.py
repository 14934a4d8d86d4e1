"""Loss and gradients without the logits against the obvious way with them."""

import pytest
import torch
import torch.nn.functional as F

from mai1.model import cross_entropy
from mai1.model.cross_entropy import chunked_cross_entropy, selected_cross_entropy, token_cross_entropy
from tests.support.largest_tensor import LargestTensor

TOKENS, WIDTH, VOCABULARY = 23, 6, 17


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch):
    """Five tokens a chunk, so that the last one is shorter."""
    monkeypatch.setattr(cross_entropy, "LOGITS_AT_ONCE", {"cpu": 5 * VOCABULARY})
    monkeypatch.setattr(cross_entropy, "MIN_ROWS", 1)


def make_inputs(dtype: torch.dtype = torch.float32, *, scale: float = 1.0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    hidden_ND = torch.randn(TOKENS, WIDTH, generator=generator, dtype=torch.float64) * scale
    unembedding_VD = torch.randn(VOCABULARY, WIDTH, generator=generator, dtype=torch.float64)
    targets_N = torch.randint(VOCABULARY, (TOKENS,), generator=generator)
    weights_N = torch.rand(TOKENS, generator=generator) * (torch.arange(TOKENS) % 4 > 0)
    return hidden_ND.to(dtype).requires_grad_(), unembedding_VD.to(dtype).requires_grad_(), targets_N, weights_N


def in_chunks(*inputs: torch.Tensor) -> torch.Tensor:
    return chunked_cross_entropy(*inputs).total


def with_all_logits(hidden_ND, unembedding_VD, targets_N, weights_N) -> torch.Tensor:
    logits_NV = F.linear(hidden_ND, unembedding_VD)
    logits_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
    return (F.cross_entropy(logits_NV, targets_N, reduction="none") * weights_N).sum()


def loss_and_gradients(function, inputs: tuple[torch.Tensor, ...], *, factor: float = 1.0) -> list[torch.Tensor]:
    loss = function(*inputs)
    (loss * factor).backward()
    return [loss.detach(), inputs[0].grad, inputs[1].grad]


@pytest.mark.parametrize("factor", [1.0, -2.5])
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.08)])
def test_loss_and_gradients_equal_those_with_all_logits(dtype: torch.dtype, atol: float, factor: float):
    found = loss_and_gradients(in_chunks, make_inputs(dtype), factor=factor)
    expected = loss_and_gradients(with_all_logits, make_inputs(dtype), factor=factor)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=atol, rtol=1e-5)
    assert found[0].dtype is torch.promote_types(dtype, torch.float32) and found[1].dtype is found[2].dtype is dtype


def test_gradients_equal_finite_differences():
    hidden_ND, unembedding_VD, targets_N, weights_N = make_inputs(torch.float64)
    in_chunks(hidden_ND, unembedding_VD, targets_N, weights_N).backward()
    for matrix in (hidden_ND, unembedding_VD):
        flat = matrix.detach().view(-1)
        for place in range(0, len(flat), 5):
            losses = []
            for step in (1e-5, -2e-5):
                flat[place] += step
                with torch.no_grad():
                    losses.append(in_chunks(hidden_ND, unembedding_VD, targets_N, weights_N).item())
            flat[place] += 1e-5
            slope = (losses[0] - losses[1]) / 2e-5
            assert matrix.grad.view(-1)[place].item() == pytest.approx(slope, abs=1e-6)


def test_a_tied_matrix_gets_the_gradient_of_both_its_uses():
    gradients = []
    for function in (in_chunks, with_all_logits):
        _, matrix_VD, targets_N, weights_N = make_inputs()
        function(F.embedding(targets_N.flip(0), matrix_VD), matrix_VD, targets_N, weights_N).backward()
        gradients.append(matrix_VD.grad)
    torch.testing.assert_close(*gradients)


def test_no_gradient_is_computed_where_none_is_wanted():
    inputs = make_inputs()
    with torch.no_grad():
        loss = in_chunks(*inputs)
    assert not loss.requires_grad
    torch.testing.assert_close(loss, with_all_logits(*inputs).detach())


def test_each_tokens_nats_equal_those_with_all_logits():
    hidden_ND, unembedding_VD, targets_N, _ = make_inputs()
    nats_N = token_cross_entropy(hidden_ND, unembedding_VD, targets_N)
    expected_N = F.cross_entropy(F.linear(hidden_ND, unembedding_VD), targets_N, reduction="none")
    torch.testing.assert_close(nats_N, expected_N.detach())
    assert not nats_N.requires_grad


def test_logits_beyond_the_range_of_exp_are_exact():
    inputs = make_inputs(scale=500.0)
    found, expected = (loss_and_gradients(f, make_inputs(scale=500.0)) for f in (in_chunks, with_all_logits))
    assert with_all_logits(*inputs) / inputs[3].sum() > 500  # nats a token
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-3, rtol=1e-5)


def test_tokens_of_weight_zero_are_not_even_looked_at():
    hidden_ND, unembedding_VD, targets_N, weights_N = make_inputs()
    with torch.no_grad():
        hidden_ND[weights_N == 0] = float("nan")
    in_chunks(hidden_ND, unembedding_VD, targets_N, weights_N).backward()
    assert (hidden_ND.grad[weights_N == 0] == 0).all() and unembedding_VD.grad.isfinite().all()
    assert (hidden_ND.grad[weights_N > 0].abs().amax(1) > 0).all()


def test_nothing_to_learn_gives_zero_loss_and_gradients():
    hidden_ND, unembedding_VD, targets_N, weights_N = make_inputs()
    loss, *gradients = loss_and_gradients(in_chunks, (hidden_ND, unembedding_VD, targets_N, weights_N.zero_()))
    assert loss == 0 and all((gradient == 0).all() for gradient in gradients)


def test_a_second_backward_is_refused():
    loss = in_chunks(*make_inputs())
    loss.backward(retain_graph=True)
    with pytest.raises(AssertionError, match="a second backward"):
        loss.backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_never_more_than_a_chunk_of_logits_exists(dtype: torch.dtype):
    inputs = make_inputs(dtype)
    with LargestTensor() as largest:
        in_chunks(*inputs).backward()
        token_cross_entropy(*inputs[:3])
    assert largest.numel == max(TOKENS * WIDTH, VOCABULARY * WIDTH, 5 * VOCABULARY) < TOKENS * VOCABULARY


def keep_a_third(nats_N: torch.Tensor) -> torch.Tensor:
    """The highest losses, at weights that differ."""
    assert not nats_N.requires_grad
    return (nats_N >= nats_N.topk(len(nats_N) // 3).values[-1]) * (1 + nats_N)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.3)])
def test_gradients_of_selected_tokens_alone_equal_those_of_masked_ones(dtype: torch.dtype, atol: float):
    hidden_ND, unembedding_VD, targets_N, _ = make_inputs(dtype)
    selected = selected_cross_entropy(hidden_ND, unembedding_VD, targets_N, keep_a_third)
    (selected.total * -2.0).backward()
    assert (selected.weights_N > 0).sum() == 7 and (hidden_ND.grad[selected.weights_N == 0] == 0).all()
    again_ND, again_VD, _, _ = make_inputs(dtype)
    logits_NV = F.linear(again_ND, again_VD).to(selected.total.dtype)
    nats_N = F.cross_entropy(logits_NV, targets_N, reduction="none")
    expected = (nats_N * keep_a_third(nats_N.detach())).sum()
    (expected * -2.0).backward()
    for mine, theirs in (
        (selected.total, expected),
        (selected.nats_N, nats_N.detach()),
        (hidden_ND.grad, again_ND.grad),
        (unembedding_VD.grad, again_VD.grad),
    ):
        torch.testing.assert_close(mine, theirs, atol=atol, rtol=1e-5)


def test_selecting_by_weights_that_are_given_is_the_plain_loss_bit_for_bit():
    inputs, again = make_inputs(), make_inputs()
    plain = chunked_cross_entropy(*inputs)
    selected = selected_cross_entropy(*again[:3], lambda nats_N: again[3])
    plain.total.backward(), selected.total.backward()
    assert torch.equal(plain.total, selected.total) and torch.equal(inputs[0].grad, again[0].grad)
    assert torch.equal(inputs[1].grad, again[1].grad)


def test_selecting_nothing_gives_zero_loss_and_gradients():
    hidden_ND, unembedding_VD, targets_N, _ = make_inputs()
    selected = selected_cross_entropy(hidden_ND, unembedding_VD, targets_N, torch.zeros_like)
    selected.total.backward()
    assert selected.total == 0 and (hidden_ND.grad == 0).all() and (unembedding_VD.grad == 0).all()
    assert (selected.nats_N > 0).all()


def test_the_losses_of_single_tokens_come_with_their_sum():
    inputs = make_inputs()
    found = chunked_cross_entropy(*inputs)
    expected_N = token_cross_entropy(*inputs[:3])
    torch.testing.assert_close(found.nats_N, expected_N.where(inputs[3] > 0, 0))
    assert torch.equal(found.weights_N, inputs[3])
    torch.testing.assert_close(found.total.detach(), (expected_N * inputs[3]).sum())
    assert not found.nats_N.requires_grad
    with torch.no_grad():
        assert torch.equal(chunked_cross_entropy(*inputs).nats_N, found.nats_N)
