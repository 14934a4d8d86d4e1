"""Saving and loading at the size of a real model's share of one device: ours, PyTorch's and DeepSpeed's checkpoints.

usage: python benchmarks/checkpoint.py [--rounds 3] [--threads 2] [--folder /a/disk]

110 M parameters (6 MoE layers of width 512, 16 experts of 640, vocabulary 8,192) in fp32 with AdamW on one CPU rank: weights
and two moments are 1.3 GB. In each round every contender saves the same engine state once and loads it once into the same
engine, in turn; the median over rounds is printed.

* save: until every byte is on the disk. DeepSpeed leaves that to the system, so its files are fsynced here, inside its time.
* stall: how long training waits. Asynchronous savers go on in the background; `step beside` is what a training step then
  takes on the same cores, as a factor of one with nothing beside it.
* load: from files that are not in the system's cache, until the engine has everything. Ours has by then compared every file
  with its SHA-256; the others compare nothing.

Floors, measured in the same run: writing as many bytes with fsync, SHA-256 over them in one and two threads, and one copy of
them in memory. A synchronous save of ours makes the copy, then hashes and writes at once.
"""

import argparse
import hashlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.distributed.checkpoint as torch_checkpoint
from torch.distributed.checkpoint import FileSystemReader, FileSystemWriter

from mai1.checkpoint.checkpoint import CheckpointConfig, ModelFiles, TrainerState, load_checkpoint
from mai1.checkpoint.saver import Saver
from mai1.checkpoint.verify import NUM_THREADS, newest_sound_checkpoint
from mai1.dist import start_world, stop_world
from mai1.engine.ds_config import EngineConfig
from mai1.engine.engine import Engine, start_deepspeed
from mai1.model.attention import AttentionConfig
from mai1.model.init import initialize
from mai1.model.moe.layer import MoEConfig
from mai1.model.transformer import ModelConfig, MoETransformer
from mai1.optim.adamw import OptimConfig

CONFIG = ModelConfig(
    vocab_size=8192, d_model=512, num_layers=6, num_dense_layers=0, max_positions=256,
    attention=AttentionConfig(num_heads=8, num_kv_heads=4, head_dim=64),
    moe=MoEConfig(num_experts=16, top_k=2, expert_width=640, num_shared_experts=0),
)  # fmt: skip
BLOCK = 64 * 2**20


@dataclass
class Times:
    """Seconds of one contender, a value per round."""

    save: list[float] = field(default_factory=list)
    stall: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    """A training step while the save runs; empty where training waits."""
    bytes: int = 0


def main() -> None:
    """Print the floors and one row per contender."""
    options = _options()
    torch.set_num_threads(options.threads)
    folder = Path(tempfile.mkdtemp(prefix="checkpoint-benchmark-", dir=options.folder))
    world = start_world()
    start_deepspeed()
    try:
        engine = _engine(world)
        alone_s = statistics.median(_step(engine) for _ in range(5))
        num_bytes = _state_bytes(engine)
        _print_floors(folder, num_bytes)
        contenders = {
            "mai1, asynchronous": _Ours(engine, folder, asynchronous=True),
            "mai1, synchronous": _Ours(engine, folder, asynchronous=False),
            "torch.distributed.checkpoint async_save": _Torch(engine, folder, asynchronous=True),
            "torch.distributed.checkpoint save": _Torch(engine, folder, asynchronous=False),
            "DeepSpeed save_checkpoint": _DeepSpeed(engine, folder),
        }
        times = {name: Times() for name in contenders}
        for _ in range(options.rounds):
            for name, contender in contenders.items():
                _measure(contender, times[name], engine)
        print(f"\na training step with nothing beside it takes {alone_s:.2f} s")
        _print_table(times, alone_s)
    finally:
        shutil.rmtree(folder)
        stop_world()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", default=".", help="where to write; removed afterwards")
    return parser.parse_args()


class _Ours:
    def __init__(self, engine: Engine, folder: Path, *, asynchronous: bool) -> None:
        tokenizer = folder / "tokenizer"
        tokenizer.mkdir(exist_ok=True)
        files = ModelFiles(tokenizer, end_of_text_id=0, stop_ids=[0], pad_id=1)
        self.folder = folder / f"ours-{asynchronous}"
        self.folder.mkdir()
        self._engine = engine
        self._saver = Saver(self.folder, engine, CheckpointConfig(asynchronous=asynchronous), files=files)

    def save(self) -> None:
        self._saver.save(TrainerState(step=1, tokens=0, seconds=0.0, data_fingerprint="", run={}))

    def wait(self) -> None:
        self._saver.wait()

    def load(self) -> None:
        load_checkpoint(newest_sound_checkpoint(self.folder, self._engine.world), self._engine)

    def is_busy(self) -> bool:
        return self._saver._thread.is_alive()


