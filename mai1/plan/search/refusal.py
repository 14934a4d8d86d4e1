"""Why no layout answers a question, in one line, and what would: text for people."""

from dataclasses import fields, replace
from enum import Enum

from mai1.plan.layout import Layout
from mai1.plan.search.candidate import Candidate
from mai1.plan.search.search import Found, nearest_that_fits
from mai1.plan.search.space import Question, Value, shapes, usable_rows
from mai1.plan.search.support import obstacles


def why_nothing_fits(question: Question, found: Found) -> str:
    """Which size divides nothing, or which memory is short by how much; and the nearest layout that fits."""
    if not found.num_shapes:
        return _why_nothing_divides(question)
    least = min(found.too_large, key=lambda candidate: candidate.bytes_over)
    text = f"{described(least.layout)} does not fit: {shortage(question, least)}"
    if not question.pinned:
        return f"no layout on {question.num_devices:,} devices fits. The smallest: {text}. Use more devices"
    must_run = question.must_run or not least.obstacles
    near = nearest_that_fits(replace(question, pinned={}, must_run=must_run), least.layout)
    if near is None:
        return f"{text}; nor does any other layout on {question.num_devices:,} devices: use more"
    return f"{text}. The nearest that fits: {described(near.layout)}, {changes(least.layout, near.layout)}"


def shortage(question: Question, candidate: Candidate) -> str:
    """Bytes over, of what hardware, and which kinds of memory are largest."""
    kinds = sorted(candidate.memory.by_kind().items(), key=lambda kind: -kind[1])
    largest = ", ".join(f"{name} {gigabytes(size)}" for name, size in kinds[:2])
    hardware = question.hardware
    return (
        f"{gigabytes(candidate.bytes_over)} over the {gigabytes(hardware.memory_bytes)} of {hardware.name or 'a device'} "
        f"({largest})"
    )


def described(layout: Layout) -> str:
    """A layout in a few words: sizes of 1 are left out."""
    sizes = {
        "stages": layout.pipeline,
        "pieces a stage": layout.virtual_stages,
        "ranks share experts": layout.expert,
        "tensor-parallel": layout.tensor,
        "share rows": layout.sequence,
    }
    parts = [f"{size} {name}" for name, size in sizes.items() if size > 1]
    parts += [f"ZeRO-{layout.zero_stage}", f"{layout.microbatch} row{'s' * (layout.microbatch > 1)} at once"]
    if layout.recompute.value != "none":
        parts.append(f"recompute {layout.recompute.value}")
    parts += ["optimizer on the host"] * layout.offload_optimizer
    parts += ["overlapping microbatches"] * layout.overlaps_experts
    parts += ["fused experts"] * layout.fuses_experts
    return ", ".join([*parts, layout.format.value])


def changes(layout: Layout, other: Layout) -> str:
    """What is different in the other, field by field."""
    changed = [
        f"{entry.name} {_plain(getattr(layout, entry.name))} -> {_plain(getattr(other, entry.name))}"
        for entry in fields(Layout)
        if getattr(layout, entry.name) != getattr(other, entry.name)
    ]
    return f"which changes {', '.join(changed)}" if changed else "the same"


def gigabytes(size: float) -> str:
    """Bytes as people compare them with a device's memory."""
    for unit, name in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(size) >= unit:
            return f"{size / unit:,.{0 if abs(size) >= 100 * unit else 1}f} {name}"
    return f"{size:.0f} bytes"


def _why_nothing_divides(question: Question) -> str:
    """Let go of one wish after the other: the first that makes room is the one to change."""
    pins = " ".join(f"pinned.{name}={_plain(value)}" for name, value in question.pinned.items())
    asked = f"{question.num_devices:,} devices" + (f" with {pins}" if pins else "")
    if question.must_run and (other := next(shapes(replace(question, must_run=False)), None)):
        reasons = ", ".join(obstacles(*other))
        return f"{asked} cannot run in this version: {reasons}; use runnable=false to plan it all the same"
    for name in question.pinned:
        released = replace(question, pinned={key: value for key, value in question.pinned.items() if key != name})
        usable = sorted({_plain(getattr(layout, name)) for _, layout in shapes(released)}, key=_by_size)
        if usable:
            choices = " or ".join(map(str, usable[:12]))
            return f"pinned.{name}={_plain(question.pinned[name])} divides nothing on {asked}: use {choices}"
    rows = [count for count in usable_rows(question) if count != question.sequences_per_step]
    if rows:
        return (
            f"batch.sequences_per_step={question.sequences_per_step} is no multiple of the rows that any layout of {asked} "
            f"reads at once: use {' or '.join(map(str, rows))}, or 0 for a number that suits"
        )
    return f"no layout divides {asked}: use another number of devices"


def _plain(value: Value) -> int | str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.value if isinstance(value, Enum) else value


def _by_size(value: int | str) -> tuple[int, str]:
    return (value, "") if isinstance(value, int) else (0, value)
