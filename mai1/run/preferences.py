"""Open what preference tuning learns from: pairs of answers or, for KTO, answers that were judged one by one, as ids."""

from pathlib import Path

from mai1.data.conversations import Conversation, PackedConversations
from mai1.data.heldout import HeldoutSource
from mai1.data.judgements import Judged, read_judged
from mai1.data.preferences import PackedPreferences, Pair, read_preferences
from mai1.evaluate.answers import check_questions
from mai1.objective.pair_losses import PreferenceConfig
from mai1.run.datasets import StageData
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.chat_tokens import Learn
from mai1.tokenizer.tokenizer import Tokenizer


def open_preferences(
    train: Path,
    heldout: Path | None,
    tokenizer: Tokenizer,
    *,
    preference: PreferenceConfig,
    sequence_length: int,
    seed: int,
    heldout_rows: int,
) -> StageData:
    """Tokenized answers; of held-out ones the better answers give the held-out loss, and the questions are asked."""
    sizes = {"sequence_length": sequence_length, "seed": seed, "pad_id": tokenizer.pad_id}
    is_mismatched = preference.judges_one_by_one
    rows = PackedPreferences(_encode(train, _read(train, preference), tokenizer), **sizes, is_mismatched=is_mismatched)
    notes = [_balance_of(rows, preference)] if is_mismatched else []
    if heldout is None:
        return StageData(tokenizer, rows, [], [], questions=[], notes=notes)
    read = _read(heldout, preference)
    held = PackedPreferences(_encode(heldout, read, tokenizer), **sizes, is_mismatched=is_mismatched)
    questions = [_conversation(judged, judged.desirable) for judged, _ in read if judged.desirable is not None]
    check_questions(questions)
    better = [pair.chosen for pair in held.pairs if pair.chosen is not None]
    kept = PackedConversations(better, **sizes).rows[: heldout_rows or None]
    source = HeldoutSource(
        name="better answers",
        rows=kept,
        num_tokens=sum(int(row.loss_mask.sum()) for row in kept),
        bytes_per_token=_num_bytes(read) / sum(sum(answer.loss_mask) for answer in better),
    )
    return StageData(tokenizer, rows, [source], [], questions=questions, heldout_pairs=held, notes=notes)


def _read(path: Path, preference: PreferenceConfig) -> list[tuple[Judged, str]]:
    """Answers with what they answer, and their sources; pairs, unless the method judges them one by one."""
    if preference.judges_one_by_one:
        return read_judged(path)
    return [(Judged(pair.messages, pair.chosen, pair.rejected), source) for pair, source in read_preferences(path)]


def _encode(path: Path, read: list[tuple[Judged, str]], tokenizer: Tokenizer) -> list[Pair]:
    """The conversations with each answer, which alone is learned from; ValueError names the pair."""
    pairs = []
    for number, (judged, source) in enumerate(read, start=1):
        answers = []
        for answer in (judged.desirable, judged.undesirable):
            try:
                chat = (
                    encode_chat(tokenizer, _conversation(judged, answer), learn=Learn.last)
                    if answer is not None
                    else None
                )
            except ValueError as error:
                raise ValueError(f"{path}, pair {number}: {error}") from None
            answers.append(Conversation(chat.ids, chat.loss_mask, source) if chat is not None else None)
        pairs.append(Pair(*answers))
    return pairs


def _conversation(judged: Judged, answer: str) -> list[dict]:
    return [*judged.messages, {"role": "assistant", "content": answer}]


def _num_bytes(read: list[tuple[Judged, str]]) -> int:
    """UTF-8 bytes of the desirable answers."""
    return sum(len(judged.desirable.encode()) for judged, _ in read if judged.desirable is not None)


def _balance_of(rows: PackedPreferences, preference: PreferenceConfig) -> str:
    """How many answers there are of each kind, and which weight would even them out where they are not even."""
    num_desirable, num_undesirable = (rows.lengths_PA > 0).sum(0).tolist()
    told = f"{num_desirable:,} desirable and {num_undesirable:,} undesirable answers"
    ratio = preference.desirable_weight * num_desirable / (preference.undesirable_weight * num_undesirable)
    if 1 <= ratio <= BALANCED:
        return told
    weight = preference.undesirable_weight * num_undesirable / num_desirable
    return (
        f"{told}, weighed {ratio:.2f} to 1 where 1 to {BALANCED:.2f} to 1 learns best (arXiv 2402.01306): "
        f"preference.desirable_weight={weight:.2f} would even them out"
    )


BALANCED = 4 / 3
"""Weighed desirable answers for each weighed undesirable one, at most."""
