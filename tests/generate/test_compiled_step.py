import shutil
from dataclasses import replace

import pytest
import torch

from mai1.generate import generation
from mai1.generate.compiled_step import CompiledStep, compile_step
from mai1.generate.generation import CachedRows, generate
from mai1.generate.sampling import SamplingConfig
from mai1.model import c_library
from mai1.model.init import initialize
from mai1.model.key_value_cache import KeyValueCache
from mai1.model.layout import lay_out
from mai1.model.transformer import ModelConfig, MoETransformer
from tests.support.tiny import family_configs, tiny_model_config

FAMILIES = {name: config for name, config in family_configs().items() if not name.startswith("deepseek")}
SHAPES = FAMILIES | {
    "experts that are no multiple of 4, all heads with keys of their own": tiny_model_config(
        moe={"num_experts": 7, "top_k": 3}, attention={"num_kv_heads": 4}, vocab_size=387
    ),
    "wide": tiny_model_config(
        d_model=272, dense_width=304, attention={"head_dim": 48}, moe={"expert_width": 80, "num_shared_experts": 2}
    ),
}
PROMPTS = [list(b"four"), list(b"a"), list(b"the longest prompt")]
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc compiles the kernel")


def make_model(config: ModelConfig) -> MoETransformer:
    model = MoETransformer(replace(config, init_std=0.1, num_mtp_layers=0)).eval()
    initialize(model, seed=3)
    lay_out(model)
    for block in model.layers:  # a bias that changes choices, and norms that are not all 1
        for module in block.modules():
            if hasattr(module, "selection_bias"):
                module.selection_bias.normal_(0, 0.1, generator=torch.Generator().manual_seed(block.layer))
            if type(module).__name__ == "RMSNorm":
                module.weight.data.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(block.layer))
    return model


def logits_of_steps(model: MoETransformer, step: CompiledStep | None, tokens_BT: torch.Tensor) -> torch.Tensor:
    """After each of the tokens, which follow the prompts one by one."""
    cache, found = KeyValueCache(num_layers=model.config.num_layers, capacity=40), []
    rows = CachedRows(model, PROMPTS, cache, step=step)
    longest = max(map(len, PROMPTS))
    inputs = [torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in PROMPTS]), *tokens_BT.split(1, dim=1)]
    for part_BT in inputs:
        rows.choose_next(part_BT, lambda logits_BV: found.append(logits_BV) or logits_BV.argmax(-1))
    return torch.stack(found[1:])


@needs_gcc
@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_logits_of_compiled_steps_equal_the_models(shape: str):
    model = make_model(SHAPES[shape])
    tokens_BT = torch.randint(0, 256, (3, 21), generator=torch.Generator().manual_seed(1))
    expected, found = (logits_of_steps(model, step, tokens_BT) for step in (None, compile_step(model, key="kernels")))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@needs_gcc
@pytest.mark.parametrize("shape", ["glm4_moe", "olmoe", "wide"])
@torch.no_grad()
def test_weights_that_bf16_holds_are_read_as_bf16_and_give_the_models_fp32_logits(shape: str):
    model, tokens_BT = make_model(SHAPES[shape]), torch.arange(24).view(3, 8)
    assert not compile_step(model, key="kernels").reads_bf16
    for parameter in model.parameters():
        parameter.data.copy_(parameter.bfloat16())
    step = compile_step(model, key="kernels")
    assert step.reads_bf16
    expected, found = (logits_of_steps(model, one, tokens_BT) for one in (None, step))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@needs_gcc
@torch.no_grad()
def test_threads_change_no_bit(monkeypatch):
    model = make_model(tiny_model_config(d_model=512, dense_width=768, moe={"expert_width": 256}))
    step, tokens_BT = compile_step(model, key="kernels"), torch.arange(12).view(3, 4)
    before, found = torch.get_num_threads(), []
    try:
        for num_threads in (1, 3):
            torch.set_num_threads(num_threads)
            found.append(logits_of_steps(model, step, tokens_BT))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


@needs_gcc
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_the_same_tokens_are_written(family: str):
    model = make_model(FAMILIES[family])
    step = compile_step(model, key="kernels")
    free = generate(model, PROMPTS, SamplingConfig(max_new_tokens=24), stop_ids=[], num_text_ids=256)
    settings = {"stop_ids": [free[0][9], free[1][4]], "num_text_ids": 256}  # so rows end at different places
    for config in (
        SamplingConfig(max_new_tokens=24),
        SamplingConfig(max_new_tokens=24, temperature=1.0, repetition_penalty=1.1),
    ):
        assert generate(model, PROMPTS, config, step=step, **settings) == generate(model, PROMPTS, config, **settings)


@needs_gcc
@torch.no_grad()
def test_it_is_the_step_that_is_asked_for_every_token_after_the_first():
    model, calls = make_model(tiny_model_config()), []
    step = compile_step(model, key="kernels")

    def counting(*inputs):
        calls.append(1)
        return step(*inputs)

    generate(model, PROMPTS, SamplingConfig(max_new_tokens=9), stop_ids=[], num_text_ids=256, step=counting)
    assert len(calls) == 8


@needs_gcc
@torch.no_grad()
def test_weights_that_are_no_numbers_give_logits_that_are_none():
    model = make_model(tiny_model_config())
    model.layers[1].ffn.router.weight.fill_(float("nan"))
    assert logits_of_steps(model, compile_step(model, key="kernels"), torch.arange(6).view(3, 2)).isnan().all()


@needs_gcc
@torch.no_grad()
def test_more_rows_than_pay_go_through_the_model(monkeypatch):
    monkeypatch.setattr(generation, "MOST_ROWS", 2)
    model = make_model(tiny_model_config())
    calls = []
    settings = {"stop_ids": [], "num_text_ids": 256, "step": lambda *inputs: calls.append(1)}
    generate(model, PROMPTS, SamplingConfig(max_new_tokens=3), **settings)
    assert not calls


def test_what_it_does_not_know_is_refused_by_name():
    with pytest.raises(ValueError, match=r"kernels=compiled does not know latent attention.*use kernels=torch"):
        compile_step(make_model(family_configs()["deepseek_v3"]), key="kernels")
    with pytest.raises(
        ValueError, match=r"needs model\.moe\.expert_width=24 to be a multiple of 16: use kernels=torch"
    ):
        compile_step(make_model(tiny_model_config(moe={"expert_width": 24})), key="kernels")


def test_without_gcc_the_error_names_the_key_and_the_mend(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match=r"kernels=compiled needs gcc on Linux.*install gcc, or use kernels=torch"):
        compile_step(make_model(tiny_model_config()), key="kernels")


@needs_gcc
def test_where_gcc_fails_its_words_are_shown(monkeypatch):
    monkeypatch.setattr(c_library, "FLAGS", ("-march=none_such",))
    with pytest.raises(ValueError, match=r"gcc fails on .*step\.c .*none_such.*use kernels=torch"):
        compile_step(make_model(tiny_model_config()), key="kernels")
