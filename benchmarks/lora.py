"""A training step with adapters against full tuning, against merging them anew in every step, and against PEFT.

usage: python benchmarks/lora.py [--peft PYTHON] [--rounds 3] [--steps 4] [--threads 1] [--rank 16] [--json FILE]

PYTHON is the interpreter of an environment with peft and transformers. Every contender is a process of its own, in turn for
each round: the same Qwen3-MoE with random weights, fp32 on the CPU, the same rows of 256 random ids, forward, backward and
torch's fused AdamW over what is trained. The adapters are on attention and experts and begin from the same checkpoint, so
all contenders with adapters must have the same losses, or the benchmark ends with an error.

full             mai1, every weight trained
lora             mai1, adapters through their own products; no gradient of a frozen matrix is made
lora, merged     mai1, W + scale * B A made for every layer in every step, as PEFT does, with gradients of whole matrices
peft             transformers' Qwen3-MoE, `target_modules` for attention and `target_parameters` for experts

Time is CPU time of the process a step, the first step left out; memory is the peak of the process beyond what it takes
before there is a model: weights, gradients, moments and activations together.

Bound by: matrix products. Full tuning does three for each matrix, adapters two and a few thin ones, and neither gradients
nor moments of the frozen weights exist.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

ROWS, LENGTH, VOCABULARY = 8, 256, 8192
FULL, LORA, MERGED, PEFT = "full", "lora", "lora, merged", "peft"


@dataclass(frozen=True)
class Shape:
    """A model."""

    width: int
    num_layers: int
    num_experts: int
    top_k: int
    expert_width: int


SHAPES = (Shape(256, 6, 16, 4, 256), Shape(512, 4, 64, 8, 512))


def main() -> None:
    """One table for each shape, or, with --contender, one measurement as JSON."""
    given = _arguments()
    if given.contender:
        torch.set_num_threads(given.threads)
        print(json.dumps(measure(given.contender, given.checkpoint, steps=given.steps, rank=given.rank)))
        return
    results = [compare(shape, given) for shape in SHAPES]
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


def compare(shape: Shape, given: argparse.Namespace) -> dict:
    """Every contender's rounds, and the table."""
    names = [FULL, LORA, MERGED] + [PEFT] * bool(given.peft)
    found: dict[str, list[dict]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="lora-benchmark-") as folder:
        checkpoint = Path(_in_process(sys.executable, "make", Path(folder), given, shape)["checkpoint"])
        for _ in range(given.rounds):
            for name in names:
                found[name].append(_in_process(given.peft if name == PEFT else sys.executable, name, checkpoint, given))
    reference = torch.tensor(found[LORA][0]["losses"])
    for name in set(names) - {FULL}:
        torch.testing.assert_close(torch.tensor(found[name][0]["losses"]), reference, atol=1e-4, rtol=0)
    print(f"\n{shape}, {ROWS} rows of {LENGTH}, rank {given.rank}, {given.threads} thread(s)\n")
    print("| | trained | CPU s a step | of full | peak MB | of full |\n|---|---|---|---|---|---|")
    seconds = {name: statistics.median(run["seconds"] for run in runs) for name, runs in found.items()}
    memory = {name: min(run["peak_mb"] for run in runs) for name, runs in found.items()}
    for name in names:
        print(
            f"| {name} | {found[name][0]['trained'] / 1e6:.2f} M | {seconds[name]:.2f} | {seconds[name] / seconds[FULL]:.2f} "
            f"| {memory[name]:.0f} | {memory[name] / memory[FULL]:.2f} |"
        )
    return {"shape": str(shape), "seconds": seconds, "peak_mb": memory}


def measure(name: str, checkpoint: Path, *, steps: int, rank: int) -> dict:
    """What one contender takes; called in a process of its own."""
    if name == "make":
        return {"checkpoint": str(make_checkpoint(checkpoint, rank))}
    build = {FULL: _full, LORA: _lora, MERGED: _merged, PEFT: _peft}[name]
    make_model = build()
    before = _peak_mb()
    model, loss_of = make_model(checkpoint, rank)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.0, fused=True)
    losses, times = [], []
    for step in range(steps + 1):
        ids = torch.randint(0, VOCABULARY, (ROWS, LENGTH), generator=torch.Generator().manual_seed(step))
        started = time.process_time()
        loss = loss_of(ids)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.process_time() - started)
        losses.append(float(loss))
    return {
        "seconds": statistics.median(times[1:]),
        "losses": losses,
        "trained": sum(parameter.numel() for parameter in trained),
        "peak_mb": _peak_mb() - before,
    }


Make = Callable[[Path, int], tuple[torch.nn.Module, Callable[[torch.Tensor], torch.Tensor]]]


