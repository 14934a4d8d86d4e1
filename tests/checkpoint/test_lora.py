"""A checkpoint of a run with adapters: merged weights for everybody, and all that resuming needs on any topology."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mai1.checkpoint.adapters import weights_digest
from mai1.checkpoint.average import average_checkpoints
from mai1.checkpoint.checkpoint import load_checkpoint
from mai1.checkpoint.inference import load_model
from mai1.checkpoint.prove_merged import load_adapted, prove_merged
from mai1.checkpoint.saver import save_checkpoint
from mai1.checkpoint.summary import lines_of, summary_of
from mai1.checkpoint.verify import verify
from mai1.engine.ds_config import Precision
from mai1.model.lora import A_SUFFIX, LoraConfig, LoraScaling, LoraTarget, WholePart, is_factor
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from tests.checkpoint.test_resume import logical, pieces_of
from tests.support.checkpoints import ALONE
from tests.support.ranks import run_ranks
from tests.support.tiny import family_configs, tiny_trainer, train

LORA = LoraConfig(rank=4, alpha=16.0, targets=list(LoraTarget), scaling=LoraScaling.rank_stabilized)
PARTLY = LoraConfig(rank=8, targets=[LoraTarget.experts], trained_whole=[WholePart.router, WholePart.norms])
TOPOLOGIES = {
    "1 rank": (1, {}),
    "2 ranks, expert parallel": (2, {"expert_parallel": 2}),
    "2 ranks, ZeRO-3": (2, {"zero_stage": 3}),
    "2 stages": (2, {"pipeline_parallel": 2, "zero_stage": 1}),
    "4 ranks, expert parallel 2, ZeRO-3": (4, {"expert_parallel": 2, "zero_stage": 3}),
}
NAMES = list(TOPOLOGIES)


def save(trainer, folder: Path) -> Path:
    return save_checkpoint(folder, trainer.engine, trainer.state, files=trainer.files)


def tokens() -> torch.Tensor:
    return torch.randint(0, 384, (2, 40), generator=torch.Generator().manual_seed(4))


def _train_and_compare(world, folder: str, family: str) -> tuple[list, list[str]]:
    """Logits of the adapted model, after some steps and a save; and names of what moved."""
    model = family_configs()[family]
    trainer = tiny_trainer(
        world, Path(folder), model=model, lora=LORA, balance=BalanceConfig(method=BalanceMethod.none)
    )
    before = {name: weight.clone() for name, weight in trainer.engine.weights()}
    train(trainer, 4)
    save(trainer, Path(folder))
    with torch.no_grad():
        logits = trainer.engine.model.eval()(tokens()).logits_BTV
    return logits.tolist(), [name for name, weight in trainer.engine.weights() if not torch.equal(before[name], weight)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder, logits and what moved of a short run of a family, made when first asked for."""
    known = {}

    def of(family: str) -> tuple[Path, torch.Tensor, list[str]]:
        if family not in known:
            folder = tmp_path_factory.mktemp(family)
            [(logits, moved)] = run_ranks(_train_and_compare, 1, str(folder), family)
            known[family] = folder / "step_00000004", torch.tensor(logits), moved
        return known[family]

    return of


@pytest.mark.parametrize("family", ["glm4_moe_mtp", "deepseek_v3", "qwen3_moe", "mixtral"])
def test_a_merged_checkpoint_gives_the_logits_of_the_adapted_model(trained, family):
    directory, logits, moved = trained(family)
    with torch.no_grad():
        torch.testing.assert_close(load_model(directory)(tokens()).logits_BTV, logits, atol=1e-5, rtol=0)
    assert moved and not [name for name in moved if not is_factor(name)]
    assert not verify(directory, ALONE)


@pytest.mark.parametrize("family", ["glm4_moe_mtp", "deepseek_v3", "qwen3_moe", "olmoe", "mixtral"])
def test_transformers_gives_the_logits_of_the_adapted_model(trained, family):
    from transformers import AutoModelForCausalLM

    directory, logits, _ = trained(family)
    theirs = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    with torch.no_grad():
        torch.testing.assert_close(theirs(tokens()).logits, logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["glm4_moe_mtp", "deepseek_v3", "qwen3_moe", "olmoe", "mixtral"])
