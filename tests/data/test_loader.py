import re

import numpy as np
import pytest
import torch

from mai1.data.batch import Batch, Row
from mai1.data.loader import BatchConfig, Loader


class CountingRows:
    """Row number n holds n everywhere."""

    rows_per_epoch, sequence_length, fingerprint = 100, 4, "counting"

    def read(self, sample: int) -> Row:
        ones = np.ones(5, dtype=np.uint8)
        return Row(np.full(5, sample), ones, num_valid=5, reference=ones * sample)


def samples_of_step(step: int, *, world_size: int, microbatch: int) -> list[int]:
    """Global sample numbers of a step in the order of microbatches, then ranks."""
    config = BatchConfig(sequences_per_step=16, sequences_per_microbatch=microbatch)
    ranks = [
        Loader(CountingRows(), config, data_rank=rank, data_size=world_size, end_of_text_id=-1).microbatches(step)
        for rank in range(world_size)
    ]
    assert {len(batches) for batches in ranks} == {16 // (microbatch * world_size)}
    batches = [batch for batches in zip(*ranks, strict=True) for batch in batches]
    assert all(torch.equal(batch.samples_B, batch.tokens_BT[:, 0]) for batch in batches)  # every row knows its number
    return [int(sample) for batch in batches for sample in batch.samples_B]


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("microbatch", [1, 2, 4])
def test_any_number_of_ranks_and_microbatches_reads_the_same_samples(world_size: int, microbatch: int):
    for step in (0, 1, 7):
        assert samples_of_step(step, world_size=world_size, microbatch=microbatch) == list(
            range(step * 16, step * 16 + 16)
        )


def test_a_batch_that_does_not_divide_is_refused_with_one_that_does():
    config = BatchConfig(sequences_per_step=20, sequences_per_microbatch=3)
    with pytest.raises(
        ValueError, match=r"sequences_per_step=20 must be a multiple of .*=3 x 2 data-parallel ranks = 6: use 18"
    ):
        config.microbatches_per_step(2)
    for size in (18, 6):
        assert BatchConfig(sequences_per_step=size, sequences_per_microbatch=3).microbatches_per_step(2) == size // 6


@pytest.mark.parametrize("data_size", [1, 2, 3, 5, 6, 8, 40, 64])
def test_a_batch_that_does_not_divide_is_refused_with_a_microbatch_that_keeps_it(data_size: int):
    sizes = {"sequences_per_step": 40, "sequences_per_microbatch": 7}
    with pytest.raises(ValueError, match="must be a multiple of") as refused:
        BatchConfig(**sizes).microbatches_per_step(data_size)
    offered = re.search(r", or batch.sequences_per_microbatch=(\d+) for the same step$", str(refused.value))
    fitting = [size for size in range(1, 8) if 40 % (size * data_size) == 0]
    assert (int(offered[1]) if offered else None) == max(fitting, default=None)


@pytest.mark.parametrize("key", ["sequences_per_step", "sequences_per_microbatch"])
def test_empty_batches_are_refused(key: str):
    with pytest.raises(ValueError, match=f"batch.{key}=0 must be at least 1"):
        BatchConfig(**{key: 0})


def test_ranks_that_share_rows_read_the_same_ones_and_own_all_their_positions_once():
    config = BatchConfig(sequences_per_step=4, sequences_per_microbatch=2)
    places = [{"data_rank": 1, "data_size": 2, "sequence_rank": rank, "sequence_size": 2} for rank in range(2)]
    [[first], [second]] = [
        Loader(CountingRows(), config, end_of_text_id=-1, **place).microbatches(0) for place in places
    ]
    assert first.samples_B.tolist() == second.samples_B.tolist() == [2, 3]
    for name in (name for name in Batch.__slots__ if name.endswith("_BT") and getattr(first, name) is not None):
        whole_BT = getattr(first, name)
        assert torch.equal(whole_BT, getattr(second, name)) and whole_BT.shape == (2, 4)
        assert torch.equal(torch.cat((first.own(whole_BT), second.own(whole_BT)), dim=1), whole_BT)


def test_a_batch_moved_to_a_device_keeps_every_field():
    config = BatchConfig(sequences_per_step=2, sequences_per_microbatch=2)
    [batch] = Loader(CountingRows(), config, end_of_text_id=1, sequence_rank=1, sequence_size=2).microbatches(0)
    moved = batch.to(torch.device("meta"))
    for name in Batch.__slots__:
        if isinstance(getattr(batch, name), torch.Tensor):
            assert getattr(moved, name).device.type == "meta"
            assert getattr(moved, name).shape == getattr(batch, name).shape
        else:
            assert getattr(moved, name) == getattr(batch, name)
    assert (moved.is_packed, moved.sequence_rank, moved.sequence_size) == (True, 1, 2)
