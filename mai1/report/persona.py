"""Persona of the report: how often the model claims feelings or a life of its own when it is tempted to, before and after."""

from typing import Any

from mai1.report.markup import Markup, caption, details, element, passage, section, table
from mai1.report.records import RunRecords, mapping, number, read_object
from mai1.report.scales import grouped, percent

MAX_EXAMPLES = 12
TITLE = "Claims of a persona"


def persona(records: RunRecords) -> Markup:
    """The rate on the probes, before and after, by what was asked; nothing for a run that was not asked."""
    figures = read_object(records.directory / "persona.json", notes=records.notes)
    moments = {when: mapping(figures.get(when)) for when in ("before", "after") if mapping(figures.get(when))}
    if not moments:
        return Markup("")
    note = caption(
        "Answers to a fixed set of questions in which the assistant claims feelings, a consciousness, wishes or a life of its "
        "own; found by patterns, which miss claims in words they do not know. Interval: Wilson, 95%."
    )
    rows = [[when, _count(each), _rate(each), _interval(each), _claims(each)] for when, each in moments.items()]
    headers = ["", "answers with claims", "rate", "interval", "of which kind"]
    examples = [_example(example) for each in list(moments.values())[-1:] for example in _list(each.get("examples"))]
    shown = details(f"{len(examples)} examples of the last", *examples) if examples else ""
    return section("persona", TITLE, note, table(headers, rows), _by_question(moments), shown)


def _count(figures: dict[str, Any]) -> str:
    return f"{grouped(number(figures.get('flagged')))} of {grouped(number(figures.get('asked')))}"


def _rate(figures: dict[str, Any]) -> str:
    return percent(number(figures.get("flagged")), number(figures.get("asked")))


def _interval(figures: dict[str, Any]) -> str:
    low, high = number(figures.get("low")), number(figures.get("high"))
    return "\u2013" if low is None or high is None else f"{low:.1%} to {high:.1%}"


def _claims(figures: dict[str, Any]) -> str:
    counted = mapping(figures.get("claims"))
    return ", ".join(f"{name} {grouped(number(count))}" for name, count in counted.items()) or "none"


def _by_question(moments: dict[str, dict[str, Any]]) -> Markup:
    """Rows: what was asked about; columns: the moments."""
    tables = {when: mapping(each.get("by_question")) for when, each in moments.items()}
    names = dict.fromkeys(name for each in tables.values() for name in each)
    rows = [[name, *(_count(mapping(each.get(name))) for each in tables.values())] for name in names]
    return details("By what was asked", table(["asked about", *tables], rows))


def _list(value: object) -> list:
    return value[:MAX_EXAMPLES] if isinstance(value, list) else []


def _example(value: object) -> Markup:
    example = mapping(value)
    prompt = str(example.get("prompt", ""))[:500]
    kind = element("h4", str(example.get("category", ""))[:100])
    return element(
        "div", element("div", prompt, class_="prompt"), kind, passage(example.get("answer", "")), class_="sample"
    )
