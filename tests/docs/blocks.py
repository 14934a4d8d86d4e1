"""What pages hold that can go stale: blocks of commands with their marks, and words in code type."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from docs.build import ROOT, sources

PAGES = ["README.md", *sources()]
MARK = re.compile(r"<!-- ([a-z-]+): (.+?) -->")
SPAN = re.compile(r"`([^`\n]+)`")
ASSIGNMENT = re.compile(r"[A-Z_][A-Z0-9_]*=")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block and the marks in the comments right before it."""

    page: str
    line: int
    language: str
    marks: dict[str, str]
    lines: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def needs(self) -> list[str]:
        return [need.strip() for need in self.marks.get("needs", "").split(",") if need.strip()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def blocks_of(page: str) -> list[Block]:
    """All fenced blocks of a page."""
    found, marks, inside = [], {}, None
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), start=1):
        if inside is not None:
            if line.strip() == "```":
                inside = None
            else:
                inside.lines.append(line)
        elif line.startswith("```"):
            inside = Block(page, number, line.removeprefix("```").strip(), marks)
            found.append(inside)
            marks = {}
        elif line.strip():
            marks = (marks | {mark[1]: mark[2]}) if (mark := MARK.fullmatch(line.strip())) else {}
    return found


def commands_of(block: Block) -> list[list[str]]:
    """The words of each command: lines that go on are joined, comments and what is printed left out, pipes taken apart."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    words = (shlex.split(line, comments=True) for line in lines)
    return [part for line in words if line for part in _apart(line)]


def _apart(words: list[str]) -> Iterator[list[str]]:
    """The commands of a line with pipes, without assignments of variables before them."""
    while "|" in words:
        place = words.index("|")
        yield words[:place]
        words = words[place + 1 :]
    while words and ASSIGNMENT.match(words[0]):
        words = words[1:]
    yield words


def spans_of(page: str) -> list[tuple[int, str]]:
    """What stands in code type in running text, with the number of its line."""
    found, is_block = [], False
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), start=1):
        is_block ^= line.startswith("```")
        if not is_block:
            found += [(number, span.replace("\\|", "|")) for span in SPAN.findall(line)]
    return found


def exists(path: str) -> bool:
    """Whether a file or folder of the project is named, also by a pattern."""
    return any(Path(ROOT).glob(path.rstrip("/"))) if path else False
