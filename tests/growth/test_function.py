"""What growth keeps of the function, against the source itself, on real text."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mai1.checkpoint.inference import load_model, read_model_config
from mai1.checkpoint.verify import verify
from mai1.checkpoint.weights import INDEX
from mai1.model.moe.router import Scores
from mai1.run.grow import GrowConfig, Method, Rows
from mai1.run.grow_text import read_rows
from mai1.run.growth import grow
from tests.growth.conftest import SOURCES
from tests.support.checkpoints import ALONE

MOES = [name for name in SOURCES if name != "single expert"]


def grown(source: Path, output: Path, **settings) -> Path:
    list(grow(GrowConfig(checkpoint=str(source), output=str(output), **settings), output))
    return output


def logits(directory: Path, rows: list[list[int]]) -> torch.Tensor:
    with torch.no_grad():
        return load_model(directory)(torch.tensor(rows)).logits_BTV


def assert_same_function(source: Path, result: Path, rows: list[list[int]]) -> None:
    before = logits(source, rows)
    assert before.std() > 0.05
    assert torch.allclose(before, logits(result, rows), atol=1e-5, rtol=1e-5)
    assert not verify(result, ALONE)


@pytest.mark.parametrize("name", MOES)
@pytest.mark.parametrize("parts", [2, 4])
def test_split_experts_sum_to_what_they_were(sources, rows, tmp_path, name, parts):
    result = grown(sources[name], tmp_path / "out", method=Method.split, parts=parts)
    before, after = read_model_config(sources[name]).moe, read_model_config(result).moe
    assert after.num_experts == parts * before.num_experts and after.top_k == parts * before.top_k
    assert after.expert_width * parts == before.expert_width
    assert_same_function(sources[name], result, rows)


@pytest.mark.parametrize("name", MOES)
def test_clones_that_are_all_chosen_change_nothing(sources, rows, tmp_path, name):
    result = grown(sources[name], tmp_path / "out", method=Method.clone, copies=3)
    assert read_model_config(result).moe.top_k == 3 * read_model_config(sources[name]).moe.top_k
    assert_same_function(sources[name], result, rows)


@pytest.mark.parametrize("name", [n for n in MOES if SOURCES[n].moe.scores.value == "sigmoid"])
def test_added_experts_that_no_token_chooses_change_nothing(sources, rows, tmp_path, name):
    settings = {"experts": 3, "sources": [1, 5], "noise": 0.3, "redrawn": 0.5}
    result = grown(sources[name], tmp_path / "out", method=Method.add, **settings)
    assert read_model_config(result).moe.num_experts == read_model_config(sources[name]).moe.num_experts + 3
    assert_same_function(sources[name], result, rows)


@pytest.mark.parametrize(
    "settings",
    [
        {"expert_width": 96, "experts": 4},
        {"expert_width": 32, "experts": 9, "top_k": 3},
        {"expert_width": 40, "experts": 12, "top_k": 6},
    ],
    ids=["whole networks, narrower ones padded", "three slices", "slices of which the last is padded"],
)
def test_upcycling_dense_layers_and_single_experts_keeps_the_function(sources, rows, tmp_path, settings):
    result = grown(sources["single expert"], tmp_path / "out", method=Method.upcycle, **settings)
    assert read_model_config(result).num_dense_layers == 0
    assert_same_function(sources["single expert"], result, rows)


@pytest.mark.parametrize(
    "settings", [{}, {"scores": Scores.sigmoid, "shared_experts": 1, "expert_width": 32, "top_k": 4}], ids=str
)
@pytest.mark.parametrize("name", ["llama", "mistral", "qwen3"])
def test_an_upcycled_dense_model_computes_in_transformers_what_the_dense_one_did(dense, rows, tmp_path, name, settings):
    transformers = pytest.importorskip("transformers")
    result = grown(dense[name], tmp_path / "out", method=Method.upcycle, experts=8, **settings)
    with torch.no_grad():
        before = transformers.AutoModelForCausalLM.from_pretrained(dense[name])(torch.tensor(rows)).logits
        after = transformers.AutoModelForCausalLM.from_pretrained(result)(torch.tensor(rows)).logits
    assert before.std() > 0.3
    assert torch.allclose(before, after, atol=1e-5 * float(before.abs().max()), rtol=1e-4)
    assert torch.allclose(after, logits(result, rows), atol=1e-4)
    expected = "Glm4MoeForCausalLM" if settings else {"qwen3": "Qwen3MoeForCausalLM"}.get(name, "MixtralForCausalLM")
    assert json.loads((result / "config.json").read_text())["architectures"] == [expected]


def test_first_layers_can_stay_dense(dense, rows, tmp_path):
    result = grown(dense["qwen3"], tmp_path / "out", method=Method.upcycle, dense_layers=2)
    assert read_model_config(result).num_dense_layers == 2
    plain = grown(dense["qwen3"], tmp_path / "plain", method=Method.upcycle)
    assert torch.allclose(logits(result, rows), logits(plain, rows), atol=1e-5)


@pytest.mark.parametrize("changes", [{"noise": 0.2}, {"redrawn": 0.5}], ids=str)
def test_noise_and_redrawn_channels_make_experts_differ_and_keep_the_statistics(dense, tmp_path, changes):
    result = load_model(grown(dense["qwen3"], tmp_path / "out", method=Method.upcycle, **changes))
    source = load_model(grown(dense["qwen3"], tmp_path / "plain", method=Method.upcycle))
    for name, weight in result.state_dict().items():
        other = source.state_dict()[name]
        if ".experts." not in name:
            assert torch.equal(weight, other)
            continue
        assert not torch.equal(weight[0], weight[1])
        assert abs(float(weight.std() / other.std()) - 1) < 0.1
        if "redrawn" in changes:  # half of each expert's channels are as they were
            same = (weight == other).float().mean()
            assert abs(float(same) - 0.5) < 0.02


def test_pruning_drops_the_experts_of_fewest_choices(sources, rows, tmp_path):
    source = sources["mixtral"]
    result = grown(source, tmp_path / "out", method=Method.prune, experts=5)
    before, after = load_model(source), load_model(result)
    with torch.no_grad():
        routings = [
            before(torch.tensor([row])).routings
            for row in read_rows(GrowConfig(), source, [], vocab_size=before.config.vocab_size)
        ]
    for layer, moe in after.moe_layers().items():
        counts = sum(routing[layer].tokens_per_expert_E for routing in routings)
        kept = sorted(counts.argsort(descending=True, stable=True)[:5].tolist())
        old = before.moe_layers()[layer]
        assert torch.equal(moe.router.weight, old.router.weight[kept])
        assert torch.equal(moe.experts.gate_up, old.experts.gate_up[kept])
        assert torch.equal(moe.experts.down, old.experts.down[kept])


@pytest.fixture(scope="module")
def two_domains(tmp_path_factory) -> dict[str, Path]:
    """Prose and code; nothing of the one looks like the other."""
    folder = tmp_path_factory.mktemp("domains")
    (folder / "old.txt").write_text("The house stood on a hill, and the wind came over the sea all night. " * 400)
    (folder / "new.txt").write_text("if x[17] == 42: y = {3: 0x5F, 8: (99, 12)}; z += 123456789 / 10\n" * 400)
    return {name: folder / f"{name}.txt" for name in ("old", "new")}


def shares_of_new_experts(source: Path, output: Path, domains: dict[str, Path], **settings) -> dict[str, float]:
    """Of each domain's choices, how many fall on two experts that were added for the new one."""
    settings |= {"text": [str(domains["old"])], "new_text": [str(domains["new"])], "experts": 2, "rows": Rows.apart}
    model, shares = load_model(grown(source, output, method=Method.add, **settings)), {}
    for name, path in domains.items():
        with torch.no_grad():
            routings = model(torch.tensor([list(path.read_bytes()[:4096])]).view(-1, 256)).routings.values()
        chosen = torch.stack([routing.tokens_per_expert_E for routing in routings])
        shares[name] = float(chosen[:, 8:].sum() / chosen.sum())
    return shares


