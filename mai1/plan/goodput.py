"""How much of a long run's time makes progress, when devices fail: failures, lost work, restarts and checkpoints.

Failures come at a constant rate (exponential times between them), as Young (1974) and Daly (2006, "A higher order estimate
of the optimum checkpoint interval") assume; saving beside the training delays when a checkpoint can be relied on.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mai1.plan.hardware import Hardware

SECONDS_PER_DAY = 86400.0
LLAMA_3_RATE = 419 / (54 * 16384)
"""Unexpected interruptions of one H100 in a day: 419 in 54 days on 16,384 of them (Llama 3, arXiv 2407.21783, table 5).
A rate for each device: the run's is proportional to their number."""
HANG_SHARE = 0.099
"""Of incidents that were hangs (ByteRobust, arXiv 2509.16293): found by the watch, not by an exit."""
LITTLE = 0.002
"""Share of a run's progress that saving less often may cost."""
NO_PROGRESS = 20
"""A run that has to get through so many mean times between failures never does."""


@dataclass(kw_only=True, slots=True)
class GoodputConfig:
    failures_per_device_day: float = LLAMA_3_RATE
    """Failures that end the run, by one device and its share of node and network. Llama 3's: 4.7e-4."""
    hang_share: float = HANG_SHARE
    """Of failures that make no process exit, and are found by `watch.stuck_after_s`."""
    stuck_after_s: float = 300.0
    """As `watch.stuck_after_s`: seconds until a hang is found."""
    exit_found_s: float = 10.0
    """Seconds from a process's exit until all others are ended."""
    restart_s: float = 300.0
    """Seconds from then to the first step, without reading the checkpoint: a node replaced, processes started and connected."""
    stall_s: float = 0.24
    """Seconds that every save stops training besides copying each device's part to its host. Ours stops 2 CPU cores for 0.24 s,
    the copy of 1.3 GB contained (benchmarks/checkpoint.py)."""
    storage_bytes_per_s: float = 2e12
    """All nodes together can write to shared storage, or read from it, at most. Llama 3's sustained 2 TB/s (arXiv 2407.21783,
    section 3.3.1)."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"goodput.{name}={value} must not be negative or infinite")
        if self.hang_share > 1:
            raise ValueError(f"goodput.hang_share={self.hang_share} is a share: at most 1")
        for name in ("failures_per_device_day", "storage_bytes_per_s"):
            if not getattr(self, name):
                raise ValueError(f"goodput.{name}=0 must be above 0")

    @property
    def found_s(self) -> float:
        """Seconds from a failure until the run has ended, on average."""
        return self.hang_share * self.stuck_after_s + (1 - self.hang_share) * self.exit_found_s


@dataclass(frozen=True, kw_only=True, slots=True)
class Goodput:
    """What failures and checkpoints cost a run, with checkpoints at the recommended interval."""

    mtbf_s: float
    """Mean time between failures of the whole run, in seconds of running."""
    failures_per_day: float
    """Of running."""
    checkpoint_bytes: float
    """Of one checkpoint, all ranks together."""
    stall_s: float
    """One save stops training."""
    write_s: float
    """From then until the checkpoint can be relied on; training goes on."""
    recovery_s: float
    """From a failure to the next step: found, restarted, checkpoint read."""
    checkpoint_interval_s: float
    """Training between two saves that loses least, in whole steps, and not before the last save is written."""
    every_steps: int
    """`checkpoint.every_steps` for it."""
    sparing_every_steps: int
    """The most steps between two saves that cost at most `LITTLE` of the progress: the optimum is flat, storage is not free."""
    lost_to_saving: float
    """Share of time that saves stop training."""
    lost_to_repeating: float
    """Share of time in steps that have to be made again."""
    lost_to_recovery: float
    """Share of time between a failure and the next step."""

    @property
    def lost_share(self) -> float:
        """Of time, for all reasons."""
        return self.lost_to_saving + self.lost_to_repeating + self.lost_to_recovery

    @property
    def effective_share(self) -> float:
        """Of time in steps that last."""
        return 1 - self.lost_share


def goodput(
    num_devices: int,
    hardware: Hardware,
    checkpoint_bytes: float,
    *,
    step_s: float,
    config: GoodputConfig | None = None,
) -> Goodput:
    """What part of its time a run of so many devices makes progress, and how often it should save.

    A save stops training while each device's part is copied to its host; writing goes on beside the training, and the
    next save waits for it. After a restart every checkpoint byte is read once. ValueError where the hardware file says
    nothing about the speed to the host or to the storage.
    """
    config = config or GoodputConfig()
    if num_devices < 1 or step_s <= 0:
        raise ValueError(f"goodput: num_devices={num_devices} must be at least 1 and step_s={step_s} above 0")
    mtbf_s = SECONDS_PER_DAY / (config.failures_per_device_day * num_devices)
    num_nodes = math.ceil(num_devices / hardware.devices_per_node)
    storage_bytes_per_s = min(config.storage_bytes_per_s, num_nodes * _speed(hardware, "storage_bytes_per_s"))
    stall_s = config.stall_s + checkpoint_bytes / num_devices / _speed(hardware, "host_bytes_per_s")
    write_s = checkpoint_bytes / storage_bytes_per_s
    recovery_s = config.found_s + config.restart_s + write_s
    if recovery_s + stall_s + write_s + step_s > NO_PROGRESS * mtbf_s:
        raise ValueError(
            f"goodput: {num_devices} devices fail every {mtbf_s:.0f} s but a recovery takes {recovery_s:.0f} s, a checkpoint "
            f"{stall_s + write_s:.0f} s and a step {step_s:.0f} s: such a run makes no progress. Use fewer devices, or lower "
            "goodput.restart_s"
        )
    every_steps = max(1, round(best_interval(stall_s, mtbf_s) / step_s), math.ceil(write_s / step_s))

    def shares_of(steps: int) -> Shares:
        costs = {"stall_s": stall_s, "write_s": write_s, "recovery_s": recovery_s, "mtbf_s": mtbf_s}
        return effective_share(steps * step_s, **costs)

    shares = shares_of(every_steps)
    return Goodput(
        mtbf_s=mtbf_s,
        failures_per_day=SECONDS_PER_DAY / mtbf_s,
        checkpoint_bytes=checkpoint_bytes,
        stall_s=stall_s,
        write_s=write_s,
        recovery_s=recovery_s,
        checkpoint_interval_s=every_steps * step_s,
        every_steps=every_steps,
        sparing_every_steps=_most_steps(every_steps, lambda steps: shares_of(steps).effective),
        lost_to_saving=shares.saving,
        lost_to_repeating=shares.repeating,
        lost_to_recovery=shares.recovery,
    )


def _most_steps(best: int, effective: Callable[[int], float]) -> int:
    """The most steps, from the best number on, that lose at most `LITTLE` of it: by doubling, then by halving what is between."""
    least = effective(best) * (1 - LITTLE)
    enough, too_many = best, 2 * best
    while effective(too_many) >= least:
        enough, too_many = too_many, 2 * too_many
    while too_many - enough > 1:
        middle = (enough + too_many) // 2
        enough, too_many = (middle, too_many) if effective(middle) >= least else (enough, middle)
    return enough


def checkpoint_bytes(
    parameters: float, *, weight_bytes: int = 2, moments: float = 2, trained: float | None = None
) -> float:
    """Bytes of one of our checkpoints: weights as trained, moments in fp32, and fp32 masters unless the weights are fp32.

    AdamW keeps two moments, Muon one for each matrix. With adapters few parameters are `trained`, else all.
    """
    masters = 0 if weight_bytes == 4 else 4
    return parameters * weight_bytes + (parameters if trained is None else trained) * (masters + 4 * moments)


def young_interval(stall_s: float, mtbf_s: float) -> float:
    """Seconds between saves by Young's first-order rule, sqrt(2 C M) (Young 1974)."""
    return math.sqrt(2 * stall_s * mtbf_s)


