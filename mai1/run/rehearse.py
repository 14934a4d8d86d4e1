"""`mai1 rehearse`: one rank of a run of any size, here and now, without its devices: what it sends and what it keeps.

The rank's part of the real model goes forward and backward through one microbatch, on shapes alone, among ranks that are
pretended. Takes every key of `mai1 pretrain`, so that a training command with another name is a rehearsal of it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mai1.plan.layout import Format, Layout
from mai1.plan.memory.kinds import Memory
from mai1.plan.memory.memory import memory_by_stage
from mai1.plan.rehearsal.rehearsal import Rehearsed, rehearse
from mai1.plan.search import usual
from mai1.plan.search.support import layout_of
from mai1.plan.traffic.traffic import traffic_of
from mai1.plan.traffic.transfer import Transfer
from mai1.plan.workload import Workload
from mai1.run.compose import compose_config
from mai1.run.config import PretrainConfig
from mai1.run.directory import write_atomically
from mai1.run.help import print_help
from mai1.run.plan import PlannedBatch, PlannedRows

GB = 1e9


@dataclass(kw_only=True, slots=True)
class RehearseConfig(PretrainConfig):
    data: PlannedRows = field(default_factory=PlannedRows)
    """What to train on; only the length of a row counts here."""
    batch: PlannedBatch = field(default_factory=PlannedBatch)
    """Rows per step; 0: one microbatch of every rank."""
    devices: int = 8
    """Ranks of the run."""
    rank: int = 0
    """Which of them is rehearsed."""
    output: str = ""
    """File for the figures as JSON; empty: the terminal alone."""

    def __post_init__(self) -> None:
        if self.devices < 1:
            raise ValueError(f"devices={self.devices} must be at least 1")
        if not 0 <= self.rank < self.devices:
            raise ValueError(f"rank={self.rank} must be from 0 to devices-1={self.devices - 1}")


def main(arguments: list[str]) -> None:
    """Print what one rank came to, beside what was predicted."""
    if "--help" in arguments:
        print_help("rehearse", RehearseConfig, __doc__)
        return
    config = compose_config("rehearse", RehearseConfig, arguments)
    workload, layout = run_of(config)
    done = rehearse(workload, layout, rank=config.rank)
    transfers = traffic_of(workload, layout, stage=done.stage)
    memory = memory_by_stage(workload, layout, is_packed=False)[done.stage]
    print("\n".join(lines_of(done, transfers, memory, layout, rank=config.rank)))
    if config.output:
        record = as_record(done, transfers, memory)
        write_atomically(Path(config.output), json.dumps(record, indent=1))


def run_of(config: RehearseConfig) -> tuple[Workload, Layout]:
    """What is trained and how it is laid out; numbers that were left open are the usual ones."""
    if config.lora.is_on or config.routing.max_rows:
        named = f"lora.rank={config.lora.rank}" if config.lora.is_on else f"routing.max_rows={config.routing.max_rows}"
        raise ValueError(f"{named} cannot be rehearsed: leave it out, or use `mai1 plan`, which counts it")
    model = usual.with_vocabulary(config.model)
    config.engine.check_topology(world_size=config.devices, num_experts=model.moe.num_experts)
    layout = layout_of(
        config.engine,
        num_devices=config.devices,
        microbatch=config.batch.sequences_per_microbatch,
        usual_format=Format.bf16,
    )
    length = config.data.sequence_length or usual.sequence_length(model)
    rows = config.batch.sequences_per_step or layout.microbatch * layout.data
    workload = Workload(
        model=model,
        sequence_length=length,
        sequences_per_step=rows,
        method=config.optim.method,
    )
    return workload, layout


def lines_of(done: Rehearsed, transfers: list[Transfer], memory: Memory, layout: Layout, *, rank: int) -> list[str]:
    """The figures, for a terminal."""
    lines = [
        f"rank {rank:,} of {layout.num_devices:,}, stage {done.stage + 1} of {layout.pipeline}: "
        f"{done.parameters / GB:.3f} B parameters here",
        "",
        "one microbatch, recorded:",
        f"  kept for the backward {done.kept_bytes / GB:10.3f} GB     at the peak {done.peak_bytes / GB:.3f} GB, "
        "gradients of weights included",
    ]
    for row in done.comparison:
        verdict = "as predicted" if row.is_exact else f"predicted {row.predicted.payload_bytes / GB:.6f} GB"
        lines.append(
            f"  {row.operation.value:<14} over {len(row.ranks):>6,} ranks {row.recorded.payload_bytes / GB:12.6f} GB in "
            f"{row.recorded.calls:,} calls, {verdict}: {row.what}"
        )
    lines += ["", "the whole step, predicted, sent to other ranks:"]
    lines += [
        f"  {t.operation.value:<14} over {t.group_size:>6,} ranks {t.bytes_sent / GB:12.6f} GB in {t.calls:,} calls: {t.what}"
        for t in sorted(transfers, key=lambda t: -t.bytes_sent)
    ]
    kinds = ", ".join(f"{name} {value / GB:.2f}" for name, value in memory.by_kind().items())
    return [*lines, "", f"its memory, predicted: {memory.total / GB:.2f} GB ({kinds})"]


def as_record(done: Rehearsed, transfers: list[Transfer], memory: Memory) -> dict:
    """The same, as JSON."""
    return {
        "stage": done.stage,
        "parameters": done.parameters,
        "kept_bytes": done.kept_bytes,
        "peak_bytes": done.peak_bytes,
        "recorded": [
            {
                "operation": row.operation.value,
                "ranks": len(row.ranks),
                "what": row.what,
                "bytes": row.recorded.payload_bytes,
                "predicted_bytes": row.predicted.payload_bytes,
                "calls": row.recorded.calls,
            }
            for row in done.comparison
        ],
        "predicted": [asdict(t) | {"operation": t.operation.value, "bytes_sent": t.bytes_sent} for t in transfers],
        "memory": memory.by_kind(),
    }
