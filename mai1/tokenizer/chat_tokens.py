"""What becomes of a conversation: ids, and which of them are learned."""

from dataclasses import dataclass
from enum import Enum


class Learn(Enum):
    """Which answers of a conversation are learned."""

    all = "all"
    last = "last"


@dataclass(slots=True)
class ChatTokens:
    """One conversation as ids; both lists have the same length."""

    ids: list[int]
    loss_mask: list[int]
    """1 on what the assistant says and on the token that closes it."""


def learned_answers(messages: list[dict], learn: Learn) -> list[int]:
    """The numbers of the messages that are learned: the assistant's but for those with `"train": false`.

    ValueError where there are none.
    """
    answers = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
    if not answers:
        raise ValueError("messages must hold at least one assistant message: nothing could be learned from them")
    answers = answers[-1:] if learn is Learn.last else answers
    learned = [number for number in answers if messages[number].get("train", True)]
    if not learned:
        raise ValueError(
            "no answer of the conversation is to be learned (train=false or weight=0 on each): leave it out or let one be"
        )
    return learned
