"""Our own writer of safetensors, and reading that believes nothing a file says."""

import hashlib
import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mai1.checkpoint.families import to_hf_config
from mai1.checkpoint.inference import load_model
from mai1.checkpoint.manifest import read_manifest
from mai1.checkpoint.tensor_file import BLOCK_BYTES, TensorSpec, write_bytes, write_tensors
from mai1.checkpoint.weights import INDEX
from mai1.model.init import initialize
from mai1.model.transformer import MoETransformer
from tests.support.checkpoints import publish
from tests.support.model_files import write_model
from tests.support.tiny import tiny_model_config

TENSORS = {
    "b": torch.arange(7, dtype=torch.float32),
    "a.weight": torch.randn(3, 5, generator=torch.Generator().manual_seed(0)).bfloat16(),
    "large": torch.randn(BLOCK_BYTES // 4 + 100, generator=torch.Generator().manual_seed(1)),
    "one": torch.ones(1, 1, dtype=torch.float64),
}


def write(path: Path) -> dict:
    specs = {name: TensorSpec(tensor.dtype, tuple(tensor.shape)) for name, tensor in TENSORS.items()}
    return write_tensors(path, specs, TENSORS.__getitem__)


def test_the_library_reads_what_is_written_and_writes_the_same_bytes(tmp_path):
    write(tmp_path / "ours"), save_file(TENSORS, tmp_path / "theirs", metadata={"format": "pt"})
    found = load_file(tmp_path / "ours")
    assert found.keys() == TENSORS.keys()
    assert all(
        torch.equal(found[name], tensor) and found[name].dtype is tensor.dtype for name, tensor in TENSORS.items()
    )
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_size_and_hash_are_those_of_the_file(tmp_path):
    for path, facts in (
        (tmp_path / "a", write(tmp_path / "a")),
        (tmp_path / "b", write_bytes(tmp_path / "b", b"x" * 9)),
    ):
        content = path.read_bytes()
        assert facts == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Umask:"))
    return int(line.split()[1], 8)


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A sound model, to be spoilt."""
    model = MoETransformer(tiny_model_config())
    initialize(model, seed=0)
    write_model(tmp_path, model)
    content = to_hf_config(model.config, dtype="float32", end_of_text_id=256, stop_ids=[256], pad_id=257)
    (tmp_path / "config.json").write_text(json.dumps(content))
    load_model(tmp_path)
    return tmp_path


FILE = "model-00001-of-00001.safetensors"


def _with_header(path: Path, change) -> None:
    """Rewrite the header of a safetensors file, whatever becomes of it."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.dumps(change(json.loads(content[8 : 8 + size]))).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + content[8 + size :])


def _offsets(name: str, offsets: list):
    return lambda header: header | {name: header[name] | {"data_offsets": offsets}}


NAME = "model.norm.weight"
SPOILT_HEADERS = {
    "overlapping": _offsets(NAME, [0, 256]),
    "beyond the end": _offsets(NAME, [2**40, 2**40 + 256]),
    "negative": _offsets(NAME, [-256, 0]),
    "backwards": _offsets(NAME, [256, 0]),
    "not numbers": _offsets(NAME, ["a", None]),
    "absurd shape": lambda header: header | {NAME: header[NAME] | {"shape": [2**62, 2**62]}},
    "unknown type": lambda header: header | {NAME: header[NAME] | {"dtype": "Q4"}},
    "integers": lambda header: header | {NAME: header[NAME] | {"dtype": "I32"}},
    "no tensors": lambda header: {},
    "no object": lambda header: [],
}


@pytest.mark.parametrize("kind", SPOILT_HEADERS)
def test_a_spoilt_header_is_refused_by_name(model_folder, kind):
    _with_header(model_folder / FILE, SPOILT_HEADERS[kind])
    with pytest.raises(ValueError, match=FILE):
        load_model(model_folder)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8, struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 10**8) + b"{}"]
)
def test_a_header_bomb_costs_no_memory(model_folder, content):
    (model_folder / FILE).write_bytes(content + b"\0" * 10**6)
    with pytest.raises(ValueError, match=FILE):
        load_model(model_folder)


@pytest.mark.parametrize(
    "index",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"weight_map": 3}',
        '{"weight_map": {"model.norm.weight": 3}}',
        '{"weight_map": {"model.norm.weight": ["a"]}}',
        '{"weight_map": {"model.norm.weight": "../secret.safetensors"}}',
        '{"weight_map": {"model.norm.weight": "/etc/passwd"}}',
        '{"weight_map": {"model.norm.weight": ".."}}',
        '{"weight_map": {"model.norm.weight": "a\\u0000b"}}',
        '{"weight_map": {}}',
    ],
)
def test_an_index_that_leads_elsewhere_is_refused(model_folder, index):
    (model_folder / INDEX).write_text(index)
    with pytest.raises(ValueError, match=r"index\.json|has no tensor"):
        load_model(model_folder)


