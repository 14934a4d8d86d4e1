"""The supervisor: `launch.ranks=N` makes a command start itself N times through torch's elastic agent and watch over it.

torch starts the ranks, lets them meet and notices when one ends; what follows is decided here: torch would restart after
every failure, would let survivors wait half a minute for a dead rank, and would abandon ranks at a second Ctrl-C.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerSpec, WorkerState
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
from torch.distributed.elastic.rendezvous import RendezvousParameters
from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

from mai1.watch.config import LaunchConfig
from mai1.watch.restarts import FINAL_CODES, Failure, RestartPolicy
from mai1.watch.witness import SUPERVISOR

ASKING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1}
"""Signals that ask for a checkpoint and the end."""
SURVIVE_S = 3.0
"""For the ranks beside a dead one to end by themselves and say what they saw."""
KILLED_WITHIN_S = 20.0
"""For the kernel to take down a killed rank: its memory may be large and its machine busy."""
TAIL_LINES = 12
"""Of a failed rank's log, shown on the console."""


def supervise(command: list[str], config: LaunchConfig, *, run_directory: Path, stop: object) -> int:
    """Run `python COMMAND` on `launch.ranks` processes, again after failures; returns the exit code.

    `stop` is true once a signal asked to stop before the first rank was started.
    """
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed.elastic")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters is said here
    os.environ[SUPERVISOR] = str(os.getpid())
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = ",".join(sorted(number.name for number in ASKING))
    # a store that outlives its ranks still holds the addresses of the dead when they start again, and some connect there
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // config.ranks)))
    run_id = datetime.now(UTC).strftime("launch-%Y%m%dT%H%M%S")
    meeting = RendezvousParameters(
        backend="c10d", endpoint="localhost:0", run_id=run_id, min_nodes=1, max_nodes=1, local_addr="localhost"
    )
    spec = WorkerSpec(
        role="mai1",
        local_world_size=config.ranks,
        entrypoint=sys.executable,
        args=tuple(argument.replace("$", "$$") for argument in command),  # torch takes them for templates
        rdzv_handler=get_rendezvous_handler(meeting),
        max_restarts=config.max_restarts,
        local_addr="localhost",
    )
    agent = Supervisor(spec, RestartPolicy(config, run_directory), config, logs=run_directory / "logs", stop=stop)
    if stop:
        print(f"mai1: {stop.reason} before any rank was started", file=sys.stderr, flush=True)
        return 0
    try:
        result = agent.run()
        return agent.exit_code() if result.is_failed() else 0
    except SignalException:
        return agent.exit_code()
    finally:
        agent.end_ranks()
        spec.rdzv_handler.shutdown()


class Supervisor(LocalElasticAgent):
    """torch's agent of one machine, with our policy."""

    def __init__(
        self, spec: WorkerSpec, policy: RestartPolicy, config: LaunchConfig, *, logs: Path, stop: object
    ) -> None:
        others = {rank: Std.ALL for rank in range(1, config.ranks)}  # rank 0 keeps the console
        try:
            logs_specs = DefaultLogsSpecs(log_dir=str(logs), redirects={0: Std.NONE} | others)
        except OSError as error:
            raise ValueError(
                f"run.directory={logs.parent.parent} cannot be written ({error}): choose another"
            ) from None
        super().__init__(spec, logs_specs, shutdown_timeout=config.stop_within_s)
        self._policy, self._stop, self._is_stopping = policy, stop, False
        self._failures: list[Failure] = []

    def exit_code(self) -> int:
        """Of all: 0 where every rank ended well, a code that says more than 1 where a rank had one, else 1."""
        codes = {process.poll() for process in self._processes()}
        final = sorted(FINAL_CODES.keys() & (codes | {failure.code for failure in self._failures}))
        return (final or [0 if codes <= {0} and not self._failures else 1])[0]

    def _start_workers(self, worker_group: WorkerGroup) -> dict[int, int]:
        self._failures = []
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
        try:  # held back in a rank, too, until its StopRequest listens: none is lost, and none kills it while it imports
            started = super()._start_workers(worker_group)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)  # from here on a signal is raised as SignalException
        if self._stop:
            raise SignalException(f"{self._stop.reason} before the start", signal.SIGTERM)
        return started

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        """A first failure ends all ranks and is judged; torch then restarts while it believes it may."""
        codes = [process.poll() for process in self._processes()]
        self._failures = [Failure(rank, code) for rank, code in enumerate(codes) if code]
        if self._failures:
            self._pcontext.close(signal.SIGCONT, SURVIVE_S)  # a signal without effect, then SIGKILL
        result = super()._monitor_workers(worker_group)
        if result.state is WorkerState.FAILED:
            seen = [Failure(rank, failure.exitcode) for rank, failure in result.failures.items()]
            self._failures = self._failures or seen  # a rank may end between two looks
            self._show_logs()
            self._remaining_restarts *= self._policy.allows(self._failures)
        return result

    def _shutdown(self, death_sig: signal.Signals = signal.SIGTERM, timeout: float = 30) -> None:
        """Asked once, the ranks save and end; asked again, or when one of them dies over it, they are killed."""
        is_asked_again, self._is_stopping = self._is_stopping, True
        if not is_asked_again:
            try:
                self._ask_to_stop(timeout)
            except SignalException:
                self.end_ranks()
                raise
        super()._shutdown(signal.SIGKILL, KILLED_WITHIN_S)
        self._is_stopping = False

    def end_ranks(self) -> None:
        """Kill those still there and wait until they are gone; from here on a Ctrl-C does nothing."""
        for number in ASKING:
            signal.signal(number, signal.SIG_IGN)
        super()._shutdown(signal.SIGKILL, KILLED_WITHIN_S)

    def _ask_to_stop(self, timeout: float) -> None:
        for process in self._processes():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                os.killpg(process.pid, signal.SIGCONT)  # a stopped rank could not react
        deadline = time.monotonic() + timeout
        while None in (codes := [process.poll() for process in self._processes()]) and time.monotonic() < deadline:
            if any(codes):
                deadline = min(deadline, time.monotonic() + SURVIVE_S)
            time.sleep(0.05)

    def _processes(self) -> list[subprocess.Popen]:
        """Of the ranks, in their order."""
        handlers = self._pcontext.subprocess_handlers if self._pcontext else {}
        return [handlers[rank].proc for rank in sorted(handlers)]

    def _show_logs(self) -> None:
        """The last lines of failed ranks that do not write to the console."""
        for failure in self._failures:
            log = self._pcontext.stderrs[failure.rank]
            if log and failure.code > 0 and failure.code not in FINAL_CODES:
                with open(log, encoding="utf-8", errors="replace") as lines:
                    tail = "".join(deque(lines, TAIL_LINES))
                print(f"[rank {failure.rank}] the end of {log}:\n{tail}", file=sys.stderr, end="", flush=True)
