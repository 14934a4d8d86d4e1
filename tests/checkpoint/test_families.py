from dataclasses import replace

import pytest

from mai1.checkpoint.families import Family, family_of, to_hf_config
from mai1.checkpoint.names import tensor_names
from mai1.checkpoint.read_config import from_hf_config
from mai1.model.attention import AttentionKind, QKNorm
from mai1.model.moe.router import Scores
from mai1.model.transformer import MoETransformer
from tests.support.tiny import family_configs, tiny_model_config

CONFIGS = family_configs()
SOFTMAX = {"scores": Scores.softmax, "num_shared_experts": 0, "scaling_factor": 1.0}
LATENT = {"kind": AttentionKind.latent, "num_kv_heads": 4, "qk_norm": QKNorm.none}
LATENT |= {"kv_rank": 16, "rope_dim": 8, "value_dim": 16}
WIDTH = {"num_heads": 4, "num_kv_heads": 4, "head_dim": 16, "qk_norm": QKNorm.width}


def content_of(name: str, **changes) -> dict:
    """config.json of one of the tiny models, with some keys changed; a key set to `...` is left out."""
    content = to_hf_config(CONFIGS[name], dtype="float32", end_of_text_id=1, stop_ids=[1, 2], pad_id=3) | changes
    return {key: value for key, value in content.items() if value is not ...}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_comes_back_from_its_config_json(name: str):
    config = CONFIGS[name]
    if family_of(config) in (Family.olmoe, Family.mixtral):  # no dense layer, so no place for its width
        config = replace(config, dense_width=config.moe.expert_width)
    assert from_hf_config(content_of(name), where="here") == config
    assert family_of(config).value == content_of(name)["architectures"][0]


@pytest.mark.parametrize("name", CONFIGS)
def test_their_tensors_cover_ours_exactly_once(name: str):
    sizes = {key: tensor.numel() for key, tensor in MoETransformer(CONFIGS[name]).state_dict().items()}
    ends = dict.fromkeys(sizes, 0)
    names = tensor_names(CONFIGS[name])
    for tensor in sorted((t for t in names if not t.is_repeated), key=lambda t: t.start):
        assert tensor.start == ends[tensor.name], tensor
        ends[tensor.name] += tensor.numel
    assert ends == sizes and len({tensor.hf_name for tensor in names}) == len(names)


@pytest.mark.parametrize(
    ("name", "changes", "feature"),
    [
        ("mixtral", dict(sliding_window=4096), "sliding_window=4096"),
        ("qwen3_moe", dict(sliding_window=4096, use_sliding_window=True), "sliding_window=4096"),
        ("glm4_moe", dict(attention_bias=True), "attention_bias=True"),
        ("glm4_moe", dict(rope_parameters=..., partial_rotary_factor=0.5), "partial_rotary_factor=0.5"),
        (
            "glm4_moe",
            dict(rope_parameters={"rope_theta": 1e4, "partial_rotary_factor": 0.5}),
            "partial_rotary_factor=0.5",
        ),
        ("glm4_moe", dict(rope_parameters=..., partial_rotary_factor=...), "partial_rotary_factor=0.5"),
        ("qwen3_moe", dict(num_nextn_predict_layers=1), "num_nextn_predict_layers=1"),
        ("deepseek_v3", dict(rope_parameters=..., rope_scaling={"type": "yarn", "factor": 40}), "rope_type=yarn"),
        ("deepseek_v3", dict(rope_interleave=False), "rope_interleave=False .* use True"),
        ("deepseek_v3", dict(scoring_func="softmax"), "scoring_func=softmax .* use sigmoid"),
        ("deepseek_v3", dict(topk_method="greedy"), "topk_method=greedy .* use noaux_tc"),
        ("deepseek_v3", dict(moe_layer_freq=2), "moe_layer_freq=2 .* use 1"),
        ("deepseek_v3", dict(attention_bias=True), "attention_bias=True"),
        ("deepseek_v3", dict(q_lora_rank=...), "q_lora_rank is missing"),
        ("olmoe", dict(auto_map={"AutoModel": "x.Y"}), "auto_map="),
        ("olmoe", dict(clip_qkv=8.0), "clip_qkv=8.0"),
        ("olmoe", dict(hidden_act="gelu"), "hidden_act=gelu"),
        ("qwen3_moe", dict(rope_parameters={"rope_type": "yarn", "factor": 4.0}), "rope_type=yarn"),
        ("qwen3_moe", dict(rope_parameters=..., rope_scaling={"type": "linear", "factor": 2.0}), "rope_type=linear"),
        ("qwen3_moe", dict(quantization_config={"bits": 4}), "quantization_config="),
        ("qwen3_moe", dict(mlp_only_layers=[2]), r"mlp_only_layers=\[2\] .* mai1 has them only in front"),
        ("qwen3_moe", dict(decoder_sparse_step=2), "decoder_sparse_step=2"),
    ],
)
def test_a_feature_we_do_not_have_is_refused_by_name(name: str, changes: dict, feature: str):
    with pytest.raises(ValueError, match=f"(?s)^here: .*{feature}"):
        from_hf_config(content_of(name, **changes), where="here")


