"""Soak test: random faults strike a small run through the real commands, and its end must equal an undisturbed one's.

    python benchmarks/soak.py --restarts 50 --seed 0

Two runs of the same configuration are trained on two ranks by `mai1 pretrain launch.ranks=2`. One is left alone. The other
is struck again and again, at seeded steps and moments: a rank or all ranks are killed, a rank is stopped, its disk becomes
full, the command is asked to stop or is killed, also while a checkpoint is written and while the ranks start. What the
supervisor does not start again by design (a request to stop, a full disk, its own death), this script does, as a person
or a scheduler would. Weights, moments and the losses of all logged steps must be equal bit for bit.
"""

import argparse
import json
import os
import pydoc_data.topics
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mai1.watch.monitor import parent_of
from mai1.watch.restarts import newest_step

ROOT = Path(__file__).resolve().parents[1]
STEPS_A_FAULT = 16
"""Length of the run: about twice what it advances between two faults."""
OVERRIDES = [
    "model.d_model=32",
    "model.num_layers=2",
    "model.dense_width=64",
    "model.attention.num_heads=2",
    "model.attention.num_kv_heads=1",
    "model.attention.head_dim=16",
    "model.moe.num_experts=4",
    "model.moe.expert_width=32",
    "engine.expert_parallel=2",
    "engine.timeout_s=20",
    "data.sequence_length=64",
    "batch.sequences_per_step=4",
    "batch.sequences_per_microbatch=1",
    "train.log_every=1",
    "train.heldout_every=100000",
    "train.heldout_rows=2",
    "train.self_check=false",
    "checkpoint.every_steps=4",
    "samples.count=0",
    "watch.stuck_after_s=3",
    "watch.pause_after_s=60",
    "watch.digest_every=4",
    "launch.ranks=2",
    "launch.max_restarts=100000",
    "launch.max_futile_restarts=20",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens, and when."""

    kind: str
    new_steps: int
    """Steps that were saved since the fault before; 0: as soon as the ranks run."""
    is_in_save: bool
    """At the next save rather than after it."""
    delay_s: float
    rank: int


@dataclass(slots=True)
class Outcome:
    """What the soak showed."""

    faults: dict[str, int]
    during_saves: int
    """Faults that struck while a checkpoint was being written."""
    restarts: int
    """By the supervisor and by this script."""
    differing: list[str]
    """Files and figures that are not as in the undisturbed run; empty when all is well."""
    seconds: float


KINDS = {
    "kill": 8,
    "kill all": 2,
    "stop": 2,
    "full disk": 2,
    "ask to stop": 2,
    "kill supervisor": 1,
    "kill at start": 3,
}
"""Faults and how often they come."""
ENDING = ("full disk", "ask to stop", "kill supervisor")
"""Faults after which the command ends by design."""


def main() -> None:
    """Run the soak from the command line; exit code 1 when the runs differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--restarts", type=int, default=50, help="faults to strike with")
    parser.add_argument("--seed", type=int, default=0, help="of kinds and moments")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="mai1-soak-"))
    outcome = soak(folder, restarts=given.restarts, seed=given.seed, say=lambda text: print(text, flush=True))
    print(json.dumps({name: getattr(outcome, name) for name in Outcome.__slots__}, indent=1))
    sys.exit(1 if outcome.differing else 0)


def soak(folder: Path, *, restarts: int, seed: int, say: Callable[[str], None] = lambda text: None) -> Outcome:
    """Train alone, then with `restarts` faults, and compare."""
    started = time.monotonic()
    corpus = prepare_corpus(folder)
    steps = (restarts + 2) * STEPS_A_FAULT
    alone, struck = (Command(folder, corpus, name=name, steps=steps) for name in ("alone", "struck"))
    assert alone.finish() == 0, alone.log.read_text()
    say(f"undisturbed: {steps} steps in {time.monotonic() - started:.0f} s")
    faults, during_saves, differing = plan(restarts, seed=seed), 0, []
    for number, fault in enumerate(faults, 1):
        struck.wait_for(fault)
        step, is_saving = newest_step(struck.run), struck.is_saving()
        during_saves += is_saving
        say(f"{number}/{restarts} at step {step}{', while saving' * is_saving}: {fault.kind}")
        struck.strike(fault)
        if step == steps:
            differing.append(f"the run had ended before fault {number}")
    code = struck.finish()
    differing += [f"exit code {code}"] if code else compare(alone.run, struck.run)
    ledger = struck.run / "restarts.jsonl"
    by_supervisor = sum(json.loads(line)["restart"] > 0 for line in ledger.read_text().splitlines())
    return Outcome(
        faults=dict(Counter(fault.kind for fault in faults)),
        during_saves=during_saves,
        restarts=by_supervisor + struck.starts - 1,
        differing=differing,
        seconds=round(time.monotonic() - started, 1),
    )


