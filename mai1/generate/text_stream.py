"""Text from tokens as they come: no character is shown in halves, nothing is shown that a stop may still take back."""

from collections.abc import Callable, Sequence

REPLACEMENT = "\ufffd"
"""What a decoder writes for bytes that are no character, or not yet one."""


class TextStream:
    """Turns ids into text bit by bit; the pieces joined are the decoded whole, cut before the first stop string."""

    def __init__(self, decode: Callable[[list[int]], str], stops: Sequence[str] = ()) -> None:
        self._decode, self._stops = decode, [stop for stop in stops if stop]
        self._ids: list[int] = []
        """Ids from the last place on where text and tokens ended together, those before it as context."""
        self._num_context = 0
        self._held = ""
        """Text that may be the beginning of a stop."""
        self.is_stopped = False
        """Whether a stop string was met."""

    def add(self, token: int) -> str:
        """What can be shown now that this token has come; nothing any more after a stop."""
        if self.is_stopped:
            return ""
        self._ids.append(token)
        text = self._new_text()
        if text.endswith(REPLACEMENT):  # a character may be under way, or the bytes are none: the next token tells
            return ""
        self._num_context = len(self._ids)
        return self._release(text)

    def finish(self) -> str:
        """What is left when no more tokens come."""
        if self.is_stopped:
            return ""
        text, self._num_context = self._new_text(), len(self._ids)
        shown = self._release(text)
        rest, self._held = self._held, ""
        return shown if self.is_stopped else shown + rest

    def _new_text(self) -> str:
        """Text of the ids behind the context, which tells a decoder whether a space belongs in front."""
        context = self._decode(self._ids[: self._num_context])
        return self._decode(self._ids)[len(context) :]

    def _release(self, text: str) -> str:
        text = self._held + text
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if places:
            self.is_stopped, self._held = True, ""
            return text[: min(places)]
        num_held = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - num_held :]
        self._forget()
        return text[: len(text) - num_held]

    def _forget(self) -> None:
        """Keep a few ids of context alone, so that a long text costs no more than a short one."""
        if self._num_context > 2 * _CONTEXT:
            del self._ids[: self._num_context - _CONTEXT]
            self._num_context = _CONTEXT


_CONTEXT = 8
"""Ids after which no decoder remembers what was before: the longest character is 4 bytes, and a byte is a token at least."""


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of a text are the beginning of a stop."""
    lengths = range(min(len(text), len(stop) - 1), 0, -1)
    return next((length for length in lengths if text.endswith(stop[:length])), 0)
