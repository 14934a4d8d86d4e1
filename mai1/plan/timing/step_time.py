"""How long an optimizer step takes, by parts: what the busiest rank computes, and what it waits for."""

from dataclasses import asdict, dataclass

from mai1.plan.flops import flops_per_token
from mai1.plan.hardware import Hardware
from mai1.plan.layout import Format, Layout, Recompute
from mai1.plan.timing.constants import FITTED, OURS, Constants, Software
from mai1.plan.timing.microbatch import Product
from mai1.plan.timing.stage import Stage, Work, busiest_stage
from mai1.plan.traffic.transfer import Operation, Transfer, copies_between_nodes, share_outside_node
from mai1.plan.workload import Workload

STATE_BYTES = 30
"""An update moves for one parameter: fp32 weight and two moments read and written, gradient read, bf16 weight written."""
HOST_BYTES = 6
"""Of one parameter over the host's link with offload: the gradient there in fp32, the weight back in bf16."""

HALF_HEAD = 64
"""Channels of a head with which attention has half the speed it has with very wide ones."""
WAITS = {
    "expert": "expert", "tensor": "tensor", "sequence": "sequence", "pipeline": "stage",
    "data": "state", "expert_data": "state", "all": "state",
}  # fmt: skip
"""Groups of ranks, and what a wait for them is counted as."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepTime:
    """Seconds of one optimizer step by what they go to; they add up."""

    dense: float
    """Matrix products outside routed experts."""
    attention: float
    experts: float
    """Matrix products of routed experts."""
    memory: float
    """Norms, activations, routing and sorting of rows, logits: bound by memory."""
    recompute: float
    """What the backward computes again; what it exchanges again counts as exchange."""
    launches: float
    expert_exchange: float
    """As far as nothing hides it; so are the next four."""
    tensor_exchange: float
    sequence_exchange: float
    stage_exchange: float
    state_exchange: float
    """Gradients and weights among ranks that hold the same."""
    bubble: float
    """Stages wait for the first microbatch and after the last."""
    optimizer: float
    tokens_per_step: int
    num_devices: int

    @property
    def total(self) -> float:
        """Seconds."""
        return sum(self.by_part().values())

    @property
    def tokens_per_second_per_device(self) -> float:
        """Throughput."""
        return self.tokens_per_step / self.total / self.num_devices

    def by_part(self) -> dict[str, float]:
        """Seconds by name."""
        return {name: value for name, value in asdict(self).items() if name not in ("tokens_per_step", "num_devices")}

    def mfu(self, workload: Workload, *, peak_flops: float) -> float:
        """Model FLOPs, by the convention of `mai1.model.flops`, as a share of a device's peak."""
        return flops_per_token(workload) * self.tokens_per_second_per_device / peak_flops


def step_time(
    workload: Workload,
    layout: Layout,
    hardware: Hardware,
    *,
    constants: Constants = FITTED,
    software: Software = OURS,
    imbalance: float = 1.0,
) -> StepTime:
    """What one optimizer step takes; ValueError where the hardware has no peak for the layout's format."""
    stage = busiest_stage(workload, layout, imbalance=imbalance, software=software)
    return clock_stage(stage, hardware, constants=constants, software=software)


def clock_stage(stage: Stage, hardware: Hardware, *, constants: Constants, software: Software) -> StepTime:
    """What a step takes whose busiest stage has been counted."""
    return Clock(stage, hardware, constants, software).step()


@dataclass(frozen=True, kw_only=True, slots=True)
class Seconds:
    """Of work, by kind."""

    dense: float
    attention: float
    experts: float
    memory: float

    @property
    def total(self) -> float:
        """Together."""
        return self.dense + self.attention + self.experts + self.memory


