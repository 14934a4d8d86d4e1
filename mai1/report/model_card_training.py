"""The model card's training: tokens, compute and hardware of each stage, and the runs the model comes from."""

from mai1.report.corpus_card_text import markdown_table
from mai1.report.ledger import gain, newest_parts
from mai1.report.model_card_stages import Stage
from mai1.report.model_card_text import public
from mai1.report.records import last_value
from mai1.report.scales import compact, fixed, grouped, percent

SETTINGS = {
    "optimizer": "optim.method",
    "learning rate": "optim.learning_rate",
    "schedule": "optim.schedule",
    "sequences per step": "batch.sequences_per_step",
    "tokens per sequence": "data.sequence_length",
    "balancing": "balance.method",
    "token selection": "selection.method",
    "precision": "engine.precision",
    "ZeRO stage": "engine.zero_stage",
    "seed": "run.seed",
}
"""What the card tells of a configuration: these keys and no others, so that none can carry a path or a name."""

UNKNOWN = "not recorded"


def training_section(stages: list[Stage]) -> str:
    """A column for each stage, the newest first."""
    if not stages:
        return "How it was trained was not recorded."
    rows = [[name, *(each(stage) for stage in stages)] for name, each in FIGURES.items()]
    rows += [[name, *(_setting(stage, key) for stage in stages)] for name, key in SETTINGS.items()]
    return markdown_table(["", *(public(stage.run.name) for stage in stages)], rows)


def lineage_section(stages: list[Stage], versions: dict[str, str]) -> str:
    """The runs from the newest to the first, each with what it ran on, and the versions."""
    rows = [
        [public(stage.run.name), stage.kind, public(stage.run.run.get("started")) or UNKNOWN, *_programs(stage)]
        for stage in stages
    ]
    headers = ["run", "stage", "started", "mai1", "commit", "torch", "deepspeed"]
    runs = markdown_table(headers, rows) if rows else "No run was recorded."
    first = stages[-1].run.run.get("parent") if stages else None
    if first:
        runs += f"\n\nThe first of these started from {public(first)}, which is not at hand."
    written = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{runs}\n\nThis release was written by {public(written)}."


def _programs(stage: Stage) -> list[str]:
    facts = stage.run.environment
    return [public(facts.get(key)) or UNKNOWN for key in ("mai1", "commit", "torch", "deepspeed")]


def _setting(stage: Stage, key: str) -> str:
    value = stage.setting(key)
    return UNKNOWN if value is None else public(value)


def _steps(stage: Stage) -> str:
    return grouped(last_value(stage.run.train, "step"))


def _tokens(stage: Stage) -> str:
    return grouped(last_value(stage.run.train, "tokens"))


def _flops(stage: Stage) -> str:
    parts = newest_parts(stage.run.train)
    return compact(sum(parts.values())) if parts else UNKNOWN


def _useful(stage: Stage) -> str:
    parts = newest_parts(stage.run.train)
    return percent(parts.get("useful", 0.0), sum(parts.values())) if parts else UNKNOWN


def _hours(stage: Stage) -> str:
    seconds = last_value(stage.run.train, "seconds")
    return UNKNOWN if seconds is None else fixed(seconds / 3600, 2)


def _hardware(stage: Stage) -> str:
    facts = stage.run.environment
    if not facts:
        return UNKNOWN
    ranks = facts.get("ranks", 1)
    gpu = facts.get("gpu", "none")
    device = f"CPU, {facts.get('cpus', '?')} cores" if gpu == "none" else gpu
    return public(f"{ranks} {'process' if ranks == 1 else 'processes'} on {device}")


def _gain(stage: Stage) -> str:
    found = gain(stage.run.heldout)
    return UNKNOWN if found is None else f"{compact(found)} bits per byte per EFLOP"


FIGURES = {
    "optimizer steps": _steps,
    "training tokens": _tokens,
    "FLOPs": _flops,
    "of which useful": _useful,
    "held-out text gained": _gain,
    "hours": _hours,
    "hardware": _hardware,
}
"""Rows of the table: name and how it is found."""
