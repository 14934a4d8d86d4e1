"""What the MoE layers did in a step that is logged: choices counted on the device, added over ranks, made into figures.

Legend: L MoE layers, B sequences, T positions, N = B*T tokens, K choices, S sources, E experts, R ranks.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

import torch

from mai1.dist import World, gather_json, sum_tensor_over_ranks
from mai1.model.moe.router import Router, Routing


@dataclass(slots=True)
class LoadFigures:
    """How evenly one layer used its experts in a step."""

    load: list[float]
    """Each expert's share of the choices; sums to 1."""
    entropy: float
    """Entropy of the shares in nats; log(E) is even."""
    max_violation: float
    """Largest share over the even share, minus 1 (arXiv 2408.15664, eq. 4); 0 is even."""
    dead_experts: int
    """Experts that got no token."""


@dataclass(slots=True)
class SourceLoad:
    """What the tokens of one data source chose in one layer."""

    choices: int
    """Choices that experts served: what the shares are of."""
    load: list[float]
    """Each expert's share of them, to five decimals; sums to 1."""


@dataclass(slots=True)
class ChoiceFigures:
    """Where the choices of one layer went in a step."""

    dropped: int
    """Choices that found no place under the capacity."""
    dropped_share: float
    """Of all choices, served and dropped."""
    rank_imbalance: float | None
    """Rows of the busiest expert-parallel rank over the mean, minus 1; None where every rank has all experts."""
    sources: dict[str, SourceLoad]
    """By name; a source without a counted token in the step is absent."""


@dataclass(slots=True)
class DriftFigures:
    """How far one layer's router has moved since the last checkpoint, or since the launch."""

    router_drift: float
    """Change of the weight relative to what it was: ||W - W0|| / ||W0||, Frobenius norms."""
    bias_drift: float | None
    """Largest change of an expert's selection bias, in units of the score, since biases start at 0; None without one."""


@dataclass(slots=True)
class StepChoices:
    """Counts of one step over all ranks and microbatches, int64, on the CPU."""

    by_source_LSE: torch.Tensor
    """Choices of counted tokens that experts served."""
    dropped_L: torch.Tensor
    rows_LR: torch.Tensor
    """Rows that the experts of each rank that holds the layer computed, padding included."""


class ChoiceCounter:
    """Adds up the choices of one step's microbatches; made only for a step that will be logged."""

    def __init__(
        self,
        *,
        num_layers: int,
        num_sources: int,
        num_experts: int,
        device: torch.device,
        layers_here: slice = slice(None),
    ) -> None:
        """`layers_here` are those of the `num_layers` that this rank holds."""
        # the last source holds tokens that do not count, the last expert choices that no expert served
        self._choices_LSE = torch.zeros(num_layers, num_sources + 1, num_experts + 1, dtype=torch.int64, device=device)
        self._dropped_L = torch.zeros(num_layers, dtype=torch.int64, device=device)
        self._layers_here = layers_here

    def add(self, routings: Iterable[Routing], sources_BT: torch.Tensor) -> None:
        """Count one microbatch, without a host synchronisation."""
        _, num_buckets, num_columns = self._choices_LSE.shape
        choices_LSE, dropped_L = self._choices_LSE[self._layers_here], self._dropped_L[self._layers_here]
        for counts_SE, dropped, routing in zip(choices_LSE, dropped_L, routings, strict=True):
            buckets_N = sources_BT.where(routing.counted_BT, num_buckets - 1).flatten()
            cells = (buckets_N[:, None] * num_columns + routing.experts_NK).flatten()
            counts_SE.view(-1).scatter_add_(0, cells, cells.new_ones(1).expand_as(cells))
            dropped += routing.dropped_E.sum()

    def over_ranks(self, world: World, *, expert_parallel: int, num_stages: int = 1) -> StepChoices:
        """Everything added over all ranks, in one collective: every rank must call this."""
        num_layers = len(self._choices_LSE)
        served_LE = self._choices_LSE.sum(1)[:, :-1]
        ranks_of_stage = world.size // num_stages
        rows_LR = served_LE.new_zeros(num_layers, ranks_of_stage)
        first_of_group = (
            world.rank % ranks_of_stage // expert_parallel * expert_parallel
        )  # groups are consecutive ranks
        rows_of_group = served_LE.unflatten(1, (expert_parallel, -1)).sum(2)
        rows_LR[:, first_of_group : first_of_group + expert_parallel] = rows_of_group
        parts = (self._choices_LSE[:, :-1, :-1], self._dropped_L, rows_LR)
        summed = sum_tensor_over_ranks(torch.cat([part.flatten() for part in parts]), world).cpu()
        split = summed.split([part.numel() for part in parts])
        return StepChoices(*(values.view(part.shape) for values, part in zip(split, parts, strict=True)))


