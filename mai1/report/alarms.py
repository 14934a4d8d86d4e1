"""Alarms of the report: which figures of the experts reached their thresholds, in which layers, and when."""

from dataclasses import dataclass
from typing import Any

from mai1.report.charts import MARGIN_RIGHT, Frame, axes
from mai1.report.layers import layer_order
from mai1.report.markup import Markup, absent, caption, details, element, section, shortened, table
from mai1.report.records import RunRecords, mapping, number
from mai1.report.scales import Scale, compact, fixed, grouped, whole_ticks

TITLE = "Alarms"
MAX_ROWS = 40
MAX_RANGES = 5
NAME_WIDTH, ROW_HEIGHT, AXIS_HEIGHT = 190, 19, 34


@dataclass(kw_only=True, slots=True)
class Span:
    """One alarm, from the logged step at which it began to the last at which it held."""

    first: float
    last: float
    worst: float
    is_active: bool = False
    """Holds at the newest logged step."""

    def __str__(self) -> str:
        if self.is_active:
            return f"since {grouped(self.first)}"
        return grouped(self.first) if self.first == self.last else f"{grouped(self.first)}–{grouped(self.last)}"


@dataclass(kw_only=True, slots=True)
class AlarmHistory:
    """Everything about one figure of one layer."""

    figure: str
    layer: str
    key: str
    threshold: float
    mend: str
    spans: list[Span]

    @property
    def name(self) -> str:
        return self.figure.replace("_", " ")

    @property
    def worst(self) -> float:
        """The value farthest beyond the threshold."""
        return (min if self.is_floor else max)(span.worst for span in self.spans)

    @property
    def is_floor(self) -> bool:
        return self.key.startswith("alarms.min_")


def alarms(records: RunRecords) -> Markup:
    """When which alarm held, as a picture and as a table."""
    watched = _watched(records.train)
    if not watched:
        return section(
            "alarms", TITLE, absent("The records of this run tell of no alarms, neither of any nor of none.")
        )
    histories = alarm_histories(records.train)
    if not histories:
        steps = f"{len(watched)} logged {'step' if len(watched) == 1 else 'steps'}"
        return section("alarms", TITLE, absent(f"None: no figure of any layer reached its threshold in {steps}."))
    note = (
        "A figure of a layer that reached its threshold (alarms.* of the configuration), at the steps that were logged."
    )
    first, last = watched[0]["step"], watched[-1]["step"]
    return section(
        "alarms", TITLE, caption(note), _timeline(histories, first, last), _table(histories), _mends(histories)
    )


def alarm_counts(train: list[dict[str, Any]]) -> tuple[int, int] | None:
    """Alarms that hold at the newest logged step, and those that are over; None for records that do not tell."""
    spans = [span for history in alarm_histories(train) for span in history.spans]
    num_active = sum(span.is_active for span in spans)
    return (num_active, len(spans) - num_active) if _watched(train) else None


def alarm_histories(train: list[dict[str, Any]]) -> list[AlarmHistory]:
    """What the records tell, those that hold now first; an entry that is no alarm is left out."""
    histories: dict[tuple[str, str], AlarmHistory] = {}
    held: dict[tuple[str, str], Span] = {}
    for record in _watched(train):
        holds = {}
        for alarm in map(mapping, record["alarms"]):
            value, threshold = number(alarm.get("value")), number(alarm.get("threshold"))
            names = [alarm.get(name) for name in ("figure", "layer", "key")]
            if value is None or threshold is None or not all(isinstance(name, str) for name in names):
                continue
            figure, layer, key = names
            mend = alarm["mend"] if isinstance(alarm.get("mend"), str) else ""
            fresh = AlarmHistory(figure=figure, layer=layer, key=key, threshold=threshold, mend=mend, spans=[])
            history = histories.setdefault((figure, layer), fresh)
            span = held.get((figure, layer))
            if span is None:
                span = Span(first=record["step"], last=record["step"], worst=value)
                history.spans.append(span)
            span.last, span.worst = record["step"], (min if history.is_floor else max)(span.worst, value)
            holds[figure, layer] = span
        held = holds
    for span in held.values():
        span.is_active = True
    return sorted(
        histories.values(), key=lambda each: (not each.spans[-1].is_active, each.figure, layer_order(each.layer))
    )


def _watched(train: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in train if isinstance(record.get("alarms"), list)]


def _timeline(histories: list[AlarmHistory], first: float, last: float, *, width: int = 900) -> Markup:
    """A row for each figure and layer, with a bar wherever its alarm held."""
    shown = histories[:MAX_ROWS]
    last = max(last, first + 1)
    height = len(shown) * ROW_HEIGHT + AXIS_HEIGHT
    x = Scale(first=first, last=last, start=NAME_WIDTH, end=width - MARGIN_RIGHT)
    y = Scale(first=0, last=1, start=0, end=1)
    frame = Frame(width=width, height=height, x=x, y=y, x_ticks=whole_ticks(first, last, target=8), y_ticks=[])
    rows = (_timeline_row(history, row * ROW_HEIGHT, x) for row, history in enumerate(shown))
    drawing = element("svg", axes(frame, "step"), *rows, viewBox=f"0 0 {width} {height}", class_="bars", role="img")
    drawing = element("div", drawing, class_="scroll")
    more = caption(f"And {len(histories) - MAX_ROWS} more in the table.") if len(histories) > MAX_ROWS else ""
    return element("div", drawing, more)


def _timeline_row(history: AlarmHistory, top: int, x: Scale) -> Markup:
    name, place = (
        shortened(f"{history.name} · layer {history.layer}", 28),
        {"x": NAME_WIDTH - 8, "y": top + ROW_HEIGHT / 2},
    )
    parts = [element("text", name, **place, dy="0.32em", text_anchor="end")]
    for span in history.spans:
        start, end = float(x(span.first)), float(x(span.last))
        tip = f"{history.name} in layer {history.layer}, {span}: worst {compact(span.worst)}"
        box = {"x": f"{start - 1.5:.1f}", "y": top + 4, "width": f"{end - start + 3:.1f}", "height": ROW_HEIGHT - 8}
        parts.append(element("rect", element("title", tip), **box, rx=2, class_="bar p2", data_tip=tip))
    return element("g", *parts)


def _table(histories: list[AlarmHistory]) -> Markup:
    rows = [
        [
            history.name,
            history.layer,
            _ranges(history.spans),
            fixed(history.worst, 3),
            f"{history.key}={compact(history.threshold)}",
        ]
        for history in histories
    ]
    headers = ["figure", "layer", "steps", "worst", "threshold"]
    return details(f"All {len(rows)}" if len(rows) > 1 else "Figures", table(headers, rows, num_text_columns=3))


def _ranges(spans: list[Span]) -> str:
    earlier = len(spans) - MAX_RANGES
    text = ", ".join(str(span) for span in spans[-MAX_RANGES:])
    return f"{earlier} earlier, {text}" if earlier > 0 else text


def _mends(histories: list[AlarmHistory]) -> Markup:
    """What a person can do, once for each figure."""
    mends = {history.name: history.mend for history in histories if history.mend}
    return element(
        "ul", *(element("li", element("b", name), f": {mend}") for name, mend in mends.items()), class_="caption"
    )
