"""Saving beside the training: copy, then write, hash and publish in a background thread while the next steps run.

The copy is made between two steps, on all ranks. From then on ranks meet only through files (`commit.py`), never through
the training's collectives. A failure is held until the trainer asks, once a step; then all ranks learn of it together.
"""

import math
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from mai1.checkpoint import commit
from mai1.checkpoint.adapters import described
from mai1.checkpoint.agreement import mistakes_of, together
from mai1.checkpoint.checkpoint import CheckpointConfig, ModelFiles, OnError, TrainerState
from mai1.checkpoint.disk_space import check_disk_space
from mai1.checkpoint.families import to_hf_config
from mai1.checkpoint.manifest import FORMAT, VERSION
from mai1.checkpoint.model_plan import Holding, ModelFile, holding_of, index_of, plan_model_files
from mai1.checkpoint.names import local_tensors
from mai1.checkpoint.optimizer_state import MASTER, StateReader
from mai1.checkpoint.peft import write_adapter
from mai1.checkpoint.pieces import pieces_table
from mai1.checkpoint.retention import prune
from mai1.checkpoint.snapshot import HostMemory, Snapshot, take_snapshot
from mai1.checkpoint.tensor_file import TensorSpec, as_json, write_bytes, write_tensors
from mai1.checkpoint.weights import INDEX
from mai1.dist import gather_json, sum_over_ranks
from mai1.engine.engine import Engine

MAX_FILE_BYTES = 2**30
"""Of a model file."""
NUM_WRITERS = 4
"""Threads of a rank; each hashes and writes one file at a time, and waits for the disk now and then."""
POLL_S = 0.02


@dataclass(slots=True)
class _Job:
    """One checkpoint to be written."""

    directory: Path
    snapshot: Snapshot
    state: bytes
    """The trainer's, as JSON."""
    manifest: dict
    """All but what the ranks report."""

    @property
    def stage(self) -> Path:
        return commit.stage_of(self.directory)


