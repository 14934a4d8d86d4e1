"""Cross-entropy straight from hidden states: never more than a chunk of the logits exists.

Loss and both gradients of a chunk are computed together in the forward, while its logits are there, as in Liger (Hsu et
al. 2024, arXiv 2410.10989, §3.2) and Cut Cross-Entropy (Wijmans et al. 2024, arXiv 2411.09009).

Legend: N tokens, C tokens of a chunk, K tokens that are kept, D width, V vocabulary.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch.autograd.function import once_differentiable

LOGITS_AT_ONCE = {"cpu": 2**22, "cuda": 2**28}
"""Logits of one chunk: on a CPU about what stays in its caches, on a GPU enough for large products."""
MIN_ROWS = 256
"""Fewer rows would spend the time on adding to the weight's gradient."""


@dataclass(slots=True)
class CrossEntropy:
    """Of a number of tokens."""

    total: torch.Tensor
    """Sum of `weight * nats`: fp32 (fp64 for fp64 input); it can be differentiated once, by hidden states and unembedding."""
    nats_N: torch.Tensor
    """Every token's nats, detached; 0 for tokens that were left out because their weight is 0."""
    weights_N: torch.Tensor
    """What they were weighted with."""


def chunked_cross_entropy(
    hidden_ND: torch.Tensor, unembedding_VD: torch.Tensor, targets_N: torch.Tensor, weights_N: torch.Tensor
) -> CrossEntropy:
    """Weighted sum over tokens, with the nats of each, which its forward knows anyway.

    The softmax is in fp32 whatever the dtype of the products. Memory beyond the gradients: the logits of one chunk. On a
    CPU tokens of weight 0 cost nothing.
    """
    kept_N = None if hidden_ND.is_cuda else weights_N.nonzero().squeeze(1)  # a GPU's host would wait for the number
    if kept_N is None or len(kept_N) == len(weights_N):
        return CrossEntropy(*_weighted_sum(hidden_ND, unembedding_VD, targets_N, weights_N), weights_N)
    total, nats_K = _weighted_sum(*_kept(kept_N, hidden_ND, unembedding_VD, targets_N, weights_N))
    return CrossEntropy(total, nats_K.new_zeros(len(weights_N)).index_copy_(0, kept_N, nats_K), weights_N)


def selected_cross_entropy(
    hidden_ND: torch.Tensor,
    unembedding_VD: torch.Tensor,
    targets_N: torch.Tensor,
    weigh: Callable[[torch.Tensor], torch.Tensor],
) -> CrossEntropy:
    """The same where weights follow from the losses: `weigh` makes fp32 weights `[N]` of all tokens' nats.

    Every token costs its logits. What is kept, of a weight other than 0, costs logits and gradients besides: three times
    as much. So up to two thirds of the tokens are cheaper than all of them in one go.
    """
    nats_N = token_cross_entropy(hidden_ND, unembedding_VD, targets_N)
    weights_N = weigh(nats_N)
    kept_N = weights_N.nonzero().squeeze(1)  # the only wait of a GPU's host, once a microbatch
    total, _ = _weighted_sum(*_kept(kept_N, hidden_ND, unembedding_VD, targets_N, weights_N))
    return CrossEntropy(total, nats_N, weights_N)


