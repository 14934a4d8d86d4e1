"""Nodes to leave out: a file with one a line, which people edit and jobs add to, and the evidence for adding one."""

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

from mai1.launch.first_error import Failure
from mai1.launch.rules import NODE

PREFLIGHT = "excluded_nodes.txt"
"""In a run's directory: the same list as `mai1 preflight` and the check before the first step write it."""
FAULTY_RANK_CODE = 5
"""mai1's exit code where one rank computed wrongly that was right when computed again."""
NAMED = re.compile(r"rank (\d+) on ")
HARDWARE = re.compile(
    r"uncorrectable ECC|\bXid\b|fallen off the bus|NVLink error|Input/output error|Hardware error", re.IGNORECASE
)
"""What only a broken machine makes a rank or a driver say."""


def read(path: Path) -> dict[str, str]:
    """Node -> why it is left out. ValueError for a line that names no node."""
    nodes = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    for number, line in enumerate(lines, 1):
        name, _, why = (part.strip() for part in line.partition("#"))
        if name and not NODE.fullmatch(name):
            raise ValueError(f"{path}:{number}: {name!r} is no node's name: write NODE # REASON")
        if name:
            nodes[name] = why
    return nodes


def add(path: Path, suspects: dict[str, str]) -> None:
    """Append what is not there yet, in one write, so that jobs do not tear each other's lines."""
    new = {node: why for node, why in suspects.items() if node not in read(path) and NODE.fullmatch(node)}
    if not new:
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    text = "".join(f"{node}  # {now} {' '.join(why.split())[:200]}\n" for node, why in new.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def suspects(failures: list[Failure], logs: Path, *, nodes: list[str], devices: int) -> dict[str, str]:
    """Nodes of an attempt that are surely broken, with the evidence; a program's own mistakes blame no node."""
    found = {f.node: f.text for f in failures if HARDWARE.search(f.text)}
    for path in logs.glob("node-*/*/attempt_*/*/error.json"):
        content = _json(path)
        ranks = {int(rank) for rank in NAMED.findall(str(content.get("message", "")))}
        if (
            content.get("code") == FAULTY_RANK_CODE
            and len(ranks) == 1
            and (rank := ranks.pop()) // devices < len(nodes)
        ):
            found[nodes[rank // devices]] = str(content["message"])
    return found


def stuck_in_kernel(run_logs: Path, *, nodes: list[str], devices: int, since: float) -> dict[str, str]:
    """Nodes where a rank's monitor found it hanging in the kernel, which no program does by itself."""
    found = {}
    for path in run_logs.glob("stuck-*/rank-*.json"):
        finding = _json(path) if path.stat().st_mtime >= since else {}
        rank = finding.get("rank")
        if finding.get("state") == "D" and isinstance(rank, int) and rank // devices < len(nodes):
            found[nodes[rank // devices]] = f"rank {rank} hung in the kernel, in {finding.get('waits_in', '')}: {path}"
    return found


def _json(path: Path) -> dict:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
