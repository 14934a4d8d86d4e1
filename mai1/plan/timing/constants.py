"""What the planner's clock was fitted with: how much of vendors' figures a training step gets, and whose software it runs."""

from dataclasses import dataclass

from mai1.plan.traffic.state import Stack


@dataclass(frozen=True, kw_only=True, slots=True)
class Constants:
    """Shares of a vendor's figures, and times. The first group is fitted (`mai1.plan.timing.calibration`), the second is not."""

    matmul: float
    """Share of the peak that very large bf16 products reach."""
    fp8: float
    """The same of fp8's peak, conversions included."""
    operands: float
    """How often the operands of a product pass through the device's memory; makes narrow products slow."""
    passes: float
    """How often what lies between products passes through memory, as a multiple of `microbatch.memory_bytes`."""
    launch_s: float
    """A microbatch takes in a block besides: launches and waits for counts. Forward and backward."""
    hidden_experts: float
    """Share of the exchange with experts hidden where other rows are computed meanwhile."""
    hidden_state: float
    """Share of the computing that hides gradients and weights which travel meanwhile."""

    attention: float = 0.75
    """Share of the bf16 peak of attention with very wide heads, forward and backward together: half with heads of 128
    channels, 3/8 with 64 (FlashAttention-3, arXiv 2407.08608, figures 5 and 6)."""
    node: float = 0.7
    """Share of a node's links that an exchange gets: 55-75% in the dispatch times of arXiv 2603.07685 on GB200."""
    network: float = 0.85
    """The same between nodes: 79-90% in its dispatch times on H100."""
    latency_s: float = 2e-5
    """Of one call that waits for other ranks."""
    ahead: float = 0.25
    """Share of `launch_s` left where the host runs ahead of the device."""


FITTED = Constants(
    matmul=0.809,
    fp8=0.588,
    operands=0.839,
    passes=1.388,
    launch_s=4.57e-3,
    hidden_experts=0.684,
    hidden_state=0.801,
)
"""Of `python benchmarks/plan_errors.py`; what they are worth is in docs/planning-errors.md."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Software:
    """What a training program does that shows in its step time."""

    factor: float = 1.0
    """How many times as long it takes as Megatron Core with the same layout."""
    traffic: Stack = Stack.usual
    deduplicates: bool = False
    """A token travels once to another node and once to a rank, not once to each expert (DeepEP)."""
    slices: int = 1
    """Experts are cut into so many slices, on neighbouring ranks, which share what comes from other nodes."""
    reduces_fp32: bool = False
    """Gradients travel in fp32, twice the bytes."""
    runs_ahead: bool = False
    """The host never waits for counts of rows: kernels are replayed from a graph, or every expert has as many rows."""
    overlaps_shared: bool = False
    """Shared experts work while rows travel to the others."""
    divides_by_hand: bool = False
    """Where further tokens are predicted, layers are divided by hand until all stages have as much, as published runs do."""


OURS = Software(traffic=Stack.engine, overlaps_shared=True)
"""This project's. Its factor has not been measured on GPUs; NeMo AutoModel's, as near as any published, is 0.96."""