def test_peft_gives_the_logits_of_the_adapted_model(trained, family, tmp_path):
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    directory, logits, _ = trained(family)
    [base] = run_ranks(_save_base, 1, str(tmp_path), family)
    theirs = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    theirs = peft.PeftModel.from_pretrained(theirs, directory / "adapter").eval()
    with torch.no_grad():
        torch.testing.assert_close(theirs(tokens()).logits, logits, atol=1e-5, rtol=0)


def with_its_base(checkpoint: Path, base: Path, folder: Path) -> Path:
    """A copy of a checkpoint whose manifest names the base's digest, as the manifest of a run made by a command does."""
    copy = Path(shutil.copytree(checkpoint, folder / "copy"))
    manifest = json.loads((copy / "manifest.json").read_bytes())
    manifest["lora"]["base"] = weights_digest(base, ALONE)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    return copy


@pytest.mark.parametrize("family", ["glm4_moe_mtp", "deepseek_v3", "mixtral"])
def test_merged_weights_and_logits_are_those_of_base_and_adapters(trained, family, tmp_path):
    directory, logits, _ = trained(family)
    [base] = run_ranks(_save_base, 1, str(tmp_path), family)
    copy = with_its_base(directory, Path(base), tmp_path)
    proof, before = prove_merged(copy, Path(base)), load_file(Path(base) / "model-00001-of-00001.safetensors")
    after = load_file(copy / "model-00001-of-00001.safetensors")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == set(proof.adapted) and not moved & set(proof.unchanged) and proof.max_difference < 1e-6
    adapted, merged = load_adapted(copy, Path(base))
    with torch.no_grad():
        for model in (adapted, merged):
            torch.testing.assert_close(model(tokens()).logits_BTV, logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        ("model.layers.1.self_attn.q_proj.weight", "q_proj.weight is not its base plus its adapter"),
        ("model.layers.2.mlp.experts.5.up_proj.weight", "experts.5.up_proj.weight is not its base plus its adapter"),
        ("model.embed_tokens.weight", "model.embed_tokens.weight has no adapter but is not that of"),
        ("model.norm.weight", "model.norm.weight has no adapter but is not that of"),
    ],
)
@pytest.mark.parametrize("change", [1e-4, math.nan])
def test_one_weight_that_is_another_is_found(trained, tmp_path, tensor, said, change):
    directory, _, _ = trained("qwen3_moe")
    [base] = run_ranks(_save_base, 1, str(tmp_path), "qwen3_moe")
    copy = with_its_base(directory, Path(base), tmp_path)
    weights = load_file(copy / "model-00001-of-00001.safetensors")
    weights[tensor].view(-1)[7] += change
    save_file(weights, copy / "model-00001-of-00001.safetensors")
    with pytest.raises(ValueError, match=said):
        prove_merged(copy, Path(base))


def _save_in_bf16(world, folder: str) -> tuple[str, str]:
    """A base in fp32, and a checkpoint of a short run from it in bf16, with routers and norms trained whole."""
    base = save(tiny_trainer(world, Path(folder) / "base"), Path(folder) / "base")
    trainer = tiny_trainer(world, Path(folder), lora=PARTLY, precision=Precision.bf16)
    train(trainer, 3)
    return str(base), str(save(trainer, Path(folder)))


def test_what_was_rounded_to_bf16_or_trained_whole_is_told_apart(tmp_path):
    [(base, directory)] = run_ranks(_save_in_bf16, 1, str(tmp_path))
    proof = prove_merged(with_its_base(Path(directory), Path(base), tmp_path), Path(base))
    assert proof.is_rounded and 0 < proof.max_difference < 1e-3
    assert all(".experts." in name for name in proof.adapted) and proof.adapted
    assert {name.split(".")[-2] for name in proof.trained_whole} >= {"gate", "input_layernorm", "norm", "q_norm"}
    assert "model.embed_tokens.weight" in proof.unchanged and len(proof.unchanged) > 5


