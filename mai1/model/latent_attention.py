"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, §2.1): a cache of one small vector a token.

Legend: B batch, T query positions, S key positions, D width, H heads, R width of the latent of keys and values, C head
channels that are not rotated, P rotated channels, V value channels, L = R + P what a cache keeps of a position.
"""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from mai1.model.attention import AttentionConfig
from mai1.model.isolation import Isolation, attend
from mai1.model.key_value_cache import KeyValueCache
from mai1.model.lora import Linear, merged
from mai1.model.norm import RMSNorm
from mai1.model.rope import Rotation, rotate_pairs
from mai1.model.sequence_parallel import join_heads, own_heads, split_heads

LATENT_NORM_EPS = 1e-6
"""What Hugging Face's DeepSeek-V3 adds in the norms of the latents, whatever `rms_norm_eps` says."""


class HeadsOfLatent(Linear):
    """Keys and values, `[B, T, H, C + V]`, from the latent; with a `sequence_group`, those of this rank's heads alone."""

    def __init__(self, config: AttentionConfig, sequence_group: dist.ProcessGroup | None) -> None:
        super().__init__(config.kv_rank, config.num_heads * (config.head_dim + config.value_dim))
        self.num_heads, self.sequence_group = config.num_heads, sequence_group

    def forward(self, latent_BTR: torch.Tensor | None) -> torch.Tensor:
        """`[B, T, R]` to `[B, T, H, C + V]`, where H counts the heads that this rank attends with.

        Without latents, what they are multiplied by: as the result of a call, because ZeRO-3 gathers weights for calls.
        """
        if latent_BTR is None:
            return self.matrix_YR[:]
        weight_HXR = self._of_own_heads(self.weight)
        y_BTY = F.linear(latent_BTR, weight_HXR.flatten(0, 1))
        if self.lora_scale:
            y_BTY = y_BTY + self.low_rank(latent_BTR, self._of_own_heads(self.weight_lora_b).flatten(0, 1))
        return y_BTY.unflatten(-1, weight_HXR.shape[:2])

    @property
    def matrix_YR(self) -> torch.Tensor:
        """What latents are multiplied by, the adapter included; Y goes over the channels of all heads."""
        if not self.lora_scale:
            return self.weight
        whole_YR = merged(self.weight, self.weight_lora_a, self.weight_lora_b, scale=self.lora_scale)
        return whole_YR.to(self.weight.dtype)

    def _of_own_heads(self, x_YR: torch.Tensor) -> torch.Tensor:
        return own_heads(x_YR.unflatten(0, (self.num_heads, -1)), self.sequence_group)


class LatentAttention(nn.Module):
    """Causal self-attention whose keys and values are made from a latent of `kv_rank` channels, shared by all heads.

    With a `sequence_group`, positions are this rank's slice of whole rows, and isolation that of the whole rows. Every
    rank gets the latents of all positions, which are smaller than keys and values of its heads, and makes these itself.
    """

    def __init__(
        self, config: AttentionConfig, *, d_model: int, sequence_group: dist.ProcessGroup | None = None
    ) -> None:
        super().__init__()
        self.config, self.sequence_group = config, sequence_group
        query_width = config.num_heads * config.key_dim
        if config.query_rank:
            self.query_down = Linear(d_model, config.query_rank)
            self.query_norm = RMSNorm(config.query_rank, eps=LATENT_NORM_EPS)
        self.query = Linear(config.query_rank or d_model, query_width)
        self.kv_down = Linear(d_model, config.kv_rank + config.rope_dim)
        self.kv_norm = RMSNorm(config.kv_rank, eps=LATENT_NORM_EPS)
        self.kv_up = HeadsOfLatent(config, sequence_group)
        self.output = Linear(config.num_heads * config.value_dim, d_model)

    def forward(
        self,
        x_BTD: torch.Tensor,
        *,
        rotation: Rotation,
        isolation: Isolation,
        cache: KeyValueCache | None = None,
        layer: int = 0,
    ) -> torch.Tensor:
        """Mix positions of `[B, T, D]`; without an isolation each row is one document (eq. 9-19).

        With a cache, which keeps latents and rotated keys alone, neither keys nor values are ever made: their matrices
        are multiplied into the queries and the answers instead (end of §2.1.2). The result is the same.
        """
        query_BTHC, turned_query_BTHP = self._make_queries(x_BTD, rotation)
        latent_BTR, turned_key_BTP = self.kv_down(x_BTD).split((self.config.kv_rank, self.config.rope_dim), dim=-1)
        latent_BTR, turned_key_BT1P = self.kv_norm(latent_BTR), rotate_pairs(turned_key_BTP[:, :, None], rotation)
        if cache is None:
            queries = torch.cat((query_BTHC, turned_query_BTHP), dim=-1)
            mixed_BTHV = self._attend_to_heads(queries, latent_BTR, turned_key_BT1P, isolation)
        else:
            (kept_BS1L,) = cache.extend(layer, torch.cat((latent_BTR[:, :, None], turned_key_BT1P), dim=-1))
            mixed_BTHV = self._attend_to_latents(query_BTHC, turned_query_BTHP, kept_BS1L, isolation)
        return self.output(mixed_BTHV.flatten(2))

    def _make_queries(self, x_BTD: torch.Tensor, rotation: Rotation) -> tuple[torch.Tensor, torch.Tensor]:
        if self.config.query_rank:
            x_BTD = self.query_norm(self.query_down(x_BTD))
        queries = self.query(x_BTD).unflatten(-1, (self.config.num_heads, -1))
        query_BTHC, turned_query_BTHP = queries.split((self.config.head_dim, self.config.rope_dim), dim=-1)
        return query_BTHC, rotate_pairs(turned_query_BTHP, rotation)

    def _attend_to_heads(
        self, queries: torch.Tensor, latent_BTR: torch.Tensor, turned_key_BT1P: torch.Tensor, isolation: Isolation
    ) -> torch.Tensor:
        group = self.sequence_group
        queries, latent_BT1R, turned_key_BT1P = split_heads(
            queries, latent_BTR[:, :, None], turned_key_BT1P, group=group
        )
        keys_and_values = self.kv_up(latent_BT1R[:, :, 0])
        key_BTHC, value_BTHV = keys_and_values.split((self.config.head_dim, self.config.value_dim), dim=-1)
        turned_key_BTHP = turned_key_BT1P.expand(-1, -1, key_BTHC.shape[2], -1)
        keys = torch.cat((key_BTHC, turned_key_BTHP), dim=-1)
        return join_heads(attend(queries, keys, value_BTHV, isolation), group=group)

    def _attend_to_latents(
        self, query_BTHC: torch.Tensor, turned_query_BTHP: torch.Tensor, kept_BS1L: torch.Tensor, isolation: Isolation
    ) -> torch.Tensor:
        up = self.kv_up(None).unflatten(0, (self.config.num_heads, -1))
        key_up_HCR, value_up_HVR = up.split((self.config.head_dim, self.config.value_dim), dim=1)
        query_BTHR = torch.einsum("bthc,hcr->bthr", query_BTHC, key_up_HCR)
        query_BTHL = torch.cat((query_BTHR, turned_query_BTHP), dim=-1)
        # what is kept serves as key and value: the rotated channels are mixed in vain, but nothing is copied
        mixed_BTHL = attend(query_BTHL, kept_BS1L, kept_BS1L, isolation, scale=self.config.key_dim**-0.5)
        return torch.einsum("bthr,hvr->bthv", mixed_BTHL[..., : self.config.kv_rank], value_up_HVR)
