"""How far two implementations of one model agree on the same tokens: logits, their distributions and the experts chosen."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from mai1.model.transformer import MoETransformer


@dataclass(slots=True)
class Agreement:
    """Sums over all tokens compared so far."""

    num_tokens: int = 0
    max_logit_difference: float = 0.0
    kl_sum: float = 0.0
    same_top: int = 0
    same_experts: int = 0
    num_choices: int = 0
    """Tokens times MoE layers."""

    def figures(self) -> dict:
        """As a proof states them."""
        return {
            "max_logit_difference": self.max_logit_difference,
            "mean_kl": self.kl_sum / self.num_tokens,
            "top1_agreement": self.same_top / self.num_tokens,
            "routing_agreement": self.same_experts / self.num_choices,
        }


@torch.no_grad()
def agreement_of(ours: MoETransformer, theirs: PreTrainedModel, rows: list[list[int]]) -> Agreement:
    """Both models on each row of tokens, ours being the reference of the divergence; ValueError for other MoE layers.

    `mean_kl` is KL(ours || theirs) of the next token in nats, `routing_agreement` the share of tokens and layers whose set
    of experts is the same.
    """
    total = Agreement()
    for row in rows:
        tokens_BT = torch.tensor([row])
        with _chosen_experts(theirs) as chosen:
            theirs_TV = theirs(tokens_BT, use_cache=False).logits[0].float()
        mine = ours(tokens_BT)
        ours_TV = mine.logits_BTV[0].float()
        total.num_tokens += len(row)
        total.max_logit_difference = max(total.max_logit_difference, (ours_TV - theirs_TV).abs().max().item())
        total.kl_sum += _divergence(ours_TV, theirs_TV)
        total.same_top += int((ours_TV.argmax(-1) == theirs_TV.argmax(-1)).sum())
        _count_choices(total, {layer: routing.experts_NK for layer, routing in mine.routings.items()}, chosen)
    return total


def _divergence(ours_TV: torch.Tensor, theirs_TV: torch.Tensor) -> float:
    """Summed over positions."""
    mine_TV, their_TV = (logits_TV.double().log_softmax(-1) for logits_TV in (ours_TV, theirs_TV))
    return float((mine_TV.exp() * (mine_TV - their_TV)).sum())


def _count_choices(total: Agreement, ours: dict[int, torch.Tensor], theirs: dict[int, torch.Tensor]) -> None:
    if ours.keys() != theirs.keys():
        raise ValueError(f"our MoE layers are {sorted(ours)} but transformers' are {sorted(theirs)}")
    for layer, mine_NK in ours.items():
        their_NK = theirs[layer].view(len(mine_NK), -1)
        total.same_experts += int((mine_NK.sort(-1)[0] == their_NK.sort(-1)[0]).all(-1).sum())
        total.num_choices += len(mine_NK)


@contextmanager
def _chosen_experts(model: PreTrainedModel) -> Iterator[dict[int, torch.Tensor]]:
    """The expert ids that each of transformers' routers returns as its last output, by layer."""
    chosen: dict[int, torch.Tensor] = {}
    hooks = []
    for layer, block in enumerate(model.model.layers):
        gate = getattr(block.mlp, "gate", None)
        if gate is not None and type(gate).__name__.endswith("Router"):
            hooks.append(gate.register_forward_hook(lambda _m, _i, out, layer=layer: chosen.update({layer: out[-1]})))
    try:
        yield chosen
    finally:
        for hook in hooks:
            hook.remove()
