"""A plan in the terminal: figures in the order in which one asks for them."""

from textwrap import wrap

from mai1.plan.failures import failures
from mai1.plan.goodput import LITTLE
from mai1.plan.laws.recommendation import Recommendation
from mai1.plan.laws.side_by_side import COLUMNS, table
from mai1.plan.layout import Layout
from mai1.plan.plan import Length, Plan
from mai1.plan.record import CONVENTION
from mai1.plan.search.candidate import Candidate
from mai1.plan.search.refusal import described, gigabytes, shortage
from mai1.plan.search.support import overrides_of

BAR_WIDTH = 28
MOST_REFUSED = 4
SETTINGS = ("pipeline", "virtual_stages", "expert", "tensor", "sequence", "zero_stage", "microbatch")
SHORT = ("pipe", "pieces", "expert", "tensor", "seq", "ZeRO", "rows")


def lines_of(plan: Plan, *, name: str) -> list[str]:
    """All of it."""
    question, best = plan.question, plan.best
    device = question.hardware.name or "device"
    parts = [
        [f"{name} on {question.num_devices:,} x {device}"],
        _facts(plan),
        _notes(plan),
        _bars(
            f"memory of the fullest device, of {gigabytes(question.hardware.memory_bytes)}",
            {kind: (size, gigabytes(size)) for kind, size in best.memory.by_kind().items()},
        ),
        _bars(
            f"time of a step, {seconds(best.time.total)}",
            {part.replace("_", " "): (duration, seconds(duration)) for part, duration in best.time.by_part().items()},
        ),
        _links(plan),
        _layouts(plan),
        _refused(plan),
        law_lines(plan.laws),
        _how_to_run(plan, name=name),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines).splitlines()


def _facts(plan: Plan) -> list[str]:
    question, best, length = plan.question, plan.best, plan.length
    per_second = 1 / best.seconds_per_token
    cost, failing = length.cost, length.goodput
    facts = {
        "model": f"{count(plan.parameters.total)} parameters, {count(plan.parameters.active)} active; "
        f"{count(plan.flops_per_token, unit='FLOPs')} a token*",
        "run": f"{count(plan.tokens)} tokens in {length.steps:,} steps of {best.workload.sequences_per_step:,} rows of "
        f"{question.sequence_length:,}; {plan.compute_flops:.3g} FLOPs",
        "layout": f"{described(best.layout)}; {groups_of_readers(best.layout)}",
        "speed": f"{per_second / question.num_devices:,.0f} tokens/s a device, {count(per_second)}/s in all, "
        f"MFU {plan.mfu_of(best):.1%}, {seconds(best.time.total)} a step",
        "time": f"{days(cost.seconds)}, {_rounded(cost.device_hours)} device hours"
        + (f"; {failing.effective_share:.1%} of it in steps that last" if failing else ""),
        "costs": f"{money(cost.dollars)}, {energy(cost.kilowatt_hours)}",
    }
    if failing:
        facts["checkpoint"] = f"{gigabytes(failing.checkpoint_bytes)}, {_when_to_save(length)}"
        expected = failures(cost.seconds, mtbf_s=failing.mtbf_s)
        likely = f"{_rounded(expected.expected)} in all, at most {expected.at_most:,} (99%)"
        allow = ": allow launch.max_restarts for them" if expected.at_most else ""
        facts["failures"] = f"{_rounded(failing.failures_per_day)} a day, {likely}{allow}"
    width = max(map(len, facts))
    return [*(f"{key:<{width}}  {text}" for key, text in facts.items()), f"{'':<{width}}  * {CONVENTION}"]


def _when_to_save(length: Length) -> str:
    """How often, unless the run is over before."""
    failing = length.goodput
    if failing.every_steps >= length.steps:
        return "best at the end alone: the run is too short to save before"
    best = f"best every {failing.every_steps:,} steps ({seconds(failing.checkpoint_interval_s)})"
    sparing = min(failing.sparing_every_steps, length.steps)
    if sparing < 2 * failing.every_steps:
        return best
    return f"{best}; every {sparing:,} costs {LITTLE:.1%} of the progress"


