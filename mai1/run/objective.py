"""What a stage minimises and what it measures between steps."""

from functools import partial

import torch

from mai1.dist import World
from mai1.evaluate.pairs import Mismatched, answer_logps
from mai1.evaluate.rows import Measuring
from mai1.model.embedding_noise import EmbeddingNoise, noise_key
from mai1.model.transformer import MoETransformer
from mai1.objective.next_token import NextToken
from mai1.objective.objective import Objective
from mai1.objective.preference import Preference
from mai1.run.config import AlignConfig, StageConfig, TuningConfig
from mai1.run.stage import Stage
from mai1.train.evaluation import Evaluation, HeldoutPairs
from mai1.train.router_policy import apply_router_policy
from mai1.train.routing_probe import RoutingProbe, probe_rows
from mai1.train.start_figures import StartFigures, model_identity

REFERENCE_FILE = "reference.safetensors"
"""In the run's directory: the start model's log-probabilities of all pairs' answers, fp64 `[P, 2]`."""


def prepare_tuning(model: MoETransformer, config: StageConfig) -> None:
    """Routers and embeddings as the stage wants them in training; before the engine takes the model."""
    if not isinstance(config, TuningConfig):
        return
    apply_router_policy(model, config.router.policy)
    if config.neftune.alpha:
        model.embedding_noise = EmbeddingNoise(config.neftune.alpha, noise_key(config.run.seed))


def objective_and_evaluation(stage: Stage, measuring: Measuring, *, step: int) -> tuple[Objective, Evaluation]:
    """What the stage's steps minimise, and what is measured between them. Every rank must call this.

    Before the first step the start model passes over all pairs, where the objective needs to know what it says of them.
    """
    config, data = stage.config, stage.data
    evaluation = Evaluation(measuring=measuring, heldout=data.heldout, probe=_probe_of(stage, measuring.world))
    side = {"loss": config.loss, "balance": config.balance, "num_mtp_layers": stage.model_config.num_mtp_layers}
    if not isinstance(config, AlignConfig):
        selection_at = partial(config.selection.at, seed=config.run.seed)
        return NextToken(**side, selection_at=selection_at), evaluation
    reference = _reference(stage, measuring, step=step) if config.preference.needs_reference else {}
    if data.heldout_pairs is not None:
        evaluation.pairs = HeldoutPairs(
            rows=data.heldout_pairs,
            config=config.preference,
            reference_PA=reference.get("heldout"),
            mismatched_PA=reference.get("heldout_mismatched"),
        )
    objective = Preference(**side, preference=config.preference, reference_PA=reference.get("train"))
    if config.preference.judges_one_by_one:
        mismatched = Mismatched(rows=data.rows, measuring=measuring, reference_PA=reference["train_mismatched"])
        objective.log_ratios = mismatched.log_ratios
    return objective, evaluation


def reference_flops(stage: Stage, *, flops_per_token: int) -> int:
    """What the reference losses cost that the run reads: those of `mai1 score`, or one forward of all pairs."""
    if isinstance(stage.config, AlignConfig):
        rows = stage.data.rows
        num_positions = (len(rows.rows) + len(rows.mismatched)) * rows.sequence_length
        return num_positions * flops_per_token // 3 * stage.config.preference.needs_reference
    return sum(shard.reference.flops for shard in stage.data.train_shards if shard.reference is not None)


def further_flops_per_token(stage: Stage, *, flops_per_token: int) -> int:
    """What a step costs besides its own rows, for each of their tokens: KTO's forward of the mismatched answers."""
    config = stage.config
    has_mismatched = isinstance(config, AlignConfig) and config.preference.judges_one_by_one
    return flops_per_token // 3 * has_mismatched


def _reference(stage: Stage, measuring: Measuring, *, step: int) -> dict[str, torch.Tensor]:
    """The start model's log-probabilities of the answers to learn from and of the held-out ones."""
    parts = {"train": stage.data.rows}
    if stage.data.heldout_pairs is not None:
        parts["heldout"] = stage.data.heldout_pairs
    prints = {name: rows.fingerprint for name, rows in parts.items()}
    figures = StartFigures(
        path=stage.config.run.path / REFERENCE_FILE,
        about={"model": model_identity(stage.init_from), "rows": prints},
        mend="restore the file, or start a new run with another run.name",
        world=measuring.world,
    )

    def measure() -> dict[str, torch.Tensor]:
        found = {}
        for name, rows in parts.items():
            settings = {"num_pairs": len(rows.pairs), "title": f"reference: {name}"}
            found[name] = answer_logps(rows.rows, measuring, **settings)
            if rows.mismatched:
                found[f"{name}_mismatched"] = answer_logps(rows.mismatched, measuring, **settings)
        return found

    return figures.get(measure, step=step)


def _probe_of(stage: Stage, world: World) -> RoutingProbe | None:
    """Routing is followed from a model on; held-out rows are the probe, or without any the first training rows."""
    config, data = stage.config, stage.data
    if not isinstance(config, TuningConfig) or not config.router.probe_tokens:
        return None
    rows = [row for source in data.heldout for row in source.rows]
    if not rows:
        count = 1 + config.router.probe_tokens // data.rows.sequence_length
        rows = [data.rows.read(sample) for sample in range(min(count, data.rows.rows_per_epoch))]
    picked = probe_rows(rows, num_tokens=config.router.probe_tokens)
    return RoutingProbe(picked, {"model": model_identity(stage.init_from)}, path=config.run.path, world=world)