@dataclass(frozen=True, slots=True)
class Clock:
    """One stage on one kind of device."""

    stage: Stage
    hardware: Hardware
    constants: Constants
    software: Software

    def step(self) -> StepTime:
        """The whole step."""
        stage, layout = self.stage, self.stage.layout
        blocks, ends = self._seconds_of(stage.blocks), self._seconds_of(stage.ends, format=self._plain_format)
        adapters = self._seconds_of(stage.adapters, format=self._plain_format)
        of_blocks, of_ends = (2 if is_frozen else 3 for is_frozen in stage.frozen)  # forwards' worth of each matrix
        seconds = {
            "dense": of_blocks * blocks.dense + of_ends * ends.dense + 3 * adapters.dense,
            "attention": 3 * blocks.attention,
            "experts": of_blocks * blocks.experts + 3 * adapters.experts,
            "memory": 3 * (blocks.memory + ends.memory),
        }
        again = {Recompute.none: 0.0, Recompute.selective: blocks.memory, Recompute.full: blocks.total + adapters.total}
        seconds["recompute"] = again[layout.recompute] + self._seconds_of(stage.again).total
        seconds = {name: stage.num_microbatches * value for name, value in seconds.items()}
        computing = sum(seconds.values())
        seconds["launches"] = self._launches()
        waits = self._waits(computing)
        seconds |= {f"{name}_exchange": waits[name] for name in ("expert", "tensor", "sequence", "stage")}
        num_slots = layout.virtual_stages * stage.num_microbatches
        seconds["bubble"] = sum(seconds.values()) * (layout.pipeline - 1) / num_slots
        seconds |= {"state_exchange": waits["state"], "optimizer": self._update()}
        return StepTime(
            **{name: value * self.software.factor for name, value in seconds.items()},
            tokens_per_step=stage.workload.tokens_per_step,
            num_devices=layout.num_devices,
        )

    def _launches(self) -> float:
        left = self.constants.ahead if self.software.runs_ahead else 1.0
        return self.constants.launch_s * left * self.stage.num_blocks * self.stage.num_microbatches

    def _seconds_of(self, work: Work, *, format: Format | None = None) -> Seconds:
        """Forward seconds of one microbatch."""
        format = format or self.stage.layout.format
        return Seconds(
            dense=sum(self._product(product, format) for product in work.dense),
            attention=work.attention_flops / (self._peak(self._plain_format) * self._attention_share),
            experts=sum(self._product(product, format) for product in work.experts),
            memory=work.memory_bytes * self.constants.passes / self.hardware.memory_bytes_per_s,
        )

    @property
    def _plain_format(self) -> Format:
        """Of what is not computed in fp8."""
        format = self.stage.layout.format
        return Format.bf16 if format is Format.fp8 else format

    @property
    def _attention_share(self) -> float:
        head = self.stage.workload.model.attention.key_dim
        return self.constants.attention * head / (head + HALF_HEAD)

    def _product(self, product: Product, format: Format) -> float:
        """Computing, and operands on their way through memory."""
        share = self.constants.fp8 if format is Format.fp8 else self.constants.matmul
        operand_bytes = 1 if format is Format.fp8 else format.stored_bytes
        moving = product.elements * operand_bytes / self.hardware.memory_bytes_per_s
        return product.flops / (self._peak(format) * share) + moving * self.constants.operands

    def _peak(self, format: Format) -> float:
        peaks = self.hardware.peak_flops
        if format.value not in peaks:
            raise ValueError(
                f"layout.format={format.value} has no peak in hardware.peak_flops of {self.hardware.name or 'this device'}: "
                f"use {', '.join(sorted(peaks))}"
            )
        return peaks[format.value]

    def _waits(self, computing: float) -> dict[str, float]:
        """Seconds that the rank waits for others, by kind; `computing` is what a step computes."""
        layout = self.stage.layout
        waits = dict.fromkeys(("expert", "tensor", "sequence", "stage", "state"), 0.0)
        hideable = 0.0
        for transfer in self.stage.transfers:
            seconds = self._transfer(transfer)
            if transfer.overlaps_with == "other rows":
                seconds *= 1 - self.constants.hidden_experts
            if transfer.overlaps_with == "shared experts" and self.software.overlaps_shared:
                seconds -= self._behind_shared(seconds)
            kind = WAITS[transfer.group]
            if kind == "state" and transfer.what.startswith("gradients") and self.software.reduces_fp32:
                seconds *= 2
            waits[kind] += seconds
            hideable += seconds if kind == "state" and transfer.overlaps_with else 0.0
        window = computing if layout.zero_stage == 3 else computing / self.stage.num_microbatches
        waits["state"] -= min(hideable, self.constants.hidden_state * window)
        return waits

    def _behind_shared(self, seconds: float) -> float:
        """Of the rows' way to experts, and of their gradients' way back, what the shared experts' work hides."""
        num, forwards = self.stage.num_microbatches, 2 if self.stage.layout.recompute is Recompute.full else 1
        one_way = seconds / (num * (forwards + 1))
        window = self.constants.hidden_state * self._seconds_of(self.stage.shared).total
        backward = (1 if self.stage.frozen[0] else 2) * window
        return num * (forwards * min(one_way, window) + min(one_way, backward))

    def _transfer(self, transfer: Transfer) -> float:
        """On the slower of the links that it takes, and its calls."""
        hardware, constants = self.hardware, self.constants
        outside = share_outside_node(transfer, self.stage.layout, hardware)
        copies = self._copies() if transfer.operation is Operation.all_to_all and transfer.group == "expert" else (1, 1)
        slower = max(
            transfer.bytes_sent * outside * copies[0] / (hardware.network_bytes_per_s * constants.network),
            transfer.bytes_sent * (1 - outside) * copies[1] / (hardware.node_bytes_per_s * constants.node),
        )
        return slower + transfer.calls * constants.latency_s

    def _copies(self) -> tuple[float, float]:
        """What travels between nodes and inside them, as a share of one row for each choice of a token."""
        moe, expert = self.stage.workload.model.moe, self.stage.layout.expert
        num_nodes = -(-expert // self.hardware.devices_per_node)
        if not self.software.deduplicates:
            return 1 / self.software.slices, 1.0
        top_groups = moe.top_groups if moe.num_groups > 1 else 0
        visited = copies_between_nodes(top_k=moe.top_k, num_nodes=num_nodes, top_groups=top_groups)
        between = visited / (moe.top_k * (1 - 1 / num_nodes)) if num_nodes > 1 else 1.0
        inside = copies_between_nodes(top_k=moe.top_k, num_nodes=expert) / (moe.top_k * (1 - 1 / expert))
        return between, inside

    def _update(self) -> float:
        """The optimizer's own time: its state through memory or over the host's link, and Muon's products."""
        products = self.stage.update_flops / (self._peak(self._plain_format) * self.constants.matmul)
        if self.stage.layout.offload_optimizer:
            return products + self.stage.num_updated * HOST_BYTES / self.hardware.host_bytes_per_s
        return products + self.stage.num_updated * STATE_BYTES / self.hardware.memory_bytes_per_s
