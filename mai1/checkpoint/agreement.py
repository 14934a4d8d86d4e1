"""Ranks that agree: what fails on one, fails on all, instead of leaving the others to wait for it."""

from collections.abc import Callable
from typing import TypeVar

from mai1.dist import World, gather_json

T = TypeVar("T")


def together(action: Callable[[], T], world: World) -> T:
    """Do something on every rank; a ValueError or OSError of any rank is a ValueError on all. `action` has no collectives."""
    result, mistake = None, None
    try:
        result = action()
    except (ValueError, OSError) as error:
        mistake = str(error)
    raise_together(mistake, world)
    return result


def raise_together(mistake: str | None, world: World) -> None:
    """ValueError on every rank when any brings a mistake."""
    if mistakes := mistakes_of(mistake, world):
        raise ValueError("; ".join(mistakes[:3]))


def mistakes_of(mistake: str | None, world: World) -> list[str]:
    """What each rank has to say, those that have nothing left out; alike ones are said once."""
    found = list(dict.fromkeys(text for text in gather_json(mistake, world) if text))
    return found if world.size > 1 or not mistake else [mistake]
