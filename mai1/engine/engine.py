"""The engine: the optimizer step of one rank, its weights and its optimizer state by logical parameter name.

The rest of the project sees this class and never DeepSpeed itself.
"""

import io
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, redirect_stdout
from dataclasses import dataclass

import deepspeed
import torch
from deepspeed.runtime.bf16_optimizer import BF16_Optimizer
from deepspeed.utils import groups as deepspeed_groups
from deepspeed.utils import logger as deepspeed_logger
from torch import nn

from mai1.dist import World
from mai1.engine.ds_config import EngineConfig, deepspeed_config
from mai1.engine.experts import mark_experts, split_expert_groups
from mai1.engine.local_groups import made_by_members
from mai1.engine.muon import share_matrices
from mai1.engine.partial import Trained, update_only
from mai1.engine.partitions import Cut, Partitions, ShardedPartitions, SlicedPartitions
from mai1.engine.pipeline import Computation, Pipeline, StageModule
from mai1.engine.stages import check_stages
from mai1.engine.topology import place_of
from mai1.model.transformer import MoETransformer
from mai1.optim.adamw import build_adamw, parameter_groups
from mai1.optim.config import Method, OptimConfig
from mai1.optim.muon import Muon, moments_of


def start_deepspeed() -> None:
    """Let DeepSpeed use the world that was just started; without the extension it would compile for minutes on CPUs.

    It keeps its process groups in a module, also when they are gone: those of a world before, in the same process, are
    forgotten here.
    """
    os.environ.setdefault("LOCAL_RANK", "0")  # DeepSpeed insists on it, also for one process
    # Without it DeepSpeed starts `numactl` for every gradient bucket of ZeRO-3 on a CPU, to count devices.
    os.environ.setdefault("LOCAL_SIZE", os.environ.get("LOCAL_WORLD_SIZE", "1"))
    deepspeed_logger.setLevel(logging.WARNING)
    deepspeed_logger.addFilter(_is_news)
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")  # DeepSpeed's, not ours
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed_groups._release_process_group_references()
    deepspeed.init_distributed("nccl" if torch.cuda.is_available() else "gloo", auto_mpi_discovery=False, verbose=False)


def _is_news(record: logging.LogRecord) -> bool:
    """ZeRO-3 warns of results that are no tensors; ours hold none that it has to watch (`ShardedPartitions`)."""
    return "unknown inputs or outputs type" not in record.getMessage()


def move_weights(model: nn.Module, config: EngineConfig, world: World) -> None:
    """Put weights where and in the format in which the engine will hold them; buffers keep theirs."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(world.device, config.dtype_on(world.device))
    for buffer in model.buffers():
        buffer.data = buffer.data.to(world.device)


@dataclass(slots=True)
class Fragment:
    """The part of one parameter whose optimizer state this rank owns: views into DeepSpeed's flat fp32 partitions."""

    name: str
    start: int
    """First element within this rank's flat parameter."""
    master: torch.Tensor
    """fp32 weights."""
    moments: dict[str, torch.Tensor]
    """By name; empty before the first step."""
    cut: Cut | None
    """How all ranks of a group share the parameter, where they do by a rule: ZeRO-3. Then this part may be empty."""


@dataclass(slots=True)
class Update:
    """What became of an optimizer step."""

    grad_norm: float
    """Over all parameters of all ranks, before clipping."""
    is_applied: bool
    """Whether weights and moments moved."""


