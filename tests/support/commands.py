"""Run a `mai1` command in a process of its own that has torch loaded already: about a second instead of four."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.ranks import _CONTEXT

ROOT = Path(__file__).parents[2]


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def run_command(
    *arguments: object, before: Callable[[], object] | None = None, timeout_s: float = 120.0, **environment: str
) -> Ended:
    """The command's exit code and what it said.

    `before` (a function of a module) is called first in its process, which has the environment's variables beside its own.
    """
    with tempfile.TemporaryDirectory() as folder:
        given = (folder, [str(a) for a in arguments], before, os.getcwd(), environment)
        process = _CONTEXT.Process(target=_main, args=given)
        process.start()
        process.join(timeout_s)
        is_late = process.is_alive()
        process.kill()
        process.join()
        out, err = ((Path(folder) / name).read_text() for name in ("out", "err"))
    assert not is_late, f"not done in {timeout_s} s:\n{err}"
    return Ended(process.exitcode, out, err)


def command_on_ranks(num_ranks: int, *arguments: object) -> subprocess.CompletedProcess:
    """A command on several ranks, through the entry that a cluster uses."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(num_ranks)]
    return subprocess.run(
        [*start, "-m", "mai1", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def _main(
    folder: str,
    arguments: list[str],
    before: Callable[[], object] | None,
    directory: str,
    environment: dict[str, str],
) -> None:
    os.environ |= environment
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    sys.argv = ["mai1", *arguments]
    os.chdir(directory)
    import torch

    from mai1.run.cli import main

    torch.set_num_threads(1)
    if before is not None:
        before()
    main(arguments)
