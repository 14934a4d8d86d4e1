"""Generation token by token: rows go on together, and a row's text depends on its prompt and its luck, not on its mates.

Legend: B open rows, T positions, D width, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import torch
import torch.nn.functional as F

from mai1.generate.compiled_step import MOST_ROWS, CompiledStep
from mai1.generate.sampling import Luck, SamplingConfig, choose_tokens, penalize
from mai1.model.key_value_cache import KeyValueCache
from mai1.model.transformer import MoETransformer


class Ending(Enum):
    """Why a row went no further."""

    stop = "stop"  # a stop id, or whoever reads along said so
    length = "length"  # as many tokens as allowed


@dataclass(slots=True)
class Completion:
    """What came after a prompt."""

    ids: list[int] = field(default_factory=list)
    """Without the stop id."""
    log_probabilities: list[float] = field(default_factory=list)
    """Of each id among all that may be said, at temperature 1 and without penalty; empty unless asked for."""
    ending: Ending = Ending.length


Choose = Callable[[torch.Tensor], torch.Tensor]
"""From hidden states' logits `[B, V]` to ids `[B]`."""


class Reader(Protocol):
    """Passes the new tokens of rows through a model."""

    def choose_next(self, tokens_BT: torch.Tensor, choose: Choose) -> torch.Tensor:
        """The id that `choose` picks by the logits after the last of the tokens, for each row, int64 `[B]`."""

    def keep(self, rows: list[int]) -> None:
        """Only these of the rows go on."""


class CachedRows:
    """Reads with a key-value cache; shorter prompts are padded on the left. With a `step`, it computes single tokens."""

    def __init__(
        self,
        model: MoETransformer,
        prompts: list[list[int]],
        cache: KeyValueCache,
        *,
        step: CompiledStep | None = None,
    ) -> None:
        self._model, self._cache, self._step = model, cache, step
        longest = max(map(len, prompts))
        self._num_padding_B: torch.Tensor | None = None
        self._positions_BT: torch.Tensor | None = None  # None as long as they are those of the cache
        if any(len(prompt) < longest for prompt in prompts):
            positions = [list(range(len(prompt) - longest, len(prompt))) for prompt in prompts]
            self._positions_BT = torch.tensor(positions, device=model.embedding.weight.device)
            self._num_padding_B = -self._positions_BT[:, 0].contiguous()

    def choose_next(self, tokens_BT: torch.Tensor, choose: Choose) -> torch.Tensor:
        """See `Reader`."""
        if self._is_step(tokens_BT):
            return choose(self._step(tokens_BT[:, 0], self._cache, self._num_padding_B))
        where = {}
        if self._positions_BT is not None:
            where["positions_BT"] = self._positions_BT.clamp(min=0)
            if self._positions_BT.shape[1] > 1:
                where["segments_BT"] = torch.where(self._positions_BT >= 0, 0, -1)
            self._positions_BT = self._positions_BT[:, -1:] + 1
        output = self._model(tokens_BT, **where, cache=self._cache)
        return choose(F.linear(output.hidden_BTD[:, -1], output.unembedding_VD).float())

    def _is_step(self, tokens_BT: torch.Tensor) -> bool:
        num_rows, num_new = tokens_BT.shape
        return self._step is not None and num_new == 1 and num_rows <= MOST_ROWS and self._cache.length > 0

    def keep(self, rows: list[int]) -> None:
        """See `Reader`."""
        self._cache.keep(rows)
        if self._positions_BT is not None:
            self._positions_BT, self._num_padding_B = self._positions_BT[rows], self._num_padding_B[rows]


