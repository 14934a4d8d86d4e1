"""Figures of the planner's page as people say them."""

from mai1.report.scales import compact, fixed, grouped


def bytes_in_words(size: float) -> str:
    """12.3 GB, in decimal units as vendors count."""
    for unit, name in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(size) >= unit:
            return f"{fixed(size / unit, 0 if abs(size) >= 100 * unit else 1)} {name}"
    return f"{fixed(size, 0)} bytes"


def duration(seconds: float) -> str:
    """In the unit in which one would say it."""
    for unit, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "min")):
        if seconds >= 2 * unit:
            return f"{compact(seconds / unit)} {name}"
    if seconds >= 1:
        return f"{compact(seconds)} s"
    return f"{compact(seconds * 1000)} ms"


def energy(kilowatt_hours: float) -> str:
    """kWh, MWh or GWh."""
    unit, name = next((u for u in ((1e6, "GWh"), (1e3, "MWh")) if kilowatt_hours >= u[0]), (1.0, "kWh"))
    return f"{compact(kilowatt_hours / unit)} {name}"


def plain(name: str) -> str:
    """A part's name as words."""
    return name.replace("_", " ")


def dollars(amount: float) -> str:
    """$9.31M."""
    return f"${compact(amount)}" if amount >= 10_000 else f"${grouped(amount)}"


def amount(value: float | None) -> str:
    """A number, or a dash where a law or file says nothing."""
    return "–" if not value else compact(float(value))


def settings_of(layout: dict, names: tuple[str, ...]) -> list[str]:
    """Sizes of a layout; those of 1 are left to the background."""
    return [str(layout[name]) for name in names]