def plan(count: int, *, seed: int) -> list[Fault]:
    """The faults, one every few steps."""
    dice, faults = random.Random(seed), []
    for _ in range(count):
        (kind,) = dice.choices(list(KINDS), KINDS.values())
        at_start, is_in_save = kind == "kill at start", dice.random() < 0.5
        delay_s = dice.uniform(0, 5 if at_start else 0.03 if is_in_save else 0.2)
        faults.append(Fault(kind, 0 if at_start else 4, is_in_save and not at_start, delay_s, dice.randrange(2)))
    return faults


def prepare_corpus(folder: Path) -> Path:
    """Shards of the topics of Python's help(), real text that every machine has."""
    texts, corpus = folder / "texts", folder / "corpus"
    texts.mkdir(parents=True)
    for name, text in sorted(pydoc_data.topics.topics.items())[:40]:
        (texts / f"{name}.txt").write_text(text[:6000], encoding="utf-8")
    prepared = [f"output={corpus}", f"sources={{topics: {{path: {texts}}}}}", "tokenizer.vocab_size=600"]
    command = [sys.executable, "-m", "mai1", "prepare", *prepared, "heldout_fraction=0.1", "workers=1"]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return corpus


class Command:
    """`mai1 pretrain` of one run: started, struck, and started again where a person would."""

    def __init__(self, folder: Path, corpus: Path, *, name: str, steps: int) -> None:
        self.run, self.log, self.starts, self.steps = folder / "runs" / name, folder / f"{name}.log", 0, steps
        given = [f"data.path={corpus}", f"run.directory={self.run.parent}", f"run.name={name}", f"train.steps={steps}"]
        self._command = [sys.executable, "-m", "mai1", "pretrain", *OVERRIDES, *given]
        self._process: subprocess.Popen | None = None

    def finish(self) -> int:
        """Let it run to its end; returns the exit code."""
        self._keep_running()
        return self._process.wait()

    def wait_for(self, fault: Fault) -> None:
        """Return at the fault's moment, with all ranks there."""
        first = newest_step(self.run)
        self._wait_until(lambda: len(self._ranks()) == 2)
        self._wait_until(lambda: newest_step(self.run) >= first + fault.new_steps)
        self._wait_until(lambda: not fault.is_in_save or self.is_saving())
        time.sleep(fault.delay_s)

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 300
        while not condition() and newest_step(self.run) < self.steps:
            self._keep_running()
            assert time.monotonic() < deadline, f"nothing happens:\n{self.log.read_text()[-4000:]}"
            time.sleep(0.002)

    def is_saving(self) -> bool:
        """Whether a checkpoint is being written."""
        return any(self.run.glob("checkpoints/.staging-step_*"))

    def strike(self, fault: Fault) -> None:
        """Make the fault happen and return when all ranks of before are gone."""
        ranks = self._ranks()
        victims = ranks if fault.kind == "kill all" else ranks[fault.rank : fault.rank + 1]
        if fault.kind == "full disk":
            for rank in ranks:
                resource.prlimit(rank, resource.RLIMIT_FSIZE, (4096, 4096))
        elif fault.kind in ("ask to stop", "kill supervisor"):
            self._process.send_signal(signal.SIGTERM if fault.kind == "ask to stop" else signal.SIGKILL)
        else:
            number = signal.SIGSTOP if fault.kind == "stop" else signal.SIGKILL
            for rank in victims:
                os.kill(rank, number)
        deadline = time.monotonic() + 120
        while any(Path(f"/proc/{rank}").exists() for rank in ranks):
            self._process.poll()
            assert time.monotonic() < deadline, f"{fault} ended nothing:\n{self.log.read_text()[-4000:]}"
            time.sleep(0.02)
        if fault.kind in ENDING:
            self._process.wait(60)

    def _ranks(self) -> list[int]:
        """The processes that the supervisor started, in the order of ranks."""
        if self._process is None:
            return []
        found = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
        return sorted(pid for pid in found if parent_of(pid) == self._process.pid)

    def _keep_running(self) -> None:
        if self._process is None or self._process.poll() is not None:
            with open(self.log, "a") as log:
                self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=log)
            self.starts += 1


def compare(alone: Path, struck: Path) -> list[str]:
    """What of the last checkpoint and of the logged losses differs."""
    checkpoints = [run / "checkpoints" / "latest" for run in (alone, struck)]
    files = [{str(path.relative_to(folder)) for path in folder.rglob("*.safetensors")} for folder in checkpoints]
    differing = sorted(files[0] ^ files[1])
    differing += [
        name for name in sorted(files[0] & files[1]) if len({(f / name).read_bytes() for f in checkpoints}) > 1
    ]
    figures = [
        [(record["step"], record["loss"], record["grad_norm"]) for record in records(run) if record["kind"] == "train"]
        for run in (alone, struck)
    ]
    return differing + (["losses"] if figures[0] != figures[1] else [])


def records(run: Path) -> list[dict]:
    """The run's metrics."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


if __name__ == "__main__":
    main()
