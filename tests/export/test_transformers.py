"""Both ways between our checkpoints and the stock classes of transformers: equal logits, gradients and choices."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from mai1.checkpoint.families import family_of, from_hf_config, to_hf_config
from mai1.checkpoint.inference import load_model
from mai1.checkpoint.weights import plan_model_files, write_weights
from mai1.model.flops import count_parameters
from mai1.model.init import initialize
from mai1.model.transformer import ModelConfig, MoETransformer
from tests.model.test_counts import SHAPES, shape
from tests.support.tiny import END_OF_TEXT, family_configs

TOKENS_BT = torch.tensor(
    [[END_OF_TEXT, *b"What a stock class makes of it"], [END_OF_TEXT, *b"must be what we make of it too"]]
)
IDS = {"dtype": "float32", "end_of_text_id": END_OF_TEXT, "stop_ids": [END_OF_TEXT, 258], "pad_id": 257}
SHARED_TENSORS = {  # ours -> theirs, in the last layer and around the layers
    "embedding.weight": "model.embed_tokens.weight",
    "final_norm.weight": "model.norm.weight",
    "layers.2.attention.query.weight": "model.layers.2.self_attn.q_proj.weight",
    "layers.2.attention.value.weight": "model.layers.2.self_attn.v_proj.weight",
    "layers.2.ffn.router.weight": "model.layers.2.mlp.gate.weight",
    "layers.2.ffn.experts.gate_up": "model.layers.2.mlp.experts.gate_up_proj",
    "layers.2.ffn.experts.down": "model.layers.2.mlp.experts.down_proj",
}


def random_model(config: ModelConfig) -> MoETransformer:
    """Every tensor random, norms and selection bias too, and large enough that no part is negligible."""
    model = MoETransformer(replace(config, init_std=0.1))
    initialize(model, seed=6)
    generator = torch.Generator().manual_seed(6)
    for name, tensor in model.state_dict().items():
        if tensor.dim() == 1:
            centre, spread = (0.0, 0.2) if "bias" in name else (1.0, 0.3)
            tensor.copy_(centre + spread * torch.randn(tensor.shape, generator=generator))
    return model


def write(model: MoETransformer, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    plan = plan_model_files(model.config, expert_parallel=1, max_bytes=300_000, bytes_per_element=4)
    write_weights(folder, model, plan, rank=0)
    (folder / "config.json").write_text(json.dumps(to_hf_config(model.config, **IDS)))
    assert len(plan) > 1
    return folder


def open_stock(folder: Path) -> PreTrainedModel:
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model.eval()


@pytest.fixture(scope="module", params=family_configs())
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[MoETransformer, PreTrainedModel]:
    ours = random_model(family_configs()[request.param]).eval()
    return ours, open_stock(write(ours, tmp_path_factory.mktemp(request.param)))


@torch.no_grad()
def difference(ours: MoETransformer, stock_logits_BTV: torch.Tensor) -> float:
    return (ours(TOKENS_BT).logits_BTV - stock_logits_BTV).abs().max().item()


@torch.no_grad()
def stock_logits(theirs: PreTrainedModel) -> torch.Tensor:
    return theirs(TOKENS_BT).logits


def test_exported_logits_equal_transformers(pair: tuple[MoETransformer, PreTrainedModel]):
    ours, theirs = pair
    assert type(theirs).__name__ == family_of(ours.config).value
    logits_BTV = stock_logits(theirs)
    assert difference(ours, logits_BTV) < 1e-4
    assert logits_BTV.std() > 0.5 and logits_BTV.std(dim=(0, 1)).min() > 0.1


def test_gradients_equal_transformers(pair: tuple[MoETransformer, PreTrainedModel]):
    ours, theirs = pair
    for logits_BTV in (ours(TOKENS_BT).logits_BTV, theirs(TOKENS_BT).logits):
        torch.nn.functional.cross_entropy(logits_BTV[:, :-1].flatten(0, 1), TOKENS_BT[:, 1:].flatten()).backward()
    mine, stock = dict(ours.named_parameters()), dict(theirs.named_parameters())
    for name, stock_name in SHARED_TENSORS.items():
        torch.testing.assert_close(mine[name].grad, stock[stock_name].grad, atol=1e-4, rtol=1e-3, msg=name)
        assert mine[name].grad.abs().max() > 1e-3, name


def test_chosen_experts_equal_transformers(pair: tuple[MoETransformer, PreTrainedModel]):
    ours, theirs = pair
    chosen = {}
    hooks = [
        theirs.model.layers[layer].mlp.gate.register_forward_hook(
            lambda *a, layer=layer: chosen.update({layer: a[2][-1]})
        )
        for layer in ours.moe_layers()
    ]
    stock_logits(theirs)
    for hook in hooks:
        hook.remove()
    for layer, routing in ours(TOKENS_BT).routings.items():
        stock_NK = chosen[layer].view(-1, ours.config.moe.top_k)
        assert torch.equal(routing.experts_NK.sort().values, stock_NK.sort().values)


def test_a_perturbed_weight_is_noticed(pair: tuple[MoETransformer, PreTrainedModel]):
    ours, logits_BTV = pair[0], stock_logits(pair[1])
    for name in SHARED_TENSORS:
        flat = ours.state_dict()[name].view(-1)[::2]
        original = flat.clone()
        flat.mul_(1.5)
        assert difference(ours, logits_BTV) > 1e-3, name
        flat.copy_(original)


def test_a_model_saved_by_transformers_loads_here(pair: tuple[MoETransformer, PreTrainedModel], tmp_path: Path):
    ours, theirs = pair
    theirs.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert difference(loaded, stock_logits(theirs)) < 1e-4
    for name, tensor in ours.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


@pytest.mark.parametrize("name", SHAPES)
def test_the_stock_class_of_every_shape_has_as_many_parameters(name: str):
    content = to_hf_config(shape(name), **IDS)
    with torch.device("meta"):
        stock = AutoModelForCausalLM.from_config(AutoConfig.for_model(**content))
    assert type(stock).__name__ == content["architectures"][0]
    assert sum(p.numel() for p in stock.parameters()) == count_parameters(shape(name)).total


@pytest.mark.parametrize("model_type", ["qwen3_moe", "olmoe", "mixtral"])
def test_the_default_config_of_a_stock_class_is_understood_as_the_class_does(model_type: str):
    stock_config = AutoConfig.for_model(model_type, num_hidden_layers=2)
    with torch.device("meta"):
        stock = AutoModelForCausalLM.from_config(stock_config)
    content = json.loads(json.dumps(stock_config.to_dict())) | {"architectures": [type(stock).__name__]}
    assert count_parameters(from_hf_config(content, where="")).total == sum(p.numel() for p in stock.parameters())