class Engine:
    """One rank's share of the training machinery."""

    def __init__(
        self,
        model: MoETransformer,
        config: EngineConfig,
        optim: OptimConfig,
        *,
        world: World,
        microbatch: int,
        accumulation: int,
        trained: Trained | None = None,
    ) -> None:
        """`trained` says which ranges of this rank's parameters are updated, where that is not all that has a gradient."""
        self.world, self.place = world, place_of(world, config)
        self.dtype = config.dtype_on(world.device)
        check_stages(config, model.config)
        sizes = {"expert_parallel": config.expert_parallel, "zero_stage": config.zero_stage}
        mark_experts(list(model.moe_layers().values()), **sizes)
        model.recompute = config.recompute
        if config.compile:
            model.compile_blocks()
        groups = split_expert_groups(
            parameter_groups(model.named_parameters(), optim), **sizes, num_stages=self.place.num_stages
        )
        settings = deepspeed_config(
            config,
            dtype=self.dtype,
            microbatch=microbatch,
            accumulation=accumulation,
            world_size=world.size,
            clip_norm=optim.clip_norm,
            prefetches=not model.config.num_mtp_layers,  # evaluation leaves those out, and would find them under way
        )
        optimizer = Muon(groups, optim) if optim.method is Method.muon else build_adamw(groups, optim)
        shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
        is_staged, self.model = self.place.num_stages > 1, model
        with redirect_stdout(io.StringIO()), made_by_members():  # what it prints of memory and stages
            self._deepspeed, *_ = deepspeed.initialize(
                model=StageModule(model, self.place) if is_staged else model,
                optimizer=optimizer,
                config=settings,
                dist_init_required=False,
            )
        self._pipeline = Pipeline(self._deepspeed) if is_staged else None
        layout = ShardedPartitions if config.zero_stage == 3 else SlicedPartitions
        self._partitions: Partitions = layout(self.model, self._deepspeed.optimizer)
        if isinstance(optimizer, Muon):
            share_matrices(optimizer, self._partitions, shapes, device=world.device, dtype=self.dtype)
        if trained is not None:
            update_only(optimizer, self._partitions, trained)
        self._gate = _Gate(self._deepspeed)

    def train_batch(
        self,
        batches: list,
        compute: Computation,
        *,
        learning_rate: float,
        accept: Callable[[float], bool],
    ) -> Update:
        """Forward and backward of every microbatch, then one update of the weights, unless it is refused.

        `compute` takes a microbatch and what the pipeline stage before handed on, None where there is none; it gives what
        goes on to the next stage and its share of the step's mean loss. Shares of all ranks add up: DeepSpeed averages
        gradients over ranks, which is undone here. `accept` gets the gradient norm before clipping, once on every rank,
        before anything has moved; where it is False on every rank, weights, masters and moments stay as they are.
        """
        for group in self._deepspeed.optimizer.param_groups:
            group["lr"] = learning_rate
        self._gate.accept = accept
        if self._pipeline is not None:
            self._pipeline.train_batch(batches, compute)
        else:
            self._train_here(batches, compute)
        update = self._gate.close()
        if not update.is_applied:
            self._partitions.gather_kept()  # which DeepSpeed leaves cut where it found the step not finite
        return update

    def _train_here(self, batches: list, compute: Computation) -> None:
        """What `Pipeline.train_batch` does, for a model whose layers are all here."""
        for batch in batches:
            self._deepspeed.optimizer.clear_backward_seen_flag()  # else ZeRO-3 overwrites the gradients so far
            _, loss = compute(batch, None)
            self._deepspeed.backward(loss * self.world.size, scale_wrt_gas=False)
            if isinstance(self._deepspeed.optimizer, BF16_Optimizer):  # of ZeRO-1 in bf16
                self._deepspeed.optimizer.clear_lp_grads()  # which are in its fp32 sum, and would be added once more
            self._deepspeed.step()

    @torch.no_grad()
    def eval_batch(self, batches: list, compute: Computation) -> None:
        """Forward of every microbatch, through all stages, for what `compute` measures."""
        if self._pipeline is not None:
            self._pipeline.eval_batch(batches, compute)
            return
        for batch in batches:
            compute(batch, None)

    def fragments(self) -> Iterator[Fragment]:
        """What this rank owns of the optimizer state, in the order of the model's parameters."""
        for owned in self._partitions.ranges():
            flat = self._partitions.flats[owned.partition]
            place = slice(owned.offset, owned.offset + owned.numel)
            moments = {
                key: value[place]
                for key, value in self._state_of(flat).items()
                if isinstance(value, torch.Tensor) and value.shape == flat.shape
            }
            yield Fragment(owned.name, owned.start, flat.detach()[place], moments, owned.cut)

    def weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Every parameter and kept buffer of this rank's model, whole, one at a time; every rank must go to the end."""
        for name, tensor in self.model.state_dict(keep_vars=True).items():
            with self.whole([tensor] if isinstance(tensor, nn.Parameter) else []):
                yield name, tensor.detach()

    def assign(self, name: str, value: torch.Tensor) -> None:
        """Make `value`, of the whole shape, the weights and masters of a parameter of this rank, or the buffer's value."""
        buffers = dict(self.model.named_buffers())
        if name in buffers:
            buffers[name].copy_(value)
        else:
            self._partitions.assign(name, value.to(self.world.device))

    def whole(self, parameters: Iterable[nn.Parameter]) -> AbstractContextManager:
        """Inside, these parameters are whole on every rank. Every rank must enter and leave."""
        return self._partitions.whole(parameters)

    def optimizer_step(self) -> int:
        """Updates the optimizer has made; Adam's bias correction depends on it."""
        for flat in self._partitions.flats:
            return int(self._state_of(flat).get("step", 0))
        return 0

    @torch.no_grad()
    def restore_optimizer(self, step: int) -> None:
        """Make moments that `fragments()` then lets a checkpoint fill, and count `step` updates as made."""
        for flat, members in zip(self._partitions.flats, self._partitions.members(), strict=True):
            state = self._state_of(flat)
            state["step"] = torch.tensor(float(step), device=flat.device)
            for key in moments_of(members.settings):
                state[key] = torch.zeros_like(flat)

    def _state_of(self, flat: torch.Tensor) -> dict:
        return self._deepspeed.optimizer.optimizer.state[flat]


class _Gate:
    """Stands between DeepSpeed and the optimizer it drives: asks once a step, then lets every group's update pass or not.

    DeepSpeed has no hook between knowing the gradient norm and updating, but it updates by calling the optimizer.
    """

    def __init__(self, engine: deepspeed.DeepSpeedEngine) -> None:
        self._engine, self._optimizer = engine, engine.optimizer.optimizer
        self._update, self._verdict = self._optimizer.step, None
        self._optimizer.step = self._step
        self.accept: Callable[[float], bool] = lambda grad_norm: True

    def close(self) -> Update:
        """The outcome of the step that was just made. DeepSpeed itself refuses an update that is not finite."""
        norm = float(self._engine.get_global_grad_norm())
        if self._verdict is None:
            self.accept(norm)
        is_applied, self._verdict = bool(self._verdict), None
        return Update(norm, is_applied)

    def _step(self) -> None:
        if self._verdict is None:
            self._verdict = self.accept(float(self._engine.optimizer._global_grad_norm))
        if self._verdict:
            self._update()
