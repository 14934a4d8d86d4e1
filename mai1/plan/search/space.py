"""Every layout that could be: what divides what, and the sizes that were asked for by name."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from itertools import product

from mai1.model.lora import LoraConfig
from mai1.model.transformer import ModelConfig
from mai1.optim.config import Method
from mai1.plan.hardware import Hardware
from mai1.plan.layout import Format, Layout, Recompute
from mai1.plan.search.support import obstacles
from mai1.plan.workload import Workload

MICROBATCHES = (1, 2, 4, 8, 16, 32)
VIRTUAL_STAGES = (1, 2, 3, 4, 6, 8)
ZERO_STAGES = (1, 2, 3)
MOST_STAGES = 64
ROUNDING = 0.25
"""Share by which the rows of a step may change where they are not given."""
Value = int | bool | Format | Recompute


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What is to be laid out, on what, and which answers count."""

    model: ModelConfig
    sequence_length: int
    sequences_per_step: int
    hardware: Hardware
    num_devices: int
    rounds_rows: bool = False
    """Where no number of rows was asked for: the one nearest to `sequences_per_step` that a layout divides."""
    imbalance: float = 1.0
    """Rows at the fullest rank's experts over the mean."""
    pinned: dict[str, Value] = field(default_factory=dict)
    """Sizes that are not to be chosen, by field of the layout."""
    must_run: bool = False
    """Only layouts that this version can run."""
    method: Method = Method.adamw
    lora: LoraConfig | None = None
    max_rows: int = 0
    """As in `Workload`; so are the two before."""

    def workload(self, sequences_per_step: int) -> Workload:
        """The step of so many rows."""
        return Workload(
            model=self.model,
            sequence_length=self.sequence_length,
            sequences_per_step=sequences_per_step,
            method=self.method,
            lora=self.lora,
            max_rows=self.max_rows,
        )


def pinned_values(wanted: dict[str, str]) -> dict[str, Value]:
    """Values of a layout's fields from what a person wrote; ValueError names what is no field or no value."""
    kinds = {entry.name: entry.type for entry in fields(Layout) if entry.name != "num_devices"}
    values: dict[str, Value] = {}
    for name, text in wanted.items():
        if name not in kinds:
            raise ValueError(f"pinned.{name} is no size of a layout: use {', '.join(kinds)}")
        usable = _usable_texts(name, kinds[name], text)
        if text.lower() not in usable:
            raise ValueError(f"pinned.{name}={text} must be {' or '.join(usable) or 'a whole number, at least 1'}")
        values[name] = usable[text.lower()]
    return values


def _usable_texts(name: str, kind: type, text: str) -> dict[str, Value]:
    """What a field may be called, with the values; of sizes only the one that was written."""
    if name == "zero_stage":
        return {str(stage): stage for stage in range(4)}
    if kind is bool:
        return {"true": True, "false": False}
    if issubclass(kind, Enum):
        return {value.value: value for value in kind}
    return {text: int(text)} if text.isdecimal() and 0 < int(text) < 10**9 else {}


def usual_format(hardware: Hardware) -> Format:
    """What precision=auto trains in: bf16 where a device has it, which CPUs' files do not say."""
    return Format.bf16 if Format.bf16.value in hardware.peak_flops else Format.fp32


def shapes(question: Question) -> Iterator[tuple[Workload, Layout]]:
    """Each shape once, in its most lavish variant."""
    recompute, offload = (values[0] for values in _ways_to_spare(question))
    for pipeline, tensor, sequence in _divisions(question):
        per_stage = question.num_devices // pipeline
        data = per_stage // (tensor * sequence)
        experts = [size for size in _divisors(question.model.moe.num_experts) if per_stage % size == 0]
        for microbatch in _values(question, "microbatch", MICROBATCHES):
            workload = workload_of(question, rows_at_once=microbatch * data)
            if workload is None:
                continue
            accumulation = workload.sequences_per_step // (microbatch * data)
            for expert, virtual, format in product(
                _values(question, "expert", experts),
                _values(question, "virtual_stages", _interleavings(question.model, pipeline, accumulation)),
                _values(question, "format", _formats(question.hardware)),
            ):
                if expert not in experts:
                    continue
                shape = Layout(
                    num_devices=question.num_devices,
                    pipeline=pipeline,
                    tensor=tensor,
                    sequence=sequence,
                    expert=expert,
                    virtual_stages=virtual,
                    microbatch=microbatch,
                    format=format,
                    overlaps_experts=question.pinned.get("overlaps_experts", False),
                    fuses_experts=question.pinned.get("fuses_experts", False),
                    zero_stage=question.pinned.get("zero_stage", ZERO_STAGES[0]),
                    recompute=recompute,
                    offload_optimizer=offload,
                )
                if not question.must_run or sharded(question, workload, shape):
                    yield workload, shape


def sharded(question: Question, workload: Workload, shape: Layout) -> list[Layout]:
    """The shape under every ZeRO stage that may be chosen."""
    return [
        layout
        for layout in (replace(shape, zero_stage=stage) for stage in _values(question, "zero_stage", ZERO_STAGES))
        if any(is_allowed(question, workload, other) for other in [layout, *sparing(question, layout)])
    ]


