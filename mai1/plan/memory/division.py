"""Which blocks each pipeline stage of a layout holds: the engine's division, and beyond it interleaved pieces."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from mai1.engine.stages import split_blocks
from mai1.model.transformer import ModelConfig
from mai1.plan.layout import Layout

C = TypeVar("C")
Piece = range
"""Consecutive blocks; empty where a first piece has the embedding alone, or a last one the output matrix alone."""


def pieces_of(model: ModelConfig, layout: Layout) -> list[list[Piece]]:
    """The pieces of every stage, one for each virtual stage, in the order in which a microbatch passes them.

    Stage s of P holds pieces s, s + P, s + 2P, ... (Narayanan et al. 2021, arXiv 2104.04473, section 2.2.2). Without
    virtual stages this is what `mai1.engine.stages` does. ValueError where there are more pieces than layers to put in.
    """
    num_pieces = layout.pipeline * layout.virtual_stages
    pieces = _split(Key(model), num_pieces)
    return [list(pieces[stage :: layout.pipeline]) for stage in range(layout.pipeline)]


@dataclass(frozen=True, slots=True, eq=False)
class Key(Generic[C]):
    """This very configuration as a key: configurations are never written to, but have no hash of their own."""

    config: C

    def __hash__(self) -> int:
        return id(self.config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.config is other.config


@lru_cache(maxsize=512)
def _split(key: Key[ModelConfig], num_pieces: int) -> tuple[Piece, ...]:
    model = key.config
    if num_pieces <= model.num_layers - model.num_dense_layers:
        return tuple(split_blocks(model, num_pieces))
    if num_pieces > model.num_layers + 2:
        raise ValueError(
            f"layout.pipeline * layout.virtual_stages = {num_pieces} must not exceed the {model.num_layers + 2} units of the "
            "model (its layers, the embedding and the output matrix): use fewer"
        )
    units = [range(0), *(range(layer, layer + 1) for layer in range(model.num_layers)), range(0)]
    doubled = len(units) - num_pieces  # the first pieces take the embedding and the cheapest layers together
    first = range(doubled)
    return (first, *units[doubled + 1 :])
