"""An optimizer that updates some ranges of its flat partitions and leaves the others, with their moments, to the bit.

For the time of an update its groups hold views of those ranges in place of the flat partitions, and its state views of
their moments. Nothing is copied.
"""

import torch

from mai1.engine.partitions import Partitions
from mai1.optim.muon import moments_of

Trained = dict[str, list[range]]
"""By parameter of this rank: the flat ranges that are trained. What is not named is trained whole."""


def update_only(optimizer: torch.optim.AdamW, partitions: Partitions, trained: Trained) -> None:
    """From now on `optimizer.step` updates only the trained ranges of the partitions it drives."""
    cuts = _cuts(partitions, trained)
    update = optimizer.step

    @torch.no_grad()
    def step() -> None:
        groups = optimizer.param_groups
        of_groups = [[_Views(optimizer, group, flat, cuts[flat]) for flat in group["params"]] for group in groups]
        optimizer.param_groups = [
            group | {"params": [part for views in of_group for part in views.parts]}
            for group, of_group in zip(groups, of_groups, strict=True)
        ]
        try:
            update()
        finally:
            optimizer.param_groups = groups
            for views in (views for of_group in of_groups for views in of_group):
                views.close()

    optimizer.step = step


class _Views:
    """The trained ranges of one flat partition, as parameters of their own with the partition's state."""

    def __init__(self, optimizer: torch.optim.AdamW, group: dict, flat: torch.Tensor, cuts: list[slice]) -> None:
        self._states, self._state = optimizer.state, optimizer.state[flat]
        if not self._state:
            moments = {key: torch.zeros_like(flat) for key in moments_of(group)}
            self._state |= {"step": torch.zeros((), device=flat.device), **moments}
        self.parts = []
        for cut in cuts:
            part = flat.detach()[cut]
            part.grad = flat.grad[cut]
            moments = {key: value[cut] for key, value in self._state.items() if key != "step"}
            self._states[part] = {"step": self._state["step"].clone(), **moments}
            self.parts.append(part)

    def close(self) -> None:
        """The update counts once, for all ranges."""
        for part in self.parts:
            del self._states[part]
        self._state["step"] += 1


def _cuts(partitions: Partitions, trained: Trained) -> dict[torch.Tensor, list[slice]]:
    """By flat partition, what of it is trained; adjacent ranges are one."""
    found: dict[int, list[slice]] = {number: [] for number in range(len(partitions.flats))}
    for owned in partitions.ranges():
        end = owned.start + owned.numel
        for part in trained.get(owned.name, [range(owned.start, end)]):
            first, last = max(part.start, owned.start), min(part.stop, end)
            if first < last:
                shift = owned.offset - owned.start
                found[owned.partition].append(slice(first + shift, last + shift))
    return {partitions.flats[number]: _joined(cuts) for number, cuts in found.items()}


def _joined(cuts: list[slice]) -> list[slice]:
    joined: list[slice] = []
    for cut in sorted(cuts, key=lambda cut: cut.start):
        if joined and joined[-1].stop == cut.start:
            joined[-1] = slice(joined[-1].start, cut.stop)
        else:
            joined.append(cut)
    return joined
