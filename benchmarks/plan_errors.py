"""How far the planner's clock is from published throughputs, and from training steps on this machine.

usage: python benchmarks/plan_errors.py [--cpu] [--repeats 5]

Without --cpu: fits the constants of `mai1.plan.timing.constants` to the rows of `mai1/plan/timing/published.json` and prints
them, then the table of docs/planning-errors.md: for every row the error with what was fitted to all rows, and with what was
fitted to the rows of other families only; and the errors with sources, programs and devices left out. Some seconds.

With --cpu: measures peak and bandwidth of one core, then training steps of models of several sizes (forward, loss, backward,
clipping, AdamW in fp32, one thread), and prints predicted and measured seconds. Process CPU time, so that other work on the
machine counts less; the best of the repeats. A minute.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, replace

import torch

from mai1.dist import keep_freed_memory
from mai1.model.attention import AttentionConfig
from mai1.model.cross_entropy import chunked_cross_entropy
from mai1.model.init import initialize
from mai1.model.moe.layer import MoEConfig
from mai1.model.moe.routing_policy import RoutingConfig
from mai1.model.transformer import ModelConfig, MoETransformer
from mai1.optim.adamw import OptimConfig, build_adamw, parameter_groups
from mai1.plan.layout import Format, Layout
from mai1.plan.timing.calibration import PRIORS, Fit, error_of, fit_to, leave_families_out, leave_out, predict
from mai1.plan.timing.measure import measure_device
from mai1.plan.timing.published import Published, read_habits, read_published
from mai1.plan.timing.step_time import step_time
from mai1.plan.workload import Workload

ORDERED = (
    ("17", "16", "13", "14"),
    ("22d", "22c", "22b", "22a", "21"),
    ("23-1024", "23-512", "23-256", "23-128"),
    ("25-1024", "25-512", "25-256", "25-128", "25-64"),
    *((f"29-{devices}", f"28-{devices}") for devices in (240, 480, 720, 960, 1440)),
    ("26c", "26b", "26a"),
)
"""Rows from slow to fast, as measured."""
SIZES = ((128, 4, 8, 128), (256, 4, 16, 256), (384, 6, 16, 384), (512, 6, 32, 256), (768, 4, 8, 768))
"""Width, blocks, experts and their width of the models that are trained here."""
ROWS, LENGTH, VOCABULARY = 4, 256, 8192


def main() -> None:
    """Print one of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu", action="store_true", help="measure training steps here instead")
    parser.add_argument("--repeats", type=int, default=5, help="steps measured of each model")
    given = parser.parse_args()
    if given.cpu:
        print_measured(given.repeats)
    else:
        print_published()


