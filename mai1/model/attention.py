"""Grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245) that never crosses a document.

Legend: B batch, T query positions, S key positions, D width, H query heads, G key-value heads, C head channels.
"""

from dataclasses import dataclass
from enum import Enum

import torch
import torch.nn.functional as F
from torch import nn

from mai1.model.norm import RMSNorm
from mai1.model.rope import Rotation, rotate


class QKNorm(Enum):
    """Normalisation of queries and keys before the rotation (Dehghani et al. 2023, arXiv 2302.05442)."""

    none = "none"
    head = "head"  # one RMSNorm over each head's channels (Qwen3, GLM-4)
    width = "width"  # one RMSNorm over all heads together (OLMoE)


@dataclass(kw_only=True, slots=True)
class AttentionConfig:
    num_heads: int = 8
    """Query heads."""
    num_kv_heads: int = 2
    """Key-value heads; divides num_heads. Equal to num_heads: multi-head attention."""
    head_dim: int = 64
    """Channels of one head; even, because rotations act on pairs."""
    qk_norm: QKNorm = QKNorm.head
    """none | head | width."""

    def __post_init__(self) -> None:
        for key in ("num_heads", "num_kv_heads", "head_dim"):
            if getattr(self, key) < 1:
                raise ValueError(f"model.attention.{key}={getattr(self, key)} must be at least 1")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"model.attention.num_kv_heads={self.num_kv_heads} must divide num_heads={self.num_heads}: "
                f"use {', '.join(str(n) for n in range(1, self.num_heads + 1) if self.num_heads % n == 0)}"
            )
        if self.head_dim % 2:
            raise ValueError(f"model.attention.head_dim={self.head_dim} must be even: use {self.head_dim + 1}")


class KeyValueCache:
    """Keys, values and document ids of the positions seen so far, one pair of tensors per layer.

    Memory: `2 * layers * B * capacity * G * C` elements. Rows may be padded on the left with document id -1.
    """

    def __init__(self, *, num_layers: int, capacity: int) -> None:
        self.capacity = capacity
        self.length = 0
        self.segments_BS: torch.Tensor | None = None
        self.layers: list[tuple[torch.Tensor, torch.Tensor] | None] = [None] * num_layers

    def begin(self, segments_BT: torch.Tensor) -> torch.Tensor:
        """Append the new positions' document ids; returns those of all positions `[B, S]`."""
        if self.length + segments_BT.shape[1] > self.capacity:
            raise ValueError(f"{self.length + segments_BT.shape[1]} positions exceed the cache's {self.capacity}")
        seen = [segments_BT] if self.segments_BS is None else [self.segments_BS, segments_BT]
        self.segments_BS = torch.cat(seen, dim=1)
        return self.segments_BS

    def extend(self, layer: int, key_BTGC: torch.Tensor, value_BTGC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new positions of one layer; returns keys and values of all positions `[B, S, G, C]`."""
        batch, new, groups, channels = key_BTGC.shape
        if self.layers[layer] is None:
            shape = (batch, self.capacity, groups, channels)
            self.layers[layer] = (key_BTGC.new_empty(shape), value_BTGC.new_empty(shape))
        keys, values = self.layers[layer]
        end = self.length + new
        keys[:, self.length : end], values[:, self.length : end] = key_BTGC, value_BTGC
        return keys[:, :end], values[:, :end]

    def finish(self, num_new: int) -> None:
        """Count the new positions as seen, after every layer has written them."""
        self.length += num_new


def document_mask(query_segments_BT: torch.Tensor, key_segments_BS: torch.Tensor) -> torch.Tensor:
    """True where a query may look: same document, not later. Queries are the last T of the S keys; bool `[B, 1, T, S]`."""
    num_queries, num_keys = query_segments_BT.shape[1], key_segments_BS.shape[1]
    query_index_T = torch.arange(num_keys - num_queries, num_keys, device=key_segments_BS.device)
    key_index_S = torch.arange(num_keys, device=key_segments_BS.device)
    not_later_TS = key_index_S[None, :] <= query_index_T[:, None]
    same_document_BTS = query_segments_BT[:, :, None] == key_segments_BS[:, None, :]
    return (same_document_BTS & not_later_TS)[:, None]


class Attention(nn.Module):
    """Causal self-attention with grouped key-value heads, rotary positions and optional qk-norm."""

    def __init__(self, config: AttentionConfig, *, d_model: int, norm_eps: float) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        query_width, kv_width = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
        self.query = nn.Linear(d_model, query_width, bias=False)
        self.key = nn.Linear(d_model, kv_width, bias=False)
        self.value = nn.Linear(d_model, kv_width, bias=False)
        self.output = nn.Linear(query_width, d_model, bias=False)
        self.qk_norm = config.qk_norm
        if config.qk_norm is not QKNorm.none:
            per_head = config.qk_norm is QKNorm.head
            self.query_norm = RMSNorm(config.head_dim if per_head else query_width, eps=norm_eps)
            self.key_norm = RMSNorm(config.head_dim if per_head else kv_width, eps=norm_eps)

    def forward(
        self,
        x_BTD: torch.Tensor,
        *,
        rotation: Rotation,
        mask_B1TS: torch.Tensor | None,
        cache: KeyValueCache | None = None,
        layer: int = 0,
    ) -> torch.Tensor:
        """Mix positions of `[B, T, D]`; without a mask each row is one document and attention is plainly causal."""
        query_BTHC, key_BTGC, value_BTGC = self._project(x_BTD)
        query_BTHC, key_BTGC = rotate(query_BTHC, rotation), rotate(key_BTGC, rotation)
        if cache is not None:
            key_BTGC, value_BTGC = cache.extend(layer, key_BTGC, value_BTGC)
        # enable_gqa would leave only the slow kernel where there is a mask: give every query head its own copy
        copies = query_BTHC.shape[2] // key_BTGC.shape[2]
        mixed_BHTC = F.scaled_dot_product_attention(
            query_BTHC.transpose(1, 2),
            key_BTGC.repeat_interleave(copies, dim=2).transpose(1, 2),
            value_BTGC.repeat_interleave(copies, dim=2).transpose(1, 2),
            attn_mask=mask_B1TS,
            is_causal=mask_B1TS is None,
        )
        return self.output(mixed_BHTC.transpose(1, 2).flatten(2))

    def _project(self, x_BTD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        query, key, value = self.query(x_BTD), self.key(x_BTD), self.value(x_BTD)
        if self.qk_norm is QKNorm.width:
            query, key = self.query_norm(query), self.key_norm(key)
        query_BTHC, key_BTGC, value_BTGC = (x.unflatten(-1, (-1, self.head_dim)) for x in (query, key, value))
        if self.qk_norm is QKNorm.head:
            query_BTHC, key_BTGC = self.query_norm(query_BTHC), self.key_norm(key_BTGC)
        return query_BTHC, key_BTGC, value_BTGC
