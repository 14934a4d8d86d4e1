"""Optimizer state that grows along: what is carried is what training in the new parameters would have left."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from mai1.checkpoint.checkpoint import load_checkpoint, read_state
from mai1.checkpoint.inference import load_model
from mai1.checkpoint.manifest import read_manifest
from mai1.checkpoint.names import logical_shapes, tensor_names
from mai1.checkpoint.optimizer_state import StateReader
from mai1.checkpoint.saver import save_checkpoint
from mai1.engine.ds_config import Precision
from mai1.growth import methods
from mai1.growth.grown import Grown
from mai1.growth.source import WEIGHT
from mai1.growth.upcycle import grown_config, upcycle
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.transformer import MoETransformer
from mai1.optim.config import Method as OptimMethod
from mai1.run.grow import Method
from tests.growth.conftest import SOURCES, STEPS, settings_of
from tests.growth.test_function import MOES, grown
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer, train


class InMemory:
    """A source whose `exp_avg` are a model's gradients."""

    table = {}

    def __init__(self, model: MoETransformer) -> None:
        self.tensors = {WEIGHT: model.state_dict(), "exp_avg": {n: p.grad for n, p in model.named_parameters()}}

    def read(self, kind: str, name: str, start: int, shape: tuple[int, ...]) -> torch.Tensor:
        count = torch.Size(shape).numel()
        return self.tensors[kind][name].detach().flatten()[start : start + count].clone().view(shape)

    def dtype_of(self, *_: object) -> torch.dtype:
        return torch.float32


