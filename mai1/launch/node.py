"""One node of a job that Kubernetes, Ray, SkyPilot or Azure ML starts everywhere at once: `python -m mai1.launch.node`.

It finds its place among the nodes in the platform's variables, starts torchrun, and ends with a code that the platform can act
on: 0 done or saved, 2 another start would end alike, 1 start again. Needs no torch. Slurm has mai1.launch.slurm_job instead.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mai1.launch.attempts import Attempts
from mai1.launch.first_error import failures_of, report
from mai1.launch.torchrun import NODE_LOG, node_folder, threads_of, torchrun
from mai1.launch.training import run_path, with_preflight

NUMBERS = ("JOB_COMPLETION_INDEX", "SKYPILOT_NODE_RANK", "NODE_RANK")
"""Which of the nodes this is, as JobSet, SkyPilot and Azure ML say it."""
FINAL_CODE = 2
"""Another start would end alike."""


@dataclass(frozen=True, slots=True)
class Place:
    """Of this node among the nodes."""

    number: int
    head: str
    """Where node 0 is reached."""


def place_of(environment: Mapping[str, str], *, nodes: int, number: int | None, head: str) -> Place:
    """From the command line, or from what the platform set; ValueError where neither says it."""
    said = [environment[name] for name in NUMBERS if environment.get(name, "").isdigit()]
    number = number if number is not None else int(said[0]) if said else 0 if nodes == 1 else None
    if number is None or not 0 <= number < nodes:
        raise ValueError(
            f"node {number} of {nodes}: give --number, or start it where one of {', '.join(NUMBERS)} is set"
        )
    head = head or environment.get("SKYPILOT_NODE_IPS", "").partition("\n")[0] or environment.get("MASTER_ADDR", "")
    if not head and nodes > 1:
        raise ValueError("where is node 0: give --head, or start it where SKYPILOT_NODE_IPS or MASTER_ADDR is set")
    return Place(number, head or "127.0.0.1")


class Node:
    """One start of this node's ranks."""

    def __init__(self, given: argparse.Namespace, words: list[str]) -> None:
        self.given, self.words = given, words
        self.place = place_of(os.environ, nodes=given.nodes, number=given.number, head=given.head)
        run = run_path(words, Path(__file__).resolve().parents[1] / "configs")
        self.name = socket.gethostname().partition(".")[0]
        self.attempts = Attempts(
            run / "logs" / given.job / f"of-node-{self.place.number}",
            checkpoints=run / "checkpoints",
            max_restarts=given.max_restarts,
            max_futile_restarts=given.max_futile_restarts,
        )
        self.process: subprocess.Popen | None = None
        self.is_asked = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self._ask)

    def run(self) -> int:
        """Start torchrun and see it end; the code for the platform."""
        if self.attempts.count() and (reason := self.attempts.reason_to_end()):
            return _end(reason, FINAL_CODE)
        logs = self.attempts.begin()
        folder = node_folder(logs, self.place.number, self.name)
        folder.mkdir()
        code = self._start(folder)
        if code and self.is_asked:
            self.attempts.excuse(logs, "asked to stop")
            return _end(f"asked to stop, at checkpoint {self.attempts.newest_checkpoint()}", 1)
        failures = failures_of(logs, devices=self.given.devices) if code else []
        if text := report(failures):
            print(text, file=sys.stderr, flush=True)
        if code and next(folder.glob("*/attempt_*/*/error.json"), None):
            return _end("another start would end alike", FINAL_CODE)
        return min(code, 1) if code >= 0 else 1

    def _start(self, folder: Path) -> int:
        """torchrun's exit code. What it says goes to this node's log and is repeated here."""
        given = self.given
        before = ["--node-rank", str(self.place.number), "--log-dir", str(folder)]
        meeting = {"nodes": given.nodes, "devices": given.devices, "head": self.place.head, "port": given.port}
        words = with_preflight(self.words, given.preflight)
        command = torchrun(words, python=sys.executable, **meeting, before=before)
        threads = threads_of(len(os.sched_getaffinity(0)), given.devices)
        ours = {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(given.stop_within), "OMP_NUM_THREADS": str(threads)}
        environment = {"PYTHONUNBUFFERED": "1", **ours, **os.environ}
        with (
            open(folder / NODE_LOG, "ab") as log,
            subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
            ) as self.process,
        ):
            if self.is_asked:  # between two lines of ours
                self.process.terminate()
            for line in self.process.stdout:
                log.write(line)
                log.flush()
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
        return self.process.returncode

    def _ask(self, number: int, _frame: object) -> None:
        """Pass a request to stop on, once: torchrun takes a second one for impatience. It dies of USR1, so it gets TERM."""
        if not self.is_asked:
            self.is_asked = True
            print(
                f"mai1 launch: {signal.Signals(number).name}: asking every rank for a checkpoint",
                file=sys.stderr,
                flush=True,
            )
            if self.process is not None and self.process.poll() is None:
                self.process.terminate()


def _end(text: str, code: int) -> int:
    print(f"mai1 launch: {text}", file=sys.stderr, flush=True)
    return code


def read_arguments(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Options, and the words of the training command."""
    parser = argparse.ArgumentParser(prog="python -m mai1.launch.node", allow_abbrev=False)
    for name in ("nodes", "devices", "port", "max-restarts", "max-futile-restarts", "stop-within"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--job", required=True, help="name of the job, under which its starts are counted")
    parser.add_argument("--umask", required=True, help="octal")
    parser.add_argument("--preflight", default="off", choices=("off", "quick", "full"))
    parser.add_argument("--number", type=int, help="of this node; from the platform if left out")
    parser.add_argument("--head", default="", help="where node 0 is reached; from the platform if left out")
    parser.add_argument("words", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    return given, given.words[1:] if given.words[:1] == ["--"] else given.words


def main(arguments: list[str]) -> int:
    """One node from start to end."""
    given, words = read_arguments(arguments)
    os.umask(int(given.umask, 8))
    try:
        return Node(given, words).run()
    except ValueError as error:
        return _end(str(error), FINAL_CODE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
