"""The engine: backward, step, clipping and the optimizer state of one rank, by logical parameter name.

The rest of the project sees this class and never DeepSpeed itself.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import deepspeed
import torch
from deepspeed.utils import logger as deepspeed_logger

from mai1.dist import World
from mai1.engine.ds_config import EngineConfig, deepspeed_config
from mai1.engine.experts import mark_experts, split_expert_groups
from mai1.model.transformer import MoETransformer
from mai1.optim.adamw import OptimConfig, build_adamw, parameter_groups

MOMENTS = ("exp_avg", "exp_avg_sq")


def start_deepspeed() -> None:
    """Let DeepSpeed use the process group that exists; without the extension it would compile for minutes on CPUs."""
    os.environ.setdefault("LOCAL_RANK", "0")  # DeepSpeed insists on it, also for one process
    deepspeed_logger.setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")  # DeepSpeed's, not ours
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed("nccl" if torch.cuda.is_available() else "gloo", auto_mpi_discovery=False, verbose=False)


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
    ) -> None:
        self.world = world
        self.dtype = config.dtype_on(world.device)
        mark_experts(list(model.moe_layers().values()), expert_parallel=config.expert_parallel)
        model.recompute = config.recompute
        if config.compile:
            model.compile_blocks()
        groups = split_expert_groups(
            parameter_groups(model.named_parameters(), optim), expert_parallel=config.expert_parallel
        )
        settings = deepspeed_config(
            config,
            dtype=self.dtype,
            microbatch=microbatch,
            accumulation=accumulation,
            world_size=world.size,
            clip_norm=optim.clip_norm,
        )
        self._deepspeed, *_ = deepspeed.initialize(
            model=model, optimizer=build_adamw(groups, optim), config=settings, dist_init_required=False
        )
        self.model: MoETransformer = self._deepspeed.module

    def backward(self, loss: torch.Tensor) -> None:
        """Accumulate gradients of this microbatch's share of the step's mean loss.

        DeepSpeed averages over ranks; our losses are shares that add up, so the average is undone here.
        """
        self._deepspeed.backward(loss * self.world.size, scale_wrt_gas=False)

    def step(self, learning_rate: float) -> float | None:
        """Call after every microbatch. At the step's last one: clip, update, and return the norm before clipping."""
        is_last = self._deepspeed.is_gradient_accumulation_boundary()
        if is_last:
            for group in self._deepspeed.optimizer.param_groups:
                group["lr"] = learning_rate
        self._deepspeed.step()
        return float(self._deepspeed.get_global_grad_norm()) if is_last else None

    def fragments(self) -> Iterator[Fragment]:
        """What this rank owns of the optimizer state, in the order of the model's parameters."""
        for name, parameter in self.model.named_parameters():
            mapping = parameter._hp_mapping
            if mapping is None:
                continue
            where = mapping.hp_fragment_address
            state = self._partition_state(mapping.param_group_index)
            moments = {key: state[key].narrow(0, where.start, where.numel) for key in MOMENTS if key in state}
            yield Fragment(name, mapping.lp_fragment_address.start, mapping.hp_fragment, moments)

    def optimizer_step(self) -> int:
        """Updates the optimizer has made; Adam's bias correction depends on it."""
        for state in self._deepspeed.optimizer.optimizer.state.values():
            return int(state["step"])
        return 0

    @torch.no_grad()
    def restore_optimizer(self, step: int) -> None:
        """Make moments that `fragments()` then lets a checkpoint fill, and count `step` updates as made."""
        for group, partition in enumerate(self._partitions()):
            state = self._partition_state(group)
            state["step"] = torch.tensor(float(step), device=partition.device)
            for key in MOMENTS:
                state[key] = torch.zeros_like(partition)

    @torch.no_grad()
    def copy_master_to_weights(self) -> None:
        """After masters were filled from a checkpoint: round them to the weights this rank computes with."""
        for _, parameter in self.model.named_parameters():
            if parameter._hp_mapping is not None:
                parameter._hp_mapping.update_lp()

    @torch.no_grad()
    def copy_weights_to_master(self) -> None:
        """After weights were filled from a model: make them the masters."""
        for _, parameter in self.model.named_parameters():
            if parameter._hp_mapping is not None:
                parameter._hp_mapping.update_hp()

    def _partitions(self) -> list[torch.Tensor]:
        return self._deepspeed.optimizer.single_partition_of_fp32_groups

    def _partition_state(self, group: int) -> dict:
        return self._deepspeed.optimizer.optimizer.state[self._partitions()[group]]
