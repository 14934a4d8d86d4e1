"""Open what a stage trains on: prepared shards for pretraining, conversations for tuning."""

import json
import resource
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mai1.data.conversation_shapes import as_text
from mai1.data.conversations import PackedConversations, TooLong
from mai1.data.heldout import HeldoutSource, count_baselines, heldout_source
from mai1.data.instructions import read_with_sources
from mai1.data.integrity import Damage, OnDamagedShard
from mai1.data.loader import Rows
from mai1.data.mixed_stream import open_rows
from mai1.data.mixture import MixtureConfig
from mai1.data.preferences import PackedPreferences
from mai1.data.shards import RESTORE, Shard
from mai1.evaluate.answers import check_questions
from mai1.run.directory import write_atomically
from mai1.run.references import open_references
from mai1.run.tuning_data import TuningText, encode_dialogues
from mai1.tokenizer.chat_tokens import Learn
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.train.selection import SelectionConfig

BASELINE_TOKENS = 20_000_000
"""Training tokens that the counting baselines look at, at most."""

SPLITS = ("train", "heldout")
SPARE_FILES = 512
"""Files that a run opens besides its shards."""


@dataclass(slots=True)
class StageData:
    """Training rows and held-out rows of one stage."""

    tokenizer: Tokenizer
    rows: Rows
    heldout: list[HeldoutSource]
    train_shards: list[Shard]
    questions: list[list[dict]]
    """Held-out conversations to ask."""
    heldout_shards: list[Shard] = field(default_factory=list)
    left_out: list[Damage] = field(default_factory=list)
    """Damaged shards that the run goes without."""
    heldout_pairs: PackedPreferences | None = None
    """Of preference tuning."""
    figures: dict | None = None
    """Of conversations: `tuning_data.json` of the run."""
    notes: list[str] = field(default_factory=list)
    """What a person is told of the data when the run starts."""


def open_pretraining(
    path: Path,
    *,
    sequence_length: int,
    seed: int,
    heldout_rows: int,
    on_damaged_shard: OnDamagedShard = OnDamagedShard.stop,
    mixture: MixtureConfig | None = None,
    rows_per_step: int = 1,
    selection: SelectionConfig | None = None,
    order_folder: Path | None = None,
    key: str = "data.path",
) -> StageData:
    """Shards of a prepared directory, which must all belong to its tokenizer; sizes are checked, hashes are not.

    A `mixture` that changes with the steps counts `rows_per_step` rows for each. A run says what its `selection` is, and
    gets the reference losses that it reads; and where the orders of a large corpus go. `key` is what a person called the path.
    """
    written = _read_corpus_manifest(path, key=key)
    tokenizer, left_out = Tokenizer.load(path / "tokenizer"), []
    train, held = (
        _open_split(
            path, split, written, tokenizer, left_out if on_damaged_shard is OnDamagedShard.quarantine else None
        )
        for split in ("train", "heldout")
    )
    heldout = [
        heldout_source(
            shard,
            sequence_length=sequence_length,
            max_rows=heldout_rows,
            end_of_text_id=tokenizer.end_of_text_id,
        )
        for shard in held
    ]
    if not train:
        raise ValueError(f"{path / 'train'} holds no shard that can be read: run `mai1 prepare` again")
    if selection is not None:
        open_references(train, selection)
    settings = {"sequence_length": sequence_length, "seed": seed, "rows_per_step": rows_per_step}
    gone = frozenset(Path(damage.shard).name for damage in left_out) - {shard.stem.name for shard in train}
    rows = open_rows(train, mixture or MixtureConfig(), **settings, gone=gone, folder=order_folder)
    return StageData(tokenizer, rows, heldout, train, questions=[], heldout_shards=held, left_out=left_out)


def _read_corpus_manifest(path: Path, *, key: str) -> dict[str, dict]:
    """What `mai1 prepare` says that it wrote, by source."""
    file = path / "manifest.json"
    if not file.is_file():
        raise ValueError(f"{key}={path} holds no prepared data: run `mai1 prepare output={path}` first")
    try:
        sources = json.loads(file.read_bytes())["sources"]
        return {str(name): {split: source[split]["documents"] for split in SPLITS} for name, source in sources.items()}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is no manifest of prepared data ({error}): {RESTORE}") from error


def _open_split(
    path: Path, split: str, written: dict[str, dict], tokenizer: Tokenizer, damaged: list[Damage] | None
) -> list[Shard]:
    expected = {name for name, documents in written.items() if documents[split]}
    if split == "heldout" and not (path / split).is_dir():
        return []  # a person may take the held-out text away
    return open_shards(path / split, tokenizer, expected=expected, damaged=damaged)


