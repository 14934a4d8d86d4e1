"""Charts of the planner's page: memory, time, links and failures as stacked bars."""

from mai1.report.markup import Markup, element, join
from mai1.report.plan_figures import plain
from mai1.report.tiles import Segment, stacked_bars

NUM_SHADES = 8
REST, LAST_SHADE = "the rest", "p7"
SMALLEST = 0.002
"""Share of the longest bar below which a transfer has none."""
SHARES = {
    "effective_share": "steps that last",
    "lost_to_saving": "stopped by saves",
    "lost_to_repeating": "steps made again",
    "lost_to_recovery": "found, restarted, read",
}


def memory_bars(record: dict) -> Markup:
    """Gigabytes by kind of every layout, above what a device has."""
    bars = {"device": {"memory": record["hardware"]["memory_bytes"] / 1e9}}
    for number, found in enumerate(record["layouts"], start=1):
        bars[str(number)] = {kind: size / 1e9 for kind, size in found["memory_bytes"].items()}
    return _stacked(bars, unit="GB", hidden=("memory",))


def time_bars(record: dict) -> Markup:
    """Microseconds of one device for a token, by part, of every layout."""
    bars = {}
    for number, found in enumerate(record["layouts"], start=1):
        scale = 1e6 * record["devices"] / found["tokens_per_step"]
        bars[str(number)] = {part: seconds * scale for part, seconds in found["seconds"].items()}
    return _stacked(bars, unit="µs")


def links_bars(record: dict) -> Markup:
    """Gigabytes that one device sends in a step, by purpose: inside its node, and to others."""
    bars: dict[str, dict[str, float]] = {}
    for link in record["links"]:
        inside, outside = bars.setdefault(link["what"], {"inside the node": 0.0, "to other nodes": 0.0}).values()
        sent, share = link["bytes_sent"] / 1e9, link["share_outside_node"]
        bars[link["what"]] = {"inside the node": inside + sent * (1 - share), "to other nodes": outside + sent * share}
    longest = max(sum(bar.values()) for bar in bars.values())
    return _stacked({what: bar for what, bar in bars.items() if sum(bar.values()) > SMALLEST * longest}, unit="GB")


def goodput_bar(length: dict) -> Markup:
    """Where the run's time goes."""
    return _stacked({"time": {name: 100 * length[key] for key, name in SHARES.items()}}, unit="%")


def _stacked(bars: dict[str, dict[str, float]], *, unit: str, hidden: tuple[str, ...] = ()) -> Markup:
    """Bars to one scale; parts have the same colour in all, and the smallest are put together where colours run out."""
    totals: dict[str, float] = {}
    for name, size in (part for bar in bars.values() for part in bar.items()):
        if size > 0 and name not in hidden:
            totals[name] = totals.get(name, 0.0) + size
    large = sorted(totals, key=lambda name: -totals[name])[: NUM_SHADES - 1]
    names = [name for name in totals if name in large]
    shades = {name: f"p{place}" for place, name in enumerate(names)} | dict.fromkeys([*hidden, REST], LAST_SHADE)
    segments = {}
    for title, bar in bars.items():
        shown = {name: bar[name] for name in (*hidden, *names) if bar.get(name, 0.0) > 0}
        rest = sum(size for name, size in bar.items() if name not in shown)
        shown |= {REST: rest} if rest > 0 else {}
        segments[title] = [Segment(name=plain(name), size=size, shade=shades[name]) for name, size in shown.items()]
    has_rest = len(totals) > len(names)
    chips = (
        element("span", element("i", class_=shades[name]), plain(name))
        for name in [*names, *([REST] if has_rest else [])]
    )
    return join([element("div", *chips, class_="legend parts"), stacked_bars(segments, unit=unit, is_to_scale=True)])
