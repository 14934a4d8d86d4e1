"""Mismatched answers: every answer of a row behind another prompt of it, from which KTO's reference point is estimated.

Ethayarajh et al. 2024, arXiv 2402.01306. A row's answers stay in their row, so those of a step are the same with
and without.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mai1.data.conversations import Conversation


@dataclass(frozen=True, slots=True)
class Turn:
    """A conversation cut where what is learned of it begins."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    mask: tuple[int, ...]
    """Which ids of the answer are learned."""

    @classmethod
    def of(cls, conversation: Conversation) -> "Turn":
        """Its ids and mask in two parts."""
        first, ids, mask = conversation.loss_mask.index(1), conversation.ids, conversation.loss_mask
        return cls(tuple(ids[:first]), tuple(ids[first:]), tuple(mask[first:]))

    def with_answer_of(self, other: "Turn", *, most: int | None = None) -> "Turn":
        """This prompt and the other's answer, cut to `most` ids."""
        return Turn(self.prompt, other.answer[:most], other.mask[:most])

    def conversation(self, source: str) -> Conversation:
        """Both parts together again."""
        return Conversation([*self.prompt, *self.answer], [0] * len(self.prompt) + [*self.mask], source)


def mismatched(rows: list[list[Turn]], *, capacity: int) -> list[list[Turn]]:
    """The same rows with every answer behind another prompt; none becomes longer than `capacity`.

    The answers of a row move on by as many places as make none meet its own prompt. Where that cannot be, as in a row of one
    conversation, they come from the rows behind it, cut to what the row has room for. ValueError where all prompts are equal.
    """
    found = []
    for number, row in enumerate(rows):
        prompts = [turn.prompt for turn in row]
        if by := _rotation(prompts):
            found.append([turn.with_answer_of(row[(i + by) % len(row)]) for i, turn in enumerate(row)])
            continue
        most = (capacity - sum(map(len, prompts))) // len(row)
        found.append([turn.with_answer_of(_another(turn, rows, number), most=most) for turn in row])
    return found


def _rotation(prompts: list[tuple[int, ...]]) -> int:
    """By how many places answers move so that none meets its own prompt; 0 where that cannot be."""
    count = len(prompts)
    moves = range(1, count)
    return next((by for by in moves if all(prompts[i] != prompts[(i + by) % count] for i in range(count))), 0)


def _another(turn: Turn, rows: list[list[Turn]], number: int) -> Turn:
    """The first one with another prompt in the rows behind this one, and then from the first row on."""
    for other in _from(rows, number + 1):
        if other.prompt != turn.prompt:
            return other
    raise ValueError(
        "all answers have the same prompt, but preference.method=kto compares them with answers to others: use "
        "preference.method=dpo, or more prompts"
    )


def _from(rows: list[list[Turn]], first: int) -> Iterator[Turn]:
    for step in range(len(rows)):
        yield from rows[(first + step) % len(rows)]