def _rounded(value: float) -> str:
    """Whole numbers, and of small ones two digits."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _notes(plan: Plan) -> list[str]:
    """As many lines as it takes, none too long for a terminal."""
    return [line for note in plan.notes for line in wrap(note, width=126, initial_indent="* ", subsequent_indent="  ")]


def groups_of_readers(layout: Layout) -> str:
    """How many read rows of their own."""
    size = layout.tensor * layout.sequence
    readers = f"groups of {size} ranks" if size > 1 else "ranks" if layout.data > 1 else "rank"
    return f"{layout.data:,} {readers} with rows of their own"


def _bars(title: str, sizes: dict[str, tuple[float, str]]) -> list[str]:
    """One line a part, the largest first; parts of nothing are left out."""
    total = sum(size for size, _ in sizes.values()) or 1.0
    parts = sorted(((name, *value) for name, value in sizes.items() if value[0] > 0), key=lambda part: -part[1])
    width = max((len(name) for name, *_ in parts), default=0)
    return [title] + [
        f"  {name:<{width}}  {text:>9}  {size / total:>5.1%}  {'█' * round(size / total * BAR_WIDTH)}"
        for name, size, text in parts
    ]


def _links(plan: Plan) -> list[str]:
    if not plan.loads:
        return []
    rows = [
        [
            load.transfer.what,
            f"{load.transfer.group} {load.transfer.group_size}",
            gigabytes(load.transfer.bytes_sent),
            f"{load.share_outside_node:.0%}",
            load.transfer.overlaps_with or "nothing",
        ]
        for load in plan.loads
    ]
    headers = ["what one device sends in a step", "ranks", "bytes", "to other nodes", "meanwhile"]
    return columns(headers, rows, to_the_left=(0, 1, 4))


def _layouts(plan: Plan) -> list[str]:
    headers = ["", "tokens/s", "MFU", "memory", *SHORT, "recompute", "format", "runs today"]
    rows = [_layout_row(plan, str(number), found) for number, found in enumerate(plan.found.best, start=1)]
    if plan.today != plan.found.best:
        rows += [_layout_row(plan, f"today {number}", found) for number, found in enumerate(plan.today, start=1)]
    found = plan.found
    title = (
        f"the fastest layouts that fit, of {found.num_shapes:,} that divide ({found.num_fitted:,} layouts were fitted)"
    )
    return [title, *columns(headers, rows, to_the_left=(0, len(headers) - 1))]


def _layout_row(plan: Plan, number: str, found: Candidate) -> list[str]:
    layout = found.layout
    recompute = layout.recompute.value + (" + host" if layout.offload_optimizer else "")
    return [
        number,
        f"{1 / found.seconds_per_token / layout.num_devices:,.0f}",
        f"{plan.mfu_of(found):.1%}",
        gigabytes(found.memory.total),
        *(str(getattr(layout, name)) for name in SETTINGS),
        recompute,
        layout.format.value,
        "yes" if not found.obstacles else "needs " + ", ".join(found.obstacles),
    ]


def _refused(plan: Plan) -> list[str]:
    refused = plan.found.too_large[:MOST_REFUSED]
    if not refused:
        return []
    return ["would be faster, but do not fit"] + [
        f"  {described(found.layout)}: {shortage(plan.question, found)}" for found in refused
    ]


def _how_to_run(plan: Plan, *, name: str) -> list[str]:
    if plan.runnable is None:
        return ["No layout that fits can be run by this version."]
    slower = 1 - plan.best.seconds_per_token / plan.runnable.seconds_per_token
    note = f", {slower:.1%} slower than the first" if slower > 5e-4 else ""
    overrides = " ".join(overrides_of(plan.runnable.workload, plan.runnable.layout))
    return [f"to run the best of today{note}:", f"  mai1 pretrain model={name} {overrides}"]


def law_lines(laws: list[Recommendation]) -> list[str]:
    """What each law advises, side by side, and how far they are apart."""
    return columns([*COLUMNS], table(laws), to_the_left=(0, len(COLUMNS) - 1)) if laws else []


def columns(headers: list[str], rows: list[list[str]], *, to_the_left: tuple[int, ...]) -> list[str]:
    """A table; figures to the right."""
    widths = [max(len(row[at]) for row in [headers, *rows]) for at in range(len(headers))]
    return [
        "  ".join(
            cell.ljust(width) if at in to_the_left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [headers, *rows]
    ]


def count(value: float, *, unit: str = "") -> str:
    """499 B, 15 T, 223 GFLOPs."""
    names = ("", "k", "M", "B", "T") if not unit else ("", "k", "M", "G", "T", "P")
    power = 0
    while abs(value) >= 999.5 and power < len(names) - 1:
        value, power = value / 1000, power + 1
    return f"{value:.3g} {names[power]}{unit}".rstrip()


def seconds(duration: float) -> str:
    """In the unit in which one would say it."""
    if duration < 1:
        return f"{duration * 1000:.3g} ms"
    if duration < 120:
        return f"{duration:.3g} s"
    return f"{duration / 60:.3g} min" if duration < 7200 else days(duration)


def days(duration: float) -> str:
    """Of a whole run."""
    if duration < 7200:
        return seconds(duration)
    if duration < 86400:
        return f"{duration / 3600:.1f} hours"
    return f"{duration / 86400:,.1f} days"


def energy(kilowatt_hours: float) -> str:
    """kWh, MWh or GWh."""
    for unit, name in ((1e6, "GWh"), (1e3, "MWh")):
        if kilowatt_hours >= unit:
            return f"{kilowatt_hours / unit:.3g} {name}"
    return f"{kilowatt_hours:.3g} kWh"


def money(dollars: float) -> str:
    """Dollars, in millions where there are many."""
    if dollars >= 1e6:
        return f"${dollars / 1e6:,.2f} M"
    return f"${dollars:,.0f}" if dollars >= 100 else f"${dollars:.2f}"
