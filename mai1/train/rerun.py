"""What a refused step looked like on each rank, and whether it looks the same when it is computed again.

A fault of the machine seldom strikes twice at the same place, so a result that changes is *transient*; one that comes again
is *persistent*: of the data or the numbers (Megatron-LM's rerun state machine does likewise). Seen are each microbatch's
loss and the gradient that reaches the embedding, both before any rank adds up with others: wrong values of nearly every
part of forward and backward pass through one of them. A fault in a weight's gradient alone, or on the way between ranks, is
seen in the norm over all ranks only and names no rank. With expert parallelism, rows that a faulty rank's experts computed
show on the rank that sent them; with pipeline stages, a fault shows on all the ranks that its rows pass.

Legend: R ranks, M microbatches, F figures.
"""

import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import Enum

import torch
from torch import nn

from mai1.data.batch import Batch
from mai1.dist import World, gather_json, gather_tensor
from mai1.model.transformer import MoETransformer

LOSS, GRADIENT, SAMPLE, LAYER = range(4)
NO_LAYER = -1
NOISE = 0.01
"""Relative difference of a figure that is still the same: kernels of GPUs may add up in another order."""


class Finding(Enum):
    """What computing a refused step again has told."""

    transient = "transient"
    persistent = "persistent"
    unknown = "not computed again"


@dataclass(slots=True)
class Suspect:
    """A microbatch that was refused, or changed, on one rank."""

    rank: int
    host: str
    microbatch: int
    samples: list[int]
    """First and last row, numbered in the run's order."""
    loss: float | str
    """Its share of the step's loss."""
    gradient: float | str
    """Norm of the gradient of this share where it reaches the embedding."""
    layer: int | None
    """The first layer whose output was not finite when it was computed again."""


@dataclass(slots=True)
class BadStep:
    """A step that was refused at least once."""

    step: int
    """Counted as in the other records: the first one is 1."""
    reason: str
    loss: float | str
    grad_norm: float | str
    samples: list[int]
    """First and last row of the step, numbered in the run's order."""
    finding: Finding
    is_skipped: bool
    """False where the result of computing it again was good and used."""
    suspects: list[Suspect] = field(default_factory=list)

    def record(self) -> dict:
        """As a record of metrics.jsonl."""
        kind = "skipped" if self.is_skipped else "fault"
        values = {key: value for key, value in asdict(self).items() if key != "is_skipped"}
        return {"kind": kind, **values, "finding": self.finding.value}

    def __str__(self) -> str:
        found = "" if self.finding is Finding.unknown else f", {self.finding.value}"
        figures = f"loss {_short(self.loss)}, gradient norm {_short(self.grad_norm)}{found}"
        where = "; ".join(
            f"rank {suspect.rank} on {suspect.host}, rows {suspect.samples[0]} to {suspect.samples[1]}"
            + (f", from layer {suspect.layer} on" if suspect.layer is not None else "")
            for suspect in self.suspects[:3]
        )
        where = f": {where}" if where else ""
        outcome = "skipped" if self.is_skipped else "computed again and applied"
        return f"step {self.step}: {outcome}: {self.reason} ({figures}){where}"


