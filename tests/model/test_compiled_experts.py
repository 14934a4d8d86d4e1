import platform
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mai1.dist import World
from mai1.engine.ds_config import EngineConfig, Precision
from mai1.model import c_library
from mai1.model.expert_kernels import ExpertKernels, use_kernels
from mai1.model.moe.compiled_experts import CompiledExperts, ExpertLibrary, compile_experts
from mai1.model.moe.expert_loop import ExpertLoop
from mai1.model.moe.grouping import Grouping, group_by_expert
from mai1.model.moe.layer import MoEConfig, MoELayer
from mai1.model.moe.routing_policy import RoutingConfig
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_trainer, train

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc compiles the kernel")
KEY = "engine.expert_kernels"


@pytest.fixture(scope="module")
def library() -> ExpertLibrary:
    return compile_experts(d_model=16, expert_width=16, key=KEY)


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def choices_of(num_tokens: int, num_experts: int, top_k: int, *, favoured: float = 0.0) -> Tensor:
    """Ids `[N, K]`, the first expert's more often where it is favoured; `num_experts` itself is no expert."""
    scores_NE = torch.randn(num_tokens, num_experts, generator=torch.Generator().manual_seed(1))
    scores_NE[:, 0] += favoured
    return scores_NE.topk(top_k).indices


CASES = {  # width, expert width, experts, choices
    "widths below a panel": (16, 16, 4, choices_of(37, 4, 2)),
    "widths that end within a panel": (144, 208, 5, choices_of(150, 5, 3)),
    "one token": (48, 80, 8, choices_of(1, 8, 2)),
    "most experts without a token": (64, 32, 16, choices_of(3, 16, 1)),
    "all on one expert, in several chunks": (32, 32, 3, torch.full((1200, 1), 1)),
    "one with most of the rows": (192, 96, 4, choices_of(700, 4, 2, favoured=4.0)),
    "choices of no expert": (32, 48, 4, choices_of(90, 6, 3).clamp(max=4)),
    "no choice of an expert": (32, 48, 4, torch.full((7, 2), 4)),
}


def make_inputs(width: int, expert_width: int, num_experts: int, experts_NK: Tensor) -> tuple[list[Tensor], Grouping]:
    """Tokens, weights, gate_up and down of any size, and who goes where."""
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    matrices = (draw(num_experts, 2 * expert_width, width), draw(num_experts, width, expert_width))
    inputs = [draw(len(experts_NK), width), draw(experts_NK.shape), *(m * m.shape[2] ** -0.5 for m in matrices)]
    return inputs, group_by_expert(experts_NK, num_experts=num_experts)


def answer_and_gradients(function, inputs: list[Tensor], *others: object) -> list[Tensor]:
    inputs = [tensor.clone().requires_grad_() for tensor in inputs]
    y_ND = function(*inputs, *others)
    direction_ND = torch.randn(y_ND.shape, generator=torch.Generator().manual_seed(2)).to(y_ND)
    return [y_ND.detach(), *torch.autograd.grad(y_ND, inputs, direction_ND)]


@needs_gcc
@pytest.mark.parametrize("case", CASES)
def test_answers_and_all_gradients_equal_the_loop_in_double_precision(case: str, library: ExpertLibrary):
    inputs, grouping = make_inputs(*CASES[case])
    expected = answer_and_gradients(ExpertLoop.apply, [tensor.double() for tensor in inputs], grouping)
    found = answer_and_gradients(CompiledExperts.apply, inputs, grouping, library)
    for slow, fast in zip(expected, found, strict=True):
        scale = slow.abs().max().item() if slow.numel() else 0.0
        torch.testing.assert_close(fast.double(), slow, rtol=0, atol=1e-5 * scale)


@needs_gcc
@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are names of x86 CPUs")
@pytest.mark.parametrize("cpu", ["x86-64", "x86-64-v3"])
def test_cpus_with_shorter_vectors_compute_the_same(cpu: str, library: ExpertLibrary, monkeypatch):
    if cpu == "x86-64-v3" and "avx2" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        pytest.skip("this CPU has no AVX2")
    monkeypatch.setattr(c_library, "FLAGS", (*c_library.FLAGS, f"-march={cpu}"))
    older, (inputs, grouping) = compile_experts(d_model=16, expert_width=16, key=KEY), make_inputs(*CASES["one token"])
    results = [answer_and_gradients(CompiledExperts.apply, inputs, grouping, which) for which in (library, older)]
    for new, old in zip(*results, strict=True):
        torch.testing.assert_close(old, new, rtol=1e-4, atol=1e-5)


@needs_gcc
@pytest.mark.parametrize("case", ["widths that end within a panel", "one with most of the rows"])
def test_results_are_the_same_to_the_bit_for_any_number_of_threads(case: str, library: ExpertLibrary):
    inputs, grouping = make_inputs(*CASES[case])
    results = []
    for num_threads in (1, 2, 2, 3):
        torch.set_num_threads(num_threads)
        results.append(answer_and_gradients(CompiledExperts.apply, inputs, grouping, library))
    for other in results[1:]:
        assert all(torch.equal(mine, first) for mine, first in zip(other, results[0], strict=True))


