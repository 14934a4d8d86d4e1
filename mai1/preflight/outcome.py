"""What becomes of a check of the nodes: a table for people, preflight.json, and the list of nodes to leave out."""

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

from mai1.preflight.check import Preflight
from mai1.preflight.config import PreflightConfig
from mai1.preflight.problem import named
from mai1.preflight.slow_ranks import Speeds
from mai1.preflight.storage import GIB

RECORD, EXCLUDED = "preflight.json", "excluded_nodes.txt"
NODE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
"""A host name that a launcher can be handed."""


def lines_of(found: Preflight, config: PreflightConfig) -> list[str]:
    """The result as a person reads it."""
    rows = {
        "versions": ", ".join(f"{name} {value}" for name, value in found.versions.items() if value != "none"),
        "clocks": _clock_line(found, config),
        "disk": _disk_line(found, config),
        "memory": _memory_line(found),
        "compute": _speed_line(found, found.compute),
        "exchange": _speed_line(found, found.exchange),
    }
    for name, value in found.bandwidth_gb_s.items():
        rows[name.replace("_", "-")] = f"{value:.2f} GB/s a rank, messages of {found.message_bytes / 2**20:.3g} MiB"
    size = f"{_counted(len(found.hosts), 'rank')} on {_counted(len(found.nodes), 'node')}"
    lines = [f"{size}, looked at in {found.seconds:.1f} s"]
    lines += [f"  {name:<12}{value}" for name, value in rows.items() if value]
    lines += [f"  {'PROBLEM':<12}{problem.message}" for problem in found.problems]
    return [*lines, verdict(found)]


def verdict(found: Preflight) -> str:
    """One line: fit, or what to do."""
    if not found.problems:
        return "fit: no problem found"
    names = f"; leave out {', '.join(found.unfit_nodes)}" if found.unfit_nodes else ""
    return f"NOT FIT: {_counted(len(found.problems), 'problem')}{names}"


def write_outcome(found: Preflight, config: PreflightConfig, *, folder: Path) -> Path | None:
    """Write preflight.json to `folder` and add unfit nodes to the list of those to leave out; returns that list's path.

    None where there is nothing to leave out. Nodes stay on the list until a person takes them off: the next allocation could
    bring them back.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = {"time": datetime.now(UTC).isoformat(timespec="seconds")} | found.record()
    fresh = folder / f"{RECORD}.new"
    fresh.unlink(missing_ok=True)
    with open(fresh, "x", encoding="utf-8") as file:  # never through a link that somebody put there
        json.dump(record, file, indent=1)
    os.replace(fresh, folder / RECORD)
    path = Path(config.exclude_to) if config.exclude_to else folder / EXCLUDED
    whys = {node: next(p.message for p in found.problems if node in p.nodes) for node in found.unfit_nodes}
    _exclude(path, {node: why for node, why in whys.items() if NODE.fullmatch(node)}, time=record["time"])
    return path if whys else None


def _exclude(path: Path, whys: dict[str, str], *, time: str) -> None:
    """Append what is not there yet in one write: jobs may share the file."""
    known = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    names = {line.partition("#")[0].strip() for line in known}
    new = [f"{node}  # {time} {' '.join(why.split())[:200]}\n" for node, why in whys.items() if node not in names]
    if new:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write("".join(new))


def _clock_line(found: Preflight, config: PreflightConfig) -> str:
    farthest = max(found.clocks, key=lambda offset: abs(offset.seconds))
    error = max(offset.error_s for offset in found.clocks)
    limit = f"limit {config.max_clock_skew_s:g} s" if config.max_clock_skew_s else "no limit"
    return f"at most {abs(farthest.seconds) * 1e3:.2f} ms apart, measured to {error * 1e3:.2f} ms; {limit}"


def _disk_line(found: Preflight, config: PreflightConfig) -> str:
    free = min(storage.free_bytes for storage in found.storage) / GIB
    need = f", a checkpoint needs {config.checkpoint_gib:g}" if config.checkpoint_gib else ""
    fsyncs = min(storage.fsyncs_per_s for storage in found.storage)
    rate = min(storage.write_mib_s for storage in found.storage)
    return f"{found.directory}: {free:.1f} GiB free{need}; at least {fsyncs:.0f} fsyncs/s and {rate:.0f} MiB/s on every node"


def _memory_line(found: Preflight) -> str:
    least = min(storage.available_memory_bytes for storage in found.storage)
    return f"at least {least / GIB:.1f} GiB of host memory available on every node"


def _speed_line(found: Preflight, speeds: Speeds | None) -> str:
    if speeds is None or speeds.slowest is None:
        return ""
    rounds = f", in {_counted(found.num_rounds, 'round')} of pairs" if speeds is found.exchange else ""
    median = f"{speeds.worst_factor:.2f} times the median's {speeds.typical_s * 1e3:.2f} ms"
    return f"slowest is {named([speeds.slowest], found.hosts)}, {median}{rounds}"


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
