"""Choices, drift and imbalance are counted right, on any number of ranks, and counting changes nothing that is learned."""

import json
import math
import tempfile
from pathlib import Path

import pytest
import torch

from mai1.data.loader import BatchConfig, Loader
from mai1.dist import World
from mai1.loss import counted_tokens
from mai1.model.init import initialize
from mai1.model.moe.balance import BalanceConfig, Counted
from mai1.model.moe.router import Router, Routing, Scores, TokenMarks
from mai1.model.moe.routing_policy import Choice, RoutingConfig
from mai1.model.transformer import MoETransformer
from mai1.train.alarms import AlarmConfig
from mai1.train.expert_figures import ChoiceCounter, RouterDrift, StepChoices, choice_figures, load_figures
from mai1.train.metrics import MetricsLog, WandbConfig
from mai1.train.step_log import StepLog
from tests.support.ranks import run_ranks
from tests.support.tiny import END_OF_TEXT, ByteRows, tiny_model_config, tiny_trainer, train

ALONE = World(0, 1, 0, torch.device("cpu"))
EXPERTS, SOURCES, WIDTH = 8, 3, 16
NAMES = ["docs", "code", "prose"]


def make_router(scores: Scores = Scores.sigmoid, **policy) -> Router:
    router = Router(
        WIDTH, num_experts=EXPERTS, top_k=2, scores=scores, normalize_weights=True, scaling_factor=1.0, num_groups=1,
        top_groups=1,
    )  # fmt: skip
    torch.nn.init.normal_(router.weight, generator=torch.Generator().manual_seed(0))
    router.policy = RoutingConfig(**policy)
    return router


def make_microbatch(router: Router, *, seed: int) -> tuple[Routing, torch.Tensor]:
    """Four rows of which one is half padding, with prompts that do not count, and tokens of three sources."""
    generator = torch.Generator().manual_seed(seed)
    valid_BT = torch.ones(4, 10, dtype=torch.bool)
    valid_BT[1, 5:] = False
    counted_BT = valid_BT & (torch.rand(4, 10, generator=generator) > 0.3)
    x_ND = torch.randn(40, WIDTH, generator=generator) + 0.5
    routing = router(x_ND, TokenMarks(valid_BT, counted_BT, None))
    return routing, torch.randint(0, SOURCES, (4, 10), generator=generator)


def counted(microbatches: list[tuple[Routing, torch.Tensor]]) -> StepChoices:
    counter = ChoiceCounter(num_layers=1, num_sources=SOURCES, num_experts=EXPERTS, device=ALONE.device)
    for routing, sources_BT in microbatches:
        counter.add([routing], sources_BT)
    return counter.over_ranks(ALONE, expert_parallel=1)


POLICIES = {
    "dropless": {},
    "capacity": {"capacity_factor": 0.75},
    "expert choice": {"choice": Choice.expert},
    "forced balance": {"forced_balance": True},
}


@pytest.mark.parametrize("policy", POLICIES)
def test_choices_by_source_equal_a_loop_over_tokens(policy: str):
    router = make_router(**POLICIES[policy]).train()
    microbatches = [make_microbatch(router, seed=seed) for seed in range(3)]
    by_source, rows = torch.zeros(SOURCES, EXPERTS), 0
    for routing, sources_BT in microbatches:
        tokens = zip(
            routing.experts_NK.tolist(), sources_BT.flatten().tolist(), routing.counted_BT.flatten(), strict=True
        )
        for experts, source, is_counted in tokens:
            for expert in experts:
                if expert < EXPERTS:  # beyond stands where a choice was dropped or none was made
                    rows += 1
                    by_source[source, expert] += bool(is_counted)
    choices = counted(microbatches)
    assert torch.equal(choices.by_source_LSE[0], by_source.long())
    assert choices.rows_LR.tolist() == [[rows]]
    all_counts_E = sum(routing.tokens_per_expert_E for routing, _ in microbatches)
    assert choices.by_source_LSE.sum() + choices.dropped_L.sum() == all_counts_E.sum()
    assert (choices.dropped_L.item() > 0) is (policy == "capacity")


