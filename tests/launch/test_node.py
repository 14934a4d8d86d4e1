"""One node under Kubernetes, Ray, SkyPilot or Azure ML: it finds its place, hands signals on once, and its code tells."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mai1.launch import node
from mai1.launch.node import place_of

OPTIONS = ["--nodes=1", "--devices=1", "--port=29999", "--job=job", "--max-restarts=9", "--max-futile-restarts=1"]
OPTIONS += ["--stop-within=60", "--umask=077"]
STAND_IN = """
import json, os, signal, sys, time
from pathlib import Path
folder = Path(sys.argv[sys.argv.index("--log-dir") + 1])
what = Path(os.environ["WHAT"]).read_text().split()[int(folder.parent.name[8:])]
print("torchrun says", what, os.environ["OMP_NUM_THREADS"], flush=True)
if what == "mistake":
    own = folder / "x" / "attempt_0" / "0"
    own.mkdir(parents=True)
    (own / "error.json").write_text(json.dumps({"message": "a mistake", "timestamp": 1, "code": 2}))
if what == "wait":
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
    (folder / "waits").touch()
    while not asked:
        time.sleep(0.05)
    time.sleep(0.5)
    (folder / "asked").write_text(str(len(asked)))
sys.exit(what not in ("done",))
"""
PATCHED = """
import sys
from mai1.launch import node
real = node.torchrun
node.torchrun = lambda *a, **k: [sys.executable, STAND_IN, *real(*a, **k)[3:]]
sys.exit(node.main(sys.argv[1:]))
"""


def start(folder: Path, *what: str) -> subprocess.Popen:
    """The starter of a node whose torchrun does what `what` says, attempt by attempt."""
    (folder / "torchrun.py").write_text(STAND_IN)
    (folder / "what").write_text(" ".join(what))
    code = PATCHED.replace("STAND_IN", repr(str(folder / "torchrun.py")))
    command = [sys.executable, "-c", code, *OPTIONS, "--", "pretrain", "run.name=first"]
    environment = os.environ | {"WHAT": str(folder / "what"), "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(folder: Path, *what: str) -> tuple[int, str, str]:
    process = start(folder, *what)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def attempt(folder: Path, number: int) -> Path:
    [own] = (folder / "runs/first/logs/job/of-node-0" / f"attempt-{number}").glob("node-0-*")
    return own


@pytest.mark.parametrize(
    ("environment", "nodes", "given", "expected"),
    [
        ({"JOB_COMPLETION_INDEX": "3"}, 4, {"head": "first-node-0-0.first"}, (3, "first-node-0-0.first")),
        ({"SKYPILOT_NODE_RANK": "1", "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2"}, 2, {}, (1, "10.0.0.1")),
        ({"NODE_RANK": "1", "MASTER_ADDR": "10.0.0.9"}, 2, {}, (1, "10.0.0.9")),
        ({"NODE_RANK": "1"}, 2, {"number": 0, "head": "h"}, (0, "h")),
        ({}, 1, {}, (0, "127.0.0.1")),
    ],
)
def test_a_node_finds_its_place(environment, nodes, given, expected):
    place = place_of(environment, nodes=nodes, **{"number": None, "head": "", **given})
    assert (place.number, place.head) == expected


@pytest.mark.parametrize(
    ("environment", "says"),
    [({}, "node None of 2: give --number"), ({"NODE_RANK": "2"}, "node 2 of 2"), ({"NODE_RANK": "0"}, "--head")],
)
def test_a_node_without_a_place_says_so(environment, says):
    with pytest.raises(ValueError, match=says):
        place_of(environment, nodes=2, number=None, head="")


def test_what_torchrun_says_is_shown_and_kept_and_its_end_is_the_nodes(tmp_path: Path):
    code, out, err = ended(tmp_path, "done")
    assert code == 0 and out.startswith("torchrun says done"), err
    assert (attempt(tmp_path, 0) / "torchrun.log").read_text() == out
    assert attempt(tmp_path, 0).stat().st_mode & 0o077 == 0


def test_a_failure_may_be_tried_again_and_a_mistake_not(tmp_path: Path):
    assert ended(tmp_path, "crash", "mistake")[0] == 1
    code, _, err = ended(tmp_path, "crash", "mistake")
    assert code == 2 and "first error: " in err and "a mistake" in err


def test_a_start_that_would_be_futile_is_refused(tmp_path: Path):
    assert [ended(tmp_path, *["crash"] * 9)[0] for _ in range(3)] == [1, 1, 2]
    link = tmp_path / "runs/first/checkpoints/latest"
    link.parent.mkdir()
    link.symlink_to("step_1")
    assert ended(tmp_path, *["crash"] * 9)[0] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_request_to_stop_reaches_torchrun_once(tmp_path: Path, number: int):
    process = start(tmp_path, "wait")
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("runs/first/logs/job/of-node-0/attempt-0/node-0-*/waits")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1 and "asking every rank for a checkpoint" in err
    assert (attempt(tmp_path, 0) / "asked").read_text() == "1"
    assert json.loads((attempt(tmp_path, 0).parent / "start.json").read_text())["from"] == "none"
    assert (attempt(tmp_path, 0).parent / "excused").exists()


def test_its_options_are_those_that_submissions_give():
    given, words = node.read_arguments([*OPTIONS, "--", "pretrain", "--help", "a; b"])
    assert words == ["pretrain", "--help", "a; b"] and given.umask == "077" and given.number is None
