"""What size, experts, granularity and tokens a compute budget asks for: every published law's answer, and how far they differ."""

from mai1.plan.laws import fine_grained, hunyuan, joint, ling, sparsity
from mai1.plan.laws.recommendation import Recommendation

SPREAD_OF = ("active", "total", "experts", "granularity", "tokens", "learning_rate", "batch_tokens")
COLUMNS = (
    "law",
    "active",
    "total",
    "experts",
    "granularity",
    "tokens",
    "tokens / active",
    "loss",
    "learning rate",
    "tokens / step",
    "fitted to FLOPs",
)


def recommend(compute_flops: float, *, context: int = 4096) -> list[Recommendation]:
    """Every law's answer for a budget of training FLOPs; `context` is the length of a row in tokens.

    They disagree, also where none extrapolates: text, tokenizers, routers and what counts as a parameter differ. Take the
    spread. ValueError for a budget or a context that cannot be.
    """
    if not 1e9 <= compute_flops <= 1e33:
        raise ValueError(f"compute_flops={compute_flops:g} must be in 1e9 to 1e33: it is of the whole training")
    if context < 1:
        raise ValueError(f"context={context} must be at least 1")
    return [
        fine_grained.recommend(compute_flops, fine_grained.OF_64),
        fine_grained.recommend(compute_flops, fine_grained.OF_16),
        joint.recommend(compute_flops),
        ling.recommend(compute_flops, context=context),
        hunyuan.recommend(compute_flops),
        sparsity.recommend(compute_flops),
        fine_grained.recommend(compute_flops, fine_grained.DENSE),
    ]


def spread(recommendations: list[Recommendation]) -> dict[str, tuple[float, float]]:
    """Lowest and highest answer of the mixtures' laws to each question that more than one of them answers."""
    mixtures = [answer for answer in recommendations if answer.experts]
    answers = {name: [getattr(answer, name) for answer in mixtures] for name in SPREAD_OF}
    given = {name: [value for value in values if value is not None] for name, values in answers.items()}
    return {name: (min(values), max(values)) for name, values in given.items() if len(values) > 1}


def table(recommendations: list[Recommendation]) -> list[list[str]]:
    """Rows of text under `COLUMNS`: a law each, then the spread."""
    rows = [_row(answer) for answer in recommendations]
    ranges = spread(recommendations)

    def between(name: str, form: str) -> str:
        return " - ".join(_short(value, form) for value in ranges[name]) if name in ranges else ""

    rows.append(
        ["spread, mixtures", between("active", "count"), between("total", "count"), between("experts", "g")]
        + [between("granularity", ".1f"), between("tokens", "count"), "", ""]
        + [between("learning_rate", ".1e"), between("batch_tokens", "count"), ""]
    )
    return rows


def _row(answer: Recommendation) -> list[str]:
    ratio = answer.tokens / answer.active if answer.tokens and answer.active else None
    return [
        answer.law,
        _short(answer.active, "count"),
        _short(answer.total, "count"),
        f"{answer.experts}, {answer.top_k} active" if answer.experts else "",
        _short(answer.granularity, ".1f"),
        _short(answer.tokens, "count"),
        _short(ratio, ".0f"),
        _short(answer.loss, ".3f"),
        _short(answer.learning_rate, ".1e"),
        _short(answer.batch_tokens, "count"),
        _fitted(answer),
    ]


def _fitted(answer: Recommendation) -> str:
    if answer.fitted_flops is None:
        return "unknown: extrapolated"
    low, high = answer.fitted_flops
    times = answer.compute_flops / high if answer.compute_flops > high else low / answer.compute_flops
    return f"{low:.0e} - {high:.0e}" + (f": extrapolated {_times(times)} times" if answer.extrapolates else "")


def _times(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}" if value < 1e6 else f"{value:.0e}"


def _short(value: float | None, form: str) -> str:
    """`count` as 1.2 B; nothing for None."""
    if value is None:
        return ""
    if form != "count":
        return f"{value:{form}}"
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"
