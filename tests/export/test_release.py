"""A release's weights and description: what is in them, where they may go, and what becomes of a failure."""

import json
import os
import shutil
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from mai1.checkpoint.inference import load_model, read_model_config
from mai1.checkpoint.manifest import read_manifest
from mai1.checkpoint.names import TensorName
from mai1.export import parity
from mai1.export.agreement import agreement_of
from mai1.export.parity import prove_release, rows_of
from mai1.export.release import (
    ReleaseDtype,
    check_place,
    check_release_room,
    parse_size,
    reader_of,
    release_manifest,
    released_config,
    weights_num_bytes,
    write_description,
    write_weights,
)
from mai1.tokenizer.tokenizer import Tokenizer
from tests.export.conftest import TEXT
from tests.support.checkpoints import publish

SAMPLING = {"do_sample": True, "temperature": 0.8, "top_p": 0.95}


def release(source: Path, folder: Path, dtype: ReleaseDtype, *, keeps: bool = True, max_bytes: int = 300_000) -> Path:
    folder.mkdir()
    config = released_config(read_model_config(source), keeps_further_layers=keeps)
    write_weights(folder, config, read=reader_of(source), dtype=dtype.torch, max_bytes=max_bytes)
    write_description(folder, config, Tokenizer.load(source), dtype=dtype.torch, sampling=SAMPLING)
    return folder


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    return {name: value for file in folder.glob("model-*.safetensors") for name, value in load_file(file).items()}


@pytest.mark.parametrize("dtype", ReleaseDtype)
def test_every_weight_is_the_sources_rounded_once_and_the_selection_bias_stays_fp32(
    source: Path, tmp_path: Path, dtype: ReleaseDtype
):
    before, after = tensors_of(source), tensors_of(release(source, tmp_path / "r", dtype))
    assert before.keys() == after.keys()
    for name, value in after.items():
        is_bias = name.endswith("e_score_correction_bias")
        assert value.dtype is (torch.float32 if is_bias else dtype.torch)
        assert torch.equal(value, before[name].to(value.dtype))
    files = sorted((tmp_path / "r").glob("model-*.safetensors"))
    assert len(files) > 1 and all(file.stat().st_size < 330_000 for file in files)
    tensor_bytes = sum(value.nbytes for value in after.values())
    assert weights_num_bytes(read_model_config(source), dtype.torch) == tensor_bytes


