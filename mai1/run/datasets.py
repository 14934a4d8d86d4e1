"""Open what a stage trains on: prepared shards for pretraining, conversations for tuning."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mai1.data.conversations import Conversation, PackedConversations
from mai1.data.heldout import HeldoutSource, count_baselines, heldout_source
from mai1.data.instructions import read_with_sources
from mai1.data.loader import Rows
from mai1.data.shards import Shard
from mai1.data.stream import TokenStream
from mai1.evaluate.answers import check_questions
from mai1.run.directory import write_atomically
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.tokenizer import Tokenizer

BASELINE_TOKENS = 20_000_000
"""Training tokens that the counting baselines look at, at most."""


@dataclass(slots=True)
class StageData:
    """Training rows and held-out rows of one stage."""

    tokenizer: Tokenizer
    rows: Rows
    heldout: list[HeldoutSource]
    train_shards: list[Shard]
    questions: list[list[dict]]
    """Held-out conversations to ask."""


def open_pretraining(path: Path, *, sequence_length: int, seed: int, heldout_rows: int) -> StageData:
    """Shards of a prepared directory, which must all belong to its tokenizer."""
    if not (path / "manifest.json").is_file():
        raise ValueError(f"data.path={path} holds no prepared data: run `mai1 prepare output={path}` first")
    tokenizer = Tokenizer.load(path / "tokenizer")
    train = open_shards(path / "train", tokenizer)
    heldout = [
        heldout_source(
            shard,
            sequence_length=sequence_length,
            max_rows=heldout_rows,
            end_of_text_id=tokenizer.end_of_text_id,
        )
        for shard in (open_shards(path / "heldout", tokenizer) if (path / "heldout").is_dir() else [])
    ]
    rows = TokenStream(train, sequence_length=sequence_length, seed=seed)
    return StageData(tokenizer, rows, heldout, train, questions=[])


def open_shards(folder: Path, tokenizer: Tokenizer) -> list[Shard]:
    """Every shard of a folder, in the order of their names."""
    stems = sorted(path.with_suffix("") for path in folder.glob("*.idx"))
    if not stems:
        raise ValueError(f"{folder} holds no shards (*.idx): run `mai1 prepare` again")
    shards = [Shard.open(stem) for stem in stems]
    for shard in shards:
        written_with = shard.manifest.get("tokenizer_hash", "")
        if written_with != tokenizer.hash:
            raise ValueError(
                f"{shard.stem}.json has tokenizer_hash={written_with[:12] or 'nothing'} but the tokenizer's is "
                f"{tokenizer.hash[:12]}: these shards were written with another tokenizer, run `mai1 prepare` again"
            )
    return [shard for shard in shards if shard.num_tokens]


def open_instructions(
    train: Path, heldout: Path | None, tokenizer: Tokenizer, *, sequence_length: int, seed: int, heldout_rows: int
) -> StageData:
    """Tokenized conversations; held-out ones also give the held-out loss."""
    rows = _pack(train, read_with_sources(train), tokenizer, sequence_length=sequence_length, seed=seed)
    if heldout is None:
        return StageData(tokenizer, rows, [], [], questions=[])
    asked = read_with_sources(heldout)
    held = _pack(heldout, asked, tokenizer, sequence_length=sequence_length, seed=seed)
    questions = [messages for messages, _ in asked]
    check_questions(questions)  # here, where every rank refuses alike, and not when rank 0 asks them
    answer_bytes = sum(len(m["content"].encode()) for q in questions for m in q if m["role"] == "assistant")
    kept = held.rows[: heldout_rows or None]
    source = HeldoutSource(
        name="answers",
        rows=kept,
        num_tokens=sum(int(row.loss_mask.sum()) for row in kept),
        bytes_per_token=answer_bytes / held.num_targets,
    )
    return StageData(tokenizer, rows, [source], [], questions=questions)


def _pack(
    path: Path, talks: list[tuple[list[dict], str]], tokenizer: Tokenizer, *, sequence_length: int, seed: int
) -> PackedConversations:
    conversations = []
    for number, (messages, source) in enumerate(talks, start=1):
        try:
            chat = encode_chat(tokenizer, messages)
        except ValueError as error:
            raise ValueError(f"{path}, conversation {number}: {error}") from None
        conversations.append(Conversation(chat.ids, chat.loss_mask, source))
    return PackedConversations(conversations, sequence_length=sequence_length, seed=seed, pad_id=tokenizer.pad_id)


def write_baselines(path: Path, data: StageData) -> None:
    """Loss of counting models on the same held-out rows, kept in a file because it takes a moment."""
    if path.is_file() or not data.train_shards or not data.heldout:
        return
    counted = count_baselines(
        data.train_shards, data.heldout, vocab_size=data.tokenizer.vocabulary.size, max_tokens=BASELINE_TOKENS
    )
    write_atomically(path, json.dumps(asdict(counted)))
