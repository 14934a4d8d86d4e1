"""The dashboard in a terminal of its own: what is drawn, what keys do, and that the terminal is left as it was."""

import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from mai1.run.watch import watch_in_lines
from mai1.status.dashboard import CHART_HEIGHT, layer_rows, screen
from mai1.status.run_status import LayerBalance, read_status
from mai1.status.terminal import ENTER, LEAVE
from tests.support.run_directory import make_run, train_record

PATIENCE_S = 60


class Terminal:
    """A `mai1 watch` on a terminal of so many characters."""

    def __init__(self, *arguments: object, rows: int = 40, columns: int = 100, terminal: str = "xterm") -> None:
        self.ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.theirs, self.before = theirs, termios.tcgetattr(theirs)
        command = [sys.executable, "-m", "mai1", "watch", *map(str, arguments)]
        environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
        streams = {"stdin": theirs, "stdout": theirs, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(
            command, **streams, env=environment | {"TERM": terminal}, start_new_session=True
        )
        self.shown = ""

    def wait_for(self, text: str) -> str:
        """What has been shown once `text` was."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} was not shown but {self.shown[-500:]!r}"
            if select.select([self.ours], [], [], 0.2)[0]:
                self.shown += os.read(self.ours, 2**16).decode(errors="replace")
        return self.shown

    def press(self, key: str) -> None:
        os.write(self.ours, key.encode())

    def end(self) -> int:
        """Its exit code, with the terminal as it was before."""
        code = self.process.wait(timeout=PATIENCE_S)
        assert termios.tcgetattr(self.theirs) == self.before
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def run(tmp_path) -> Path:
    return make_run(tmp_path / "first", step=100, saved=50, written_s=time.time())


@pytest.fixture
def terminal(run):
    terminals = []
    yield lambda *arguments, **options: terminals.append(Terminal(run, *arguments, **options)) or terminals[-1]
    for each in terminals:
        each.close()


def test_it_draws_follows_the_run_and_leaves_the_terminal_as_it_was_when_q_is_pressed(run, terminal):
    watch = terminal("every_s=0.2")
    shown = watch.wait_for("q quits")
    assert shown.startswith(ENTER) and "100/1,000 (10.0%)" in shown and "▁" in shown and "layer" in shown
    with open(run / "metrics.jsonl", "a") as file:
        file.write(json.dumps(train_record(110)) + "\n" + '{"kind": "train", "st')
    watch.wait_for("110/1,000 (11.0%)")
    watch.press("x")  # means nothing
    watch.press("q")
    watch.wait_for(LEAVE)
    assert watch.end() == 0


def test_ctrl_c_leaves_the_terminal_as_it_was(terminal):
    watch = terminal("every_s=0.2")
    watch.wait_for("q quits")
    os.killpg(watch.process.pid, signal.SIGINT)
    watch.wait_for(LEAVE)
    assert watch.end() == 130


def test_a_terminal_that_can_do_nothing_gets_lines(run, terminal):
    done = make_run(run.parent / "done", step=1000, saved=1000)
    watch = Terminal(done, terminal="dumb")
    try:
        shown = watch.wait_for("finished: 1,000/1,000 (100.0%)")
        assert ENTER not in shown and watch.end() == 0
    finally:
        watch.close()


def test_without_a_terminal_a_line_comes_when_something_changed_until_the_run_is_over(run, capsys, monkeypatch):
    lines = []

    def sleep(_: float) -> None:
        lines.append(capsys.readouterr().out)
        if len(lines) == 2:
            with open(run / "metrics.jsonl", "a") as file:
                file.write(json.dumps(train_record(120)) + "\n")
        if len(lines) == 3:
            (run / "checkpoints" / "latest").unlink()
            (run / "checkpoints" / "step_00001000").mkdir()
            (run / "checkpoints" / "latest").symlink_to("step_00001000")

    monkeypatch.setattr("time.sleep", sleep)
    watch_in_lines(run, every_s=3.0)
    lines.append(capsys.readouterr().out)
    assert lines[0].startswith("running: 100/1,000 (10.0%), loss 1.833, 500 tokens/s, ETA 30 min")
    assert lines[1] == "" and lines[2].startswith("running: 120/1,000") and lines[3].startswith("finished: 1,000/1,000")


@pytest.mark.parametrize(("width", "height"), [(30, 5), (60, 12), (100, 24), (100, 40), (250, 90)])
def test_a_screen_never_has_more_lines_than_the_terminal(run, width: int, height: int):
    lines = screen(read_status(run), width=width, height=height, every_s=3)
    assert len(lines) == height and "q quits" in lines[-1]
    has_chart = sum("█" in line for line in lines) > CHART_HEIGHT / 2
    assert has_chart == (height >= 24)


def test_of_many_layers_the_least_even_are_shown():
    layers = [LayerBalance(str(number), number / 100, 0.9, 0.0, [1.0] * 8) for number in range(60)]
    rows = layer_rows(layers, width=80, room=12)
    assert len(rows) == 12 and rows[-1].count("and 50 more") == 1 and " 59 " in rows[-2] and " 50 " in rows[1]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["{run}", "{run}"], "give one run"),
        (["nowhere"], "holds no run"),
        (["{run}", "every_s=0"], "every_s=0 must be a number of seconds from 0.2 to 3600"),
        (["{run}", "every=3"], "the only option is every_s=3"),
    ],
)
def test_a_mistake_is_one_line(mai1, run, arguments, part):
    ended = mai1("watch", *(argument.format(run=run) for argument in arguments))
    assert ended.code == 2 and part in ended.err and ended.err.count("\n") == 1
