"""What the microbatches of one optimizer step add up to, on this rank and then over all.

Legend: L MoE layers, E experts, S sources.
"""

import torch

from mai1.data.batch import Batch
from mai1.dist import sum_over_ranks, sum_tensor_over_ranks
from mai1.engine.engine import Engine
from mai1.loss import Losses
from mai1.model.moe.router import Routing
from mai1.train.expert_figures import ChoiceCounter, StepChoices
from mai1.train.ledger import COUNTED, Ledger

MEANS = ("loss", "lm_loss", "mtp_loss", "z_loss", "balance_loss")
"""What every objective has, by the names of the records."""


class StepSums:
    """Losses and expert loads of a step in the making."""

    def __init__(
        self,
        engine: Engine,
        *,
        num_sources: int,
        figures: tuple[str, ...],
        ledger: Ledger,
        expert_parallel: int,
        counts_choices: bool,
    ) -> None:
        """`figures` are the names of what the objective reports besides; `counts_choices` of a step that will be logged."""
        self._model, self._world, self._ledger = engine.model.config, engine.world, ledger
        self._expert_parallel, self._num_stages = expert_parallel, engine.place.num_stages
        self._names = (*MEANS, *figures)
        device, num_experts = self._world.device, self._model.moe.num_experts
        self._parts = torch.zeros(len(self._names), dtype=torch.float64, device=device)
        num_layers = len(self._model.moe_layers)
        self.tokens_per_expert_LE = torch.zeros(num_layers, num_experts, dtype=torch.int64, device=device)
        """Choices each expert of the whole model got; after `finish` those of all ranks."""
        self._counter = None
        if counts_choices:
            self._counter = ChoiceCounter(
                num_layers=num_layers,
                num_sources=num_sources,
                num_experts=num_experts,
                device=device,
                layers_here=self._model.places_of(engine.model.moe_layers()),
            )
        self._sources_2S = torch.zeros(2, num_sources, dtype=torch.float64, device=device)
        self.nats_S: list[float] = []
        """After `finish`: cross-entropy of each source's targets, summed."""
        self.targets_S: list[float] = []
        """After `finish`: how many they are."""
        self._spent = torch.zeros(len(COUNTED), dtype=torch.float64, device=device)
        self.spent: dict[str, int] = {}
        """After `finish`: what its positions went into, by part of the ledger."""
        self.means: dict[str, float] = {}
        """After `finish`: total loss, its parts, and what the objective reports besides."""
        self.grad_norm = 0.0
        """After `finish`: the gradient's norm, the same number on every rank."""
        self.is_asked_to_stop = False
        """After `finish`: whether any rank was asked to stop."""
        self.has_save_failed = False
        """After `finish`: whether any rank could not write the checkpoint in the making."""

    @property
    def loss(self) -> float:
        """The step's mean total loss, after `finish`."""
        return self.means["loss"]

    def add(self, losses: Losses, routings: dict[int, Routing], batch: Batch) -> None:
        """Count one microbatch; nothing waits for the device."""
        parts = [losses.total, losses.language, losses.mtp, losses.router_z, losses.balance]
        nothing = losses.total.new_zeros(())
        parts += [losses.figures.get(name, nothing) for name in self._names[len(MEANS) :]]
        self._parts += torch.stack([part.detach() for part in parts])
        counts_LE = torch.stack([routing.tokens_per_expert_E for routing in routings.values()])
        self.tokens_per_expert_LE[self._model.places_of(routings)] += counts_LE
        self._spent += self._ledger.count(batch, losses, routings.values())
        if losses.nats_BT is not None:
            values_2N = torch.stack((losses.nats_BT, batch.own(batch.loss_mask_BT))).flatten(1).double()
            self._sources_2S.index_add_(1, batch.own(batch.sources_BT).flatten(), values_2N)
        if self._counter is not None:
            self._counter.add(routings.values(), batch.own(batch.sources_BT))

    def finish(self, grad_norm: float, *, is_asked_to_stop: bool, has_save_failed: bool) -> None:
        """Add up over all ranks; every rank must call this once, after its last microbatch."""
        sum_tensor_over_ranks(self.tokens_per_expert_LE, self._world)
        mine = [*self._parts.tolist(), grad_norm, float(is_asked_to_stop), float(has_save_failed)]
        counts = [*self._spent.tolist(), *self._sources_2S.flatten().tolist()]
        sums = sum_over_ranks([*counts, *mine], self._world)
        self.spent = {part: int(count) for part, count in zip(COUNTED, sums, strict=False)}
        sums, num_sources = sums[len(COUNTED) :], self._sources_2S.shape[1]
        self.nats_S, self.targets_S = sums[:num_sources], sums[num_sources : 2 * num_sources]
        *means, norms, num_asking, num_failed = sums[2 * num_sources :]
        self.means = dict(zip(self._names, means, strict=True))
        self.grad_norm = norms / self._world.size
        self.is_asked_to_stop, self.has_save_failed = num_asking > 0, num_failed > 0

    def choices(self) -> StepChoices | None:
        """Where the choices went, over all ranks, if they were counted; every rank must call this."""
        if self._counter is None:
            return None
        settings = {"expert_parallel": self._expert_parallel, "num_stages": self._num_stages}
        return self._counter.over_ranks(self._world, **settings)
