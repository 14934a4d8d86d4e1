"""The page on a stuck run: what each rank's monitor found, and from all of it which rank is to blame and who waits where."""

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from mai1.watch.collectives import Call, disagreements

PAGE = "incident.md"
STATES = {
    "T": "is stopped (SIGSTOP)",
    "t": "is stopped by a debugger",
    "D": "hangs in the kernel and cannot be ended",
    "Z": "is dead",
}
"""States of /proc/PID/stat that say why a process makes no progress."""


@dataclass(slots=True)
class Finding:
    """What a monitor found out about its rank."""

    rank: int
    host: str
    pid: int
    phase: str
    step: int
    beats: int
    """Signs of life so far."""
    idle_s: float
    """Seconds since the last one."""
    state: str
    """Of the process, as in /proc/PID/stat."""
    waits_in: str
    """The kernel function it waits in, where the system tells."""
    is_responsive: bool
    """Whether a thread of it could answer; not so when one holds the interpreter's lock."""
    calls: list[dict]
    """Its last collectives."""
    stacks: str
    """Every thread's Python stack, innermost call first."""


def write_finding(folder: Path, finding: Finding) -> None:
    """Put a finding where the others are, at once and whole."""
    path = folder / f"rank-{finding.rank:05d}.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(finding)), encoding="utf-8")
    os.replace(fresh, path)


def read_findings(folder: Path) -> list[Finding]:
    """What has been found so far, in the order of ranks."""
    return [Finding(**json.loads(path.read_bytes())) for path in sorted(folder.glob("rank-*.json"))]


def write_page(folder: Path, *, reason: str, num_ranks: int) -> None:
    """Put the findings together into one page and every rank's stacks into files beside it."""
    findings = read_findings(folder)
    for finding in findings:
        (folder / f"rank-{finding.rank:05d}.stacks.txt").write_text(finding.stacks, encoding="utf-8")
    fresh = folder / f"{PAGE}.new"
    fresh.write_text(page(findings, reason=reason, num_ranks=num_ranks), encoding="utf-8")
    os.replace(fresh, folder / PAGE)


def page(findings: list[Finding], *, reason: str, num_ranks: int) -> str:
    """The page's text."""
    lines = [f"# Stuck: {reason}", "", "## What is wrong", ""]
    lines += [f"- {sentence}" for sentence in verdicts(findings, num_ranks=num_ranks)]
    lines += ["", "## Where each rank is", ""]
    lines += ["| rank | host | pid | phase | steps done | idle | process | in |", "|---|---|---|---|---|---|---|---|"]
    lines += [
        f"| {f.rank} | {f.host} | {f.pid} | {f.phase} | {f.step} | {f.idle_s:.1f} s | {f.state} {f.waits_in} | "
        f"{place_of(f.stacks)} |"
        for f in findings
    ]
    for finding in findings:
        lines += [
            "",
            f"## Stacks of rank {finding.rank}, innermost call first",
            "",
            "```",
            finding.stacks.strip(),
            "```",
        ]
    return "\n".join(lines) + "\n"


def verdicts(findings: list[Finding], *, num_ranks: int) -> list[str]:
    """What is known to be wrong, the surest first; with nothing else known, which ranks are behind."""
    found = [f"rank {f.rank} on {f.host} {STATES[f.state]}" for f in findings if f.state in STATES]
    missing = sorted(set(range(num_ranks)) - {f.rank for f in findings})
    found += [f"rank {rank} sent no report: its process, monitor or machine is gone" for rank in missing[:8]]
    found += disagreements({f.rank: [Call(**call) for call in f.calls] for f in findings if f.calls})
    found += [
        f"rank {f.rank} on {f.host} holds the interpreter's lock in {place_of(f.stacks)}"
        for f in findings
        if not f.is_responsive and f.state not in STATES
    ]
    if not found:
        last = min(f.beats for f in findings)
        found = [f"rank {f.rank} on {f.host} is behind, in {place_of(f.stacks)}" for f in findings if f.beats == last]
    return found


def place_of(stacks: str) -> str:
    """Where the main thread is: its innermost call, and the line of mai1 that led there."""
    calls = re.findall(r'File "([^"]+)", line (\d+) in (\S+)', re.split("[Tt]hread 0x", stacks)[-1])
    if not calls:
        return "unknown: no stack came"
    shown = [f"{name} ({Path(file).name}:{line})" for file, line, name in calls]
    own = next((text for text, (file, _, _) in zip(shown, calls, strict=True) if "/mai1/" in file), shown[0])
    return shown[0] if own == shown[0] else f"{shown[0]} from {own}"
