"""What a rank owns of weights and optimizer state under each ZeRO stage, by parameter: the only file that reads
DeepSpeed's internal layout (0.19.8; tests/engine keep the names used here).

ZeRO-1 and -2 keep weights whole and cut the concatenation of a group's parameters into one fp32 flat partition a rank.
ZeRO-3 cuts every parameter into equal parts, one a rank, and concatenates a rank's parts into fp32 flat partitions.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import deepspeed
import torch
import torch.distributed as dist
from deepspeed.runtime.bf16_optimizer import BF16_Optimizer
from deepspeed.runtime.zero.partition_parameters import ZeroParamStatus
from torch import nn

from mai1.model.transformer import MoETransformer

AVAILABLE = ZeroParamStatus.AVAILABLE


@dataclass(frozen=True, slots=True)
class Cut:
    """How the ranks of a group share a parameter in parts of one size, a rank after another: the same on all of them."""

    numel: int
    """Of the whole parameter."""
    size: int
    """Of each part; the last ones are shorter, or nothing."""
    ranks: range
    """Global ranks."""


@dataclass(slots=True)
class OwnedRange:
    """A range of one parameter whose fp32 state this rank owns, and where it lies in a flat partition."""

    name: str
    start: int
    """First element within this rank's flat parameter."""
    numel: int
    """0 where a small parameter is cut over more ranks than it has parts for."""
    partition: int
    offset: int
    """First element within the flat partition."""
    cut: Cut | None = None
    """None where the ranks' parts follow no rule but that they cover everything once."""


@dataclass(slots=True)
class Members:
    """What a flat partition is one rank's cut of."""

    names: list[str]
    """Parameters, in their order."""
    group: dist.ProcessGroup
    """Ranks over which they are cut."""
    settings: dict
    """The optimizer's settings for them."""


class Partitions(Protocol):
    """One ZeRO stage's layout."""

    flats: list[torch.Tensor]
    """fp32 flat partitions of this rank, which the optimizer updates."""

    def ranges(self) -> Iterator[OwnedRange]:
        """What this rank owns, in the order of the model's parameters."""

    def members(self) -> list[Members]:
        """For each flat partition, what it is a cut of; the same on all ranks of its group."""

    def assign(self, name: str, value: torch.Tensor) -> None:
        """Make `value`, of the parameter's whole shape, its weights and this rank's part of the masters."""

    def gather_kept(self) -> None:
        """Make the parameters that are whole between uses so again; every rank must call."""

    def whole(self, parameters: Iterable[nn.Parameter]) -> AbstractContextManager:
        """Inside, these parameters are whole on every rank. Every rank must enter and leave."""


class SlicedPartitions:
    """ZeRO-1 and ZeRO-2."""

    def __init__(self, model: MoETransformer, optimizer: object) -> None:
        if isinstance(optimizer, BF16_Optimizer):  # DeepSpeed's choice for bf16 with ZeRO-1
            self.flats, self._held = optimizer.fp32_groups_flat_partition, optimizer.bf16_groups
        else:
            self.flats, self._held = optimizer.single_partition_of_fp32_groups, optimizer.round_robin_bit16_groups
        self._optimizer = optimizer
        self._parameters = dict(model.named_parameters())

    def ranges(self) -> Iterator[OwnedRange]:
        """See `Partitions`."""
        for name, parameter in _trained(self._parameters):
            mapping = parameter._hp_mapping
            if mapping is not None:
                where, part = mapping.hp_fragment_address, mapping.lp_fragment_address
                yield OwnedRange(name, part.start, where.numel, mapping.param_group_index, where.start)

    def members(self) -> list[Members]:
        """See `Partitions`."""
        cuts = (self._held, self._optimizer.real_dp_process_group)
        by_partition = zip(*cuts, self._optimizer.param_groups, strict=True)
        return [Members(_names_of(held, self._parameters), group, settings) for held, group, settings in by_partition]

    @torch.no_grad()
    def assign(self, name: str, value: torch.Tensor) -> None:
        """See `Partitions`."""
        parameter = self._parameters[name]
        parameter.copy_(value)
        mapping = parameter._hp_mapping if parameter.requires_grad else None
        if mapping is not None:  # not from the weights, which are rounded
            part = mapping.lp_fragment_address
            mapping.hp_fragment.copy_(value.flatten()[part.start : part.start + part.numel])

    def gather_kept(self) -> None:
        """See `Partitions`: all are, always."""

    def whole(self, parameters: Iterable[nn.Parameter]) -> AbstractContextManager:
        """See `Partitions`."""
        return nullcontext()


