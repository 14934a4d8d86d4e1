"""Models of every family in every layout that their files come in."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mai1.checkpoint.import_weights import import_weights
from mai1.checkpoint.inference import load_model
from mai1.checkpoint.manifest import read_manifest
from mai1.checkpoint.names import tensor_names
from mai1.checkpoint.verify import problems_in
from tests.export.test_transformers import random_model, write
from tests.support.tiny import family_configs

CONFIGS = family_configs()
INDEX = "model.safetensors.index.json"
TOKENS_BT = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])
Tensors = dict[str, torch.Tensor]


def read_all(folder: Path) -> Tensors:
    return {key: value for path in sorted(folder.glob("*.safetensors")) for key, value in load_file(path).items()}


def rewrite(folder: Path, tensors: Tensors, *, files: int = 1, index: str = "", stem: str = "model") -> None:
    """All tensors anew, dealt out to files in an order that has nothing to do with layers."""
    for path in [*folder.glob("*.safetensors"), *folder.glob("*.index.json")]:
        path.unlink()
    names = sorted(tensors, key=lambda name: name[::-1])
    parts = {f"{stem}-{i}.safetensors" if files > 1 else f"{stem}.safetensors": names[i::files] for i in range(files)}
    for file, held in parts.items():
        save_file({name: tensors[name].contiguous() for name in held}, folder / file)
    if index:
        where = {name: file for file, held in parts.items() for name in held}
        (folder / index).write_text(json.dumps({"metadata": {}, "weight_map": where}))


def stacked(tensors: Tensors, *, num_experts: int, fuse: bool, block: str = "mlp") -> Tensors:
    """Experts as one tensor of all of them, gate and up joined or apart."""
    found = {name: value for name, value in tensors.items() if ".experts." not in name}
    roles = {"gate_proj": ("gate_proj", "w1"), "up_proj": ("up_proj", "w3"), "down_proj": ("down_proj", "w2")}
    layers = {name.split(".experts.")[0] for name in tensors if ".experts." in name}
    for layer in layers:
        per_role = {}
        for role, names in roles.items():
            keys = [f"{layer}.experts.{e}.{n}.weight" for e in range(num_experts) for n in names]
            per_role[role] = torch.stack([tensors[key] for key in keys if key in tensors])
        target = f"{layer.rpartition('.')[0]}.{block}.experts"
        found[f"{target}.down_proj"] = per_role["down_proj"]
        if fuse:
            found[f"{target}.gate_up_proj"] = torch.cat([per_role["gate_proj"], per_role["up_proj"]], dim=1)
        else:
            found |= {f"{target}.{role}": per_role[role] for role in ("gate_proj", "up_proj")}
    return found


def mixtral_as_others(tensors: Tensors) -> Tensors:
    swapped = {"w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"}
    found = {}
    for name, value in tensors.items():
        name = name.replace("block_sparse_moe", "mlp")
        for ours, theirs in swapped.items():
            name = name.replace(f".{ours}.weight", f".{theirs}.weight")
        found[name] = value
    return found


LAYOUTS: dict[str, Callable[[Path, Tensors, int], None]] = {
    "one file": lambda folder, tensors, _: rewrite(folder, tensors),
    "many files with an index": lambda folder, tensors, _: rewrite(folder, tensors, files=5, index=INDEX),
    "many files without an index": lambda folder, tensors, _: rewrite(folder, tensors, files=3, stem="part"),
    "an index of another name": lambda f, tensors, _: rewrite(
        f, tensors, files=2, index="weights.safetensors.index.json"
    ),
    "fused stacks": lambda f, t, experts: rewrite(f, stacked(t, num_experts=experts, fuse=True), files=3),
    "stacks": lambda f, t, experts: rewrite(f, stacked(t, num_experts=experts, fuse=False), files=2),
    "names of the others": lambda folder, tensors, _: rewrite(folder, mixtral_as_others(tensors)),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every family as its files usually are."""
    folder = tmp_path_factory.mktemp("sources")
    return {name: write(random_model(config), folder / name) for name, config in CONFIGS.items()}


@pytest.fixture
def glm(sources: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(sources["glm4_moe_groups"], tmp_path / "glm"))


def change_config(folder: Path, **changes: object) -> None:
    content = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(content))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["deepseek_v3", "glm4_moe_mtp", "qwen3_moe", "olmoe", "mixtral"])
