"""Run a stage: claim its directory, build the model and the engine, resume or start, fit, report."""

import json
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

from mai1.checkpoint.checkpoint import TrainerState, load_checkpoint, read_state
from mai1.checkpoint.disk_space import check_disk_space
from mai1.checkpoint.manifest import lineage_of
from mai1.checkpoint.verify import newest_sound_checkpoint, verify
from mai1.checkpoint.weights import read_weights
from mai1.data.loader import Loader
from mai1.dist import World, gather_json, start_world, stop_world
from mai1.engine.engine import Engine, move_weights, start_deepspeed
from mai1.engine.experts import expert_parallel_group
from mai1.engine.partial import Trained
from mai1.engine.stages import split_blocks
from mai1.engine.topology import place_of, sequence_parallel_group
from mai1.model.adapt import adapt
from mai1.model.flops import count_parameters, training_flops_per_token
from mai1.model.init import initialize
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.model.transformer import MoETransformer
from mai1.report.build import build_report
from mai1.run.adapters import digest_of_base, say_what_is_trained, training_flops
from mai1.run.data_checks import check_data, check_unchanged
from mai1.run.datasets import write_baselines
from mai1.run.directory import claim_run_directory, plain, write_atomically
from mai1.run.objective import objective_and_evaluation, prepare_tuning, reference_flops
from mai1.run.periodic import periodic_tasks
from mai1.run.preflight import check_nodes
from mai1.run.report import summary
from mai1.run.samples import ask_questions, periodic_samples, write_continuations
from mai1.run.stage import Stage, check_stage
from mai1.tokenizer.huggingface import write_huggingface_files
from mai1.train.evaluation import measuring_with
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

T = TypeVar("T")


def run_stage(stage: Stage, stop: StopRequest) -> None:
    """Train a stage to its end, or until `stop` asks for a checkpoint."""
    config = stage.config
    check_stage(stage, world_size=int(os.environ.get("WORLD_SIZE", "1")))
    world = start_world(timeout_s=config.engine.timeout_s, check_collectives=config.watch.check_collectives)
    try:
        with closing(RankWatch.start(config.watch, world, logs=config.run.path / "logs")) as watch:
            _train(stage, world, stop, watch)
    finally:
        stop_world()


def _train(stage: Stage, world: World, stop: StopRequest, watch: RankWatch) -> None:
    lock = _on_main_rank(world, lambda: _claim(stage))
    check_nodes(stage.config.preflight, world, directory=stage.config.run.path)
    stage.data = check_data(stage.data, stage.config, world)
    start_deepspeed()
    trainer = _build_trainer(stage, world, stop, watch)
    if stage.config.engine.zero_stage < 3:
        _check_self(stage, trainer.engine.model, world, has_copies=bool(trainer.state.lineage))
    try:
        is_done = trainer.fit()
    finally:
        trainer.saver.close()
    watch.beat(Phase.finish, trainer.state.step)
    if trainer.log is not None:
        trainer.log.metrics.close()
    _on_main_rank(world, lambda: _finish(stage, is_done=is_done, step=trainer.state.step))
    if lock is not None:
        lock.close()


def _on_main_rank(world: World, action: Callable[[], T]) -> T | None:
    """Do something on rank 0 while the others wait; a mistake it notices ends every rank alike, instead of leaving them."""
    result, mistake = None, None
    if world.is_main:
        try:
            result = action()
        except (ValueError, OSError) as error:
            mistake = str(error)
    if mistake := gather_json(mistake, world)[0]:
        raise ValueError(mistake)
    return result


def _claim(stage: Stage) -> object:
    """Take the run's directory and put the tokenizer there; returns the lock to hold."""
    counts = count_parameters(stage.model_config)
    facts = {
        "name": stage.config.run.name,
        "stage": stage.name,
        "parent": stage.parent,
        "data": str(stage.data_directory),
        "parameters": {"total": counts.total, "active": counts.active},
        "model": plain(stage.model_config),
    }
    lock = claim_run_directory(stage.config, facts=facts)
    folder = stage.config.run.path / "tokenizer"  # ours and Hugging Face's files, which go into every checkpoint
    stage.data.tokenizer.save(folder)
    write_huggingface_files(stage.data.tokenizer, folder)
    if stage.data.figures is not None:
        write_atomically(stage.config.run.path / "tuning_data.json", json.dumps(stage.data.figures, indent=1))
    stage.checkpoints.mkdir(exist_ok=True)
    return lock