def test_transformers_gives_the_logits_of_the_checkpoint(source: Path, tmp_path: Path):
    folder = release(source, tmp_path / "r", ReleaseDtype.fp32)
    stock = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert stock.dtype is torch.float32 and stock.generation_config.temperature == 0.8
    ids = tokenizer(tokenizer.bos_token + TEXT[:600], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        difference = (stock(ids, use_cache=False).logits - load_model(source)(ids).logits_BTV).abs().max()
    assert difference < 1e-5
    assert stock.generation_config.eos_token_id == Tokenizer.load(source).stop_ids


def test_further_layers_are_kept_or_dropped(source: Path, tmp_path: Path):
    config = read_model_config(source)
    kept, dropped = (
        release(source, tmp_path / name, ReleaseDtype.bf16, keeps=name == "kept") for name in ("kept", "no")
    )
    further = {name for name in tensors_of(source) if name.startswith(f"model.layers.{config.num_layers}.")}
    assert further and tensors_of(kept).keys() - tensors_of(dropped).keys() == further
    assert json.loads((dropped / "config.json").read_text())["num_nextn_predict_layers"] == 0
    assert json.loads((kept / "config.json").read_text())["num_nextn_predict_layers"] == 1
    a, b = (load_model(folder)(torch.tensor([[1, 2, 3]])).logits_BTV for folder in (kept, dropped))
    assert torch.equal(a, b)


def test_repeated_matrices_may_be_missing_from_the_source(source: Path, tmp_path: Path):
    shutil.copytree(source, tmp_path / "s")
    index = tmp_path / "s" / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    repeated = [
        n for n in content["weight_map"] if n.endswith(("layers.3.embed_tokens.weight", "shared_head.head.weight"))
    ]
    content["weight_map"] = {n: file for n, file in content["weight_map"].items() if n not in repeated}
    index.write_text(json.dumps(content))
    found = tensors_of(release(tmp_path / "s", tmp_path / "r", ReleaseDtype.fp32))
    assert len(repeated) == 2 and all(torch.equal(found[name], tensors_of(source)[name]) for name in repeated)


def test_never_more_than_two_tensors_are_in_memory(source: Path, tmp_path: Path):
    read, alive, most = reader_of(source), set(), 0

    def watched(tensor: TensorName) -> torch.Tensor:
        nonlocal most
        value = read(tensor).clone()
        alive.add(tensor.hf_name)
        weakref.finalize(value, alive.discard, tensor.hf_name)
        most = max(most, len(alive))
        return value

    write_weights(tmp_path, read_model_config(source), read=watched, dtype=torch.bfloat16, max_bytes=10**9)
    assert 1 <= most <= 2


@pytest.mark.parametrize(("value", "words"), [(1e6, "does not fit torch.float16"), (float("nan"), "is not finite")])
def test_a_value_that_the_type_cannot_hold_is_refused(source: Path, tmp_path: Path, value: float, words: str):
    def read(tensor: TensorName) -> torch.Tensor:
        return torch.full(tensor.shape, value)

    with pytest.raises(ValueError, match=words):
        write_weights(tmp_path, read_model_config(source), read=read, dtype=torch.float16, max_bytes=10**9)


def test_the_proof_tells_implementation_from_rounding(source: Path, tmp_path: Path):
    folder = release(source, tmp_path / "r", ReleaseDtype.bf16)
    proof = prove_release(folder, source=source, dtype=torch.bfloat16, text=TEXT)
    assert proof["max_logit_difference"] < 1e-4 and proof["routing_agreement"] == proof["top1_agreement"] == 1.0
    released = proof["as_released"]
    assert released["dtype"] == "bfloat16" and 1e-4 < released["max_logit_difference"] < 4
    assert 1e-9 < released["mean_kl"] < 0.05 and 0.8 < released["routing_agreement"] <= 1.0
    assert len(proof["text_sha256"]) == 64 and proof["tokens"] > 900


def test_agreement_counts_what_differs(source: Path):
    """Against sums over positions, one after the other."""
    ours, theirs = load_model(source), parity._load_stock(source, torch.float32)
    with torch.no_grad():
        theirs.model.layers[1].mlp.gate.weight.mul_(1.3)
        theirs.lm_head.weight[7] += 0.5
    rows = rows_of(Tokenizer.load(source), TEXT[:900], max_positions=ours.config.max_positions)
    found = agreement_of(ours, theirs, rows).figures()
    kl, top, largest, total = 0.0, 0, 0.0, 0
    for row in rows:
        with torch.no_grad():
            a = ours(torch.tensor([row])).logits_BTV[0].double()
            b = theirs(torch.tensor([row]), use_cache=False).logits[0].double()
        for mine, other in zip(a, b, strict=True):
            p, q = mine.softmax(0), other.softmax(0)
            kl += float((p * (p / q).log()).sum())
            top += int(mine.argmax() == other.argmax())
            largest, total = max(largest, float((mine - other).abs().max())), total + 1
    assert found["mean_kl"] == pytest.approx(kl / total) and found["mean_kl"] > 1e-4
    assert found["top1_agreement"] == top / total and found["max_logit_difference"] == pytest.approx(largest)
    assert 0.5 < found["routing_agreement"] < 1.0


@pytest.mark.parametrize(
    ("text", "size"), [("5GB", 5 * 10**9), ("500MB", 5 * 10**8), ("1.5 kb", 1500), ("4096", 4096), ("2TB", 2 * 10**12)]
)
def test_sizes_are_hugging_faces(text: str, size: int):
    assert parse_size(text, key="max_shard_size") == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "5 apples", "1e3"])
def test_no_size_is_refused(text: str):
    with pytest.raises(ValueError, match="max_shard_size=.* must be a size: use 5GB"):
        parse_size(text, key="max_shard_size")


