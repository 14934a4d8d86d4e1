"""Score a shard: the loss of each of its ids under a model, part by part, so that a scoring that was killed goes on.

A part is some consecutive documents. Its losses are written under another name and renamed, so a part is whole or not there;
ranks share the parts, and who computes one changes nothing about it.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mai1.data.batch import collate
from mai1.data.reference import STEPS_PER_NAT, VERSION, quantize, write_reference
from mai1.data.scoring_rows import ScoringRow, scoring_rows
from mai1.data.shards import Shard
from mai1.dist import World, gather_json
from mai1.loss import token_losses
from mai1.model.flops import training_flops_per_token
from mai1.model.transformer import MoETransformer


@dataclass(slots=True)
class Scorer:
    """The model that scores, and how."""

    model: MoETransformer
    identity: str
    """SHA-256 of the checkpoint's manifest."""
    end_of_text_id: int
    sequence_length: int
    """Ids of one window."""
    overlap: int
    """Ids of a long document that a window repeats of the one before, as context."""
    rows_at_once: int
    tokens_per_part: int

    def facts(self, shard: Shard) -> dict:
        """What decides the losses of a shard."""
        return {
            "model": self.identity,
            "shard_sha256": shard.manifest["sha256"]["bin"],
            "tokenizer_hash": shard.manifest["tokenizer_hash"],
            "tokens": shard.num_tokens,
            "sequence_length": self.sequence_length,
            "overlap": self.overlap,
            "rows_at_once": self.rows_at_once,
            "tokens_per_part": self.tokens_per_part,
            "precision": str(next(self.model.parameters()).dtype).removeprefix("torch."),
        }


def score_shard(shard: Shard, scorer: Scorer, world: World, *, about: dict) -> dict:
    """Score what is missing of a shard and publish the whole; the manifest, which also tells `about`. For all ranks."""
    facts = scorer.facts(shard)
    key = hashlib.sha256(json.dumps([VERSION, facts], sort_keys=True).encode()).hexdigest()[:16]
    folder = shard.stem.parent / f".{shard.stem.name}.ref.parts"
    parts = _parts(shard, scorer.tokens_per_part)
    files = [folder / key / f"{number:06d}.u8" for number in range(len(parts))]
    if world.is_main:
        _keep_only(folder, key)
    is_done = gather_json([_positions_file(file).is_file() for file in files] if world.is_main else [], world)[0]
    missing = [pair for pair, done in zip(zip(parts, files, strict=True), is_done, strict=True) if not done]
    _score_parts(shard, scorer, missing[world.rank :: world.size], is_silent=not world.is_main)
    gather_json("done", world)  # rank 0 puts together what all have written
    manifest = _publish(shard, scorer, files, facts | about) if world.is_main else None
    return gather_json(manifest, world)[0]


@torch.no_grad()
def score_rows(
    scorer: Scorer, rows: list[ScoringRow], *, num_tokens: int, on_tokens: Callable[[int], object] = lambda count: None
) -> np.ndarray:
    """The loss in nats of each of `num_tokens` ids, fp32; `on_tokens` hears how many more are done."""
    nats, device = np.full(num_tokens, np.nan, dtype=np.float32), next(scorer.model.parameters()).device
    for first in range(0, len(rows), scorer.rows_at_once):
        part = rows[first : first + scorer.rows_at_once]
        batch = collate([scoring.row for scoring in part], end_of_text_id=scorer.end_of_text_id).to(device)
        segments_BT = batch.isolating_segments_BT
        output = scorer.model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=segments_BT)
        places_BT = np.stack([scoring.places for scoring in part])
        nats[places_BT[places_BT >= 0]] = token_losses(output, batch).float().cpu().numpy()[places_BT >= 0]
        on_tokens(int((places_BT >= 0).sum()))
    return nats


def _parts(shard: Shard, tokens_per_part: int) -> list[slice]:
    """Consecutive documents of about so many ids each; nothing but the shard and this number decides where they end."""
    number = (shard.starts + shard.lengths - 1) // tokens_per_part
    firsts = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), shard.num_documents]
    return [slice(first, last) for first, last in zip(firsts, firsts[1:], strict=False)]


def _score_parts(shard: Shard, scorer: Scorer, parts: list[tuple[slice, Path]], *, is_silent: bool) -> None:
    total = sum(int(shard.lengths[part].sum()) for part, _ in parts)
    sizes = {"sequence_length": scorer.sequence_length, "overlap": scorer.overlap}
    every_s = 0.2 if sys.stderr.isatty() else 30.0  # a file wants no line for every few windows
    settings = {"total": total, "unit": "token", "unit_scale": True, "mininterval": every_s, "maxinterval": every_s}
    with tqdm(desc=f"score {shard.stem.name}", disable=is_silent, **settings) as bar:
        for part, file in parts:
            lengths = shard.lengths[part]
            ids = shard.read(int(shard.starts[part.start]), int(lengths.sum()))
            rows = scoring_rows(ids, lengths, end_of_text_id=scorer.end_of_text_id, **sizes)
            losses = quantize(score_rows(scorer, rows, num_tokens=len(ids), on_tokens=bar.update))
            _write(file, losses.tobytes())
            _write(_positions_file(file), json.dumps(len(rows) * scorer.sequence_length).encode())


def _publish(shard: Shard, scorer: Scorer, files: list[Path], facts: dict) -> dict:
    positions = sum(json.loads(_positions_file(file).read_bytes()) for file in files)
    flops = positions * training_flops_per_token(scorer.model.config, context=scorer.sequence_length) // 3
    steps = sum(int(np.fromfile(file, dtype=np.uint8).sum(dtype=np.int64)) for file in files)
    facts |= {"mean_nats": steps / STEPS_PER_NAT / shard.num_tokens, "positions": positions, "flops": flops}
    manifest = write_reference(shard.stem, files, facts)
    shutil.rmtree(files[0].parents[1])
    return manifest


def _positions_file(file: Path) -> Path:
    """How many positions passed through the model for a part, padding and context included; there once the part is."""
    return file.with_suffix(".json")


def _write(path: Path, data: bytes) -> None:
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    staged.write_bytes(data)
    os.replace(staged, path)


def _keep_only(folder: Path, key: str) -> None:
    """Parts that were made with other settings are of no use any more."""
    (folder / key).mkdir(parents=True, exist_ok=True)
    for other in folder.iterdir():
        if other.name != key:
            shutil.rmtree(other)
