"""Attention: its configuration, and grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245).

Legend: B batch, T query positions, S key positions, D width, H query heads, G key-value heads, C head channels.
"""

from dataclasses import dataclass
from enum import Enum

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from mai1.model.isolation import Isolation, attend
from mai1.model.key_value_cache import KeyValueCache
from mai1.model.lora import Linear
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
                f"use {', '.join(str(n) for n in range(1, min(self.num_heads, 1024) + 1) if self.num_heads % n == 0)}"
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
        self.joined_XD: torch.Tensor | None = None
        """Where the matrices of queries, keys and values lie one after the other in memory (`lay_out`): all of them."""
        query_width, kv_width = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
        self.query = Linear(d_model, query_width)
        self.key = Linear(d_model, kv_width)
        self.value = Linear(d_model, kv_width)
        self.output = Linear(query_width, d_model)
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
        if self._is_joined and not torch.is_grad_enabled():
            query_BTHC, key_BTGC, value_BTGC = self._project_at_once(x_BTD, rotation)
        else:
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

    @property
    def _is_joined(self) -> bool:
        """Whether `joined_XD` is what the three matrices are: moving a model moves these alone, and adapters add to them."""
        is_same = self.joined_XD is not None and self.joined_XD.data_ptr() == self.query.weight.data_ptr()
        return is_same and not self.query.lora_scale

    def _project_at_once(
        self, x_BTD: torch.Tensor, rotation: Rotation
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What `_project` and the rotations give, in fewer and larger steps."""
        config = self.config
        num_heads, num_kv_heads, head_dim = config.num_heads, config.num_kv_heads, config.head_dim
        joined_BTX = F.linear(x_BTD, self.joined_XD)
        if config.qk_norm is QKNorm.width:
            query, key, _ = joined_BTX.split([n * head_dim for n in (num_heads, num_kv_heads, num_kv_heads)], dim=-1)
            query.copy_(self.query_norm(query)), key.copy_(self.key_norm(key))
        heads_BTXC = joined_BTX.unflatten(-1, (-1, head_dim))
        turned_BTXC, value_BTGC = heads_BTXC.split((num_heads + num_kv_heads, num_kv_heads), dim=2)
        if config.qk_norm is QKNorm.head:
            turned_BTXC = self.query_norm.unweighted(turned_BTXC)
            query_BTHC, key_BTGC = turned_BTXC.split((num_heads, num_kv_heads), dim=2)
            query_BTHC.mul_(self.query_norm.weight), key_BTGC.mul_(self.key_norm.weight)
        query_BTHC, key_BTGC = rotate(turned_BTXC, rotation).split((num_heads, num_kv_heads), dim=2)
        return query_BTHC, key_BTGC, value_BTGC
