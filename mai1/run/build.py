"""Build a stage's trainer: the model, the weights it starts from, the engine around it, and the state of the run.

What is frozen, adapted or cut has to be so before the engine takes the weights; a checkpoint's moments go into the engine
that is there. So the order below is not a matter of taste.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from mai1.checkpoint.checkpoint import TrainerState, load_checkpoint, read_state
from mai1.checkpoint.disk_space import check_disk_space
from mai1.checkpoint.manifest import lineage_of
from mai1.checkpoint.verify import newest_sound_checkpoint, verify
from mai1.checkpoint.weights import read_weights
from mai1.data.loader import Loader
from mai1.dist import World
from mai1.engine.engine import Engine, move_weights
from mai1.engine.experts import expert_parallel_group
from mai1.engine.partial import Trained
from mai1.engine.stages import split_blocks
from mai1.engine.topology import Place, place_of, sequence_parallel_group
from mai1.model.adapt import adapt
from mai1.model.expert_kernels import use_kernels
from mai1.model.flops import count_parameters, training_flops_per_token
from mai1.model.init import initialize
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.model.transformer import MoETransformer
from mai1.objective.objective import Objective
from mai1.run.adapters import TrainingFlops, digest_of_base, say_what_is_trained, training_flops
from mai1.run.data_checks import check_unchanged
from mai1.run.datasets import write_baselines
from mai1.run.directory import plain
from mai1.run.main_rank import on_main_rank
from mai1.run.objective import further_flops_per_token, objective_and_evaluation, prepare_tuning, reference_flops
from mai1.run.periodic import periodic_tasks
from mai1.run.samples import ask_questions, periodic_samples
from mai1.run.stage import Stage
from mai1.train.evaluation import Evaluation, measuring_with
from mai1.train.guard import Guard
from mai1.train.ledger import Ledger
from mai1.train.metrics import MetricsLog, Speed, peak_flops
from mai1.train.selfcheck import self_check
from mai1.train.step_log import StepLog
from mai1.train.stop import StopRequest
from mai1.train.trainable import Part, train_only
from mai1.train.trainer import Trainer
from mai1.watch.heartbeat import Phase
from mai1.watch.rank_watch import RankWatch


def build_trainer(stage: Stage, world: World, stop: StopRequest, watch: RankWatch) -> Trainer:
    """A trainer that stands where the run's newest sound checkpoint left it, or at the run's first step."""
    config, place = stage.config, place_of(world, stage.config.engine)
    model = _build_model(stage, world, place)
    resume_from = newest_sound_checkpoint(stage.checkpoints, world)
    start = resume_from or stage.init_from
    lineage = lineage_of(start) if start is not None else []
    trained = _train_only_a_part(model, stage, lineage)
    _read_weights(model, stage, resume_from, world)
    base = digest_of_base(config, stage.init_from, resume_from, world)
    _adapt(model, stage, world, has_copies=bool(lineage))
    loader = _build_loader(stage, place)
    engine = Engine(
        model,
        config.engine,
        config.optim,
        world=world,
        microbatch=config.batch.sequences_per_microbatch,
        accumulation=loader.num_microbatches,
        trained=trained,
    )
    check_disk_space(stage.checkpoints, engine)
    state = _resume(resume_from, engine, stage, world) if resume_from else _first_state(stage, world)
    state.base = base
    say_what_is_trained(engine, state, world)
    on_main_rank(world, lambda: _measure_before(stage))
    flops = _flops_of(stage, engine, world)
    objective, evaluation = _build_evaluation(stage, engine, watch, step=state.step)
    return Trainer(
        engine=engine,
        loader=loader,
        objective=objective,
        evaluation=evaluation,
        config=config.train,
        optim=config.optim,
        checkpoints=config.checkpoint,
        checkpoint_folder=stage.checkpoints,
        files=stage.model_files,
        expert_parallel=config.engine.expert_parallel,
        speed=Speed(flops_per_token=flops.per_token, peak_flops=peak_flops(world.device) * world.size),
        log=_open_log(stage, state) if world.is_main else None,
        stop=stop,
        watch=watch,
        guard=Guard(config.guard),
        ledger=_build_ledger(stage, flops),
        state=state,
        world=world,
    )


def _build_model(stage: Stage, world: World, place: Place) -> MoETransformer:
    """This rank's blocks, with its share of their experts."""
    config = stage.config
    model = MoETransformer(
        stage.model_config,
        expert_group=expert_parallel_group(config.engine.expert_parallel, num_stages=place.num_stages),
        sequence_group=sequence_parallel_group(world, config.engine),
        blocks=split_blocks(stage.model_config, place.num_stages)[place.stage],
    )
    model.set_routing(config.routing, seed=config.run.seed)
    warn_of_forced_balance(config.routing, world)
    return model


