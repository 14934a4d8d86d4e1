"""Attention: its configuration, the cache of generation, and grouped-query attention (Ainslie et al. 2023, 2305.13245).

Legend: B batch, T query positions, S key positions, D width, H query heads, G key-value heads, C head channels.
"""

from dataclasses import dataclass
from enum import Enum

import torch
import torch.distributed as dist
from torch import nn

from mai1.model.isolation import Isolation, attend
from mai1.model.norm import RMSNorm
from mai1.model.rope import Rotation, rotate
from mai1.model.sequence_parallel import join_heads, split_heads


class AttentionKind(Enum):
    """Where keys and values come from."""

    grouped = "grouped"  # from the token, a few heads shared by all queries: this file
    latent = "latent"  # from a small latent vector, the only thing a cache keeps: latent_attention.py


class QKNorm(Enum):
    """Normalisation of queries and keys before the rotation (Dehghani et al. 2023, arXiv 2302.05442)."""

    none = "none"
    head = "head"  # one RMSNorm over each head's channels (Qwen3, GLM-4)
    width = "width"  # one RMSNorm over all heads together (OLMoE)


_LATENT_ONLY = ("query_rank", "kv_rank", "rope_dim", "value_dim")


@dataclass(kw_only=True, slots=True)
class AttentionConfig:
    kind: AttentionKind = AttentionKind.grouped
    """grouped | latent (DeepSeek-V3 checkpoints; needs num_kv_heads=num_heads, qk_norm=none and the keys below)."""
    num_heads: int = 8
    """Query heads."""
    num_kv_heads: int = 2
    """Key-value heads; divides num_heads. Equal to num_heads: multi-head attention."""
    head_dim: int = 64
    """Channels of one head; with kind=latent of its part that is not rotated. Even where rotated: rotations act on pairs."""
    qk_norm: QKNorm = QKNorm.head
    """none | head | width."""
    query_rank: int = 0
    """With kind=latent: width of the queries' latent; 0 makes queries from the token itself."""
    kv_rank: int = 0
    """With kind=latent: width of the latent that keys and values are made from."""
    rope_dim: int = 0
    """With kind=latent: rotated channels that each head has besides head_dim; their key is one for all heads. Even."""
    value_dim: int = 0
    """With kind=latent: channels of one head's value."""

    def __post_init__(self) -> None:
        is_latent = self.kind is AttentionKind.latent
        for key in ("num_heads", "num_kv_heads", "head_dim", *(_LATENT_ONLY[1:] if is_latent else ())):
            if getattr(self, key) < 1:
                of_kind = " with kind=latent" if key in _LATENT_ONLY else ""
                raise ValueError(f"model.attention.{key}={getattr(self, key)} must be at least 1{of_kind}")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"model.attention.num_kv_heads={self.num_kv_heads} must divide num_heads={self.num_heads}: "
                f"use {', '.join(str(n) for n in range(1, self.num_heads + 1) if self.num_heads % n == 0)}"
            )
        (self._check_latent if is_latent else self._check_grouped)()
        rotated = "rope_dim" if is_latent else "head_dim"
        if self.rotated_dim % 2:
            raise ValueError(f"model.attention.{rotated}={self.rotated_dim} must be even: use {self.rotated_dim + 1}")

    def _check_grouped(self) -> None:
        for key in _LATENT_ONLY:
            if getattr(self, key):
                raise ValueError(
                    f"model.attention.{key}={getattr(self, key)} has no meaning with kind=grouped: use 0, or kind=latent"
                )

    def _check_latent(self) -> None:
        if self.num_kv_heads != self.num_heads:
            raise ValueError(
                f"model.attention.num_kv_heads={self.num_kv_heads} must equal num_heads={self.num_heads} with "
                f"kind=latent, where each head has a key of its own: use {self.num_heads}"
            )
        if self.qk_norm is not QKNorm.none:
            raise ValueError(
                f"model.attention.qk_norm={self.qk_norm.value} cannot stand beside kind=latent, which normalises the "
                "latents: use none"
            )
        if self.query_rank < 0:
            raise ValueError(f"model.attention.query_rank={self.query_rank} must not be negative: use 0 for no latent")

    @property
    def rotated_dim(self) -> int:
        """Rotated channels of one head."""
        return self.rope_dim or self.head_dim

    @property
    def key_dim(self) -> int:
        """Channels over which a query and a key are compared."""
        return self.head_dim + self.rope_dim

    @property
    def mixed_dim(self) -> int:
        """Channels of one head's answer."""
        return self.value_dim or self.head_dim


