"""Log-likelihoods of continuations: each context is computed once and its other continuations go on from the cache.

Ranks share the batches. All of them know all requests, so all make the same forwards, which expert parallelism and ZeRO-3
need; where a rank has nothing left to ask, it asks padding.

Legend: B rows, T positions, D width, V vocabulary, N ids whose likelihood is wanted.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from tqdm import tqdm

from mai1.data.batch import Batch
from mai1.dist import World, sum_tensor_over_ranks
from mai1.evaluate.batches import Turn, plan_turns
from mai1.evaluate.requests import Request
from mai1.evaluate.rows import Forward, one_by_one
from mai1.generate.compiled_step import CompiledStep
from mai1.model.key_value_cache import KeyValueCache
from mai1.model.sequence_parallel import place_in_rows
from mai1.model.transformer import MoETransformer

LOGITS_AT_ONCE = {"cpu": 2**22, "cuda": 2**28}
"""Logits of one chunk."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """What a model thinks of a continuation."""

    log_likelihood: float
    """Natural logarithm of its probability: the sum over its ids."""
    is_greedy: bool
    """Whether each of its ids is the most likely one in its place."""


@dataclass(kw_only=True, slots=True)
class SharedModel:
    """A model as all ranks have it together, and how to pass something through it."""

    model: MoETransformer
    world: World
    pad_id: int
    max_length: int = 0
    """Ids that go into the model at a time; 0: as many as it is declared for."""
    tokens_at_once: int = 4096
    """Positions of one forward on one rank; a longer row passes alone."""
    num_stages: int = 1
    """Pipeline stages."""
    run: Callable[[list[Batch], Forward], None] = one_by_one
    """Passes microbatches through all stages: `Engine.eval_batch`."""
    step: CompiledStep | None = None
    """What computes the single tokens of replies, where it is not the model itself."""
    seen_tokens: int = field(default=0, init=False)
    """Positions that this rank computed so far, padding included."""

    def __post_init__(self) -> None:
        self.max_length = self.max_length or self.model.config.max_positions
        if not 1 <= self.max_length <= self.model.config.max_positions:
            raise ValueError(
                f"max_length={self.max_length} must be from 1 to the {self.model.config.max_positions} positions that the "
                "model is declared for: use 0 for these"
            )
        if self.tokens_at_once < 1:
            raise ValueError(f"tokens_at_once={self.tokens_at_once} must be at least 1")

    @property
    def keeps_whole_rows(self) -> bool:
        """Whether this rank's model holds all layers and positions of its rows, so that a cache can."""
        return self.num_stages == 1 and self.model.sequence_group is None

    @property
    def reader(self) -> tuple[int, int]:
        """Which of how many readers of different rows this rank belongs to."""
        sequence_size = place_in_rows(self.model.sequence_group)[1]
        ranks_of_stage = self.world.size // self.num_stages
        return self.world.rank % ranks_of_stage // sequence_size, ranks_of_stage // sequence_size


@torch.no_grad()
def log_likelihoods(shared: SharedModel, requests: Sequence[Request], *, label: str = "") -> list[Likelihood]:
    """The likelihood of every request, on every rank. Every rank must call this with the same requests.

    A context that is too long loses its beginning, as with the harness. ValueError for a continuation that alone is longer
    than the model's positions.
    """
    numbers: dict[Request, int] = {}
    for request in requests:
        numbers.setdefault(_fitting(request, shared.max_length), len(numbers))
    turns = plan_turns(list(numbers), tokens_at_once=shared.tokens_at_once, shares_contexts=shared.keeps_whole_rows)
    was_training = shared.model.training
    shared.model.eval()
    sums = _Sums(len(numbers), shared)
    compute = _with_cache if shared.keeps_whole_rows else _through_stages
    place, num_readers = shared.reader
    rounds = range(0, len(turns), num_readers)
    settings = {"unit": "batch", "delay": 2.0, "leave": False, "file": sys.stderr, "disable": not shared.world.is_main}
    for first in tqdm(rounds, desc=label or "likelihood", **settings):
        of_all = turns[first : first + num_readers]
        mine = of_all[place] if place < len(of_all) else Turn.of_padding(shared.pad_id)
        compute(shared, mine, sums, has_second=any(turn.has_second for turn in of_all))
    shared.model.train(was_training)
    found = sums.over_ranks()
    return [found[numbers[_fitting(request, shared.max_length)]] for request in requests]


