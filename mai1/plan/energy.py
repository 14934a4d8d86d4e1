"""What a token budget takes: days, device-hours, electricity and money."""

from dataclasses import dataclass

from mai1.plan.hardware import Hardware

HOUR_S = 3600.0


@dataclass(kw_only=True, slots=True)
class EnergyConfig:
    pue: float = 1.2
    """Power of the whole site over that of its computers. Surveys find 1.56 on average (Uptime Institute 2024), the largest
    operators name 1.1."""
    dollars_per_kilowatt_hour: float = 0.0
    """Electricity that is paid beside the rent of the devices; 0: the rent contains it."""

    def __post_init__(self) -> None:
        if not self.pue >= 1:
            raise ValueError(f"energy.pue={self.pue} must be at least 1: the computers are part of the site")
        if not self.dollars_per_kilowatt_hour >= 0:
            raise ValueError(f"energy.dollars_per_kilowatt_hour={self.dollars_per_kilowatt_hour} must not be negative")


@dataclass(frozen=True, kw_only=True, slots=True)
class EnergyAndCost:
    """Of one training run."""

    seconds: float
    """From the first to the last step, lost time included."""
    device_hours: float
    kilowatt_hours: float
    """Of the whole site."""
    dollars: float

    @property
    def days(self) -> float:
        return self.seconds / 86400


def energy_and_cost(
    tokens: float,
    *,
    tokens_per_s: float,
    num_devices: int,
    hardware: Hardware,
    effective_share: float = 1.0,
    config: EnergyConfig | None = None,
) -> EnergyAndCost:
    """What training on `tokens` takes on so many devices at `tokens_per_s` (all devices together, while steps are made).

    `effective_share` is that of `goodput`; devices draw `hardware.watts` and are paid in lost time too.
    """
    config = config or EnergyConfig()
    if tokens_per_s <= 0 or not 0 < effective_share <= 1:
        raise ValueError(
            f"energy: tokens_per_s={tokens_per_s} must be above 0 and effective_share={effective_share} in (0, 1]"
        )
    seconds = tokens / tokens_per_s / effective_share
    device_hours = num_devices * seconds / HOUR_S
    kilowatt_hours = device_hours * hardware.watts / 1000 * config.pue
    return EnergyAndCost(
        seconds=seconds,
        device_hours=device_hours,
        kilowatt_hours=kilowatt_hours,
        dollars=device_hours * hardware.dollars_per_hour + kilowatt_hours * config.dollars_per_kilowatt_hour,
    )
