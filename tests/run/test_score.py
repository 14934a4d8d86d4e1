"""`mai1 score` and training by its losses, as a person runs them."""

import json
import shutil
from pathlib import Path

import pytest

from mai1.run.compose import compose_config
from mai1.run.config import PretrainConfig
from mai1.run.stage import pretraining_stage
from tests.run.conftest import TINY_RUN
from tests.support.commands import run_command

WEIGHTS = "checkpoints/latest/model-00001-of-00001.safetensors"
RHO = ("selection.method=rho", "selection.share_end=0.5", "selection.over_steps=4")


@pytest.fixture(scope="module")
def base(corpus: Path, tmp_path_factory) -> Path:
    """A folder with a corpus of its own and a run that can score it."""
    folder = tmp_path_factory.mktemp("scored")
    shutil.copytree(corpus, folder / "corpus")
    pretrain(folder, "reference")
    return folder


def settings_of(base: Path, name: str, *settings: str) -> list[str]:
    return [*TINY_RUN, f"data.path={base}/corpus", f"run.directory={base}", f"run.name={name}", *settings]


def pretrain(base: Path, name: str, *settings: str) -> None:
    """In a process of its own, of which DeepSpeed allows one run."""
    done = run_command("pretrain", *settings_of(base, name, *settings))
    assert done.code == 0, done.err


def records(run: Path, kind: str) -> list[dict]:
    return [
        record for record in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()) if record["kind"] == kind
    ]


def test_selection_by_a_reference_from_score_to_report(base: Path, mai1):
    refused = mai1("pretrain", *settings_of(base, "early", *RHO))
    assert refused.code == 2
    assert (
        "selection.method=rho needs reference losses of every source, but topics has none: run `mai1 sc" in refused.err
    )
    score = (
        "score",
        f"checkpoint={base}/reference",
        f"data={base}/corpus",
        "rows_at_once=64",
        "sequence_length=128",
        "overlap=0.5",
    )
    first, second = mai1(*score), mai1(*score)
    assert first.code == second.code == 0, first.err
    assert first.out == second.out and first.out.startswith("topics")
    manifest = json.loads((base / "corpus/train/topics.ref.json").read_text())
    other = mai1(*score[:-1], "overlap=0.25")
    assert other.code == 2 and "topics.ref.json has overlap=64, not 32: use overwrite=true" in other.err

    pretrain(base, "straight", *RHO)
    pretrain(base, "halves", *RHO, "train.stop_after_steps=4")
    pretrain(base, "halves", *RHO)
    assert (base / "straight" / WEIGHTS).read_bytes() == (base / "halves" / WEIGHTS).read_bytes()
    assert (base / "straight" / WEIGHTS).read_bytes() != (base / "reference" / WEIGHTS).read_bytes()
    ledgers = [[record["ledger"] for record in records(base / name, "train")] for name in ("straight", "halves")]
    assert ledgers[0] == ledgers[1]
    for record, ledger in zip(records(base / "straight", "train"), ledgers[0], strict=True):
        positions = record["step"] * 4 * 64
        trained = sum(flops for part, flops in ledger.items() if part != "scoring")
        assert ledger["scoring"] == manifest["flops"] and trained % positions == 0
        assert 0 < record["flops_useful_fraction"] < 1
    assert records(base / "straight", "train")[-1]["flops_useful_fraction"] < 0.51  # half of the targets
    heldout = records(base / "straight", "heldout")
    assert heldout[0]["flops"] == manifest["flops"] and heldout[-1]["flops"] == sum(ledgers[0][-1].values())
    shown = mai1("report", base / "straight")
    assert "bits per byte per EFLOP on held-out text" in shown.out and "useful, scoring" in shown.out
    page = (base / "straight/report.html").read_text()
    assert 'id="ledger"' in page and "could not be drawn" not in page


def test_other_losses_make_another_run_where_they_are_learned_from(base: Path, mai1):
    score = ("score", f"checkpoint={base}/reference", f"data={base}/corpus", "rows_at_once=64", "overwrite=true")
    found = []
    for length in (64, 128):
        assert mai1(*score, f"sequence_length={length}").code == 0
        for settings in ((), RHO):
            config = compose_config("pretrain", PretrainConfig, settings_of(base, "x", *settings))
            found.append(pretraining_stage(config).data.rows.fingerprint)
    assert found[0] == found[2] and len(set(found)) == 3


def test_damaged_losses_stop_a_run_by_name(base: Path, mai1):
    if not (base / "corpus/train/topics.ref").exists():
        assert mai1("score", f"checkpoint={base}/reference", f"data={base}/corpus").code == 0
    path = base / "corpus/train/topics.ref"
    whole = path.read_bytes()
    for content, message in (
        (bytes(len(whole)), "topics.ref has another SHA-256 than its manifest states"),
        (whole[:-1], "ids: run `mai1 score` again, or remove the file"),
    ):
        path.write_bytes(content)
        done = mai1("pretrain", *settings_of(base, "damaged", *RHO))
        assert done.code == 2 and message in done.err
    path.write_bytes(whole)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=nowhere"], "data=nowhere holds no prepared data"),
        (["checkpoint=nowhere"], "checkpoint=nowhere holds no checkpoint"),
        (["overlap=1"], "overlap=1.0 must be from 0 to 0.9"),
        (["sequence_length=1"], "sequence_length=1 must be at least 2"),
        (["rows_at_once=0"], "rows_at_once=0 must be at least 1"),
        (["sequence_length=100000"], "sequence_length=100000 must not exceed the 1024 positions"),
    ],
)
def test_what_cannot_be_scored_is_said(base: Path, mai1, overrides: list[str], message: str):
    done = mai1("score", f"checkpoint={base}/reference", f"data={base}/corpus", *overrides)
    assert done.code == 2 and message in done.err


def test_a_model_of_another_tokenizer_scores_nothing(base: Path, mai1, tmp_path: Path):
    shutil.copytree(base / "corpus", tmp_path / "other")
    path = tmp_path / "other/tokenizer/vocabulary.json"
    path.write_text(path.read_text().replace('"reserved_size": 64', '"reserved_size": 63'))
    done = mai1("score", f"checkpoint={base}/reference", f"data={tmp_path}/other")
    assert done.code == 2 and "was prepared with another tokenizer" in done.err


def test_conversations_have_no_reference_losses(base: Path, mai1):
    done = mai1("sft", f"checkpoint.init_from={base}/reference", *RHO)
    assert (
        done.code == 2 and "selection.method=rho needs reference losses, which conversations have none of" in done.err
    )
