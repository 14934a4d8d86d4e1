"""GGUF files: every tensor read back, what llama.cpp needs to know, and llama.cpp itself on the same tokens."""

from dataclasses import replace
from pathlib import Path

import jinja2.sandbox
import numpy as np
import pytest
import torch

from mai1.checkpoint.names import TensorName
from mai1.export.release import GgufType
from mai1.model.transformer import MoETransformer
from mai1.tokenizer.chat import CHAT_TEMPLATE, encode_chat
from mai1.tokenizer.tokenizer import Tokenizer
from tests.export.conftest import OTHER_LANGUAGES, SHARED, TEXT, random_model, shared_config
from tests.support.tiny import family_configs

gguf = pytest.importorskip("gguf")

from mai1.export.gguf_file import check_gguf, gguf_num_bytes, type_of, write_gguf  # noqa: E402
from mai1.export.gguf_tensors import check_supported, gguf_tensors  # noqa: E402

TOKENIZER_OF = {"glm4_moe": "byte_bpe", "qwen3_moe": "byte_bpe_single_digits", "mixtral": "byte_bpe"}


def reader(model: MoETransformer):
    state = model.state_dict()

    def read(tensor: TensorName) -> torch.Tensor:
        return state[tensor.name].view(-1)[tensor.start : tensor.start + tensor.numel].view(tensor.shape)

    return read


@pytest.fixture(scope="module")
def models(tokenizers: dict[str, Tokenizer]) -> dict[str, tuple[MoETransformer, Tokenizer]]:
    found = {}
    for name in SHARED:
        tokenizer = tokenizers[TOKENIZER_OF.get(name, "sentencepiece")]
        found[name] = (random_model(shared_config(name, tokenizer.vocabulary.size)), tokenizer)
    return found


def write(path: Path, model: MoETransformer, tokenizer: Tokenizer, kind: GgufType = GgufType.f32) -> Path:
    write_gguf(path, config=model.config, tokenizer=tokenizer, kind=kind, read=reader(model), name="tiny")
    return path


def fields(path: Path) -> dict:
    return {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}


@pytest.mark.parametrize("name", SHARED)
def test_every_tensor_comes_back_bit_for_bit(name: str, models, tmp_path: Path):
    model, tokenizer = models[name]
    path = write(tmp_path / "m.gguf", model, tokenizer)
    found = check_gguf(path, config=model.config, read=reader(model))
    assert found["bit_exact"] == found["tensors"] > 30 and found["max_difference"] == 0
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    layer = model.layers[2].ffn.experts  # by hand, past our own table of names
    gate_EFD, up_EFD = layer.gate_up.detach().chunk(2, dim=1)
    for part, mine in (("gate", gate_EFD), ("up", up_EFD), ("down", layer.down.detach())):
        assert np.array_equal(stored[f"blk.2.ffn_{part}_exps.weight"].data, mine.numpy())
    assert np.array_equal(stored["token_embd.weight"].data, model.embedding.weight.detach().numpy())


@pytest.mark.parametrize(("kind", "limit"), [("f16", 2e-4), ("bf16", 2e-3), ("q8_0", 4e-3)])
def test_smaller_types_round_and_leave_vectors_and_routers_exact(kind: str, limit: float, models, tmp_path: Path):
    model, tokenizer = models["glm4_moe"]
    path = write(tmp_path / "m.gguf", model, tokenizer, GgufType(kind))
    found = check_gguf(path, config=model.config, read=reader(model))
    assert 0 < found["max_difference"] < limit
    num_exact = sum(len(t.shape) == 1 or "ffn_gate_inp." in t.name for t in gguf_tensors(model.config))
    assert found["bit_exact"] == num_exact
    size = path.stat().st_size
    assert gguf_num_bytes(model.config, GgufType(kind)) <= size < gguf_num_bytes(model.config, GgufType(kind)) + 200_000


def test_rows_that_no_blocks_of_32_fill_are_float16():
    tensors = {t.name: t for t in gguf_tensors(shared_config("deepseek_v3", 384))}
    assert type_of(tensors["blk.0.attn_k_b.weight"], GgufType.q8_0).name == "F16"
    assert type_of(tensors["blk.0.attn_output.weight"], GgufType.q8_0).name == "Q8_0"


def test_a_damaged_file_is_noticed(models, tmp_path: Path):
    model, tokenizer = models["mixtral"]
    path = write(tmp_path / "m.gguf", model, tokenizer)
    with open(path, "r+b") as file:
        file.seek(-400, 2)
        file.write(b"\1\2\3\4" * 8)
    with pytest.raises(ValueError, match="differs from .* by .*: write it again"):
        check_gguf(path, config=model.config, read=reader(model))