class ShardedPartitions:
    """ZeRO-3."""

    def __init__(self, model: MoETransformer, optimizer: object) -> None:
        self.flats = optimizer.fp32_partitioned_groups_flat
        self._optimizer = optimizer
        self._parameters = dict(model.named_parameters())
        self._owned = {owned.name: owned for owned in self.ranges()}
        routers = (layer.router for layer in model.moe_layers().values())
        self._keep_whole([model.output_weight_VD, *(p for router in routers for p in router.parameters())])

    def ranges(self) -> Iterator[OwnedRange]:
        """See `Partitions`."""
        places = {}
        for partition, parameters in enumerate(self._optimizer.fp16_groups):
            offset = 0
            for parameter in parameters:
                places[id(parameter)] = (partition, offset)
                offset += parameter.ds_tensor.ds_numel
        ranks_of: dict[dist.ProcessGroup, range] = {}  # there are two groups, which may be large
        for name, parameter in _trained(self._parameters):
            group = parameter.ds_process_group
            if group not in ranks_of:
                ranks_of[group] = _ranks_of(group)
            cut = Cut(parameter.ds_numel, parameter.ds_tensor.ds_numel, ranks_of[group])
            yield OwnedRange(name, *_shard_of(parameter), *places[id(parameter)], cut)

    def members(self) -> list[Members]:
        """See `Partitions`."""
        settings, numbers = self._optimizer.optimizer.param_groups, self._optimizer.sub_group_to_group_id.values()
        cuts = zip(self._optimizer.fp16_groups, self._optimizer.sub_group_process_groups, numbers, strict=True)
        return [Members(_names_of(held, self._parameters), group, settings[number]) for held, group, number in cuts]

    @torch.no_grad()
    def assign(self, name: str, value: torch.Tensor) -> None:
        """See `Partitions`."""
        parameter = self._parameters[name]
        start, numel = _shard_of(parameter)
        mine = value.flatten()[start : start + numel]
        parameter.ds_tensor[:numel].copy_(mine)
        if owned := self._owned.get(name):
            self.flats[owned.partition][owned.offset : owned.offset + numel].copy_(mine)
        if parameter.ds_status is AVAILABLE:
            parameter.data.copy_(value.view(parameter.ds_shape))

    def gather_kept(self) -> None:
        """See `Partitions`."""
        kept = self._optimizer.persistent_parameters
        kept[0].partition(kept)
        kept[0].all_gather(kept)

    def whole(self, parameters: Iterable[nn.Parameter]) -> AbstractContextManager:
        """See `Partitions`."""
        return deepspeed.zero.GatheredParameters([p for p in parameters if p.ds_status is not AVAILABLE])

    def _keep_whole(self, parameters: list[nn.Parameter]) -> None:
        """Never free these between uses: they are used where DeepSpeed's hooks around a module do not see it."""
        kept = self._optimizer.persistent_parameters
        for parameter in parameters:
            parameter.is_external_param = True  # in the first step DeepSpeed frees also what is to stay
            if not parameter.ds_persist:
                parameter.ds_persist = True
                kept.append(parameter)
        self.gather_kept()


def _trained(parameters: dict[str, nn.Parameter]) -> Iterator[tuple[str, nn.Parameter]]:
    """Those that DeepSpeed keeps optimizer state of; frozen ones have none."""
    return ((name, parameter) for name, parameter in parameters.items() if parameter.requires_grad)


def _names_of(held: Iterable[nn.Parameter], parameters: dict[str, nn.Parameter]) -> list[str]:
    names = {id(parameter): name for name, parameter in parameters.items()}
    return [names[id(parameter)] for parameter in held]


def _shard_of(parameter: nn.Parameter) -> tuple[int, int]:
    """First element and number of elements of this rank's part; the last parts are padded, or nothing but padding."""
    size = parameter.ds_tensor.ds_numel
    start = min(dist.get_rank(parameter.ds_process_group) * size, parameter.ds_numel)
    return start, min(size, parameter.ds_numel - start)


def _ranks_of(group: dist.ProcessGroup) -> range:
    """Its global ranks, which stand equally far from one another in all the groups there are."""
    ranks = dist.get_process_group_ranks(group)
    found = range(ranks[0], ranks[-1] + 1, ranks[1] - ranks[0] if len(ranks) > 1 else 1)
    assert ranks == list(found), f"{ranks[:8]} are not equally far from one another"
    return found
