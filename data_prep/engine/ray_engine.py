"""The Ray engine: tasks on a Ray cluster, one started here or a running one whose machines share the disk."""

import json
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import TracebackType

import ray

from data_prep.engine.code_version import ROOT
from data_prep.engine.config import RayConfig
from data_prep.engine.ledger import Failure, Ledger
from data_prep.engine.task import Result, Task, task_line
from data_prep.engine.worker import TABLE, attempt

CONNECT_S = 10.0
"""Seconds that a running cluster may take to answer."""

LOOK_S = 5.0
"""Seconds after which the bar is drawn again and new machines of the cluster are noticed."""

SUBMITTED_PER_CPU = 2
"""Enough that no CPU waits for this process, and that a cluster which can grow sees a reason to."""


class RayEngine:
    """Runs tasks on Ray, one CPU each. Workers import the sources that this process runs."""

    def __init__(self, work: Path, config: RayConfig, *, is_quiet: bool = False, table: str = TABLE) -> None:
        self.work, self.config, self.is_quiet, self.table = work.absolute(), config, is_quiet, table
        self._temporary = ""

    def __enter__(self) -> "RayEngine":
        if self.config.address:
            self._join()
            return self
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _join(self) -> None:
        """Become a client of a running cluster."""
        address = self.config.address
        try:
            if address != "auto":  # where nothing answers, Ray itself would try for minutes
                host, _, port = address.rpartition(":")
                socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()
            environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
            ray.init(address=address, runtime_env=environment, log_to_driver=False, logging_level="error")
        except OSError as error:  # ConnectionError from Ray is one too
            raise ValueError(
                f"engine_options.ray.address={address} must be a running cluster ({error}): "
                "start one with `ray start --head`, or remove it to have one started here"
            ) from error

    def _start(self) -> None:
        """Start a cluster on this machine that nobody else may use: Ray opens folder and ports to everyone."""
        self._temporary = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # paths of sockets must be short
        path = os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
        with _environment(
            PYTHONPATH=path.rstrip(os.pathsep), RAY_AUTH_TOKEN=os.environ.get("RAY_AUTH_TOKEN") or _token()
        ):
            ray.init(
                address="local",
                num_cpus=self.config.num_cpus or len(os.sched_getaffinity(0)),
                include_dashboard=False,
                log_to_driver=False,
                logging_level="error",
                _temp_dir=f"{self._temporary}/ray",
            )

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        ray.shutdown()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def run(self, tasks: Sequence[Task], *, title: str) -> list[Result]:
        """As the local engine does."""
        remote = ray.remote(num_cpus=1, max_retries=0, scheduling_strategy="SPREAD")(_attempt_remotely)
        running: dict[ray.ObjectRef, Task] = {}
        with Ledger(tasks, self.work, title=title, is_quiet=self.is_quiet) as ledger:
            while True:
                most = SUBMITTED_PER_CPU * max(1, int(ray.cluster_resources().get("CPU", 1)))
                while len(running) < most and (task := ledger.next_task()):
                    running[remote.remote(task_line(task), str(self.work), self.table)] = task
                if not running:
                    return ledger.results()
                ready, _ = ray.wait(list(running), timeout=LOOK_S)
                for reference in ready:
                    ledger.note(running.pop(reference), _answer_of(reference))
                ledger.show("")


def _attempt_remotely(line: str, work: str, table: str) -> str:
    failure = attempt(line, Path(work), table)
    return json.dumps(asdict(failure) if failure else None)


def _answer_of(reference: ray.ObjectRef) -> Failure | None:
    try:
        answer = json.loads(ray.get(reference))
    except ray.exceptions.RayError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return Failure(f"its worker died ({type(error).__name__}: {' '.join(lines)[:300]})", has_died=True)
    return Failure(**answer) if answer else None


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """What the cluster's processes inherit; a `runtime_env` would do the same and take seconds longer."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@cache
def _token() -> str:
    """The secret of clusters that this process starts. One, because Ray reads it once; else Ray leaves one in the home."""
    return secrets.token_hex(32)
