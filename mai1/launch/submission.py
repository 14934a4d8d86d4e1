"""What is submitted: files, each written in one step, and a command without a shell. Printed first, submitted on request."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Submission:
    """One job, ready."""

    text: str
    """Of the file that is handed over; empty where the command says all."""
    path: Path | None
    """Where the file is written."""
    command: list[str]
    """What submits it, as words."""
    needs: str = ""
    """What must be installed for the command, and how."""
    notes: list[str] = field(default_factory=list)
    """What a person should know before submitting."""
    folders: list[Path] = field(default_factory=list)
    """That must exist before."""


def addressed(folder: Path, stem: str, suffix: str, text: str) -> Path:
    """A path that names its content, so that what was submitted can be told later: STEM-0123abcd.SUFFIX."""
    return folder / f"{stem}-{hashlib.sha256(text.encode()).hexdigest()[:8]}{suffix}"


def show(submission: Submission) -> str:
    """Everything that would be written and run, to be read by a person and pasted into a shell."""
    lines = [f"# note: {note}" for note in submission.notes]
    if submission.path is not None:
        digest = hashlib.sha256(submission.text.encode()).hexdigest()
        lines += [f"# file: {submission.path}  sha256: {digest}", submission.text.rstrip("\n"), "# end of file"]
    return "\n".join([*lines, f"# command:\n{shlex.join(submission.command)}"])


def submit(submission: Submission) -> int:
    """Write the file and run the command; its exit code. ValueError where the command is not installed."""
    if shutil.which(submission.command[0]) is None:
        raise ValueError(f"submit=true needs {submission.command[0]} on PATH: {submission.needs}")
    for folder in submission.folders:
        folder.mkdir(parents=True, exist_ok=True)
    if submission.path is not None:
        write(submission.path, submission.text)
    print(shlex.join(submission.command), file=sys.stderr, flush=True)
    return subprocess.run(submission.command, check=False).returncode


def write(path: Path, text: str) -> None:
    """Put a file in place in one step, readable by its owner alone, never through a link that somebody put there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
