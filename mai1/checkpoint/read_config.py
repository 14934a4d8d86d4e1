"""From a config.json of Hugging Face to our model; whatever it asks for that we do not have is refused by name."""

from mai1.checkpoint.families import DEEPSEEK_ONLY, SIGMOID_FAMILIES, Family
from mai1.model.attention import AttentionConfig, AttentionKind, QKNorm
from mai1.model.moe.layer import MoEConfig
from mai1.model.moe.router import Scores
from mai1.model.transformer import ModelConfig

NEEDED = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "num_experts",
    "num_experts_per_tok",
    "max_position_embeddings",
    "rope_theta",
    "rms_norm_eps",
)
"""Keys of config.json that are never guessed: what is assumed without them differs between architectures."""

NULL_SAYS_SOMETHING = ("q_lora_rank",)
"""Null there is no rank; elsewhere it is the same as no key."""

NEEDED_OF_FAMILY = {
    Family.deepseek_v3: (
        "n_shared_experts",
        "moe_intermediate_size",
        "first_k_dense_replace",
        "norm_topk_prob",
        "routed_scaling_factor",
        "n_group",
        "topk_group",
        "kv_lora_rank",
        "qk_nope_head_dim",
        "qk_rope_head_dim",
        "v_head_dim",
    ),
    Family.glm4_moe: ("n_shared_experts", "moe_intermediate_size", "first_k_dense_replace", "norm_topk_prob"),
    Family.qwen3_moe: ("moe_intermediate_size",),
}
"""The same for one architecture."""

COUNTS = (
    *("vocab_size", "hidden_size", "intermediate_size", "moe_intermediate_size", "num_hidden_layers"),
    *("num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings", "first_k_dense_replace"),
    *("n_routed_experts", "num_local_experts", "num_experts", "num_experts_per_tok", "n_shared_experts"),
    *("n_group", "topk_group", "num_nextn_predict_layers", "num_mtp_layers", "decoder_sparse_step"),
    *("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"),
)
NUMBERS = ("rope_theta", "rms_norm_eps", "initializer_range", "routed_scaling_factor", "partial_rotary_factor")
OTHERS = {
    bool: ("norm_topk_prob", "tie_word_embeddings", "use_qk_norm", "use_sliding_window"),
    dict: ("rope_parameters", "rope_scaling"),
    list: ("mlp_only_layers",),
}
LARGEST = 2**40
"""Of any count or number: what is larger is no size of a model, and might be no size of a tensor."""

MOST_EXPERTS = 2**20
"""Of all layers together: each has tensors of its own, which are listed before any is read. Kimi K2 has 23,040."""

NAMES_OF_NUM_EXPERTS = ("n_routed_experts", "num_local_experts", "num_experts")
"""Every release of transformers writes another one."""


def from_hf_config(hf: dict, *, where: str) -> ModelConfig:
    """Our model from a config.json's content; ValueError names any feature we do not have."""
    if not isinstance(hf, dict):
        raise ValueError(f"{where}: must hold a JSON object, not {type(hf).__name__}: use another checkpoint")
    try:
        family = Family(hf["architectures"][0])
    except (KeyError, IndexError, TypeError, ValueError):
        known = ", ".join(family.value for family in Family)
        raise ValueError(
            f"{where}: architectures={hf.get('architectures')} is not one that mai1 trains: use {known}"
        ) from None
    _check_types(hf, where=where)
    _refuse_unknown_features(hf, family, where=where)
    rope = hf.get("rope_parameters") or {}
    num_experts = next((hf[key] for key in NAMES_OF_NUM_EXPERTS if hf.get(key) is not None), None)
    stated = {key: value for key, value in hf.items() if value is not None or key in NULL_SAYS_SOMETHING}
    hf = {"rope_theta": rope.get("rope_theta")} | stated | {"num_experts": num_experts}
    for key in NEEDED + NEEDED_OF_FAMILY.get(family, ()):
        if not isinstance(hf.get(key), int | float):
            raise ValueError(f"{where}: {key} is missing or no number: use a complete config.json")
    if (hf["num_hidden_layers"] + _num_mtp_layers(hf)) * hf["num_experts"] > MOST_EXPERTS:
        raise ValueError(
            f"{where}: {hf['num_experts']} experts in each of {hf['num_hidden_layers']} layers are more than {MOST_EXPERTS} in "
            "all: use another checkpoint"
        )
    moe = MoEConfig(
        num_experts=hf["num_experts"],
        top_k=hf["num_experts_per_tok"],
        expert_width=hf.get("moe_intermediate_size") or hf["intermediate_size"],
        num_shared_experts=hf.get("n_shared_experts") or 0,
        scores=Scores.sigmoid if family in SIGMOID_FAMILIES else Scores.softmax,
        normalize_weights=True if family is Family.mixtral else hf.get("norm_topk_prob", False),
        scaling_factor=hf.get("routed_scaling_factor", 1.0),
        num_groups=hf.get("n_group") or 1,
        top_groups=hf.get("topk_group") or 1,
    )
    return ModelConfig(
        vocab_size=hf["vocab_size"],
        d_model=hf["hidden_size"],
        num_layers=hf["num_hidden_layers"],
        num_dense_layers=_num_dense_layers(family, hf, where=where),
        num_mtp_layers=_num_mtp_layers(hf) if family in SIGMOID_FAMILIES else 0,
        dense_width=hf["intermediate_size"],
        max_positions=hf["max_position_embeddings"],
        rope_theta=rope.get("rope_theta") or hf["rope_theta"],
        norm_eps=hf["rms_norm_eps"],
        tie_embeddings=hf.get("tie_word_embeddings", False),
        init_std=hf.get("initializer_range", 0.02),
        attention=_attention(family, hf, where=where),
        moe=moe,
    )


