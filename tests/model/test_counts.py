from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import yaml
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mai1.model.flops import count_parameters, training_flops_per_token
from mai1.model.moe import experts
from mai1.model.transformer import ModelConfig, MoETransformer
from mai1.run.compose import compose_config
from mai1.run.config import PretrainConfig
from tests.support.tiny import family_configs

SHAPES = sorted(path.stem for path in Path("configs/model").glob("*.yaml"))
PUBLISHED = {  # billions in all and active, from the tables that the files name
    "olmoe_7b_a1b": (6.92, 1.28),
    "qwen3_30b_a3b": (30.5, 3.3),
    "deepseek_v3_671b_a37b": (671, 37),
    "glm_100b_a12b": (107, 13.4),
    "mai1_500b": (500, 34),
}


def shape(name: str) -> ModelConfig:
    overrides = [f"model={name}"]
    if "vocab_size" not in yaml.safe_load(Path(f"configs/model/{name}.yaml").read_text()):
        overrides.append("model.vocab_size=8192")
    return compose_config("pretrain", PretrainConfig, overrides).model


@pytest.mark.parametrize("name", SHAPES)
def test_counted_parameters_equal_those_of_the_built_model(name: str):
    config = shape(name)
    with torch.device("meta"):
        parameters = dict(MoETransformer(config).named_parameters())
    counts = count_parameters(config)
    assert counts.total == sum(p.numel() for p in parameters.values())
    unused = 1 - config.moe.top_k / config.moe.num_experts
    routed = sum(p.numel() for name, p in parameters.items() if ".experts." in name)
    assert counts.active == counts.total - routed * unused


@pytest.mark.parametrize("name", [name for name, config in family_configs().items() if config.num_mtp_layers])
def test_further_predictions_count_in_all_and_not_as_active(name: str):
    config = family_configs()[name]
    counts, without = count_parameters(config), count_parameters(replace(config, num_mtp_layers=0))
    assert counts.total == sum(p.numel() for p in MoETransformer(config).parameters()) > without.total
    assert counts.active == without.active


@pytest.mark.parametrize("name", PUBLISHED)
def test_counts_agree_with_the_published_ones(name: str):
    counts, (total, active) = count_parameters(shape(name)), PUBLISHED[name]
    assert counts.total / 1e9 == pytest.approx(total, rel=0.01)
    assert counts.active / 1e9 == pytest.approx(active, rel=0.03)


@pytest.mark.parametrize("name", family_configs())
def test_counted_flops_equal_those_that_torch_performs(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(experts, "FEW_ROWS", 0)  # torch does not count what its grouped products do on a CPU
    config, num_tokens = family_configs()[name], 24
    model = MoETransformer(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(0))
    tokens_BT = torch.randint(config.vocab_size, (1, num_tokens), generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        output = model(tokens_BT)
        hidden = [output.hidden_BTD, *output.further_BTD]
        sum(F.linear(hidden_BTD, output.unembedding_VD).sum() for hidden_BTD in hidden).backward()
    # torch computes the masked half of the attention too, and the zeros that make values as wide as keys
    zeros = config.attention.num_heads * (config.attention.key_dim - config.attention.mixed_dim)
    num_blocks = config.num_layers + config.num_mtp_layers
    per_token = training_flops_per_token(config, context=2 * num_tokens)
    assert counter.get_total_flops() == num_tokens * (per_token + 3 * num_blocks * zeros * 2 * num_tokens)
