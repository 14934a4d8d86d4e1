"""`mai1 plan`: how large a run is, how it is best laid out over devices, how long it takes and what it costs.

Takes every key of `mai1 pretrain`, so that a training command with another name is a plan of it. `mai1 plan laws flops=1e24`
says what scaling laws advise for so many FLOPs."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from pathlib import Path

from tqdm import tqdm

from mai1.data.loader import BatchConfig
from mai1.plan.energy import EnergyConfig
from mai1.plan.goodput import GoodputConfig
from mai1.plan.hardware import Hardware
from mai1.plan.laws.side_by_side import recommend
from mai1.plan.plan import fewest_devices, make_plan
from mai1.plan.record import as_record
from mai1.plan.search import usual
from mai1.plan.search.space import Question, Value, pinned_values, usual_format
from mai1.plan.search.support import layout_of, obstacles
from mai1.report.page import write_page
from mai1.report.plan import build_plan_page
from mai1.run.compose import compose_config
from mai1.run.config import PretrainConfig, PretrainData
from mai1.run.hardware_file import read_hardware
from mai1.run.help import print_help
from mai1.run.plan_text import law_lines, lines_of

MOST_NODES = 4096
"""Tried for devices=auto."""


class LayoutFrom(Enum):
    """Who decides on the layout."""

    auto = "auto"
    engine = "engine"


@dataclass(kw_only=True, slots=True)
class PlannedRows(PretrainData):
    sequence_length: int = 0
    """Tokens of one row; 0: as many as the model is declared for, 4,096 at most."""

    def __post_init__(self) -> None:
        if self.sequence_length < 0 or self.sequence_length == 1:
            raise ValueError(f"data.sequence_length={self.sequence_length} must be at least 2, or 0 for the usual")


@dataclass(kw_only=True, slots=True)
class PlannedBatch(BatchConfig):
    sequences_per_step: int = 0
    """Rows of one optimizer step over all ranks; 0: about as many as suit the FLOPs of the run (arXiv 2507.17702)."""

    def __post_init__(self) -> None:
        if self.sequences_per_step < 0:
            raise ValueError(
                f"batch.sequences_per_step={self.sequences_per_step} must not be negative: use 0 for the usual"
            )
        if self.sequences_per_microbatch < 1:
            raise ValueError(f"batch.sequences_per_microbatch={self.sequences_per_microbatch} must be at least 1")


@dataclass(kw_only=True, slots=True)
class PlanConfig(PretrainConfig):
    data: PlannedRows = field(default_factory=PlannedRows)
    """What to train on; only the length of a row counts here."""
    batch: PlannedBatch = field(default_factory=PlannedBatch)
    """Rows per step; sequences_per_microbatch counts with layout=engine."""
    hardware: Hardware = field(default_factory=Hardware)
    """What one device and its links can do: hardware=h100, or hardware_file."""
    hardware_file: str = ""
    """YAML file of a device of your own, with the keys of hardware; what it leaves out is that of `hardware`."""
    devices: str = "8"
    """How many; auto: the fewest on which a layout fits and, with `days`, trains in time."""
    tokens: float = 0.0
    """To train on; 0: 20 for each active parameter."""
    days: float = 0.0
    """Of training, for devices=auto; 0: any."""
    layout: LayoutFrom = LayoutFrom.auto
    """auto: search for the fastest that fits; engine: the one that engine.* and batch.sequences_per_microbatch describe."""
    pinned: dict[str, str] = field(default_factory=dict)
    """Sizes that are not to be searched for: pinned.pipeline=8 pinned.format=fp8; the names are those of a layout."""
    runnable: bool = False
    """Search only among layouts that this version can run today."""
    imbalance: float = 1.2
    """Rows that the fullest rank's experts get over the mean: memory is counted for that rank."""
    goodput: GoodputConfig = field(default_factory=GoodputConfig)
    """How often devices fail, and what a failure costs."""
    energy: EnergyConfig = field(default_factory=EnergyConfig)
    """Power beside the devices', and its price."""
    output: str = ""
    """Directory for plan.json and plan.html; empty: the terminal alone."""

    def __post_init__(self) -> None:
        if self.devices != "auto" and not (self.devices.isdecimal() and 0 < int(self.devices) < 10**7):
            raise ValueError(f"devices={self.devices} must be a number from 1 to 9,999,999, or auto")
        for key in ("tokens", "days"):
            if not 0 <= getattr(self, key) < math.inf:
                raise ValueError(f"{key}={getattr(self, key)} must not be negative or infinite: use 0 for the usual")
        if self.days and self.devices != "auto":
            raise ValueError(
                f"days={self.days:g} is for devices=auto, but devices={self.devices}: leave one of them out"
            )
        if not 1 <= self.imbalance < math.inf:
            raise ValueError(f"imbalance={self.imbalance} must be at least 1, which is perfect balance")
        if self.layout is LayoutFrom.engine and (self.pinned or self.devices == "auto"):
            raise ValueError("layout=engine is one layout: leave out pinned, and give a number of devices")


