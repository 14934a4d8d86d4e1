"""A plan: the best layouts for a model on some devices, and what a run in the first of them takes."""

import math
from dataclasses import dataclass, replace

from mai1.model.flops import ParameterCounts, count_parameters
from mai1.plan.energy import EnergyAndCost, EnergyConfig, energy_and_cost
from mai1.plan.flops import flops_per_token
from mai1.plan.goodput import Goodput, GoodputConfig, checkpoint_bytes, goodput
from mai1.plan.laws.recommendation import Recommendation
from mai1.plan.laws.side_by_side import recommend
from mai1.plan.layout import Layout
from mai1.plan.memory.parameters import parameters_of
from mai1.plan.memory.state import state_of
from mai1.plan.notes import about_rows, notes_of
from mai1.plan.search.candidate import Candidate
from mai1.plan.search.nearby import best_nearby
from mai1.plan.search.refusal import why_nothing_fits
from mai1.plan.search.search import Found, Progress, search
from mai1.plan.search.space import Question, with_enough_rows
from mai1.plan.traffic.traffic import traffic_of
from mai1.plan.traffic.transfer import Transfer, share_outside_node

NUM_TODAY = 5
"""Layouts shown that this version can run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """A transfer and the links it takes."""

    transfer: Transfer
    share_outside_node: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Length:
    """What training on a number of tokens takes in one layout."""

    steps: int
    goodput: Goodput | None
    """None where the hardware file does not say how fast devices reach their host and storage."""
    cost: EnergyAndCost
    """Time lost to failures included, where that is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The answer to a question."""

    question: Question
    tokens: float
    """The run is to train on."""
    parameters: ParameterCounts
    flops_per_token: int
    """In the convention of `mai1.model.flops`."""
    found: Found
    best: Candidate
    length: Length
    """Of a run in the best layout."""
    loads: list[Load]
    """Of the best layout."""
    today: list[Candidate]
    """The fastest that fit and that this version can run."""
    laws: list[Recommendation]
    """For as many FLOPs as the run has."""
    nearby: list[Candidate]
    """The best layouts of other numbers of devices, where this one divides badly."""
    notes: list[str]
    """What is worth a remark, a line each."""

    @property
    def runnable(self) -> Candidate | None:
        """The best that this version can run; None where it can run none that fits."""
        return self.today[0] if self.today else None

    @property
    def compute_flops(self) -> float:
        """Of the whole run."""
        return self.flops_per_token * self.tokens

    def mfu_of(self, candidate: Candidate) -> float:
        """Share of the devices' peak in the layout's format that the model's own FLOPs are."""
        peak = self.question.hardware.peak_flops[candidate.layout.format.value] * candidate.layout.num_devices
        return self.flops_per_token / candidate.seconds_per_token / peak


def make_plan(
    question: Question,
    *,
    tokens: float,
    goodput_config: GoodputConfig | None = None,
    energy: EnergyConfig | None = None,
    progress: Progress = lambda items, _: items,
) -> Plan:
    """Search, and say what the best layout takes; ValueError where nothing fits, with what is lacking and what would."""
    usual_rows, question = question.sequences_per_step, with_enough_rows(question)
    found = search(question, progress=progress)
    if not found.best:
        raise ValueError(why_nothing_fits(question, found))
    best, today = found.best[0], found.best
    if not question.must_run:
        today = search(replace(question, must_run=True), limit=NUM_TODAY, progress=progress).best
    nearby = best_nearby(question, best)
    flops = flops_per_token(question.workload(question.sequences_per_step))
    return Plan(
        question=question,
        tokens=tokens,
        parameters=count_parameters(question.model),
        flops_per_token=flops,
        found=found,
        best=best,
        length=length_of(question, best, tokens=tokens, goodput_config=goodput_config, energy=energy),
        loads=loads_of(question, best),
        today=today,
        laws=laws_for(flops * tokens, context=question.sequence_length),
        nearby=nearby,
        notes=[*about_rows(question, usual_rows), *notes_of(question, best, today, nearby)],
    )


def laws_for(compute_flops: float, *, context: int) -> list[Recommendation]:
    """What scaling laws advise; nothing for runs far smaller or larger than they speak of."""
    return recommend(compute_flops, context=context) if 1e15 <= compute_flops <= 1e30 else []


def length_of(
    question: Question,
    candidate: Candidate,
    *,
    tokens: float,
    goodput_config: GoodputConfig | None = None,
    energy: EnergyConfig | None = None,
) -> Length:
    """Steps, days, energy and cost of a run in this layout."""
    hardware, devices = question.hardware, question.num_devices
    steps = math.ceil(tokens / candidate.workload.tokens_per_step)
    stored = stored_bytes(candidate)
    failing = None
    if hardware.host_bytes_per_s and hardware.storage_bytes_per_s:
        failing = goodput(devices, hardware, stored, step_s=candidate.time.total, config=goodput_config)
    return Length(
        steps=steps,
        goodput=failing,
        cost=energy_and_cost(
            steps * candidate.workload.tokens_per_step,
            tokens_per_s=1 / candidate.seconds_per_token,
            num_devices=devices,
            hardware=hardware,
            effective_share=failing.effective_share if failing else 1.0,
            config=energy,
        ),
    )


def stored_bytes(candidate: Candidate) -> float:
    """Of one checkpoint, into whose weights adapters are merged."""
    workload, alone = candidate.workload, Layout(num_devices=1, zero_stage=0, format=candidate.layout.format)
    held = parameters_of(workload, alone, 0)
    state = state_of(held, alone, method=workload.method)
    return checkpoint_bytes(
        count_parameters(workload.model).total,
        weight_bytes=alone.format.stored_bytes,
        moments=state.moments / state.masters,
        trained=held.trained.total,
    )


def loads_of(question: Question, candidate: Candidate) -> list[Load]:
    """What travels, most first."""
    transfers = traffic_of(candidate.workload, candidate.layout, imbalance=question.imbalance)
    loads = [
        Load(
            transfer=transfer,
            share_outside_node=share_outside_node(transfer, candidate.layout, question.hardware),
        )
        for transfer in transfers
    ]
    return sorted(loads, key=lambda load: -load.transfer.bytes_sent)


def fewest_devices(
    question: Question,
    *,
    tokens: float,
    days: float,
    counts: list[int],
    progress: Progress = lambda items, _: items,
) -> int:
    """The first of `counts` on which a layout fits and, unless `days` is 0, trains on `tokens` in so many days of steps."""
    for count in progress(counts, "device counts"):
        found = search(replace(question, num_devices=count), limit=1)
        if found.best and (not days or tokens * found.best[0].seconds_per_token <= days * 86400):
            return count
    wish = f" and trains on {tokens:.3g} tokens in {days:g} days" if days else ""
    raise ValueError(
        f"devices=auto: no layout on up to {counts[-1]:,} devices fits{wish}: give more days or other hardware"
    )
