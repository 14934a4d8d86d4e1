"""NEFTune's noise: of the size the paper gives, in training alone, and a function of the row and nothing else."""

import math

import pytest
import torch

from mai1.model.embedding_noise import EmbeddingNoise, NeftuneConfig, document_lengths, noise_key
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from tests.support.tiny import tiny_model_config

SEGMENTS = torch.tensor([[0] * 10 + [1] * 30 + [-1] * 24, [0] * 64])
SAMPLES = torch.tensor([7, 8])
WIDTH = 48
NOISE = EmbeddingNoise(5.0, noise_key(1))


def noise(samples: torch.Tensor = SAMPLES, segments: torch.Tensor = SEGMENTS) -> torch.Tensor:
    return NOISE.add_to(torch.zeros(*segments.shape, WIDTH), segments, samples, group=None)


def test_a_documents_tokens_are_counted_where_each_of_them_stands():
    lengths = document_lengths(torch.tensor([[0, 0, 0, 1, 1, -1, -1, -1], [0, 1, 1, 1, 1, 1, 1, 2]]))
    assert lengths.tolist() == [[3, 3, 3, 2, 2, 3, 3, 3], [1, 6, 6, 6, 6, 6, 6, 1]]


@pytest.mark.parametrize(
    ("row", "part", "length"), [(0, slice(0, 10), 10), (0, slice(10, 40), 30), (1, slice(0, 64), 64)]
)
def test_noise_is_uniform_up_to_alpha_over_the_root_of_length_times_width(row: int, part: slice, length: int):
    values, bound = noise()[row, part], 5.0 / math.sqrt(length * WIDTH)
    assert 0.98 * bound < values.abs().max() <= bound
    assert values.mean().abs() < 0.1 * bound
    assert values.var().item() == pytest.approx(bound**2 / 3, rel=0.1)
    deciles = torch.histc(values / bound, 10, -1, 1) / values.numel()
    assert (deciles - 0.1).abs().max() < 0.04


def test_noise_of_a_row_does_not_depend_on_its_company():
    together = noise()
    assert torch.equal(noise(SAMPLES[1:], SEGMENTS[1:])[0], together[1])
    assert not torch.equal(noise(SAMPLES + 2)[1], together[1]), "another epoch's row has other noise"
    other = EmbeddingNoise(5.0, noise_key(2)).add_to(torch.zeros_like(together), SEGMENTS, SAMPLES, group=None)
    assert not torch.equal(other, together)


def test_there_is_noise_in_training_alone():
    model = MoETransformer(tiny_model_config())
    initialize(model, seed=0)
    tokens = torch.arange(32).view(1, 32)

    def hidden() -> torch.Tensor:
        return model(tokens, samples_B=torch.tensor([3])).hidden_BTD

    plain = hidden()
    model.embedding_noise = NOISE
    assert not torch.allclose(hidden(), plain)
    assert torch.equal(hidden(), hidden())
    model.eval()
    assert torch.equal(hidden(), plain)


def test_alpha_must_be_a_size():
    with pytest.raises(ValueError, match=r"neftune.alpha=-1.0 must not be negative or infinite"):
        NeftuneConfig(alpha=-1.0)
