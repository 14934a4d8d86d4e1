"""`mai1 watch RUN`: a run on the screen as it goes on, drawn again every few seconds from its files alone."""

import math
import shutil
import sys
import time
from pathlib import Path

from mai1.status.dashboard import screen
from mai1.status.run_status import is_run, read_status
from mai1.status.state import State
from mai1.status.terminal import draw, is_a_terminal, keys_within, second_screen
from mai1.status.text import one_line

USAGE = """usage: mai1 watch RUN [every_s=3]
           the run on the screen, drawn again every few seconds; q quits. It reads files and disturbs nothing.
           Where output is no terminal: a line whenever something changed, until the run is no longer at work"""
AT_WORK = (State.running.value, State.starting.value)


def main(arguments: list[str]) -> None:
    """Watch one run."""
    if "--help" in arguments or not arguments:
        print(USAGE)
        return
    options = [argument for argument in arguments if "=" in argument and not Path(argument).exists()]
    places = [Path(argument) for argument in arguments if argument not in options]
    if len(places) != 1:
        raise ValueError(f"watch {' '.join(arguments)}: give one run, such as runs/first; `mai1 status` takes several")
    every_s = 3.0
    for option in options:
        every_s = _seconds(option)
    if not is_run(places[0]):
        raise ValueError(f"watch {places[0]}: holds no run (no config.yaml, run.json or metrics.jsonl): use runs/NAME")
    sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 shows a question mark for a bar
    if is_a_terminal():
        watch_on_screen(places[0], every_s=every_s)
    else:
        watch_in_lines(places[0], every_s=every_s)


def watch_on_screen(run: Path, *, every_s: float) -> None:
    """Draw until somebody presses q or Ctrl-C."""
    with second_screen():
        while True:
            width, height = shutil.get_terminal_size((100, 30))
            draw(screen(read_status(run), width=width, height=height, every_s=every_s))
            if "q" in keys_within(every_s).lower():
                return


def watch_in_lines(run: Path, *, every_s: float) -> None:
    """Print a line when something changed, until the run is over."""
    last = ""
    while True:
        status = read_status(run)
        line = one_line(status)
        if line != last:
            print(line, flush=True)
            last = line
        if status.state not in AT_WORK:
            return
        time.sleep(every_s)


def _seconds(option: str) -> float:
    key, _, value = option.partition("=")
    if key != "every_s":
        raise ValueError(f"watch {option}: the only option is every_s=3")
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0.2 <= seconds <= 3600:
        raise ValueError(f"every_s={value} must be a number of seconds from 0.2 to 3600")
    return seconds
