"""Groups that only their members make: as good as others, and as many as a rank is in, whatever the number of ranks."""

import deepspeed.comm
import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d

from mai1.engine.local_groups import made_by_members, new_local_group
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer

ROUNDS = (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 1), (2, 3)), ((0,), (1,), (2,), (3,)), ((0, 1, 2, 3),))


def sums_of_rounds(world) -> list[int]:
    """The sum of ranks over this rank's group of every round."""
    sums = []
    for groups in ROUNDS:
        made = [group for ranks in groups if (group := new_local_group(ranks, timeout_s=60.0)) is not None]
        mine = torch.tensor(world.rank)
        dist.all_reduce(mine, group=made[0])
        sums.append(int(mine) if len(made) == 1 else -1)
    return sums


def groups_of_a_run(world, folder) -> tuple[int, bool]:
    tiny_trainer(world, folder, zero_stage=1, pipeline_parallel=2, expert_parallel=2)
    members = [dist.get_process_group_ranks(group) for group in distributed_c10d._world.pg_map]
    return len(members), all(world.rank in ranks for ranks in members)


def test_members_alone_make_a_group():
    assert run_ranks(sums_of_rounds, 4) == [[1, 2, 1, 0, 6], [1, 4, 1, 1, 6], [5, 2, 5, 2, 6], [5, 4, 5, 3, 6]]


def test_a_rank_makes_only_the_groups_it_is_in(tmp_path):
    counts = run_ranks(groups_of_a_run, 4, tmp_path)
    assert all(is_member for _, is_member in counts)
    assert {number for number, _ in counts} == {counts[0][0]} and counts[0][0] <= 10


def test_deepspeed_makes_groups_in_its_own_way_again_afterwards():
    original = deepspeed.comm.new_group
    with made_by_members():
        assert deepspeed.comm.new_group is new_local_group
    assert deepspeed.comm.new_group is original
