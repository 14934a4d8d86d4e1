"""The screen of `mai1 watch`: a run's status drawn to the size of the terminal, as lines of plain text with some colour."""

import numpy as np

from mai1.report.scales import compact, fixed, highest_shown
from mai1.status.run_status import LayerBalance, RunStatus
from mai1.status.state import State, duration
from mai1.status.text import NAME_WIDTH, NOT_FINITE, SPARKS, harmless, rows_of, wrapped

BOLD, DIM, RED, GREEN, YELLOW, RESET = ("\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m")
COLOURS = {
    State.running.value: GREEN,
    State.starting.value: GREEN,
    State.finished.value: GREEN,
    State.stopped.value: YELLOW,
    State.silent.value: YELLOW,
    State.failed.value: RED,
}
URGENT = ("alarms", "stuck", "skipped")
CHART_HEIGHT = 6
MAX_ROW_LINES = 3
ENOUGH_ROWS = 24
"""Of a terminal, for a chart of the loss beside everything else."""


def screen(status: RunStatus, *, width: int, height: int, every_s: float) -> list[str]:
    """At most `height` lines of at most `width` visible characters."""
    rows = rows_of(status, width=width)
    rows.pop("loss", None) if height >= ENOUGH_ROWS else None
    lines = [_title(status, width=width), ""]
    for name, row in rows.items():
        colour = COLOURS.get(status.state, "") if name == "state" else RED if name in URGENT else ""
        for line in wrapped(name, row, width=width, max_lines=MAX_ROW_LINES):
            lines.append(f"{line[:NAME_WIDTH]}{colour}{line[NAME_WIDTH:]}{RESET if colour else ''}")
    if height >= ENOUGH_ROWS and len(status.curve) > 1:
        lines += ["", *loss_chart(status, width=width - 4)]
    room = height - len(lines) - 3
    if status.layers and room > 1:
        lines += ["", *layer_rows(status.layers, width=width - 2, room=room)]
    footer = f"  q quits; read again every {every_s:g} s; nothing here disturbs the run"[:width]
    footer = f"{DIM}{footer}{RESET}"
    return [*lines[: height - 1], *[""] * (height - 1 - len(lines)), footer]


def loss_chart(status: RunStatus, *, width: int) -> list[str]:
    """The loss over the steps, as columns of blocks eight to a character."""
    columns = max(8, width - NAME_WIDTH)
    losses = _spread([(step, loss) for step, loss in status.curve], columns=columns)
    known = [loss for loss in losses if loss is not None]
    top = highest_shown(np.array([loss for _, loss in status.curve]))
    low, high = min(known), max(known) if top is None else top
    span = (high - low) or 1.0
    heights = [
        0 if loss is None else 1 + round((min(loss, high) - low) / span * (CHART_HEIGHT * 8 - 1)) for loss in losses
    ]
    now = f"now {NOT_FINITE}" if status.has_diverged else ""
    lines = []
    for row in reversed(range(CHART_HEIGHT)):
        cells = (min(8, max(0, height - row * 8)) for height in heights)
        label = _label(high, top) if row == CHART_HEIGHT - 1 else _short(low) if row == 0 else now if row == 2 else ""
        lines.append(f"  {label:>{NAME_WIDTH - 3}} " + "".join(SPARKS[cell - 1] if cell else " " for cell in cells))
    first, last = f"step {status.curve[0][0]:,.0f}", f"{status.curve[-1][0]:,.0f}"
    return [*lines, f"  {'':{NAME_WIDTH - 3}} {DIM}{first}{last:>{max(1, columns - len(first))}}{RESET}"]


def _label(high: float, top: float | None) -> str:
    """Of the chart's upper end, beyond which it may have cut something off."""
    return f"loss{' ≥' if top is not None else ''} {_short(high)}"


def _short(loss: float) -> str:
    return fixed(loss) if abs(loss) < 100 else compact(loss)


def layer_rows(layers: list[LayerBalance], *, width: int, room: int) -> list[str]:
    """A line for each MoE layer, the least even ones where there is no room for all: its figures and each expert's load."""
    head = (
        f"{'layer':<7}{'busiest':>8}{'entropy':>9}{'dead':>6}   load of each expert, from none to twice the even share"
    )
    shown = layers
    if len(layers) > room - 1:
        worst = sorted(layers, key=lambda layer: -(layer.max_violation or 0.0))[: max(1, room - 2)]
        shown = [layer for layer in layers if layer in worst]
    lines = [f"  {DIM}{head[: width - 2]}{RESET}", *(_layer_row(layer, width=width) for layer in shown)]
    more = len(layers) - len(shown)
    return lines + ([f"  {DIM}and {more} more, evener than these{RESET}"] if more else [])


def _layer_row(layer: LayerBalance, *, width: int) -> str:
    busiest = "–" if layer.max_violation is None else f"{1 + layer.max_violation:.2f}×"
    entropy = "–" if layer.entropy is None else f"{layer.entropy:.1%}"
    dead = "–" if layer.dead_experts is None else f"{layer.dead_experts:.0f}"
    figures = f"  {harmless(layer.name, length=6):<7}{busiest:>8}{entropy:>9}{dead:>6}   "
    loads = layer.load[: max(0, width - len(figures))]
    cells = "".join(SPARKS[min(7, round(load / 2 * 7))] if load > 0 else " " for load in loads)
    return f"{RED if layer.dead_experts else ''}{figures}{cells}{RESET if layer.dead_experts else ''}"


def _title(status: RunStatus, *, width: int) -> str:
    sign = f"last written {duration(status.last_sign_s)} ago" if status.last_sign_s is not None else ""
    title = harmless(f"{status.directory} ({status.stage})", length=max(20, width - len(sign) - 4))
    return f"{BOLD}{title}{RESET}  {DIM}{sign}{RESET}"


def _spread(points: list[tuple[float, float]], *, columns: int) -> list[float | None]:
    """The mean loss of each column of steps; a column without a point has that of the one before."""
    first, last = points[0][0], points[-1][0]
    sums = [[0.0, 0] for _ in range(columns)]
    for step, loss in points:
        place = min(columns - 1, int((step - first) / max(last - first, 1e-9) * columns))
        sums[place][0] += loss
        sums[place][1] += 1
    spread: list[float | None] = []
    for total, count in sums:
        spread.append(total / count if count else spread[-1] if spread else None)
    return spread
