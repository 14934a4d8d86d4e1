"""How far routing has moved from the start model's, on a fixed probe: what drift of the routers' weights alone does not
tell, since hidden states move as well.

Kept are the start model's probabilities, not a second model. Each rank keeps those of what it computes: its rows, its slice
of their positions, its pipeline stage's layers. The run's directory has all of them, for a resumed run on any topology.

Legend: N tokens of the probe, M of them that this rank computes, E experts, K choices.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from mai1.data.batch import Batch, Row
from mai1.dist import World, sum_over_ranks, sum_tensor_over_ranks
from mai1.evaluate.rows import Measuring
from mai1.model.transformer import ModelConfig
from mai1.train.start_figures import StartFigures

TINY = 1e-30
FILE = "router_start.safetensors"


@dataclass(slots=True)
class RoutingShift:
    """How one layer's routing differs from the start model's."""

    kl: float
    """Mean over tokens of KL(start || now) of the routing distributions, in nats."""
    changed: float
    """Share of tokens that go to another set of experts."""


@dataclass(slots=True)
class Routed:
    """What one layer did with the tokens of this rank."""

    probabilities_ME: torch.Tensor
    """fp32; scores that do not sum to 1 are divided by their sum."""
    experts_MK: torch.Tensor
    """int64, in rising order."""


class RoutingProbe:
    """The probe of one run."""

    def __init__(self, rows: list[Row], about: dict, *, path: Path, world: World) -> None:
        """`about` tells the start model; `path` is the run's directory."""
        self._rows, self._world = rows, world
        self._num_tokens = sum(row.num_valid_tokens for row in rows)
        mend = "restore the file, or set router.probe_tokens=0 to go on without"
        ids = [row.ids[: row.num_valid].tolist() for row in rows]
        self._figures = StartFigures(path=path / FILE, about=about | {"rows": ids}, mend=mend, world=world)
        self._start: dict[int, Routed] | None = None

    def measure(self, measuring: Measuring, *, step: int) -> dict[int, RoutingShift]:
        """The shift of every MoE layer by its index, on every rank; every rank must call this.

        The first call of a launch takes the start from the run's directory, or before the first step puts it there.
        """
        config = measuring.model.config
        layers = range(config.num_dense_layers, config.num_layers)
        seen = _Seen(measuring, self._rows)
        measuring.pass_through(measuring.batches(self._rows), seen)
        now, places_M = seen.routed(), torch.cat(seen.places)
        if self._start is None:
            whole = self._figures.get(lambda: self._whole(now, places_M, config, layers), step=step)
            parts = {name: tensor[places_M.cpu()].to(self._world.device) for name, tensor in whole.items()}
            self._start = {layer: Routed(parts[f"{layer}.probabilities"], parts[f"{layer}.experts"]) for layer in now}
        sums = torch.zeros(len(layers), 2, dtype=torch.float64, device=self._world.device)
        for layer, routed in now.items():
            sums[layers.index(layer)] = _differences(self._start[layer], routed)
        means = torch.tensor(sum_over_ranks(sums.flatten().tolist(), self._world)) / self._num_tokens
        return {layer: RoutingShift(*pair) for layer, pair in zip(layers, means.view(-1, 2).tolist(), strict=True)}

    def _whole(
        self, now: dict[int, Routed], places_M: torch.Tensor, config: ModelConfig, layers: range
    ) -> dict[str, torch.Tensor]:
        """Every layer's routing of the whole probe, from all ranks: each token of each layer is one rank's."""
        whole, shape = {}, (self._num_tokens, config.moe.num_experts)
        for layer in layers:
            probabilities_NE = torch.zeros(shape, device=self._world.device)
            experts_NK = torch.zeros(shape[0], config.moe.top_k, dtype=torch.int64, device=self._world.device)
            if layer in now:
                probabilities_NE[places_M], experts_NK[places_M] = now[layer].probabilities_ME, now[layer].experts_MK
            whole[f"{layer}.probabilities"] = sum_tensor_over_ranks(probabilities_NE, self._world).cpu()
            whole[f"{layer}.experts"] = sum_tensor_over_ranks(experts_NK, self._world).cpu()
        return whole


class _Seen:
    """The routing of the microbatches that it passes through the model."""

    def __init__(self, measuring: Measuring, rows: list[Row]) -> None:
        self._model, self._device = measuring.model, measuring.world.device
        lengths_R = torch.tensor([row.num_valid_tokens for row in rows])
        self._first_places_R = (lengths_R.cumsum(0) - lengths_R).to(self._device)
        self._parts: dict[int, list[Routed]] = {}
        self.places: list[torch.Tensor] = []
        """Of each microbatch, the numbers of its tokens among the probe's."""

    def __call__(self, batch: Batch, x_BTD: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        batch = batch.to(self._device)
        segments_BT = batch.isolating_segments_BT
        output = self._model(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=segments_BT, x_BTD=x_BTD)
        index_T = torch.arange(batch.tokens_BT.shape[1], device=self._device)
        places_BT = self._first_places_R[batch.samples_B.clamp(min=0)][:, None] + index_T
        is_valid_BT = batch.own(batch.segments_BT) >= 0
        self.places.append(batch.own(places_BT)[is_valid_BT])
        for layer, routing in output.routings.items():
            scores_ME = routing.scores_NE[is_valid_BT.flatten()]
            experts_MK = routing.experts_NK[is_valid_BT.flatten()].sort(-1).values
            probabilities_ME = scores_ME / scores_ME.sum(-1, keepdim=True)
            self._parts.setdefault(layer, []).append(Routed(probabilities_ME, experts_MK))
        return output.hidden_BTD, output.hidden_BTD.new_zeros(())

    def routed(self) -> dict[int, Routed]:
        """Of all microbatches, by layer."""
        return {
            layer: Routed(
                *(torch.cat([getattr(p, name) for p in parts]) for name in ("probabilities_ME", "experts_MK"))
            )
            for layer, parts in self._parts.items()
        }


def _differences(start: Routed, now: Routed) -> torch.Tensor:
    """Summed over tokens: KL(start || now), and those whose set of experts is another; fp64 `[2]`."""
    before_ME, after_ME = (p.probabilities_ME.double().clamp(min=TINY) for p in (start, now))
    kl = (before_ME * (before_ME.log() - after_ME.log())).sum()
    return torch.stack((kl, (start.experts_MK != now.experts_MK).any(1).sum().double()))


def probe_rows(rows: list[Row], *, num_tokens: int) -> list[Row]:
    """Evenly taken rows of at most so many tokens, padding left out, but one row at least."""
    longest = max(row.num_valid_tokens for row in rows)
    count = min(len(rows), max(1, num_tokens // longest))
    return [rows[place * len(rows) // count] for place in range(count)]
