"""Words of the report: what the model writes for the same prompts before, during and after training."""

import re
from typing import Any

import numpy as np

from mai1.report.markup import Markup, absent, caption, details, element, passage, section, table
from mai1.report.records import RunRecords, mapping, number
from mai1.report.scales import fixed, grouped

MAX_PROMPTS = 40
NUM_OPEN_PROMPTS = 6
MAX_SIDES = 3
TITLE = "Samples"


def samples(records: RunRecords) -> Markup:
    """Every prompt with its completions side by side, then the scores on held-out questions."""
    by_prompt = _by_prompt(records.samples)
    if not by_prompt:
        return section("samples", TITLE, absent("No samples have been written."), _answers(records.answers))
    cards = [_card(prompt, moments) for prompt, moments in list(by_prompt.items())[:MAX_PROMPTS]]
    shown, more = cards[:NUM_OPEN_PROMPTS], cards[NUM_OPEN_PROMPTS:]
    parts = [_mean_scores(by_prompt), _answers(records.answers), *shown]
    if more:
        parts.append(details(f"{len(more)} more prompts", *more))
    if len(by_prompt) > MAX_PROMPTS:
        parts.append(caption(f"{len(by_prompt) - MAX_PROMPTS} further prompts are in samples.jsonl."))
    return section("samples", TITLE, *parts)


def _by_prompt(records: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """prompt -> moment -> record, moments in order of time; a repeated record replaces the earlier one."""
    grouped_records: dict[str, dict[str, dict[str, Any]]] = {}
    for record in records:
        if "prompt" in record and "completion" in record:
            prompt = record["prompt"] if isinstance(record["prompt"], str) else str(record["prompt"])
            grouped_records.setdefault(prompt, {})[str(record.get("when"))] = record
    return {prompt: dict(sorted(moments.items(), key=_order)) for prompt, moments in grouped_records.items()}


def _order(moment: tuple[str, dict[str, Any]]) -> tuple[int, int, str]:
    """Before, then by the step in the name, then after."""
    name = moment[0]
    step = re.search(r"\d{1,15}", name)
    return ({"before": 0, "after": 2}.get(name, 1), int(step.group()) if step else 0, name)


def _mean_scores(by_prompt: dict[str, dict[str, dict[str, Any]]]) -> Markup:
    scores: dict[str, list[float]] = {}
    for moments in by_prompt.values():
        for when, record in moments.items():
            score = number(record.get("score"))
            if score is not None:
                scores.setdefault(when, []).append(score)
    if not scores:
        return caption(f"{len(by_prompt)} prompts, not scored.")
    ordered = sorted(((when, {"values": values}) for when, values in scores.items()), key=_order)
    rows = [[when, fixed(float(np.mean(figures["values"])), 4), len(figures["values"])] for when, figures in ordered]
    return table(["samples", "mean score", "prompts"], rows)


def _answers(answers: dict[str, Any]) -> Markup:
    """Scores on held-out questions before and after tuning."""
    before, after = mapping(answers.get("before")), mapping(answers.get("after"))
    figures = {key: value for key, value in {**before, **after}.items() if key != "questions"}
    keys = [key for key, value in figures.items() if number(value) is not None]
    if not keys:
        return absent("No answers.json: held-out questions have not been asked.")
    rows = [[key, *_change(number(before.get(key)), number(after.get(key)))] for key in keys]
    questions = number(answers.get("questions"))
    headers = [f"on {grouped(questions)} held-out questions", "before", "after", "change"]
    return table(headers, rows)


def _change(before: float | None, after: float | None) -> list[str]:
    change = "–" if before is None or after is None else f"{after - before:+.4f}"
    return [fixed(before, 4), fixed(after, 4), change]


def _card(prompt: str, moments: dict[str, dict[str, Any]]) -> Markup:
    """One prompt: the reference if there is one, and the completions; those between first and last fold away."""
    names = list(moments)
    shown = names if len(names) <= MAX_SIDES else [names[0], names[-1]]
    reference = next((record["reference"] for record in moments.values() if record.get("reference")), None)
    sides = [_side("reference", reference)] if reference else []
    sides += [_completion(name, moments[name]) for name in shown]
    between = [_completion(name, moments[name]) for name in names if name not in shown]
    folded = details(f"{len(between)} moments between", element("div", *between, class_="sides")) if between else ""
    body = element("div", *sides, class_="sides")
    return element("div", element("div", prompt[:500], class_="prompt"), body, folded, class_="sample")


def _completion(name: str, record: dict[str, Any]) -> Markup:
    score = number(record.get("score"))
    return _side(name if score is None else f"{name} · score {fixed(score, 3)}", record["completion"])


def _side(title: str, text: object) -> Markup:
    return element("div", element("h4", title), passage(text))