def with_gradients(model: MoETransformer, rows: list[list[int]]) -> MoETransformer:
    tokens = torch.tensor(rows)
    F.cross_entropy(model(tokens).logits_BTV[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).backward()
    return model


def carried_and_found(plan, source: MoETransformer, rows) -> tuple[dict, dict]:
    """Of the grown model: the moments carried from the source's gradients, and its own gradients, by our names."""
    grower, model = Grown(plan, InMemory(source)), MoETransformer(replace(plan.config, num_mtp_layers=0)).eval()
    shapes, carried, weights = logical_shapes(model.config), {}, {}
    for tensor in tensor_names(model.config):
        for kind, into in ((WEIGHT, weights), ("exp_avg", carried)):
            if kind == "exp_avg" and tensor.name.endswith("selection_bias"):
                continue
            flat = into.setdefault(tensor.name, torch.empty(shapes[tensor.name])).view(-1)
            flat[tensor.start : tensor.start + tensor.numel] = grower.state(kind, tensor).flatten()
    model.load_state_dict(weights)
    return carried, {name: p.grad for name, p in with_gradients(model, rows).named_parameters()}


@pytest.mark.parametrize("name", MOES)
@pytest.mark.parametrize("method", ["split", "clone"])
def test_carried_moments_are_the_gradients_of_the_grown_parameters(sources, rows, name, method):
    source = with_gradients(load_model(sources[name]), rows)
    grow = {"split": lambda c: methods.split(c, parts=2), "clone": lambda c: methods.clone(c, copies=2)}[method]
    carried, found = carried_and_found(grow(source.config), source, rows)
    for name, gradient in found.items():
        expected = carried[name]
        if (
            name.endswith("router.weight") and method == "split"
        ):  # parts differ, so their rows' gradients do: the sum stays
            gradient, expected = (t.view(-1, 2, t.shape[1]).sum(1) for t in (gradient, expected))
        assert gradient.abs().max() > 0
        assert torch.allclose(gradient, expected, atol=2e-4 * float(expected.abs().max()) + 1e-9), name


def test_moments_of_upcycled_experts_add_up_to_the_dense_layers(sources, rows):
    source = with_gradients(load_model(sources["single expert"]), rows)
    shape = {"num_experts": 9, "top_k": 3, "expert_width": 32, "num_shared_experts": 0, "dense_layers": 0}
    carried, found = carried_and_found(upcycle(source.config, grown_config(source.config, **shape)), source, rows)
    for layer in range(3):
        prefix, slices = f"layers.{layer}.ffn.experts", 1 if layer == 2 else 3
        for name in (f"{prefix}.gate_up", f"{prefix}.down"):
            sums = [t.view(-1, slices, *t.shape[1:]).sum(0) for t in (found[name], carried[name])]
            assert torch.allclose(*sums, atol=1e-4 * float(sums[1].abs().max()))
        assert not carried[f"layers.{layer}.ffn.router.weight"].any()


def _resumed(world, folder: str, checkpoint: str, settings: dict, num_steps: int) -> tuple[list, dict]:
    trainer = tiny_trainer(world, Path(folder), **settings)
    trainer.state = load_checkpoint(Path(checkpoint), trainer.engine)
    figures = train(trainer, num_steps)
    saved = save_checkpoint(Path(folder), trainer.engine, trainer.state, files=trainer.files)
    return figures, str(saved)


@pytest.mark.parametrize("name", ["glm4_moe", "olmoe"])
def test_training_clones_equals_training_the_experts_they_are_of(sources, tmp_path, name):
    """Clones that are all chosen get equal gradients, so by the carried moments they move as one."""
    result = grown(sources[name], tmp_path / "out", method=Method.clone, copies=2)
    config = methods.clone(SOURCES[name], copies=2).config
    settings = settings_of(SOURCES[name])
    ((before, kept),) = run_ranks(_resumed, 1, str(tmp_path / "a"), str(sources[name]), settings, 4)
    ((after, moved),) = run_ranks(_resumed, 1, str(tmp_path / "b"), str(result), settings | {"model": config}, 4)
    assert [loss for loss, _ in after] == pytest.approx([loss for loss, _ in before], rel=2e-5)
    for layer, moe in load_model(Path(moved)).moe_layers().items():
        single = load_model(Path(kept)).moe_layers()[layer]
        for mine, old in ((moe.experts.gate_up, single.experts.gate_up), (moe.router.weight, single.router.weight)):
            mine = mine.view(len(old), 2, *old.shape[1:])
            assert torch.allclose(mine[:, 0], mine[:, 1], atol=2e-5)
            assert torch.allclose(mine[:, 0], old, atol=1e-4)


@pytest.mark.parametrize("topology", [{"expert_parallel": 2}, {"zero_stage": 3}], ids=str)
def test_a_grown_checkpoint_resumes_on_two_ranks_as_on_one(sources, tmp_path, topology):
    result = grown(sources["glm4_moe"], tmp_path / "out", method=Method.split, parts=2)
    settings = settings_of(SOURCES["glm4_moe"]) | {"model": methods.split(SOURCES["glm4_moe"], parts=2).config}
    ((alone, _),) = run_ranks(_resumed, 1, str(tmp_path / "a"), str(result), settings, 3)
    for figures, _ in run_ranks(_resumed, 2, str(tmp_path / "b"), str(result), settings | topology, 3):
        assert torch.allclose(torch.tensor(figures), torch.tensor(alone), rtol=1e-4)


def _save(world, folder: str, settings: dict) -> None:
    trainer = tiny_trainer(world, Path(folder), **settings)
    train(trainer, 2)
    save_checkpoint(Path(folder), trainer.engine, trainer.state, files=trainer.files)


@pytest.mark.parametrize("method", list(OptimMethod), ids=lambda method: method.value)
def test_masters_and_every_moment_are_carried_with_bf16_weights(tmp_path, method):
    settings = settings_of(SOURCES["qwen3_moe"])
    settings |= {"precision": Precision.bf16, "optim": replace(settings["optim"], method=method)}
    settings |= {"balance": BalanceConfig(method=BalanceMethod.global_loss)}
    run_ranks(_save, 1, str(tmp_path), settings)
    source = tmp_path / "step_00000002"
    result = grown(source, tmp_path / "out", method=Method.split, parts=2)
    before, after = (read_manifest(path) for path in (source, result))
    assert after["optimizer"].keys() == before["optimizer"].keys() and after["optimizer_step"] == 2
    assert "master" in after["optimizer"] and after["dtype"] == "bfloat16"
    name, width, d_model = "layers.1.ffn.experts.down", 32, 64
    for kind in before["optimizer"]:
        if name not in before["optimizer"][kind]:
            continue
        old, new = torch.empty(8, d_model, width), torch.empty(16, d_model, width // 2)
        StateReader(source, before["optimizer"], num_ranks=1).read(kind, name, 0, old.view(-1))
        StateReader(result, after["optimizer"], num_ranks=1).read(kind, name, 0, new.view(-1))
        factor = {"master": 2.0, "exp_avg_sq": 0.25}.get(kind, 0.5)
        halves = torch.cat([new[0::2], new[1::2]], dim=2) / factor
        assert old.abs().max() > 0 and torch.equal(halves, old), kind
    weights = load_model(result).layers[1].ffn.experts.down
    assert torch.equal(weights, new_master(result, after, weights.shape).bfloat16().float())


def new_master(result: Path, manifest: dict, shape: torch.Size) -> torch.Tensor:
    master = torch.empty(shape)
    StateReader(result, manifest["optimizer"], num_ranks=1).read(
        "master", "layers.1.ffn.experts.down", 0, master.view(-1)
    )
    return master


def test_the_state_goes_on_where_it_was(sources, tmp_path):
    source = sources["glm4_moe"]
    before, after = read_state(source), read_state(grown(source, tmp_path / "out", method=Method.clone, copies=2))
    assert (after.step, after.tokens, after.data_fingerprint) == (STEPS, before.tokens, before.data_fingerprint)
    assert after.tokens_per_expert == [[n for n in layer for _ in range(2)] for layer in before.tokens_per_expert]
    assert [entry["method"] for entry in after.lineage] == ["clone"]
