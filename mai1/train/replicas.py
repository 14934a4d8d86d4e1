"""Which tensors of a rank other ranks hold as well."""

from collections.abc import Iterator

from torch import nn

from mai1.dist import World
from mai1.watch.replicas import Replica


def replicas_of(model: nn.Module, world: World, *, expert_parallel: int, stage: int = 0) -> Iterator[Replica]:
    """Every parameter and persistent buffer that is whole on this rank, marked by the ranks that share it.

    Experts are shared by the ranks with the same place in their expert-parallel group, all else by the pipeline stage.
    What ZeRO-3 shards has no copies and is left out.
    """
    shared = stage * (world.size + 1)
    experts = shared + 1 + world.rank % expert_parallel
    for name, parameter in model.named_parameters():
        if getattr(parameter, "ds_persist", True):  # DeepSpeed's tags, as the engine sets them
            yield Replica(name, shared if getattr(parameter, "allreduce", True) else experts, parameter)
    persistent = model.state_dict().keys()
    for name, buffer in model.named_buffers():
        if name in persistent:
            yield Replica(name, shared, buffer)
