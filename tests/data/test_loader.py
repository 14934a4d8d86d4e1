import numpy as np
import pytest
import torch

from mai1.data.batch import Batch, Row
from mai1.data.loader import BatchConfig, Loader


class CountingRows:
    """Row number n holds n everywhere."""

    rows_per_epoch, sequence_length, fingerprint = 100, 4, "counting"

    def read(self, sample: int) -> Row:
        return Row(np.full(5, sample), np.ones(5, dtype=np.uint8), num_valid=5)


def samples_of_step(step: int, *, world_size: int, microbatch: int) -> list[int]:
    """Global sample numbers of a step in the order of microbatches, then ranks."""
    config = BatchConfig(sequences_per_step=16, sequences_per_microbatch=microbatch)
    ranks = [
        Loader(CountingRows(), config, rank=rank, world_size=world_size, end_of_text_id=-1).microbatches(step)
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
    with pytest.raises(ValueError, match=r"sequences_per_step=20 must be a multiple of .*=3 x 2 ranks = 6: use 18"):
        config.microbatches_per_step(2)
    for size in (18, 6):
        assert BatchConfig(sequences_per_step=size, sequences_per_microbatch=3).microbatches_per_step(2) == size // 6


@pytest.mark.parametrize("key", ["sequences_per_step", "sequences_per_microbatch"])
def test_empty_batches_are_refused(key: str):
    with pytest.raises(ValueError, match=f"batch.{key}=0 must be at least 1"):
        BatchConfig(**{key: 0})


def test_a_batch_moved_to_a_device_keeps_every_field():
    config = BatchConfig(sequences_per_step=2, sequences_per_microbatch=2)
    [batch] = Loader(CountingRows(), config, rank=0, world_size=1, end_of_text_id=1).microbatches(0)
    moved = batch.to(torch.device("meta"))
    assert moved.is_packed is batch.is_packed is True
    for name in Batch.__slots__[:-1]:
        shape = (2,) if name.endswith("_B") else (2, 4)
        assert getattr(moved, name).device.type == "meta" and getattr(moved, name).shape == shape
