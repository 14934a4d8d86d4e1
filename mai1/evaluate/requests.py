"""From texts to what a model is asked: ids that are given, and ids whose likelihood is wanted.

The conventions are those of lm-evaluation-harness (Gao et al., `lm_eval.models.huggingface.HFLM`), so figures can be compared:
before a text stands what its Hugging Face tokenizer puts there, which with ours is nothing, and where there is no context the
token that begins a text, end-of-text with ours, is it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from mai1.tokenizer.tokenizer import Tokenizer


class Beginning(Enum):
    """What stands before a text."""

    stock = "stock"  # what the Hugging Face tokenizer puts there, as in the harness's own class: with ours nothing
    document = "document"  # as every document begins in training: with ours end-of-text


@dataclass(frozen=True, slots=True)
class Request:
    """How likely is this continuation after this context?"""

    context: tuple[int, ...]
    """At least one id."""
    continuation: tuple[int, ...]
    """At least one id."""


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """Cuts texts into requests with a model's tokenizer."""

    tokenizer: Tokenizer
    beginning: Beginning = Beginning.stock

    def request(self, context: str, continuation: str) -> Request:
        """A continuation after a context. Spaces at the context's end belong to the continuation's first word.

        Context and continuation are cut together, and the continuation is what follows the context's own number of ids.
        ValueError where nothing is left to ask for.
        """
        kept = context.rstrip()
        continuation = context[len(kept) :] + continuation
        if not kept:  # white space alone, which the harness cannot cut, goes with what follows
            return _checked([self.tokenizer.begin_id], self.tokenizer.encode(continuation), continuation)
        context_ids = self.tokenizer.encode(kept)
        ids = self.tokenizer.encode(kept + continuation)[len(context_ids) :]
        return _checked([*self._prefix, *context_ids], ids, continuation)

    def after(self, context_ids: list[int], continuation: str) -> Request:
        """A continuation after ids that end with a control token, such as a chat's."""
        return _checked(context_ids, self.tokenizer.encode(continuation), continuation)

    def prompt(self, text: str) -> list[int]:
        """Ids to go on from."""
        return [*self._prefix, *self.tokenizer.encode(text)] or [self.tokenizer.begin_id]

    def windows(self, text: str, *, max_length: int) -> Iterator[Request]:
        """Requests that ask for every id of a text once, with as many ids before each as `max_length` inputs allow.

        The last window reaches back to be full, as `lm_eval.utils.get_rolling_token_windows` with a context of one.
        """
        ids, end = [*self._stock_prefix, *self.tokenizer.encode(text)], 0
        while end < len(ids):
            start, end = end, min(end + max_length, len(ids))
            context = ids[end - max_length - 1 : start] if start else [self.tokenizer.begin_id]
            yield Request(tuple(context), tuple(ids[start:end]))

    @property
    def _prefix(self) -> list[int]:
        return self.tokenizer.begin_ids if self.beginning is Beginning.document else self._stock_prefix

    @property
    def _stock_prefix(self) -> list[int]:
        return self.tokenizer.begin_ids if self.tokenizer.is_foreign else []


def _checked(context: list[int], ids: list[int], continuation: str) -> Request:
    if not ids:
        raise ValueError(
            f"the continuation {continuation[:40]!r} has no token of its own: it is empty, or one with its context"
        )
    return Request(tuple(context), tuple(ids))
