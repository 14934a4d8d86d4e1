"""How many parameters a model has and how many floating-point operations a token costs: pure functions of the config.

Convention (PaLM, arXiv 2204.02311, appendix B): 2 FLOPs a multiply-add, a backward costs two forwards, attention counts
the causal half, the output projection counts, the embedding look-up and recomputation do not.
"""

from dataclasses import dataclass

from mai1.model.attention import AttentionConfig, AttentionKind, QKNorm
from mai1.model.transformer import ModelConfig


@dataclass(slots=True)
class ParameterCounts:
    """Trainable parameters of the whole model."""

    total: int
    """Multi-token prediction included."""
    active: int
    """Those one token passes through at inference, embedding and output matrices included."""


def count_parameters(config: ModelConfig) -> ParameterCounts:
    """Total and active parameters; the selection bias is state, not a parameter."""
    moe, d_model = config.moe, config.d_model
    num_moe_layers, mixer = config.num_layers - config.num_dense_layers, _attention_parameters(config) + 2 * d_model
    outside_experts = (
        config.vocab_size * d_model * (1 if config.tie_embeddings else 2)
        + config.num_layers * mixer
        + config.num_dense_layers * 3 * d_model * config.dense_width
        + num_moe_layers * _moe_matrices(config, num_experts=0)
        + d_model
    )
    routed = moe.num_experts * 3 * d_model * moe.expert_width
    further = mixer + _moe_matrices(config, num_experts=moe.num_experts) + 2 * d_model**2 + 3 * d_model
    return ParameterCounts(
        total=outside_experts + num_moe_layers * routed + config.num_mtp_layers * further,
        active=outside_experts + num_moe_layers * moe.top_k * 3 * d_model * moe.expert_width,
    )


def training_flops_per_token(config: ModelConfig, *, context: int) -> int:
    """FLOPs of forward and backward for one token of a sequence of `context` tokens, multi-token prediction included."""
    active_matrices = count_parameters(config).active - _vector_parameters(config)
    if not config.tie_embeddings:  # a tied matrix is used once as a matrix, an untied one also looks up
        active_matrices -= config.vocab_size * config.d_model
    further = _attention_matrices(config.attention, config.d_model) + _moe_matrices(
        config, num_experts=config.moe.top_k
    )
    further += 2 * config.d_model**2 + config.vocab_size * config.d_model
    num_blocks = config.num_layers + config.num_mtp_layers
    attention = num_blocks * _attention_channels(config.attention) * context
    return 3 * (2 * (active_matrices + config.num_mtp_layers * further) + attention)


def training_flops_per_choice(config: ModelConfig) -> int:
    """FLOPs of forward and backward of one routed expert for one token."""
    return 3 * 2 * 3 * config.d_model * config.moe.expert_width


def block_flops_per_token(config: ModelConfig, layer: int, *, context: int) -> int:
    """FLOPs of one block's forward for one token of a sequence of `context` tokens."""
    is_dense = layer < config.num_dense_layers
    dense_matrices = 3 * config.d_model * config.dense_width
    feed_forward = dense_matrices if is_dense else _moe_matrices(config, num_experts=config.moe.top_k)
    matrices = _attention_matrices(config.attention, config.d_model) + feed_forward
    return 2 * matrices + _attention_channels(config.attention) * context


def _attention_channels(attention: AttentionConfig) -> int:
    """Of keys and values over all heads; QK^T and AV take 2 FLOPs each, half of them causal."""
    return attention.num_heads * (attention.key_dim + attention.mixed_dim)


def _moe_matrices(config: ModelConfig, *, num_experts: int) -> int:
    """Router, shared experts and so many of the routed ones."""
    expert = 3 * config.d_model * config.moe.expert_width
    return config.moe.num_experts * config.d_model + (config.moe.num_shared_experts + num_experts) * expert


def _attention_parameters(config: ModelConfig) -> int:
    return _attention_matrices(config.attention, config.d_model) + _attention_norms(config.attention)


def _attention_matrices(attention: AttentionConfig, d_model: int) -> int:
    if attention.kind is AttentionKind.grouped:
        return d_model * (2 * attention.num_heads + 2 * attention.num_kv_heads) * attention.head_dim
    queries = attention.num_heads * attention.key_dim
    down = attention.query_rank + attention.kv_rank + attention.rope_dim
    up = attention.num_heads * (attention.head_dim + attention.value_dim)
    return (
        d_model * down
        + (attention.query_rank or d_model) * queries
        + attention.kv_rank * up
        + attention.num_heads * attention.value_dim * d_model
    )


def _attention_norms(attention: AttentionConfig) -> int:
    if attention.kind is AttentionKind.latent:
        return attention.query_rank + attention.kv_rank
    return {
        QKNorm.none: 0,
        QKNorm.head: 2 * attention.head_dim,
        QKNorm.width: (attention.num_heads + attention.num_kv_heads) * attention.head_dim,
    }[attention.qk_norm]


def _vector_parameters(config: ModelConfig) -> int:
    return config.num_layers * (_attention_norms(config.attention) + 2 * config.d_model) + config.d_model
