"""Throughputs that others have published, with sources: what the planner's clock is fitted to and held against."""

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import yaml

from mai1.model.attention import AttentionConfig, AttentionKind, QKNorm
from mai1.model.flops import training_flops_per_token
from mai1.model.moe.layer import MoEConfig
from mai1.model.transformer import ModelConfig
from mai1.plan.hardware import Hardware
from mai1.plan.layout import Format, Layout, Recompute
from mai1.plan.workload import Workload

FILE = Path(__file__).parent / "published.json"
HARDWARE = Path(__file__).resolve().parents[2] / "configs" / "hardware"


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """One measured training run."""

    row: str
    """Its number; letters and sizes tell variants apart."""
    family: str
    """Rows of one family are left out together when the clock is judged."""
    source: str
    workload: Workload
    """With experts that are cut into slices as so many narrower experts, of which a token chooses all slices."""
    layout: Layout
    hardware: Hardware
    software: str
    slices: int
    """Experts are cut into."""
    tokens_per_s: float
    """Of one device."""
    only_checked: bool
    """Never fitted to, not even when other families are judged."""
    note: str


@dataclass(frozen=True, slots=True)
class Habits:
    """What a training program does, of `published.json`."""

    factor: str
    """Programs of one name share a factor on the step time."""
    deduplicates: bool = False
    reduces_fp32: bool = False
    runs_ahead: bool = False


@cache
def read_published() -> tuple[Published, ...]:
    """All rows of the file."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return tuple(_as_row(entry, content["models"][entry["model"]]) for entry in content["rows"])


@cache
def read_habits() -> dict[str, Habits]:
    """Every program of the file by name."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return {name: Habits(**entry) for name, entry in content["software"].items()}


@cache
def read_sources() -> dict[str, str]:
    """What the sources' short names stand for."""
    return json.loads(FILE.read_text(encoding="utf-8"))["sources"]


@cache
def vendor(name: str) -> Hardware:
    """A device of `configs/hardware`."""
    return Hardware(**yaml.safe_load((HARDWARE / f"{name}.yaml").read_text(encoding="utf-8")))


def _as_row(entry: dict, shape: dict) -> Published:
    model = _model(shape, entry["length"], slices=entry.get("expert_slices", 1))
    settings = entry["layout"] | {"recompute": Recompute(entry["layout"].get("recompute", "none"))}
    row = Published(
        row=entry["row"],
        family=shape["family"],
        source=entry["source"],
        workload=Workload(model=model, sequence_length=entry["length"], sequences_per_step=entry["sequences"]),
        layout=Layout(num_devices=entry["devices"], format=Format(entry["format"]), **settings),
        hardware=vendor(entry["hardware"]),
        software=entry["software"],
        slices=entry.get("expert_slices", 1),
        tokens_per_s=entry.get("tokens_per_s", 0.0),
        only_checked=entry.get("only_checked", False),
        note=entry.get("note", ""),
    )
    if "step_s" in entry:
        return replace(row, tokens_per_s=row.workload.tokens_per_step / entry["step_s"] / entry["devices"])
    if "mfu" in entry:
        whole = _model(shape, entry["length"], slices=1)
        flops = training_flops_per_token(whole, context=entry["length"])
        return replace(row, tokens_per_s=entry["mfu"] * row.hardware.peak_flops[entry["format"]] / flops)
    return row


def _model(shape: dict, length: int, *, slices: int) -> ModelConfig:
    """A model of the file; its experts cut into `slices`, as tensor parallelism of experts does."""
    attention, moe = dict(shape["attention"]), dict(shape["moe"])
    attention["kind"] = AttentionKind(attention.get("kind", "grouped"))
    attention["qk_norm"] = QKNorm(attention.get("qk_norm", "head"))
    moe |= {"num_experts": moe["num_experts"] * slices, "top_k": moe["top_k"] * slices}
    moe["expert_width"] //= slices
    others = {key: value for key, value in shape.items() if key not in ("attention", "moe", "family")}
    return ModelConfig(**others, max_positions=length, attention=AttentionConfig(**attention), moe=MoEConfig(**moe))
