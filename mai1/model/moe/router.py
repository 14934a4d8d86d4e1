"""The router: which experts each token goes to, and with what weight.

Legend: B sequences, T positions, N = B*T tokens, D width, E experts, K choices per token, G expert groups.
"""

from dataclasses import dataclass, replace
from enum import Enum

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from mai1.model.lora import merged
from mai1.model.moe.routing_policy import (
    Choice,
    RoutingConfig,
    experts_choose,
    experts_in_turn,
    jitter_noise,
    within_capacity,
)
from mai1.model.sequence_parallel import own_positions, place_in_rows, whole_rows

PLAIN = RoutingConfig()
"""Dropless token choice: how evaluation and generation always route."""
TINY = torch.tensor(1e-20)
"""Keeps a sum of weights from being 0; a tensor, because a number would be made one in every call."""


class Scores(Enum):
    """How logits become affinities."""

    softmax = "softmax"  # Shazeer et al. 2017, arXiv 1701.06538; Qwen3-MoE, OLMoE, Mixtral
    sigmoid = "sigmoid"  # DeepSeek-V3, arXiv 2412.19437, eq. 15; GLM-4-MoE


@dataclass(slots=True)
class TokenMarks:
    """What routing has to know of a microbatch's rows besides their tokens; of whole rows, whatever this rank holds."""

    valid_BT: torch.Tensor | None
    """bool; false marks padding, which takes no place where places are limited. None where no places are."""
    counted_BT: torch.Tensor | None
    """bool; tokens that are load and enter the router's losses. Padding never is. None where nothing is counted."""
    samples_B: torch.Tensor | None = None
    """int64 numbers of the sequences in the run's global order; jitter needs them."""
    sequence_group: dist.ProcessGroup | None = None
    """The ranks over which the rows' positions are spread; None where this rank holds all of them."""

    def of_whole_rows(self, x_NE: torch.Tensor) -> torch.Tensor:
        """What belongs to this rank's tokens, `[N, ...]`, for the tokens of whole rows; no gradient flows through it."""
        return whole_rows(x_NE.unflatten(0, (len(self.valid_BT), -1)), self.sequence_group).flatten(0, 1)

    def of_own_positions(self, x_NE: torch.Tensor) -> torch.Tensor:
        """What belongs to the tokens of whole rows, for this rank's, `[N, ...]`."""
        return own_positions(x_NE.unflatten(0, self.valid_BT.shape), self.sequence_group).flatten(0, 1)


UNCOUNTED = TokenMarks(None, None)
"""In generation, where choices are plain and nobody asks how many there were."""


def all_count(num_sequences: int, num_positions: int, *, device: torch.device) -> TokenMarks:
    """Marks of a microbatch without padding."""
    all_BT = torch.ones(num_sequences, num_positions, dtype=torch.bool, device=device)
    return TokenMarks(all_BT, all_BT)


@dataclass
class Routing:
    """One MoE layer's decisions for the N tokens of a microbatch; differentiable through scores and weights."""

    logits_NE: torch.Tensor
    """fp32 router logits."""
    scores_NE: torch.Tensor
    """fp32 affinities of every token to every expert, before the selection bias."""
    experts_NK: torch.Tensor
    """int64 ids of the chosen experts; `num_experts` where there is none, because of capacity or expert choice."""
    weights_NK: torch.Tensor
    """fp32 weights with which the chosen experts' outputs are added; 0 where there is none."""
    counted_BT: torch.Tensor | None
    """bool; the tokens of which the counts and the router's losses are made. None, as are these, in generation."""
    tokens_per_expert_BE: torch.Tensor | None
    """int64 count of the counted tokens' choices in each sequence, those dropped for capacity included (Switch, eq. 5)."""
    dropped_E: torch.Tensor | None
    """int64 count of the counted tokens' choices that were dropped for capacity."""

    @property
    def tokens_per_expert_E(self) -> torch.Tensor:
        """int64 count of choices: the load that balancing evens out."""
        return self.tokens_per_expert_BE.sum(0)