SHA = "0" * 64
ENTRY = {"bytes": 1, "sha256": SHA}
STATE = "trainer/optimizer-00001-of-00001.safetensors"


def single_piece(piece: list) -> dict:
    """A table of version 1."""
    return {"version": 1, "files": {STATE: ENTRY}, "optimizer": {"exp_avg": {"x": [piece]}}}


def runs(run: list | str, *, world_size: int = 1) -> dict:
    """A table of today's version."""
    table = {"exp_avg": {"x": [run]}}
    return {"version": 2, "world_size": world_size, "files": {STATE: ENTRY}, "optimizer": table}


SPOILT_MANIFESTS = {
    "another format": {"format": "other"},
    "another version": {"version": 9},
    "absolute path": {"files": {"/etc/passwd": ENTRY}},
    "path upwards": {"files": {"../../x": ENTRY}},
    "hidden path upwards": {"files": {"a/../../x": ENTRY}},
    "path with a zero byte": {"files": {"a\0b": ENTRY}},
    "the directory itself": {"files": {".": ENTRY}},
    "a huge size": {"files": {"a": {"bytes": 10**30, "sha256": SHA}}},
    "a negative size": {"files": {"a": {"bytes": -1, "sha256": SHA}}},
    "a size that is none": {"files": {"a": {"bytes": True, "sha256": SHA}}},
    "a hash that is none": {"files": {"a": {"bytes": 1, "sha256": "x"}}},
    "files that are none": {"files": 3},
    "a rank that is none": {"files": {"a": ENTRY | {"rank": "x"}}},
    "a step that is none": {"step": "../x"},
    "a piece of no file": single_piece([0, 1, "../secret", "exp_avg|x|0"]),
    "a piece with an absurd start": single_piece([2**70, 1, STATE, f"exp_avg|x|{2**70}"]),
    "a piece with a negative length": single_piece([0, -1, STATE, "exp_avg|x|0"]),
    "a piece of another shape": single_piece([0, 1]),
    "an optimizer that is none": {"optimizer": [1]},
    "a piece in another rank's file by its key": single_piece([0, 1, STATE, "exp_avg|y|0"]),
    "a piece in a file of more ranks": single_piece([0, 1, STATE.replace("of-00001", "of-00002"), "exp_avg|x|0"]),
    "a run of no rank's file": runs([0, 1, 2, 0, 1, 0]),
    "a run of a part there is not": runs([0, 1, 1, 0, 0, 1]),
    "a run of more pieces than there are files": runs([0, 1, 2**61, 0, 1, 0], world_size=2**61),
    "a run that goes on for ever": runs([0, 1, 2**61, 0, 2**61, 0]),
    "a run of no pieces": runs([0, 1, 0, 0, 0, 0]),
    "a run of nothing": runs([0, 0, 1, 0, 0, 0]),
    "a run with an absurd start": runs([2**70, 1, 1, 0, 0, 0]),
    "a run that ends absurdly": runs([0, 2**40, 2**40, 0, 0, 0]),
    "a run that goes backwards": runs([0, 1, 2, 1, -1, 0]),
    "a run in other numbers": runs([0, 1, 1, 0, False, 0]),
    "a run of another shape": runs([0, 1, 1, 0, 0]),
    "a run that is none": runs("012345"),
    "runs that are none": {"version": 2, "optimizer": {"exp_avg": {"x": 3}}},
}


@pytest.mark.parametrize("kind", SPOILT_MANIFESTS)
def test_a_manifest_that_says_what_cannot_be_is_refused(tmp_path, kind):
    path = publish(tmp_path, 1) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | SPOILT_MANIFESTS[kind]))
    with pytest.raises(
        ValueError, match=r"manifest\.json is no manifest of a mai1 checkpoint .* use another checkpoint"
    ):
        read_manifest(path.parent)


def test_a_sound_table_of_either_version_is_read_as_the_same(tmp_path):
    path = publish(tmp_path, 1) / "manifest.json"
    whole = json.loads(path.read_text())
    for changes in (single_piece([0, 1, STATE, "exp_avg|x|0"]), runs([0, 1, 1, 0, 0, 0])):
        path.write_text(json.dumps(whole | changes))
        assert read_manifest(path.parent)["optimizer"] == {"exp_avg": {"x": [[0, 1, 1, 0, 0, 0]]}}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"3", b"\xff\xfe", b"[" * 100_000, b'{"step": ' + b"9" * 10_000 + b"}"]
)
def test_a_torn_manifest_is_refused(tmp_path, content):
    path = publish(tmp_path, 1) / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"manifest\.json is no manifest"):
        read_manifest(path.parent)
