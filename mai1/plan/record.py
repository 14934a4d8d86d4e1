"""A plan as plain data, for plan.json and the page."""

from dataclasses import asdict, fields
from enum import Enum

from mai1.plan.failures import failures
from mai1.plan.laws.side_by_side import COLUMNS, table
from mai1.plan.layout import Layout
from mai1.plan.plan import Length, Load, Plan
from mai1.plan.search.candidate import Candidate
from mai1.plan.search.refusal import described, shortage
from mai1.plan.search.support import overrides_of

CONVENTION = (
    "2 FLOPs a multiply-add, a backward is two forwards, attention counts the causal half, the output matrix counts, "
    "the embedding look-up and what is computed again do not"
)
"""That of `mai1.model.flops`, in words."""


def as_record(plan: Plan) -> dict:
    """Everything the plan says, as JSON has it; bytes, seconds, FLOPs and dollars."""
    question, found = plan.question, plan.found
    return {
        "format": 1,
        "hardware": asdict(question.hardware),
        "devices": question.num_devices,
        "sequence_length": question.sequence_length,
        "tokens": plan.tokens,
        "imbalance": question.imbalance,
        "pinned": {name: _plain(value) for name, value in question.pinned.items()},
        "must_run": question.must_run,
        "parameters": {"total": plan.parameters.total, "active": plan.parameters.active},
        "flops": {"per_token": plan.flops_per_token, "run": plan.compute_flops, "convention": CONVENTION},
        "best": candidate_record(plan, plan.best),
        "today": [candidate_record(plan, candidate) for candidate in plan.today],
        "run": length_record(plan.length),
        "links": [load_record(load) for load in plan.loads],
        "layouts": [candidate_record(plan, candidate) for candidate in found.best],
        "too_large": [
            candidate_record(plan, candidate) | {"shortage": shortage(question, candidate)}
            for candidate in found.too_large
        ],
        "nearby": [candidate_record(plan, candidate) for candidate in plan.nearby],
        "notes": plan.notes,
        "search": {"shapes": found.num_shapes, "fitted": found.num_fitted},
        "laws": {
            "columns": list(COLUMNS),
            "rows": table(plan.laws) if plan.laws else [],
            "answers": [asdict(law) | {"extrapolates": law.extrapolates} for law in plan.laws],
        },
    }


def candidate_record(plan: Plan, candidate: Candidate) -> dict:
    """One layout, what it takes, and how to run it."""
    layout, workload = candidate.layout, candidate.workload
    return {
        "layout": {entry.name: _plain(getattr(layout, entry.name)) for entry in fields(Layout)},
        "described": described(layout),
        "data": layout.data,
        "sequences_per_step": workload.sequences_per_step,
        "tokens_per_step": workload.tokens_per_step,
        "memory_bytes": candidate.memory.by_kind(),
        "bytes_over": candidate.bytes_over,
        "step_s": candidate.time.total,
        "seconds": candidate.time.by_part(),
        "tokens_per_s": 1 / candidate.seconds_per_token,
        "tokens_per_s_per_device": 1 / candidate.seconds_per_token / layout.num_devices,
        "mfu": plan.mfu_of(candidate),
        "obstacles": list(candidate.obstacles),
        "overrides": [] if candidate.obstacles else overrides_of(workload, layout),
    }


def length_record(length: Length) -> dict:
    """What the whole run takes."""
    record = {"steps": length.steps, "days": length.cost.days} | asdict(length.cost)
    if length.goodput is not None:
        record |= asdict(length.goodput) | {"effective_share": length.goodput.effective_share}
        record["failures"] = asdict(failures(length.cost.seconds, mtbf_s=length.goodput.mtbf_s))
    return record


def load_record(load: Load) -> dict:
    """What one rank sends in a step for one purpose, and how much of it leaves the node."""
    record = {name: _plain(value) for name, value in asdict(load.transfer).items()}
    return record | {"bytes_sent": load.transfer.bytes_sent, "share_outside_node": load.share_outside_node}


def _plain(value: object) -> object:
    return value.value if isinstance(value, Enum) else value
