"""The model on one page: a decoder-only transformer whose feed-forward layers are mixtures of experts.

Legend: B batch, T positions, S cached positions, D width, V vocabulary.
"""

from dataclasses import dataclass, field

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from mai1.model.attention import Attention, AttentionConfig, KeyValueCache, document_mask
from mai1.model.ffn import SwiGLU
from mai1.model.moe.layer import MoEConfig, MoELayer
from mai1.model.moe.router import Routing
from mai1.model.norm import RMSNorm
from mai1.model.rope import Rotation, rotation_at


@dataclass(kw_only=True, slots=True)
class ModelConfig:
    vocab_size: int = 0
    """Rows of the embedding; 0 takes the tokenizer's size (a multiple of 128)."""
    d_model: int = 256
    """Width of the residual stream."""
    num_layers: int = 4
    """Transformer blocks."""
    num_dense_layers: int = 1
    """The first blocks, which have a dense feed-forward network instead of experts."""
    dense_width: int = 1024
    """Inner width of the dense feed-forward networks."""
    max_positions: int = 2048
    """Longest context in tokens that the model is declared for."""
    rope_theta: float = 10000.0
    """Base of the rotary wavelengths."""
    norm_eps: float = 1e-6
    """Added to the mean square in every RMSNorm."""
    tie_embeddings: bool = False
    """Use the embedding matrix for the output too."""
    init_std: float = 0.02
    """Standard deviation of the initial weights; residual outputs get init_std / sqrt(2 * num_layers)."""
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    """Heads of the attention."""
    moe: MoEConfig = field(default_factory=MoEConfig)
    """Router and experts."""

    def __post_init__(self) -> None:
        for key in ("d_model", "num_layers", "dense_width", "max_positions", "rope_theta", "norm_eps", "init_std"):
            if not getattr(self, key) > 0:
                raise ValueError(f"model.{key}={getattr(self, key)} must be above 0")
        if self.vocab_size < 0:
            raise ValueError(f"model.vocab_size={self.vocab_size} must not be negative: use 0 for the tokenizer's size")
        if not 0 <= self.num_dense_layers < self.num_layers:
            raise ValueError(
                f"model.num_dense_layers={self.num_dense_layers} must be from 0 to num_layers-1={self.num_layers - 1}: "
                "at least one layer is a mixture of experts"
            )


@dataclass(slots=True)
class ModelOutput:
    """Logits of every position and what each MoE layer decided."""

    logits_BTV: torch.Tensor
    routings: dict[int, Routing]
    """By layer index; dense layers have none."""


class Block(nn.Module):
    """Pre-norm attention, then pre-norm feed-forward, each added to the residual stream."""

    def __init__(self, config: ModelConfig, layer: int, *, expert_group: dist.ProcessGroup | None) -> None:
        super().__init__()
        self.layer = layer
        self.attention_norm = RMSNorm(config.d_model, eps=config.norm_eps)
        self.attention = Attention(config.attention, d_model=config.d_model, norm_eps=config.norm_eps)
        self.ffn_norm = RMSNorm(config.d_model, eps=config.norm_eps)
        if layer < config.num_dense_layers:
            self.ffn = SwiGLU(config.d_model, width=config.dense_width)
        else:
            self.ffn = MoELayer(config.moe, d_model=config.d_model, expert_group=expert_group)

    def forward(
        self,
        x_BTD: torch.Tensor,
        rotation: Rotation,
        mask_B1TS: torch.Tensor | None,
        valid_BT: torch.Tensor | None,
        cache: KeyValueCache | None,
    ) -> tuple[torch.Tensor, Routing | None]:
        attended_BTD = self.attention(
            self.attention_norm(x_BTD), rotation=rotation, mask_B1TS=mask_B1TS, cache=cache, layer=self.layer
        )
        x_BTD = x_BTD + attended_BTD
        if isinstance(self.ffn, MoELayer):
            y_BTD, routing = self.ffn(self.ffn_norm(x_BTD), valid_BT)
            return x_BTD + y_BTD, routing
        return x_BTD + self.ffn(self.ffn_norm(x_BTD)), None


class MoETransformer(nn.Module):
    """Tokens to logits. With an `expert_group`, this rank holds only its share of every layer's experts."""

    def __init__(self, config: ModelConfig, *, expert_group: dist.ProcessGroup | None = None) -> None:
        super().__init__()
        self.config = config
        self.recompute = False
        """Keep only block inputs in the forward and compute the rest again in the backward."""
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.layers = nn.ModuleList(Block(config, i, expert_group=expert_group) for i in range(config.num_layers))
        self.final_norm = RMSNorm(config.d_model, eps=config.norm_eps)
        self.unembedding = None if config.tie_embeddings else nn.Linear(config.d_model, config.vocab_size, bias=False)

    def forward(
        self,
        tokens_BT: torch.Tensor,
        *,
        positions_BT: torch.Tensor | None = None,
        segments_BT: torch.Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> ModelOutput:
        """Logits `[B, T, V]` of the next token at every position.

        `segments_BT` holds document ids: attention never crosses them; -1 is padding. Without it each row is one
        document. `positions_BT` counts from each document's start; by default from the row's start. With a `cache`,
        the tokens continue what it holds, and both must be given.
        """
        assert cache is None or (positions_BT is not None and segments_BT is not None), "a cache needs both"
        if positions_BT is None:
            positions_BT = torch.arange(tokens_BT.shape[1], device=tokens_BT.device).expand_as(tokens_BT)
        rotation = rotation_at(positions_BT, head_dim=self.config.attention.head_dim, theta=self.config.rope_theta)
        mask_B1TS, valid_BT = None, None
        if segments_BT is not None:
            key_segments_BS = segments_BT if cache is None else cache.begin(segments_BT)
            mask_B1TS, valid_BT = document_mask(segments_BT, key_segments_BS), segments_BT >= 0

        x_BTD, routings = self.embedding(tokens_BT), {}
        for block in self.layers:
            if self.recompute and torch.is_grad_enabled():
                x_BTD, routing = checkpoint(block, x_BTD, rotation, mask_B1TS, valid_BT, cache, use_reentrant=False)
            else:
                x_BTD, routing = block(x_BTD, rotation, mask_B1TS, valid_BT, cache)
            if routing is not None:
                routings[block.layer] = routing
        if cache is not None:
            cache.finish(tokens_BT.shape[1])
        return ModelOutput(self._unembed(self.final_norm(x_BTD)), routings)

    def moe_layers(self) -> dict[int, MoELayer]:
        """The MoE layers by layer index."""
        return {block.layer: block.ffn for block in self.layers if isinstance(block.ffn, MoELayer)}

    def _unembed(self, x_BTD: torch.Tensor) -> torch.Tensor:
        return F.linear(x_BTD, self.embedding.weight) if self.unembedding is None else self.unembedding(x_BTD)
