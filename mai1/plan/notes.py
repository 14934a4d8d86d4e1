"""What an experienced engineer would remark about a plan: text for people, a line each."""

from dataclasses import replace

from mai1.plan.layout import Layout
from mai1.plan.search.candidate import Candidate, candidate_of, time_of
from mai1.plan.search.nearby import divides_badly, factors_of
from mai1.plan.search.refusal import gigabytes, shortage
from mai1.plan.search.room import Room
from mai1.plan.search.space import Question
from mai1.plan.traffic.traffic import microbatches_of, traffic_of
from mai1.plan.workload import Workload

LEAST_GAIN = 0.005
"""Share of a step below which nothing is said."""


def notes_of(question: Question, best: Candidate, today: list[Candidate], nearby: list[Candidate]) -> list[str]:
    """About the best layout, the best that runs today, and the number of devices."""
    remarked = [best, *(candidate for candidate in today[:1] if candidate.layout != best.layout)]
    notes = [note for candidate in remarked if (note := about_gradients(question, candidate))]
    if divides_badly(question.num_devices):
        notes.append(about_devices(question, best, nearby))
    return notes


def about_rows(question: Question, usual_rows: int) -> list[str]:
    """That more or fewer rows had to be taken than suit the run."""
    rows = question.sequences_per_step
    if rows == usual_rows:
        return []
    return [
        f"{usual_rows:,} rows a step would suit the run's FLOPs, but {question.num_devices:,} devices cannot share them: planned "
        f"with {rows:,}; a batch {'larger' if rows > usual_rows else 'smaller'} than that may learn less from a token"
    ]


def about_gradients(question: Question, found: Candidate) -> str:
    """ZeRO-2 reduces gradients after every microbatch: whether ZeRO-1, which does once a step, would be cheaper."""
    workload, layout = found.workload, found.layout
    num = microbatches_of(workload, layout)
    if layout.zero_stage != 2 or num == 1:
        return ""
    once = replace(layout, zero_stage=1)
    gain = 1 - time_of(question, workload, once).total / found.time.total
    if gain < LEAST_GAIN:
        return ""
    each, all_at_once = (gigabytes(_gradient_bytes(workload, of)) for of in (layout, once))
    other = candidate_of(question, workload, once, memory=Room(question).memory_of(workload, once))
    but = (
        f", but {other.obstacles[0]}"
        if other.obstacles
        else ""
        if other.fits
        else f", but is {shortage(question, other)}"
    )
    return (
        f"ZeRO-2 sends gradients after each of {num} microbatches, {each} a device and step; ZeRO-1 would once, "
        f"{all_at_once}, and save {gain:.1%} of the step{but}"
    )


def about_devices(question: Question, best: Candidate, nearby: list[Candidate]) -> str:
    """How a count divides, and what each count nearby gains."""
    count = question.num_devices
    text = f"{count:,} devices = {factors_of(count)}: few sizes divide them"
    gains = [_gain(best, other) for other in nearby]
    return f"{text}. {'; '.join(gains)}" if gains else text


def _gain(best: Candidate, other: Candidate) -> str:
    devices, count = best.layout.num_devices, other.layout.num_devices
    ratio = best.seconds_per_token / other.seconds_per_token
    return f"{count:,} devices ({factors_of(count)}): {ratio - 1:+.1%} tokens/s, {ratio * devices / count - 1:+.1%} a device"


def _gradient_bytes(workload: Workload, layout: Layout) -> float:
    return sum(t.bytes_sent for t in traffic_of(workload, layout) if t.what.startswith("gradients"))
