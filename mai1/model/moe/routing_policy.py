"""How training routes, beyond plain top-k: expert choice, capacity, jitter and forced balance; evaluation has none of it.

A policy acts within one sequence (a row of the batch) and draws no random numbers, so that what a token gets depends on
neither ranks, microbatches, recomputation nor restarts. Where a token has fewer choices than columns, the rest hold the
id `num_experts`, one beyond the last expert, and weight 0.

Legend: B sequences, T positions, N = B*T tokens, D width, E experts, K choices per token.
"""

import hashlib
import math
from dataclasses import dataclass
from enum import Enum

import torch


class Choice(Enum):
    """Who chooses."""

    token = "token"  # each token its best experts: Shazeer et al. 2017, arXiv 1701.06538
    expert = "expert"  # each expert its best tokens: Zhou et al. 2022, arXiv 2202.09368


@dataclass(kw_only=True, slots=True)
class RoutingConfig:
    choice: Choice = Choice.token
    """token | expert. With expert, each expert takes its best tokens of every sequence: even load without balancing, but
    it looks at later tokens, and evaluation is by token all the same."""
    capacity_factor: float = 0.0
    """An expert's places in a sequence, as a multiple of the even share; choices beyond are dropped. 0: no token is ever
    dropped. With choice=expert the number of tokens each expert takes, 0 meaning 1."""
    jitter: float = 0.0
    """The router's input is multiplied by noise from 1-jitter to 1+jitter; 0 is off."""
    forced_balance: bool = False
    """Experts take turns whatever the router says. For measuring speed only: nothing useful is learned."""
    max_rows: int = 0
    """Most routed rows a rank holds at once; the rest is computed in further chunks. Bounds memory, changes no result. 0:
    all at once."""

    def __post_init__(self) -> None:
        if not 0 <= self.capacity_factor < math.inf:
            raise ValueError(
                f"routing.capacity_factor={self.capacity_factor} must not be negative or infinite: use 0 to drop nothing"
            )
        if not 0 <= self.jitter < 1:
            raise ValueError(f"routing.jitter={self.jitter} must be at least 0 and below 1: use 0 to turn it off")
        if self.max_rows < 0:
            raise ValueError(f"routing.max_rows={self.max_rows} must not be negative: use 0 for no limit")
        if self.forced_balance and self.choice is Choice.expert:
            raise ValueError(
                "routing.forced_balance=true cannot be used with routing.choice=expert, which is even by itself: "
                "use routing.choice=token"
            )

    @property
    def leaves_choices_out(self) -> bool:
        """Whether a token may get fewer experts than it wants."""
        return self.choice is Choice.expert or self.capacity_factor > 0


def experts_choose(scores_NE: torch.Tensor, valid_BT: torch.Tensor, *, top_k: int, factor: float) -> torch.Tensor:
    """Each expert takes the C tokens of every sequence with its highest scores (arXiv 2202.09368, eq. 2-3).

    C is the capacity; padding is never taken, and of equal scores the earlier token. A token may get no expert, or more
    than `top_k`. Which ones depends on later tokens of its sequence: a model that writes token by token cannot do this,
    so only training does. Returns int64 ids `[N, K']`, best first, as many columns as the most chosen token needs; their
    number is read from the device.
    """
    num_experts = scores_NE.shape[1]
    scores_BTE = scores_NE.unflatten(0, valid_BT.shape).masked_fill(~valid_BT[..., None], -math.inf)
    ranking_BTE = scores_BTE.argsort(dim=1, descending=True, stable=True)
    places_T = torch.arange(valid_BT.shape[1], device=scores_NE.device)
    place_BTE = torch.empty_like(ranking_BTE).scatter_(1, ranking_BTE, places_T[:, None].expand_as(ranking_BTE))
    capacity_B = expert_capacity(valid_BT, top_k=top_k, num_experts=num_experts, factor=factor or 1.0)
    is_taken_NE = (place_BTE < capacity_B[:, None, None]).flatten(0, 1)
    num_columns = max(1, int(is_taken_NE.sum(1).max()))
    best = scores_NE.masked_fill(~is_taken_NE, -math.inf).topk(num_columns)
    return best.indices.masked_fill(best.values.isneginf(), num_experts)


