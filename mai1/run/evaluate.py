"""`mai1 evaluate`: scores on tasks, held-out loss of every source, and answers to questions with known answers."""

import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from mai1.checkpoint.inference import load_model, resolve_checkpoint
from mai1.data.instructions import read_conversations
from mai1.dist import World, start_world, stop_world
from mai1.engine.ds_config import EngineConfig, Precision
from mai1.engine.engine import start_deepspeed
from mai1.engine.experts import expert_parallel_group
from mai1.evaluate.answers import answer_questions
from mai1.evaluate.config import TasksConfig
from mai1.evaluate.heldout import heldout_losses, mean_loss
from mai1.evaluate.likelihood import SharedModel
from mai1.evaluate.suite import Task, evaluate_task, lines_of
from mai1.generate.compiled_step import Kernels, compile_step
from mai1.generate.sampling import SamplingConfig
from mai1.model.transformer import MoETransformer
from mai1.report.evaluation import write_evaluation_page
from mai1.run.compose import compose_config
from mai1.run.datasets import open_pretraining
from mai1.run.evaluation_records import about_checkpoint, data_of_run, results_folder, write_record
from mai1.run.evaluation_tasks import open_tasks
from mai1.run.help import print_help
from mai1.run.main_rank import on_main_rank
from mai1.run.model_tokenizer import load_tokenizer
from mai1.run.output import check_output
from mai1.run.training_texts import seen_items, training_texts
from mai1.tokenizer.tokenizer import Tokenizer
from mai1.watch.config import LaunchConfig


@dataclass(kw_only=True, slots=True)
class EvaluateConfig(TasksConfig):
    checkpoint: str = "runs/first"
    """Run, checkpoint or Hugging Face directory."""
    training_text: str = ""
    """Where items of tasks are looked for, to score those apart that training saw: prepared data, a text file or a directory;
    auto: what the run, and the runs it started from, were trained on; empty: nowhere."""
    data: str = "auto"
    """Prepared data whose held-out shards give the loss; auto: the run's, unless tasks are given; empty: none."""
    sequence_length: int = 512
    """Tokens of context."""
    rows: int = 0
    """Held-out rows per source; 0 takes all."""
    questions: str = ""
    """File of conversations to answer and compare; empty: none."""
    max_questions: int = 200
    """Questions asked; 0 asks all."""
    output: str = ""
    """JSON file for the figures too; empty: only in the run's folder `evaluation`, where the checkpoint is one of a run."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How answers to `questions` are drawn; tasks are answered greedily."""
    precision: Precision = Precision.auto
    """auto (bf16 on a GPU, fp32 on a CPU) | fp32 | bf16."""
    expert_parallel: int = 1
    """Ranks that share one copy of the experts, for models that are too large for one."""
    kernels: Kernels = Kernels.torch
    """torch | compiled (needs gcc): what computes the tokens of answers, on CPUs in fp32."""
    launch: LaunchConfig = field(default_factory=LaunchConfig)
    """Starting several ranks on this machine, which share the items."""

    def __post_init__(self) -> None:
        TasksConfig.__post_init__(self)
        for key, least in (("sequence_length", 2), ("rows", 0), ("max_questions", 0), ("expert_parallel", 1)):
            if getattr(self, key) < least:
                raise ValueError(f"{key}={getattr(self, key)} must be at least {least}")


def main(arguments: list[str]) -> None:
    """Evaluate as configured; a table goes to standard output and JSON to files."""
    if "--help" in arguments:
        print_help("evaluate", EvaluateConfig, __doc__)
        return
    config = compose_config("evaluate", EvaluateConfig, arguments)
    if config.launch.starts_ranks(os.environ):
        from mai1.train.stop import StopRequest
        from mai1.watch.supervisor import supervise

        directory = resolve_checkpoint(Path(config.checkpoint), key="checkpoint")
        folder = results_folder(directory) or Path(config.output or "evaluation").parent
        command = ["-m", "mai1", "evaluate", *arguments]
        sys.exit(supervise(command, config.launch, run_directory=folder, stop=StopRequest()))
    world = start_world()
    try:
        figures = evaluate(config, world)
    finally:
        stop_world()
    if world.is_main:
        _say(figures)