class Generation:
    """Prompts that are being continued; each `step` adds a token to every open row."""

    def __init__(
        self,
        prompts: list[list[int]],
        config: SamplingConfig,
        reader: Reader,
        *,
        allowed_V: torch.Tensor,
        stop_ids: list[int],
        samples: list[int] | None = None,
        wants_log_probabilities: bool = False,
    ) -> None:
        """`samples` numbers the samples of one prompt: each has luck of its own."""
        self.completions = [Completion() for _ in prompts]
        self._config, self._reader, self._stop_ids = config, reader, frozenset(stop_ids)
        self._rows, self._open = list(range(len(prompts))), set(range(len(prompts)))
        """The rows that the reader holds, and those of them that go on."""
        self._lucks = [Luck(config.seed, sample) for sample in samples or [0] * len(prompts)]
        self._forbidden_V = ~allowed_V
        self._tokens_BT = _pad_left(prompts, device=allowed_V.device)
        self._wants_log_probabilities, self._log_probabilities_B = wants_log_probabilities, None
        self._has_occurred_BV: torch.Tensor | None = None
        if config.repetition_penalty != 1:
            self._has_occurred_BV = _occurrences(prompts, len(allowed_V), device=allowed_V.device)

    @property
    def is_done(self) -> bool:
        """Whether no row is open."""
        return not self._open

    @property
    def max_new_tokens(self) -> int:
        """Most tokens that a row gets."""
        return self._config.max_new_tokens

    @property
    def num_open(self) -> int:
        """Rows that go on."""
        return len(self._open)

    def step(self) -> dict[int, int]:
        """One token for each open row, by the row's number; rows that have ended are left out."""
        self._drop_closed()
        chosen_B = self._reader.choose_next(self._tokens_BT, self._choose)
        found = {}
        for place, (row, token) in enumerate(zip(self._rows, chosen_B.tolist(), strict=True)):
            if token in self._stop_ids:
                self.close(row)
            elif row in self._open:
                found[row] = token
                self._add(token, place)
        self._tokens_BT = chosen_B[:, None]
        if self._has_occurred_BV is not None:
            self._has_occurred_BV.scatter_(1, self._tokens_BT, True)
        return found

    def close(self, row: int) -> None:
        """End a row before its time; one that has ended stays as it is."""
        if row in self._open:
            self._open.remove(row)
            self.completions[row].ending = Ending.stop

    def _add(self, token: int, place: int) -> None:
        completion = self.completions[self._rows[place]]
        completion.ids.append(token)
        if self._log_probabilities_B is not None:
            completion.log_probabilities.append(self._log_probabilities_B[place])
        if len(completion.ids) == self._config.max_new_tokens:
            self._open.remove(self._rows[place])

    def _choose(self, logits_BV: torch.Tensor) -> torch.Tensor:
        logits_BV = logits_BV.masked_fill_(self._forbidden_V, float("-inf"))
        judged_BV = logits_BV
        if self._has_occurred_BV is not None:
            judged_BV = penalize(logits_BV, self._has_occurred_BV, penalty=self._config.repetition_penalty)
        chosen_B = choose_tokens(judged_BV, self._config, self._lucks)
        if self._wants_log_probabilities:
            picked_B = logits_BV.gather(1, chosen_B[:, None])[:, 0]
            self._log_probabilities_B = (picked_B - logits_BV.logsumexp(-1)).tolist()
        return chosen_B

    def _drop_closed(self) -> None:
        """Closed rows cost nothing any more; one stays where all are closed, for ranks that others still need."""
        kept = [place for place, row in enumerate(self._rows) if row in self._open] or [0]
        if len(kept) == len(self._rows):
            return
        self._reader.keep(kept)
        self._rows, self._lucks = ([values[place] for place in kept] for values in (self._rows, self._lucks))
        self._tokens_BT = self._tokens_BT[kept]
        if self._has_occurred_BV is not None:
            self._has_occurred_BV = self._has_occurred_BV[kept]


@torch.no_grad()
def generate(
    model: MoETransformer,
    prompts: list[list[int]],
    config: SamplingConfig,
    *,
    stop_ids: list[int],
    num_text_ids: int,
    step: CompiledStep | None = None,
) -> list[list[int]]:
    """Continue each prompt until a stop id (not included) or the longest length; ids from `num_text_ids` on that are no
    stop ids are never sampled. Prompts of any lengths go together."""
    generation = start_generation(model, prompts, config, stop_ids=stop_ids, num_text_ids=num_text_ids, step=step)
    while not generation.is_done:
        generation.step()
    return [completion.ids for completion in generation.completions]


def start_generation(
    model: MoETransformer,
    prompts: list[list[int]],
    config: SamplingConfig,
    *,
    stop_ids: list[int],
    num_text_ids: int,
    samples: list[int] | None = None,
    wants_log_probabilities: bool = False,
    step: CompiledStep | None = None,
) -> Generation:
    """Prompts about to be continued by a model that is whole on this rank; ValueError where they do not fit it."""
    check_room(prompts, config, max_positions=model.config.max_positions)
    capacity = max(map(len, prompts)) + config.max_new_tokens
    reader = CachedRows(model, prompts, KeyValueCache(num_layers=model.config.num_layers, capacity=capacity), step=step)
    return Generation(
        prompts,
        config,
        reader,
        allowed_V=allowed_ids(model.config.vocab_size, num_text_ids, stop_ids, device=model.embedding.weight.device),
        stop_ids=stop_ids,
        samples=samples,
        wants_log_probabilities=wants_log_probabilities,
    )


def check_room(prompts: list[list[int]], config: SamplingConfig, *, max_positions: int) -> None:
    """Refuse prompts that are empty or leave no room for an answer."""
    if not prompts or any(not prompt for prompt in prompts):
        raise ValueError("prompt is empty: give at least one token, for example the end-of-text token")
    longest = max(map(len, prompts))
    if longest + config.max_new_tokens > max_positions:
        raise ValueError(
            f"the prompt's {longest} tokens and sampling.max_new_tokens={config.max_new_tokens} exceed the model's "
            f"{max_positions} positions: use a shorter prompt or fewer new tokens"
        )


def allowed_ids(vocab_size: int, num_text_ids: int, stop_ids: list[int], *, device: torch.device) -> torch.Tensor:
    """Which ids may be said, bool `[V]`: text, and what ends it."""
    allowed_V = torch.zeros(vocab_size, dtype=torch.bool, device=device)
    allowed_V[:num_text_ids] = True
    allowed_V[stop_ids] = True
    return allowed_V


def _pad_left(prompts: list[list[int]], *, device: torch.device) -> torch.Tensor:
    longest = max(map(len, prompts))
    return torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts], device=device)


def _occurrences(prompts: list[list[int]], vocab_size: int, *, device: torch.device) -> torch.Tensor:
    has_occurred_BV = torch.zeros(len(prompts), vocab_size, dtype=torch.bool, device=device)
    for row, prompt in enumerate(prompts):
        has_occurred_BV[row, prompt] = True
    return has_occurred_BV
