"""The replica digest notices one flipped bit, and says on which rank and in which tensor."""

import pytest
import torch

from mai1.dist import World
from mai1.train.replicas import replicas_of
from mai1.watch.faults import ReplicasDifferError
from mai1.watch.replicas import CHUNK, check_replicas, describe, digest
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer, train


def slow_digest(tensor: torch.Tensor) -> int:
    """Word by word, in Python's whole numbers."""

    def mix(place: int) -> int:
        signed = (place * 0x9E3779B97F4A7C15) % 2**64
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            signed -= 2**64 * (signed >= 2**63)
            signed = ((signed ^ (signed >> shift)) * factor) % 2**64
        return signed | 1

    total, words = 0, tensor.view(-1).view(torch.int32).tolist()
    for first in range(0, len(words), CHUNK):
        total *= 0x9E3779B97F4A7C15
        total += sum(word * mix(place + 1) for place, word in enumerate(words[first : first + CHUNK]))
    return (total + 2**63) % 2**64 - 2**63


def test_the_digest_equals_a_slow_one():
    generator = torch.Generator().manual_seed(0)
    for size in (1, 7, CHUNK + 3):
        tensor = torch.randn(size, generator=generator)
        assert int(digest(tensor)) == slow_digest(tensor)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.bool])
def test_no_flipped_bit_is_missed(dtype: torch.dtype):
    tensor = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    before, raw = int(digest(tensor)), tensor.view(-1).view(torch.uint8)
    for byte in range(len(raw)):
        for bit in range(8):
            raw[byte] ^= 1 << bit
            assert int(digest(tensor)) != before
            raw[byte] ^= 1 << bit
    assert int(digest(tensor)) == before


def test_swapped_words_and_signs_of_zero_are_noticed():
    values = torch.tensor([1.0, 2.0, 0.0])
    assert int(digest(values)) != int(digest(values[[1, 0, 2]])) != int(digest(torch.tensor([2.0, 1.0, -0.0])))


def _flip(world: World, folder, expert_parallel: int, name: str) -> tuple[str, str]:
    """What is said before and after a bit is flipped on rank 1 in the last word of a tensor."""
    trainer = tiny_trainer(world, folder / str(world.rank), expert_parallel=expert_parallel, microbatch=1)
    train(trainer, 2)
    model, said = trainer.engine.model, []
    for is_flipped in (False, True):
        if is_flipped and world.rank == 1:
            model.state_dict()[name].view(-1)[-1:].view(torch.int32)[0] ^= 1
        try:
            check_replicas(replicas_of(model, world, expert_parallel=expert_parallel), world, step=2)
            said.append("")
        except ReplicasDifferError as error:
            said.append(str(error))
    return tuple(said)


DENSE, EXPERTS, BIAS = (
    "layers.0.attention.query.weight",
    "layers.1.ffn.experts.gate_up",
    "layers.1.ffn.router.selection_bias",
)


@pytest.mark.parametrize(
    ("num_ranks", "expert_parallel", "which", "said"),
    [
        (4, 2, "dense", "other than the majority's: rank 1 on "),
        (4, 2, "experts", "with no majority for either: rank 1 on "),  # its expert-data group is ranks 1 and 3
        (2, 1, "bias", "with no majority for either: rank 0 on "),
    ],
)
def test_a_flipped_bit_is_named_by_rank_and_tensor(tmp_path, num_ranks, expert_parallel, which, said):
    name = {"dense": DENSE, "experts": EXPERTS, "bias": BIAS}[which]
    results = run_ranks(_flip, num_ranks, tmp_path, expert_parallel, name)
    assert len(set(results)) == 1, "all ranks say the same"
    before, after = results[0]
    assert before == ""
    assert after.startswith("step 2: ") and said in after and f"in {name}." in after


def test_the_majority_is_believed_and_long_lists_are_cut():
    sound, wrong = [[f"w{i}", 0, 5] for i in range(5)], [[f"w{i}", 0, 6] for i in range(5)]
    text = describe([sound, sound, wrong], ["a", "b", "c"])
    assert "weights other than the majority's: rank 2 on c in w0, w1, w2 and 2 more." in text
