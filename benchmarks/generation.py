"""Generation with a cache against transformers' `generate`, from one checkpoint, greedy, in one process, in turn.

usage: python benchmarks/generation.py [--shapes tiny medium] [--stored float32] [--rounds 3] [--threads 1] [--new-tokens 128]

A checkpoint of random weights is written once and loaded by both. mai1 runs with `kernels=torch` and `kernels=compiled` (of
`mai1 generate`; compiling is not timed, its seconds are printed). transformers runs with its implementations of experts that
need no copy of the weights for each token (grouped_mm, eager), with its dynamic cache, and with its static one. All must give
the same tokens. With `--stored bfloat16` the checkpoint is one in bf16, as releases are, and transformers also runs in bf16, as
it does unless told otherwise; its tokens are then others now and then, so only rows that no stop id ends are timed.

Prompts are random ids; in the work that is called `even` they have 128, and every row gets all its tokens; in `uneven` they
have 16 to 128, and stop ids end rows at different places, as questions and answers do. The table has each one's best round: the
time of a whole call, in wall and in CPU time, a step (the longest row's tokens are the steps, the prompts' share is included),
and how many times as long it takes as mai1 with `kernels=compiled`.
"""

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM

from mai1.checkpoint.families import to_hf_config
from mai1.checkpoint.inference import load_model
from mai1.checkpoint.model_plan import holding_all, plan_model_files
from mai1.checkpoint.tensor_file import write_json
from mai1.checkpoint.weights import write_model_files
from mai1.dist import keep_freed_memory
from mai1.generate.compiled_step import CompiledStep, compile_step
from mai1.generate.generation import generate
from mai1.generate.sampling import SamplingConfig
from mai1.model.attention import AttentionConfig
from mai1.model.init import initialize
from mai1.model.moe.layer import MoEConfig
from mai1.model.moe.router import Scores
from mai1.model.transformer import ModelConfig, MoETransformer

VOCABULARY = 8192
PROMPT_TOKENS = 128
COMPILED = "mai1, compiled"
CONTENDERS = (("grouped_mm", "dynamic"), ("eager", "dynamic"), ("grouped_mm", "static"))
"""Implementation of experts, and cache, of transformers."""
SHAPES = {
    "tiny": ModelConfig(  # configs/model/tiny.yaml
        vocab_size=VOCABULARY, d_model=192, num_layers=4, dense_width=512, tie_embeddings=True, init_std=0.07,
        attention=AttentionConfig(num_heads=6, num_kv_heads=2, head_dim=32),
        moe=MoEConfig(num_experts=8, top_k=2, expert_width=192),
    ),
    "medium": ModelConfig(
        vocab_size=VOCABULARY, d_model=256, num_layers=6, dense_width=768, tie_embeddings=True, init_std=0.07,
        attention=AttentionConfig(num_heads=8, num_kv_heads=2, head_dim=32),
        moe=MoEConfig(num_experts=16, top_k=4, expert_width=320),
    ),
    "medium, softmax": ModelConfig(
        vocab_size=VOCABULARY, d_model=256, num_layers=6, num_dense_layers=0, tie_embeddings=True, init_std=0.07,
        attention=AttentionConfig(num_heads=8, num_kv_heads=2, head_dim=32),
        moe=MoEConfig(num_experts=16, top_k=4, expert_width=320, num_shared_experts=0, scores=Scores.softmax),
    ),
    "wide": ModelConfig(  # configs/model/small.yaml
        vocab_size=VOCABULARY, d_model=512, num_layers=8, dense_width=1536, tie_embeddings=True, init_std=0.044,
        attention=AttentionConfig(num_heads=8, num_kv_heads=2, head_dim=64),
        moe=MoEConfig(num_experts=32, top_k=4, expert_width=384),
    ),
}  # fmt: skip


@dataclass
class Best:
    """Best times of a contender over its rounds."""

    wall_s: float = float("inf")
    cpu_s: float = float("inf")


@dataclass
class Work:
    """What is to be written."""

    prompts: list[list[int]]
    num_tokens: int
    """Most new tokens of a row."""
    stop_ids: list[int]


Contender = Callable[[Work], list[list[int]]]
"""New ids of each prompt, without the one that stops."""