def test_the_shares_of_a_source_are_of_what_its_tokens_chose():
    counts_LSE = torch.tensor([[[3, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 2]]])
    choices = StepChoices(counts_LSE, torch.tensor([3]), torch.tensor([[6, 2]]))
    [figures] = choice_figures(choices, source_names=NAMES, expert_parallel=2)
    assert figures.sources["docs"].load == [0.75, 0.25, 0, 0] and figures.sources["docs"].choices == 4
    assert figures.sources["prose"].load == [0, 0, 0.33333, 0.66667]
    assert "code" not in figures.sources  # not a token of it counted
    assert (figures.dropped, figures.dropped_share) == (3, 0.3)
    assert figures.rank_imbalance == 0.5
    [alone] = choice_figures(choices, source_names=NAMES, expert_parallel=1)
    assert alone.rank_imbalance is None


def test_load_figures_of_even_uneven_and_empty_counts():
    even, one, none = (load_figures(torch.tensor(counts)) for counts in ([5, 5, 5, 5], [8, 0, 0, 0], [0, 0, 0, 0]))
    assert (even.load, even.max_violation, even.dead_experts) == ([0.25] * 4, 0.0, 0)
    assert even.entropy == pytest.approx(math.log(4))
    assert (one.load, one.entropy, one.max_violation, one.dead_experts) == ([1.0, 0, 0, 0], 0.0, 3.0, 3)
    assert none.load == [0.0] * 4 and none.dead_experts == 4
    empty = StepChoices(torch.zeros(1, 3, 4).long(), torch.zeros(1).long(), torch.zeros(1, 2).long())
    [figures] = choice_figures(empty, source_names=NAMES, expert_parallel=2)
    assert (figures.sources, figures.dropped_share, figures.rank_imbalance) == ({}, 0.0, 0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_drift_is_the_relative_change_since_the_restart(dtype: torch.dtype):
    still, moved = make_router().to(dtype), make_router().to(dtype)
    drift = RouterDrift([still, moved])
    with torch.no_grad():
        moved.weight *= 1.5
        moved.selection_bias[3] -= 0.25
    first, second = drift.measure()
    assert (first.router_drift, first.bias_drift) == (0, 0)
    assert (second.router_drift, second.bias_drift) == (pytest.approx(0.5, rel=0.01), 0.25)
    drift.restart()
    assert drift.measure()[1].router_drift == 0
    [softmax] = RouterDrift([make_router(Scores.softmax)]).measure()
    assert softmax.bias_drift is None


BALANCE = BalanceConfig(bias_rate=1e-2, counted=Counted.targets)


def _count_one_step(world: World, settings: dict) -> list[list]:
    settings = {"rows": ByteRows(masked=True), "balance": BALANCE} | settings
    with tempfile.TemporaryDirectory() as folder:
        trainer = tiny_trainer(world, Path(folder), **settings)
        figures, _ = trainer.train_step(0, is_logged=True)
    choices = figures.choices
    return [figures.tokens_per_expert_LE.tolist(), *(getattr(choices, name).tolist() for name in choices.__slots__)]


def _rows_by_loop(num_ranks: int, expert_parallel: int) -> torch.Tensor:
    """Rows of each rank's experts in the first step, `[L, R]`: every rank's rows go through the whole model in turn."""
    model = MoETransformer(tiny_model_config())
    initialize(model, seed=1)
    rows_LR = torch.zeros(2, num_ranks, dtype=torch.int64)
    config = BatchConfig(sequences_per_step=8, sequences_per_microbatch=2)
    for rank in range(num_ranks):
        loader = Loader(ByteRows(masked=True), config, data_rank=rank, data_size=num_ranks, end_of_text_id=END_OF_TEXT)
        for batch in loader.microbatches(0):
            output = model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=batch.segments_BT)
            for layer, routing in enumerate(output.routings.values()):
                for expert in routing.experts_NK.flatten().tolist():
                    rows_LR[layer, rank // expert_parallel * expert_parallel + expert // (8 // expert_parallel)] += 1
    return rows_LR


@pytest.mark.parametrize(
    ("num_ranks", "settings"),
    [
        pytest.param(2, {}, id="two ranks"),
        pytest.param(2, {"expert_parallel": 2}, id="two ranks, expert parallel"),
        pytest.param(4, {"expert_parallel": 2}, id="four ranks, expert parallel 2"),
    ],
)
def test_counts_of_any_number_of_ranks_equal_those_of_one(num_ranks: int, settings: dict):
    [[load, by_source, dropped, _]] = run_ranks(_count_one_step, 1, {})
    assert torch.tensor(by_source).sum(1).tolist() == load  # nothing dropped: the sources make up the load
    assert all(sum(counts) > 0 for layer in by_source for counts in layer)
    expected_rows = _rows_by_loop(num_ranks, settings.get("expert_parallel", 1)).tolist()
    for result in run_ranks(_count_one_step, num_ranks, settings):
        assert result == [load, by_source, dropped, expected_rows]


def test_blocks_that_predict_further_tokens_are_counted_too():
    [[load, by_source, _, _]] = run_ranks(_count_one_step, 1, {"model": tiny_model_config(num_mtp_layers=1)})
    assert len(load) == 3 and torch.tensor(by_source).sum(1).tolist() == load


def test_dropped_choices_are_counted_alike_on_any_number_of_ranks():
    settings = {"routing": RoutingConfig(capacity_factor=1.0)}
    [[load, by_source, dropped, _]] = run_ranks(_count_one_step, 1, settings)
    assert min(dropped) > 0
    assert (torch.tensor(by_source).sum((1, 2)) + torch.tensor(dropped)).tolist() == torch.tensor(load).sum(1).tolist()
    for result in run_ranks(_count_one_step, 2, settings | {"expert_parallel": 2}):
        assert result[:3] == [load, by_source, dropped]


def _train_logged_and_not(world: World) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        plain, logged = (tiny_trainer(world, Path(folder), expert_parallel=2) for _ in range(2))
        train(plain, 3)
        logged.engine.model.train()
        for step in range(3):
            logged.train_step(step, is_logged=step != 1)
    pairs = zip(plain.engine.model.state_dict().values(), logged.engine.model.state_dict().values(), strict=True)
    return [float((one - other).abs().max()) for one, other in pairs]


def test_logging_changes_nothing_that_is_learned():
    for differences in run_ranks(_train_logged_and_not, 2):
        assert not any(differences)


def _fit(world: World, folder: str) -> None:
    """Six steps with a record every second one and a checkpoint after the fourth."""
    trainer = tiny_trainer(world, Path(folder), steps=6, expert_parallel=2)
    trainer.config.log_every, trainer.checkpoints.every_steps = 2, 4
    if world.is_main:
        metrics = MetricsLog(Path(folder), from_step=0, wandb=WandbConfig(), run_name="r", config={})
        routers = {layer: moe.router for layer, moe in trainer.engine.model.moe_layers().items()}
        trainer.log = StepLog(
            metrics, routers, alarms=AlarmConfig(after_steps=3, max_violation=0.01),
            source_names=trainer.loader.rows.source_names, expert_parallel=2,
        )  # fmt: skip
    trainer.fit()


def test_a_run_records_every_figure_of_every_layer(tmp_path: Path):
    run_ranks(_fit, 2, str(tmp_path))
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [2, 4, 6]
    for record in records:
        assert list(record["layers"]) == ["1", "2"]
        for layer in record["layers"].values():
            assert {"load", "entropy", "max_violation", "dead_experts"} < layer.keys()
            assert (layer["dropped"], layer["dropped_share"]) == (0, 0.0)
            assert layer["router_drift"] > 0 and layer["bias_drift"] > 0 and layer["rank_imbalance"] >= 0
            assert list(layer["sources"]) == ["first", "second", "third"]
            choices = [source["choices"] for source in layer["sources"].values()]
            assert sum(choices) == 8 * 48 * 2
            mean = [
                sum(s["load"][e] * s["choices"] for s in layer["sources"].values()) / sum(choices) for e in range(8)
            ]
            assert mean == pytest.approx(layer["load"], abs=1e-5)
    drifts = [record["layers"]["1"]["router_drift"] for record in records]
    assert drifts[2] < drifts[1]  # measured anew from the checkpoint
    violations = [[a for a in record["alarms"] if a["figure"] == "max_violation"] for record in records]
    assert [[alarm["layer"] for alarm in alarms] for alarms in violations] == [[], ["1", "2"], ["1", "2"]]
    assert violations[1][0]["value"] == records[1]["layers"]["1"]["max_violation"]


def test_the_counted_mask_of_the_loss_is_that_of_the_figures():
    [batch] = Loader(
        ByteRows(masked=True), BatchConfig(sequences_per_step=8, sequences_per_microbatch=8),
        end_of_text_id=END_OF_TEXT,
    ).microbatches(0)  # fmt: skip
    by_mask = {counted: int(counted_tokens(batch, counted).sum()) for counted in Counted}
    assert by_mask[Counted.targets] < by_mask[Counted.tokens]
    for counted_by in Counted:
        settings = {"balance": BalanceConfig(counted=counted_by), "microbatch": 8}
        [[_, by_source, _, _]] = run_ranks(_count_one_step, 1, settings)
        assert torch.tensor(by_source).sum((1, 2)).tolist() == [by_mask[counted_by] * 2] * 2
