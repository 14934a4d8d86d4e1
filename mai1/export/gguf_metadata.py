"""What a GGUF file says of the model besides its tensors: sizes, routing and rotation, under llama.cpp's keys."""

import gguf

from mai1.checkpoint.families import SIGMOID_FAMILIES, Family, family_of
from mai1.model.attention import AttentionKind
from mai1.model.transformer import ModelConfig


def add_model_metadata(writer: gguf.GGUFWriter, config: ModelConfig) -> None:
    """All keys that llama.cpp reads for the family, also where the value is what it would assume."""
    family, moe = family_of(config), config.moe
    writer.add_block_count(config.num_layers)
    writer.add_context_length(config.max_positions)
    writer.add_embedding_length(config.d_model)
    has_dense = family in SIGMOID_FAMILIES or family is Family.qwen3_moe
    writer.add_feed_forward_length(config.dense_width if has_dense else moe.expert_width)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)
    _add_attention(writer, config)
    writer.add_expert_count(moe.num_experts)
    writer.add_expert_used_count(moe.top_k)
    writer.add_expert_feed_forward_length(moe.expert_width)
    writer.add_expert_weights_norm(moe.normalize_weights)
    writer.add_expert_weights_scale(moe.scaling_factor)
    if family in SIGMOID_FAMILIES:
        writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
        writer.add_expert_shared_count(moe.num_shared_experts)
        writer.add_expert_group_count(moe.num_groups)
        writer.add_expert_group_used_count(moe.top_groups)
        writer.add_leading_dense_block_count(config.num_dense_layers)
    else:
        writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SOFTMAX)


def _add_attention(writer: gguf.GGUFWriter, config: ModelConfig) -> None:
    """Latent attention is, to llama.cpp, one key-value head that all queries share, as wide as the latent."""
    attention = config.attention
    writer.add_head_count(attention.num_heads)
    writer.add_rope_dimension_count(
        attention.rotated_dim
    )  # all of a head, where every runtime would assume half of GLM's
    if attention.kind is not AttentionKind.latent:
        writer.add_head_count_kv(attention.num_kv_heads)
        writer.add_key_length(attention.head_dim)
        writer.add_value_length(attention.head_dim)
        return
    writer.add_head_count_kv(1)
    if attention.query_rank:
        writer.add_q_lora_rank(attention.query_rank)
    writer.add_kv_lora_rank(attention.kv_rank)
    writer.add_key_length(attention.kv_rank + attention.rope_dim)
    writer.add_value_length(attention.kv_rank)
    writer.add_key_length_mla(attention.head_dim + attention.rope_dim)
    writer.add_value_length_mla(attention.value_dim)