def evaluate(config: EvaluateConfig, world: World) -> dict:
    """Figures as plain values: `tasks` by name, `heldout` by source with `all`, and `answers`; every rank must call this."""
    _check_kernels(config, world)
    directory = resolve_checkpoint(Path(config.checkpoint), key="checkpoint")
    tokenizer = load_tokenizer(directory, key="checkpoint")
    tasks = open_tasks(config)
    sources = _heldout_sources(config, directory, tokenizer)
    questions = read_conversations(Path(config.questions)) if config.questions else []
    if not (tasks or sources or questions):
        raise ValueError(
            "nothing to evaluate on: set tasks=[FILE.jsonl,...], data=DIR of prepared data, or questions=FILE, or several"
        )
    if config.output:
        given = [Path(path) for path in (*config.tasks, config.questions) if path]
        on_main_rank(world, lambda: check_output(Path(config.output), key="output", inputs=given))
    model, figures = _open_model(directory, config, world), {}
    step = compile_step(model, key="kernels") if config.kernels is Kernels.compiled else None
    if tasks:
        shared = SharedModel(
            model=model, world=world, pad_id=tokenizer.pad_id, tokens_at_once=config.tokens_at_once, step=step
        )
        figures["tasks"] = _on_tasks(tasks, config, shared, tokenizer, directory)
    if sources:
        settings = {"rows_at_once": 8, "end_of_text_id": tokenizer.end_of_text_id}
        losses = heldout_losses(model, sources, world=world, **settings)
        figures["heldout"] = {name: asdict(loss) for name, loss in (losses | {"all": mean_loss(losses)}).items()}
    if questions:
        asked = questions[: config.max_questions or None]
        result, _ = answer_questions(model, tokenizer, asked, config.sampling, step=step)
        figures["answers"] = asdict(result)
    if world.is_main:
        record = about_checkpoint(directory, tokenizer) | figures
        for path in write_record(record, directory, output=config.output):
            write_evaluation_page(path)
    return figures


def _check_kernels(config: EvaluateConfig, world: World) -> None:
    dtype = EngineConfig(precision=config.precision).dtype_on(world.device)
    is_fit = config.expert_parallel == 1 and dtype is torch.float32 and world.device.type == "cpu"
    if config.kernels is Kernels.compiled and not is_fit:
        raise ValueError(
            f"kernels=compiled computes whole models in fp32 on CPUs, but here is precision={config.precision.value} on "
            f"{world.device.type} with expert_parallel={config.expert_parallel}: use kernels=torch"
        )


def _on_tasks(
    tasks: list[Task], config: EvaluateConfig, shared: SharedModel, tokenizer: Tokenizer, directory: Path
) -> dict[str, dict]:
    texts = training_texts(config.training_text, directory)
    look = seen_items(texts, tokenizer, shared.world) if texts else None
    records = {}
    for task in tasks:
        result = evaluate_task(task, shared, tokenizer, seen_items=look)
        records[task.name] = result.record() | {"training_text": ", ".join(map(str, texts))}
        if shared.world.is_main:
            print("\n".join(lines_of(result)), flush=True)
    return records


def _heldout_sources(config: EvaluateConfig, directory: Path, tokenizer: Tokenizer) -> list:
    is_auto = config.data == "auto"
    path = ("" if config.tasks else data_of_run(directory)) if is_auto else config.data
    if not path:
        return []
    data = open_pretraining(
        Path(path), sequence_length=config.sequence_length, seed=0, heldout_rows=config.rows, key="data"
    )
    if data.tokenizer.hash != tokenizer.hash:
        raise ValueError(f"data={path} was prepared with another tokenizer than {directory} has: use its own data")
    return data.heldout


def _open_model(directory: Path, config: EvaluateConfig, world: World) -> MoETransformer:
    group = None
    if config.expert_parallel > 1:
        if world.size % config.expert_parallel:
            raise ValueError(
                f"expert_parallel={config.expert_parallel} must divide the {world.size} ranks: start as many, or use 1"
            )
        start_deepspeed()
        group = expert_parallel_group(config.expert_parallel)
    model = load_model(directory, expert_group=group).to(world.device)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(EngineConfig(precision=config.precision).dtype_on(world.device))
    return model


def _say(figures: dict) -> None:
    for name, source in figures.get("heldout", {}).items():
        print(
            f"{name:<20} loss {source['loss']:.4f} nats/token   {source['bits_per_byte']:.4f} bits/byte   "
            f"{source['tokens']:,} tokens"
        )
    if "answers" in figures:
        answers = figures["answers"]
        print(
            f"{'answers':<20} loss {answers['answer_loss']:.4f} nats/token   F1 {answers['f1']:.3f}   "
            f"{answers['questions']} questions"
        )
