"""Run a stage: claim its directory, build its trainer, fit, report."""

import json
import os
import shlex
import sys
from contextlib import closing

from mai1.dist import World, start_world, stop_world
from mai1.engine.engine import start_deepspeed
from mai1.model.flops import count_parameters
from mai1.report.build import write_report
from mai1.report.records import read_run
from mai1.run.build import build_trainer, check_self
from mai1.run.data_checks import check_data
from mai1.run.directory import claim_run_directory, plain, write_atomically
from mai1.run.main_rank import on_main_rank
from mai1.run.preflight import check_nodes
from mai1.run.report import summary
from mai1.run.samples import ask_questions, write_continuations
from mai1.run.stage import Stage, check_stage
from mai1.tokenizer.huggingface import write_huggingface_files
from mai1.train.stop import StopRequest
from mai1.watch.heartbeat import Phase
from mai1.watch.rank_watch import RankWatch


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
    lock = on_main_rank(world, lambda: _claim(stage))
    check_nodes(stage.config.preflight, world, directory=stage.config.run.path)
    stage.data = check_data(stage.data, stage.config, world)
    start_deepspeed()
    trainer = build_trainer(stage, world, stop, watch)
    if stage.config.engine.zero_stage < 3:
        check_self(stage, trainer.engine.model, world, has_copies=bool(trainer.state.lineage))
    try:
        is_done = trainer.fit()
    finally:
        trainer.saver.close()
    watch.beat(Phase.finish, trainer.state.step)
    if trainer.log is not None:
        trainer.log.metrics.close()
    on_main_rank(world, lambda: _finish(stage, is_done=is_done, step=trainer.state.step))
    if lock is not None:
        lock.close()


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


def _finish(stage: Stage, *, is_done: bool, step: int) -> None:
    """Samples of a finished run, its report, and how to go on."""
    final = stage.checkpoints / f"step_{step:08d}"
    if is_done:
        write_continuations(final, stage.config, stage.data)
        ask_questions(final, stage.config, stage.data, when="after")
    records = read_run(stage.config.run.path)
    page = write_report(records)
    for line in summary(records):
        print(line, file=sys.stderr)
    command = f"mai1 {shlex.join(sys.argv[1:])}"
    ending = f"done: {final}" if is_done else f"saved at step {step}; to go on, run the same command again: {command}"
    print(f"report: {page}\n{ending}", file=sys.stderr, flush=True)