def daly_interval(stall_s: float, mtbf_s: float) -> float:
    """Seconds of training between saves by Daly's higher-order estimate (Daly 2006)."""
    if stall_s >= 2 * mtbf_s:
        return mtbf_s
    ratio = stall_s / (2 * mtbf_s)
    return young_interval(stall_s, mtbf_s) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - stall_s


def first_order_waste(stall_s: float, mtbf_s: float) -> float:
    """Share of time lost to saving and repeating at Young's interval, to first order: C/T + T/2M = sqrt(2 C / M)."""
    return math.sqrt(2 * stall_s / mtbf_s)


def best_interval(stall_s: float, mtbf_s: float) -> float:
    """Seconds of training between saves that lose least when failures come at a constant rate, without approximation.

    Where T / (exp((T + C) / M) - 1) is largest: 1 - T/M = exp(-(T + C)/M), solved by halving. Time to write, to find a
    failure and to restart do not move it.
    """
    low, high = 0.0, mtbf_s
    for _ in range(200):
        middle = (low + high) / 2
        if -math.expm1(-(middle + stall_s) / mtbf_s) > middle / mtbf_s:
            low = middle
        else:
            high = middle
    return low


@dataclass(frozen=True, slots=True)
class Shares:
    """Where a run's time goes; they sum to 1."""

    effective: float
    saving: float
    repeating: float
    recovery: float


def effective_share(interval_s: float, *, stall_s: float, write_s: float, recovery_s: float, mtbf_s: float) -> Shares:
    """Where the time goes with a save after every `interval_s` of training, exactly, for failures at a constant rate.

    Time between two restarts is exponential with mean M. In it the k-th save since the restart can be relied on at
    k (T + C) + W, so T exp(-W/M) / (exp((T+C)/M) - 1) seconds of training last on average. Recovery is open to failures
    too, and takes M (exp(R/M) - 1). With W = 0 this is Daly's complete model (2006).
    """
    period_s = interval_s + stall_s
    lasting_s = interval_s * math.exp(-write_s / mtbf_s) / math.expm1(period_s / mtbf_s)
    recovering_s = mtbf_s * math.expm1(recovery_s / mtbf_s)
    whole_s, stalled_s = mtbf_s + recovering_s, _stalled_s(interval_s, stall_s, mtbf_s)
    return Shares(
        effective=lasting_s / whole_s,
        saving=stalled_s / whole_s,
        repeating=(mtbf_s - stalled_s - lasting_s) / whole_s,
        recovery=recovering_s / whole_s,
    )


def _stalled_s(interval_s: float, stall_s: float, mtbf_s: float) -> float:
    """Seconds stopped by saves between two restarts, on average: each is reached with exp(-start/M) and may be cut short."""
    cut_short_s = -math.expm1(-stall_s / mtbf_s) * mtbf_s
    return cut_short_s * math.exp(-interval_s / mtbf_s) / -math.expm1(-(interval_s + stall_s) / mtbf_s)


def _speed(hardware: Hardware, name: str) -> float:
    speed = getattr(hardware, name)
    if speed <= 0:
        raise ValueError(f"hardware.{name}={speed} must be above 0 to know what a checkpoint costs")
    return speed
