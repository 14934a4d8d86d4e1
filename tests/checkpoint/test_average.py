"""The mean of several checkpoints' weights: a model like any other, and nothing to resume."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mai1.checkpoint.average import average_checkpoints
from mai1.checkpoint.checkpoint import read_state
from mai1.checkpoint.inference import load_model
from mai1.checkpoint.saver import save_checkpoint
from mai1.checkpoint.verify import verify
from mai1.checkpoint.weights import INDEX
from mai1.engine.ds_config import Precision
from tests.support.checkpoints import ALONE
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer, train


def _save_three(world, folder: str, precision: Precision) -> None:
    trainer = tiny_trainer(world, Path(folder), precision=precision)
    for _ in range(3):
        train(trainer, 1)
        save_checkpoint(Path(folder), trainer.engine, trainer.state, files=trainer.files)


@pytest.fixture(scope="module", params=list(Precision)[1:], ids=lambda precision: precision.value)
def three(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("run")
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "tokenizer.json").write_text("{}")
    run_ranks(_save_three, 1, str(folder), request.param)
    return sorted(folder.glob("step_*"))


def _tensors(directory: Path) -> dict[str, torch.Tensor]:
    files = set(json.loads((directory / INDEX).read_text())["weight_map"].values())
    return {name: tensor for file in files for name, tensor in load_file(directory / file).items()}


def test_every_tensor_is_the_mean_in_its_own_type(three, tmp_path):
    average_checkpoints(three, tmp_path / "mean")
    means, sources = _tensors(tmp_path / "mean"), [_tensors(path) for path in three]
    assert means.keys() == sources[0].keys()
    for name, found in means.items():
        expected = torch.stack([source[name].float() for source in sources]).double().mean(0)
        assert found.dtype is sources[0][name].dtype
        assert torch.allclose(
            found.double(), expected, rtol=2**-8 if found.dtype is torch.bfloat16 else 1e-6, atol=1e-9
        )


def test_the_result_is_a_sound_model_with_everything_but_optimizer_state(three, tmp_path):
    average_checkpoints(three[1:], tmp_path / "mean")
    assert not verify(tmp_path / "mean", ALONE)
    assert load_model(tmp_path / "mean")(torch.arange(8)[None]).hidden_BTD.isfinite().all()
    names = {path.name for path in (tmp_path / "mean").iterdir()}
    assert {"config.json", "generation_config.json", "tokenizer.json", "manifest.json"} <= names
    assert "trainer" not in names and list(tmp_path.iterdir()) == [tmp_path / "mean"]
    manifest = json.loads((tmp_path / "mean" / "manifest.json").read_text())
    assert [source["step"] for source in manifest["averaged_from"]] == [2, 3]


def test_resuming_an_average_is_refused_with_the_reason(three, tmp_path):
    average_checkpoints(three, tmp_path / "mean")
    with pytest.raises(ValueError, match="is an average .* no optimizer state .* checkpoint.init_from="):
        read_state(tmp_path / "mean")


def test_what_cannot_be_averaged_is_refused(three, tmp_path):
    with pytest.raises(ValueError, match="1 checkpoint is no mean: name two or more"):
        average_checkpoints(three[:1], tmp_path / "mean")
    with pytest.raises(ValueError, match=f"output={three[0]} exists"):
        average_checkpoints(three, three[0])
    other = tmp_path / "other"
    other.mkdir()
    config = json.loads((three[0] / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"hidden_size": 128}))
    with pytest.raises(ValueError, match="is another model than"):
        average_checkpoints([other, three[0]], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()