def _full() -> Make:
    from mai1.dist import keep_freed_memory
    from mai1.model.cross_entropy import chunked_cross_entropy

    keep_freed_memory()
    return lambda checkpoint, rank: _ours(checkpoint, chunked_cross_entropy)


def _lora() -> Make:
    from mai1.model.adapt import adapt
    from mai1.model.lora import LoraConfig

    make_full = _full()

    def make(checkpoint: Path, rank: int) -> tuple:
        model, loss_of = make_full(checkpoint, rank)
        adapt(model, LoraConfig(rank=rank), seed=0)
        return model, loss_of

    return make


def _merged() -> Make:
    from mai1.model.lora import merged
    from mai1.model.moe import experts

    def forward(self: experts.Experts, x_ND, weights_NK, grouping, *, num_rows_is_common: bool):
        a1, b1, a2, b2 = self._weights.factors
        gate_up, down = (
            merged(weight, a, b, scale=self.lora_scale)
            for weight, a, b in ((self.gate_up, a1, b1), (self.down, a2, b2))
        )
        return experts._ExpertLoop.apply(x_ND, weights_NK, gate_up, down, grouping)

    experts.Experts.forward = forward
    return _lora()


def _ours(checkpoint: Path, cross_entropy: Callable) -> tuple:
    from mai1.checkpoint.inference import load_model

    model = load_model(checkpoint).train()

    def loss_of(ids_BT: torch.Tensor) -> torch.Tensor:
        output = model(ids_BT[:, :-1])
        targets_N = ids_BT[:, 1:].flatten()
        weights_N = torch.full(targets_N.shape, 1 / targets_N.numel())
        return cross_entropy(output.hidden_BTD.flatten(0, 1), output.unembedding_VD, targets_N, weights_N).total

    return model, loss_of


def _peft() -> Make:
    import peft
    from transformers import AutoModelForCausalLM

    def make(checkpoint: Path, rank: int) -> tuple:
        base = AutoModelForCausalLM.from_pretrained(
            checkpoint, dtype=torch.float32, experts_implementation="grouped_mm"
        )
        model = peft.PeftModel.from_pretrained(base, checkpoint / "adapter", is_trainable=True).train()
        return model, lambda ids: model(ids, labels=ids, use_cache=False).loss

    return make


def make_checkpoint(folder: Path, rank: int) -> Path:
    """A checkpoint of random weights with new adapters: merged, they change nothing."""
    from mai1.checkpoint.checkpoint import ModelFiles, TrainerState
    from mai1.checkpoint.saver import save_checkpoint
    from mai1.dist import start_world
    from mai1.engine.ds_config import EngineConfig
    from mai1.engine.engine import Engine, start_deepspeed
    from mai1.model.adapt import adapt
    from mai1.model.attention import AttentionConfig
    from mai1.model.init import initialize
    from mai1.model.lora import LoraConfig
    from mai1.model.moe.layer import MoEConfig
    from mai1.model.moe.router import Scores
    from mai1.model.transformer import ModelConfig, MoETransformer
    from mai1.optim.config import OptimConfig

    shape = Shape(**json.loads((folder / "shape.json").read_text()))
    moe = {"num_experts": shape.num_experts, "top_k": shape.top_k, "expert_width": shape.expert_width}
    config = ModelConfig(
        vocab_size=VOCABULARY,
        d_model=shape.width,
        num_layers=shape.num_layers,
        num_dense_layers=0,
        attention=AttentionConfig(num_heads=shape.width // 64, num_kv_heads=2, head_dim=64),
        moe=MoEConfig(**moe, num_shared_experts=0, scores=Scores.softmax),
    )
    world = start_world()
    start_deepspeed()
    model = MoETransformer(config)
    initialize(model, seed=0)
    adapt(model, LoraConfig(rank=rank), seed=0)
    engine = Engine(model, EngineConfig(), OptimConfig(), world=world, microbatch=1, accumulation=1)
    state = TrainerState(step=0, tokens=0, seconds=0.0, data_fingerprint="", run={})
    (folder / "tokenizer").mkdir()
    files = ModelFiles(folder / "tokenizer", end_of_text_id=0, stop_ids=[0], pad_id=1)
    return save_checkpoint(folder, engine, state, files=files)


def _in_process(python: str, name: str, folder: Path, given: argparse.Namespace, shape: Shape | None = None) -> dict:
    if shape is not None:
        (folder / "shape.json").write_text(json.dumps(asdict(shape)))
    command = [python, __file__, "--contender", name, "--checkpoint", str(folder), "--steps", str(given.steps)]
    command += ["--rank", str(given.rank), "--threads", str(given.threads)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peft", default="", help="the Python of an environment with peft and transformers")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each contender")
    parser.add_argument("--steps", type=int, default=4, help="timed steps of a measurement")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--contender", default="", help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
