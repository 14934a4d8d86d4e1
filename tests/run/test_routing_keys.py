"""What a person sets under `routing:`, `balance:`, `selection:` and `ledger:` is what the run trains by."""

from pathlib import Path

from mai1.dist import World
from mai1.model.moe.balance import BalanceConfig, BalanceMethod, Counted
from mai1.model.moe.routing_policy import RoutingConfig, noise_seed
from mai1.run.build import build_trainer
from mai1.run.compose import compose_config
from mai1.run.config import PretrainConfig
from mai1.run.stage import check_stage, pretraining_stage
from mai1.run.train import _claim
from mai1.train.ledger import LedgerConfig
from mai1.train.selection import Unlearned
from mai1.watch.rank_watch import RankWatch
from tests.run.conftest import TINY_RUN
from tests.support.ranks import run_ranks

KEYS = [
    "run.seed=3",
    "routing.jitter=0.25",
    "routing.capacity_factor=1.5",
    "balance.method=global_loss",
    "balance.loss_weight=0.5",
    "balance.counted=tokens",
    "selection.method=drop_learned",
    "selection.learned_below=0.25",
    "ledger.max_epochs=7",
]


def _settings_in_use(world: World, corpus: str, runs: str) -> tuple:
    """The policy and noise of every router, the trainer's balancing, its selection and its ledger."""
    config = compose_config(
        "pretrain", PretrainConfig, [*TINY_RUN, *KEYS, f"data.path={corpus}", f"run.directory={runs}"]
    )
    stage = pretraining_stage(config)
    check_stage(stage, world_size=1)
    _claim(stage)
    trainer = build_trainer(stage, world, stop=False, watch=RankWatch.off(world))
    routers = [moe.router for moe in trainer.engine.model.moe_layers().values()]
    of_routers = [(router.policy, router.noise_seed) for router in routers]
    return of_routers, trainer.objective.balance, trainer.objective.selection_at(0), trainer.ledger


def test_a_runs_routing_and_balancing_reach_every_router_and_the_trainer(corpus: Path, tmp_path: Path):
    [(of_routers, balance, selection, ledger)] = run_ranks(_settings_in_use, 1, str(corpus), str(tmp_path))
    assert of_routers == [(RoutingConfig(jitter=0.25, capacity_factor=1.5), noise_seed(3, 1))]
    assert balance == BalanceConfig(method=BalanceMethod.global_loss, loss_weight=0.5, counted=Counted.tokens)
    assert selection == Unlearned(0.25) and ledger.config == LedgerConfig(max_epochs=7)
    assert ledger.flops_per_choice == 18 * 32 * 32 and ledger.flops_per_position > 3 * 2 * 32 * 600
