"""A whole run in a process of its own, for tests that kill it: `python -m tests.support.engine_run WORK TASKS SECONDS`."""

import hashlib
import json
import sys
from pathlib import Path

from data_prep.engine.local import LocalEngine
from data_prep.engine.task import Task

TABLE = "tests.support.engine_tasks"


def squares(work: Path, numbers: range, *, seconds: float = 0.0) -> list[Task]:
    """Tasks whose executions are counted in WORK/side."""
    return [
        Task("square", {"number": n, "side": str(work / "side"), "seconds": seconds}, weight=10 + n) for n in numbers
    ]


def digest(work: Path) -> str:
    """Hash of everything that tasks left, but for how long they took and where; nothing else may lie there."""
    total = hashlib.sha256()
    for path in sorted((work / "tasks").rglob("*")):
        name = path.relative_to(work)
        assert not any(part.startswith(".") for part in name.parts), f"left over: {name}"
        total.update(str(name).encode())
        if path.name == "done.json":
            done = json.loads(path.read_text())
            del done["seconds"], done["host"]
            total.update(json.dumps(done, sort_keys=True).encode())
        elif path.is_file():
            total.update(path.read_bytes())
    return total.hexdigest()


if __name__ == "__main__":
    work = Path(sys.argv[1])
    with LocalEngine(work, num_workers=2, is_quiet=True, table=TABLE) as engine:
        engine.run(squares(work, range(int(sys.argv[2])), seconds=float(sys.argv[3])), title="squares")
    print(digest(work))
