import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from mai1.dist import World
from mai1.engine.ds_config import EngineConfig
from mai1.model.expert_kernels import ExpertKernels, use_kernels
from mai1.model.moe import triton_experts
from mai1.model.moe.expert_loop import ExpertLoop
from mai1.model.moe.grouping import Grouping
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.model.moe.triton_experts import LARGE, SMALL, Tiles, ask_triton_experts
from tests.model.test_compiled_experts import CASES, answer_and_gradients, choices_of, make_inputs, make_layer
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer, train

triton = pytest.importorskip("triton")
KEY = "engine.expert_kernels"
WIDE, OLMOE = (1536, 256, 128), (2048, 1024, 64)
"""Width, width of an expert, experts."""
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
"""Without a GPU, Triton interprets the kernels."""


@pytest.mark.parametrize("case", [case for case in CASES if "chunks" not in case and "most of" not in case])
def test_answers_and_all_gradients_equal_the_loop_in_double_precision(case: str):
    inputs, grouping = make_inputs(*CASES[case])
    assert_equal_to_the_loop(inputs, grouping, torch.float32, tolerance=2e-6)


@pytest.mark.parametrize(("num_tokens", "num_experts"), [(20, 1), (0, 3)], ids=["one expert", "no token at all"])
def test_what_a_rank_of_many_may_hold_is_computed_too(num_tokens: int, num_experts: int):
    inputs, grouping = make_inputs(32, 48, num_experts, torch.zeros(num_tokens, 1, dtype=torch.int64))
    assert_equal_to_the_loop(inputs, grouping, torch.float32, tolerance=2e-6)


@pytest.mark.parametrize("is_contiguous", [True, False])
def test_torch_knows_what_the_operator_returns(is_contiguous: bool):
    """Shapes, strides, gradients and that nothing is changed in place: torch.compile and checkpoints rely on it."""
    (x_ND, *others), grouping = make_inputs(*CASES["widths below a panel"])
    x_ND = x_ND if is_contiguous else x_ND.t().contiguous().t()
    inputs = [tensor.to(DEVICE).requires_grad_() for tensor in (x_ND, *others)]
    lists = [tensor.to(DEVICE) for tensor in (grouping.token_R, grouping.row_NK, grouping.rows_per_expert_E)]
    torch.library.opcheck(torch.ops.mai1.experts.default, (*inputs, *lists, True))


@pytest.mark.parametrize("tiles", [SMALL, LARGE], ids=["small tiles", "large tiles"])
def test_sixteen_bits_are_summed_in_full(tiles: Tiles, monkeypatch):
    """In fp16: Triton's interpreter cannot multiply bf16."""
    monkeypatch.setattr(triton_experts, "_tiles", lambda *of: tiles)
    inputs, grouping = make_inputs(400, 264, 3, choices_of(260, 3, 1, favoured=1.0))
    assert_equal_to_the_loop(inputs, grouping, torch.float16, tolerance=3e-3)