def test_every_layout_of_every_family_gives_the_same_checkpoint(
    sources: dict[str, Path], name: str, layout: str, tmp_path: Path
):
    source, output = Path(shutil.copytree(sources[name], tmp_path / "source")), tmp_path / "output"
    before = read_all(source)
    LAYOUTS[layout](source, before, CONFIGS[name].moe.num_experts)
    imported = import_weights(source, output, files={"tokenizer.json": b"{}"})
    after = read_all(output)
    assert after.keys() == {tensor.hf_name for tensor in tensor_names(CONFIGS[name])}
    assert all(torch.equal(after[key], before[key]) for key in after)
    assert imported.config.moe == CONFIGS[name].moe and (imported.stacked > 0) == ("stacks" in layout)
    assert not problems_in(output, read_manifest(output)) and (output / "tokenizer.json").read_bytes() == b"{}"
    assert torch.equal(load_model(output)(TOKENS_BT).logits_BTV, load_model(source)(TOKENS_BT).logits_BTV)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_types_stay_as_they_are_with_a_bias_in_fp32(glm: Path, tmp_path: Path, dtype: torch.dtype):
    bias = "e_score_correction_bias"
    tensors = {name: value if bias in name else value.to(dtype) for name, value in read_all(glm).items()}
    rewrite(glm, tensors)
    imported = import_weights(glm, tmp_path / "output", files={})
    after = read_all(tmp_path / "output")
    assert all(after[name].dtype is value.dtype and torch.equal(after[name], value) for name, value in tensors.items())
    assert set(imported.dtypes) == {"float32", str(dtype).removeprefix("torch.")}
    assert json.loads((tmp_path / "output" / "config.json").read_text())["dtype"] == str(dtype).removeprefix("torch.")


def test_papers_go_with_the_weights(glm: Path, tmp_path: Path):
    (glm / "LICENSE.txt").write_text("Do what you like.")
    import_weights(glm, tmp_path / "output", files={})
    assert (tmp_path / "output" / "LICENSE.txt").read_text() == "Do what you like."


@pytest.mark.parametrize("name", ["LICENSE", "NOTICE.md", "config.json"])
def test_an_import_publishes_nothing_that_a_link_leads_to(glm: Path, tmp_path: Path, name: str):
    shutil.copy(glm / "config.json", tmp_path / "private")
    (glm / name).unlink(missing_ok=True)
    (glm / name).symlink_to(tmp_path / "private")
    with pytest.raises(ValueError, match=f"{name} is a link to .*private, outside of its directory"):
        import_weights(glm, tmp_path / "output", files={})
    assert not [path for path in tmp_path.rglob("*") if "output" in path.name]


def test_a_tied_head_that_is_stored_once_more_is_left_out(sources: dict[str, Path], tmp_path: Path):
    source = Path(shutil.copytree(sources["glm4_moe"], tmp_path / "source"))
    tensors = read_all(source)
    rewrite(source, tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()})
    imported = import_weights(source, tmp_path / "output", files={})
    assert "lm_head.weight" not in read_all(tmp_path / "output") and "left out" in imported.notes[0]
    rewrite(source, tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"] + 1})
    with pytest.raises(ValueError, match="lm_head.weight is not the embedding"):
        import_weights(source, tmp_path / "other", files={})


def test_further_predictions_that_are_only_named_are_left_out(sources: dict[str, Path], tmp_path: Path):
    source = Path(shutil.copytree(sources["glm4_moe_mtp"], tmp_path / "source"))
    last = CONFIGS["glm4_moe_mtp"].num_layers
    kept = {
        k: v
        for k, v in read_all(source).items()
        if not k.startswith((f"model.layers.{last}.", f"model.layers.{last + 1}."))
    }
    rewrite(source, kept)
    imported = import_weights(source, tmp_path / "output", files={})
    assert imported.config.num_mtp_layers == 0 and "names 2 layers of multi-token prediction" in imported.notes[0]
    assert json.loads((tmp_path / "output" / "config.json").read_text())["num_nextn_predict_layers"] == 0


def test_what_follows_from_the_config_and_code_maps_are_passed_over(glm: Path, tmp_path: Path):
    rewrite(glm, read_all(glm) | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)})
    change_config(glm, auto_map={"AutoModel": "modeling.Evil"}, eos_token_id=[7, 8], bos_token_id=None)
    (glm / "LICENSE").write_text("terms")
    import_weights(glm, tmp_path / "output", files={})
    content = json.loads((tmp_path / "output" / "config.json").read_text())
    assert "auto_map" not in content and content["eos_token_id"] == [7, 8] and content["bos_token_id"] is None
    assert (tmp_path / "output" / "LICENSE").read_text() == "terms"


