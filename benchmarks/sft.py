"""Tokens per second of instruction tuning: `mai1 sft` and TRL's SFTTrainer on the same mixture of experts and conversations.

usage: python benchmarks/sft.py --conversations FILE --trl PYTHON [--rounds 3] [--steps 10] [--scratch DIR] [--json FILE]

FILE holds conversations as `mai1 sft` reads them, such as GSM8K's; PYTHON is the interpreter of an environment with TRL. A
tokenizer of 8,192 pieces is learned from them, and a Qwen3-MoE of 24 M parameters with random weights (6 layers of width 256,
16 experts top-4 of 256) is written as a checkpoint that both load. A step is 8 rows of at most 512 tokens, fp32 on the CPU,
fused AdamW, and only what the assistant says is learned. Both are processes of their own, in turn for each round; the time of
the first two steps is left out, and so is what either does before and after. Tokens are those that are no padding.

mai1             packed by best fit, conversations isolated from each other
trl, packed      its own best-fit packing; without flash attention its conversations are isolated by position ids alone
trl, padded      as many conversations a step as a packed step has on average, each in a row of its own

Transformers' experts run as grouped_mm, its faster way on a CPU (eager: --experts eager), attention is sdpa, and nothing is
computed twice to save memory. Ends with 1 where mai1 is less than 1.25 times as fast as the faster of TRL's two ways.

Bound by: matrix products of the experts and the attention; a packed row computes next to no padding, a padded one about a third.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from mai1.data.instructions import read_conversations

ROOT = Path(__file__).parents[1]
ROWS, LENGTH, BAR, WARM_UP_STEPS = 8, 512, 1.25, 2
OURS, PACKED, PADDED = "mai1", "trl, packed", "trl, padded"
MODEL = (
    *("model.d_model=256", "model.num_layers=6", "model.num_dense_layers=0", "model.max_positions=2048"),
    *("model.attention.num_heads=4", "model.attention.num_kv_heads=2", "model.attention.head_dim=64"),
    *("model.attention.qk_norm=head", "model.moe.num_experts=16", "model.moe.top_k=4", "model.moe.expert_width=256"),
    *("model.moe.num_shared_experts=0", "model.moe.scores=softmax", "balance.method=none", "balance.z_loss_weight=0"),
)


def main() -> None:
    """Time all contenders in turn; exit with 1 where the bar is missed."""
    given = _arguments()
    with tempfile.TemporaryDirectory(prefix="sft-benchmark-") as temporary:
        scratch = given.scratch or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        talks = scratch / "conversations.jsonl"
        lines = [json.dumps({"messages": messages}) for messages in read_conversations(given.conversations)]
        talks.write_text("\n".join(lines) + "\n")
        checkpoint = _make_checkpoint(scratch, talks)
        speeds: dict[str, list[float]] = {OURS: [], PACKED: [], PADDED: []}
        for number in range(given.rounds):
            ours = _run_ours(scratch / f"run_{number}", checkpoint, talks, steps=given.steps)
            speeds[OURS].append(ours["tokens_per_s"])
            per_step = max(1, round(ours["conversations_per_step"]))
            for name, rows in ((PACKED, ROWS), (PADDED, per_step)):
                theirs = _run_trl(given, scratch, checkpoint, talks, rows=rows, is_packed=name == PACKED)
                speeds[name].append(theirs["tokens_per_s"])
            print(f"round {number + 1}: " + ", ".join(f"{k} {v[-1]:,.0f}" for k, v in speeds.items()), flush=True)
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    ratio = medians[OURS] / max(medians[PACKED], medians[PADDED])
    print(f"\n{'':<14}tokens/s   of mai1")
    for name, value in medians.items():
        print(f"{name:<14}{value:>8,.0f}   {value / medians[OURS]:.2f}")
    print(f"mai1 is {ratio:.2f} times as fast as the faster of the two (bar: {BAR})")
    if given.json:
        given.json.write_text(json.dumps({"tokens_per_s": speeds, "ratio": ratio}, indent=1) + "\n")
    sys.exit(ratio < BAR)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=Path, required=True, help="a file of conversations")
    parser.add_argument("--trl", required=True, help="the Python of an environment with TRL")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--experts", default="grouped_mm", help="transformers' experts: grouped_mm or eager")
    parser.add_argument("--scratch", type=Path, help="folder for everything that is made; else a temporary one")
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser.parse_args()


def _make_checkpoint(scratch: Path, talks: Path) -> Path:
    """A checkpoint after one step of pretraining on what the conversations say."""
    run, texts, corpus = scratch / "runs" / "base", scratch / "texts.jsonl", scratch / "corpus"
    if not (run / "checkpoints" / "latest").exists():
        with open(talks) as file, open(texts, "w") as out:
            for line in file:
                text = "\n".join(message["content"] for message in json.loads(line)["messages"])
                out.write(json.dumps({"text": text}) + "\n")
        source = f"sources={{talks: {{path: {texts}}}}}"
        _mai1(
            "prepare",
            f"output={corpus}",
            source,
            "tokenizer.vocab_size=8192",
            "dedup.minhash.is_on=false",
        )
        rows = ("data.sequence_length=512", "batch.sequences_per_step=1", "batch.sequences_per_microbatch=1")
        _mai1("pretrain", *MODEL, *rows, f"data.path={corpus}", f"run.directory={run.parent}", "run.name=base",
              "train.steps=1", "train.heldout_rows=1", "samples.count=0")  # fmt: skip
    return run / "checkpoints" / "latest"


def _run_ours(run: Path, checkpoint: Path, talks: Path, *, steps: int) -> dict:
    _mai1("sft", f"checkpoint.init_from={checkpoint}", f"data.train={talks}", "data.heldout=", f"data.sequence_length={LENGTH}",
          f"batch.sequences_per_step={ROWS}", f"batch.sequences_per_microbatch={ROWS}", f"run.directory={run.parent}",
          f"run.name={run.name}", f"train.steps={steps}", "train.log_every=1", f"checkpoint.every_steps={steps}",
          "samples.questions=0", "samples.count=0", "balance.method=none")  # fmt: skip
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps_timed = [record for record in records if "tokens_per_s" in record][WARM_UP_STEPS:]
    tokens = [now["tokens"] - before["tokens"] for before, now in zip(steps_timed, steps_timed[1:], strict=False)]
    seconds = [count / record["tokens_per_s"] for count, record in zip(tokens, steps_timed[1:], strict=True)]
    per_conversation = _tokens_of_conversations(checkpoint, talks)
    return {
        "tokens_per_s": sum(tokens) / sum(seconds),
        "conversations_per_step": statistics.mean(tokens) / per_conversation,
    }


def _tokens_of_conversations(checkpoint: Path, talks: Path) -> float:
    from mai1.tokenizer.chat import encode_chat
    from mai1.tokenizer.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(checkpoint)
    return statistics.mean(len(encode_chat(tokenizer, talk).ids) for talk in read_conversations(talks)[:500])


def _run_trl(
    given: argparse.Namespace, scratch: Path, checkpoint: Path, talks: Path, *, rows: int, is_packed: bool
) -> dict:
    command = [given.trl, str(ROOT / "benchmarks" / "trl_side.py"), str(checkpoint), str(talks), str(scratch / "trl")]
    command += [f"--rows={rows}", f"--length={LENGTH}", f"--steps={given.steps}", f"--experts={given.experts}"]
    command += [f"--skip={WARM_UP_STEPS}", *(["--packed"] if is_packed else [])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def _mai1(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "mai1", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-3000:])


if __name__ == "__main__":
    main()
