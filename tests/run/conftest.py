"""A tiny corpus and a tiny trained run, made once through the commands themselves."""

import json
import pydoc_data.topics
from dataclasses import dataclass
from pathlib import Path

import pytest

from mai1.run.cli import main

TINY_MODEL = [
    "model.d_model=32",
    "model.num_layers=2",
    "model.dense_width=64",
    "model.attention.num_heads=2",
    "model.attention.num_kv_heads=1",
    "model.attention.head_dim=16",
    "model.moe.num_experts=4",
    "model.moe.expert_width=32",
]
TINY_RUN = [
    *TINY_MODEL,
    "data.sequence_length=64",
    "batch.sequences_per_step=4",
    "batch.sequences_per_microbatch=2",
    "train.steps=6",
    "train.log_every=2",
    "train.heldout_every=3",
    "train.heldout_rows=2",
    "checkpoint.every_steps=3",
    "samples.count=2",
    "samples.persona_probes=0",
    "sampling.max_new_tokens=4",
]


@dataclass
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def mai1(capfd, monkeypatch):
    """Run a command in this process."""
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def run(*arguments: str) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def texts(tmp_path_factory) -> Path:
    """The topics of Python's help(), one file each: real text that every machine has."""
    folder = tmp_path_factory.mktemp("texts")
    for name, text in sorted(pydoc_data.topics.topics.items())[:40]:
        (folder / f"{name}.txt").write_text(text[:6000], encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def corpus(texts, tmp_path_factory) -> Path:
    """Prepared shards of those texts and a few questions."""
    output = tmp_path_factory.mktemp("corpus") / "prepared"
    with pytest.raises(SystemExit) as ended:
        main(
            ["prepare", f"output={output}", f"sources={{topics: {{path: {texts}}}}}", "tokenizer.vocab_size=600",
             "heldout_fraction=0.1", "workers=1"]
        )  # fmt: skip
    assert ended.value.code == 0
    (output / "instruct").mkdir(exist_ok=True)
    for split, names in (("train", sorted(texts.iterdir())[:12]), ("heldout", sorted(texts.iterdir())[12:16])):
        pairs = [{"prompt": f"What is {p.stem}?", "completion": f"It is {p.stem}, a topic of Python."} for p in names]
        (output / "instruct" / f"{split}.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return output
