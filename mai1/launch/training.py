"""The training command that is launched: its words, its run directory, and what a launcher may not be given."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import yaml

from mai1.launch.rules import PLACE, refuse_secret

TRAINING = ("pretrain", "sft", "align")
"""Commands that are made for several ranks."""
MAX_WORDS = 500


@dataclass(frozen=True, slots=True)
class Training:
    """What every rank runs."""

    words: list[str]
    """As after `mai1`."""
    run: Path
    """Its run directory."""

    @property
    def folder(self) -> Path:
        """Where what is submitted is kept."""
        return self.run / "launch"

    @property
    def folder_here(self) -> Path:
        """The same where the run directory is one of another machine: below runs/ of this one."""
        return (Path("runs") / self.run.name if self.run.is_absolute() else self.run) / "launch"

    @property
    def logs(self) -> Path:
        """Where ranks and schedulers log."""
        return self.run / "logs"


def words_of(command: str) -> list[str]:
    """The words of `command`, checked as far as that needs no configuration; ValueError says what is wrong."""
    example = "command='pretrain model=small run.name=first'"
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError(f"command={command!r} cannot be split into words ({error}): mind the quotes") from None
    if not words or words[0] not in TRAINING:
        raise ValueError(f"command={command!r} must begin with one of {', '.join(TRAINING)}: {example}")
    if len(words) > MAX_WORDS:
        raise ValueError(
            f"command has {len(words)} words, at most {MAX_WORDS} are handed on: put settings into a file of configs/"
        )
    for word in words:
        if "\0" in word or not word.replace("\n", "").isprintable():
            raise ValueError(f"command has an unprintable character in {word!r}: remove it")
        if word.lstrip("+").startswith("launch."):
            raise ValueError(
                f"command has {word.partition('=')[0]}, which starts ranks on one machine: leave it to `mai1 launch`"
            )
        refuse_secret("command", word.lstrip("+"))
    return words


def with_preflight(words: list[str], look: str) -> list[str]:
    """The command with a look at the nodes before its first step, unless it says itself what it wants."""
    if look == "off" or any(word.lstrip("+").startswith("preflight.checks=") for word in words):
        return words
    return [*words, f"preflight.checks={look}"]


def run_path(words: list[str], configs: Path) -> Path:
    """Where a training command keeps its run, from its overrides and the command's file."""
    content = yaml.safe_load((configs / f"{words[0]}.yaml").read_text(encoding="utf-8"))
    run = {"name": "first", "directory": "runs"} | (content.get("run") or {})
    for word in words[1:]:
        key, equals, value = word.lstrip("+").partition("=")
        if equals and key in ("run.name", "run.directory"):
            run[key.partition(".")[2]] = value
    return Path(run["directory"]) / run["name"]


def check_path(run: Path) -> None:
    """ValueError for a run directory that a scheduler's file would take apart."""
    if not PLACE.fullmatch(str(run)) or ".." in run.parts:
        raise ValueError(
            f"run.directory and run.name give {str(run)!r}, which must be a path of letters, digits and _.,:@+=- for a "
            "scheduler: choose another run.name"
        )
