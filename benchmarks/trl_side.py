"""TRL's half of `benchmarks/sft.py`, in TRL's environment; the last line it prints is JSON.

usage: PYTHON benchmarks/trl_side.py CHECKPOINT CONVERSATIONS OUTPUT --rows N --length N --steps N --skip N [--packed]
"""

import argparse
import json
import time

import torch
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer


class Clock(TrainerCallback):
    """When each step ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *_: object, **__: object) -> None:
        self.times.append(time.perf_counter())


def main() -> None:
    """Tune for some steps and say how many tokens a second passed through, without the first steps."""
    given = _arguments()
    model = AutoModelForCausalLM.from_pretrained(
        given.checkpoint, dtype=torch.float32, attn_implementation="sdpa", experts_implementation=given.experts
    )
    model.config.use_cache = False
    clock, tokens = Clock(), []
    config = SFTConfig(
        output_dir=given.output,
        per_device_train_batch_size=given.rows,
        max_steps=given.steps,
        max_length=given.length,
        packing=given.packed,
        assistant_only_loss=True,
        gradient_checkpointing=False,
        optim="adamw_torch_fused",
        learning_rate=5e-4,
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_num_workers=0,
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=load_dataset("json", data_files=given.conversations, split="train"),
        processing_class=AutoTokenizer.from_pretrained(given.checkpoint),
        callbacks=[clock],
    )
    collate = trainer.data_collator

    def counted(examples: list[dict]) -> dict:
        tokens.append(sum(len(example["input_ids"]) for example in examples))
        return collate(examples)

    trainer.data_collator = counted
    trainer.train()
    timed = tokens[given.skip : given.steps]
    seconds = clock.times[given.steps - 1] - clock.times[given.skip - 1]
    print(json.dumps({"tokens_per_s": sum(timed) / seconds, "tokens": timed}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("checkpoint", "conversations", "output"):
        parser.add_argument(name)
    for name in ("rows", "length", "steps", "skip"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--experts", default="grouped_mm")
    parser.add_argument("--packed", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
