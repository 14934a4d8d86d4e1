"""Which rank said the first error: `python -m mai1.launch.first_error LOGS` reads every rank's logs and prints by time.

When one rank dies, the others fail moments later over connections that are gone, and thousands of lines say so. Here each rank
gives one line - its first error with its time - and those that only tell of lost peers stand behind those that do not.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mai1.launch.torchrun import NODE_LOG

TAIL_BYTES = 1 << 18
MAX_TEXT = 300
FOLLOWS = re.compile(
    r"[Cc]onnection (was )?(closed|reset|refused|lost)|[Bb]roken pipe|[Tt]imed out|[Tt]imeout|Watchdog|remote (peer|process)|"
    r"peer|communicator was aborted|Dist(Store|Network|Backend)Error|SIGTERM|Rank \d+ .* (exited|left)|torchrun was killed"
)
"""What a rank says when another one is gone."""
PREFIX = re.compile(r"^(\[rank\d+\]:\s?|\[default\d+\]:\s?)+")
STAMPED = re.compile(r"\[?[EF](\d{2})(\d{2}) (\d{2}):(\d{2}):(\d{2})\.(\d{1,6})")
"""glog's lines, as PyTorch and NCCL's watchdog write them: [rank1]:[E1122 20:34:02.123456 ProcessGroup...] text."""
SPOKEN = re.compile(r"^(Fatal Python error|terminate called|Segmentation fault|mai1: |.*CUDA error|.*\bXid\b)")
EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit|Warning)?(: |$)")
DEATH = re.compile(
    r"time\s*: (?P<time>\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d)\s+host\s*: \S+\s+rank\s*: (?P<rank>\d+) \(local_rank: (?P<local>\d+)\)\s+"
    r"exitcode\s*: (?P<code>-?\d+).*?\n.*?\n\s*traceback\s*: (?P<text>[^\n]*)"
)
"""One rank of torchrun's summary."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What one rank said or suffered first."""

    rank: int
    node: str
    when: float
    """Seconds since the epoch, by the clock of the rank's machine."""
    text: str
    log: Path
    code: int = 0
    """Exit code where one is known, negative for a signal."""
    is_consequence: bool = False
    """It tells only that another rank was gone."""


def failures_of(logs: Path, *, devices: int) -> list[Failure]:
    """The first error of every rank that had one, causes before consequences, each by time."""
    found = [failure for node in sorted(logs.glob("node-*")) for failure in _of_node(node, devices=devices)]
    return sorted(found, key=lambda failure: (failure.is_consequence, failure.when, failure.rank))


def report(failures: list[Failure], *, most: int = 8) -> str:
    """Lines for a person; empty where nobody said an error."""
    lines = []
    for number, failure in enumerate(failures[:most]):
        title = "first error" if number == 0 else "then, as a consequence" if failure.is_consequence else "then"
        when = datetime.fromtimestamp(failure.when).isoformat(sep=" ", timespec="milliseconds")
        lines.append(f"{title}: {when} rank {failure.rank} on {failure.node}: {failure.text}\n    in {failure.log}")
    if len(failures) > most:
        lines.append(f"and {len(failures) - most} ranks more")
    return "\n".join(lines)


def _of_node(node: Path, *, devices: int) -> Iterator[Failure]:
    _, number, name = f"{node.name}--".split("-", 2)
    if not number.isdigit():
        return
    name, deaths = name.rstrip("-"), _deaths(node / NODE_LOG)
    ranks = {int(folder.name): folder for folder in sorted(node.glob("*/attempt_*/*")) if folder.name.isdigit()}
    for local in sorted(ranks.keys() | deaths.keys()):
        said = _said(ranks[local]) if local in ranks else None
        died = deaths.get(local)
        if said is None and died is None:
            continue
        when, text = said or died[:2]
        is_consequence = bool(FOLLOWS.search(text)) or (said is None and died is not None and died[2] == -15)
        log = ranks[local] / "stderr.log" if local in ranks else node / NODE_LOG
        code = died[2] if died else 0
        yield Failure(int(number) * devices + local, name, when, text, log, code, is_consequence)


def _deaths(log: Path) -> dict[int, tuple[float, str, int]]:
    """Local rank -> (time, what, exit code) from torchrun's summary: all that a rank leaves which was killed from outside."""
    deaths = {}
    for match in DEATH.finditer(_tail(log)):
        when = datetime.strptime(match["time"], "%Y-%m-%d_%H:%M:%S").timestamp()
        text = match["text"].strip()
        text = text if text and not text.startswith("To enable traceback") else f"ended with code {match['code']}"
        deaths[int(match["local"])] = (when, text, int(match["code"]))
    return deaths


def _said(folder: Path) -> tuple[float, str] | None:
    """When and what one rank said first: its message for the launcher, or the first error of its log."""
    try:
        content = json.loads((folder / "error.json").read_bytes())
        return float(content["timestamp"]), str(content["message"])[:MAX_TEXT]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    log = folder / "stderr.log"
    lines = [PREFIX.sub("", line) for line in _tail(log).splitlines()]
    for number, line in enumerate(lines):
        if stamp := STAMPED.match(line):
            return _time_of(stamp, log), line[:MAX_TEXT]
        if SPOKEN.match(line) and "stopping after this step" not in line:
            return log.stat().st_mtime, line[:MAX_TEXT]
        if line.startswith("Traceback (most recent call last):"):
            text = next((later for later in lines[number + 1 :] if EXCEPTION.match(later)), line)
            return log.stat().st_mtime, text[:MAX_TEXT]
    return None


def _time_of(stamp: re.Match, log: Path) -> float:
    """A stamp has no year: it is that of the file, or of the year before for a stamp that would lie in the future."""
    month, day, hour, minute, second, fraction = stamp.groups()
    changed = datetime.fromtimestamp(log.stat().st_mtime)
    micro = int(fraction.ljust(6, "0"))
    try:
        when = datetime(changed.year, int(month), int(day), int(hour), int(minute), int(second), micro)
        when = when if (when - changed).days < 1 else when.replace(year=changed.year - 1)
    except ValueError:
        return changed.timestamp()
    return when.timestamp()


def _tail(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def main(arguments: list[str]) -> int:
    """Print the failures of one attempt's logs, or of the newest attempt below; 1 where there are none."""
    logs = Path(arguments[0]) if arguments else Path("runs")
    attempts = [*logs.rglob("node-*-*")] if logs.is_dir() else []
    newest = max((path.parent for path in attempts), key=lambda path: path.stat().st_mtime, default=logs)
    devices = int(arguments[1]) if len(arguments) > 1 else _devices(newest)
    text = report(failures_of(newest, devices=devices))
    print(text or f"no rank of {newest} said an error")
    return 0 if text else 1


def _devices(logs: Path) -> int:
    """Ranks of a node, from the folders of their logs."""
    locals_ = [int(path.name) for path in logs.glob("node-*/*/attempt_*/*") if path.name.isdigit()]
    return max(locals_, default=0) + 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