class Saver:
    """Writes a run's checkpoints, one at a time. Every rank has one, made together."""

    def __init__(
        self,
        folder: Path,
        engine: Engine,
        config: CheckpointConfig,
        *,
        files: ModelFiles,
        timeout_s: float = 1800.0,
    ) -> None:
        self._folder, self._engine, self._config, self._files = folder, engine, config, files
        self._world, self._timeout_s = engine.world, timeout_s
        self._local, self._plan = local_tensors(engine.model), _plan(engine)
        self._memory = HostMemory(engine.world.device)
        self._thread: threading.Thread | None = None
        self._job: _Job | None = None
        self._error: str | None = None
        self._is_aborted = threading.Event()

    @property
    def has_failed(self) -> bool:
        """Whether this rank could not write; the trainer adds it up over ranks every step and then calls `settle`."""
        return self._error is not None

    def save(self, state: TrainerState) -> None:
        """Copy the state, and write and publish it; every rank must call this, between two steps.

        In the background unless `checkpoint.asynchronous=false`. Waits for the save before, if it still runs. ValueError,
        on every rank and with nothing published, when that one failed or there is no room for this one.
        """
        self.wait()
        directory = self._folder / f"step_{state.step:08d}"
        try:
            check_disk_space(self._folder, self._engine)
            together(lambda: self._world.is_main and commit.begin(directory, say=self._world.say), self._world)
        except ValueError as error:
            self._tell(f"no checkpoint of step {state.step}: {error}")
            return
        snapshot = take_snapshot(self._engine, self._plan, self._local, memory=self._memory)
        self._job = _Job(directory, snapshot, as_json(asdict(state)), manifest_head(self._engine, state))
        self._thread = threading.Thread(target=self._run, args=(self._job,), name="checkpoint", daemon=True)
        self._thread.start()
        if not self._config.asynchronous:
            self.wait()
            self._memory = HostMemory(self._world.device)

    def wait(self) -> None:
        """Until the last save is published on every rank; every rank must call this. ValueError on all if it failed."""
        while True:
            is_busy = self._thread is not None and self._thread.is_alive()
            num_busy, num_failed = sum_over_ranks([float(is_busy), float(self.has_failed)], self._world)
            if num_failed:
                self.settle()
            if not num_busy or num_failed:
                return
            time.sleep(POLL_S)

    def settle(self) -> None:
        """After any rank's `has_failed`: give the save up on every rank and follow `checkpoint.on_error`."""
        self._is_aborted.set()
        if self._thread is not None:
            self._thread.join()
        mistakes = mistakes_of(self._error, self._world)
        self._error = None
        self._is_aborted.clear()
        self._tell(f"{self._job.directory} could not be written: {'; '.join(mistakes[:3])}")

    def close(self, *, timeout_s: float = 60.0) -> None:
        """When a run ends by an error: let a save that still runs end, for a while. No other rank is asked."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _tell(self, message: str) -> None:
        message += "; the checkpoints before it are as they were"
        if self._config.on_error is OnError.stop:
            raise ValueError(f"{message}: free some space or mend the disk, then run the same command to go on")
        self._world.say(f"WARNING: {message}, and training goes on (checkpoint.on_error=go_on)")

    def _run(self, job: _Job) -> None:
        """The background thread."""
        try:
            files = self._write_files(job)
            commit.report(job.stage, rank=self._world.rank, files=files, rows=job.snapshot.rows)
            if self._world.is_main:
                self._publish(job)
        except commit.GivenUpError:
            return
        except BaseException as error:  # whatever it is, training must hear of it
            if not isinstance(error, OSError):
                traceback.print_exc(file=sys.stderr)
            self._error = f"rank {self._world.rank}: {error or type(error).__name__}"

    def _write_files(self, job: _Job) -> dict[str, dict]:
        small_files = self._small_files(job) if self._world.is_main else {}

        def write(name: str) -> dict:
            if name in small_files:
                return write_bytes(job.stage / name, small_files[name])
            tensors = job.snapshot.files[name]
            specs = {key: TensorSpec(tensor.dtype, tuple(tensor.shape)) for key, tensor in tensors.items()}
            return write_tensors(job.stage / name, specs, lambda key: self._unless_aborted(tensors[key]))

        names = sorted(job.snapshot.files, key=lambda name: -sum(t.nbytes for t in job.snapshot.files[name].values()))
        names += small_files
        with ThreadPoolExecutor(NUM_WRITERS) as pool:
            facts = pool.map(write, names)
            return {name: fact | {"rank": self._world.rank} for name, fact in zip(names, facts, strict=True)}

    def _unless_aborted(self, tensor: torch.Tensor) -> torch.Tensor:
        if self._is_aborted.is_set():
            raise commit.GivenUpError
        return tensor

    def _publish(self, job: _Job) -> None:
        reports = commit.wait_for_reports(
            job.stage, num_ranks=self._world.size, timeout_s=self._timeout_s, is_aborted=self._is_aborted.is_set
        )
        files = {name: entry for report in reports for name, entry in report["files"].items()}
        pieces = pieces_table([row for report in reports for row in report["rows"]])
        if self._engine.model.lora is not None:
            reader = StateReader(job.stage, pieces, num_ranks=self._world.size)
            files |= write_adapter(reader, set(pieces[MASTER]), self._engine.model.config, self._engine.model.lora)
        commit.publish(
            job.stage,
            job.directory,
            manifest=job.manifest | {"files": dict(sorted(files.items())), "optimizer": pieces},
        )
        try:
            commit.point_latest(job.directory)
            failures = prune(self._folder, self._config.retention, newest=job.directory)
        except OSError as error:  # the checkpoint itself is there
            failures = [str(error)]
        for failure in failures:
            self._world.say(f"warning: {failure}")

    def _small_files(self, job: _Job) -> dict[str, bytes]:
        files, dtype = self._files, str(self._engine.dtype).removeprefix("torch.")
        ids = {"end_of_text_id": files.end_of_text_id, "stop_ids": files.stop_ids, "pad_id": files.pad_id}
        hf_config = to_hf_config(self._engine.model.config, dtype=dtype, **ids)
        generation = {key: hf_config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
        found = {
            "config.json": as_json(hf_config),
            "generation_config.json": as_json(generation),
            INDEX: as_json(index_of(self._plan)),
            "trainer/state.json": job.state,
        }
        return found | {path.name: path.read_bytes() for path in sorted(files.tokenizer_directory.iterdir())}


def _plan(engine: Engine) -> list[ModelFile]:
    holdings = gather_json(asdict(holding_of(engine.model)), engine.world)
    element = torch.empty((), dtype=engine.dtype).element_size()
    return plan_model_files(
        engine.model.config,
        [Holding(**(holding | {"parts": tuple(holding["parts"])})) for holding in holdings],
        max_bytes=MAX_FILE_BYTES,
        bytes_per_element=element,
    )


def manifest_head(engine: Engine, state: TrainerState) -> dict:
    """What a manifest says before the ranks have reported their files."""
    loss = state.heldout_loss
    return {
        "format": FORMAT,
        "version": VERSION,
        "step": state.step,
        "tokens": state.tokens,
        "heldout_loss": loss if loss is not None and math.isfinite(loss) else None,
        "optimizer_step": engine.optimizer_step(),
        "world_size": engine.world.size,
        "expert_parallel": engine.model.config.moe.num_experts // holding_of(engine.model).num_experts,
        "sequence_parallel": engine.place.sequence_size,
        "pipeline_parallel": engine.place.num_stages,
        "dtype": str(engine.dtype).removeprefix("torch."),
        **({"lineage": state.lineage} if state.lineage else {}),
        **described(engine.model.lora, base=state.base),
    }


def save_checkpoint(folder: Path, engine: Engine, state: TrainerState, *, files: ModelFiles) -> Path:
    """Write and publish one checkpoint and wait for it, keeping all others; every rank must call this."""
    Saver(folder, engine, CheckpointConfig(asynchronous=False, keep=0), files=files).save(state)
    return folder / f"step_{state.step:08d}"
