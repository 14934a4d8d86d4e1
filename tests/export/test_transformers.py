"""Both ways between our checkpoints and the stock classes of transformers: equal logits, gradients and choices."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.cache_utils import MtpCache
from transformers.modeling_layers import MtpModel

from mai1.checkpoint.families import family_of, to_hf_config
from mai1.checkpoint.inference import load_model
from mai1.checkpoint.read_config import from_hf_config
from mai1.model.flops import count_parameters
from mai1.model.init import initialize
from mai1.model.transformer import ModelConfig, MoETransformer
from tests.model.test_counts import SHAPES, shape
from tests.support.model_files import write_model
from tests.support.tiny import END_OF_TEXT, family_configs

TOKENS_BT = torch.tensor(
    [[END_OF_TEXT, *b"What a stock class makes of it"], [END_OF_TEXT, *b"must be what we make of it too"]]
)
IDS = {"dtype": "float32", "end_of_text_id": END_OF_TEXT, "stop_ids": [END_OF_TEXT, 258], "pad_id": 257}
SHARED_TENSORS = {  # ours -> theirs, in the last layer and around the layers
    "embedding.weight": "model.embed_tokens.weight",
    "final_norm.weight": "model.norm.weight",
    "layers.2.ffn.router.weight": "model.layers.2.mlp.gate.weight",
    "layers.2.ffn.experts.gate_up": "model.layers.2.mlp.experts.gate_up_proj",
    "layers.2.ffn.experts.down": "model.layers.2.mlp.experts.down_proj",
}


ATTENTION_TENSORS = {  # of one layer; a model has some of them
    "query.weight": ["q_proj.weight", "q_b_proj.weight"],
    "key.weight": ["k_proj.weight"],
    "value.weight": ["v_proj.weight"],
    "query_down.weight": ["q_a_proj.weight"],
    "query_norm.weight": ["q_a_layernorm.weight", "q_norm.weight"],
    "kv_down.weight": ["kv_a_proj_with_mqa.weight"],
    "kv_norm.weight": ["kv_a_layernorm.weight"],
    "kv_up.weight": ["kv_b_proj.weight"],
    "output.weight": ["o_proj.weight"],
}


def shared_tensors(ours: MoETransformer, theirs: PreTrainedModel) -> dict[str, str]:
    """Our parameters that are one of theirs: in the last layer and around the layers."""
    mine, stock = dict(ours.named_parameters()), dict(theirs.named_parameters())
    found = dict(SHARED_TENSORS)
    for name in (name for name in ATTENTION_TENSORS if f"layers.2.attention.{name}" in mine):
        [stock_name] = {f"model.layers.2.self_attn.{n}" for n in ATTENTION_TENSORS[name]} & set(stock)
        found[f"layers.2.attention.{name}"] = stock_name
    assert len(found) >= len(SHARED_TENSORS) + 4
    return found


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
    plan = write_model(folder, model, max_bytes=300_000)
    (folder / "config.json").write_text(json.dumps(to_hf_config(model.config, **IDS)))
    assert len(plan) > 1
    return folder


def open_stock(folder: Path) -> PreTrainedModel:
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
    )
    assert not report["missing_keys"] and not report["mismatched_keys"]
    further = [f"model.layers.{model.config.num_hidden_layers + i}." for i in range(num_further_layers(model))]
    assert {".".join(key.split(".")[:3]) + "." for key in report["unexpected_keys"]} == set(further)
    return model.eval()


def num_further_layers(theirs: PreTrainedModel) -> int:
    """Layers for multi-token prediction, which a stock model leaves in the files."""
    return getattr(theirs.config, "num_mtp_layers", 0)


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
    for name, stock_name in shared_tensors(ours, theirs).items():
        torch.testing.assert_close(mine[name].grad, stock[stock_name].grad, atol=1e-4, rtol=1e-3, msg=name)
        assert mine[name].grad.abs().max() > 1e-3, name


def test_chosen_experts_equal_transformers(pair: tuple[MoETransformer, PreTrainedModel]):
    ours, theirs = pair
    routings, chosen = ours(TOKENS_BT).routings, {}
    hooks = [
        theirs.model.layers[layer].mlp.gate.register_forward_hook(
            lambda *a, layer=layer: chosen.update({layer: a[2][-1]})
        )
        for layer in routings
    ]
    stock_logits(theirs)
    for hook in hooks:
        hook.remove()
    for layer, routing in routings.items():
        stock_NK = chosen[layer].view(-1, ours.config.moe.top_k)
        assert torch.equal(routing.experts_NK.sort().values, stock_NK.sort().values)


def test_a_perturbed_weight_is_noticed(pair: tuple[MoETransformer, PreTrainedModel]):
    ours, logits_BTV = pair[0], stock_logits(pair[1])
    for name in shared_tensors(*pair):
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
        if not name.startswith("mtp."):  # transformers does not save them
            assert torch.equal(loaded.state_dict()[name], tensor), name


@pytest.mark.parametrize("pair", [n for n, c in family_configs().items() if c.num_mtp_layers], indirect=True)
@torch.no_grad()
def test_further_predictions_equal_transformers(pair: tuple[MoETransformer, PreTrainedModel]):
    ours, theirs = pair
    numbers = "|".join(str(ours.config.num_layers + i) for i in range(ours.config.num_mtp_layers))
    theirs._keys_to_ignore_on_load_unexpected = [rf"model\.layers\.({numbers})\."]  # stock: of published models only
    theirs.config.dtype = torch.float32
    stock, num_positions = MtpModel.from_pretrained(theirs), TOKENS_BT.shape[1]
    cache = MtpCache(config=theirs.config.get_mtp_config())
    hidden_BTD = theirs.model(TOKENS_BT).last_hidden_state
    output = ours.train()(TOKENS_BT)
    ours.eval()
    for depth, further_BTD in enumerate(output.further_BTD, start=1):
        num_there = num_positions - depth
        positions_BT = torch.arange(depth, num_positions).expand(len(TOKENS_BT), -1)
        hidden_BTD = stock.forward_layer(
            depth - 1, hidden_BTD[:, :num_there], positions_BT, cache, input_ids=TOKENS_BT[:, depth:]
        )
        stock_logits_BTV = theirs.lm_head(hidden_BTD)
        logits_BTV = torch.nn.functional.linear(further_BTD[:, :num_there], output.unembedding_VD)
        torch.testing.assert_close(logits_BTV, stock_logits_BTV, atol=1e-4, rtol=1e-4)
        assert stock_logits_BTV.std() > 0.5


@pytest.mark.parametrize("name", SHAPES)
def test_the_stock_class_of_every_shape_has_as_many_parameters(name: str):
    content = to_hf_config(shape(name), **IDS)
    with torch.device("meta"):
        stock = AutoModelForCausalLM.from_config(AutoConfig.for_model(**content))
    assert type(stock).__name__ == content["architectures"][0]
    assert sum(p.numel() for p in stock.parameters()) == count_parameters(shape(name)).total


@pytest.mark.parametrize(
    ("model_type", "options"),
    [("qwen3_moe", {}), ("olmoe", {}), ("mixtral", {}), ("deepseek_v3", {"num_hidden_layers": 4, "num_mtp_layers": 0})],
)
def test_the_default_config_of_a_stock_class_is_understood_as_the_class_does(model_type: str, options: dict):
    stock_config = AutoConfig.for_model(model_type, **{"num_hidden_layers": 2} | options)
    with torch.device("meta"):
        stock = AutoModelForCausalLM.from_config(stock_config)
    content = json.loads(json.dumps(stock_config.to_dict())) | {"architectures": [type(stock).__name__]}
    assert count_parameters(from_hf_config(content, where="")).total == sum(p.numel() for p in stock.parameters())
