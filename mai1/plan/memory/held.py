"""The parameters of one rank as the planner sees them: names, shapes, and what of them is trained."""

import math
from dataclasses import dataclass
from functools import cached_property

UNDECAYED = ("embedding.weight", "unembedding.weight")
"""Matrices that the optimizer treats as it does vectors: see `mai1.optim.adamw.parameter_groups`."""


@dataclass(frozen=True, eq=False)
class HeldTensor:
    """One parameter, as large as this rank's modules have it: before ZeRO shards anything. Each is itself alone."""

    name: str
    shape: tuple[int, ...]
    is_trained: bool = True

    @cached_property
    def numel(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    @cached_property
    def is_expert(self) -> bool:
        """Whether it is of the routed experts, which expert parallelism spreads."""
        return ".experts." in self.name

    @cached_property
    def is_decayed(self) -> bool:
        """Whether it is of the optimizer's group of matrices."""
        return len(self.shape) > 1 and self.name not in UNDECAYED


@dataclass(frozen=True, eq=False)
class HeldParameters:
    """All parameters of one rank, in the model's order."""

    tensors: tuple[HeldTensor, ...]

    @cached_property
    def trained(self) -> "HeldParameters":
        """Those that have gradients and optimizer state: without adapters all."""
        if all(tensor.is_trained for tensor in self.tensors):
            return self
        return HeldParameters(tuple(tensor for tensor in self.tensors if tensor.is_trained))

    @cached_property
    def dense(self) -> int:
        """Elements of everything but routed experts."""
        return sum(tensor.numel for tensor in self.tensors if not tensor.is_expert)

    @cached_property
    def expert(self) -> int:
        """Elements of routed experts."""
        return sum(tensor.numel for tensor in self.tensors if tensor.is_expert)

    @property
    def total(self) -> int:
        """Elements of both."""
        return self.dense + self.expert

    @cached_property
    def output_name(self) -> str:
        """The matrix that makes logits; empty where this rank's stage makes none."""
        names = {tensor.name for tensor in self.tensors}
        if "final_norm.weight" not in names:
            return ""
        return "unembedding.weight" if "unembedding.weight" in names else "embedding.weight"
