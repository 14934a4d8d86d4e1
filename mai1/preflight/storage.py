"""Disk and memory of the nodes: room for a checkpoint, how fast it is made safe, and whether all see the same directory."""

import os
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mai1.dist import World, barrier, gather_json
from mai1.preflight.config import PreflightConfig
from mai1.preflight.problem import Problem, listed

GIB = 2**30
WRITE_BYTES, BLOCK_BYTES = 2**25, 2**22
MAX_FSYNCS, FSYNCS_WITHIN_S = 64, 0.5
SEEN_WITHIN_S = 10.0
"""For a file of another node to be seen: network file systems keep what they know of a directory for some seconds."""
PREFIX = ".preflight-"


@dataclass(frozen=True, slots=True)
class NodeStorage:
    """Of one node; `error` where its disk could not be measured."""

    free_bytes: float
    fsyncs_per_s: float
    write_mib_s: float
    available_memory_bytes: float
    sees_the_directory: bool
    error: str = ""


def measure_storage(directory: Path, world: World, *, node_ranks: Sequence[int]) -> list[NodeStorage]:
    """What each node's first rank finds, in the order of `node_ranks`, on every rank; every rank must call this."""
    name = gather_json(f"{PREFIX}{secrets.token_hex(8)}" if world.is_main else "", world)[0]
    error = ""
    try:
        if world.is_main:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / name).touch(exist_ok=False)
    except OSError as failure:
        error = str(failure)
    error = gather_json(error, world)[0]
    mine = None
    if world.rank in node_ranks:
        mine = (
            NodeStorage(0, 0, 0, available_memory(), True, error)
            if error
            else _measure(directory, directory / name, world)
        )
    found = gather_json(None if mine is None else asdict(mine), world)
    barrier(world)
    if world.is_main:
        with suppress(OSError):
            (directory / name).unlink()
    return [NodeStorage(**found[rank]) for rank in node_ranks]


def _measure(directory: Path, token: Path, world: World) -> NodeStorage:
    deadline = time.monotonic() + SEEN_WITHIN_S
    while not (is_seen := token.exists()) and time.monotonic() < deadline:
        time.sleep(0.1)
    if not is_seen:
        return NodeStorage(0, 0, 0, available_memory(), False)
    scratch = directory / f"{token.name}-{world.rank}"
    try:
        free = shutil.disk_usage(directory).free
        return NodeStorage(free, fsync_rate(scratch), write_rate(scratch), available_memory(), True)
    except OSError as failure:
        return NodeStorage(0, 0, 0, available_memory(), True, str(failure))
    finally:
        with suppress(OSError):
            scratch.unlink()


def fsync_rate(path: Path) -> float:
    """Small writes a second, each made safe before the next."""
    number, started = 0, time.perf_counter()
    with open(path, "wb", buffering=0) as file:
        while number < MAX_FSYNCS and (number == 0 or time.perf_counter() - started < FSYNCS_WITHIN_S):
            file.write(b"\0" * 4096)
            os.fsync(file.fileno())
            number += 1
    return number / (time.perf_counter() - started)


def write_rate(path: Path) -> float:
    """MiB a second of one larger file, made safe at its end; noise, so that no file system can squeeze it."""
    block = os.urandom(BLOCK_BYTES)
    started = time.perf_counter()
    with open(path, "wb", buffering=0) as file:
        for _ in range(WRITE_BYTES // BLOCK_BYTES):
            file.write(block)
        os.fsync(file.fileno())
    return WRITE_BYTES / 2**20 / (time.perf_counter() - started)


def available_memory() -> float:
    """Bytes of host memory that new programs can get; 0 where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return 0.0


def storage_problems(storages: Mapping[str, NodeStorage], config: PreflightConfig, *, directory: Path) -> list[Problem]:
    """Of each node by its name: what keeps a checkpoint out of `directory`, and what is below its floor."""
    problems = []
    if broken := {node: storage.error for node, storage in storages.items() if storage.error}:
        errors = "; ".join(dict.fromkeys(broken.values()))
        message = f"{directory} cannot be written on {listed(broken)} ({errors}): set another directory, or leave the node out"
        problems.append(Problem("disk", message, list(broken)))
    if blind := [node for node, storage in storages.items() if not storage.sees_the_directory]:
        message = f"{directory} on {listed(blind)} is another one than rank 0's: set run.directory to one that all nodes share"
        problems.append(Problem("disk", message, blind))
    sound = {node: storage for node, storage in storages.items() if node not in broken and node not in blind}
    if full := [node for node, storage in sound.items() if storage.free_bytes < config.checkpoint_gib * GIB]:
        free = min(storage.free_bytes for storage in sound.values())
        message = (
            f"{directory} on {listed(full)} has {free / GIB:.2f} GiB free but a checkpoint needs {config.checkpoint_gib:g}: "
            "free some space, or set run.directory to another disk"
        )
        problems.append(Problem("disk", message))
    return problems + _below_floors(storages, sound, config)


def _below_floors(
    storages: Mapping[str, NodeStorage], sound: Mapping[str, NodeStorage], config: PreflightConfig
) -> list[Problem]:
    problems = []
    for check, key, unit, values in (
        ("disk", "min_fsyncs_per_s", "fsyncs a second", {node: s.fsyncs_per_s for node, s in sound.items()}),
        ("disk", "min_write_mib_s", "MiB a second written", {node: s.write_mib_s for node, s in sound.items()}),
        ("memory", "min_memory_gib", "GiB available", {n: s.available_memory_bytes / GIB for n, s in storages.items()}),
    ):
        floor = getattr(config, key)
        if low := [node for node, value in values.items() if value < floor]:
            least = f"{min(values.values()):.1f} {unit}, below preflight.{key}={floor:g}"
            problems.append(
                Problem(check, f"{listed(low)} has {least}: see what else runs there, or leave it out", low)
            )
    return problems
