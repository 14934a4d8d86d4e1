"""What the microbatches of one optimizer step add up to, on this rank and then over all.

Legend: L MoE layers, E experts, S sources.
"""

import torch

from mai1.data.batch import Batch
from mai1.dist import World, sum_over_ranks, sum_tensor_over_ranks
from mai1.loss import Losses
from mai1.model.moe.router import Routing
from mai1.model.transformer import ModelConfig
from mai1.train.ledger import COUNTED, Ledger


class StepSums:
    """Losses and expert loads of a step in the making."""

    def __init__(self, model: ModelConfig, world: World, *, num_sources: int, ledger: Ledger) -> None:
        self._model, self._world, self._ledger = model, world, ledger
        self._parts = torch.zeros(5, dtype=torch.float64, device=world.device)
        shape_LE = (len(model.moe_layers), model.moe.num_experts)
        self.tokens_per_expert_LE = torch.zeros(shape_LE, dtype=torch.int64, device=world.device)
        """Choices each expert of the whole model got; after `finish` those of all ranks."""
        self._sources_2S = torch.zeros(2, num_sources, dtype=torch.float64, device=world.device)
        self.nats_S: list[float] = []
        """After `finish`: cross-entropy of each source's targets, summed."""
        self.targets_S: list[float] = []
        """After `finish`: how many they are."""
        self._spent = torch.zeros(len(COUNTED), dtype=torch.float64, device=world.device)
        self.spent: dict[str, int] = {}
        """After `finish`: what its positions went into, by part of the ledger."""
        self.means: list[float] = []
        """After `finish`: total loss, cross-entropy, further tokens' loss, router z-loss, balancing loss."""
        self.grad_norm = 0.0
        """After `finish`: the gradient's norm, the same number on every rank."""
        self.is_asked_to_stop = False
        """After `finish`: whether any rank was asked to stop."""
        self.has_save_failed = False
        """After `finish`: whether any rank could not write the checkpoint in the making."""

    @property
    def loss(self) -> float:
        """The step's mean total loss, after `finish`."""
        return self.means[0]

    def add(self, losses: Losses, routings: dict[int, Routing], batch: Batch) -> None:
        """Count one microbatch; nothing waits for the device."""
        parts = (losses.total, losses.language, losses.mtp, losses.router_z, losses.balance)
        self._parts += torch.stack([part.detach() for part in parts])
        counts_LE = torch.stack([routing.tokens_per_expert_E for routing in routings.values()])
        self.tokens_per_expert_LE[self._model.places_of(routings)] += counts_LE
        self._spent += self._ledger.count(batch, losses, routings.values())
        if losses.nats_BT is not None:
            values_2N = torch.stack((losses.nats_BT, batch.own(batch.loss_mask_BT))).flatten(1).double()
            self._sources_2S.index_add_(1, batch.own(batch.sources_BT).flatten(), values_2N)

    def finish(self, grad_norm: float, *, is_asked_to_stop: bool, has_save_failed: bool) -> None:
        """Add up over all ranks; every rank must call this once, after its last microbatch."""
        sum_tensor_over_ranks(self.tokens_per_expert_LE, self._world)
        mine = [*self._parts.tolist(), grad_norm, float(is_asked_to_stop), float(has_save_failed)]
        counts = [*self._spent.tolist(), *self._sources_2S.flatten().tolist()]
        sums = sum_over_ranks([*counts, *mine], self._world)
        self.spent = {part: int(count) for part, count in zip(COUNTED, sums, strict=False)}
        sums, num_sources = sums[len(COUNTED) :], self._sources_2S.shape[1]
        self.nats_S, self.targets_S = sums[:num_sources], sums[num_sources : 2 * num_sources]
        *self.means, norms, num_asking, num_failed = sums[2 * num_sources :]
        self.grad_norm = norms / self._world.size
        self.is_asked_to_stop, self.has_save_failed = num_asking > 0, num_failed > 0