class RouterDrift:
    """Remembers where routers stood, on one rank that holds them, and measures how far they have gone."""

    def __init__(self, routers: Iterable[Router]) -> None:
        self._routers = list(routers)
        self.restart()

    @torch.no_grad()
    def restart(self) -> None:
        """Measure from here on."""
        self._weights = [router.matrix_ED.clone() for router in self._routers]
        self._biases = [_bias_of(router).clone() for router in self._routers]

    @torch.no_grad()
    def measure(self) -> list[DriftFigures]:
        """The figures of each router, in their order; one transfer from the device for all of them."""
        if not self._routers:
            return []
        values = []
        for router, weight, bias in zip(self._routers, self._weights, self._biases, strict=True):
            moved = (router.matrix_ED - weight).norm() / weight.norm().clamp(min=1e-12)
            values.append(torch.stack((moved, (_bias_of(router) - bias).abs().max())))
        pairs = torch.stack(values).tolist()
        has_bias = [hasattr(router, "selection_bias") for router in self._routers]
        return [DriftFigures(moved, bias if has else None) for (moved, bias), has in zip(pairs, has_bias, strict=True)]


def drifts_of_all(drifts: list[DriftFigures], world: World) -> list[DriftFigures]:
    """What every rank measured of its routers, in rank order, which is that of the layers. Every rank must call this."""
    mine = [[figures.router_drift, figures.bias_drift] for figures in drifts]
    return [DriftFigures(*pair) for of_rank in gather_json(mine, world) for pair in of_rank]


def _bias_of(router: Router) -> torch.Tensor:
    """The selection bias; one that never moves for a router that has none."""
    return getattr(router, "selection_bias", router.weight.new_zeros(1, dtype=torch.float32))


def load_figures(tokens_per_expert_E: torch.Tensor) -> LoadFigures:
    """Figures of one layer from its counts over a whole step."""
    counts = tokens_per_expert_E.tolist()
    total = max(sum(counts), 1)
    shares = [count / total for count in counts]
    return LoadFigures(
        load=shares,
        entropy=-sum(share * math.log(share) for share in shares if share > 0),
        max_violation=max(shares) * len(shares) - 1,
        dead_experts=sum(count == 0 for count in counts),
    )


def choice_figures(choices: StepChoices, *, source_names: list[str], expert_parallel: int) -> list[ChoiceFigures]:
    """Figures of each layer from the counts of a step."""
    figures = []
    for counts_SE, dropped, rows_R in zip(choices.by_source_LSE, choices.dropped_L, choices.rows_LR, strict=True):
        sources = zip(source_names, counts_SE, strict=True)
        num_choices = int(counts_SE.sum() + dropped)
        imbalance = rows_R.max().item() * len(rows_R) / rows_R.sum().item() - 1 if rows_R.any() else 0.0
        figures.append(
            ChoiceFigures(
                dropped=int(dropped),
                dropped_share=int(dropped) / max(num_choices, 1),
                rank_imbalance=imbalance if expert_parallel > 1 else None,
                sources={name: _source_load(counts) for name, counts in sources if counts.any()},
            )
        )
    return figures


def _source_load(counts_E: torch.Tensor) -> SourceLoad:
    total = counts_E.sum()
    return SourceLoad(choices=int(total), load=(counts_E.double() / total).round(decimals=5).tolist())


def layer_records(
    layers: Iterable[int],
    tokens_per_expert_LE: torch.Tensor,
    *,
    drifts: list[DriftFigures],
    choices: list[ChoiceFigures] | None,
) -> dict[str, dict]:
    """The record of each MoE layer by its index; figures that do not apply are left out, as are those not counted."""
    records = {}
    for place, (layer, counts_E) in enumerate(zip(layers, tokens_per_expert_LE.cpu(), strict=True)):
        figures = _record(load_figures(counts_E)) | _record(drifts[place])
        if choices is not None:
            sources = {name: _record(load) for name, load in choices[place].sources.items()}
            figures |= _record(choices[place]) | {"sources": sources}
        records[str(layer)] = {key: value for key, value in figures.items() if value is not None}
    return records


def _record(figures: LoadFigures | DriftFigures | ChoiceFigures | SourceLoad) -> dict:
    """The fields by name, without copying the loads as `asdict` does."""
    return {entry.name: getattr(figures, entry.name) for entry in fields(figures)}
