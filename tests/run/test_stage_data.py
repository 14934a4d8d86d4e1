import json
import struct
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from mai1.checkpoint.checkpoint import CheckpointConfig
from mai1.checkpoint.families import to_hf_config
from mai1.data.shards import HEADER, MAGIC, Shard, ShardWriter
from mai1.generate.sampling import SamplingConfig
from mai1.model.init import initialize
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.model.transformer import MoETransformer
from mai1.optim.adamw import OptimConfig
from mai1.run import samples
from mai1.run.config import PretrainConfig, RunConfig, SftConfig
from mai1.run.datasets import StageData, open_instructions, open_shards
from mai1.run.directory import claim_run_directory
from mai1.run.stage import _refuse_other_shape
from mai1.tokenizer.training import TokenizerConfig, TokenizerKind, train_tokenizer
from mai1.train.alarms import AlarmConfig
from tests.support.tiny import family_configs, tiny_model_config


@pytest.mark.parametrize("manifest", [{}, {"tokenizer_hash": "f" * 64}])
def test_shards_of_another_tokenizer_are_refused(tmp_path: Path, manifest: dict):
    with ShardWriter(tmp_path / "foreign", vocab_size=10) as writer:
        writer.add(np.arange(10))
        writer.close(manifest)
    with pytest.raises(
        ValueError, match="foreign.json has tokenizer_hash=(nothing|f{12}) but the tokenizer's is 000000000000"
    ):
        open_shards(tmp_path, SimpleNamespace(hash="0" * 64))


def test_a_shard_of_another_program_is_used_once_it_is_written_anew(tmp_path: Path):
    documents = [np.array([5, 6, 7]), np.array([8])]
    lengths, offsets, marks = struct.pack("<2i", 3, 1), struct.pack("<2q", 0, 6), struct.pack("<3q", 0, 1, 2)
    (tmp_path / "theirs.bin").write_bytes(np.concatenate(documents).astype("<u2").tobytes())
    (tmp_path / "theirs.idx").write_bytes(HEADER.pack(MAGIC, 1, 8, 2, 3) + lengths + offsets + marks)
    with pytest.raises(
        ValueError, match="theirs.json is missing: .*another program is written anew as docs/data-format"
    ):
        open_shards(tmp_path, SimpleNamespace(hash="0" * 64))
    theirs = Shard.open(tmp_path / "theirs")
    with ShardWriter(tmp_path / "corpus" / "other", vocab_size=10) as writer:
        for number in range(theirs.num_documents):
            writer.add(theirs.document(number))
        writer.close({"tokenizer_hash": "0" * 64})
    [shard] = open_shards(tmp_path / "corpus", SimpleNamespace(hash="0" * 64))
    assert [shard.document(number).tolist() for number in range(2)] == [ids.tolist() for ids in documents]


@pytest.mark.parametrize("family", family_configs())
def test_a_run_starts_from_weights_of_its_own_shape_alone(tmp_path: Path, family: str):
    config = family_configs()[family]
    content = to_hf_config(config, dtype="float32", end_of_text_id=1, stop_ids=[1], pad_id=2)
    (tmp_path / "config.json").write_text(json.dumps(content))
    _refuse_other_shape(config, tmp_path)
    with pytest.raises(
        ValueError, match="model.num_layers=4 but .* has 3: a run starts only from weights of its own shape"
    ):
        _refuse_other_shape(replace(config, num_layers=4), tmp_path)


def test_questions_too_long_for_the_model_are_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tokenizer = train_tokenizer(iter(["one two why? " * 20]), TokenizerConfig(kind=TokenizerKind.char, vocab_size=300))
    model = MoETransformer(tiny_model_config(vocab_size=tokenizer.vocabulary.size, max_positions=40))
    initialize(model, seed=0)
    monkeypatch.setattr(samples, "load_model", lambda directory: model)
    questions = [
        [{"role": "user", "content": text}, {"role": "assistant", "content": "two"}]
        for text in ("one? " * 20, "why?", "one? " * 6)
    ]
    config = SftConfig(
        run=RunConfig(directory=str(tmp_path), name="r"),
        checkpoint=CheckpointConfig(init_from="x"),
        sampling=SamplingConfig(max_new_tokens=30),
    )
    (tmp_path / "r").mkdir()
    samples.ask_questions(tmp_path, config, StageData(tokenizer, None, [], [], questions), when="before")
    written = json.loads((tmp_path / "r" / "answers.json").read_text())
    assert written["questions"] == 2 and written["before"]["questions"] == 2


def test_conversations_carry_the_sources_that_their_file_names(tmp_path: Path):
    tokenizer = train_tokenizer(iter(["one two why? " * 20]), TokenizerConfig(kind=TokenizerKind.char, vocab_size=300))
    records = [{"prompt": "why?", "completion": "two", "source": source} for source in ("b", "a", "b", "")]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    data = open_instructions(tmp_path / "mine.jsonl", None, tokenizer, sequence_length=15, seed=0, heldout_rows=0)
    assert data.rows.source_names == ["a", "b", "mine"]
    assert sorted(int(row.sources[0]) for row in data.rows.rows) == [0, 1, 1, 2]


def test_thresholds_of_alarms_may_change_when_a_run_goes_on(tmp_path: Path):
    run = RunConfig(directory=str(tmp_path), name="r")
    claim_run_directory(PretrainConfig(run=run), facts={}).close()
    known = tmp_path / "r" / "config.yaml"
    resolved = yaml.safe_load(known.read_text())
    del resolved["alarms"]  # as of a run that was begun before there were alarms
    known.write_text(yaml.safe_dump(resolved))
    claim_run_directory(PretrainConfig(run=run, alarms=AlarmConfig(max_violation=5.0)), facts={}).close()
    with pytest.raises(ValueError, match="optim.weight_decay=0.5 but the run in"):
        claim_run_directory(PretrainConfig(run=run, optim=OptimConfig(weight_decay=0.5)), facts={})


def test_a_run_from_before_a_key_existed_resumes_with_the_keys_default_only(tmp_path: Path):
    run = RunConfig(name="old", directory=str(tmp_path))
    claim_run_directory(PretrainConfig(run=run), facts={}).close()
    recorded = yaml.safe_load((run.path / "config.yaml").read_text())
    del recorded["routing"]
    (run.path / "config.yaml").write_text(yaml.safe_dump(recorded))
    with pytest.raises(ValueError, match=r"routing\.jitter=0\.1 but the run in .* has routing\.jitter=0\.0"):
        claim_run_directory(PretrainConfig(run=run, routing=RoutingConfig(jitter=0.1)), facts={})
    claim_run_directory(PretrainConfig(run=run), facts={}).close()
