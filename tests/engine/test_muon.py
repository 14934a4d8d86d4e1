"""Muon under any ZeRO stage, expert parallelism, accumulation and clipping: the same steps as a plain loop over matrices."""

import math
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from mai1.checkpoint.checkpoint import load_checkpoint
from mai1.checkpoint.names import TensorName, local_tensors, tensor_names
from mai1.checkpoint.saver import save_checkpoint
from mai1.dist import World
from mai1.engine import muon
from mai1.engine.ds_config import Precision
from mai1.engine.engine import Update
from mai1.engine.muon import Holding, MatrixExchange, in_trips, matrices_of, share_out
from mai1.engine.topology import Place
from mai1.model.init import initialize
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.model.transformer import ModelConfig, MoETransformer
from mai1.optim.config import Method, OptimConfig
from mai1.optim.muon import POLAR_EXPRESS, Stack
from tests.support.ranks import run_ranks
from tests.support.tiny import tiny_model_config, tiny_trainer, train

STEPS = 20
OPTIM = OptimConfig(method=Method.muon, learning_rate=2e-3, warmup_steps=3, clip_norm=0.5, momentum=0.9)


class PlainEngine:
    """The whole optimizer as it is written down: one process, no DeepSpeed, one matrix of the published model after another."""

    def __init__(self, config: ModelConfig, world: World) -> None:
        self.model, self.world, self.place = MoETransformer(config), world, Place(data_rank=0, data_size=1)
        initialize(self.model, seed=1)
        self.model.set_routing(RoutingConfig(), seed=1)
        self.weights = dict(self.model.named_parameters())
        self.first = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}
        self.second = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}
        self.matrices = self.matrices_of(config)
        self.steps_made = 0

    @staticmethod
    def matrices_of(config: ModelConfig) -> list[TensorName]:
        """What Muon moves, by the published names."""
        return [t for t in tensor_names(config) if len(t.shape) == 2 and "embedding" not in t.name]

    def train_batch(
        self, batches: list, compute: Callable, *, learning_rate: float, accept: Callable[[float], bool]
    ) -> Update:
        self.model.zero_grad()
        for batch in batches:
            compute(batch, None)[1].backward()
        norm = math.sqrt(sum(weight.grad.square().sum().item() for weight in self.weights.values()))
        is_applied = accept(norm)
        if is_applied:
            for weight in self.weights.values():
                weight.grad *= min(1.0, OPTIM.clip_norm / (norm + 1e-6))
            self.update(learning_rate)
        return Update(norm, is_applied)

    @torch.no_grad()
    def update(self, learning_rate: float) -> None:
        self.steps_made += 1
        for tensor in self.matrices:
            cut = slice(tensor.start, tensor.start + tensor.numel)
            weight, moment = (x[tensor.name].view(-1)[cut] for x in (self.weights, self.first))
            gradient = self.weights[tensor.name].grad.view(-1)[cut]
            moment.copy_(OPTIM.momentum * moment + (1 - OPTIM.momentum) * gradient)
            update = OPTIM.momentum * moment + (1 - OPTIM.momentum) * gradient
            direction = 0.2 * math.sqrt(max(tensor.shape)) * polar(update.view(tensor.shape))
            weight.sub_(learning_rate * (OPTIM.weight_decay * weight + direction.flatten()))
        for name in self.weights.keys() - {tensor.name for tensor in self.matrices}:
            weight, first, second = self.weights[name], self.first[name], self.second[name]
            first.copy_(OPTIM.beta1 * first + (1 - OPTIM.beta1) * weight.grad)
            second.copy_(OPTIM.beta2 * second + (1 - OPTIM.beta2) * weight.grad.square())
            unbiased = second / (1 - OPTIM.beta2**self.steps_made)
            weight -= learning_rate * first / (1 - OPTIM.beta1**self.steps_made) / (unbiased.sqrt() + OPTIM.eps)


def polar(x: torch.Tensor) -> torch.Tensor:
    """Polar Express, term by term."""
    x = x / x.norm() / 1.01
    for a, b, c in POLAR_EXPRESS:
        x = a / 1.01 * x + b / 1.01**3 * x @ x.T @ x + c / 1.01**5 * x @ x.T @ x @ x.T @ x
    return x


def _run(world: World, settings: dict) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        is_plain = settings.pop("plain", False)
        trainer = tiny_trainer(world, Path(folder), optim=OPTIM, **settings)
        if is_plain:
            trainer.engine = PlainEngine(tiny_model_config(), world)
        figures = train(trainer, STEPS)
    if is_plain:
        weights = {name: (0, weight.detach()) for name, weight in trainer.engine.model.state_dict().items()}
        moments = {name: (0, moment) for name, moment in trainer.engine.first.items()}
    else:
        starts = {name: local.start for name, local in local_tensors(trainer.engine.model).items()}
        weights = {name: (starts[name], weight.clone()) for name, weight in trainer.engine.weights()}
        moments = {
            f.name: (starts[f.name] + f.start, next(iter(f.moments.values()))) for f in trainer.engine.fragments()
        }
    kinds = [] if is_plain else [(f.name, sorted(f.moments)) for f in trainer.engine.fragments()]
    as_lists = [{name: (start, x.flatten().tolist()) for name, (start, x) in t.items()} for t in (weights, moments)]
    return {"figures": figures, "weights": as_lists[0], "moments": as_lists[1], "kinds": kinds}


