import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from mai1.checkpoint.families import to_hf_config
from mai1.checkpoint.inference import load_model
from mai1.export import parity
from mai1.export.parity import prove_parity
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from mai1.tokenizer.chat import CHAT_TEMPLATE
from mai1.tokenizer.huggingface import write_huggingface_files
from mai1.tokenizer.training import TokenizerConfig, train_tokenizer
from tests.support.model_files import write_model
from tests.support.tiny import tiny_model_config

TEXT = "For Name in names:\n    print(name)  # all of them, don't skip any\n" * 3


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    tokenizer = train_tokenizer(iter([TEXT * 20]), TokenizerConfig(vocab_size=300, reserved_size=8))
    tokenizer.save(folder)
    write_huggingface_files(tokenizer, folder)
    model = MoETransformer(tiny_model_config(vocab_size=tokenizer.vocabulary.size, init_std=0.1, num_mtp_layers=1))
    initialize(model, seed=0)
    write_model(folder, model)
    ids = {
        "end_of_text_id": tokenizer.end_of_text_id,
        "stop_ids": [tokenizer.end_of_text_id],
        "pad_id": tokenizer.pad_id,
    }
    (folder / "config.json").write_text(json.dumps(to_hf_config(model.config, dtype="float32", **ids)))
    return folder


def test_a_sound_checkpoint_is_proven(checkpoint: Path):
    proof = prove_parity(checkpoint, text=TEXT)
    assert proof["architecture"] == "Glm4MoeForCausalLM" and proof["tokens"] > 50
    assert proof["max_logit_difference"] < 1e-4 and proof["routing_agreement"] == 1.0
    assert proof["ids_identical"] is proof["chat_identical"] is True


def test_other_weights_are_refused(checkpoint: Path, monkeypatch: pytest.MonkeyPatch):
    def damaged(directory: Path) -> MoETransformer:
        model = load_model(directory)
        model.layers[1].attention.value.weight.data.mul_(1.1)
        return model

    monkeypatch.setattr(parity, "load_model", damaged)
    with pytest.raises(
        ValueError, match="logits differ from transformers' by .*: the checkpoint is not what its config.json"
    ):
        prove_parity(checkpoint, text=TEXT)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("model.layers.3.hnorm.weight", "model.layers.4.hnorm.weight", r"has no place for model\.layers\.4\.hnorm"),
        ("model.layers.2.mlp.gate.weight", "model.layers.3.mlp.gates.weight", r"misses model\.layers\.2\.mlp\.gate"),
    ],
)
def test_tensors_that_the_stock_class_does_not_expect_are_refused(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, error: str
):
    shutil.copytree(checkpoint, tmp_path, dirs_exist_ok=True)
    [file] = tmp_path.glob("model-*.safetensors")
    save_file({new if name == old else name: tensor for name, tensor in load_file(file).items()}, file)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(index.read_text().replace(f'"{old}"', f'"{new}"'))
    monkeypatch.setattr(parity, "load_model", lambda directory: load_model(checkpoint))
    with pytest.raises(ValueError, match=error):
        prove_parity(tmp_path, text=TEXT)


def test_a_tokenizer_that_disagrees_is_refused(checkpoint: Path, tmp_path: Path):
    shutil.copytree(checkpoint, tmp_path, dirs_exist_ok=True)
    original = (tmp_path / "tokenizer.json").read_text()
    (tmp_path / "tokenizer.json").write_text(
        original.replace('"normalizer": null', '"normalizer": {"type": "Lowercase"}')
    )
    with pytest.raises(ValueError, match="token ids differ from transformers' at "):
        prove_parity(tmp_path, text=TEXT)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("+ '<|end|>'", "+ ' <|end|>'", "chat ids"),
        ("{%- generation -%}", "{%- generation -%}{%- endgeneration -%}{%- generation -%}x", "chat ids"),
        ("message['content'] + '<|end|>' -}}{%- endgen", "message['content'] -}}{%- endgen", "chat ids"),
    ],
)
def test_a_template_that_disagrees_with_our_own_encoding_is_noticed(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, what: str
):
    shutil.copytree(checkpoint, tmp_path, dirs_exist_ok=True)
    assert old in CHAT_TEMPLATE
    (tmp_path / "chat_template.jinja").write_text(CHAT_TEMPLATE.replace(old, new))
    monkeypatch.setattr(parity, "CHAT_TEMPLATE", CHAT_TEMPLATE.replace(old, new))  # as if we had written it so
    with pytest.raises(ValueError, match=f"{what} differ from transformers' at "):
        prove_parity(tmp_path, text=TEXT)