@torch.no_grad()
def token_cross_entropy(hidden_ND: torch.Tensor, unembedding_VD: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:
    """Nats of every token, fp32 `[N]`, without gradients."""
    nats_N = _in_full(hidden_ND.new_empty(0)).new_empty(len(hidden_ND))
    for part, logits_CV in _logits_of_chunks(hidden_ND, unembedding_VD):
        nats_N[part], _ = _exponentiate(logits_CV, targets_N[part])
    return nats_N


def _kept(
    kept_N: torch.Tensor,
    hidden_ND: torch.Tensor,
    unembedding_VD: torch.Tensor,
    targets_N: torch.Tensor,
    weights_N: torch.Tensor,
) -> tuple[torch.Tensor, ...]:
    """The inputs of some tokens alone."""
    return hidden_ND.index_select(0, kept_N), unembedding_VD, targets_N[kept_N], weights_N[kept_N]


def _weighted_sum(
    hidden_ND: torch.Tensor, unembedding_VD: torch.Tensor, targets_N: torch.Tensor, weights_N: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The sum and each token's nats."""
    if torch.is_grad_enabled():
        return _CrossEntropy.apply(hidden_ND, unembedding_VD, targets_N, weights_N)
    nats_N = token_cross_entropy(hidden_ND, unembedding_VD, targets_N)
    return (nats_N * weights_N).sum(), nats_N


class _CrossEntropy(torch.autograd.Function):
    """The gradient by the logits is `weight * (exp / sum - onehot)`.

    What is multiplied with the other matrix is `exp - sum * onehot`; the factor `weight / sum` goes to the narrow side of
    both products, which saves a pass over the logits.
    """

    @staticmethod
    def forward(ctx, hidden_ND, unembedding_VD, targets_N, weights_N):
        loss = _in_full(hidden_ND.new_zeros(()))
        nats_N = loss.new_empty(len(hidden_ND))
        grad_hidden_ND, grad_unembedding_VD = torch.empty_like(hidden_ND), None
        if ctx.needs_input_grad[1]:
            grad_unembedding_VD = _in_full(torch.zeros_like(unembedding_VD))
        for part, logits_CV in _logits_of_chunks(hidden_ND, unembedding_VD):
            targets_C, weights_C, hidden_CD = targets_N[part], weights_N[part], hidden_ND[part]
            nats_N[part], sums_C = _exponentiate(logits_CV, targets_C)
            loss += (nats_N[part] * weights_C).sum()
            logits_CV.scatter_add_(1, targets_C[:, None], -sums_C[:, None])
            factors_C1 = (weights_C / sums_C)[:, None]
            error_CV = logits_CV.to(hidden_ND.dtype)
            torch.mm(error_CV, unembedding_VD, out=grad_hidden_ND[part]).mul_(factors_C1)
            if grad_unembedding_VD is not None:
                _add_product(grad_unembedding_VD, error_CV.t(), (hidden_CD * factors_C1).to(hidden_CD.dtype))
        ctx.gradients = grad_hidden_ND, grad_unembedding_VD
        ctx.mark_non_differentiable(nats_N)
        return loss, nats_N

    @staticmethod
    @once_differentiable
    def backward(ctx, grad, *_):
        assert ctx.gradients is not None, "the gradients are scaled in place: a second backward would scale them again"
        grad_hidden_ND, grad_unembedding_VD = ctx.gradients
        ctx.gradients = None
        if grad_unembedding_VD is not None:
            grad_unembedding_VD.mul_(grad)
        return grad_hidden_ND.mul_(grad), grad_unembedding_VD, None, None


def _logits_of_chunks(hidden_ND: torch.Tensor, unembedding_VD: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
    """Each chunk's range and its logits in fp32, which the next chunk may overwrite."""
    num_tokens, vocab_size = len(hidden_ND), len(unembedding_VD)
    rows = max(MIN_ROWS, LOGITS_AT_ONCE[hidden_ND.device.type] // vocab_size)
    buffer_CV = hidden_ND.new_empty(min(rows, num_tokens), vocab_size)
    for first in range(0, num_tokens, rows):
        part = slice(first, min(first + rows, num_tokens))
        logits_CV = torch.mm(hidden_ND[part], unembedding_VD.t(), out=buffer_CV[: part.stop - part.start])
        yield part, _in_full(logits_CV)


def _exponentiate(logits_CV: torch.Tensor, targets_C: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn logits into `exp(logit - largest)` in place; returns every token's nats and the sum of its exponentials."""
    target_C1, largest_C1 = logits_CV.gather(1, targets_C[:, None]), logits_CV.amax(1, keepdim=True)
    sums_C = logits_CV.sub_(largest_C1).exp_().sum(1)
    return sums_C.log() + (largest_C1 - target_C1).squeeze(1), sums_C


def _add_product(sum_VD: torch.Tensor, left_VC: torch.Tensor, right_CD: torch.Tensor) -> None:
    if sum_VD.dtype is left_VC.dtype:
        sum_VD.addmm_(left_VC, right_CD)
    else:  # products in bf16 are summed over chunks in fp32
        sum_VD += left_VC @ right_CD


def _in_full(x: torch.Tensor) -> torch.Tensor:
    """At least fp32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