class Router(nn.Module):
    """Top-k routing in fp32 whatever the model's dtype.

    The selection bias (DeepSeek-V3 eq. 16; Wang et al. 2024, arXiv 2408.15664) is added for the choice of experts only,
    never to their weights, and never receives a gradient: `balance.update_selection_bias` moves it once per step.
    """

    lora_scale = 0.0
    """What an adapter's B A is multiplied by; 0 where there is none."""

    def __init__(
        self,
        d_model: int,
        *,
        num_experts: int,
        top_k: int,
        scores: Scores,
        normalize_weights: bool,
        scaling_factor: float,
        num_groups: int,
        top_groups: int,
    ) -> None:
        super().__init__()
        self.top_k, self.scores = top_k, scores
        self.normalize_weights, self.scaling_factor = normalize_weights, scaling_factor
        self.num_groups, self.top_groups = num_groups, top_groups
        self.policy, self.noise_seed = PLAIN, 0
        """How to route in training mode, and this layer's key of the jitter."""
        self.weight = nn.Parameter(torch.empty(num_experts, d_model))
        if scores is Scores.sigmoid:  # softmax families of Hugging Face have no place for a bias
            self.register_buffer("selection_bias", torch.zeros(num_experts, dtype=torch.float32))

    def forward(self, x_ND: torch.Tensor, marks: TokenMarks | None = None) -> Routing:
        """Route `[N, D]`; without marks as one sequence in which every token counts."""
        marks = marks or all_count(1, len(x_ND), device=x_ND.device)
        policy = self.policy if self.training else PLAIN
        x_ND = x_ND.float()
        if policy.jitter:
            x_ND = x_ND * self._noise(marks, width=x_ND.shape[1], amount=policy.jitter)
        logits_NE = F.linear(x_ND, self.matrix_ED)
        scores_NE = logits_NE.softmax(-1) if self.scores is Scores.softmax else logits_NE.sigmoid()
        experts_NK = self._choose(scores_NE.detach(), marks, policy)
        weights_NK = self._weigh(scores_NE, experts_NK, policy)
        if marks.counted_BT is None:
            return Routing(logits_NE, scores_NE, experts_NK, weights_NK, None, None, None)
        counted_BT = own_positions(marks.counted_BT, marks.sequence_group)
        counts_BE = count_choices(experts_NK, counted_BT, num_experts=scores_NE.shape[1])
        routing = Routing(
            logits_NE, scores_NE, experts_NK, weights_NK, counted_BT, counts_BE, torch.zeros_like(counts_BE[0])
        )
        if policy.capacity_factor and policy.choice is Choice.token:
            return _drop(routing, marks, factor=policy.capacity_factor)
        return routing

    @property
    def matrix_ED(self) -> torch.Tensor:
        """What maps tokens to logits, in fp32, the adapter included: so small that it is made whole in every forward."""
        if not self.lora_scale:
            return self.weight.float()
        return merged(self.weight, self.weight_lora_a, self.weight_lora_b, scale=self.lora_scale)

    def _noise(self, marks: TokenMarks, *, width: int, amount: float) -> torch.Tensor:
        assert marks.samples_B is not None, "jitter needs the sample numbers"
        slice_of_rows, num_slices = place_in_rows(marks.sequence_group)
        num_positions = marks.valid_BT.shape[1] // num_slices
        return jitter_noise(
            marks.samples_B,
            first_position=slice_of_rows * num_positions,
            num_positions=num_positions,
            width=width,
            seed=self.noise_seed,
            amount=amount,
        )

    def _choose(self, scores_NE: torch.Tensor, marks: TokenMarks, policy: RoutingConfig) -> torch.Tensor:
        if policy.choice is Choice.expert:  # a selection bias changes nothing in one expert's order of tokens
            whole_NE = marks.of_whole_rows(scores_NE)
            chosen_NK = experts_choose(whole_NE, marks.valid_BT, top_k=self.top_k, factor=policy.capacity_factor)
            return marks.of_own_positions(chosen_NK)
        if policy.forced_balance:
            return marks.of_own_positions(
                experts_in_turn(marks.valid_BT, top_k=self.top_k, num_experts=scores_NE.shape[1])
            )
        if self.scores is Scores.sigmoid:
            scores_NE = scores_NE + self.selection_bias
        if self.num_groups > 1:
            scores_NE = scores_NE.masked_fill(~self._best_groups(scores_NE), float("-inf"))
        return scores_NE.topk(self.top_k, dim=-1).indices

    def _weigh(self, scores_NE: torch.Tensor, experts_NK: torch.Tensor, policy: RoutingConfig) -> torch.Tensor:
        if policy.choice is Choice.expert:
            scores_NE = F.pad(scores_NE, (0, 1))  # the id beyond the last expert finds weight 0
        weights_NK = scores_NE.gather(1, experts_NK)
        if self.normalize_weights:
            weights_NK = weights_NK / (weights_NK.sum(-1, keepdim=True) + TINY)
        return weights_NK if self.scaling_factor == 1 else weights_NK * self.scaling_factor

    def _best_groups(self, scores_NE: torch.Tensor) -> torch.Tensor:
        """Group-limited selection (DeepSeek-V2, arXiv 2405.04434, §2.2.2): a group counts by its two best experts."""
        grouped = scores_NE.unflatten(1, (self.num_groups, -1))
        chosen_groups = grouped.topk(2, dim=-1).values.sum(-1).topk(self.top_groups, dim=-1).indices
        allowed_NG = torch.zeros(grouped.shape[:2], dtype=torch.bool, device=scores_NE.device)
        return allowed_NG.scatter_(1, chosen_groups, True)[..., None].expand_as(grouped).flatten(1)


def _drop(routing: Routing, marks: TokenMarks, *, factor: float) -> Routing:
    """The routing without the choices that find no place; the weights of the others stay as they are."""
    num_experts = routing.scores_NE.shape[1]
    wanted_NK = marks.of_whole_rows(routing.experts_NK)
    is_kept_NK = within_capacity(wanted_NK, marks.valid_BT, num_experts=num_experts, factor=factor)
    is_kept_NK = marks.of_own_positions(is_kept_NK)
    kept_NK = routing.experts_NK.masked_fill(~is_kept_NK, num_experts)
    kept_BE = count_choices(kept_NK, routing.counted_BT, num_experts=num_experts)
    return replace(
        routing,
        experts_NK=kept_NK,
        weights_NK=routing.weights_NK * is_kept_NK,
        dropped_E=(routing.tokens_per_expert_BE - kept_BE).sum(0),
    )


def count_choices(experts_NK: torch.Tensor, counted_BT: torch.Tensor, *, num_experts: int) -> torch.Tensor:
    """int64 `[B, E]`: how many choices of each sequence's counted tokens fell on each expert."""
    chosen_BR = experts_NK.view(len(counted_BT), -1)
    counts_BE = chosen_BR.new_zeros(len(counted_BT), num_experts + 1)  # the last column takes what has no expert
    counts_BE.scatter_add_(1, chosen_BR, counted_BT.long().repeat_interleave(experts_NK.shape[1], dim=1))
    return counts_BE[:, :num_experts]