def main(arguments: list[str]) -> None:
    """Print the plan; write it as JSON and as a page where asked to."""
    if "--help" in arguments:
        print_help("plan", PlanConfig, __doc__)
        return
    if arguments[:1] == ["laws"]:
        print_laws(arguments[1:])
        return
    config = compose_config("plan", PlanConfig, arguments)
    question, tokens = question_of(config)
    plan = make_plan(question, tokens=tokens, goodput_config=config.goodput, energy=config.energy, progress=_progress)
    print("\n".join(lines_of(plan, name=_name_of(arguments))))
    if config.output:
        write(as_record(plan) | {"name": _name_of(arguments)}, Path(config.output))


def question_of(config: PlanConfig) -> tuple[Question, float]:
    """What is to be planned, and for how many tokens; numbers that were left open are the usual ones."""
    model = usual.with_vocabulary(config.model)
    length = config.data.sequence_length or usual.sequence_length(model)
    if length > model.max_positions:
        raise ValueError(
            f"data.sequence_length={length} must not exceed model.max_positions={model.max_positions}: shorten the one or "
            "raise the other"
        )
    tokens = config.tokens or usual.tokens(model)
    question = Question(
        model=model,
        sequence_length=length,
        sequences_per_step=config.batch.sequences_per_step
        or usual.rows_per_step(model, tokens=tokens, sequence_length=length),
        rounds_rows=not config.batch.sequences_per_step,
        hardware=read_hardware(Path(config.hardware_file)) if config.hardware_file else config.hardware,
        num_devices=1 if config.devices == "auto" else int(config.devices),
        imbalance=config.imbalance,
        pinned=pinned_values(config.pinned),
        must_run=config.runnable,
        method=config.optim.method,
        lora=config.lora if config.lora.is_on else None,
        max_rows=config.routing.max_rows,
    )
    if config.layout is LayoutFrom.engine:
        return replace(question, pinned=_pinned_by_engine(config, question), must_run=True), tokens
    if config.devices == "auto":
        counts = _device_counts(question.hardware)
        count = fewest_devices(question, tokens=tokens, days=config.days, counts=counts, progress=_progress)
        return replace(question, num_devices=count), tokens
    return question, tokens


def _pinned_by_engine(config: PlanConfig, question: Question) -> dict[str, Value]:
    """Every size of the layout that a training run with this configuration has, checked as such a run checks it."""
    layout = layout_of(
        config.engine,
        num_devices=question.num_devices,
        microbatch=config.batch.sequences_per_microbatch,
        usual_format=usual_format(question.hardware),
    )
    if found := obstacles(question.workload(question.sequences_per_step), layout):
        raise ValueError(found[0])
    if not question.rounds_rows:
        config.batch.microbatches_per_step(layout.data)
    return {entry.name: getattr(layout, entry.name) for entry in fields(layout) if entry.name != "num_devices"}


def _device_counts(hardware: Hardware) -> list[int]:
    """Devices as they are rented: parts of a node, then nodes, in steps of a third to a half."""
    in_node = hardware.devices_per_node
    parts = [2**power for power in range(12) if 2**power < in_node]
    nodes = sorted({factor * 2**power for power in range(13) for factor in (2, 3) if factor * 2**power <= MOST_NODES})
    return [*parts, in_node, *(count * in_node for count in nodes)]


def print_laws(arguments: list[str]) -> None:
    """`mai1 plan laws flops=1e24`: each published law's answer, side by side."""
    flops = dict(argument.partition("=")[::2] for argument in arguments)
    if set(flops) != {"flops"} or not 1e9 < _as_number(flops["flops"]) < 1e40:
        raise ValueError("mai1 plan laws: give the FLOPs of the whole training, e.g. flops=1e24")
    print("\n".join(law_lines(recommend(_as_number(flops["flops"])))))


def _as_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def write(record: dict, directory: Path) -> None:
    """plan.json and plan.html."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "plan.json"
    write_page(path, json.dumps(record, indent=1, allow_nan=False) + "\n")
    build_plan_page(record, directory / "plan.html")
    print(f"\n{path} and plan.html written")


def _progress(items: Iterable, name: str) -> Iterable:
    """A bar for what takes more than a second."""
    return tqdm(items, desc=name, delay=1.0, leave=False, disable=None)


def _name_of(arguments: list[str]) -> str:
    """The shape that was named, for the title."""
    return next((value for key, _, value in (a.partition("=") for a in reversed(arguments)) if key == "model"), "tiny")