def warn_of_forced_balance(routing: RoutingConfig, world: World) -> None:
    """Nobody trains for days by a setting made for benchmarks without having read this line."""
    if routing.forced_balance:
        world.say(
            "WARNING: routing.forced_balance=true: experts take turns whatever the router says. This measures speed; the "
            "model it trains is worth nothing"
        )


def _train_only_a_part(model: MoETransformer, stage: Stage, lineage: list[dict]) -> Trained | None:
    """Freeze what `trainable` leaves as it is; None where that is nothing."""
    config = stage.config.trainable
    if config.part is Part.all:
        return None
    return train_only(model, config.part, config.experts_of(lineage, num_experts=model.config.moe.num_experts))


def _read_weights(model: MoETransformer, stage: Stage, resume_from: Path | None, world: World) -> None:
    """Give the model the weights that it starts from, as far as the engine does not bring them with its moments."""
    config = stage.config
    if resume_from is None and stage.init_from is None:
        initialize(model, seed=config.run.seed)
    elif resume_from is None:
        _verify_if_ours(stage.init_from, world)
        read_weights(stage.init_from, model)
    elif config.lora.is_on:  # frozen weights are in no checkpoint of the run
        read_weights(stage.init_from, model)
    elif config.engine.zero_stage == 3:
        read_weights(resume_from, model)


def _verify_if_ours(directory: Path, world: World) -> None:
    """Check a mai1 checkpoint's hashes; a plain Hugging Face directory has none."""
    if (directory / "manifest.json").is_file() and (problems := verify(directory, world)):
        raise ValueError(f"checkpoint.init_from={directory} is damaged ({'; '.join(problems[:3])}): use another one")


def _adapt(model: MoETransformer, stage: Stage, world: World, *, has_copies: bool) -> None:
    """Adapters, kernels, the routers' policy, noise; then, for ZeRO-3, the self-check, as afterwards no weight is whole."""
    config = stage.config
    if config.lora.is_on:
        adapt(model, config.lora, seed=config.run.seed)
    use_kernels(model, config.engine.expert_kernels, key="engine.expert_kernels")
    prepare_tuning(model, config)
    if config.engine.zero_stage == 3:
        move_weights(model, config.engine, world)
        check_self(stage, model, world, has_copies=has_copies)


def check_self(stage: Stage, model: MoETransformer, world: World, *, has_copies: bool) -> None:
    """Show that experts, balancing and isolation are right, if so configured (`self_check`); every rank must call this."""
    if stage.config.train.self_check:
        settings = {"end_of_text_id": stage.data.tokenizer.end_of_text_id}
        settings |= {"world": world, "num_stages": stage.config.engine.pipeline_parallel, "has_copies": has_copies}
        world.say(self_check(model, stage.config.balance, **settings))


def _build_loader(stage: Stage, place: Place) -> Loader:
    return Loader(
        stage.data.rows,
        stage.config.batch,
        data_rank=place.data_rank,
        data_size=place.data_size,
        sequence_rank=place.sequence_rank,
        sequence_size=place.sequence_size,
        end_of_text_id=stage.data.tokenizer.end_of_text_id,
    )


