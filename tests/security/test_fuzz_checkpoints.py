"""Damaged and invented checkpoints: an error of one line, or exactly the weights that were saved."""

import json
import math
import os
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from mai1.checkpoint.checkpoint import TrainerState, read_state
from mai1.checkpoint.import_weights import import_weights
from mai1.checkpoint.inference import load_model, read_model_config, read_stored_config
from mai1.checkpoint.manifest import read_manifest
from mai1.checkpoint.verify import newest_sound_checkpoint, verify
from mai1.dist import World
from mai1.model.transformer import ModelConfig
from tests.security.fuzzing import VALUES, changed_json, damaged, fuzz

ALONE = World(0, 1, 0, torch.device("cpu"))
WEIGHTS = "model-00001-of-00001.safetensors"
OPTIMIZER = "trainer/optimizer-00001-of-00001.safetensors"


@pytest.fixture(scope="module")
def saved(sound_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a run, in a folder of its own."""
    folder = tmp_path_factory.mktemp("saved") / "step_00000002"
    return Path(shutil.copytree((sound_run / "checkpoints" / "latest").resolve(), folder))


@pytest.mark.parametrize("file", ["manifest.json", "config.json", WEIGHTS, OPTIMIZER, "trainer/state.json"])
def test_any_damage_to_any_file_is_noticed_before_it_is_loaded(saved: Path, file: str):
    path, expected = saved / file, load_model(saved).state_dict()
    whole = path.read_bytes()

    @fuzz(60)
    @given(damaged(whole))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        problems = verify(saved, ALONE)
        if content != whole and file != "manifest.json":
            assert any(file in problem for problem in problems)
        if problems:
            with pytest.raises(ValueError, match="no sound checkpoint"):
                newest_sound_checkpoint(saved.parent, ALONE)
            return
        assert newest_sound_checkpoint(saved.parent, ALONE) == saved
        assert all(torch.equal(tensor, expected[name]) for name, tensor in load_model(saved).state_dict().items())

    try:
        check()
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize(
    "reads", ["manifest.json", "config.json", "trainer/state.json", "model.safetensors.index.json"]
)
def test_invented_json_is_refused_or_of_the_right_kind(saved: Path, reads: str):
    path = saved / reads
    whole = path.read_bytes()
    ways = {
        "manifest.json": (read_manifest, dict),
        "config.json": (read_model_config, ModelConfig),
        "trainer/state.json": (read_state, TrainerState),
        "model.safetensors.index.json": (load_model, torch.nn.Module),
    }
    read, kind = ways[reads]
    as_bytes = st.one_of(changed_json(json.loads(whole)), VALUES).map(lambda value: json.dumps(value).encode())

    @fuzz(200 if kind is not torch.nn.Module else 40)
    @given(st.one_of(as_bytes, damaged(whole), st.just(b"[" * 100_000), st.just(b'{"a": ' * 100_000)))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            assert isinstance(read(saved), kind)
        except ValueError as error:
            assert str(saved) in str(error) or reads == "config.json"

    try:
        check()
    finally:
        path.write_bytes(whole)


def test_a_damaged_header_of_weights_is_refused_or_read_unverified(saved: Path):
    """Without a manifest nothing is promised of the content, but no crash, no code and no memory beyond the file."""
    path = saved / WEIGHTS
    whole = path.read_bytes()
    header = int.from_bytes(whole[:8], "little") + 8

    @fuzz(60)
    @given(damaged(whole, first_bytes=header))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            assert load_model(saved) is not None
        except ValueError as error:
            assert str(saved) in str(error)

    try:
        check()
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize(
    "key", ["vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size", "n_routed_experts"]
)
def test_a_config_that_describes_more_than_the_files_hold_allocates_nothing(saved: Path, tmp_path: Path, key: str):
    copy = Path(shutil.copytree(saved, tmp_path / "copy"))
    content = json.loads((copy / "config.json").read_text())
    content[key] = content["num_attention_heads"] * 10**9
    if key == "n_routed_experts":
        content["num_local_experts"] = content["num_experts"] = content[key]
    (copy / "config.json").write_text(json.dumps(content))
    refused = (
        r"config\.json describes .* parameters, more than the .* bytes of its weights|layers are more than 1048576"
    )
    for read in (load_model, read_stored_config, lambda path: import_weights(path, tmp_path / "imported", files={})):
        with pytest.raises(ValueError, match=refused):
            read(copy)
    assert {path.name for path in tmp_path.iterdir()} == {"copy"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_weight_that_is_no_number_is_refused_by_name(saved: Path, tmp_path: Path, value: float):
    copy = Path(shutil.copytree(saved, tmp_path / "copy"))
    weights = load_file(copy / WEIGHTS)
    name = next(name for name in weights if ".experts.3.up_proj" in name)
    weights[name].view(-1)[5] = value
    save_file(weights, copy / WEIGHTS)
    with pytest.raises(ValueError, match=f"{name} holds what is no number: use another checkpoint"):
        load_model(copy)


def test_finite_weights_whose_sum_is_not_are_read(saved: Path, tmp_path: Path):
    copy = Path(shutil.copytree(saved, tmp_path / "copy"))
    weights = load_file(copy / WEIGHTS)
    weights["model.norm.weight"].fill_(3e38)
    save_file(weights, copy / WEIGHTS)
    assert (load_model(copy).final_norm.weight == 3e38).all()


def test_files_larger_than_any_are_refused_unread(saved: Path, tmp_path: Path):
    copy = Path(shutil.copytree(saved, tmp_path / "copy"))
    for file, size in (("model.safetensors.index.json", 2**40), ("config.json", 2**40)):
        os.truncate(copy / file, size)  # sparse: nothing is written
        with pytest.raises(ValueError, match=f"{file} has {size} bytes, but may have at most"):
            load_model(copy)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_hidden_layers": 2**40}, "layers are more than 1048576 in all"),
        ({"num_nextn_predict_layers": 2**40}, "layers are more than 1048576 in all"),
        ({"n_routed_experts": 2**40, "num_local_experts": 2**40}, "layers are more than 1048576 in all"),
        ({"num_attention_heads": 2**40, "num_key_value_heads": 3}, "num_kv_heads=3 must divide num_heads="),
        ({"hidden_size": -1}, "hidden_size is missing or no number"),
        ({"hidden_size": "wide"}, "hidden_size is missing or no number"),
        ({"rms_norm_eps": "1e-6"}, "rms_norm_eps is missing or no number"),
    ],
)
def test_absurd_sizes_are_refused_by_name_also_where_there_are_no_weights(saved: Path, tmp_path, values, message):
    content = json.loads((saved / "config.json").read_text()) | values
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        read_model_config(tmp_path)


@pytest.mark.parametrize("key", ["initializer_range", "routed_scaling_factor", "tie_word_embeddings"])
def test_null_is_the_same_as_nothing_said(saved: Path, tmp_path: Path, key: str):
    content = json.loads((saved / "config.json").read_text())
    found = []
    for values in (content | {key: None}, {k: v for k, v in content.items() if k != key}):
        (tmp_path / "config.json").write_text(json.dumps(values))
        found.append(read_model_config(tmp_path))
    assert found[0] == found[1]