def test_a_value_beyond_float16_is_refused(models, tmp_path: Path):
    model, tokenizer = models["olmoe"]
    read = reader(model)
    with pytest.raises(ValueError, match="has values that float16 cannot hold: use bf16, f32 or q8_0"):
        write_gguf(
            tmp_path / "m.gguf",
            config=model.config,
            tokenizer=tokenizer,
            kind=GgufType.f16,
            read=lambda tensor: read(tensor) * 1e6,
            name="x",
        )


def test_what_llama_cpp_reads_of_the_model_is_there(models, tmp_path: Path):
    model, tokenizer = models["glm4_moe_groups"]
    found = fields(write(tmp_path / "m.gguf", model, tokenizer))
    expected = {
        "general.architecture": "glm4moe",
        "glm4moe.block_count": 3,
        "glm4moe.context_length": 256,
        "glm4moe.expert_count": 8,
        "glm4moe.expert_used_count": 2,
        "glm4moe.expert_group_count": 4,
        "glm4moe.expert_group_used_count": 2,
        "glm4moe.expert_shared_count": 1,
        "glm4moe.expert_weights_norm": True,
        "glm4moe.expert_weights_scale": 1.5,
        "glm4moe.expert_gating_func": 2,
        "glm4moe.leading_dense_block_count": 1,
        "glm4moe.rope.dimension_count": 16,
        "tokenizer.ggml.bos_token_id": tokenizer.end_of_text_id,
        "tokenizer.ggml.eot_token_id": tokenizer.vocabulary.control_id("<|end|>"),
        "tokenizer.ggml.add_space_prefix": False,
        "general.file_type": 0,
    }
    assert {key: found[key] for key in expected} == expected
    assert found["glm4moe.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-6)
    assert len(found["tokenizer.ggml.tokens"]) == len(found["tokenizer.ggml.scores"]) == model.config.vocab_size


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("deepseek_v3", r"model\.norm_eps=0\.001, other than the latents' 1e-06, is nothing that llama\.cpp computes"),
        ("deepseek_v3_full_queries", r"model\.attention\.query_rank=0 with num_layers=3, not 26 or 27"),
        ("qwen3_moe", r"model\.moe\.normalize_weights=false is nothing that llama\.cpp computes for Qwen3Moe"),
        ("olmoe", r"model\.attention\.num_kv_heads=2, fewer than num_heads=4, is nothing"),
    ],
)
def test_what_llama_cpp_does_not_compute_is_refused_by_name(name: str, error: str):
    with pytest.raises(ValueError, match=error):
        check_supported(family_configs()[name])


def test_a_model_without_shared_experts_is_refused():
    config = family_configs()["glm4_moe"]
    with pytest.raises(ValueError, match=r"model\.moe\.num_shared_experts=0 is nothing that llama\.cpp computes"):
        check_supported(replace(config, moe=replace(config.moe, num_shared_experts=0)))


def test_the_template_without_generation_tags_renders_the_same_chat(models, tmp_path: Path):
    model, tokenizer = models["glm4_moe"]
    template = fields(write(tmp_path / "m.gguf", model, tokenizer))["tokenizer.chat_template"]
    assert "generation -" not in template and "generation -" in CHAT_TEMPLATE
    chat = [{"role": "user", "content": "What is `len`?"}, {"role": "assistant", "content": "A function."}]
    text = jinja2.sandbox.ImmutableSandboxedEnvironment().from_string(template).render(messages=chat)
    assert text == tokenizer.decode(encode_chat(tokenizer, chat).ids)


@pytest.mark.parametrize("name", SHARED)
def test_llama_cpp_gives_our_logits_and_token_ids(name: str, models, tmp_path: Path):
    runtime = pytest.importorskip("tests.support.llama_runtime")
    model, tokenizer = models[name]
    ids = [tokenizer.end_of_text_id, *tokenizer.encode(TEXT)][:100]
    with torch.no_grad():
        ours = model(torch.tensor([ids])).logits_BTV[0].numpy()
    exact = runtime.LlamaModel(write(tmp_path / "f32.gguf", model, tokenizer))
    assert np.abs(exact.logits_of(ids) - ours).max() < 1e-4
    half = runtime.LlamaModel(write(tmp_path / "f16.gguf", model, tokenizer, GgufType.f16)).logits_of(ids)
    assert np.median(np.abs(half - ours).max(1)) < 1e-2  # a near tie of two experts may go the other way
    for text in (TEXT, *OTHER_LANGUAGES):
        assert exact.ids_of(text) == tokenizer.encode(text)
    assert exact.ids_of("So", begins=True) == [tokenizer.end_of_text_id, *tokenizer.encode("So")]
    control = [tokenizer.vocabulary.control_id(name) for name in ("<|user|>", "<|end|>")]
    assert exact.ids_of("<|user|><|end|>", reads_control=True) == control
    assert not set(exact.ids_of("<|user|><|end|>")) & set(control)
