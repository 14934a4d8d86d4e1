"""Training of some experts alone: for a new domain, all that the model had stays as it is, to the bit.

Frozen parameters never reach the optimizer. Of the stacked experts and the routers' rows only some are trained: the others'
gradients are 0 before they are reduced, so that the gradient norm is that of what moves, and the optimizer does not see
them (`engine/partial.py`), so that neither weight decay nor old moments move them.

Legend: E experts.
"""

from dataclasses import dataclass, field
from enum import Enum

import torch
from torch import nn

from mai1.engine.ds_config import EngineConfig
from mai1.engine.partial import Trained
from mai1.model.moe.balance import BalanceConfig, BalanceMethod
from mai1.model.transformer import MoETransformer
from mai1.optim.config import Method, OptimConfig


class Part(Enum):
    """What of the model is trained."""

    all = "all"
    experts = "experts"  # the named experts of every layer
    experts_and_rows = "experts_and_rows"  # and their rows of the routers


@dataclass(kw_only=True, slots=True)
class TrainableConfig:
    part: Part = Part.all
    """all | experts (those named, in every layer) | experts_and_rows (also their rows of the routers); the rest stays as it
    is, to the bit."""
    experts: list[int] = field(default_factory=list)
    """Ids of the experts that are trained, unless part=all; empty: those that the last `mai1 grow` of the model added."""

    def __post_init__(self) -> None:
        if self.part is Part.all and self.experts:
            raise ValueError(f"trainable.experts={self.experts} needs trainable.part=experts or experts_and_rows")
        if len(set(self.experts)) < len(self.experts) or min(self.experts, default=0) < 0:
            raise ValueError(f"trainable.experts={self.experts} must be different ids from 0 on")

    def check(self, *, engine: EngineConfig, optim: OptimConfig, balance: BalanceConfig) -> None:
        """Refuse what this cannot work with."""
        if self.part is Part.all:
            return
        refused = {
            f"engine.zero_stage={engine.zero_stage}": (engine.zero_stage == 3, "use engine.zero_stage=1 or 2"),
            f"engine.pipeline_parallel={engine.pipeline_parallel}": (
                engine.pipeline_parallel > 1,
                "use engine.pipeline_parallel=1",
            ),
            "engine.offload_optimizer=true": (engine.offload_optimizer, "use engine.offload_optimizer=false"),
            "optim.method=muon": (optim.method is Method.muon, "use optim.method=adamw"),
            "balance.method=bias": (
                balance.method is BalanceMethod.bias,
                "it would move every expert's selection bias: use balance.method=none",
            ),
        }
        for what, (is_refused, mend) in refused.items():
            if is_refused:
                raise ValueError(f"trainable.part={self.part.value} cannot be used with {what}: {mend}")

    def experts_of(self, lineage: list[dict], *, num_experts: int) -> list[int]:
        """The experts that are trained, of a model that grew so."""
        if self.part is Part.all:
            return []
        chosen = self.experts or (lineage[-1].get("new_experts", []) if lineage else [])
        if not chosen:
            raise ValueError(
                f"trainable.part={self.part.value} with trainable.experts=[] takes the experts that `mai1 grow` added, but "
                "the model has none: name some, as in trainable.experts=[8,9]"
            )
        if not all(type(expert) is int and 0 <= expert < num_experts for expert in chosen):
            raise ValueError(f"trainable.experts={chosen} must be from 0 to {num_experts - 1}, the model's experts")
        return sorted(chosen)


def train_only(model: MoETransformer, part: Part, experts: list[int]) -> Trained:
    """Freeze all but these experts, before the engine takes the model; returns which ranges of what is left are trained."""
    model.requires_grad_(False)
    trained: Trained = {}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for layer in model.moe_layers().values():
        held = [expert - layer.experts.first_expert for expert in experts]
        here = [row for row in held if 0 <= row < len(layer.experts.down)]
        parts = [(layer.experts.gate_up, here), (layer.experts.down, here)]
        parts += [(layer.router.weight, experts)] if part is Part.experts_and_rows else []
        for parameter, rows in parts:
            trained[names[id(parameter)]] = _train_rows(parameter, rows)
    return trained


def _train_rows(parameter: nn.Parameter, rows: list[int]) -> list[range]:
    parameter.requires_grad_(True)
    is_frozen_E = torch.ones(len(parameter), dtype=torch.bool)
    is_frozen_E[rows] = False
    shape = (-1, *[1] * (parameter.dim() - 1))
    parameter.register_hook(lambda grad: grad.masked_fill(is_frozen_E.to(grad.device).view(shape), 0.0))
    size = parameter[0].numel()
    return [range(row * size, (row + 1) * size) for row in rows]
