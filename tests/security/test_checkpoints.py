"""What a checkpoint from somebody else can hold, opened by everything here that opens checkpoints: nothing of it runs."""

import json
import pickle
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from mai1.checkpoint.inference import load_model, read_model_config
from mai1.export.parity import prove_parity
from mai1.generate.sampling import SamplingConfig
from mai1.run.generate import GenerateConfig, answers
from mai1.tokenizer.tokenizer import Tokenizer
from tests.security.conftest import TEXT, Payload, pretraining
from tests.support.commands import run_command

EVIL_CODE = "import pathlib\npathlib.Path({marker!r}).touch()\nclass Evil:\n    pass\n"
ESCAPES = [
    "{{{{ ''.__class__.__mro__[1].__subclasses__() }}}}",
    "{{{{ cycler.__init__.__globals__.os.system('touch {marker}') }}}}",
    "{{{{ self.__init__.__globals__.__builtins__.__import__('os').system('touch {marker}') }}}}",
    "{{{{ ('%s' | attr('__class__')).__mro__ }}}}{{{{ lipsum.__globals__['os'].popen('touch {marker}').read() }}}}",
    "{{% for a in range(99999) %}}{{% for b in range(99999) %}}{{% for c in range(99999) %}}x"
    "{{% endfor %}}{{% endfor %}}{{% endfor %}}",
    "{{{{ 'x' * 99999999999 }}}}",
]


def change(path: Path, **values: object) -> None:
    content = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(content | values))


def open_with_everything(directory: Path) -> list[str]:
    """Every way in, one after the other; what each refused."""
    generation = GenerateConfig(checkpoint=str(directory), prompt="For", sampling=SamplingConfig(max_new_tokens=1))
    ways: list[Callable] = [
        lambda: read_model_config(directory),
        lambda: load_model(directory),
        lambda: Tokenizer.load(directory),
        lambda: answers(generation),
        lambda: prove_parity(directory, text=TEXT),
    ]
    refused = []
    for way in ways:
        try:
            way()
        except (ValueError, OSError) as error:
            refused.append(str(error))
    return refused


def test_the_sound_checkpoint_is_opened_by_all(checkpoint: Path):
    assert open_with_everything(checkpoint) == []


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json", "generation_config.json"])
@pytest.mark.parametrize(
    "planted",
    [
        {
            "auto_map": {
                "AutoConfig": "evil.Evil",
                "AutoModelForCausalLM": "evil.Evil",
                "AutoTokenizer": ["evil.Evil"] * 2,
            }
        },
        {"trust_remote_code": True, "auto_map": {"AutoModelForCausalLM": "evil--repo/evil.Evil"}},
        {"_attn_implementation": "evil/kernel"},
        {"attn_implementation": "evil/kernel:evil"},
        {"_attn_implementation_internal": "evil/kernel"},
        {"nested": [{"_target_": "os.system", "_args_": ["touch {marker}"]}]},
        {"custom_generate": "."},
    ],
)
def test_names_of_code_in_any_json_file_are_refused_or_ignored(checkpoint, marker, file: str, planted: dict):
    planted = json.loads(json.dumps(planted).replace("{marker}", str(marker)))
    change(checkpoint / file, **planted)
    for name in ("evil.py", "modeling_evil.py", "custom_generate/generate.py"):
        (checkpoint / name).parent.mkdir(exist_ok=True)
        (checkpoint / name).write_text(EVIL_CODE.format(marker=str(marker)))
    refused = open_with_everything(checkpoint)
    assert any(str(checkpoint / file) in text for text in refused)
    if file == "config.json" and "auto_map" in planted:
        assert len(refused) == 4, "only the tokenizer may be opened"


def test_adapters_beside_a_model_do_not_make_transformers_load_another(checkpoint, tmp_path):
    other = Path(shutil.copytree(checkpoint, tmp_path / "other"))
    change(checkpoint / "adapter_config.json", peft_type="LORA", base_model_name_or_path=str(other), r=2**40)
    (checkpoint / "adapter_model.safetensors").write_bytes(b"\xff" * 64)
    [refused] = open_with_everything(checkpoint)
    assert f"{checkpoint / 'adapter_config.json'} names another model" in refused


def test_a_list_as_long_as_a_file_says_is_never_made(checkpoint):
    change(checkpoint / "config.json", num_labels=2**40)
    [refused] = open_with_everything(checkpoint)
    assert "num_labels names code, a template or a size" in refused


@pytest.mark.parametrize("planted", [{"pad_token_id": 2**40}, {"layer_types": 3}, {"tie_word_embeddings": "yes"}])
def test_what_transformers_stumbles_over_is_a_mistake_of_one_line(checkpoint, planted: dict):
    change(checkpoint / "config.json", **planted)
    assert any(str(checkpoint) in text for text in open_with_everything(checkpoint))


