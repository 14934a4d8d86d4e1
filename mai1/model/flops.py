"""How many parameters a model has and how many floating-point operations a token costs: pure functions of the config.

Convention (PaLM, arXiv 2204.02311, appendix B): 2 FLOPs a multiply-add, a backward costs two forwards, attention counts
the causal half, the output projection counts, the embedding look-up and recomputation do not.
"""

from dataclasses import dataclass

from mai1.model.attention import QKNorm
from mai1.model.transformer import ModelConfig


@dataclass(slots=True)
class ParameterCounts:
    """Trainable parameters of the whole model."""

    total: int
    active: int
    """Those one token passes through, embedding and output matrices included."""


def count_parameters(config: ModelConfig) -> ParameterCounts:
    """Total and active parameters; the selection bias is state, not a parameter."""
    moe = config.moe
    expert = 3 * config.d_model * moe.expert_width
    num_moe_layers = config.num_layers - config.num_dense_layers
    outside_experts = (
        config.vocab_size * config.d_model * (1 if config.tie_embeddings else 2)
        + config.num_layers * (_attention_parameters(config) + 2 * config.d_model)
        + config.num_dense_layers * 3 * config.d_model * config.dense_width
        + num_moe_layers * (moe.num_experts * config.d_model + moe.num_shared_experts * expert)
        + config.d_model
    )
    return ParameterCounts(
        total=outside_experts + num_moe_layers * moe.num_experts * expert,
        active=outside_experts + num_moe_layers * moe.top_k * expert,
    )


def training_flops_per_token(config: ModelConfig, *, context: int) -> int:
    """FLOPs of forward and backward for one token of a sequence of `context` tokens."""
    active_matrices = count_parameters(config).active - _vector_parameters(config)
    if not config.tie_embeddings:  # a tied matrix is used once as a matrix, an untied one also looks up
        active_matrices -= config.vocab_size * config.d_model
    heads_width = config.attention.num_heads * config.attention.head_dim
    attention = config.num_layers * 2 * heads_width * context  # QK^T and AV, 2 FLOPs each, half of them causal
    return 3 * (2 * active_matrices + attention)


def _attention_parameters(config: ModelConfig) -> int:
    attention = config.attention
    query_width, kv_width = attention.num_heads * attention.head_dim, attention.num_kv_heads * attention.head_dim
    norms = {
        QKNorm.none: 0,
        QKNorm.head: 2 * attention.head_dim,
        QKNorm.width: query_width + kv_width,
    }[attention.qk_norm]
    return config.d_model * (2 * query_width + 2 * kv_width) + norms


def _vector_parameters(config: ModelConfig) -> int:
    attention = config.attention
    matrices = config.d_model * (2 * attention.num_heads + 2 * attention.num_kv_heads) * attention.head_dim
    return config.num_layers * (_attention_parameters(config) - matrices + 2 * config.d_model) + config.d_model