class KeyValueCache:
    """What each layer keeps of the positions seen so far, and their document ids.

    Memory in elements: `layers * B * capacity` times `2 * G * C` (grouped) or `kv_rank + rope_dim` (latent). Rows may
    be padded on the left with document id -1.
    """

    def __init__(self, *, num_layers: int, capacity: int) -> None:
        self.capacity = capacity
        self.length = 0
        self.segments_BS: torch.Tensor | None = None
        self.layers: list[list[torch.Tensor]] = [[] for _ in range(num_layers)]

    def begin(self, segments_BT: torch.Tensor) -> torch.Tensor:
        """Append the new positions' document ids; returns those of all positions `[B, S]`."""
        if self.length + segments_BT.shape[1] > self.capacity:
            raise ValueError(f"{self.length + segments_BT.shape[1]} positions exceed the cache's {self.capacity}")
        seen = [segments_BT] if self.segments_BS is None else [self.segments_BS, segments_BT]
        self.segments_BS = torch.cat(seen, dim=1)
        return self.segments_BS

    def extend(self, layer: int, *new: torch.Tensor) -> list[torch.Tensor]:
        """Write one layer's tensors `[B, T, ...]` of the new positions; returns those of all positions `[B, S, ...]`."""
        if not self.layers[layer]:
            self.layers[layer] = [x.new_empty(x.shape[0], self.capacity, *x.shape[2:]) for x in new]
        end = self.length + new[0].shape[1]
        for kept, x in zip(self.layers[layer], new, strict=True):
            kept[:, self.length : end] = x
        return [kept[:, :end] for kept in self.layers[layer]]

    def finish(self, num_new: int) -> None:
        """Count the new positions as seen, after every layer has written them."""
        self.length += num_new


class Attention(nn.Module):
    """Causal self-attention with grouped key-value heads, rotary positions and optional qk-norm.

    With a `sequence_group`, positions are this rank's slice of whole rows, and isolation that of the whole rows.
    """

    def __init__(
        self,
        config: AttentionConfig,
        *,
        d_model: int,
        norm_eps: float,
        sequence_group: dist.ProcessGroup | None = None,
    ) -> None:
        super().__init__()
        self.config, self.sequence_group = config, sequence_group
        query_width, kv_width = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
        self.query = nn.Linear(d_model, query_width, bias=False)
        self.key = nn.Linear(d_model, kv_width, bias=False)
        self.value = nn.Linear(d_model, kv_width, bias=False)
        self.output = nn.Linear(query_width, d_model, bias=False)
        if config.qk_norm is not QKNorm.none:
            per_head = config.qk_norm is QKNorm.head
            self.query_norm = RMSNorm(config.head_dim if per_head else query_width, eps=norm_eps)
            self.key_norm = RMSNorm(config.head_dim if per_head else kv_width, eps=norm_eps)

    def forward(
        self,
        x_BTD: torch.Tensor,
        *,
        rotation: Rotation,
        isolation: Isolation,
        cache: KeyValueCache | None = None,
        layer: int = 0,
    ) -> torch.Tensor:
        """Mix positions of `[B, T, D]`; without an isolation each row is one document."""
        query_BTHC, key_BTGC, value_BTGC = self._project(x_BTD)
        query_BTHC, key_BTGC = rotate(query_BTHC, rotation), rotate(key_BTGC, rotation)
        if cache is not None:
            key_BTGC, value_BTGC = cache.extend(layer, key_BTGC, value_BTGC)
        query_BTHC, key_BTGC, value_BTGC = split_heads(query_BTHC, key_BTGC, value_BTGC, group=self.sequence_group)
        mixed_BTHC = join_heads(attend(query_BTHC, key_BTGC, value_BTGC, isolation), group=self.sequence_group)
        return self.output(mixed_BTHC.flatten(2))

    def _project(self, x_BTD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        query, key, value = self.query(x_BTD), self.key(x_BTD), self.value(x_BTD)
        if self.config.qk_norm is QKNorm.width:
            query, key = self.query_norm(query), self.key_norm(key)
        query_BTHC, key_BTGC, value_BTGC = (x.unflatten(-1, (-1, self.config.head_dim)) for x in (query, key, value))
        if self.config.qk_norm is QKNorm.head:
            query_BTHC, key_BTGC = self.query_norm(query_BTHC), self.key_norm(key_BTGC)
        return query_BTHC, key_BTGC, value_BTGC
