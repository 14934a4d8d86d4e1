"""What each side of `benchmarks/prepare.py` runs on: one core, a clock, the documents, its result.

Standard library only, because datatrove's environment has none of our packages.
"""

import argparse
import cProfile
import json
import os
import pstats
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

RESULT = "result.json"
SHOWN = 6
"""Functions that a profile names."""


@dataclass(slots=True)
class Job:
    """One part of the comparison, done by one side in a process of its own."""

    text: Path
    """JSON lines: `id`, `text`, `language`."""

    output: Path
    """An empty folder for what the side writes."""

    tokenizer: Path
    """A folder with `tokenizer.json` and `vocabulary.json`."""

    is_profiled: bool = False
    """Whether to count calls where clocks run; the clocks lie then."""

    seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)

    @contextmanager
    def clock(self, name: str) -> Iterator[None]:
        """CPU seconds of all threads of this process, and seconds on the wall; several of one name add up."""
        profile = cProfile.Profile() if self.is_profiled else nullcontext()
        cpu, wall = time.process_time(), time.perf_counter()
        with profile:
            yield
        if self.is_profiled:
            self.facts.setdefault("profile", {})[name] = shares_of(profile)
        sums = self.seconds.setdefault(name, {"cpu": 0.0, "wall": 0.0})
        sums["cpu"] += time.process_time() - cpu
        sums["wall"] += time.perf_counter() - wall

    def records(self) -> list[dict]:
        """All documents."""
        with open(self.text, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def save(self) -> None:
        """Leave the result where the driver looks for it."""
        result = {"seconds": self.seconds, "facts": self.facts}
        (self.output / RESULT).write_text(json.dumps(result), encoding="utf-8")


def shares_of(profile: cProfile.Profile) -> dict[str, float]:
    """The functions that take most of the time themselves, and which share of it."""
    stats = pstats.Stats(profile)
    own = sorted(((entry[2], place) for place, entry in stats.stats.items()), reverse=True)[:SHOWN]
    return {f"{Path(file).name}:{name}" if line else name: own / stats.total_tt for own, (file, line, name) in own}


def run_side(parts: dict[str, Callable[[Job], None]]) -> None:
    """`python SIDE.py PART --text FILE --output DIR --tokenizer DIR`: do the part and save its result."""
    parser = argparse.ArgumentParser(description="one side of benchmarks/prepare.py, which starts it")
    parser.add_argument("part", choices=list(parts))
    for option in ("text", "output", "tokenizer"):
        parser.add_argument(f"--{option}", type=Path, required=True)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # thread pools of libraries then have one thread
    job = Job(given.text, given.output, given.tokenizer, is_profiled=given.profile)
    parts[given.part](job)
    job.save()