def main() -> None:
    """Print one table row per shape, number of rows, kind of work and contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=["tiny", "medium"], choices=SHAPES)
    parser.add_argument("--rows", nargs="+", type=int, default=[1, 16], help="prompts at once")
    parser.add_argument("--stored", default="float32", choices=["float32", "bfloat16"], help="the checkpoint's dtype")
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds of each contender")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--new-tokens", type=int, default=128, help="most tokens made for each prompt")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    keep_freed_memory()
    print(
        "| model | rows | work | contender | wall ms/step | CPU ms/step | times compiled, wall | CPU |\n|" + "---|" * 8
    )
    for name in given.shapes:
        with tempfile.TemporaryDirectory() as folder:
            _write_checkpoint(Path(folder), SHAPES[name], stored=given.stored)
            contenders = _ours(Path(folder)) | _of_transformers(Path(folder), dtype="float32")
            if given.stored == "bfloat16":
                contenders |= _of_transformers(Path(folder), dtype=given.stored)
        for num_rows in given.rows:
            works = _works(contenders[COMPILED], num_rows, num_tokens=given.new_tokens)
            for kind, work in works.items() if given.stored == "float32" else [("even", works["even"])]:
                best = _time_in_turn(contenders, work, rounds=given.rounds)
                _print_rows(f"{name} | {num_rows} | {kind}", best, num_steps=given.new_tokens)


def _print_rows(name: str, best: dict[str, Best], *, num_steps: int) -> None:
    ours = best[COMPILED]
    for contender, times in best.items():
        wall_ms, cpu_ms = times.wall_s / num_steps * 1e3, times.cpu_s / num_steps * 1e3
        ratios = f"{times.wall_s / ours.wall_s:.2f} | {times.cpu_s / ours.cpu_s:.2f}"
        print(f"| {name} | {contender} | {wall_ms:.2f} | {cpu_ms:.2f} | {ratios} |", flush=True)


def _works(ours: Contender, num_rows: int, *, num_tokens: int) -> dict[str, Work]:
    """The same kinds for everybody; one row alone cannot be uneven."""
    generator = torch.Generator().manual_seed(num_rows)
    prompts = torch.randint(0, VOCABULARY - 128, (num_rows, PROMPT_TOKENS), generator=generator).tolist()
    works = {"even": Work(prompts, num_tokens, [])}
    if num_rows > 1:
        lengths = torch.randint(16, PROMPT_TOKENS + 1, (num_rows,), generator=generator).tolist()
        uneven = [prompt[:length] for prompt, length in zip(prompts, lengths, strict=True)]
        works["uneven"] = Work(uneven, num_tokens, _stops(ours(Work(uneven, num_tokens, []))))
    return works


def _stops(free: list[list[int]]) -> list[int]:
    """Ids that end rows on average at half their length, and at least one of them not at all."""
    stops: list[int] = []
    for ids in free[1:]:
        token = next((token for token in ids[len(ids) // 4 :] if token not in free[0]), None)
        lengths = [min([row.index(stop) for stop in stops if stop in row], default=len(row)) for row in free]
        if token is not None and sum(lengths) > len(free) * len(free[0]) / 2:
            stops.append(token)
    return stops


def _time_in_turn(contenders: dict[str, Contender], work: Work, *, rounds: int) -> dict[str, Best]:
    expected = contenders["mai1, torch"](work)
    assert max(map(len, expected)) == work.num_tokens
    for name, contender in contenders.items():  # also what warms it up
        written = contender(work)
        assert written == expected or "bfloat16" in name, f"{name} writes something else"
    best = {name: Best() for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            wall, cpu = time.perf_counter(), time.process_time()
            contender(work)
            best[name].wall_s = min(best[name].wall_s, time.perf_counter() - wall)
            best[name].cpu_s = min(best[name].cpu_s, time.process_time() - cpu)
    return best


def _ours(folder: Path) -> dict[str, Contender]:
    model = load_model(folder)
    started = time.perf_counter()
    compiled = compile_step(model, key="kernels")
    print(f"compiled in {time.perf_counter() - started:.2f} s", file=sys.stderr)

    @torch.inference_mode()
    def contender(work: Work, step: CompiledStep | None = None) -> list[list[int]]:
        config = SamplingConfig(max_new_tokens=work.num_tokens)
        return generate(model, work.prompts, config, stop_ids=work.stop_ids, num_text_ids=VOCABULARY, step=step)

    return {"mai1, torch": contender, COMPILED: partial(contender, step=compiled)}


def _of_transformers(folder: Path, *, dtype: str) -> dict[str, Contender]:
    contenders, models = {}, {}
    for implementation, cache in CONTENDERS:
        if implementation not in models:
            models[implementation] = AutoModelForCausalLM.from_pretrained(
                folder, experts_implementation=implementation, dtype=dtype
            ).eval()

        def contender(work: Work, model=models[implementation], cache=cache) -> list[list[int]]:
            longest = max(map(len, work.prompts))
            tokens_BT = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in work.prompts])
            is_token = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in work.prompts]
            made = model.generate(
                tokens_BT, attention_mask=torch.tensor(is_token), do_sample=False, max_new_tokens=work.num_tokens,
                eos_token_id=work.stop_ids, pad_token_id=0, cache_implementation=cache,
            )[:, longest:].tolist()  # fmt: skip
            ends = [min([ids.index(stop) for stop in work.stop_ids if stop in ids], default=len(ids)) for ids in made]
            return [ids[:end] for ids, end in zip(made, ends, strict=True)]

        contenders[f"transformers {dtype}, {implementation}, {cache}"] = contender
    return contenders


def _write_checkpoint(folder: Path, config: ModelConfig, *, stored: str) -> None:
    model = MoETransformer(config)
    initialize(model, seed=0)
    model.to(getattr(torch, stored))
    state = model.state_dict()
    plan = plan_model_files(config, [holding_all(config)], max_bytes=10**9, bytes_per_element=4)
    write_model_files(
        folder,
        plan,
        dtype_of=lambda tensor: state[tensor.name].dtype,
        read=lambda t: state[t.name].view(-1)[t.start : t.start + t.numel].view(t.shape),
    )
    ids = {"end_of_text_id": VOCABULARY - 1, "stop_ids": [VOCABULARY - 1], "pad_id": VOCABULARY - 2}
    write_json(folder / "config.json", to_hf_config(config, dtype=stored, **ids))


if __name__ == "__main__":
    main()
