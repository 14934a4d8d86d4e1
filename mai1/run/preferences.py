"""Open what preference tuning learns from: pairs of answers, as ids."""

from pathlib import Path

from mai1.data.conversation_shapes import Preference
from mai1.data.conversations import Conversation, PackedConversations
from mai1.data.heldout import HeldoutSource
from mai1.data.preferences import PackedPreferences, Pair, read_preferences
from mai1.evaluate.answers import check_questions
from mai1.run.datasets import StageData
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.chat_tokens import Learn
from mai1.tokenizer.tokenizer import Tokenizer


def open_preferences(
    train: Path, heldout: Path | None, tokenizer: Tokenizer, *, sequence_length: int, seed: int, heldout_rows: int
) -> StageData:
    """Tokenized pairs; of held-out ones the better answers give the held-out loss, and the questions are asked."""
    sizes = {"sequence_length": sequence_length, "seed": seed, "pad_id": tokenizer.pad_id}
    rows = PackedPreferences(_encode(train, read_preferences(train), tokenizer), **sizes)
    if heldout is None:
        return StageData(tokenizer, rows, [], [], questions=[])
    read = read_preferences(heldout)
    held = PackedPreferences(_encode(heldout, read, tokenizer), **sizes)
    questions = [_conversation(preference, preference.chosen) for preference, _ in read]
    check_questions(questions)
    better = PackedConversations([pair.chosen for pair in held.pairs], **sizes)
    kept = better.rows[: heldout_rows or None]
    num_bytes = sum(len(preference.chosen.encode()) for preference, _ in read)
    num_targets = sum(sum(pair.chosen.loss_mask) for pair in held.pairs)
    source = HeldoutSource(
        name="better answers",
        rows=kept,
        num_tokens=sum(int(row.loss_mask.sum()) for row in kept),
        bytes_per_token=num_bytes / num_targets,
    )
    return StageData(tokenizer, rows, [source], [], questions=questions, heldout_pairs=held)


def _encode(path: Path, preferences: list[tuple[Preference, str]], tokenizer: Tokenizer) -> list[Pair]:
    """Each pair's two conversations, whose last answers alone are learned from; ValueError names the pair."""
    pairs = []
    for number, (preference, source) in enumerate(preferences, start=1):
        answers = []
        for answer in (preference.chosen, preference.rejected):
            try:
                chat = encode_chat(tokenizer, _conversation(preference, answer), learn=Learn.last)
            except ValueError as error:
                raise ValueError(f"{path}, pair {number}: {error}") from None
            answers.append(Conversation(chat.ids, chat.loss_mask, source))
        pairs.append(Pair(*answers))
    return pairs


def _conversation(preference: Preference, answer: str) -> list[dict]:
    return [*preference.messages, {"role": "assistant", "content": answer}]
