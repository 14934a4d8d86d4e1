"""Process groups made by their members alone.

`new_group` of torch and DeepSpeed is called by every rank for every group, and every call ends with all ranks of the run
meeting at the store. DeepSpeed makes more groups than there are ranks where there are pipeline stages, so that the start of
N ranks would take N such meetings of N. Here a rank makes only the groups it is in, and meets only their members.
"""

import datetime
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import deepspeed.comm
import torch.distributed as dist


def new_local_group(ranks: Iterable[int], *, timeout_s: float | None = None) -> dist.ProcessGroup | None:
    """The group of these ranks on its members, None on all others.

    Groups are made in rounds, in each of which every rank is in exactly one: torch names a group by its ranks and by how many
    groups a rank has, and members that count differently would wait for each other.
    """
    ranks = list(ranks)
    if dist.get_rank() not in ranks:
        return None
    timeout = None if timeout_s is None else datetime.timedelta(seconds=timeout_s)
    return dist.new_group(ranks, timeout=timeout, use_local_synchronization=True)


@contextmanager
def made_by_members() -> Iterator[None]:
    """Inside, the groups that DeepSpeed makes are made so."""
    original = deepspeed.comm.new_group
    deepspeed.comm.new_group = new_local_group
    try:
        yield
    finally:
        deepspeed.comm.new_group = original