def _check_types(hf: dict, *, where: str) -> None:
    """Each value that is there and not null is of its kind; `rope_parameters` says some of them once more."""
    rope = hf.get("rope_parameters")
    for content in (hf, rope if isinstance(rope, dict) else {}):
        wrong = [key for key in COUNTS if not (content.get(key) is None or _is_count(content[key]))]
        wrong += [key for key in NUMBERS if not (content.get(key) is None or _is_number(content[key]))]
        if wrong:
            raise ValueError(f"{where}: {wrong[0]} is missing or no number that it can be: use a complete config.json")
    for kind, keys in OTHERS.items():
        for key in keys:
            if not isinstance(hf.get(key), kind | None):
                raise ValueError(f"{where}: {key} must be of type {kind.__name__}: use a complete config.json")


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value <= LARGEST  # NaN is not


def _attention(family: Family, hf: dict, *, where: str) -> AttentionConfig:
    heads = {"num_heads": hf["num_attention_heads"], "num_kv_heads": hf["num_key_value_heads"]}
    if family is not Family.deepseek_v3:
        head_dim = hf.get("head_dim") or hf["hidden_size"] // hf["num_attention_heads"]
        return AttentionConfig(head_dim=head_dim, qk_norm=_qk_norm(family, hf), **heads)
    if "q_lora_rank" not in hf:
        raise ValueError(f"{where}: q_lora_rank is missing: use a complete config.json, where null means none")
    return AttentionConfig(
        kind=AttentionKind.latent,
        head_dim=hf["qk_nope_head_dim"],
        qk_norm=QKNorm.none,
        query_rank=hf["q_lora_rank"] or 0,
        kv_rank=hf["kv_lora_rank"],
        rope_dim=hf["qk_rope_head_dim"],
        value_dim=hf["v_head_dim"],
        **heads,
    )


def _refuse_unknown_features(hf: dict, family: Family, *, where: str) -> None:
    rope = hf.get("rope_parameters") or hf.get("rope_scaling") or {}
    assumed_partial = 0.5 if family is Family.glm4_moe else 1.0  # what transformers assumes when it is not said
    stated = {
        "rope_type": rope.get("rope_type", rope.get("type", "default")),
        "partial_rotary_factor": rope.get("partial_rotary_factor", hf.get("partial_rotary_factor", assumed_partial)),
        "hidden_act": hf.get("hidden_act", "silu"),
        "sliding_window": hf.get("sliding_window") if hf.get("use_sliding_window", True) else None,
    }
    stated |= {key: hf.get(key) for key in ("auto_map", "attention_bias", "clip_qkv", "quantization_config")}
    if family not in SIGMOID_FAMILIES:
        stated["num_nextn_predict_layers"] = _num_mtp_layers(hf)
    supported = {"rope_type": "default", "partial_rotary_factor": 1.0, "hidden_act": "silu"}
    for key, value in stated.items():
        if value and value != supported.get(key):
            raise ValueError(f"{where}: {key}={value} is a feature that mai1 does not have")
    for key, only in DEEPSEEK_ONLY.items() if family is Family.deepseek_v3 else ():
        if hf.get(key, only) != only:
            raise ValueError(f"{where}: {key}={hf[key]} is a feature that mai1 does not have: use {only}")


def _qk_norm(family: Family, hf: dict) -> QKNorm:
    match family:
        case Family.glm4_moe:
            return QKNorm.head if hf.get("use_qk_norm") else QKNorm.none
        case Family.qwen3_moe:
            return QKNorm.head
        case Family.olmoe:
            return QKNorm.width
        case Family.mixtral:
            return QKNorm.none


def _num_mtp_layers(hf: dict) -> int:
    return hf.get("num_nextn_predict_layers") or hf.get("num_mtp_layers") or 0


def _num_dense_layers(family: Family, hf: dict, *, where: str) -> int:
    if family in SIGMOID_FAMILIES:
        return hf["first_k_dense_replace"]
    dense, sparse_step = hf.get("mlp_only_layers") or [], hf.get("decoder_sparse_step", 1)
    if dense != list(range(len(dense))) or sparse_step != 1:
        raise ValueError(
            f"{where}: mlp_only_layers={dense} with decoder_sparse_step={sparse_step} puts dense layers among the sparse "
            "ones: mai1 has them only in front"
        )
    return len(dense)
