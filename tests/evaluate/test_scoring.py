"""Scoring: the losses of single tokens against documents passed through one by one, killed and spread over ranks."""

import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mai1.data.reference import quantize, reference_paths
from mai1.data.scoring_rows import scoring_rows
from mai1.data.shards import Shard, ShardWriter
from mai1.dist import World
from mai1.evaluate import scoring
from mai1.evaluate.scoring import Scorer, score_rows, score_shard
from mai1.model.flops import training_flops_per_token
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from tests.support.ranks import run_ranks
from tests.support.tiny import END_OF_TEXT, tiny_model_config

LENGTHS = [40, 3, 1, 90, 24, 7, 33, 60, 2, 2, 48]
WORLD = World(0, 1, 0, torch.device("cpu"))


def make_scorer(**changes) -> Scorer:
    model = MoETransformer(tiny_model_config()).eval()
    initialize(model, seed=3)
    with torch.no_grad():
        model.output_weight_VD.mul_(20)  # losses of many sizes
    sizes = {"sequence_length": 32, "overlap": 8, "rows_at_once": 3, "tokens_per_part": 100} | changes
    return Scorer(model, "a" * 64, END_OF_TEXT, **sizes)


def write_shard(folder: Path) -> Shard:
    generator = np.random.default_rng(0)
    with ShardWriter(folder / "web", vocab_size=384) as writer:
        for length in LENGTHS:
            writer.add(np.append(generator.integers(0, 256, length - 1), END_OF_TEXT))
        writer.close({"tokenizer_hash": "t" * 64, "bytes": sum(LENGTHS)})
    return Shard.open(folder / "web")


@torch.no_grad()
def losses_one_by_one(model: MoETransformer, shard: Shard, *, sequence_length: int, overlap: int) -> np.ndarray:
    """Every id from a window of its document alone: of those that hold it behind their context, the first."""
    found = []
    for number in range(shard.num_documents):
        ids = torch.tensor([END_OF_TEXT, *shard.document(number).tolist()])
        done = 0
        while done < len(ids) - 1:
            begin = max(0, done - overlap)
            window = ids[begin : begin + sequence_length + 1]
            logits = model(window[None, :-1]).logits_BTV[0]
            found += F.cross_entropy(logits, window[1:], reduction="none")[done - begin :].tolist()
            done = begin + len(window) - 1
    return np.array(found)


@pytest.mark.parametrize(("sequence_length", "overlap"), [(32, 8), (32, 0), (128, 16)])
def test_losses_are_those_of_documents_passed_through_one_by_one(tmp_path: Path, sequence_length: int, overlap: int):
    scorer, shard = make_scorer(sequence_length=sequence_length, overlap=overlap), write_shard(tmp_path)
    expected = losses_one_by_one(scorer.model, shard, sequence_length=sequence_length, overlap=overlap)
    sizes = {"sequence_length": sequence_length, "overlap": overlap, "end_of_text_id": END_OF_TEXT}
    rows = scoring_rows(shard.tokens, shard.lengths, **sizes)
    counts = []
    found = score_rows(scorer, rows, num_tokens=shard.num_tokens, on_tokens=counts.append)
    assert np.abs(found - expected).max() < 2e-5 and sum(counts) == shard.num_tokens and expected.std() > 1
    manifest = score_shard(shard, scorer, WORLD, about={"checkpoint": "runs/x"})
    shard.open_reference(is_learned_from=False)
    kept = shard.reference.read(0, shard.num_tokens)
    assert (kept == quantize(expected)).mean() > 0.99 and np.abs(kept / 16 - expected)[expected < 15.9].max() < 1 / 31.9
    assert manifest["mean_nats"] == pytest.approx(kept.mean() / 16)
    assert manifest["positions"] % sequence_length == 0 and manifest["positions"] >= shard.num_tokens
    assert manifest["flops"] * 3 == manifest["positions"] * training_flops_per_token(
        scorer.model.config, context=sequence_length
    )
    assert manifest == shard.reference.manifest == json.loads(reference_paths(shard.stem)[1].read_bytes())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "web.bin",
        "web.idx",
        "web.json",
        "web.ref",
        "web.ref.json",
    ]


def test_a_killed_scoring_goes_on_with_the_parts_that_are_missing(tmp_path: Path):
    (tmp_path / "straight").mkdir(), (tmp_path / "killed").mkdir()
    straight, killed = (write_shard(tmp_path / name) for name in ("straight", "killed"))
    score_shard(straight, make_scorer(), WORLD, about={})
    scored, score = [], scoring.score_rows

    def dies_at_the_third(scorer: Scorer, rows: list, **settings: object) -> np.ndarray:
        if len(scored) == 2:
            raise KeyboardInterrupt
        scored.append(len(rows))
        return score(scorer, rows, **settings)

    with mock.patch.object(scoring, "score_rows", dies_at_the_third), pytest.raises(KeyboardInterrupt):
        score_shard(killed, make_scorer(), WORLD, about={})
    assert not reference_paths(killed.stem)[0].exists()
    with mock.patch.object(scoring, "score_rows", side_effect=score) as again:
        score_shard(killed, make_scorer(), WORLD, about={})
    assert again.call_count == 4 - 2
    for ours, theirs in zip(reference_paths(killed.stem), reference_paths(straight.stem), strict=True):
        assert ours.read_bytes() == theirs.read_bytes()


def test_parts_of_other_settings_are_not_taken(tmp_path: Path):
    shard = write_shard(tmp_path)
    with (
        mock.patch.object(scoring, "_publish", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        score_shard(shard, make_scorer(), WORLD, about={})
    with mock.patch.object(scoring, "score_rows", side_effect=scoring.score_rows) as again:
        manifest = score_shard(shard, make_scorer(overlap=4), WORLD, about={})
    assert again.call_count == 4 and manifest["overlap"] == 4


def _score(world: World, folder: str) -> dict:
    return score_shard(Shard.open(Path(folder) / "web"), make_scorer(), world, about={})


def test_three_ranks_write_what_one_writes(tmp_path: Path):
    (tmp_path / "one").mkdir(), (tmp_path / "three").mkdir()
    one = score_shard(write_shard(tmp_path / "one"), make_scorer(), WORLD, about={})
    write_shard(tmp_path / "three")
    assert run_ranks(_score, 3, str(tmp_path / "three")) == [one] * 3
    assert (tmp_path / "one" / "web.ref").read_bytes() == (tmp_path / "three" / "web.ref").read_bytes()
