"""The page and the file of an arena: ratings with intervals, every pair's score, and how much the sides mattered."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mai1.arena.battles import Judgement, Verdict
from mai1.arena.ranking import Rating
from mai1.arena.strengths import apart
from mai1.persona.rates import wilson
from mai1.report.intervals import Interval, interval_chart
from mai1.report.markup import Markup, absent, caption, element, section, shortened, table, tile
from mai1.report.page import page, write_page
from mai1.report.scales import grouped, percent

MAX_NAME = 28


@dataclass(frozen=True, slots=True)
class PositionBias:
    """How often the left side won of the decided battles; 0.5 where sides do not matter."""

    wins: int
    battles: int
    low: float
    high: float
    disagreed: int
    """Battles in which a judge that was asked in both orders contradicted itself."""
    asked_twice: int

    @property
    def rate(self) -> float:
        """The left side's share."""
        return self.wins / self.battles if self.battles else 0.5


def position_bias(judgements: Sequence[Judgement]) -> PositionBias:
    """Over judgements of one order, and over each of both orders where the judge was asked twice; interval at 95%."""
    sides = [side for each in judgements for side in _sides(each)]
    wins, total = sides.count(Verdict.left.value), len(sides)
    twice = [each for each in judgements if each.swapped not in ("", Verdict.skip.value)]
    low, high = wilson(wins, total)
    disagreed = sum(each.first != each.swapped for each in twice)
    return PositionBias(wins, total, low, high, disagreed, len(twice))


def _sides(judgement: Judgement) -> list[str]:
    """Which place won whenever this judge was asked; ties and skipped battles name none."""
    asked = [judgement.first or judgement.verdict]
    if judgement.swapped:
        mirrored = {"left": "right", "right": "left"}
        asked.append(mirrored.get(judgement.swapped, judgement.swapped))  # then the battle's left stood on the right
    return [side for side in asked if side in ("left", "right")]


def write_leaderboard(
    directory: Path, ratings: list[Rating], judgements: Sequence[Judgement], *, groups: list[list[str]], title: str
) -> Path:
    """Write leaderboard.json and leaderboard.html; returns the page's path. `groups`: of `strengths.separate_groups`."""
    bias = position_bias(judgements)
    facts = {
        "ratings": [asdict(rating) for rating in ratings],
        "groups": groups,
        "position_bias": asdict(bias) | {"rate": bias.rate},
        "judges": dict(sorted(Counter(each.judge for each in judgements).items())),
        "judgements": len(judgements),
        "skipped": sum(each.verdict == Verdict.skip.value for each in judgements),
    }
    write_page(directory / "leaderboard.json", json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    parts = (
        _header(title, ratings, judgements),
        _ratings(ratings, groups),
        _pairs(ratings, judgements),
        _bias(bias, facts["judges"]),
    )
    return write_page(directory / "leaderboard.html", page(f"{title} · arena", *parts))


def _header(title: str, ratings: list[Rating], judgements: Sequence[Judgement]) -> Markup:
    decided = sum(each.verdict != Verdict.skip.value for each in judgements)
    tiles = [
        tile("First", _first(ratings), f"{ratings[0].rating:,.0f} points"),
        tile("Models", grouped(float(len(ratings)))),
        tile("Battles", grouped(float(decided)), f"{len(judgements) - decided} skipped"),
        tile("Prompts", grouped(float(len({each.prompt for each in judgements})))),
    ]
    return element("header", element("h1", title), element("dl", *tiles, class_="tiles"))


def _first(ratings: list[Rating]) -> str:
    """The best model, or how many share that place."""
    best = sum(rating.rating == ratings[0].rating for rating in ratings)
    return shortened(ratings[0].model, MAX_NAME) if best == 1 else f"{best} tied"


def _ratings(ratings: list[Rating], groups: list[list[str]]) -> Markup:
    note = caption(
        "Bradley-Terry strengths on Elo's scale, ties as half a win each; 200 points are 3 wins in 4. Lines: 95% intervals, "
        "battles of a prompt taken together."
    )
    rows = [
        [
            r.model,
            f"{r.rating:,.0f}",
            _interval(r.low, r.high),
            _interval(r.bootstrap_low, r.bootstrap_high),
            r.battles,
            r.wins,
            r.ties,
            r.losses,
        ]
        for r in ratings
    ]
    headers = ["model", "rating", "95% interval", "by bootstrap", "battles", "won", "tied", "lost"]
    warning = [element("p", f"Beware: {apart(groups)}.")] if len(groups) > 1 else []
    return section("ratings", "Ratings", note, *warning, _chart(ratings), table(headers, rows))


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{low:,.0f} to {high:,.0f}"


def _chart(ratings: list[Rating]) -> Markup:
    """A point and an interval for each model."""
    rows = [
        Interval(
            name=r.model,
            value=r.rating,
            low=r.rating if r.low is None else r.low,
            high=r.rating if r.high is None else r.high,
            tip=f"{r.model}: {r.rating:,.0f}, 95% interval {_interval(r.low, r.high)}",
        )
        for r in ratings
    ]
    return interval_chart(rows, x_label="rating, points")


def _pairs(ratings: list[Rating], judgements: Sequence[Judgement]) -> Markup:
    """Each model's share of points against each other."""
    points: Counter[tuple[str, str]] = Counter()
    games: Counter[tuple[str, str]] = Counter()
    worth = {"left": 1.0, "tie": 0.5, "right": 0.0}
    for each in judgements:
        if each.verdict in worth:
            for own, other, value in (
                (each.left, each.right, worth[each.verdict]),
                (each.right, each.left, 1 - worth[each.verdict]),
            ):
                points[own, other] += value
                games[own, other] += 1
    names = [rating.model for rating in ratings]
    rows = [
        [own, *(percent(points[own, other], games[own, other]) if games[own, other] else "–" for other in names)]
        for own in names
    ]
    note = caption("Points of the row's model against the column's, a tie being half a point.")
    return section(
        "pairs", "Against each other", note, table(["", *(shortened(name, MAX_NAME) for name in names)], rows)
    )


def _bias(bias: PositionBias, judges: dict[str, int]) -> Markup:
    who = ", ".join(f"{name} ({grouped(float(number))})" for name, number in judges.items())
    if not bias.battles:
        return section("bias", "Sides", absent("Every battle was a tie."), caption(f"Judged by {who}."))
    text = (
        f"The left side won {percent(bias.wins, bias.battles)} of {grouped(float(bias.battles))} decided questions "
        f"(95% interval {bias.low:.1%} to {bias.high:.1%}); without a bias for a side it is half."
    )
    parts = [element("p", text)]
    if bias.asked_twice:
        parts.append(
            element(
                "p",
                "Asked in both orders, the judge contradicted itself in "
                f"{percent(bias.disagreed, bias.asked_twice)} of battles, which are ties.",
            )
        )
    return section("bias", "Sides", *parts, caption(f"Judged by {who}."))