CHANGES: dict[str, tuple[Callable[[Tensors], object], str]] = {
    "missing": (lambda t: t.pop("model.norm.weight"), "has no tensor model.norm.weight"),
    "missing expert": (
        lambda t: t.pop("model.layers.1.mlp.experts.3.up_proj.weight"),
        "has no tensor model.layers.1.mlp.exp",
    ),
    "shape": (
        lambda t: t.update({"model.norm.weight": torch.ones(3)}),
        r"model.norm.weight has shape \(3,\) instead of",
    ),
    "type": (lambda t: t.update({"model.norm.weight": torch.ones(64).to(torch.float8_e4m3fn)}), "is F8_E4M3: only"),
    "not finite": (lambda t: t["model.norm.weight"].fill_(float("nan")), "model.norm.weight holds what is no number"),
    "a bias": (
        lambda t: t.update({"model.layers.0.self_attn.q_proj.bias": torch.ones(64)}),
        "q_proj.bias is nothing that mai1 has",
    ),
    "gated shared": (
        lambda t: t.update({"model.layers.1.mlp.shared_expert_gate.weight": torch.ones(1, 64)}),
        "shared_expert_gate.weight is nothing",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_tensors_that_do_not_fit_are_refused_by_name_and_nothing_is_left(glm: Path, tmp_path: Path, change: str):
    tensors = read_all(glm)
    CHANGES[change][0](tensors)
    rewrite(glm, tensors)
    with pytest.raises(ValueError, match=CHANGES[change][1]):
        import_weights(glm, tmp_path / "output", files={})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["glm"]


def test_a_stack_of_more_experts_than_the_config_has_is_refused(glm: Path, tmp_path: Path):
    tensors = stacked(read_all(glm), num_experts=8, fuse=True)
    key = "model.layers.1.mlp.experts.down_proj"
    rewrite(glm, tensors | {key: torch.cat([tensors[key], tensors[key][:1]])})
    with pytest.raises(ValueError, match=r"down_proj has \d+ numbers, of which config.json explains"):
        import_weights(glm, tmp_path / "output", files={})


def test_a_tensor_in_two_files_is_refused(glm: Path, tmp_path: Path):
    rewrite(glm, read_all(glm), files=2, stem="a")
    save_file({"model.norm.weight": torch.ones(64)}, glm / "b.safetensors")
    with pytest.raises(ValueError, match="model.norm.weight is in"):
        import_weights(glm, tmp_path / "output", files={})


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("qwen3_moe", {"use_sliding_window": True, "sliding_window": 4096}, "sliding_window=4096"),
        ("mixtral", {"sliding_window": 4096}, "sliding_window=4096"),
        ("qwen3_moe", {"attention_bias": True}, "attention_bias=True"),
        ("olmoe", {"clip_qkv": 8.0}, "clip_qkv=8.0"),
        ("qwen3_moe", {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e6}}, "rope_type=yarn"),
        ("deepseek_v3", {"rope_parameters": None, "rope_scaling": {"type": "yarn", "factor": 40}}, "rope_type=yarn"),
        ("glm4_moe_groups", {"rope_parameters": None, "partial_rotary_factor": 0.5}, "partial_rotary_factor=0.5"),
        ("deepseek_v3", {"quantization_config": {"quant_method": "fp8"}}, "quantization_config"),
        ("deepseek_v3", {"scoring_func": "softmax"}, "scoring_func=softmax"),
        ("qwen3_moe", {"architectures": ["Qwen2MoeForCausalLM"]}, "Qwen2MoeForCausalLM"),
        ("qwen3_moe", {"decoder_sparse_step": 2}, "decoder_sparse_step=2"),
    ],
)
def test_features_that_we_do_not_have_are_refused_by_name(
    sources: dict[str, Path], tmp_path: Path, name: str, changes: dict, message: str
):
    source = Path(shutil.copytree(sources[name], tmp_path / "source"))
    change_config(source, **changes)
    with pytest.raises(ValueError, match=message):
        import_weights(source, tmp_path / "output", files={})
    assert not (tmp_path / "output").exists()