def test_a_release_goes_nowhere_that_holds_something_else(source: Path, tmp_path: Path):
    def refusal(output: Path, *, overwrite: bool = True) -> str:
        with pytest.raises(ValueError) as caught:
            check_place(output, source, overwrite=overwrite)
        return str(caught.value)

    assert "must not lie in" in refusal(source)
    assert "must not lie in" in refusal(source / "release")
    assert "must not lie in" in refusal(source.parent)
    (tmp_path / "link").symlink_to(source.parent)
    assert "must not lie in" in refusal(tmp_path / "link" / "checkpoint" / "x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "to").symlink_to(tmp_path / "elsewhere")
    assert "is no directory" in refusal(tmp_path / "to")
    (tmp_path / "elsewhere" / "thesis.txt").write_text("years of work")
    assert "holds something else than a release" in refusal(tmp_path / "elsewhere")
    assert "holds something else than a release" in refusal(publish(tmp_path / "run", 3))  # a checkpoint is none
    assert "a name of its own" in refusal(Path("."))
    assert "a name of its own" in refusal(tmp_path / ".staging-x")
    (tmp_path / "empty").mkdir()
    check_place(tmp_path / "empty", source, overwrite=False)


def test_a_release_is_replaced_only_on_request(source: Path, tmp_path: Path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "manifest.json").write_text(json.dumps(release_manifest(source, torch.float32, {})))
    check_place(tmp_path / "r", source, overwrite=True)
    with pytest.raises(ValueError, match="holds a release already: choose another directory or set overwrite=true"):
        check_place(tmp_path / "r", source, overwrite=False)


def test_the_manifest_keeps_the_step_and_no_path(tmp_path: Path):
    checkpoint = publish(tmp_path / "alice", 7)
    head = json.loads((checkpoint / "manifest.json").read_text())
    head |= {
        "averaged_from": [{"path": "/home/alice/runs/x/step_5", "step": 5}, {"path": "/y", "step": 7}],
        "tokens": 9,
    }
    (checkpoint / "manifest.json").write_text(json.dumps(head))
    found = release_manifest(checkpoint, torch.bfloat16, {})
    assert found["exported_from"] == {"step": 7, "mean_of_steps": [5, 7]} and found["tokens"] == 9
    assert "alice" not in json.dumps(found) and found["dtype"] == "bfloat16"
    (tmp_path / "manifest.json").write_text(json.dumps(found))
    assert read_manifest(tmp_path) == found


def test_a_full_disk_is_known_before_anything_is_written(tmp_path: Path):
    with pytest.raises(ValueError, match="needs .* MiB but the disk has .* MiB free: free some space"):
        check_release_room(tmp_path / "not" / "yet" / "there", 2**60)
    check_release_room(tmp_path / "r", 1000)


HOSTILE_INDEX = ["../../etc/passwd", "/etc/passwd", "a/b.safetensors", "", "x\0y", 7]


@pytest.mark.parametrize("file", HOSTILE_INDEX)
def test_an_index_that_leaves_the_directory_is_refused(source: Path, tmp_path: Path, file: object):
    shutil.copytree(source, tmp_path / "s")
    index = tmp_path / "s" / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["model.norm.weight"] = file
    index.write_text(json.dumps(content))
    with pytest.raises(ValueError):
        release(tmp_path / "s", tmp_path / "r", ReleaseDtype.fp32)


@pytest.mark.parametrize("content", [b"root:x:0:0", (2**62).to_bytes(8, "little") + b"{}", b"", b"\xff" * 4096])
def test_what_a_link_leads_to_is_only_ever_read_as_safetensors(source: Path, tmp_path: Path, content: bytes):
    shutil.copytree(source, tmp_path / "s")
    (tmp_path / "secret").write_bytes(content)
    victim = next((tmp_path / "s").glob("model-*.safetensors"))
    victim.unlink()
    victim.symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match="cannot be read as safetensors"):
        release(tmp_path / "s", tmp_path / "r", ReleaseDtype.fp32)


def test_a_source_of_another_shape_is_refused(source: Path, tmp_path: Path):
    config = read_model_config(source)
    wrong = replace(config, d_model=config.d_model * 2)
    with pytest.raises(ValueError, match="has shape"):
        write_weights(tmp_path, wrong, read=reader_of(source), dtype=torch.float32, max_bytes=10**9)


def test_only_files_that_we_make_are_in_a_release(source: Path, tmp_path: Path):
    shutil.copytree(source, tmp_path / "s")
    (tmp_path / "s" / "modeling_evil.py").write_text("import os")
    (tmp_path / "s" / "tokenizer_evil.json").symlink_to("/etc/passwd")
    (tmp_path / "s" / "generation_config.json").write_text('{"custom_generate": "evil"}')
    names = {path.name for path in release(tmp_path / "s", tmp_path / "r", ReleaseDtype.bf16).iterdir()}
    weights = {name for name in names if name.startswith("model")}
    assert names - weights == {
        "config.json",
        "generation_config.json",
        "tokenizer.model",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "vocabulary.json",
        "chat_template.jinja",
    }
    assert "evil" not in (tmp_path / "r" / "generation_config.json").read_text()
    assert not any(os.path.islink(tmp_path / "r" / name) for name in names)