class _Torch:
    def __init__(self, engine: Engine, folder: Path, *, asynchronous: bool) -> None:
        self.folder, self._engine, self._is_asynchronous = folder / f"torch-{asynchronous}", engine, asynchronous
        self._future = None

    def _state(self) -> dict[str, torch.Tensor]:
        state = dict(self._engine.weights())
        for fragment in self._engine.fragments():
            state |= {f"{fragment.name}|{kind}": moment for kind, moment in fragment.moments.items()}
        return state

    def save(self) -> None:
        writer = FileSystemWriter(self.folder, thread_count=NUM_THREADS)
        if self._is_asynchronous:
            self._future = torch_checkpoint.async_save(self._state(), storage_writer=writer)
        else:
            torch_checkpoint.save(self._state(), storage_writer=writer)

    def wait(self) -> None:
        if self._future is not None:
            self._future.result()

    def load(self) -> None:
        torch_checkpoint.load(self._state(), storage_reader=FileSystemReader(self.folder))

    def is_busy(self) -> bool:
        return self._future is not None and not self._future.done()


class _DeepSpeed:
    def __init__(self, engine: Engine, folder: Path) -> None:
        self.folder, self._engine = folder / "deepspeed", engine._deepspeed

    def save(self) -> None:
        self._engine.save_checkpoint(str(self.folder), tag="step1")
        for path in _files_in(self.folder):
            with open(path, "rb") as file:
                os.fsync(file.fileno())

    def wait(self) -> None:
        pass

    def load(self) -> None:
        self._engine.load_checkpoint(str(self.folder), tag="step1")

    def is_busy(self) -> bool:
        return False


def _measure(contender: _Ours | _Torch | _DeepSpeed, times: Times, engine: Engine) -> None:
    """One save, and one load of it; then the files go."""
    started = time.perf_counter()
    contender.save()
    times.stall.append(time.perf_counter() - started)
    contender.wait()
    times.save.append(time.perf_counter() - started)
    files = _files_in(contender.folder)
    times.bytes = sum(path.stat().st_size for path in files)
    for path in files:
        _forget(path)
    started = time.perf_counter()
    contender.load()
    times.load.append(time.perf_counter() - started)
    contender.save()  # once more, with training beside it
    while contender.is_busy():
        times.beside.append(_step(engine))
    contender.wait()
    for path in _files_in(contender.folder):
        path.unlink()


def _files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def _forget(path: Path) -> None:
    """Take a file out of the system's cache."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def _engine(world) -> Engine:
    model = MoETransformer(CONFIG)
    initialize(model, seed=0)
    return Engine(model, EngineConfig(), OptimConfig(), world=world, microbatch=1, accumulation=1)


def _step(engine: Engine) -> float:
    """Seconds of one update on 4 rows of 256 random tokens."""
    tokens_BT = torch.randint(CONFIG.vocab_size, (4, 256), generator=torch.Generator().manual_seed(0))

    def compute(batch_BT: torch.Tensor, x_BTD: None) -> tuple[None, torch.Tensor]:
        return x_BTD, engine.model(batch_BT).hidden_BTD.square().mean()

    started = time.perf_counter()
    engine.train_batch([tokens_BT], compute, learning_rate=1e-4, accept=lambda norm: True)
    return time.perf_counter() - started


def _state_bytes(engine: Engine) -> int:
    moments = sum(moment.nbytes for fragment in engine.fragments() for moment in fragment.moments.values())
    return moments + sum(tensor.nbytes for _, tensor in engine.weights())


def _print_floors(folder: Path, num_bytes: int) -> None:
    data = torch.randint(255, (BLOCK,), dtype=torch.uint8)
    block, num_blocks = memoryview(data.numpy()), -(-num_bytes // BLOCK)
    print(f"weights and moments: {num_bytes / 1e9:.2f} GB\n")
    floors = {
        "writing to the disk, with fsync": lambda: _write(folder / "floor", block, num_blocks),
        "SHA-256, one thread": lambda: _hash(block, num_blocks, threads=1),
        "SHA-256, two threads": lambda: _hash(block, num_blocks, threads=2),
        "one copy in memory": lambda: [data.clone() for _ in range(num_blocks)],
    }
    print("| floor | seconds | GB/s |\n|---|---|---|")
    for name, action in floors.items():
        seconds = statistics.median(_timed(action) for _ in range(3))
        print(f"| {name} | {seconds:.2f} | {num_blocks * BLOCK / 1e9 / seconds:.2f} |")


def _timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _write(path: Path, block: memoryview, num_blocks: int) -> None:
    with open(path, "wb", buffering=0) as file:
        for _ in range(num_blocks):
            file.write(block)
        os.fsync(file.fileno())
    path.unlink()


def _hash(block: memoryview, num_blocks: int, *, threads: int) -> None:
    def hash_some(count: int) -> str:
        found = hashlib.sha256()
        for _ in range(count):
            found.update(block)
        return found.hexdigest()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(hash_some, [num_blocks // threads] * threads))


def _print_table(times: dict[str, Times], alone_s: float) -> None:
    print("\n| | bytes | save s | stall s | step beside | load s |\n|---|---|---|---|---|---|")
    for name, found in times.items():
        beside = f"x {statistics.median(found.beside) / alone_s:.2f}" if found.beside else "waits"
        save, stall, load = (statistics.median(values) for values in (found.save, found.stall, found.load))
        print(f"| {name} | {found.bytes / 1e9:.2f} GB | {save:.2f} | {stall:.2f} | {beside} | {load:.2f} |", flush=True)


if __name__ == "__main__":
    main()