@needs_gcc
@pytest.mark.parametrize("gate", [-200.0, 200.0, float("nan")])
def test_extreme_gates_give_what_the_loop_gives(gate: float, library: ExpertLibrary):
    (x_ND, *others), grouping = make_inputs(*CASES["widths below a panel"])
    x_ND[3, 5] = gate
    expected = answer_and_gradients(ExpertLoop.apply, [x_ND, *others], grouping)
    found = answer_and_gradients(CompiledExperts.apply, [x_ND, *others], grouping, library)
    for slow, fast in zip(expected, found, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-3, equal_nan=True)


@needs_gcc
def test_infinite_inputs_do_not_look_finite(library: ExpertLibrary):
    """What watches for them looks at the loss and at the norm of all gradients."""
    (x_ND, *others), grouping = make_inputs(*CASES["widths below a panel"])
    x_ND[3, 5] = float("inf")
    y_ND, *gradients = answer_and_gradients(CompiledExperts.apply, [x_ND, *others], grouping, library)
    assert not y_ND[3].isfinite().any() and not any(gradient.isfinite().all() for gradient in gradients)


def make_layer(library: ExpertLibrary | None) -> MoELayer:
    layer = MoELayer(MoEConfig(num_experts=4, top_k=2, expert_width=32), d_model=48, expert_group=None)
    for n, parameter in enumerate(layer.parameters()):
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(n))
    layer.experts.kernels = library
    return layer


@needs_gcc
@pytest.mark.parametrize("policy", [{}, {"max_rows": 40}, {"capacity_factor": 1.0}, {"forced_balance": True}])
def test_a_layer_learns_the_same_over_several_updates(policy: dict, library: ExpertLibrary):
    """Chunks are computed twice, choices left out, and weights change in place between steps."""
    results = []
    for layer in (make_layer(None), make_layer(library)):
        layer.router.policy = RoutingConfig(**policy)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)
        for step in range(3):
            x_BTD = torch.randn(2, 40, 48, generator=torch.Generator().manual_seed(step), requires_grad=True)
            y_BTD, _ = layer(x_BTD)
            y_BTD.square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        results.append([y_BTD.detach(), x_BTD.grad, *(parameter.detach() for parameter in layer.parameters())])
    for slow, fast in zip(*results, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-5)


@needs_gcc
def test_without_gradients_many_rows_are_answered_alike(library: ExpertLibrary):
    x_BTD = torch.randn(1, 400, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = (make_layer(which)(x_BTD)[0] for which in (None, library))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def _train(world: World, folder: Path, kernels: str, settings: dict) -> list[tuple[float, float]]:
    prepare = partial(use_kernels, kernels=ExpertKernels[kernels], key=KEY)
    return train(tiny_trainer(world, folder / kernels, prepare=prepare, **settings), 4)


@needs_gcc
@pytest.mark.parametrize(
    "settings", [{"expert_parallel": 2}, {"zero_stage": 3, "recompute": True}], ids=["experts apart", "ZeRO-3"]
)
def test_ranks_learn_the_same_with_either_kernel(settings: dict, tmp_path: Path):
    figures = [run_ranks(_train, 2, tmp_path, kernels, settings)[0] for kernels in ("torch", "compiled")]
    assert figures[1] == [pytest.approx(step, rel=1e-4) for step in figures[0]]


def test_widths_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError, match=r"expert_kernels=compiled needs model\.moe\.expert_width=24 .* multiple of 16"
    ):
        compile_experts(d_model=32, expert_width=24, key=KEY)


def test_without_gcc_the_error_names_the_key_and_the_mend(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(
        ValueError, match=r"engine\.expert_kernels=compiled needs gcc .* use engine\.expert_kernels=torch"
    ):
        compile_experts(d_model=32, expert_width=32, key=KEY)


@needs_gcc
def test_a_kernel_that_cannot_be_loaded_is_refused_with_the_reason(monkeypatch):
    def refusing(name: str, **options: object) -> None:
        raise OSError("failed to map segment from shared object")

    monkeypatch.setattr(c_library.ctypes, "CDLL", refusing)
    with pytest.raises(
        ValueError, match=r"cannot be loaded \(failed to map .* TMPDIR .* use engine\.expert_kernels=torch"
    ):
        compile_experts(d_model=16, expert_width=16, key=KEY)


def test_other_formats_and_devices_are_refused():
    config = EngineConfig(expert_kernels=ExpertKernels.compiled)
    config.check_device(torch.device("cpu"))
    with pytest.raises(ValueError, match=r"this run is in bf16 on cpu: use engine\.expert_kernels=torch"):
        replace(config, precision=Precision.bf16).check_device(torch.device("cpu"))
    with pytest.raises(ValueError, match=r"this run is in bf16 on cuda: use engine\.expert_kernels=torch"):
        config.check_device(torch.device("cuda"))
