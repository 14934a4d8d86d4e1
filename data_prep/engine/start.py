"""The one place that knows all engines."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

from data_prep.engine.config import EngineKind, EngineOptions
from data_prep.engine.local import LocalEngine
from data_prep.engine.slurm import SlurmEngine
from data_prep.engine.task import Result, Task
from data_prep.engine.worker import TABLE


class Engine(Protocol):
    """Runs tasks somewhere. To be used in a `with` statement, which ends its processes."""

    def __enter__(self) -> "Engine": ...

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def run(self, tasks: Sequence[Task], *, title: str) -> list[Result]:
        """Do what is not done yet; results in the order of the tasks. ValueError or TaskError when one cannot be done."""
        ...


def make_engine(
    kind: EngineKind, work: Path, *, options: EngineOptions, num_workers: int, is_quiet: bool, table: str = TABLE
) -> Engine:
    """The engine of a configuration. All its tasks' files go under `work`, which every machine it uses must see."""
    if kind is EngineKind.local:
        return LocalEngine(work, num_workers=num_workers, is_quiet=is_quiet, table=table)
    if kind is EngineKind.ray:
        try:
            from data_prep.engine.ray_engine import RayEngine
        except ModuleNotFoundError as error:
            if error.name != "ray":
                raise
            raise ValueError("engine=ray needs the package ray: install it, or choose another engine") from None
        return RayEngine(work, options.ray, is_quiet=is_quiet, table=table)
    return SlurmEngine(work, options.slurm, is_quiet=is_quiet, table=table)
