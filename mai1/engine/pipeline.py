"""The one seam by which DeepSpeed's pipeline schedule knows our stages.

PipelineEngine runs one forward and one backward in turn (1F1B: PipeDream-Flush, Narayanan et al. 2021, arXiv 2006.09503),
sends activations to the next stage and their gradients back, and updates once, after the last microbatch. Every stage reads
its microbatches itself, so only activations travel. With P stages and m microbatches a step, ranks idle for a share of
(P-1)/(m+P-1) of the time (Narayanan et al. 2021, arXiv 2104.04473, §2.2.1): take m several times P.

Legend: B batch, T positions, D width.
"""

import itertools
from collections.abc import Callable, Iterator

import torch
import torch.distributed as dist
from deepspeed.pipe import PipelineModule
from deepspeed.runtime.pipe.engine import PipelineEngine
from deepspeed.runtime.pipe.topology import PipeDataParallelTopology

from mai1.engine.topology import Place
from mai1.model.transformer import MoETransformer

Computation = Callable[[object, torch.Tensor | None], tuple[torch.Tensor, torch.Tensor]]
"""From a microbatch and what the stage before handed on: what goes on to the next stage, and this stage's share of the loss."""


class StageModule(PipelineModule):
    """This rank's stage of the model under the name that DeepSpeed's engine accepts."""

    def __init__(self, model: MoETransformer, place: Place) -> None:
        num_ranks = dist.get_world_size() // place.num_stages
        layers: list[Callable] = [_held_elsewhere] * place.num_stages
        layers[place.stage] = model
        topology = PipeDataParallelTopology(num_pp=place.num_stages, num_dp=num_ranks)
        super().__init__(layers=layers, topology=topology, partition_method="uniform")
        self.is_first, self.is_last = place.stage == 0, place.stage == place.num_stages - 1
        self.batches: Iterator[object] = iter(())
        """Microbatches yet to come, in the order in which the schedule runs their forwards."""
        self.compute: Computation | None = None
        self.loss_factor = 1.0
        """Undoes what DeepSpeed divides gradients by."""

    def forward(self, handed_on: torch.Tensor) -> torch.Tensor:
        """What DeepSpeed calls for every microbatch: gives what goes on, on the last stage the loss."""
        x_BTD, loss = self.compute(next(self.batches), None if self.is_first else handed_on)
        loss = loss * self.loss_factor
        if self.is_last:
            return loss
        return _WithLoss.apply(x_BTD, loss) if loss.requires_grad else x_BTD


class Pipeline:
    """Runs microbatches through all stages; every rank calls with its own."""

    def __init__(self, engine: PipelineEngine) -> None:
        self._engine, self._stage = engine, engine.module
        self._shape: torch.Size | None = None

    def train_batch(self, batches: list, compute: Computation) -> None:
        """Forward and backward of every microbatch, then DeepSpeed's step.

        DeepSpeed averages gradients over the ranks of a stage, and the loss, which only its last stage knows, over
        microbatches. Shares of the step's loss are summed instead.
        """
        num_microbatches = len(batches) if self._stage.is_last else 1
        self._stage.loss_factor = float(num_microbatches * self._engine.grid.get_data_parallel_world_size())
        self._begin(batches, compute)
        self._engine.train_batch(_no_data())

    def eval_batch(self, batches: list, compute: Computation) -> None:
        """Forward of every microbatch."""
        self._begin(batches, compute)
        settings = {"compute_loss": False, "bcast_loss": False, "reduce_output": None}
        self._engine.eval_batch(_no_data(), num_micro_batches=len(batches), **settings)

    def _begin(self, batches: list, compute: Computation) -> None:
        self._stage.batches, self._stage.compute = iter(batches), compute
        if self._shape != batches[0].tokens_BT.shape:  # alike on all stages, which tell each other shapes only once
            self._shape = batches[0].tokens_BT.shape
            self._engine.reset_activation_shape()


class _WithLoss(torch.autograd.Function):
    """Activations with a loss in tow: when their gradient comes back, the loss gets one of 1.

    So the routers of an early stage learn without a loss that travels, as with Megatron-Core's MoEAuxLossAutoScaler.
    """

    @staticmethod
    def forward(ctx, x_BTD, loss):
        ctx.save_for_backward(loss)
        return x_BTD.view_as(x_BTD)

    @staticmethod
    def backward(ctx, grad_BTD):
        return grad_BTD, torch.ones_like(*ctx.saved_tensors)


def _held_elsewhere(handed_on: torch.Tensor) -> torch.Tensor:
    raise AssertionError("another rank holds this stage")


def _no_data() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """For DeepSpeed, whose stages read their microbatches elsewhere."""
    nothing = torch.empty(0)
    return itertools.repeat((nothing, nothing))
