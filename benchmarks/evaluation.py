"""Our model class of lm-evaluation-harness against its own class `hf`: the same requests, the same checkpoint, in turn.

usage: python benchmarks/evaluation.py --checkpoint runs/first --task arc_easy.jsonl [--limit 100] [--num-fewshot 0] [--rounds 2]

Requests are those of a local task of choices. Both run on the same threads, in fp32, with batches of about the same size; the
table has each one's best round in CPU seconds, and below it stands how far their log-likelihoods lie apart.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from mai1.checkpoint.inference import load_model, resolve_checkpoint
from mai1.dist import World, keep_freed_memory
from mai1.evaluate.config import AskConfig
from mai1.evaluate.harness import HarnessModel
from mai1.evaluate.likelihood import SharedModel
from mai1.evaluate.task_files import TaskConfig
from mai1.evaluate.tasks import LocalTask
from mai1.tokenizer.tokenizer import Tokenizer

BATCH = 32


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--task", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--num-fewshot", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_freed_memory()
    checkpoint = resolve_checkpoint(given.checkpoint, key="checkpoint")
    tokenizer = Tokenizer.load(checkpoint)
    task = LocalTask(
        given.task.stem,
        TaskConfig(path=str(given.task)),
        AskConfig(limit=given.limit, num_fewshot=given.num_fewshot),
    )
    asked = [(task.context(item), f" {choice}") for item in task.items for choice in item.choices]
    requests = [Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=0) for pair in asked]
    length = max(len(tokenizer.encode(context + answer)) for context, answer in asked)
    alone = World(0, 1, 0, torch.device("cpu"))
    shared = SharedModel(
        model=load_model(checkpoint), world=alone, pad_id=tokenizer.pad_id, tokens_at_once=BATCH * length
    )
    contenders = {
        "ours": HarnessModel(shared, tokenizer),
        "hf": HFLM(pretrained=str(checkpoint), device="cpu", dtype="float32", batch_size=BATCH),
    }
    best, found = dict.fromkeys(contenders, float("inf")), {}
    for _ in range(given.rounds):
        for name, model in contenders.items():
            seconds, found[name] = timed(lambda model=model: model.loglikelihood(requests))
            best[name] = min(best[name], seconds)
    print(
        f"\n{len(requests)} requests, up to {length} tokens each\n\n| class | CPU seconds | times ours |\n|---|---|---|"
    )
    for name, seconds in best.items():
        print(f"| {name} | {seconds:.2f} | {seconds / best['ours']:.2f} |")
    apart = max(abs(mine[0] - stock[0]) for mine, stock in zip(found["ours"], found["hf"], strict=True))
    differing = sum(mine[1] != stock[1] for mine, stock in zip(found["ours"], found["hf"], strict=True))
    print(f"\nlog-likelihoods at most {apart:.1e} apart, {differing} greedy flags differ")


def timed(action: Callable) -> tuple[float, list]:
    """CPU seconds and result."""
    started = time.process_time()
    result = action()
    return time.process_time() - started, result


if __name__ == "__main__":
    main()