def assert_equal_to_the_loop(
    inputs: list[torch.Tensor], grouping: Grouping, dtype: torch.dtype, *, tolerance: float
) -> None:
    expected = answer_and_gradients(ExpertLoop.apply, [tensor.double() for tensor in inputs], grouping)
    lists = (grouping.token_R, grouping.row_NK, grouping.rows_per_expert_E)
    grouping = Grouping(*(tensor.to(DEVICE) for tensor in lists), grouping.is_full)
    found = answer_and_gradients(ask_triton_experts, [tensor.to(DEVICE, dtype) for tensor in inputs], grouping)
    for slow, fast in zip(expected, found, strict=True):
        assert fast.dtype is dtype
        scale = slow.abs().max().item() if slow.numel() else 0.0
        torch.testing.assert_close(fast.double().cpu(), slow, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("policy", [{}, {"max_rows": 40}, {"capacity_factor": 1.0}])
def test_a_layer_computes_the_same_eagerly_and_in_one_graph(policy: dict):
    """Of torch.compile."""
    results = []
    for kernels, is_compiled in ((None, False), (ask_triton_experts, False), (ask_triton_experts, True)):
        layer = make_layer(kernels).to(DEVICE)
        layer.router.policy = RoutingConfig(**policy)
        ask = torch.compile(layer, backend="aot_eager", fullgraph=not policy) if is_compiled else layer
        x_BTD = torch.randn(2, 20, 48, generator=torch.Generator().manual_seed(0)).to(DEVICE).requires_grad_()
        y_BTD, _ = ask(x_BTD)
        y_BTD.square().mean().backward()
        results.append([y_BTD.detach(), x_BTD.grad, *(parameter.grad for parameter in layer.parameters())])
    for other in results[1:]:
        for expected, found in zip(results[0], other, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def _train(world: World, folder: Path, kernels: str, settings: dict) -> list[tuple[float, float]]:
    prepare = partial(use_kernels, kernels=ExpertKernels[kernels], key=KEY)
    return train(tiny_trainer(world, folder / kernels, prepare=prepare, **settings), 2)


@pytest.mark.skipif(DEVICE.type == "cuda", reason="these ranks are of the CPU, for which kernels are interpreted")
@pytest.mark.parametrize(
    "settings", [{"expert_parallel": 2}, {"zero_stage": 3, "recompute": True}], ids=["experts apart", "ZeRO-3"]
)
def test_ranks_learn_the_same_with_either_kernel(settings: dict, tmp_path: Path):
    figures = [run_ranks(_train, 2, tmp_path, kernels, settings)[0] for kernels in ("torch", "triton")]
    assert figures[1] == [pytest.approx(step, rel=1e-4) for step in figures[0]]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> list[dict]:
    """What became of every launch, for two shapes and three generations of GPUs."""
    environment = os.environ | {"TRITON_CACHE_DIR": str(tmp_path_factory.mktemp("triton"))}
    environment.pop("TRITON_INTERPRET", None)
    found = []
    for shape, capabilities in ((WIDE, ("90", "80", "100")), (OLMOE, ("90",))):
        command = [sys.executable, "-m", "tests.support.built_kernels", *map(str, shape), *capabilities]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[2])
        assert not done.returncode, done.stderr
        found += json.loads(done.stdout)
    return found


def test_kernels_build_for_three_generations_within_their_shared_memory(built: list[dict]):
    limits = {80: 163 * 1024, 90: 227 * 1024, 100: 227 * 1024}
    assert {launch["capability"] for launch in built} == set(limits)
    assert all(launch["shared"] <= limits[launch["capability"]] for launch in built)


def test_an_h100_would_keep_every_sum_in_registers(built: list[dict]):
    launches = [launch for launch in built if launch["capability"] == 90]
    assert len(launches) == 2 * 8 and not any(launch["spilled"] for launch in launches)


def test_an_h100_would_multiply_on_tensor_cores_and_copy_16_bytes_at_once(built: list[dict]):
    for launch in built:
        if launch["capability"] == 90 and launch["kernel"] != "sum_choices":
            assert launch["products"], launch
            assert launch["copies"]["0x10"] >= 8 * sum(launch["copies"].values()) // 9, (
                launch
            )  # the others are of token ids


def test_without_triton_the_error_names_the_key_and_the_mend(monkeypatch):
    monkeypatch.setattr(triton_experts, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"expert_kernels=triton needs .* use engine\.expert_kernels=torch"):
        triton_experts.check_triton(key=KEY)


def test_a_cpu_is_refused():
    config = EngineConfig(expert_kernels=ExpertKernels.triton)
    config.check_device(torch.device("cuda"))
    with pytest.raises(ValueError, match=r"triton computes on a GPU, and this run is on cpu: use .*=torch or compiled"):
        config.check_device(torch.device("cpu"))
