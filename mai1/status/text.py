"""A run's status as lines of text: one for a list of runs, a block for one run; nothing in them can drive a terminal."""

import textwrap
from collections.abc import Sequence

import numpy as np

from mai1.report.scales import compact, fixed, grouped, highest_shown, percent
from mai1.status.run_status import RunStatus
from mai1.status.state import duration

SPARKS = "▁▂▃▄▅▆▇█"
MAX_LENGTH = 200
MAX_LISTED = 5
NAME_WIDTH = 14
NOT_FINITE = "NaN/inf"


def harmless(text: str, *, length: int = MAX_LENGTH) -> str:
    """Text from a file without what a terminal obeys: escapes, line ends, marks that turn the direction of writing."""
    shown = "".join(c if c.isprintable() else "\ufffd" for c in text[: length + 1])
    return shown if len(shown) <= length else shown[: length - 1] + "…"


def sparkline(values: Sequence[float], *, width: int) -> str:
    """Values as a row of bars, neighbours averaged where there are more of them than places; rare peaks are cut off."""
    if not values or width < 1:
        return ""
    values = np.minimum(values, highest_shown(np.array(values)) or np.inf).tolist()
    count = min(width, len(values))
    edges = [len(values) * place // count for place in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in zip(edges, edges[1:], strict=False)]
    low, high = min(means), max(means)
    span = high - low
    return "".join(SPARKS[round((mean - low) / span * (len(SPARKS) - 1)) if span > 0 else 0] for mean in means)


def bar(share: float, *, width: int) -> str:
    """A bar that is filled so far."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return "█" * filled + "░" * (width - filled)


def sized(num_bytes: float) -> str:
    """`12.3 GiB`: bytes in the unit that suits them."""
    units = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"))
    size, unit = next(((size, unit) for size, unit in units if num_bytes >= size), (2**10, "KiB"))
    return f"{num_bytes / size:.1f} {unit}"


def rows_of(status: RunStatus, *, width: int = 100) -> dict[str, str]:
    """Everything known of a run, by what it is; bars are as long as the width allows."""
    rows = {"state": f"{status.state}: {status.reason}"}
    rows["alarms"] = "; ".join(status.alarms[:MAX_LISTED]) + _more(len(status.alarms)) if status.alarms else ""
    rows |= {"progress": _progress(status, width=width), "loss": _loss(status, width=width)}
    rows["held-out"] = _heldout(status)
    if status.tokens_per_s is not None:
        mfu = f", {percent(status.mfu)} of the peak FLOP/s" if status.mfu is not None else ""
        rows["speed"] = f"{grouped(status.tokens_per_s)} tokens/s{mfu}"
    rows["experts"] = _experts(status)
    rows["skipped"] = f"{status.num_skipped} of the recent steps" if status.num_skipped else ""
    rows["restarts"] = _restarts(status)
    rows["stuck"] = f"{len(status.incidents)}: {', '.join(status.incidents[:2])}" if status.incidents else ""
    rows["checkpoint"] = _checkpoint(status)
    rows["disk"] = _disk(status)
    return {name: harmless(row) for name, row in rows.items() if row}


def wrapped(name: str, row: str, *, width: int, max_lines: int | None = None) -> list[str]:
    """A row under its name in lines of the width; what does not fit into the last of them is cut."""
    options = {"break_on_hyphens": False, "max_lines": max_lines, "placeholder": " …"}
    lines = textwrap.wrap(row, max(20, width - NAME_WIDTH), **options)
    names = [name, *[""] * (len(lines) - 1)]
    return [f"  {part:<{NAME_WIDTH - 2}}{line}" for part, line in zip(names, lines, strict=True)]


def block(status: RunStatus, *, width: int = 100) -> list[str]:
    """One run in some lines."""
    title = harmless(f"{status.directory} ({status.stage})")
    rows = rows_of(status, width=width)
    return [title, *(line for name, row in rows.items() for line in wrapped(name, row, width=width))]


def table(statuses: Sequence[RunStatus]) -> list[str]:
    """Runs with a line each."""
    lines = [["run", "state", "step", "loss", "held-out", "tokens/s", "ETA", "checkpoint", "notes"]]
    lines += [_line(status) for status in statuses]
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    return ["  ".join(text.ljust(size) for text, size in zip(line, widths, strict=True)).rstrip() for line in lines]


def one_line(status: RunStatus) -> str:
    """A run in one line, for output that is no terminal."""
    parts = [_short_progress(status), f"loss {_newest(status)}", f"{compact(status.tokens_per_s)} tokens/s"]
    parts += [f"ETA {duration(status.eta_s)}"] if status.eta_s is not None else []
    parts += [notes] if (notes := _notes(status)) else []
    return harmless(f"{status.state}: {', '.join(parts)}")


def _line(status: RunStatus) -> list[str]:
    saved = status.checkpoint
    texts = [
        status.directory,
        status.state,
        _short_progress(status),
        _newest(status),
        fixed(status.heldout.get("loss")),
        compact(status.tokens_per_s),
        duration(status.eta_s) if status.eta_s is not None else "–",
        f"{saved.step:,}, {duration(saved.age_s)} ago" if saved else "–",
        _notes(status),
    ]
    return [harmless(text, length=60) for text in texts]


def _notes(status: RunStatus) -> str:
    counts = ((len(status.alarms), "alarm"), (status.num_restarts, "restart"), (len(status.incidents), "stuck report"))
    return ", ".join(f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count)


def _short_progress(status: RunStatus) -> str:
    if not status.last_step:
        return f"{status.step:,}"
    return f"{status.step:,}/{status.last_step:,} ({percent(status.step, status.last_step)})"


def _progress(status: RunStatus, *, width: int) -> str:
    parts = [f"step {_short_progress(status)}"]
    parts += [f"{compact(status.tokens)} tokens"] if status.tokens is not None else []
    parts += [f"{status.seconds_per_step:.3g} s a step"] if status.seconds_per_step is not None else []
    parts += [f"ETA {duration(status.eta_s)}"] if status.eta_s is not None else []
    drawn = bar(status.step / status.last_step, width=min(24, width // 4)) + "  " if status.last_step else ""
    return drawn + ", ".join(parts)


def _loss(status: RunStatus, *, width: int) -> str:
    losses = [loss for _, loss in status.curve]
    if status.loss is None or not losses:
        return ""
    return f"{_newest(status)}  {sparkline(losses, width=min(48, width // 2))}  from {fixed(losses[0])}"


def _newest(status: RunStatus) -> str:
    """The loss; a run that has diverged must not look like the one it was before."""
    return NOT_FINITE if status.has_diverged else fixed(status.loss)


def _heldout(status: RunStatus) -> str:
    if not status.heldout:
        return ""
    values = status.heldout
    bits = f", {fixed(values['bits_per_byte'])} bits per byte" if values["bits_per_byte"] is not None else ""
    return f"{fixed(values['loss'])} at step {grouped(values['step'])}{bits}; the best seen is {fixed(values['best'])}"


def _experts(status: RunStatus) -> str:
    known = [layer for layer in status.layers if layer.max_violation is not None]
    if not known:
        return ""
    worst = max(known, key=lambda layer: layer.max_violation)
    dead = sum(layer.dead_experts or 0 for layer in status.layers)
    where = f"layer {worst.name} of {len(known)}" if len(known) > 1 else f"layer {worst.name}"
    return f"the busiest has {1 + worst.max_violation:.2f} times the even share ({where}), {dead:.0f} without tokens"


def _restarts(status: RunStatus) -> str:
    if not status.last_restart:
        return ""
    when = f" {duration(status.last_restart_age_s)} ago" if status.last_restart_age_s is not None else ""
    return f"{status.num_restarts}; the last{when}: {status.last_restart}"


def _checkpoint(status: RunStatus) -> str:
    saved = status.checkpoint
    if saved is None:
        return "none yet"
    size = f", {sized(saved.num_bytes)}" if saved.num_bytes is not None else ""
    saving = ", the next one is being written" if saved.is_saving else ""
    return f"step {saved.step:,}, {duration(saved.age_s)} ago{size}; {saved.num_kept} kept{saving}"


def _disk(status: RunStatus) -> str:
    if status.disk_free_bytes is None:
        return ""
    saved, room = status.checkpoint, ""
    if saved and saved.num_bytes:
        room = f", room for {status.disk_free_bytes // saved.num_bytes:,.0f} more checkpoints"
    return f"{sized(status.disk_free_bytes)} free{room}"


def _more(count: int) -> str:
    return f"; and {count - MAX_LISTED} more" if count > MAX_LISTED else ""