def within_capacity(
    experts_NK: torch.Tensor, valid_BT: torch.Tensor, *, num_experts: int, factor: float
) -> torch.Tensor:
    """Which choices find a place: bool `[N, K]` (Switch, arXiv 2101.03961, eq. 3, for the groups of GShard, 2006.16668, §2.2).

    A token's choices are distinct, padding's take no place. Places go by position. Serving all first choices before any
    second one, as GShard does, would let a later token's first choice push out an earlier token's second: information
    would flow backwards in time, which generation cannot repeat.
    """
    wanted_NE = experts_NK.new_zeros(len(experts_NK), num_experts, dtype=torch.int32)
    wanted_NE.scatter_(1, experts_NK, valid_BT.flatten()[:, None].expand_as(experts_NK).int())
    place_BTE = wanted_NE.unflatten(0, valid_BT.shape).cumsum(1, dtype=torch.int32)  # counted from 1
    capacity_B = expert_capacity(valid_BT, top_k=experts_NK.shape[1], num_experts=num_experts, factor=factor)
    has_place_NE = (place_BTE <= capacity_B[:, None, None]).flatten(0, 1) & (wanted_NE > 0)
    return has_place_NE.gather(1, experts_NK)


def expert_capacity(valid_BT: torch.Tensor, *, top_k: int, num_experts: int, factor: float) -> torch.Tensor:
    """Places of one expert in each sequence, `[B]`: ceil(factor * tokens * top_k / experts), at most one a token."""
    tokens_B = valid_BT.sum(1)
    even_B = tokens_B.double() * (factor * top_k / num_experts)
    return (even_B - 1e-6).ceil().long().minimum(tokens_B)  # what is whole but for rounding stays whole


def experts_in_turn(valid_BT: torch.Tensor, *, top_k: int, num_experts: int) -> torch.Tensor:
    """Forced balance: the choices of every sequence go round the experts, `[N, K]`; for measuring speed only."""
    turn_TK = torch.arange(valid_BT.shape[1] * top_k, device=valid_BT.device).view(-1, top_k)
    return (turn_TK % num_experts).repeat(valid_BT.shape[0], 1)


def noise_seed(seed: int, layer: int) -> int:
    """One layer's key for `jitter_noise`, from the run's seed."""
    return int.from_bytes(hashlib.sha256(f"{seed}:jitter:{layer}".encode()).digest()[:7], "big")


def jitter_noise(
    samples_B: torch.Tensor, *, num_positions: int, width: int, seed: int, amount: float, first_position: int = 0
) -> torch.Tensor:
    """fp32 factors `[N, D]` uniform in [1-amount, 1+amount) (Switch, arXiv 2101.03961, appendix C; 2202.08906).

    Every factor is a hash of (seed, sample number, position, channel), so it is the same wherever and whenever computed.
    """
    positions_T = torch.arange(first_position, first_position + num_positions, device=samples_B.device)
    channels_D = torch.arange(width, device=samples_B.device)
    key_B1 = _mix(samples_B + seed)[:, None]
    key_N1 = _mix(key_B1 + positions_T).flatten()[:, None]
    bits_ND = (_mix(key_N1 + channels_D) >> 40).bitwise_and_(0xFFFFFF)  # 24 bits are what fp32 holds exactly
    return bits_ND.float().mul_(2 * amount / 2**24).add_(1 - amount)


def _mix(key: torch.Tensor) -> torch.Tensor:
    """SplitMix64's step and finaliser (Steele et al. 2014, figure 17) on int64, whose products wrap around."""
    key = (key + 1).mul_(_GOLDEN)
    key.bitwise_xor_((key >> 30).bitwise_and_(0x3FFFFFFFF)).mul_(_FIRST)
    key.bitwise_xor_((key >> 27).bitwise_and_(0x1FFFFFFFFF)).mul_(_SECOND)
    return key.bitwise_xor_((key >> 31).bitwise_and_(0x1FFFFFFFF))


_GOLDEN, _FIRST, _SECOND = (c - 2**64 for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
