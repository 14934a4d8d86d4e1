"""`mai1 evaluate`: held-out loss and bits per byte of every source, and answers to questions with known answers."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mai1.checkpoint.inference import load_model, resolve_checkpoint
from mai1.data.instructions import read_conversations
from mai1.dist import start_world, stop_world
from mai1.evaluate.answers import answer_questions
from mai1.evaluate.heldout import heldout_losses, mean_loss
from mai1.generate.sampling import SamplingConfig
from mai1.run.compose import compose_config
from mai1.run.datasets import open_pretraining
from mai1.run.help import print_help
from mai1.tokenizer.tokenizer import Tokenizer


@dataclass(kw_only=True, slots=True)
class EvaluateConfig:
    checkpoint: str = "runs/first"
    """Run, checkpoint or Hugging Face directory."""
    data: str = "auto"
    """Prepared data whose held-out shards give the loss; auto: what the run was trained on; empty: none."""
    sequence_length: int = 512
    """Tokens of context."""
    rows: int = 0
    """Held-out rows per source; 0 takes all."""
    questions: str = ""
    """File of conversations to answer and compare; empty: none."""
    max_questions: int = 200
    """Questions asked; 0 asks all."""
    output: str = ""
    """JSON file for the figures; empty prints only."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How answers are drawn."""


def main(arguments: list[str]) -> None:
    """Evaluate as configured; a table goes to standard output and, if asked, JSON to a file."""
    if "--help" in arguments:
        print_help("evaluate", EvaluateConfig, __doc__)
        return
    config = compose_config("evaluate", EvaluateConfig, arguments)
    figures = evaluate(config)
    if not figures:
        raise ValueError("nothing to evaluate on: set data=DIR of prepared data, or questions=FILE, or both")
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
    if config.output:
        Path(config.output).write_text(json.dumps(figures, indent=1) + "\n")


def evaluate(config: EvaluateConfig) -> dict:
    """Figures as plain values: `heldout` by source with `all`, and `answers`."""
    directory = resolve_checkpoint(Path(config.checkpoint), key="checkpoint")
    tokenizer, figures = Tokenizer.load(directory), {}
    sources = []
    data_path = data_of_run(directory) if config.data == "auto" else config.data
    if data_path:
        data = open_pretraining(
            Path(data_path), sequence_length=config.sequence_length, seed=0, heldout_rows=config.rows
        )
        if data.tokenizer.hash != tokenizer.hash:
            raise ValueError(
                f"data={data_path} was prepared with another tokenizer than {directory} has: use its own data"
            )
        sources = data.heldout
    questions = read_conversations(Path(config.questions)) if config.questions else []
    model = load_model(directory)
    if sources:
        world = start_world()
        losses = heldout_losses(
            model.to(world.device), sources, world=world, rows_at_once=8, end_of_text_id=tokenizer.end_of_text_id
        )
        stop_world()
        figures["heldout"] = {name: asdict(loss) for name, loss in (losses | {"all": mean_loss(losses)}).items()}
    if questions:
        asked = questions[: config.max_questions or None]
        result, _ = answer_questions(model, tokenizer, asked, config.sampling)
        figures["answers"] = asdict(result)
    return figures


def data_of_run(checkpoint: Path) -> str:
    """The prepared data that the checkpoint's run names, if it is still there."""
    facts = checkpoint.parent.parent / "run.json"
    named = json.loads(facts.read_text())["data"] if facts.is_file() else ""
    return named if named and (Path(named) / "manifest.json").is_file() else ""
