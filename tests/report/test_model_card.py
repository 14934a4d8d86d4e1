"""The model card: what a run's files say, what they do not say, and nothing of the machine it was made on."""

import json
import re
from pathlib import Path
from typing import Any
from xml.dom import minidom

import pytest
import yaml

from mai1.report.model_card import ReleaseFacts, write_model_card
from mai1.report.model_card_text import public
from tests.report.conftest import write_run
from tests.support.corpus_directory import write_corpus

SECRETS = ["hf_FakeTokenOfNobodyAtAll0123456789", "AKIAFAKEFAKEFAKEFAKE", "0123456789abcdef0123456789abcdef01234567"]


def facts(**changes: Any) -> ReleaseFacts:
    values = {
        "name": "spruce",
        "architecture": "Glm4MoeForCausalLM",
        "model_type": "glm4_moe",
        "parameters": {"total": 1_412_000_000, "active": 212_000_000},
        "shape": {"layers": 5},
        "dtype": "bfloat16",
        "licence": "apache-2.0",
        "step": 6,
        "versions": {"mai1": "9.9"},
    }
    return ReleaseFacts(**(values | changes))


def card(directory: Path, run: Path | None, *, configs: dict | None = None, **changes: Any) -> str:
    directory.mkdir(exist_ok=True)
    write_model_card(directory, facts(**changes), run=run, configs=configs or {})
    return (directory / "README.md").read_text()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run on a corpus with a contaminated task, with a ledger, evaluations and the persona probe."""
    directory = write_run(tmp_path / "runs" / "spruce")
    write_corpus(tmp_path / "corpus")
    change(directory / "run.json", {"data": str(tmp_path / "corpus")})
    record = {"kind": "train", "step": 7, "tokens": 9, "loss": 1.0, "seconds": 7200.0}
    record |= {
        "ledger": {"useful": 3e15, "padding": 1e15},
        "sources": {"web": {"weight": 0.75}, "books": {"weight": 0.25}},
    }
    with open(directory / "metrics.jsonl", "a") as file:
        file.write(json.dumps(record) + "\n")
    (directory / "evaluation").mkdir()
    score = {"value": 0.5625, "standard_error": 0.02, "items": 600, "chance": 0.25}
    tasks = {"arc_easy": {"scores": {"all": {"acc": score}, "clean": {"acc": score | {"value": 0.5, "items": 500}}}}}
    found = {"step": 7, "checkpoint": "/home/alice/x", "tasks": tasks}
    (directory / "evaluation" / "00000007.json").write_text(json.dumps(found))
    (directory / "persona.json").write_text(
        json.dumps(
            {
                "set": "probes-1",
                "before": {"asked": 48, "flagged": 6, "rate": 0.125, "low": 0.06, "high": 0.25},
                "after": {"asked": 48, "flagged": 0, "rate": 0.0, "low": 0.0, "high": 0.07},
            }
        )
    )
    return directory


def change(path: Path, changes: dict) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def row(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"| {start}"))


def test_the_front_matter_is_what_the_hub_reads(tmp_path: Path, run: Path):
    _, metadata, _ = card(tmp_path / "r", run, base_model="org/base").split("---\n", 2)
    assert yaml.safe_load(metadata) == {
        "license": "apache-2.0",
        "language": ["en"],
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "base_model": "org/base",
        "tags": ["mixture-of-experts", "mai1", "glm4_moe"],
    }


def test_data_sets_of_the_hub_are_named_and_no_other_paths(tmp_path: Path, run: Path):
    manifest = tmp_path / "corpus" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["sources"]["web"]["path"] = "datasets:allenai/c4"
    content["sources"]["books"]["path"] = "datasets:/home/alice/books"
    manifest.write_text(json.dumps(content))
    text = card(tmp_path / "r", run)
    assert yaml.safe_load(text.split("---\n")[1])["datasets"] == ["allenai/c4"] and "alice" not in text


def test_the_runs_figures_are_in_it(tmp_path: Path, run: Path):
    text = card(tmp_path / "r", run, configs={str(run.resolve()): {"optim": {"method": "muon", "learning_rate": 0.01}}})
    assert "1.41B parameters, of which 212M are active" in text
    assert row(text, "web") == "| web | **not stated** | **not stated** | 1,900 | 75.0% |"
    assert row(text, "books") == "| books | CC0-1.0 | a library | 1,500 | 25.0% |"
    assert "**No licence is stated for web.**" in text
    assert row(text, "near copies").split(" | ")[1:3] == ["10", "5kB"] and "pii.email 7" in text.replace("\\", "")
    assert "quiz: 2 documents held items of it" in text
    assert row(text, "FLOPs") == "| FLOPs | 4e15 |"
    assert row(text, "of which useful") == "| of which useful | 75.0% |"
    assert row(text, "hours") == "| hours | 2.00 |" and row(text, "optimizer |") == "| optimizer | muon |"
    assert row(text, "precision") == "| precision | not recorded |"
    assert row(text, "all | 3.457") and row(text, "counts of pairs") == "| counts of pairs | 5.234 | – |"
    assert row(text, "arc\\_easy | all") == "| arc\\_easy | all | acc | 7 | 0.5625 | ± 0.0392 | 0.2500 | 600 |"
    assert row(text, "arc\\_easy | clean").endswith("| 0.5000 | ± 0.0392 | 0.2500 | 500 |")
    assert row(text, "before | 12.5% | 6.0% | 25.0% | 48") and row(text, "after | 0.0% | 0.0% | 7.0% | 48")
    assert row(text, "after tuning") == "| after tuning | 2.500 | 0.500 | – |"


def test_the_curve_is_an_image_of_its_own(tmp_path: Path, run: Path):
    text = card(tmp_path / "r", run)
    assert "](loss.svg)" in text
    drawing = minidom.parse(str(tmp_path / "r" / "loss.svg")).documentElement
    assert drawing.getAttribute("xmlns") == "http://www.w3.org/2000/svg" and not drawing.getElementsByTagName("script")
    words = "".join(node.firstChild.data for node in drawing.getElementsByTagName("text"))
    assert "held-out" in words and "training" in words and "nats per token" in words


def test_a_proof_is_told_in_words(tmp_path: Path):
    figures = {"max_logit_difference": 1.25e-5, "mean_kl": 2e-13, "top1_agreement": 1.0, "routing_agreement": 0.9975}
    proof = {"tokens": 1024, "text_sha256": "ab" * 32, "transformers": "5.23.0", "chat_identical": True, **figures}
    proof["as_released"] = figures | {"dtype": "bfloat16", "max_logit_difference": 0.5}
    gguf = {"spruce-F16.gguf": {"tensors": 61, "bit_exact": 23, "max_difference": 0.0005}}
    text = card(tmp_path / "r", None, proof=proof, gguf=gguf)
    assert "On 1,024 tokens of real text" in text and "differ by at most 1.25e-5" in text
    assert "for 99.8% of tokens and layers" in text and "and so is the chat template" in text
    assert "In `bfloat16`, as released" in text and "differ by at most 5e-1" in text
    assert "`spruce-F16.gguf`: read back, 23 of 61 tensors are bit for bit" in text
    assert "llama-cli -m spruce-F16.gguf -no-cnv" in text


def test_what_is_absent_is_said_to_be(tmp_path: Path):
    text = card(tmp_path / "r", None, licence="", step=0)
    assert yaml.safe_load(text.split("---\n")[1])["license"] == "unknown"
    for words in (
        "It was not recorded how it was trained",
        "What it was trained on was not recorded",
        "How it was trained was not recorded",
        "No loss was logged",
        "No evaluation was recorded",
        "was not measured",
        "was not compared with transformers",
        "No run was recorded",
        "No licence was stated for it",
    ):
        assert words in text, words
    assert "optimizer steps" not in text and not (tmp_path / "r" / "loss.svg").exists()


def test_a_torn_run_still_has_a_card(tmp_path: Path, run: Path):
    for name in ("run.json", "metrics.jsonl", "answers.json", "baselines.json", "environment.json", "persona.json"):
        (run / name).write_text('{"torn": ')
    (run / "evaluation" / "00000007.json").write_text('[{"tasks": 3}')
    (tmp_path / "corpus" / "manifest.json").write_text("\0")
    text = card(tmp_path / "r", run)
    assert "not at hand" in text and "No task was evaluated" in text and "not recorded" in text


def test_code_shows_the_chat_of_tuned_models_and_text_of_others(tmp_path: Path):
    assert "apply_chat_template" in card(tmp_path / "r", None, is_chat=True)
    assert "apply_chat_template" not in card(tmp_path / "r", None)
    without = card(tmp_path / "r", None, has_weights=False, gguf={"it's.gguf": {}})
    assert "AutoModel" not in without and "llama-cli -m 'it'\"'\"'s.gguf'" in without
    assert yaml.safe_load(without.split("---\n")[1])["library_name"] == "gguf"


def test_nothing_of_the_machine_gets_in(tmp_path: Path, run: Path):
    """Paths, names and keys in every file that is read, wherever a value may stand."""
    planted = (
        f"/home/alice/private/run bob@corp.example {' '.join(SECRETS)} https://carol:pw@host.org/x?token=dave#erin"
    )
    environment = {"gpu": planted, "command": planted, "mai1": planted, "commit": planted, "torch": planted, "ranks": 2}
    change(run / "environment.json", environment)
    change(
        run / "run.json", {"name": planted, "parent": "/home/alice/runs/parent", "started": planted, "host": planted}
    )
    manifest = tmp_path / "corpus" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["sources"]["web"] |= {"licence": planted, "origin": planted, "path": planted}
    content["sources"][planted] = {"licence": "", "train": {"tokens": 5}}
    content["config"]["contamination"] = {"tasks": {planted: {"path": planted}}, "action": planted}
    content["config"]["pii"] = {"kinds": [planted]}
    manifest.write_text(json.dumps(content | {"fingerprint": planted, "changed": {planted: planted}}))
    tasks = {planted: {"scores": {planted: {planted: {"value": 1, "standard_error": 0.1, "items": 3}}}}}
    (run / "evaluation" / "00000007.json").write_text(json.dumps({"step": 7, "device": planted, "tasks": tasks}))
    config = {
        "run": {"seed": planted, "directory": planted},
        "optim": {"method": planted},
        "wandb": {"project": planted},
    }
    proof = {"transformers": planted, "text_sha256": "ab" * 32}
    text = card(tmp_path / "r", run, configs={str(run.resolve()): config}, proof=proof)
    text += (tmp_path / "r" / "loss.svg").read_text()
    for word in ("alice", "private", "bob@", "@corp", "carol", ":pw", "dave", "erin", str(tmp_path), *SECRETS):
        assert word not in text.replace("\\", ""), word
    assert "https://host.org/x" in text.replace("\\", "")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("/home/alice/data/books", "books"),
        ("~bob/x", "x"),
        (r"C:\Users\bob\x", "x"),
        ("data/books", "data/books"),
        ("either/or, 1800/1925", "either/or, 1800/1925"),
        ("file:///home/alice/x", "file"),
        ("s3://AKIAFAKEFAKEFAKEFAKE:pw@bucket/key", "s3://bucket/key"),
        ("https://huggingface.co/datasets/allenai/c4", "https://huggingface.co/datasets/allenai/c4"),
        ("cc-by-sa-4.0", "cc-by-sa-4.0"),
        (None, ""),
        (3, "3"),
    ],
)
def test_what_is_public_of_a_value(value: object, shown: str):
    assert re.sub(r"\\(.)", r"\1", public(value)) == shown
