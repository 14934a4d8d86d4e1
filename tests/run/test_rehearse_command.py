"""`mai1 rehearse`, from the command line's keys to its figures."""

import json

import pytest

from mai1.run import rehearse

ARGUMENTS = ["model=tiny", "data.sequence_length=256", "devices=64", "engine.expert_parallel=8"]


def rehearsed(tmp_path, capsys, *overrides: str) -> tuple[dict, str]:
    rehearse.main([*ARGUMENTS, f"output={tmp_path}/figures.json", *overrides])
    return json.loads((tmp_path / "figures.json").read_text()), capsys.readouterr().out


def test_every_key_has_an_effect(tmp_path, capsys):
    usual, text = rehearsed(tmp_path, capsys)
    assert "rank 0 of 64, stage 1 of 1" in text and "as predicted: rows to experts" in text
    changes = {
        "devices": "devices=128",
        "rank": "rank=63",
        "length": "data.sequence_length=128",
        "microbatch": "batch.sequences_per_microbatch=2",
        "rows": "batch.sequences_per_step=128",
        "engine": "engine.recompute=true",
        "optimizer": "optim.method=muon",
    }
    for name, override in changes.items():
        found, said = rehearsed(tmp_path, capsys, override)
        assert found != usual or said != text, name


def test_what_was_recorded_stands_beside_what_was_predicted(tmp_path, capsys):
    figures, _ = rehearsed(tmp_path, capsys)
    assert figures["recorded"] and all(row["bytes"] == row["predicted_bytes"] for row in figures["recorded"])
    assert {row["what"] for row in figures["predicted"]} >= {"gradients", "weights", "rows to experts"}
    assert figures["kept_bytes"] > 0 and figures["memory"]["activations"] > 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("devices=0", "devices=0 must be at least 1"),
        ("rank=64", "rank=64 must be from 0 to devices-1=63"),
        ("engine.expert_parallel=7", "engine.expert_parallel=7 must divide"),
        ("batch.sequences_per_step=65", "must be a multiple of"),
        ("lora.rank=8", "lora.rank=8 cannot be rehearsed"),
        ("routing.max_rows=64", "routing.max_rows=64 cannot be rehearsed"),
    ],
)
def test_mistakes_are_named(override: str, message: str):
    with pytest.raises(ValueError, match=message):
        rehearse.main([*ARGUMENTS, override])
