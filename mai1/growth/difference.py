"""How far the result of a growth is from its source, on rows of text.

Legend: B rows, T positions, N = T - 1 predicted tokens of a row, V vocabulary.
"""

import sys
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from tqdm import tqdm

from mai1.model.transformer import MoETransformer


@dataclass(frozen=True, slots=True)
class Difference:
    """Between two models' predictions of the same tokens."""

    max_logit: float
    """Largest absolute difference of two logits."""
    mean_logit: float
    """Mean absolute difference."""
    kl: float
    """Nats a token of Kullback-Leibler divergence, from the source's distribution to the result's."""
    loss_before: float
    """Nats a token of the source."""
    loss_after: float
    tokens: int

    def __str__(self) -> str:
        return (
            f"logits differ by {self.max_logit:.1e} at most and {self.mean_logit:.1e} on average, KL {self.kl:.1e} "
            f"nats/token, loss {self.loss_before:.4f} -> {self.loss_after:.4f} nats/token on {self.tokens:,} tokens"
        )

    def facts(self) -> dict:
        """JSON-able."""
        return asdict(self)


@torch.no_grad()
def difference(source: MoETransformer, result: MoETransformer, rows: list[list[int]]) -> Difference:
    """Both in evaluation mode; `rows` hold at least one token that is predicted. Logits of one row at a time are whole."""
    sums, largest, num_logits, num_tokens = torch.zeros(4, dtype=torch.float64), 0.0, 0, 0
    for row in tqdm(rows, desc="comparing", unit="row", delay=2.0, leave=False, file=sys.stderr):
        tokens_BT = torch.tensor([row])
        before_NV, after_NV = (model(tokens_BT).logits_BTV[0, :-1].double() for model in (source, result))
        gap_NV, targets_N = (before_NV - after_NV).abs(), tokens_BT[0, 1:]
        log_before_NV, log_after_NV = before_NV.log_softmax(-1), after_NV.log_softmax(-1)
        kl = F.kl_div(log_after_NV, log_before_NV, log_target=True, reduction="sum")
        losses = [F.nll_loss(log_NV, targets_N, reduction="sum") for log_NV in (log_before_NV, log_after_NV)]
        sums += torch.stack([gap_NV.sum(), kl, *losses])
        largest, num_logits, num_tokens = (
            max(largest, float(gap_NV.max())),
            num_logits + gap_NV.numel(),
            num_tokens + len(targets_N),
        )
    total, kl, before, after = sums.tolist()
    means = (total / num_logits, kl / num_tokens, before / num_tokens, after / num_tokens)
    return Difference(largest, *means, num_tokens)
