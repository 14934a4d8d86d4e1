"""The monitor: a small process beside each rank, which sees it stop when the rank itself can no longer say so.

It reads the heartbeat, and when that stands still, asks the rank for its stacks and last collectives, calls the other
monitors through a folder that all share, sees one page written, and kills its rank, so that the launcher takes over. It
ends with its rank. `python -m mai1.watch.monitor SETTINGS`, as JSON; torch is not loaded here.
"""

import json
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mai1.watch.heartbeat import Beat, Heartbeat, Phase
from mai1.watch.incident import PAGE, Finding, write_finding, write_page

HEARTBEAT, STACKS, COLLECTIVES = "heartbeat", "stacks.txt", "collectives.json"
"""Files of the folder that a rank shares with its monitor."""
SIGN_OF_LIFE, SIGN_EVERY_S = "alive.json", 10.0
"""What rank 0's monitor writes beside the logs, for people and other machines: where the run is, and that it is alive."""
STACKS_SIGNAL = signal.SIGUSR2
ANSWER_WITHIN_S = 3.0
"""For a rank to write its stacks and collectives."""
GATHER_WITHIN_S = 8.0
"""For the monitors of all ranks to report; a slow machine must not keep the others from ending."""


@dataclass(slots=True)
class MonitorSettings:
    """What a monitor is told by its rank."""

    rank: int
    num_ranks: int
    host: str
    trainer_pid: int
    launcher_pid: int
    """The process that started the rank; 0 where the rank may outlive it."""
    folder: str
    """Shared with the rank alone, on this machine."""
    incident: str
    """Shared by all monitors; it is there only when a rank is stuck."""
    patience_s: list[float]
    """By phase."""
    poll_s: float


class Monitor:
    """Watches one rank to its end."""

    def __init__(self, settings: MonitorSettings) -> None:
        self.settings = settings
        self.folder, self.incident = Path(settings.folder), Path(settings.incident)
        self.heartbeat = Heartbeat(self.folder / HEARTBEAT)
        self.idle_s = 0.0
        self._shown, self._shown_at = "", 0.0

    def run(self) -> None:
        """Return when the run is over, or the rank gone, by itself or because it was stuck."""
        last, asleep_since = None, time.monotonic()
        while self._trainer_is_there():
            self._stop_an_orphan()
            beat, now = self.heartbeat.read(), time.monotonic()
            self._show_life(beat, beat.phase.name)
            # after Ctrl-Z or a suspended machine the monitor, too, slept: that is nobody's fault
            self.idle_s += min(now - asleep_since, 2 * self.settings.poll_s)
            asleep_since = now
            if beat.phase is Phase.over:
                return
            if beat != last:
                last, self.idle_s = beat, 0.0
            if self.idle_s > self.settings.patience_s[beat.phase] or self.incident.exists():
                self._show_life(beat, "stuck")
                self._end_a_stuck_rank()
                return
            time.sleep(self.settings.poll_s)
        beat = self.heartbeat.read()
        self._show_life(beat, beat.phase.name if beat.phase is Phase.over else "gone")

    def _show_life(self, beat: Beat, phase: str) -> None:
        """Of rank 0, once it holds the run's directory: every few seconds, and when its phase changes."""
        now, is_ended = time.monotonic(), phase in (Phase.over.name, "gone")
        if self.settings.rank or not beat.number or (is_ended and not self._shown):
            return
        if phase == self._shown and now - self._shown_at < SIGN_EVERY_S:
            return
        self._shown, self._shown_at = phase, now
        path = self.incident.parent / SIGN_OF_LIFE
        sign = {"phase": phase, "step": beat.step, "host": self.settings.host, "pid": self.settings.trainer_pid}
        with suppress(OSError):  # a disk that is full must not keep it from watching
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            with open(fresh, "x", encoding="utf-8") as file:
                json.dump(sign | {"idle_s": self.idle_s}, file)
            os.replace(fresh, path)

    def _trainer_is_there(self) -> bool:
        return os.getppid() == self.settings.trainer_pid

    def _stop_an_orphan(self) -> None:
        """A rank whose launcher was killed would train on unseen, and hold the run's directory: it stops, saved."""
        if self.settings.launcher_pid and parent_of(self.settings.trainer_pid) != self.settings.launcher_pid:
            self.settings.launcher_pid = 0
            self._signal(signal.SIGTERM)

    def _end_a_stuck_rank(self) -> None:
        try:
            is_first = self._call_the_others()
            write_finding(self.incident, self._examine())
            self._signal(signal.SIGSTOP)  # it must neither go on nor report a broken connection when others end
            if is_first:
                self._wait_for(lambda: len(list(self.incident.glob("rank-*.json"))) == self.settings.num_ranks)
                write_page(self.incident, reason=self._reason(), num_ranks=self.settings.num_ranks)
                print(f"\n{self._reason()}: see {self.incident / PAGE}", file=sys.stderr, flush=True)
            else:
                self._wait_for((self.incident / PAGE).exists)
        finally:  # also where the disk is full
            self._signal(signal.SIGKILL)

    def _call_the_others(self) -> bool:
        """Make the folder that the other monitors look for; True when nobody had."""
        try:
            self.incident.mkdir(parents=True)
        except FileExistsError:
            return False
        return True

    def _reason(self) -> str:
        beat = self.heartbeat.read()
        return (
            f"rank {self.settings.rank} made no progress for {self.idle_s:.1f} s ({beat.phase.name}, step {beat.step})"
        )

    def _examine(self) -> Finding:
        """The rank's state as it is, then its own account; a stopped process must go on for that, and ends soon after."""
        pid, beat = self.settings.trainer_pid, self.heartbeat.read()
        state, waits_in = state_of(pid)
        self._signal(STACKS_SIGNAL)
        self._signal(signal.SIGCONT)
        print("collectives", flush=True)  # read by the rank's witness
        stacks, collectives = self.folder / STACKS, self.folder / COLLECTIVES
        self._wait_for(lambda: stacks.stat().st_size > 0 and collectives.exists(), ANSWER_WITHIN_S)
        return Finding(
            rank=self.settings.rank,
            host=self.settings.host,
            pid=pid,
            phase=beat.phase.name,
            step=beat.step,
            beats=beat.number,
            idle_s=self.idle_s,
            state=state,
            waits_in=waits_in,
            is_responsive=collectives.exists(),
            calls=json.loads(collectives.read_bytes()) if collectives.exists() else [],
            stacks=stacks.read_text(encoding="utf-8", errors="replace"),
        )

    def _wait_for(self, condition, timeout_s: float = GATHER_WITHIN_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _signal(self, number: signal.Signals) -> None:
        if self._trainer_is_there():  # its number cannot have been given to another process
            os.kill(self.settings.trainer_pid, number)


def state_of(pid: int) -> tuple[str, str]:
    """A process's state letter and the kernel function it waits in, as far as the system tells."""
    try:
        state = _stat_of(pid)[0]
        waits_in = Path(f"/proc/{pid}/wchan").read_text().strip("0\0\n")
    except (OSError, IndexError):
        return "?", ""
    return state, waits_in


def parent_of(pid: int) -> int:
    """The process that a process would report its end to; 0 where the system does not tell."""
    try:
        return int(_stat_of(pid)[1])
    except (OSError, IndexError):
        return 0


def _stat_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def main(argument: str) -> None:
    """Watch until the rank is gone. Signals that ask the rank to stop are not for the monitor."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    settings = MonitorSettings(**json.loads(argument))
    try:
        Monitor(settings).run()
    finally:
        shutil.rmtree(settings.folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
