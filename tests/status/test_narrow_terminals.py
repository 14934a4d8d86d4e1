"""What `mai1 status` and `mai1 watch` show on narrow terminals, without colour, and of runs that have diverged."""

import io
import json
import re
import sys
from pathlib import Path

import pytest

from mai1.status.dashboard import loss_chart, screen
from mai1.status.run_status import RunStatus, read_status
from mai1.status.terminal import draw
from mai1.status.text import block, one_line, sparkline, table, wrapped

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def run_with(directory: Path, losses: list[float]) -> RunStatus:
    """A run that logged these losses and an alarm."""
    mend = {"key": "alarms.max_violation", "threshold": 2.0}
    alarm = {"layer": "3", "figure": "max_violation", "value": 5.5, **mend}
    records = [
        {"kind": "train", "step": step, "tokens": 10 * step, "loss": loss, "alarms": [alarm], "tokens_per_s": 5.0}
        for step, loss in enumerate(losses, start=1)
    ]
    (directory / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return read_status(directory)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_lines_keep_to_the_width_and_nothing_is_cut(tmp_path: Path, width: int):
    status = run_with(tmp_path, [5.0 - 0.1 * step for step in range(30)])
    lines = block(status, width=width)
    assert max(map(len, lines[1:])) <= width
    words = " ".join(" ".join(lines).split())
    assert "alarms.max_violation=2.0" in words.replace(" ", "")
    assert "…" not in words
    drawn = [COLOUR.sub("", line) for line in screen(status, width=width, height=24, every_s=3)]
    assert len(drawn) <= 24 and max(len(line) for line in drawn[1:]) <= width


def test_what_is_wrong_stands_right_under_the_state(tmp_path: Path):
    names = [line.split()[0] for line in block(run_with(tmp_path, [5.0, 4.0]), width=200)[1:]]
    assert names[:2] == ["state", "alarms"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_said_and_no_older_one_stands_for_it(tmp_path: Path, bad: float):
    status = run_with(tmp_path, [5.0, 4.0, bad])
    assert status.has_diverged and status.alarms[0] == "the training loss is not finite at step 3"
    for text in (one_line(status), "\n".join(table([status])), "\n".join(block(status))):
        assert "NaN/inf" in text and "4.000" not in text
    assert "now NaN/inf" in "\n".join(screen(status, width=80, height=30, every_s=3))
    status = run_with(tmp_path, [5.0, bad, 4.0])
    assert not status.has_diverged and "4.000" in one_line(status)


def test_one_peak_does_not_flatten_the_curve(tmp_path: Path):
    losses = [5.0 - 0.05 * step for step in range(60)]
    losses[30] = 9e9
    status = run_with(tmp_path, losses)
    lines = loss_chart(status, width=76)
    assert "≥" in lines[0] and len({line.count("█") for line in lines[:-1]}) > 3
    assert max(len(COLOUR.sub("", line)) for line in lines) <= 80
    bars = sparkline(losses, width=60)
    assert len(set(bars)) == 8


def test_a_row_that_is_too_long_for_its_lines_says_so():
    lines = wrapped("state", "word " * 60, width=40, max_lines=2)
    assert len(lines) == 2 and lines[0].startswith("  state       word") and lines[1].endswith(" …")
    assert max(map(len, lines)) <= 40


@pytest.mark.parametrize(("value", "has_colour"), [("1", False), ("", True)])
def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch, value: str, has_colour: bool):
    monkeypatch.setenv("NO_COLOR", value)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    draw(["\x1b[31mred\x1b[0m"])
    written = sys.stdout.getvalue()
    assert ("\x1b[31m" in written) == has_colour and "red" in written
