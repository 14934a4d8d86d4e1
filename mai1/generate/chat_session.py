"""A conversation with a model, turn by turn: what the model has read already is not read again.

Legend: B = 1 row, T positions.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch

from mai1.generate.compiled_step import CompiledStep
from mai1.generate.generation import CachedRows, Choose, Generation, allowed_ids
from mai1.generate.sampling import SamplingConfig
from mai1.generate.text_stream import TextStream
from mai1.model.key_value_cache import KeyValueCache
from mai1.model.transformer import MoETransformer
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.tokenizer import Tokenizer

FIRST_CAPACITY = 512
"""Positions that a cache begins with; it doubles when they are full."""


class ConversationTooLongError(ValueError):
    """No position is left for an answer."""


@dataclass(slots=True)
class AnswerFigures:
    """What an answer took."""

    prompt_tokens: int = 0
    """The conversation so far, the question included."""
    reused_tokens: int = 0
    """Those of them that did not have to be read again."""
    answer_tokens: int = 0
    first_token_s: float = 0.0
    """Seconds until the first token."""
    total_s: float = 0.0
    is_cut: bool = False
    """It reached the most tokens that it may have."""
    is_out_of_positions: bool = False
    """It was cut because the model's positions are full."""


@dataclass(kw_only=True, slots=True)
class ChatSession:
    """Messages so far, and the cache of what the model has read of them."""

    model: MoETransformer
    tokenizer: Tokenizer
    sampling: SamplingConfig
    step: CompiledStep | None = None
    """What computes the steps instead of the model."""
    messages: list[dict] = field(default_factory=list)
    figures: AnswerFigures = field(default_factory=AnswerFigures)
    """Of the last answer."""
    num_answers: int = 0
    """Answers so far; each has luck of its own."""
    _cache: KeyValueCache = field(init=False)
    _read: list[int] = field(default_factory=list, init=False)
    """Ids whose keys and values the cache holds."""

    def __post_init__(self) -> None:
        self._cache = KeyValueCache(num_layers=self.model.config.num_layers, capacity=self._within(FIRST_CAPACITY))

    def ask(self, question: str) -> Iterator[str]:
        """Pieces of the answer as they come. A conversation that is too long, or no text, leaves the messages as they were.

        The answer is kept when the iteration ends, also where it is ended early; without one the question is forgotten.
        """
        self.messages.append({"role": "user", "content": question})
        return self._answer()

    def ask_again(self) -> Iterator[str]:
        """Another answer to the last question; ValueError where there was none."""
        if not self.messages or self.messages[-1]["role"] != "assistant":
            raise ValueError("there is no answer yet: ask something first")
        self.messages.pop()
        return self._answer()

    def set_system(self, text: str) -> None:
        """What the model is told before everything else, from now on; empty: nothing."""
        rest = [message for message in self.messages if message["role"] != "system"]
        self.messages = ([{"role": "system", "content": text}] if text else []) + rest

    def reset(self) -> None:
        """Forget all but the system message."""
        self.messages = [message for message in self.messages if message["role"] == "system"]

    def drop_oldest(self) -> str | None:
        """Forget the oldest question and its answer; returns the question, None where there is none."""
        places = [place for place, message in enumerate(self.messages) if message["role"] == "user"]
        if not places:
            return None
        question = self.messages[places[0]]["content"]
        del self.messages[places[0] : places[1] if len(places) > 1 else len(self.messages)]
        return question

    def num_tokens(self) -> int:
        """Tokens of the conversation so far."""
        return len(encode_chat(self.tokenizer, self.messages, add_generation_prompt=True).ids) if self.messages else 0

    def _answer(self) -> Iterator[str]:
        stream, answer = TextStream(self.tokenizer.decode), ""
        try:
            ids = encode_chat(self.tokenizer, self.messages, add_generation_prompt=True).ids
            generation = self._start(ids)
            started = time.perf_counter()
            while not generation.is_done:
                token = self._step(generation)
                self.figures.first_token_s = self.figures.first_token_s or time.perf_counter() - started
                self.figures.answer_tokens += token is not None
                self.figures.total_s = time.perf_counter() - started
                piece = stream.add(token) if token is not None else ""
                answer += piece
                if piece:
                    yield piece
            rest = stream.finish()
            answer += rest
            if rest:
                yield rest
            self.figures.is_cut = self.figures.answer_tokens == generation.max_new_tokens
            self.figures.is_out_of_positions = self.figures.is_cut and self.num_tokens_left(ids) == 0
        finally:
            if answer.strip():
                self.messages.append({"role": "assistant", "content": answer})
                self.num_answers += 1
            else:
                self.messages.pop()

    def num_tokens_left(self, prompt_ids: list[int]) -> int:
        """Positions behind this prompt and the answer that came."""
        return self.model.config.max_positions - len(prompt_ids) - self.figures.answer_tokens

    @torch.inference_mode()
    def _step(self, generation: Generation) -> int | None:
        return generation.step().get(0)

    @torch.inference_mode()
    def _start(self, ids: list[int]) -> Generation:
        room = self.model.config.max_positions - len(ids)
        if room < 1:
            raise ConversationTooLongError(
                f"the conversation has {len(ids)} tokens, but the model is declared for "
                f"{self.model.config.max_positions} positions: forget something, or begin anew"
            )
        sampling = replace(self.sampling, max_new_tokens=min(self.sampling.max_new_tokens, room))
        num_kept = _common(self._read, ids[:-1])
        self._cache.forget(num_kept)
        del self._read[num_kept:]
        if len(ids) + sampling.max_new_tokens > self._cache.capacity:
            self._cache.grow(self._within(max(2 * self._cache.capacity, len(ids) + sampling.max_new_tokens)))
        self.figures = AnswerFigures(prompt_tokens=len(ids), reused_tokens=num_kept)
        stop_ids, device = self.tokenizer.stop_ids, self.model.embedding.weight.device
        return Generation(
            [ids],
            sampling,
            _Remembering(
                CachedRows(self.model, [ids[num_kept:]], self._cache, step=self.step), self._read, ids[num_kept:]
            ),
            allowed_V=allowed_ids(self.model.config.vocab_size, self.tokenizer.num_text_ids, stop_ids, device=device),
            stop_ids=stop_ids,
            samples=[self.num_answers],
        )

    def _within(self, capacity: int) -> int:
        return min(capacity, self.model.config.max_positions)


class _Remembering:
    """Notes which ids the cache holds; of the prompt only those are read that it did not hold."""

    def __init__(self, rows: CachedRows, read: list[int], unread: list[int]) -> None:
        self._rows, self._read, self._unread = rows, read, unread

    def choose_next(self, tokens_BT: torch.Tensor, choose: Choose) -> torch.Tensor:
        """See `Reader`."""
        ids = self._unread or tokens_BT[0].tolist()
        chosen_B = self._rows.choose_next(torch.tensor([ids], device=tokens_BT.device), choose)
        self._read += ids  # after it, so that what is interrupted does not count as read
        self._unread = []
        return chosen_B

    def keep(self, rows: list[int]) -> None:
        """See `Reader`: there is one row."""


def _common(first: list[int], second: list[int]) -> int:
    """How many ids at the beginning are the same."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(first), len(second)))