def open_shards(
    folder: Path, tokenizer: Tokenizer, *, expected: Iterable[str] = (), damaged: list[Damage] | None = None
) -> list[Shard]:
    """Every shard of a folder, in the order of their names, also those that are `expected` and gone.

    One that cannot be opened is refused or, where there is a list for them, put on `damaged`.
    """
    names = {path.stem for path in folder.glob("*.idx")} | set(expected)
    if not names:
        raise ValueError(f"{folder} holds no shards (*.idx): run `mai1 prepare` again")
    allow_open_files(len(names))
    shards = []
    for stem in sorted(folder / name for name in names):
        try:
            shards.append(_open_own(stem))
        except (ValueError, OSError) as error:
            if damaged is None:
                raise ValueError(str(error)) from error
            damaged.append(Damage(str(stem), str(error)))
    for shard in shards:
        written_with = shard.manifest.get("tokenizer_hash", "")
        if written_with != tokenizer.hash:
            raise ValueError(
                f"{shard.stem}.json has tokenizer_hash={str(written_with)[:12] or 'nothing'} but the tokenizer's is "
                f"{tokenizer.hash[:12]}: these shards were written with another tokenizer, run `mai1 prepare` again"
            )
    return [shard for shard in shards if shard.num_tokens]


def _open_own(stem: Path) -> Shard:
    """A shard with the manifest that `mai1 prepare` gives to each."""
    shard = Shard.open(stem)
    if not shard.manifest:
        raise ValueError(
            f"{stem}.json is missing: {RESTORE}; a shard of another program is written anew as docs/data-format.md shows"
        )
    return shard


def allow_open_files(count: int) -> None:
    """Every shard stays open: raise the process's limit where that is too low for them and allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )


def open_instructions(
    train: Path,
    heldout: Path | None,
    tokenizer: Tokenizer,
    *,
    sequence_length: int,
    seed: int,
    heldout_rows: int,
    learn: Learn = Learn.all,
    too_long: TooLong = TooLong.leave_out,
) -> StageData:
    """Tokenized conversations; held-out ones also give the held-out loss."""
    sizes = {"sequence_length": sequence_length, "learn": learn, "too_long": too_long}
    text = encode_dialogues(train, read_with_sources(train), tokenizer, **sizes)
    rows = _pack(text, tokenizer, sequence_length=sequence_length, seed=seed)
    figures, notes = (
        {"learn": learn.value, "sequence_length": sequence_length, "train": _figures(text, rows)},
        [text.line()],
    )
    if heldout is None:
        return StageData(tokenizer, rows, [], [], questions=[], figures=figures, notes=notes)
    asked = read_with_sources(heldout)
    held_text = encode_dialogues(heldout, asked, tokenizer, **sizes)
    held = _pack(held_text, tokenizer, sequence_length=sequence_length, seed=seed)
    questions = [as_text(dialogue) for dialogue, _ in asked]
    check_questions(questions)  # here, where every rank refuses alike, and not when rank 0 asks them
    kept = held.rows[: heldout_rows or None]
    source = HeldoutSource(
        name="answers",
        rows=kept,
        num_tokens=sum(int(row.loss_mask.sum()) for row in kept),
        bytes_per_token=held_text.answer_bytes / held.num_targets,
    )
    figures["heldout"] = _figures(held_text, held)
    return StageData(tokenizer, rows, [source], [], questions=questions, figures=figures, notes=notes)


def _pack(text: TuningText, tokenizer: Tokenizer, *, sequence_length: int, seed: int) -> PackedConversations:
    if not text.conversations:
        longest = max(each.longest for each in text.figures.values())
        raise ValueError(
            f"data.sequence_length={sequence_length} is shorter than every one of the conversations in {text.path}, the "
            f"longest of which has {longest} tokens: use a longer sequence or shorter conversations"
        )
    return PackedConversations(text.conversations, sequence_length=sequence_length, seed=seed, pad_id=tokenizer.pad_id)


def _figures(text: TuningText, packed: PackedConversations) -> dict:
    """What a run keeps of a file of conversations, for its report."""
    filled = packed.num_tokens / (packed.rows_per_epoch * (packed.sequence_length + 1))
    return text.to_json() | {"rows": packed.rows_per_epoch, "filled_share": round(filled, 6)}


def write_baselines(path: Path, data: StageData) -> None:
    """Loss of counting models on the same held-out rows, kept in a file because it takes a moment."""
    if path.is_file() or not data.train_shards or not data.heldout:
        return
    counted = count_baselines(
        data.train_shards, data.heldout, vocab_size=data.tokenizer.vocabulary.size, max_tokens=BASELINE_TOKENS
    )
    write_atomically(path, json.dumps(asdict(counted)))
