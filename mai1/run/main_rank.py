"""What one rank does for all."""

from collections.abc import Callable
from typing import TypeVar

from mai1.dist import World, gather_json

T = TypeVar("T")


def on_main_rank(world: World, action: Callable[[], T]) -> T | None:
    """Do something on rank 0 while the others wait; a mistake it notices ends every rank alike, instead of leaving them."""
    result, mistake = None, None
    if world.is_main:
        try:
            result = action()
        except (ValueError, OSError) as error:
            mistake = str(error)
    if mistake := gather_json(mistake, world)[0]:
        raise ValueError(mistake)
    return result
