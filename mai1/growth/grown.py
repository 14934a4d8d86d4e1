"""The result's tensors, each made when it is asked for, of the few of the source that its plan names.

Legend: D width, F inner width of an expert, E experts.
"""

import hashlib

import torch

from mai1.checkpoint.names import TensorName
from mai1.checkpoint.optimizer_state import MASTER
from mai1.growth.plan import GrowthPlan, LayerGrowth, prefix_of
from mai1.growth.source import WEIGHT, Source

SELECTION_BIAS = "router.selection_bias"
LOWERED = 2.0
"""Below the lowest selection bias of the layer: more than scores, from 0 to 1, can make up for."""


class Grown:
    """Weights and optimizer state of the result."""

    def __init__(self, plan: GrowthPlan, source: Source) -> None:
        self.plan, self._source = plan, source
        self._layers = {prefix_of(plan.config, layer): growth for layer, growth in plan.layers.items()}

    def weight(self, tensor: TensorName) -> torch.Tensor:
        """In the type that the source has it in."""
        return self.state(WEIGHT, tensor).to(self.dtype_of(tensor))

    def dtype_of(self, tensor: TensorName) -> torch.dtype:
        """The type of `weight`; selection biases are fp32 whatever the rest is."""
        if tensor.name.endswith(SELECTION_BIAS):
            return torch.float32
        return self._source.dtype_of(*self._source_name(tensor))

    def kinds_of(self, tensor: TensorName) -> list[str]:
        """Kinds of optimizer state that the result has of a tensor: those of what it is made of."""
        if tensor.name.endswith(SELECTION_BIAS):
            return []
        return self._source.kinds_of(self._source_name(tensor)[0])

    def state(self, kind: str, tensor: TensorName) -> torch.Tensor:
        """fp32 weights, masters or moments of a tensor."""
        growth, prefix, part = self._place_of(tensor)
        if growth is None:
            return self._source.read(kind, tensor.name, tensor.start, tensor.shape)
        is_weight = kind in (WEIGHT, MASTER)
        if part == "router.weight":
            return self._rows(kind, tensor, growth, prefix, is_weight=is_weight)
        if part == SELECTION_BIAS:
            return self._selection_bias(tensor, growth)
        if part.startswith("shared."):
            return self._shared(kind, tensor, growth, prefix)
        return self._expert(kind, tensor, growth, prefix, is_weight=is_weight)

    def _place_of(self, tensor: TensorName) -> tuple[LayerGrowth | None, str, str]:
        """The growth of its layer, None where the tensor stays as it is; the block's name; what it is of the block."""
        prefix, _, part = tensor.name.partition(".ffn.")
        growth = self._layers.get(prefix) if part else None
        if growth is None or (part.startswith("shared.") and not growth.makes_shared):
            return None, prefix, part
        return growth, prefix, part

    def _source_name(self, tensor: TensorName) -> tuple[str, int]:
        """One of the source's tensors that it is made of."""
        growth, prefix, part = self._place_of(tensor)
        if growth is None:
            return tensor.name, tensor.start
        return (f"{prefix}.ffn.gate_up.weight" if growth.is_from_dense else f"{prefix}.ffn.experts.gate_up"), 0

    def _rows(
        self, kind: str, tensor: TensorName, growth: LayerGrowth, prefix: str, *, is_weight: bool
    ) -> torch.Tensor:
        d_model, rows_ED = tensor.shape[1], torch.zeros(tensor.shape)
        old_ED = self._of_old_experts(kind, tensor, growth)
        for expert, row in enumerate(growth.rows):
            if row.source is not None:
                rows_ED[expert] = old_ED[row.source] * _moment_factor(kind, row.gradient_share)
            elif is_weight:
                drawn = torch.randn(d_model, generator=self._generator(f"{prefix} row {row.drawn}"))
                rows_ED[expert] = drawn * self.plan.config.init_std
        if is_weight and growth.shift_ED is not None:
            rows_ED += growth.shift_ED
        return rows_ED

    def _selection_bias(self, tensor: TensorName, growth: LayerGrowth) -> torch.Tensor:
        bias_E, old_E = torch.zeros(tensor.shape), self._of_old_experts(WEIGHT, tensor, growth)
        for expert, row in enumerate(growth.rows):
            if row.source is not None:
                bias_E[expert] = old_E[row.source] if not row.is_lowered else old_E.min() - LOWERED
        return bias_E if growth.bias_shift_E is None else bias_E + growth.bias_shift_E

    def _of_old_experts(self, kind: str, tensor: TensorName, growth: LayerGrowth) -> torch.Tensor | None:
        """The source's rows or biases, where any are used."""
        if all(row.source is None for row in growth.rows):
            return None
        return self._source.read(kind, tensor.name, 0, (self.plan.source.moe.num_experts, *tensor.shape[1:]))

    def _shared(self, kind: str, tensor: TensorName, growth: LayerGrowth, prefix: str) -> torch.Tensor:
        """The first channels of the dense network; every token goes there, as before."""
        which = _projection_of(tensor, size=tensor.numel)
        width = tensor.shape[1] if which == "down" else tensor.shape[0]
        return _cut(self._network(kind, growth, prefix, which, expert=0), which, first=0, width=width)

    def _expert(
        self, kind: str, tensor: TensorName, growth: LayerGrowth, prefix: str, *, is_weight: bool
    ) -> torch.Tensor:
        origin = growth.experts[tensor.expert]
        which = _projection_of(tensor, size=self.plan.config.moe.expert_width * self.plan.config.d_model)
        network = self._network(kind, growth, prefix, which, expert=origin.source)
        value = _cut(network, which, first=origin.first_channel, width=self.plan.config.moe.expert_width)
        gain = origin.gain if which == "down" else 1.0
        value *= gain if is_weight else _moment_factor(kind, origin.gradient_share / gain)
        if origin.is_altered:
            self._alter(value, tensor, which, f"{prefix} expert {tensor.expert}", is_weight=is_weight)
        return value

    def _network(self, kind: str, growth: LayerGrowth, prefix: str, which: str, *, expert: int) -> torch.Tensor:
        """`[F, D]` of gate or up, `[D, F]` of down, of one of the source's networks, whole."""
        d_model, moe = self.plan.source.d_model, self.plan.source.moe
        width = self.plan.source.dense_width if growth.is_from_dense else moe.expert_width
        stacked, place = ("down", expert) if which == "down" else ("gate_up", 2 * expert + (which == "up"))
        name = f"{prefix}.ffn.{stacked}.weight" if growth.is_from_dense else f"{prefix}.ffn.experts.{stacked}"
        shape = (d_model, width) if which == "down" else (width, d_model)
        return self._source.read(kind, name, place * width * d_model, shape)

    def _alter(self, value: torch.Tensor, tensor: TensorName, which: str, expert: str, *, is_weight: bool) -> None:
        """Noise, then channels drawn anew with the mean and deviation of what stood there; the same ones of all three."""
        plan = self.plan
        if plan.noise and is_weight:
            noise = torch.randn(value.shape, generator=self._generator(f"{expert} {which} noise"))
            value += noise * (plan.noise * value.std())
        if plan.redrawn:
            width = plan.config.moe.expert_width
            order = torch.randperm(width, generator=self._generator(f"{expert} channels"))
            chosen = order[: round(plan.redrawn * width)]
            channels = value.T if which == "down" else value  # a view either way
            old = channels[chosen]
            fresh = torch.randn(old.shape, generator=self._generator(f"{expert} {which} drawn"))
            channels[chosen] = (
                fresh * old.std() + old.mean() if is_weight and old.numel() > 1 else torch.zeros_like(old)
            )

    def _generator(self, name: str) -> torch.Generator:
        digest = hashlib.sha256(f"{self.plan.seed}:{self.plan.method}:{name}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def _projection_of(tensor: TensorName, *, size: int) -> str:
    if tensor.name.removesuffix(".weight").endswith("down"):
        return "down"
    return "up" if tensor.start // size % 2 else "gate"


def _cut(network: torch.Tensor, which: str, *, first: int, width: int) -> torch.Tensor:
    """Inner channels [first, first + width), zero beyond the network's last."""
    dim = 1 if which == "down" else 0
    found = network.narrow(dim, first, min(width, network.shape[dim] - first))
    missing = width - found.shape[dim]
    if missing:
        shape = (len(network), missing) if dim else (missing, network.shape[1])
        return torch.cat([found, found.new_zeros(shape)], dim)
    return found.clone()


def _moment_factor(kind: str, factor: float) -> float:
    """What a gradient's factor is for a moment of it; masters and weights have none."""
    if kind in (WEIGHT, MASTER):
        return 1.0
    return factor * factor if kind == "exp_avg_sq" else factor
