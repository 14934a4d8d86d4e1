"""Which Hugging Face architecture a model is, and its config.json; `read_config.py` goes the other way.

A model option is offered only if some stock architecture expresses it, so that nobody needs custom code to load us.
"""

from enum import Enum

from mai1.model.attention import AttentionKind, QKNorm
from mai1.model.moe.router import Scores
from mai1.model.transformer import ModelConfig


class Family(Enum):
    """Values are the names in config.json's `architectures`."""

    deepseek_v3 = "DeepseekV3ForCausalLM"
    glm4_moe = "Glm4MoeForCausalLM"
    qwen3_moe = "Qwen3MoeForCausalLM"
    olmoe = "OlmoeForCausalLM"
    mixtral = "MixtralForCausalLM"


SIGMOID_FAMILIES = (Family.deepseek_v3, Family.glm4_moe)
"""Those with a selection bias; the others are scored by softmax."""

DEEPSEEK_ONLY = {"rope_interleave": True, "scoring_func": "sigmoid", "topk_method": "noaux_tc", "moe_layer_freq": 1}
"""Keys of DeepSeek's config.json with the one value that its stock class computes and we train."""


def family_of(config: ModelConfig) -> Family:
    """The architecture that expresses this model exactly; ValueError names what none can."""
    moe, qk_norm = config.moe, config.attention.qk_norm
    if config.attention.kind is AttentionKind.latent:
        if moe.scores is not Scores.sigmoid:
            raise ValueError(_cannot("model.attention.kind=latent", "scores=softmax", "use kind=grouped, or sigmoid"))
        return Family.deepseek_v3
    if moe.scores is Scores.sigmoid:
        if qk_norm is QKNorm.width:
            raise ValueError(_cannot("model.attention.qk_norm=width", "scores=sigmoid", "use qk_norm=head or none"))
        return Family.glm4_moe
    if config.num_mtp_layers:
        raise ValueError(
            _cannot(f"model.num_mtp_layers={config.num_mtp_layers}", "scores=softmax", "use 0, or sigmoid")
        )
    if moe.num_shared_experts:
        raise ValueError(
            _cannot(f"model.moe.num_shared_experts={moe.num_shared_experts}", "scores=softmax", "use 0, or sigmoid")
        )
    if moe.num_groups > 1:
        raise ValueError(_cannot(f"model.moe.num_groups={moe.num_groups}", "scores=softmax", "use 1, or sigmoid"))
    if moe.scaling_factor != 1.0:
        raise ValueError(
            _cannot(f"model.moe.scaling_factor={moe.scaling_factor}", "scores=softmax", "use 1.0, or sigmoid")
        )
    if qk_norm is QKNorm.head:
        return Family.qwen3_moe
    if config.num_dense_layers:
        raise ValueError(
            _cannot(
                f"model.num_dense_layers={config.num_dense_layers}",
                f"scores=softmax and qk_norm={qk_norm.value}",
                "use 0, or qk_norm=head",
            )
        )
    if qk_norm is QKNorm.none:
        if not moe.normalize_weights:
            raise ValueError(
                _cannot("model.moe.normalize_weights=false", "scores=softmax and qk_norm=none", "use true")
            )
        return Family.mixtral
    if config.attention.num_heads * config.attention.head_dim != config.d_model:
        raise ValueError(
            _cannot(
                f"model.attention.head_dim={config.attention.head_dim}",
                "qk_norm=width",
                f"use d_model / num_heads = {config.d_model // config.attention.num_heads}",
            )
        )
    return Family.olmoe


def _cannot(what: str, beside: str, mend: str) -> str:
    return f"{what} cannot stand beside {beside}, because no Hugging Face architecture expresses both: {mend}"


def to_hf_config(config: ModelConfig, *, dtype: str, end_of_text_id: int, stop_ids: list[int], pad_id: int) -> dict:
    """config.json of this model; `stop_ids` end a generation."""
    family, attention, moe = family_of(config), config.attention, config.moe
    common = {
        "architectures": [family.value],
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": attention.num_heads,
        "num_key_value_heads": attention.num_kv_heads,
        "head_dim": attention.rotated_dim,  # of DeepSeek, transformers too calls its rotated part so
        "hidden_act": "silu",
        "max_position_embeddings": config.max_positions,
        "initializer_range": config.init_std,
        "rms_norm_eps": config.norm_eps,
        # stated in full: every runtime defaults GLM's partial_rotary_factor to 0.5
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta, "partial_rotary_factor": 1.0},
        "rope_theta": config.rope_theta,
        "partial_rotary_factor": 1.0,
        "tie_word_embeddings": config.tie_embeddings,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "num_experts_per_tok": moe.top_k,
        "router_aux_loss_coef": 0.0,
        "bos_token_id": end_of_text_id,
        "eos_token_id": stop_ids,
        "pad_token_id": pad_id,
        "dtype": dtype,
        "use_cache": True,
    }
    return common | _family_keys(family, config)


def _family_keys(family: Family, config: ModelConfig) -> dict:
    attention, moe = config.attention, config.moe
    match family:
        case Family.deepseek_v3:
            return _sigmoid_keys(config) | {
                "model_type": "deepseek_v3",
                "q_lora_rank": attention.query_rank or None,
                "kv_lora_rank": attention.kv_rank,
                "qk_nope_head_dim": attention.head_dim,
                "qk_rope_head_dim": attention.rope_dim,
                "v_head_dim": attention.value_dim,
                "moe_router_dtype": "float32",
                **DEEPSEEK_ONLY,  # where these are not stated, vLLM takes softmax scores without a bias
            }
        case Family.glm4_moe:
            return _sigmoid_keys(config) | {
                "model_type": "glm4_moe",
                "use_qk_norm": attention.qk_norm is QKNorm.head,
            }
        case Family.qwen3_moe:
            return {
                "model_type": "qwen3_moe",
                "intermediate_size": config.dense_width,
                "moe_intermediate_size": moe.expert_width,
                "num_experts": moe.num_experts,
                "norm_topk_prob": moe.normalize_weights,
                "decoder_sparse_step": 1,
                "mlp_only_layers": list(range(config.num_dense_layers)),
                "use_sliding_window": False,
                "sliding_window": None,
            }
        case Family.olmoe:
            return {
                "model_type": "olmoe",
                "intermediate_size": moe.expert_width,
                "num_experts": moe.num_experts,
                "norm_topk_prob": moe.normalize_weights,
                "clip_qkv": None,
            }
        case Family.mixtral:
            return {
                "model_type": "mixtral",
                "intermediate_size": moe.expert_width,
                "num_local_experts": moe.num_experts,
                "sliding_window": None,
                "router_jitter_noise": 0.0,
            }


def _sigmoid_keys(config: ModelConfig) -> dict:
    """What the two families with sigmoid scores share."""
    moe = config.moe
    return {
        "intermediate_size": config.dense_width,
        "moe_intermediate_size": moe.expert_width,
        "n_routed_experts": moe.num_experts,
        "n_shared_experts": moe.num_shared_experts,
        "first_k_dense_replace": config.num_dense_layers,
        "norm_topk_prob": moe.normalize_weights,
        "routed_scaling_factor": moe.scaling_factor,
        "n_group": moe.num_groups,
        "topk_group": moe.top_groups,
        # stated under both its names, also when 0: runtimes assume one
        "num_nextn_predict_layers": config.num_mtp_layers,
        "num_mtp_layers": config.num_mtp_layers,
    }