@pytest.mark.parametrize("architectures", [["LlamaForCausalLM"], [], None, ..., "MixtralForCausalLM"])
def test_an_unknown_architecture_is_refused_with_the_known_ones(architectures: object):
    with pytest.raises(
        ValueError, match="is not one that mai1 trains: use DeepseekV3ForCausalLM, Glm4MoeForCausalLM, Qwen3Moe"
    ):
        from_hf_config(content_of("mixtral", architectures=architectures), where="here")


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_json_without_a_needed_key_is_refused_by_the_key(name: str):
    needed = ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"]
    needed += ["intermediate_size", "max_position_embeddings", "rms_norm_eps", "num_experts_per_tok"]
    sigmoid = ["n_shared_experts", "first_k_dense_replace", "norm_topk_prob"]
    needed += sigmoid if name.startswith(("glm4_moe", "deepseek_v3")) else []
    latent = ["kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"]
    needed += [*latent, "n_group", "topk_group", "routed_scaling_factor"] if name.startswith("deepseek_v3") else []
    needed += ["moe_intermediate_size"] if "moe_intermediate_size" in content_of(name) else []
    for key in needed:
        for value in (..., None, "many"):
            with pytest.raises(ValueError, match=f"here: {key} (is missing or no number|must be of type bool)"):
                from_hf_config(content_of(name, **{key: value}), where="here")
    [experts] = {"n_routed_experts", "num_experts", "num_local_experts"} & set(content_of(name))
    with pytest.raises(ValueError, match="here: num_experts is missing"):
        from_hf_config(content_of(name, **{experts: ...}), where="here")
    with pytest.raises(ValueError, match="here: rope_theta is missing"):
        from_hf_config(content_of(name, rope_theta=..., rope_parameters={"partial_rotary_factor": 1.0}), where="here")


@pytest.mark.parametrize(
    "rope", [dict(rope_theta=..., rope_parameters={"rope_theta": 5e5}), dict(rope_theta=5e5, rope_parameters=...)]
)
def test_rotary_bases_of_old_and_new_config_files_are_read(rope: dict):
    assert from_hf_config(content_of("olmoe", **rope), where="here").rope_theta == 5e5


@pytest.mark.parametrize("content", [[], "text", 3, None])
def test_a_config_json_that_is_no_object_is_refused(content: object):
    with pytest.raises(ValueError, match="here: must hold a JSON object"):
        from_hf_config(content, where="here")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            dict(attention=WIDTH),
            "model.attention.qk_norm=width cannot stand beside scores=sigmoid.*use qk_norm=head or none",
        ),
        (
            dict(moe=SOFTMAX | {"num_shared_experts": 2}),
            "model.moe.num_shared_experts=2 .* scores=softmax.*use 0, or sigmoid",
        ),
        (
            dict(moe=SOFTMAX, attention=LATENT),
            "model.attention.kind=latent cannot stand beside scores=softmax.*use kind=grouped, or sigmoid",
        ),
        (dict(moe=SOFTMAX, num_mtp_layers=1), "model.num_mtp_layers=1 .* scores=softmax.*use 0, or sigmoid"),
        (dict(moe=SOFTMAX | {"num_groups": 2}), "model.moe.num_groups=2 .* scores=softmax.*use 1, or sigmoid"),
        (
            dict(moe=SOFTMAX | {"scaling_factor": 2.0}),
            "model.moe.scaling_factor=2.0 .* scores=softmax.*use 1.0, or sigmoid",
        ),
        (dict(moe=SOFTMAX, attention=WIDTH), "model.num_dense_layers=1 .* qk_norm=width.*use 0, or qk_norm=head"),
        (
            dict(moe=SOFTMAX | {"normalize_weights": False}, attention={"qk_norm": QKNorm.none}, num_dense_layers=0),
            "model.moe.normalize_weights=false .* qk_norm=none.*use true",
        ),
        (
            dict(moe=SOFTMAX, attention=WIDTH | {"head_dim": 32}, num_dense_layers=0),
            "model.attention.head_dim=32 .* qk_norm=width.*use d_model / num_heads = 16",
        ),
    ],
)
def test_a_model_no_architecture_expresses_is_refused_with_key_and_mend(options: dict, error: str):
    with pytest.raises(ValueError, match=error):
        family_of(tiny_model_config(**options))