def _build_trainer(stage: Stage, world: World, stop: StopRequest, watch: RankWatch) -> Trainer:
    config, data = stage.config, stage.data
    place = place_of(world, config.engine)
    model = MoETransformer(
        stage.model_config,
        expert_group=expert_parallel_group(config.engine.expert_parallel, num_stages=place.num_stages),
        sequence_group=sequence_parallel_group(world, config.engine),
        blocks=split_blocks(stage.model_config, place.num_stages)[place.stage],
    )
    model.set_routing(config.routing, seed=config.run.seed)
    warn_of_forced_balance(config.routing, world)
    resume_from = newest_sound_checkpoint(stage.checkpoints, world)  # read when the engine is there to take its moments
    start = resume_from or stage.init_from
    lineage = lineage_of(start) if start is not None else []
    trained = _train_only_a_part(model, stage, lineage)
    if resume_from is None and stage.init_from is None:
        initialize(model, seed=config.run.seed)
    elif resume_from is None or config.lora.is_on:  # frozen weights are in no checkpoint of the run
        if resume_from is None:
            _verify_if_ours(stage.init_from, world)
        read_weights(stage.init_from, model)
    elif config.engine.zero_stage == 3:
        read_weights(resume_from, model)
    base = digest_of_base(config, stage.init_from, resume_from, world)
    if config.lora.is_on:
        adapt(model, config.lora, seed=config.run.seed)
    prepare_tuning(model, config)
    if config.engine.zero_stage == 3:
        move_weights(model, config.engine, world)
        _check_self(stage, model, world, has_copies=bool(lineage))  # now, because afterwards no weight is whole
    loader = Loader(
        data.rows,
        config.batch,
        data_rank=place.data_rank,
        data_size=place.data_size,
        sequence_rank=place.sequence_rank,
        sequence_size=place.sequence_size,
        end_of_text_id=data.tokenizer.end_of_text_id,
    )
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
    _on_main_rank(world, lambda: _measure_before(stage))
    flops = training_flops(engine, context=config.data.sequence_length, world=world)
    whole_model = training_flops_per_token(stage.model_config, context=config.data.sequence_length)
    measuring = measuring_with(
        engine,
        rows_at_once=config.batch.sequences_per_microbatch,
        end_of_text_id=data.tokenizer.end_of_text_id,
    )
    measuring.on_batch = partial(watch.beat, Phase.start, state.step)  # a reference of many pairs takes its time
    objective, evaluation = objective_and_evaluation(stage, measuring, step=state.step)
    evaluation.samples = periodic_samples(config, measuring, data)
    evaluation.tasks = periodic_tasks(config.evaluation, engine, data.tokenizer, config.run.path)
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
        ledger=Ledger(
            config=config.ledger,
            flops_per_position=flops.per_token,
            flops_per_choice=flops.per_choice,
            scoring_flops=reference_flops(stage, flops_per_token=whole_model),
        ),
        state=state,
        world=world,
    )


def _train_only_a_part(model: MoETransformer, stage: Stage, lineage: list[dict]) -> Trained | None:
    """Freeze what `trainable` leaves as it is; None where that is nothing."""
    config = stage.config.trainable
    if config.part is Part.all:
        return None
    return train_only(model, config.part, config.experts_of(lineage, num_experts=model.config.moe.num_experts))


def _check_self(stage: Stage, model: MoETransformer, world: World, *, has_copies: bool) -> None:
    if stage.config.train.self_check:
        settings = {"end_of_text_id": stage.data.tokenizer.end_of_text_id}
        settings |= {"world": world, "num_stages": stage.config.engine.pipeline_parallel, "has_copies": has_copies}
        world.say(self_check(model, stage.config.balance, **settings))


def warn_of_forced_balance(routing: RoutingConfig, world: World) -> None:
    """Nobody trains for days by a setting made for benchmarks without having read this line."""
    if routing.forced_balance:
        world.say(
            "WARNING: routing.forced_balance=true: experts take turns whatever the router says. This measures speed; the "
            "model it trains is worth nothing"
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


def _finish(stage: Stage, *, is_done: bool, step: int) -> None:
    """Samples of a finished run, its report, and how to go on."""
    final = stage.checkpoints / f"step_{step:08d}"
    if is_done:
        write_continuations(final, stage.config, stage.data)
        ask_questions(final, stage.config, stage.data, when="after")
    page = build_report(stage.config.run.path)
    for line in summary(stage.config.run.path):
        print(line, file=sys.stderr)
    command = f"mai1 {shlex.join(sys.argv[1:])}"
    ending = f"done: {final}" if is_done else f"saved at step {step}; to go on, run the same command again: {command}"
    print(f"report: {page}\n{ending}", file=sys.stderr, flush=True)


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


def _verify_if_ours(directory: Path, world: World) -> None:
    """Check a mai1 checkpoint's hashes; a plain Hugging Face directory has none."""
    if (directory / "manifest.json").is_file() and (problems := verify(directory, world)):
        raise ValueError(f"checkpoint.init_from={directory} is damaged ({'; '.join(problems[:3])}): use another one")