def _first_state(stage: Stage, world: World) -> TrainerState:
    counts, rows = count_parameters(stage.model_config), stage.data.rows
    world.say(
        f"{stage.config.run.path}: new run of {stage.config.train.steps} steps on {world.size} "
        f"{'rank' if world.size == 1 else 'ranks'}; {counts.total / 1e6:.1f} M parameters, {counts.active / 1e6:.1f} M "
        f"active; {rows.rows_per_epoch} rows of {rows.sequence_length} tokens an epoch"
    )
    for note in stage.data.notes:
        world.say(note)
    for note in getattr(rows, "notes", ()):
        world.say(note)
    lineage = lineage_of(stage.init_from) if stage.init_from is not None else []
    facts = {"data_fingerprint": rows.fingerprint, "run": plain(stage.config), "lineage": lineage}
    return TrainerState(step=0, tokens=0, seconds=0.0, **facts)


def _resume(directory: Path, engine: Engine, stage: Stage, world: World) -> TrainerState:
    state = read_state(directory)
    check_unchanged(
        stage.data, stage.config, before=state.data_fingerprint, step=state.step, checkpoint=directory, world=world
    )
    state = load_checkpoint(directory, engine)
    if state.data_fingerprint != stage.data.rows.fingerprint:
        state.mixing = {}  # it is of other sources, or another mixture
    state.run, state.data_fingerprint = plain(stage.config), stage.data.rows.fingerprint
    is_finished = state.step >= stage.config.train.steps
    goes_on = "the run is finished" if is_finished else f"going on from step {state.step} of {stage.config.train.steps}"
    world.say(f"{directory}: {goes_on}")
    return state


def _measure_before(stage: Stage) -> None:
    """What the run will be compared with: counting models, and the answers of the model it starts from."""
    write_baselines(stage.config.run.path / "baselines.json", stage.data)
    ask_questions(stage.init_from, stage.config, stage.data, when="before")


def _build_evaluation(stage: Stage, engine: Engine, watch: RankWatch, *, step: int) -> tuple[Objective, Evaluation]:
    """What a step minimises, and what is measured on the way: held-out rows, samples, tasks."""
    config, tokenizer = stage.config, stage.data.tokenizer
    measuring = measuring_with(
        engine,
        rows_at_once=config.batch.sequences_per_microbatch,
        end_of_text_id=tokenizer.end_of_text_id,
    )
    measuring.on_batch = partial(watch.beat, Phase.start, step)  # a reference of many pairs takes its time
    objective, evaluation = objective_and_evaluation(stage, measuring, step=step)
    evaluation.samples = periodic_samples(config, measuring, stage.data)
    evaluation.tasks = periodic_tasks(config.evaluation, engine, tokenizer, config.run.path)
    return objective, evaluation


def _flops_of(stage: Stage, engine: Engine, world: World) -> TrainingFlops:
    """What a token of a step costs, with what the objective passes through the model besides."""
    flops = training_flops(engine, context=stage.config.data.sequence_length, world=world)
    further = further_flops_per_token(stage, flops_per_token=_flops_of_whole_model(stage))
    return replace(flops, per_token=flops.per_token + further)


def _flops_of_whole_model(stage: Stage) -> int:
    return training_flops_per_token(stage.model_config, context=stage.config.data.sequence_length)


def _build_ledger(stage: Stage, flops: TrainingFlops) -> Ledger:
    return Ledger(
        config=stage.config.ledger,
        flops_per_position=flops.per_token,
        flops_per_choice=flops.per_choice,
        scoring_flops=reference_flops(stage, flops_per_token=_flops_of_whole_model(stage)),
    )


def _open_log(stage: Stage, state: TrainerState) -> StepLog:
    config = stage.config
    metrics = MetricsLog(
        config.run.path, from_step=state.step, wandb=config.wandb, run_name=config.run.name, config=plain(config)
    )
    return StepLog(
        metrics,
        stage.model_config.moe_layers,
        alarms=config.alarms,
        source_names=stage.data.rows.source_names,
        expert_parallel=config.engine.expert_parallel,
    )