@pytest.mark.parametrize("lora", [{"rank": 2**40}, {"rank": 64}, {"scaling": "cubic"}, {"targets": ["everything"]}])
def test_adapters_that_a_manifest_makes_up_are_refused_before_memory_is_taken(trained, lora, tmp_path):
    directory, _, _ = trained("mixtral")
    copy = with_its_base(directory, directory, tmp_path)
    manifest = json.loads((copy / "manifest.json").read_bytes())
    manifest["lora"] |= lora
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"lora.rank=1099511627776 is more than|lora is none of ours|has no element"):
        prove_merged(copy, directory)


def _save_base(world, folder: str, family: str) -> str:
    return str(save(tiny_trainer(world, Path(folder), model=family_configs()[family]), Path(folder)))


def _interrupted_and_not(world, folder: str, settings: dict) -> tuple:
    """Train 6 steps; and 3, save, load into fresh objects, 3 more. Returns figures and whether all state is identical."""
    straight = tiny_trainer(world, Path(folder), **settings)
    expected = train(straight, 6)
    first = tiny_trainer(world, Path(folder), **settings)
    train(first, 3)
    saved = save(first, Path(folder))
    second = tiny_trainer(world, Path(folder), **settings)
    second.state = load_checkpoint(saved, second.engine)
    got = train(second, 3)
    pairs = zip(pieces_of(straight), pieces_of(second), strict=True)
    return expected[3:], got, [name for (name, _, want), (_, _, have) in pairs if not np.array_equal(want, have)]


@pytest.mark.parametrize(
    ("num_ranks", "settings"),
    [
        pytest.param(1, {"lora": LORA}, id="one rank"),
        pytest.param(1, {"lora": LORA, "precision": Precision.bf16}, id="one rank, bf16"),
        pytest.param(1, {"lora": PARTLY}, id="one rank, routers and norms whole"),
        pytest.param(2, {"lora": PARTLY, "expert_parallel": 2}, id="two ranks, expert parallel"),
        pytest.param(2, {"lora": LORA, "zero_stage": 3}, id="two ranks, ZeRO-3"),
    ],
)
def test_resumed_training_is_bitwise_equal_to_uninterrupted(tmp_path, num_ranks, settings):
    for expected, got, differing in run_ranks(_interrupted_and_not, num_ranks, str(tmp_path), settings):
        assert got == expected
        assert not differing


def _train_and_save(world, folder: str, settings: dict) -> tuple[list, list]:
    trainer = tiny_trainer(world, Path(folder), lora=LORA, **settings)
    train(trainer, 3)
    save(trainer, Path(folder))
    return pieces_of(trainer), train(trainer, 3)


def _load_and_train(world, folder: str, settings: dict) -> tuple[list, list]:
    trainer = tiny_trainer(world, Path(folder) / "other", lora=LORA, **settings)
    trainer.state = load_checkpoint(Path(folder) / "step_00000003", trainer.engine)
    return pieces_of(trainer), train(trainer, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after"), list(zip(NAMES, NAMES[1:] + NAMES[:1], strict=True)), ids=lambda name: name
)
def test_any_topology_resumes_any_other_exactly(tmp_path, before, after):
    saved = run_ranks(_train_and_save, TOPOLOGIES[before][0], str(tmp_path), TOPOLOGIES[before][1])
    loaded = run_ranks(_load_and_train, TOPOLOGIES[after][0], str(tmp_path), TOPOLOGIES[after][1])
    want, have = (logical([state for state, _ in results]) for results in (saved, loaded))
    assert want.keys() == have.keys()
    assert not [name for name in want if not np.array_equal(want[name], have[name])]
    assert np.allclose(loaded[0][1], saved[0][1], atol=1e-5, rtol=0)


def test_only_adapters_have_optimizer_state(trained):
    directory, _, _ = trained("qwen3_moe")
    table = json.loads((directory / "manifest.json").read_bytes())["optimizer"]
    assert set(table) == {"master", "exp_avg", "exp_avg_sq"}
    assert all(is_factor(name) for names in table.values() for name in names)