def print_published() -> None:
    """Constants, errors, orderings."""
    rows = read_published()
    fitted = [row for row in rows if not row.only_checked]
    fit, without = fit_to(fitted), leave_families_out(rows)
    print_constants(fit, num_rows=len(fitted))
    print("\n| row | family | program | devices | measured | predicted | error | family left out |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print_row(row, fit, without[row.family])
    for name, chosen in (("fitted", fitted), ("only checked", [row for row in rows if row.only_checked])):
        print(
            f"\n{name}: {summary(chosen, lambda row: fit)}; family left out: {summary(chosen, lambda r: without[r.family])}"
        )
    programs = {name: habits.factor for name, habits in read_habits().items()}
    for kind, kind_of in (
        ("source", lambda row: row.source),
        ("program", lambda row: programs[row.software]),
        ("device", lambda row: row.hardware.name),
    ):
        others = leave_out(rows, kind_of)
        print(f"{kind} left out: {summary(fitted, lambda row, kind_of=kind_of, others=others: others[kind_of(row)])}")
    for name, get in (("fitted", lambda row: fit), ("family left out", lambda row: without[row.family])):
        print(f"orderings right, {name}: {sum(is_in_order(group, rows, get) for group in ORDERED)} of {len(ORDERED)}")


def print_constants(fit: Fit, *, num_rows: int) -> None:
    """What was fitted, beside where it began."""
    print(
        f"{len(PRIORS) + len(fit.factors)} constants from {num_rows} rows\n\n| constant | begins at | fitted |\n|---|---|---|"
    )
    for name, (start, _) in PRIORS.items():
        print(f"| {name} | {start:.4g} | {asdict(fit.constants)[name]:.4g} |")
    for program, factor in fit.factors.items():
        print(f"| factor of {program} | 1 | {factor:.3f} |")


def print_row(row: Published, fit: Fit, without: Fit) -> None:
    """One line of the table; tokens per second of a device."""
    predicted = predict(row, fit).tokens_per_second_per_device
    cells = [f"{row.row}{' *' * row.only_checked}", row.family, row.software, f"{row.layout.num_devices:,}"]
    cells += [
        f"{row.tokens_per_s:,.0f}",
        f"{predicted:,.0f}",
        f"{error_of(row, fit):+.0%}",
        f"{error_of(row, without):+.0%}",
    ]
    print(f"| {' | '.join(cells)} |")


def summary(rows: list[Published], fit_for: Callable[[Published], Fit]) -> str:
    """Mean and largest absolute error."""
    errors = [abs(error_of(row, fit_for(row))) for row in rows]
    return f"mean absolute error {statistics.mean(errors):.1%}, largest {max(errors):.1%}, {len(errors)} rows"


def is_in_order(group: tuple[str, ...], rows: tuple[Published, ...], fit_for: Callable[[Published], Fit]) -> bool:
    """Whether predictions rise as measurements do."""
    named = {row.row: row for row in rows}
    speeds = [predict(named[name], fit_for(named[name])).tokens_per_second_per_device for name in group]
    return speeds == sorted(speeds)


def print_measured(repeats: int) -> None:
    """Predicted and measured training steps on one core."""
    torch.set_num_threads(1)
    keep_freed_memory()
    device = measure_device()
    peak = device.peak_flops["fp32"]
    print(f"one core: {peak / 1e9:.0f} GFLOP/s, {device.memory_bytes_per_s / 1e9:.1f} GB/s\n")
    print("| width | blocks | experts | their width | parameters | measured ms | predicted ms | predicted/measured |")
    print("|---|---|---|---|---|---|---|---|")
    ratios = []
    for size in SIZES:
        model = model_of(*size)
        workload = Workload(model=model, sequence_length=LENGTH, sequences_per_step=ROWS)
        layout = Layout(num_devices=1, zero_stage=0, microbatch=ROWS, format=Format.fp32)
        predicted = step_time(workload, layout, device).total
        measured, num_parameters = measure_step(model, repeats)
        ratios.append(predicted / measured)
        millions = f"{num_parameters / 1e6:.0f} M"
        cells = [*map(str, size), millions, f"{measured * 1e3:.0f}", f"{predicted * 1e3:.0f}", f"{ratios[-1]:.2f}"]
        print(f"| {' | '.join(cells)} |")
    print(f"\nmean absolute error {statistics.mean(abs(ratio - 1) for ratio in ratios):.1%}")


def model_of(width: int, num_layers: int, num_experts: int, expert_width: int) -> ModelConfig:
    """Heads of 64 channels, half as many for keys, two experts a token, one shared."""
    heads = width // 64
    return ModelConfig(
        vocab_size=VOCABULARY, d_model=width, num_layers=num_layers, num_dense_layers=1, dense_width=4 * width,
        max_positions=LENGTH, attention=AttentionConfig(num_heads=heads, num_kv_heads=heads // 2, head_dim=64),
        moe=MoEConfig(num_experts=num_experts, top_k=2, expert_width=expert_width, num_shared_experts=1),
    )  # fmt: skip


def measure_step(config: ModelConfig, repeats: int) -> tuple[float, int]:
    """CPU seconds of a training step, and the model's parameters."""
    optim = OptimConfig(learning_rate=1e-4)
    model = MoETransformer(config)
    initialize(model, seed=0)
    model.set_routing(replace(RoutingConfig(), forced_balance=True), seed=0)
    optimizer = build_adamw(parameter_groups(model.named_parameters(), optim), optim)
    ids_BT = torch.randint(1, VOCABULARY, (ROWS, LENGTH), generator=torch.Generator().manual_seed(0))
    times = []
    for _ in range(repeats + 1):
        started = time.process_time()
        output = model(ids_BT)
        hidden_ND = output.hidden_BTD.flatten(0, 1)
        counted_N = torch.ones(ids_BT.numel(), dtype=torch.bool)
        entropy = chunked_cross_entropy(hidden_ND, output.unembedding_VD, ids_BT.flatten(), counted_N)
        (entropy.total / ids_BT.numel()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.process_time() - started)
    return min(times[1:]), sum(parameter.numel() for parameter in model.parameters())


if __name__ == "__main__":
    main()
