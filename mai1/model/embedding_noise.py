"""NEFTune: noise on the embeddings of tuning (Jain et al. 2023, arXiv 2310.05914, algorithm 1). Inference has none.

Legend: B rows, T positions, U positions of this rank's slice, D width.
"""

import hashlib
import math
from dataclasses import dataclass

import torch
import torch.distributed as dist

from mai1.model.moe.routing_policy import jitter_noise
from mai1.model.sequence_parallel import own_positions, place_in_rows


@dataclass(kw_only=True, slots=True)
class NeftuneConfig:
    alpha: float = 0.0
    """Size of the noise on embeddings: uniform up to alpha / sqrt(tokens of the conversation x width); the paper has 5 to 15,
    0 is none."""

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < math.inf:
            raise ValueError(f"neftune.alpha={self.alpha} must not be negative or infinite: use 0 for no noise")


@dataclass(frozen=True, slots=True)
class EmbeddingNoise:
    """Noise that is a hash of (seed, row, position, channel): rows are numbered through all epochs, so each step's is its own,
    and no spread of rows over ranks and microbatches changes it, nor does a restart."""

    alpha: float
    key: int
    """From `noise_key`."""

    def add_to(
        self,
        x_BUD: torch.Tensor,
        segments_BT: torch.Tensor,
        samples_B: torch.Tensor,
        *,
        group: dist.ProcessGroup | None,
    ) -> torch.Tensor:
        """Embeddings with noise uniform in +-alpha / sqrt(L * D), L being the tokens of each token's own document.

        Of whole rows' `segments_BT` (-1 is padding) and numbers; `group` are the ranks that share the rows.
        """
        num_positions, width = x_BUD.shape[1:]
        slice_of_rows, _ = place_in_rows(group)
        noise_ND = jitter_noise(
            samples_B,
            first_position=slice_of_rows * num_positions,
            num_positions=num_positions,
            width=width,
            seed=self.key,
            amount=1.0,
        ).sub_(1)
        lengths_BU = own_positions(document_lengths(segments_BT), group)
        size_BU1 = self.alpha / (lengths_BU * width).sqrt()[..., None]
        return x_BUD + (noise_ND.view_as(x_BUD) * size_BU1).to(x_BUD.dtype)


def document_lengths(segments_BT: torch.Tensor) -> torch.Tensor:
    """Tokens of the document that each token is of, fp32 `[B, T]`; padding counts as one long document."""
    places_BT = segments_BT + 1
    ones_BT = torch.ones_like(segments_BT, dtype=torch.float32)
    counts_BT = ones_BT.new_zeros(len(ones_BT), ones_BT.shape[1] + 1).scatter_add_(1, places_BT, ones_BT)
    return counts_BT.gather(1, places_BT)


def noise_key(seed: int) -> int:
    """The key of a run's noise, from its seed."""
    return int.from_bytes(hashlib.sha256(f"{seed}:neftune".encode()).digest()[:7], "big")