class Probe:
    """Takes the figures of each microbatch as it passes; nothing waits for the device but while layers are watched."""

    def __init__(self, model: MoETransformer) -> None:
        self._model, self._rows = model, []
        self._row: _Row | None = None  # of the microbatch whose forward it is
        if model.embedding is not None:
            model.embedding.register_forward_hook(lambda _module, _inputs, output: self._watch_gradient(output))
        else:
            model.register_forward_pre_hook(self._watch_what_is_handed_on, with_kwargs=True)

    def start(self) -> None:
        """Forget the microbatches so far."""
        self._rows = []

    def begin(self, batch: Batch) -> None:
        """Before a microbatch's forward."""
        self._row = _Row(int(batch.samples_B[0]))
        self._rows.append(self._row)

    def end(self, loss: torch.Tensor) -> None:
        """After it: its share of the step's loss."""
        self._row.loss, self._row = loss.detach(), None

    @contextmanager
    def layers_watched(self) -> Iterator[None]:
        """Inside, note the first layer of each microbatch whose output is not finite; waits for the device."""
        handles = [
            block.register_forward_hook(lambda block, _inputs, output: self._look(output[0], block.layer))
            for block in self._model.layers
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def over_ranks(self, world: World) -> torch.Tensor:
        """The figures of every microbatch of every rank, on every rank: fp64 `[R, M, F]`. Every rank must call this."""
        rows = [[float(row.loss), math.hypot(*map(float, row.gradients)), row.sample, row.layer] for row in self._rows]
        return gather_tensor(torch.tensor(rows, dtype=torch.float64, device=world.device), world).cpu()

    def _watch_gradient(self, x_BTD: torch.Tensor) -> None:
        if x_BTD.requires_grad and self._row is not None:
            norms, fp32 = self._row.gradients, torch.float32
            x_BTD.register_hook(lambda gradient: norms.append(torch.linalg.vector_norm(gradient, dtype=fp32)))

    def _watch_what_is_handed_on(self, _module: nn.Module, _inputs: tuple, named: dict) -> None:
        self._watch_gradient(named["x_BTD"])

    def _look(self, x_BTD: torch.Tensor, layer: int) -> None:
        row = self._row  # None where a backward computes again, of whatever microbatch
        if row is not None and row.layer == NO_LAYER and not torch.isfinite(x_BTD).all():
            row.layer = layer


@dataclass(slots=True)
class _Row:
    """One microbatch of this rank."""

    sample: int
    loss: torch.Tensor | float = 0.0
    gradients: list[torch.Tensor] = field(default_factory=list)
    """Its norm at every use of the embedding."""
    layer: int = NO_LAYER


def describe(
    *,
    step: int,
    reason: str,
    loss: float,
    grad_norm: float,
    first_RMF: torch.Tensor,
    again_RMF: torch.Tensor | None,
    is_skipped: bool,
    rows_at_once: int,
    world: World,
) -> BadStep:
    """What a refused step was about, from the figures of its first and, if there was one, second run. Every rank must call."""
    finding = compare(first_RMF, again_RMF, is_good_now=not is_skipped)
    return BadStep(
        step=step,
        reason=reason,
        loss=as_json(loss),
        grad_norm=as_json(grad_norm),
        samples=[int(first_RMF[..., SAMPLE].min()), int(first_RMF[..., SAMPLE].max()) + rows_at_once - 1],
        finding=finding,
        is_skipped=is_skipped,
        suspects=suspects(first_RMF, again_RMF, finding, rows_at_once=rows_at_once, world=world),
    )


def compare(first_RMF: torch.Tensor, again_RMF: torch.Tensor | None, *, is_good_now: bool) -> Finding:
    """What two runs of one step tell, by the figures of all ranks; `again_RMF` is None where there was but one."""
    if again_RMF is None:
        return Finding.unknown
    is_transient = is_good_now or bool(changed(first_RMF, again_RMF).any())
    return Finding.transient if is_transient else Finding.persistent


def changed(first_RMF: torch.Tensor, again_RMF: torch.Tensor) -> torch.Tensor:
    """Which microbatches have other figures in the second run, or are finite in but one: bool `[R, M]`."""
    first_RMF, again_RMF = first_RMF[..., : GRADIENT + 1], again_RMF[..., : GRADIENT + 1]
    return ~torch.isclose(first_RMF, again_RMF, rtol=NOISE, atol=0, equal_nan=True).all(-1)


def suspects(
    first_RMF: torch.Tensor, again_RMF: torch.Tensor | None, finding: Finding, *, rows_at_once: int, world: World
) -> list[Suspect]:
    """The microbatches to look at: those that changed, else those that are not finite, else the one of largest loss.

    Every rank must call this.
    """
    is_broken_RM = ~torch.isfinite(first_RMF[..., : GRADIENT + 1]).all(-1)
    if finding is Finding.transient:
        chosen_RM = changed(first_RMF, again_RMF)
    elif is_broken_RM.any():
        chosen_RM = is_broken_RM
    else:
        chosen_RM = first_RMF[..., LOSS] == first_RMF[..., LOSS].max()
    hosts = gather_json(socket.gethostname(), world)
    return [
        _suspect(rank, hosts[rank], microbatch, first_RMF[rank, microbatch], again_RMF, rows_at_once)
        for rank, microbatch in chosen_RM.nonzero().tolist()
    ]


def _suspect(
    rank: int, host: str, microbatch: int, first_F: torch.Tensor, again_RMF: torch.Tensor | None, rows_at_once: int
) -> Suspect:
    layer = NO_LAYER if again_RMF is None else int(again_RMF[rank, microbatch, LAYER])
    sample = int(first_F[SAMPLE])
    return Suspect(
        rank=rank,
        host=host,
        microbatch=microbatch,
        samples=[sample, sample + rows_at_once - 1],
        loss=as_json(float(first_F[LOSS])),
        gradient=as_json(float(first_F[GRADIENT])),
        layer=None if layer == NO_LAYER else layer,
    )


def as_json(value: float) -> float | str:
    """JSON has no numbers that are not finite: they become text."""
    return value if math.isfinite(value) else str(value)


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