def test_peft_files_hold_every_experts_factors(trained):
    """The layout that PEFT 0.21 reads, undone by its own formula: of every expert B A is what the weights moved by."""
    directory, _, _ = trained("qwen3_moe")
    settings = json.loads((directory / "adapter" / "adapter_config.json").read_bytes())
    assert settings["use_rslora"] and settings["r"] == 4 and settings["lora_alpha"] == 16.0
    tensors = load_file(directory / "adapter" / "adapter_model.safetensors")
    weights = load_model(directory).state_dict()
    [base] = run_ranks(_base_weights, 1, str(directory.parent / "base"))
    for prefix, name in (("experts.base_layer", "gate_up"), ("experts", "down")):
        a, b = (tensors[f"base_model.model.model.layers.2.mlp.{prefix}.lora_{x}.weight"] for x in "AB")
        a_ERI, b_ORE = a.reshape(8, 4, -1), b.reshape(b.shape[0], 4, 8)
        moved = weights[f"layers.2.ffn.experts.{name}"] - torch.tensor(base[name])
        torch.testing.assert_close(torch.einsum("ore,eri->eoi", b_ORE, a_ERI) * 8.0, moved, atol=1e-6, rtol=1e-4)
        assert moved.abs().max() > 1e-4


def _base_weights(world, folder: str) -> dict[str, list]:
    experts = (
        tiny_trainer(world, Path(folder), model=family_configs()["qwen3_moe"]).engine.model.moe_layers()[2].experts
    )
    return {"gate_up": experts.gate_up.tolist(), "down": experts.down.tolist()}


def _save_partly(world, folder: str) -> None:
    trainer = tiny_trainer(world, Path(folder), lora=PARTLY)
    train(trainer, 1)
    save(trainer, Path(folder))


def test_no_peft_files_where_they_would_not_be_all_that_changed(tmp_path):
    run_ranks(_save_partly, 1, str(tmp_path))
    assert not (tmp_path / "step_00000001" / "adapter").exists() and not verify(tmp_path / "step_00000001", ALONE)


def test_show_says_what_was_trained(trained):
    directory, _, _ = trained("qwen3_moe")
    summary = summary_of(directory)
    factors = [name for name in json.loads((directory / "manifest.json").read_bytes())["optimizer"]["master"]]
    assert summary["lora"]["rank"] == 4 and summary["lora"]["parameters"] > 0
    assert len([name for name in factors if name.endswith(A_SUFFIX)]) * 2 == len(factors)
    [line] = [line for line in lines_of(summary) if "LoRA" in line]
    assert (
        "rank 4" in line
        and "attention, router, experts, dense" in line
        and f"{summary['lora']['parameters']:,}" in line
    )


def test_averages_are_of_merged_weights_and_have_no_adapter(trained, tmp_path):
    directory, _, _ = trained("qwen3_moe")
    average_checkpoints([directory, directory], tmp_path / "mean")
    assert not (tmp_path / "mean" / "adapter").exists()
    mean, own = load_model(tmp_path / "mean").state_dict(), load_model(directory).state_dict()
    assert all(torch.equal(mean[name], own[name]) for name in own)


def _refused(world, folder: str, lora: LoraConfig | None) -> str:
    trainer = tiny_trainer(world, Path(folder) / "other", model=family_configs()["qwen3_moe"], lora=lora)
    with pytest.raises(ValueError) as caught:
        load_checkpoint(Path(folder) / "step_00000004", trainer.engine)
    return str(caught.value)


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        (None, "lora.rank=0 but"),
        (LoraConfig(rank=8, alpha=16.0), "lora.rank=8 but"),
        (LoraConfig(rank=4, alpha=16.0, targets=[LoraTarget.router]), "lora.scaling=standard but"),
    ],
)
def test_a_run_with_other_adapters_is_refused(trained, lora, message):
    directory, _, _ = trained("qwen3_moe")
    [text] = run_ranks(_refused, 1, str(directory.parent), lora)
    assert message in text and "resume with the old value" in text


def test_the_digest_names_the_weights_and_nothing_else(trained, tmp_path):
    directory, _, _ = trained("mixtral")
    before = weights_digest(directory, ALONE)
    (directory / "README.md").write_text("notes")
    (directory / "trainer" / "more.json").write_text("{}")
    assert weights_digest(directory, ALONE) == before
    assert run_ranks(_digest, 2, str(directory)) == [before, before]
    weights = next(directory.glob("model-*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert weights_digest(directory, ALONE) != before
    content[-1] ^= 1
    weights.write_bytes(content)


def _digest(world, directory: str) -> str:
    return weights_digest(Path(directory), world)
