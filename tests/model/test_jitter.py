import pytest
import torch

from mai1.model.moe.router import TokenMarks
from mai1.model.moe.routing_policy import jitter_noise, noise_seed
from tests.model.test_routing_policy import LENGTH, POLICIES, VALID_BT, make_marks, make_router, tokens_of


def mix_by_hand(key: int) -> int:
    """SplitMix64 on Python's integers."""
    key = (key + 1) * 0x9E3779B97F4A7C15 % 2**64
    key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    key = (key ^ key >> 27) * 0x94D049BB133111EB % 2**64
    return key ^ key >> 31


def test_jitter_is_a_hash_of_seed_sample_position_and_channel():
    samples, seed = [0, 3, 2**40], noise_seed(17, 5)
    noise_ND = jitter_noise(torch.tensor(samples), num_positions=4, width=6, seed=seed, amount=0.25)
    for b, sample in enumerate(samples):
        for t in range(4):
            for channel in range(6):
                bits = mix_by_hand(mix_by_hand(mix_by_hand(sample + seed) + t) + channel) >> 40
                expected = 0.75 + 0.5 * bits / 2**24
                assert noise_ND[b * 4 + t, channel].item() == pytest.approx(expected, abs=1e-7)


def test_jitter_is_uniform_and_differs_in_all_it_depends_on():
    samples_B = torch.arange(40)
    noise = [
        jitter_noise(samples_B + first, num_positions=50, width=16, seed=noise_seed(seed, layer), amount=0.1)
        for seed, layer, first in ((0, 1, 0), (0, 2, 0), (1, 1, 0), (0, 1, 40))
    ]
    for part in noise:
        assert part.min() >= 0.9 and part.max() <= 1.1
        assert part.mean().item() == pytest.approx(1.0, abs=2e-3)
        assert part.std().item() == pytest.approx(0.1 / 3**0.5, rel=1e-2)
        histogram = part.histc(20, 0.9, 1.1)
        assert histogram.min() > 0.9 * part.numel() / 20
    flat = torch.stack([part.flatten() for part in noise])
    assert (torch.corrcoef(flat) - torch.eye(4)).abs().max() < 0.02
    across_positions, across_channels = noise[0].view(40, 50, 16).flatten(0, 1).T, noise[0].view(40, 50 * 16)
    for rows in (across_positions, across_channels):
        assert (torch.corrcoef(rows) - torch.eye(len(rows))).abs().max() < 0.2


def test_jitter_does_not_depend_on_how_samples_are_spread_over_microbatches():
    router, x_ND = make_router(POLICIES["jitter"]), tokens_of()
    whole = router(x_ND, make_marks())
    for b in range(len(VALID_BT)):
        rows, part = slice(b * LENGTH, (b + 1) * LENGTH), slice(b, b + 1)
        alone = router(x_ND[rows], TokenMarks(VALID_BT[part], VALID_BT[part], 100 + torch.arange(4)[part]))
        torch.testing.assert_close(alone.logits_NE, whole.logits_NE[rows])
