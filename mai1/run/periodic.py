"""Evaluation of tasks while a stage trains: what is configured, checked, and kept."""

import json
from pathlib import Path

from mai1.engine.ds_config import EngineConfig
from mai1.engine.engine import Engine
from mai1.evaluate.config import PeriodicConfig
from mai1.evaluate.likelihood import SharedModel
from mai1.evaluate.periodic import PeriodicTasks
from mai1.report.evaluation import write_evaluation_page
from mai1.run.directory import write_atomically
from mai1.run.evaluation_records import FOLDER, versions
from mai1.run.evaluation_tasks import open_tasks
from mai1.tokenizer.tokenizer import Tokenizer


def check_periodic(config: PeriodicConfig, engine: EngineConfig) -> None:
    """Refuse tasks that cannot be read, and those that generate where ranks hold parts of rows."""
    for task in open_tasks(config):
        for key in ("pipeline_parallel", "sequence_parallel"):
            if task.generates and getattr(engine, key) > 1:
                raise ValueError(
                    f"evaluation.tasks={task.name} generates text, for which a rank needs all layers and positions, but "
                    f"engine.{key}={getattr(engine, key)}: leave the task out and run `mai1 evaluate` on checkpoints"
                )


def periodic_tasks(config: PeriodicConfig, engine: Engine, tokenizer: Tokenizer, run: Path) -> PeriodicTasks | None:
    """What is evaluated between steps; None where nothing is."""
    if not config.tasks:
        return None

    def keep(step: int, records: dict[str, dict]) -> None:
        folder = run / FOLDER
        folder.mkdir(exist_ok=True)
        path = folder / f"{step:08d}.json"
        about = {"checkpoint": str(run), "step": step, "tokenizer_hash": tokenizer.hash, **versions()}
        write_atomically(path, json.dumps(about | {"tasks": records}, indent=1))
        write_evaluation_page(path)

    shared = SharedModel(
        model=engine.model,
        world=engine.world,
        pad_id=tokenizer.pad_id,
        tokens_at_once=config.tokens_at_once,
        num_stages=engine.place.num_stages,
        run=engine.eval_batch,
    )
    return PeriodicTasks(
        every_steps=config.every_steps, tasks=open_tasks(config), shared=shared, tokenizer=tokenizer, keep=keep
    )
