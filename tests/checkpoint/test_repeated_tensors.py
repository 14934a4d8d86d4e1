"""Multi-token prediction in the files: the shared matrices stand there again, and must be the same."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mai1.checkpoint.families import to_hf_config
from mai1.checkpoint.inference import load_model, read_model_config
from mai1.checkpoint.names import tensor_names
from mai1.checkpoint.weights import INDEX, read_weights
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from tests.support.model_files import write_model
from tests.support.tiny import tiny_model_config

HEAD, EMBEDDING = "model.layers.4.shared_head.head.weight", "model.layers.3.embed_tokens.weight"


@pytest.fixture(params=[False, True], ids=["untied", "tied"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[MoETransformer, Path]:
    """A model with two further layers and its files."""
    model = MoETransformer(tiny_model_config(num_mtp_layers=2, tie_embeddings=request.param))
    initialize(model, seed=3)
    write_model(tmp_path, model)
    content = to_hf_config(model.config, dtype="float32", end_of_text_id=256, stop_ids=[256], pad_id=257)
    (tmp_path / "config.json").write_text(json.dumps(content))
    return model, tmp_path


def change(folder: Path, name: str, tensor: torch.Tensor | None) -> None:
    """Put another tensor into the files, or leave it out."""
    where = json.loads((folder / INDEX).read_text())["weight_map"]
    content = load_file(folder / where[name]) | {name: tensor}
    save_file({key: value for key, value in content.items() if value is not None}, folder / where[name])
    index = {"weight_map": {key: file for key, file in where.items() if key != name or tensor is not None}}
    (folder / INDEX).write_text(json.dumps(index))


def read(folder: Path) -> MoETransformer:
    model = MoETransformer(read_model_config(folder))
    read_weights(folder, model)
    return model


def test_a_model_with_further_layers_comes_back_whole(written: tuple[MoETransformer, Path]):
    model, folder = written
    found = read(folder)
    assert found.config == model.config and found.config.num_mtp_layers == 2
    assert found.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name
    index = json.loads((folder / INDEX).read_text())
    assert index["metadata"]["total_parameters"] == sum(tensor.numel() for tensor in model.state_dict().values())


def test_the_layout_is_that_of_the_published_models(written: tuple[MoETransformer, Path]):
    """As DeepSeek-V3 and GLM-4.5 have it in the layers behind `num_hidden_layers`."""
    model, _ = written
    names = {tensor.hf_name: tensor for tensor in tensor_names(model.config)}
    own = {"embed_tokens", "enorm", "hnorm", "eh_proj", "shared_head.norm", "shared_head.head"}
    for layer in (3, 4):
        prefix = f"model.layers.{layer}."
        found = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
        block = {name.removeprefix("model.layers.2.") for name in names if name.startswith("model.layers.2.")}
        assert found == {f"{name}.weight" for name in own} | block
        assert names[f"{prefix}eh_proj.weight"].shape == (64, 128)


def test_inference_reads_none_of_it(written: tuple[MoETransformer, Path]):
    model, folder = written
    change(folder, "model.layers.3.eh_proj.weight", None)
    found = load_model(folder)
    assert found.config == replace(model.config, num_mtp_layers=0) and not found.mtp
    with pytest.raises(ValueError, match=r"has no tensor model\.layers\.3\.eh_proj\.weight: its weights do not fit"):
        read(folder)


@pytest.mark.parametrize("name", [HEAD, EMBEDDING])
def test_a_missing_repetition_is_no_loss(written: tuple[MoETransformer, Path], name: str):
    model, folder = written
    change(folder, name, None)
    assert torch.equal(read(folder).mtp[1].merge.weight, model.mtp[1].merge.weight)


@pytest.mark.parametrize("name", [HEAD, EMBEDDING])
def test_a_matrix_of_its_own_is_refused(written: tuple[MoETransformer, Path], name: str):
    _, folder = written
    change(folder, name, torch.zeros(384, 64))
    with pytest.raises(ValueError, match=f"{name} is another matrix than .* set num_nextn_predict_layers to 0"):
        read(folder)
    assert load_model(folder)