def sparing(question: Question, lavish: Layout) -> list[Layout]:
    """The same layout with more computed again or kept by the host: less memory for more time."""
    layouts = (
        replace(lavish, recompute=recompute, offload_optimizer=offload)
        for recompute, offload in product(*_ways_to_spare(question))
    )
    return [layout for layout in layouts if layout != lavish]


def keeps_least(question: Question, layout: Layout) -> bool:
    """Whether no layout of the same sharding keeps fewer activations, as far as microbatches and recomputing decide."""
    recompute, _ = _ways_to_spare(question)
    return layout.microbatch == _values(question, "microbatch", MICROBATCHES)[0] and layout.recompute is recompute[-1]


def is_allowed(question: Question, workload: Workload, layout: Layout) -> bool:
    """Whether it may be chosen: all, or what this version runs."""
    return not question.must_run or not obstacles(workload, layout)


def variants(question: Question, workload: Workload, shape: Layout) -> Iterator[Layout]:
    """All ways to shard a shape and to trade time for memory that may be chosen."""
    for lavish in sharded(question, workload, shape):
        for layout in (lavish, *sparing(question, lavish)):
            if is_allowed(question, workload, layout):
                yield layout


def _ways_to_spare(question: Question) -> tuple[list[Value], list[Value]]:
    """Of recomputing and of offloading, most lavish first."""
    has_host = usual_format(question.hardware) is Format.bf16 and question.hardware.host_bytes_per_s > 0
    offloads = _values(question, "offload_optimizer", [False, True] if has_host else [False])
    return _values(question, "recompute", list(Recompute)), offloads


def workload_of(question: Question, *, rows_at_once: int) -> Workload | None:
    """The step of a layout that reads so many rows at once; None where they do not make up the step."""
    rows = question.sequences_per_step
    if question.rounds_rows:
        wanted, rows = rows, max(round(rows / rows_at_once), 1) * rows_at_once
        if abs(rows - wanted) > ROUNDING * wanted:
            return None
    elif rows % rows_at_once:
        return None
    return question.workload(rows)


def usable_rows(question: Question) -> list[int]:
    """The numbers of rows a step, one below and one above what was asked for, that some layout divides."""
    wanted, found = question.sequences_per_step, set()
    for pipeline, tensor, sequence in _divisions(question):
        data = question.num_devices // (pipeline * tensor * sequence)
        for microbatch in _values(question, "microbatch", MICROBATCHES):
            at_once = microbatch * data
            found |= {wanted // at_once * at_once, -(-wanted // at_once) * at_once}
    below, above = [rows for rows in found if 0 < rows <= wanted], [rows for rows in found if rows > wanted]
    return [*([max(below)] if below else []), *([min(above)] if above else [])]


def with_enough_rows(question: Question) -> Question:
    """The same; where rows are not given and the usual number is none that any layout divides, with the nearest that is."""
    if not question.rounds_rows or next(shapes(question), None):
        return question
    by_distance = sorted(usable_rows(question), key=lambda rows: abs(rows - question.sequences_per_step))
    others = (replace(question, sequences_per_step=rows) for rows in by_distance)
    return next((other for other in others if next(shapes(other), None)), question)


def _divisions(question: Question) -> Iterator[tuple[int, int, int]]:
    """Stages, tensor- and sequence-parallel ranks that divide the devices, the model and its rows."""
    model, devices = question.model, question.num_devices
    heads, in_node = model.attention.num_heads, question.hardware.devices_per_node
    most_stages = 1 if model.tie_embeddings else len(model.moe_layers)
    stages = [size for size in _divisors(devices) if size <= min(most_stages, MOST_STAGES)]
    slices = [size for size in (1, 2, 4, 8, 16, 32, 64) if size <= in_node]
    for pipeline, tensor, sequence in product(
        _values(question, "pipeline", stages),
        _values(question, "tensor", [size for size in slices if _divides_attention(size, model)]),
        _values(question, "sequence", slices),
    ):
        is_usual = tensor * sequence <= in_node or {"tensor", "sequence"} & question.pinned.keys()
        if (
            is_usual
            and pipeline <= most_stages
            and devices % (pipeline * tensor * sequence) == 0
            and _divides_attention(tensor, model)
            and heads % (tensor * sequence) == 0
            and question.sequence_length % sequence == 0
        ):
            yield pipeline, tensor, sequence


def _divides_attention(tensor: int, model: ModelConfig) -> bool:
    return model.attention.num_heads % tensor == 0 and model.d_model % tensor == 0


def _interleavings(model: ModelConfig, pipeline: int, accumulation: int) -> list[int]:
    """Pieces a stage may have; interleaving goes in rounds of as many microbatches as there are stages."""
    if pipeline == 1 or accumulation % pipeline:
        return [1]
    return [size for size in VIRTUAL_STAGES if pipeline * size <= model.num_layers]


def _formats(hardware: Hardware) -> list[Format]:
    usual = usual_format(hardware)
    has_fp8 = usual is Format.bf16 and Format.fp8.value in hardware.peak_flops
    return [usual, Format.fp8] if has_fp8 else [usual]


def _values(question: Question, name: str, usual: list[Value] | tuple[Value, ...]) -> list[Value]:
    """What a field may be: what was asked for by name, or else all that is usual."""
    return [question.pinned[name]] if name in question.pinned else list(usual)


def _divisors(count: int) -> list[int]:
    small = [size for size in range(1, int(count**0.5) + 1) if count % size == 0]
    return sorted({*small, *(count // size for size in small)})
