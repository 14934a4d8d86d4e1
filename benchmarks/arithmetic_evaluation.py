"""Something real end to end: a small model learns word problems and is evaluated on problems it never saw, and on SVAMP.

usage: python benchmarks/arithmetic_evaluation.py --output runs/arithmetic [--svamp svamp.jsonl] [--steps 500]

Through the commands a person uses: `mai1 prepare` (problems, solutions and calculations as text), `mai1 pretrain`, `mai1 sft`
(problems as conversations), `mai1 evaluate`. The problems are made by benchmarks/arithmetic_problems.py. Evaluated are problems
with pairs of numbers that training never sees, in words that it knows; then in templates, with names and things that it never
sees either. SVAMP (Patel et al. 2021, arXiv 2103.07191) is an outside check: its words and its kinds of problems are not ours.

Chance is what always saying the most common answer scores. Beside it stands what a guess scores that takes two numbers of the
problem and one of the four operations at random.
"""

import argparse
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

from arithmetic_problems import problems, sums

NUM_PROBLEMS, NUM_SUMS, NUM_CONVERSATIONS, NUM_HELDOUT = 60_000, 60_000, 20_000, 500
SHAPE = ["model=tiny", "model.max_positions=512"]


def main() -> None:
    """Make the data, train, evaluate, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for data and runs")
    parser.add_argument("--svamp", type=Path, help="svamp.jsonl with context and answer")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--tuning-steps", type=int, default=600)
    given = parser.parse_args()
    folder = given.output
    write_data(folder / "text")
    corpus = folder / "corpus"
    mai1(
        "prepare", f"output={corpus}", f"sources={{problems: {{path: {folder / 'text' / 'problems'}}}}}",
        "tokenizer.kind=byte_bpe", "tokenizer.digits=single", "tokenizer.vocab_size=600", "questions=0",
    )  # fmt: skip
    where = [f"run.directory={folder / 'runs'}", "engine.precision=fp32"]
    mai1(
        "pretrain", *SHAPE, *where, "run.name=base", f"data.path={corpus}", "data.sequence_length=256",
        f"train.steps={given.steps}", "batch.sequences_per_step=16", "batch.sequences_per_microbatch=16",
        "optim.learning_rate=3e-3", "samples.count=0", "train.heldout_rows=32",
    )  # fmt: skip
    base = folder / "runs" / "base"
    mai1(
        "sft", *where, "run.name=tuned", f"checkpoint.init_from={base}", f"data.train={folder / 'text' / 'train.jsonl'}",
        "data.heldout=''", "data.sequence_length=256", f"train.steps={given.tuning_steps}", "batch.sequences_per_step=16",
        "batch.sequences_per_microbatch=16", "optim.learning_rate=2e-3", "samples.questions=0",
    )  # fmt: skip
    tasks = [folder / "text" / f"{name}.jsonl" for name in ("new_numbers", "new_words")]
    tasks += [given.svamp.resolve()] if given.svamp else []
    definitions = ", ".join(f"{task.stem}: {{path: {task}, max_new_tokens: 40}}" for task in tasks)
    common = [f"tasks=[{','.join(task.stem for task in tasks)}]", f"definitions={{{definitions}}}"]
    common += ["training_text=auto"]
    for name, how in (("base", "beginning=document"), ("tuned", "prompting=chat")):
        mai1("evaluate", f"checkpoint={folder / 'runs' / name}", *common, how, f"output={folder / name}.json")
    print_table(folder, tasks)


def mai1(*arguments: str) -> None:
    """Run a command, which says what it does."""
    subprocess.run([sys.executable, "-m", "mai1", *arguments], check=True)


def write_data(folder: Path) -> None:
    """Text to learn from, conversations to tune on, and problems to evaluate on."""
    if (folder / "new_words.jsonl").is_file():
        return
    (folder / "problems").mkdir(parents=True, exist_ok=True)
    of_training = problems(seed=0, new_numbers=False, new_words=False)
    text = [
        {"text": f"Question: {p.question}\nAnswer: {p.solution}\n"} for p in itertools.islice(of_training, NUM_PROBLEMS)
    ]
    lines = itertools.islice(sums(seed=0), NUM_SUMS)
    text += [{"text": "\n".join(each) + "\n"} for each in zip(*[lines] * 10, strict=True)]
    write_lines(folder / "problems" / "problems.jsonl", text)
    conversations = itertools.islice(of_training, NUM_CONVERSATIONS)
    write_lines(folder / "train.jsonl", [{"prompt": p.question, "completion": p.solution} for p in conversations])
    for name, new_words in (("new_numbers", False), ("new_words", True)):
        asked = itertools.islice(problems(seed=1, new_numbers=True, new_words=new_words), NUM_HELDOUT)
        write_lines(folder / f"{name}.jsonl", [{"question": p.question, "answer": p.answer} for p in asked])


def write_lines(path: Path, records: list[dict]) -> None:
    """JSON Lines."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def print_table(folder: Path, tasks: list[Path]) -> None:
    """Scores of both models beside chance and guessing."""
    print(
        "| questions | model | exact match | +- 95% | constant guess | z | two numbers at random |\n|---|---|---|---|---|---|---|"
    )
    for task in tasks:
        guess = guess_by_operations(task)
        for name in ("base", "tuned"):
            result = json.loads((folder / f"{name}.json").read_text())["tasks"][task.stem]
            score = result["scores"]["all"]["exact_match"]
            print(
                f"| {task.stem} ({score['items']}) | {name} | {score['value']:.3f} | {score['margin_95']:.3f} | "
                f"{score['chance']:.3f} | {score['z']:+.1f} | {guess:.3f} |"
            )


def guess_by_operations(task: Path) -> float:
    """What a guess is expected to score: two numbers of the problem in some order and an operation, all equally likely."""
    total = count = 0.0
    for line in task.read_text().splitlines():
        record = json.loads(line)
        numbers = [int(text) for text in re.findall(r"\d+", record.get("question") or record["context"])]
        pairs = list(itertools.permutations(numbers, 2))
        values = [value for a, b in pairs for value in (a + b, a - b, a * b, a / b if b else None)]
        total += sum(value == float(record["answer"]) for value in values) / max(len(values), 1)
        count += 1
    return total / count


if __name__ == "__main__":
    main()
