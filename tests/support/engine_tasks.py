"""Tasks for tests of the engines: small, deterministic, and every execution leaves a line in a side file."""

import hashlib
import os
import signal
import sys
import time
from pathlib import Path


def square(arguments: dict, folder: Path) -> dict:
    """Writes files that depend on nothing but the number."""
    _note(arguments)
    number = arguments["number"]
    (folder / "square.txt").write_text(f"{number * number}\n")
    (folder / "inner").mkdir()
    (folder / "inner" / "bytes.bin").write_bytes(hashlib.sha256(str(number).encode()).digest() * 100)
    time.sleep(arguments.get("seconds", 0))
    return {"square": number * number, "half": number / 2}


def fail(arguments: dict, folder: Path) -> dict:
    """Raises an error of the name that it is given."""
    _note(arguments)
    (folder / "half_written").write_text("x")
    raise {"ValueError": ValueError, "ZeroDivisionError": ZeroDivisionError, "OSError": OSError}[arguments["error"]](
        "number=7 is wrong:\n use another"
    )


def decode(arguments: dict, folder: Path) -> dict:
    """Meets a ValueError that is nobody's mistake in a setting."""
    b"\xff".decode()
    return {}


def surroundings(arguments: dict, folder: Path) -> dict:
    """What libraries would find when they are loaded."""
    return {"threads": os.environ.get("OMP_NUM_THREADS"), "numpy": "numpy" in sys.modules}


def die(arguments: dict, folder: Path) -> dict:
    """Is killed while another run of it has not been, `times` times in all."""
    _note(arguments)
    (folder / "half_written").write_text("x")
    if count(Path(arguments["side"]), arguments["number"]) <= arguments["times"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"number": arguments["number"]}


def _note(arguments: dict) -> None:
    with open(arguments["side"], "a") as file:
        file.write(f"{arguments['number']}\n")


def count(side: Path, number: int | None = None) -> int:
    """How often tasks, or the one of a number, were started."""
    lines = side.read_text().split() if side.exists() else []
    return len(lines) if number is None else lines.count(str(number))


TASKS = {"square": square, "fail": fail, "decode": decode, "die": die, "surroundings": surroundings}