def _runs(world: World, all_settings: list[dict]) -> list[dict]:
    """Several runs in the same processes, which take long to start."""
    return [_run(world, dict(settings)) for settings in all_settings]


CASES = {
    1: [{"plain": True}, {"zero_stage": 1, "microbatch": 8}, {"zero_stage": 2}],
    2: [
        {"zero_stage": 1},
        {"zero_stage": 2, "expert_parallel": 2},
        {"zero_stage": 3, "offload_optimizer": True},
        {"zero_stage": 2, "sequence_parallel": 2},
        {"zero_stage": 1, "pipeline_parallel": 2},  # last, because DeepSpeed keeps a pipeline's groups
    ],
    4: [{"zero_stage": 2}, {"zero_stage": 2, "expert_parallel": 2}, {"zero_stage": 3, "expert_parallel": 2}],
}
"""By number of ranks."""


@pytest.fixture(scope="module")
def done() -> dict[int, list[list[dict]]]:
    """By number of ranks: what each of them made of each case."""
    return {}


def _results(done: dict, num_ranks: int, case: int) -> list[dict]:
    if num_ranks not in done:
        done[num_ranks] = run_ranks(_runs, num_ranks, CASES[num_ranks])
    return [of_rank[case] for of_rank in done[num_ranks]]


def _logical(results: list[dict], kind: str) -> dict[str, torch.Tensor]:
    """Every tensor whole, from the parts of all ranks."""
    parts: dict[str, dict[int, list[float]]] = {}
    for result in results:
        for name, (start, values) in result[kind].items():
            parts.setdefault(name, {})[start] = values
    return {name: torch.tensor([x for start in sorted(p) for x in p[start]]) for name, p in parts.items()}


@pytest.mark.parametrize(
    ("num_ranks", "case"),
    [
        pytest.param(num_ranks, case, id=f"{num_ranks} ranks {settings}")
        for num_ranks, cases in CASES.items()
        for case, settings in enumerate(cases)
        if "plain" not in settings
    ],
)
def test_muon_equals_a_loop_over_matrices(done: dict, num_ranks: int, case: int):
    expected, got = _results(done, 1, 0), _results(done, num_ranks, case)
    want = torch.tensor(expected[0]["figures"])
    for result in got:
        difference = (torch.tensor(result["figures"]) - want).abs() / want.abs().clamp(min=1)
        assert difference.max() < 1e-5, f"loss and gradient norm differ by {difference.max(0).values.tolist()}"
    for kind in ("weights", "moments"):
        reference, found = _logical(expected, kind), _logical(got, kind)
        assert reference.keys() == found.keys()
        worst = max((found[name] - reference[name]).abs().max().item() for name in reference)
        assert worst < 1e-4, f"{kind} differ by {worst}"


def test_matrices_keep_one_moment_and_the_rest_two(done: dict):
    matrices = {tensor.name for tensor in PlainEngine.matrices_of(tiny_model_config())}
    for result in _results(done, 2, 1):
        for name, kinds in result["kinds"]:
            assert kinds == (["momentum_buffer"] if name in matrices else ["exp_avg", "exp_avg_sq"])