def test_a_tokenizer_class_of_a_strange_name_runs_nothing(checkpoint, marker):
    (checkpoint / "tokenization_evil.py").write_text(EVIL_CODE.format(marker=str(marker)))
    change(checkpoint / "tokenizer_config.json", tokenizer_class="EvilTokenizer")
    open_with_everything(checkpoint)


@pytest.mark.parametrize("number", range(len(ESCAPES)))
@pytest.mark.parametrize("place", ["chat_template.jinja", "tokenizer_config.json"])
def test_a_foreign_chat_template_is_never_rendered(checkpoint, marker, number: int, place: str):
    template = ESCAPES[number].format(marker=marker)
    if place == "chat_template.jinja":
        (checkpoint / place).write_text(template)
    else:
        change(checkpoint / place, chat_template=template)
    refused = open_with_everything(checkpoint)
    assert len(refused) == 1 and place in refused[0]


@pytest.mark.parametrize(
    "file", ["model-00001-of-00001.safetensors", "config.json", "tokenizer.model", "vocabulary.json"]
)
def test_a_pickle_under_the_name_of_any_file_is_refused(checkpoint, marker, file: str):
    (checkpoint / file).write_bytes(pickle.dumps(Payload(marker)).ljust(1 << 19, b"\0"))  # as large as weights are
    assert any(str(checkpoint / file) in text for text in open_with_everything(checkpoint))


def test_a_pickle_beside_the_weights_is_never_opened(checkpoint, marker):
    expected = load_model(checkpoint).state_dict()
    for name in ("pytorch_model.bin", "model.pt", "training_args.bin", "optimizer.pt", "rng_state.pth", "vocab.pkl"):
        (checkpoint / name).write_bytes(pickle.dumps(Payload(marker)))
    change(checkpoint / "pytorch_model.bin.index.json", weight_map={"model.norm.weight": "pytorch_model.bin"})
    assert open_with_everything(checkpoint) == []
    assert all(torch.equal(tensor, expected[name]) for name, tensor in load_model(checkpoint).state_dict().items())


def test_a_checkpoint_of_pickles_alone_is_refused(checkpoint, marker):
    for path in checkpoint.glob("model*"):
        path.unlink()
    torch.save({"model.norm.weight": Payload(marker)}, checkpoint / "pytorch_model.bin")
    refused = open_with_everything(checkpoint)
    assert len(refused) == 3 and all("model.safetensors" in text for text in refused)


@pytest.mark.parametrize("target", ["../outside.safetensors", "/etc/passwd", "a/../../outside.safetensors"])
def test_an_index_cannot_name_files_outside_its_directory(checkpoint, target: str):
    index = checkpoint / "model.safetensors.index.json"
    [weights] = checkpoint.glob("model-*.safetensors")
    weights.rename(checkpoint.parent / "outside.safetensors")
    content = json.loads(index.read_text())
    index.write_text(json.dumps(content | {"weight_map": dict.fromkeys(content["weight_map"], target)}))
    with pytest.raises(ValueError, match="is not a plain file name"):
        load_model(checkpoint)


@pytest.mark.parametrize(
    "file", ["trainer/state.json", "manifest.json", "trainer/optimizer-00001-of-00001.safetensors"]
)
def test_a_pickle_in_a_runs_checkpoint_stops_its_resumption(run: Path, corpus: Path, marker: Path, file: str):
    newest = (run / "checkpoints" / "latest").resolve()
    (newest / file).write_bytes(pickle.dumps(Payload(marker)))
    ended = run_command(*pretraining(corpus, run.parent))
    assert ended.code == 2 and "Traceback" not in ended.err, ended.err


def test_a_pickle_with_the_right_digest_runs_neither(run: Path, corpus: Path, marker: Path):
    """Who can write the manifest can make it agree: integrity is no proof of origin, but still nothing runs."""
    newest = (run / "checkpoints" / "latest").resolve()
    manifest = json.loads((newest / "manifest.json").read_text())
    for file in ("trainer/state.json", "trainer/optimizer-00001-of-00001.safetensors"):
        path = newest / file
        path.write_bytes(pickle.dumps(Payload(marker)))
        manifest["files"][file] = {"bytes": path.stat().st_size, "sha256": sha256(path.read_bytes()).hexdigest()}
    (newest / "manifest.json").write_text(json.dumps(manifest))
    ended = run_command(*pretraining(corpus, run.parent))
    assert ended.code == 2 and "Traceback" not in ended.err, ended.err
