"""What a device, its node and its network can do: vendors' figures, from `configs/hardware` or a file of one's own."""

from dataclasses import dataclass, field

from mai1.plan.layout import Format


@dataclass(kw_only=True, slots=True)
class Hardware:
    name: str = ""
    """As it is shown."""
    memory_bytes: float = 0.0
    """Of one device, as its driver reports it."""
    peak_flops: dict[str, float] = field(default_factory=dict)
    """FLOP/s of dense matrix products by format (fp32, bf16, fp8), of one device."""
    memory_bytes_per_s: float = 0.0
    """Of the device's own memory."""
    devices_per_node: int = 8
    """Devices that the fast links connect: a node, or an NVLink domain."""
    node_bytes_per_s: float = 0.0
    """One device can send inside its node, one way."""
    network_bytes_per_s: float = 0.0
    """One device can send to other nodes, one way."""
    host_bytes_per_s: float = 0.0
    """Between a device and its host's memory, one way."""
    storage_bytes_per_s: float = 0.0
    """One node can write to shared storage."""
    watts: float = 0.0
    """One device's share of its node under load, cooling left out."""
    dollars_per_hour: float = 0.0
    """Rent of one device."""

    def __post_init__(self) -> None:
        unknown = sorted(self.peak_flops.keys() - {format.value for format in Format})
        if unknown:
            raise ValueError(f"hardware.peak_flops.{unknown[0]} is no format: use {', '.join(f.value for f in Format)}")
        for name in (
            "memory_bytes",
            "memory_bytes_per_s",
            "devices_per_node",
            "node_bytes_per_s",
            "network_bytes_per_s",
        ):
            if self.name and getattr(self, name) <= 0:
                raise ValueError(f"hardware.{name}={getattr(self, name)} must be above 0")
        for name in ("host_bytes_per_s", "storage_bytes_per_s", "watts", "dollars_per_hour"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"hardware.{name}={getattr(self, name)} must not be negative: use 0 where it is not known"
                )