def _refuse_one_step(world: World) -> list[tuple[bool, bool]]:
    """Whether anything moved in a refused step, and in the same step accepted."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = tiny_trainer(world, Path(folder), optim=OPTIM)
        train(trainer, 2)
        engine, moved = trainer.engine, []
        for verdict in (False, True):
            before = [(f.master.clone(), {k: m.clone() for k, m in f.moments.items()}) for f in engine.fragments()]
            engine.train_batch(
                trainer.loader.microbatches(2),
                lambda batch, x_BTD: (x_BTD, engine.model(batch.tokens_BT).hidden_BTD.square().mean()),
                learning_rate=1e-3,
                accept=lambda grad_norm, verdict=verdict: verdict,
            )
            pairs = list(zip(before, engine.fragments(), strict=True))
            masters = all(torch.equal(master, f.master) for (master, _), f in pairs)
            moments = all(torch.equal(m, f.moments[k]) for (_, kept), f in pairs for k, m in kept.items())
            moved.append((not masters, not moments))
    return moved


def test_a_refused_step_leaves_weights_and_momentum():
    assert run_ranks(_refuse_one_step, 2) == [[(False, False), (True, True)]] * 2


def _save_and_go_on(world: World, folder: str, settings: dict) -> list[tuple[float, float]]:
    trainer = tiny_trainer(world, Path(folder), optim=OPTIM, **settings)
    train(trainer, 5)
    save_checkpoint(Path(folder), trainer.engine, trainer.state, files=trainer.files)
    return train(trainer, 4)


def _resume(world: World, folder: str, settings: dict) -> list[tuple[float, float]]:
    trainer = tiny_trainer(world, Path(folder), optim=OPTIM, **settings)
    trainer.state = load_checkpoint(Path(folder) / "step_00000005", trainer.engine)
    return train(trainer, 4)


def test_momentum_survives_a_change_of_ranks_experts_and_stage(tmp_path: Path):
    expected = run_ranks(_save_and_go_on, 2, str(tmp_path), {"expert_parallel": 2})[0]
    got = run_ranks(_resume, 4, str(tmp_path), {"zero_stage": 3, "expert_parallel": 2})[0]
    assert torch.allclose(torch.tensor(got), torch.tensor(expected), atol=1e-5, rtol=0)


def _train_in_bf16(world: World) -> tuple[list, set[torch.dtype]]:
    with tempfile.TemporaryDirectory() as folder:
        trainer = tiny_trainer(world, Path(folder), optim=OPTIM, precision=Precision.bf16)
        figures = train(trainer, 6)
        return figures, {moment.dtype for f in trainer.engine.fragments() for moment in f.moments.values()}


def test_bf16_weights_keep_fp32_momentum_and_learn_alike(done: dict):
    expected = torch.tensor(_results(done, 1, 0)[0]["figures"])[:6, 0]
    for figures, dtypes in run_ranks(_train_in_bf16, 2):
        assert dtypes == {torch.float32}
        assert (torch.tensor(figures)[:, 0] - expected).abs().max() < 0.02


STACKS = [Stack(3, 8, 4), Stack(1, 5, 7), Stack(4, 4, 8), Stack(1, 6, 6)]
"""295 elements."""
CUTS = [(0, 295), (1, 100), (50, 200), (150, 151), (96, 131), (110, 110), (295, 295)]
"""Where the parts of the second and third rank begin: inside matrices, at their borders, both in one, and empty parts."""


def _exchange(world: World) -> list[float]:
    """The largest error of any cut, at once and a few matrices at a time."""
    values = torch.randn(295, generator=torch.Generator().manual_seed(3))
    errors = []
    for cut in CUTS:
        edges = [0, *cut, 295]
        for muon.ELEMENTS_AT_ONCE in (2**27, 40):
            mine = values[edges[world.rank] : edges[world.rank + 1]].clone()
            _exchange_of(edges, world, torch.float32)(mine)
            want = _one_by_one(values)[edges[world.rank] : edges[world.rank + 1]]
            errors.append((mine - want).abs().max().item() if len(mine) else 0.0)
    return errors


def _exchange_of(edges: list[int], world: World, dtype: torch.dtype) -> MatrixExchange:
    holdings, origins, begin = [], [], 0
    for stack in STACKS:
        end = begin + stack.count * stack.numel
        parts = [(rank, max(begin, low), min(end, high)) for rank, (low, high) in enumerate(pairwise(edges))]
        holdings.append([Holding(rank, low - begin, high - begin) for rank, low, high in parts if low < high])
        origins.append(begin - edges[world.rank])
        begin = end
    return MatrixExchange(STACKS, holdings, origins, group=None, device=world.device, dtype=dtype)


def _one_by_one(values: torch.Tensor) -> torch.Tensor:
    shapes = [(stack.rows, stack.columns) for stack in STACKS for _ in range(stack.count)]
    matrices = values.split([rows * columns for rows, columns in shapes])
    directions = [0.2 * math.sqrt(max(shape)) * polar(x.view(shape)) for x, shape in zip(matrices, shapes, strict=True)]
    return torch.cat([direction.flatten() for direction in directions])


def test_matrices_cut_anywhere_come_whole_and_go_back():
    assert max(max(errors) for errors in run_ranks(_exchange, 3)) < 1e-5


def test_no_rank_makes_more_matrices_orthogonal_than_its_share():
    """64 equal matrices, held by 8 ranks as ZeRO-3 does: each cut in eighths, or an expert on each rank."""
    eighths = [[Holding(rank, 8 * rank, 8 * rank + 8) for rank in range(8)] for _ in range(32)]
    matrices = [m for i, held in enumerate(eighths) for m in matrices_of(Stack(1, 8, 8), held, parameter=i)]
    whole = [Holding(rank, 256 * rank, 256 * rank + 256) for rank in range(8)]
    matrices += matrices_of(Stack(32, 8, 8), whole, parameter=32)
    share_out(matrices, num_ranks=8)
    assert [sum(m.owner == rank for m in matrices) for rank in range(8)] == [8] * 8
    assert all(matrix.owner == matrix.parts[0].rank for matrix in matrices if len(matrix.parts) == 1)


def test_what_is_made_orthogonal_at_once_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(muon, "ELEMENTS_AT_ONCE", 100)
    matrices = list(matrices_of(Stack(20, 6, 10), [Holding(0, 0, 1200)], parameter=0))
    share_out(matrices, num_ranks=1)
    trips = in_trips(matrices)
    assert sorted(m.start for trip in trips for m in trip) == [60 * i for i in range(20)]
    assert max(len(trip) for trip in trips) == 2  # the last may reach over the bound
