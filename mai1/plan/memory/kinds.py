"""The kinds of memory that a training step takes on one rank, in bytes."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Bytes of one rank at its peak."""

    weights: float
    """In their own format, as ZeRO leaves them."""
    gradients: float
    """Those added up over microbatches."""
    masters: float
    """fp32 weights."""
    moments: float
    """Of AdamW, two in fp32."""
    activations: float
    """Of all microbatches in flight, and of a block that is computed again."""
    loss: float
    """Gradients by hidden states and output matrix, and a chunk of the logits."""
    communication: float
    """Buckets of gradients, gathered weights, rows on their way to experts, activations between stages."""
    workspace: float
    """What a backward takes besides, and what context and allocator keep from it."""
    stage: int = 0
    """The pipeline stage of this rank."""
    routed: float = 0.0
    """Of the activations, rows of routed tokens."""
    host: float = 0.0
    """Besides, in the host's memory: what is offloaded."""

    @property
    def total(self) -> float:
        """Of the device."""
        return sum(self.by_kind().values())

    def by_kind(self) -> dict[str, float]:
        """The kinds that add up to the total."""
        return {name.name: getattr(self, name.name) for name in fields(self) if name.name not in _BESIDES}


_BESIDES = ("stage", "routed", "host")
"""Fields that are not bytes of their own on the device."""