@pytest.mark.parametrize("name", ["glm4_moe", "mixtral"])
def test_rows_apart_are_chosen_by_the_new_text_and_hardly_by_the_old(sources, tmp_path, two_domains, name):
    shares = shares_of_new_experts(sources[name], tmp_path / "out", two_domains, margin=4.0)
    assert shares["old"] < 0.02 and shares["new"] > 0.3, shares


def test_margin_and_allowed_share_say_how_far_domains_are_held_apart(sources, tmp_path, two_domains):
    near = shares_of_new_experts(sources["mixtral"], tmp_path / "near", two_domains, margin=0.05)
    far = shares_of_new_experts(sources["mixtral"], tmp_path / "far", two_domains, margin=6.0)
    assert far["new"] > near["new"]
    strict, lax = (
        shares_of_new_experts(sources["glm4_moe"], tmp_path / f"{share}", two_domains, margin=0.02, allowed_share=share)
        for share in (0.0, 0.8)
    )
    assert lax["old"] > strict["old"]


def test_the_same_seed_draws_the_same_and_another_seed_other_rows(dense, tmp_path):
    results = [
        load_model(grown(dense["qwen3"], tmp_path / str(i), method=Method.upcycle, seed=seed, noise=0.1)).state_dict()
        for i, seed in enumerate((3, 3, 4))
    ]
    assert all(torch.equal(value, results[1][name]) for name, value in results[0].items())
    for name in ("layers.0.ffn.router.weight", "layers.0.ffn.experts.down"):
        assert not torch.equal(results[0][name], results[2][name])


def test_rows_are_taken_evenly_from_all_of_the_text(sources, tmp_path):
    (tmp_path / "text.jsonl").write_text('{"body": "' + "a" * 100 + "b" * 100 + 'c"}\n')
    config = GrowConfig(text_field="body", row_length=20, measured_rows=4)
    found = read_rows(config, sources["mixtral"], [str(tmp_path / "text.jsonl")], vocab_size=384)
    assert found == [[ord("a")] * 20] * 2 + [[ord("b")] * 20] * 2


def test_bf16_weights_stay_bf16_and_selection_biases_fp32(sources, tmp_path):
    (tmp_path / "bf16").mkdir()
    (tmp_path / "bf16/config.json").write_bytes((sources["glm4_moe"] / "config.json").read_bytes())
    for path in sources["glm4_moe"].glob("model-*.safetensors"):
        tensors = load_file(path)
        tensors = {name: t if name.endswith("bias") else t.bfloat16() for name, t in tensors.items()}
        save_file(tensors, tmp_path / "bf16" / path.name)
    shutil.copy(sources["glm4_moe"] / INDEX, tmp_path / "bf16")
    result = grown(tmp_path / "bf16", tmp_path / "out", method=Method.clone, copies=2)
    found = {name: tensor for path in result.glob("*.safetensors") for name, tensor in load_file(path).items()}
    assert {t.dtype for name, t in found.items() if name.endswith("bias")} == {torch.float32}
    assert {t.dtype for name, t in found.items() if not name.endswith("bias")} == {torch.bfloat16}
