"""Cross-entropy straight from hidden states: never more than a chunk of the logits exists.

Loss and both gradients of a chunk are computed together in the forward, while its logits are there, as in Liger (Hsu et
al. 2024, arXiv 2410.10989, §3.2) and Cut Cross-Entropy (Wijmans et al. 2024, arXiv 2411.09009).

Legend: N tokens, C tokens of a chunk, D width, V vocabulary.
"""

from collections.abc import Iterator

import torch
from torch.autograd.function import once_differentiable

LOGITS_AT_ONCE = {"cpu": 2**22, "cuda": 2**28}
"""Logits of one chunk: on a CPU about what stays in its caches, on a GPU enough for large products."""
MIN_ROWS = 256
"""Fewer rows would spend the time on adding to the weight's gradient."""


def chunked_cross_entropy(
    hidden_ND: torch.Tensor, unembedding_VD: torch.Tensor, targets_N: torch.Tensor, weights_N: torch.Tensor
) -> torch.Tensor:
    """Sum over tokens of `weight * nats`: fp32 (fp64 for fp64 input), differentiable by hidden states and unembedding.

    The softmax is in fp32 whatever the dtype of the products. Memory beyond the gradients: the logits of one chunk. On a
    CPU tokens of weight 0 cost nothing. The loss can be differentiated once.
    """
    if not hidden_ND.is_cuda:  # a GPU's host would have to wait for the number
        kept_N = weights_N.nonzero().squeeze(1)
        if len(kept_N) < len(weights_N):
            hidden_ND = hidden_ND.index_select(0, kept_N)
            targets_N, weights_N = targets_N[kept_N], weights_N[kept_N]
    if torch.is_grad_enabled():
        return _CrossEntropy.apply(hidden_ND, unembedding_VD, targets_N, weights_N)
    return (token_cross_entropy(hidden_ND, unembedding_VD, targets_N) * weights_N).sum()


@torch.no_grad()
def token_cross_entropy(hidden_ND: torch.Tensor, unembedding_VD: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:
    """Nats of every token, fp32 `[N]`, without gradients."""
    nats_N = _in_full(hidden_ND.new_empty(0)).new_empty(len(hidden_ND))
    for part, logits_CV in _logits_of_chunks(hidden_ND, unembedding_VD):
        nats_N[part], _ = _exponentiate(logits_CV, targets_N[part])
    return nats_N


class _CrossEntropy(torch.autograd.Function):
    """The gradient by the logits is `weight * (exp / sum - onehot)`.

    What is multiplied with the other matrix is `exp - sum * onehot`; the factor `weight / sum` goes to the narrow side of
    both products, which saves a pass over the logits.
    """

    @staticmethod
    def forward(ctx, hidden_ND, unembedding_VD, targets_N, weights_N):
        loss = _in_full(hidden_ND.new_zeros(()))
        grad_hidden_ND, grad_unembedding_VD = torch.empty_like(hidden_ND), _in_full(torch.zeros_like(unembedding_VD))
        for part, logits_CV in _logits_of_chunks(hidden_ND, unembedding_VD):
            targets_C, weights_C, hidden_CD = targets_N[part], weights_N[part], hidden_ND[part]
            nats_C, sums_C = _exponentiate(logits_CV, targets_C)
            loss += (nats_C * weights_C).sum()
            logits_CV.scatter_add_(1, targets_C[:, None], -sums_C[:, None])
            factors_C1 = (weights_C / sums_C)[:, None]
            error_CV = logits_CV.to(hidden_ND.dtype)
            torch.mm(error_CV, unembedding_VD, out=grad_hidden_ND[part]).mul_(factors_C1)
            _add_product(grad_unembedding_VD, error_CV.t(), (hidden_CD * factors_C1).to(hidden_CD.dtype))
        ctx.gradients = grad_hidden_ND, grad_unembedding_VD
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        assert ctx.gradients is not None, "the gradients are scaled in place: a second backward would scale them again"
        grad_hidden_ND, grad_unembedding_VD = ctx.gradients
        ctx.gradients = None
        return grad_hidden_ND.mul_(grad), grad_unembedding_VD.mul_(grad), None, None


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