def _fitting(request: Request, max_length: int) -> Request:
    """All that goes in is the context and the continuation without its last id."""
    room = max_length + 1 - len(request.continuation)
    if room < 1:
        raise ValueError(
            f"a continuation of {len(request.continuation)} tokens must have at most max_length={max_length}: leave its "
            "item out"
        )
    return request if len(request.context) <= room else Request(request.context[-room:], request.continuation)


class _Sums:
    """Adds up what each rank finds of each request."""

    def __init__(self, num_requests: int, shared: SharedModel) -> None:
        self._world = shared.world
        self._sums = torch.zeros(2, num_requests + 1, dtype=torch.float64, device=shared.world.device)
        """Log-likelihood, and ids that are not the most likely; at the end what padding gave."""

    def add(
        self, hidden_ND: torch.Tensor, unembedding_VD: torch.Tensor, targets_N: torch.Tensor, requests_N: torch.Tensor
    ) -> None:
        """Of ids `targets_N` of the requests with these numbers."""
        rows = max(1, LOGITS_AT_ONCE[hidden_ND.device.type] // len(unembedding_VD))
        for part in (slice(first, first + rows) for first in range(0, len(targets_N), rows)):
            logits_CV, targets_C = F.linear(hidden_ND[part], unembedding_VD).float(), targets_N[part]
            wanted_C = logits_CV.gather(1, targets_C[:, None])[:, 0] - logits_CV.logsumexp(1)
            missed_C = logits_CV.argmax(1) != targets_C
            self._sums[0].index_add_(0, requests_N[part], wanted_C.double())
            self._sums[1].index_add_(0, requests_N[part], missed_C.double())

    def over_ranks(self) -> list[Likelihood]:
        """By request."""
        nats, missed = sum_tensor_over_ranks(self._sums, self._world)[:, :-1].tolist()
        return [Likelihood(total, count == 0) for total, count in zip(nats, missed, strict=True)]


def _with_cache(shared: SharedModel, turn: Turn, sums: _Sums, *, has_second: bool) -> None:
    """First every context with its first continuation, then the others after the contexts' keys and values."""
    model, device = shared.model, shared.world.device
    first, second = turn.first_rows(), turn.second_rows(shared.pad_id) if has_second else None
    num_second = second.length if second is not None else 0
    cache = (
        KeyValueCache(num_layers=model.config.num_layers, capacity=first.length + num_second) if has_second else None
    )
    output = model(**first.inputs(shared.pad_id, device=device), cache=cache)
    sums.add(output.hidden_BTD[first.places(device)], output.unembedding_VD, *first.wanted(device))
    shared.seen_tokens += len(first.rows) * first.length
    if second is None:
        return
    keep_contexts(cache, [len(group.context) for group in turn.groups], rows=second.contexts)
    output = model(**second.inputs(shared.pad_id, device=device), cache=cache)
    sums.add(output.hidden_BTD[second.places(device)], output.unembedding_VD, *second.wanted(device))
    shared.seen_tokens += len(second.rows) * second.length


def keep_contexts(cache: KeyValueCache, lengths: list[int], *, rows: list[int]) -> None:
    """Leave of each row its first ids alone, and then take these rows, each as often as it is named."""
    place_T = torch.arange(cache.length, device=cache.segments_BS.device)
    is_context_BS = place_T < torch.tensor(lengths, device=place_T.device)[:, None]
    cache.segments_BS = cache.segments_BS.masked_fill(~is_context_BS, -1)
    cache.keep(rows)


def _through_stages(shared: SharedModel, turn: Turn, sums: _Sums, *, has_second: bool) -> None:
    """Whole rows, of which ranks may hold slices of positions, and stages some of the layers."""
    assert not has_second, "without a cache each continuation is a row of its own"
    sequence_rank, sequence_size = place_in_rows(shared.model.sequence_group)
    rows = turn.first_rows(multiple_of=sequence_size)
    batch = rows.batch(shared.pad_id, sequence_rank=sequence_rank, sequence_size=sequence_size)

    def measure(batch: Batch, x_BTD: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        batch = batch.to(shared.world.device)
        segments_BT = batch.isolating_segments_BT
        output = shared.model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=segments_BT, x_BTD=x_BTD)
        if output.unembedding_VD is not None:
            wanted_BT = batch.own(batch.loss_mask_BT) > 0
            owners_BT = batch.own(batch.sources_BT)
            sums.add(
                output.hidden_BTD[wanted_BT],
                output.unembedding_VD,
                batch.own(batch.targets_BT)[wanted_BT],
                owners_BT[wanted_BT],
            )
        return output.hidden_BTD, output.hidden_BTD.new_zeros(())

    shared.seen_tokens += batch.tokens_BT.numel()
    shared.run([batch], measure)
