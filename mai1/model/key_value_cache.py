"""What generation keeps of the positions it has seen, so that a step computes only the new one.

Legend: B rows, T new positions, S positions seen, the new ones among them, G key-value heads, X channels a layer keeps.
"""

import torch

from mai1.model.isolation import Isolation, document_mask, isolate


class KeyValueCache:
    """Keys and values of every layer, the heads of a row one after the other, and which document each position is of.

    Memory in elements: `layers * B * capacity` times `2 * G * C` (grouped) or `kv_rank + rope_dim` (latent).
    """

    def __init__(self, *, num_layers: int, capacity: int) -> None:
        self.capacity, self.length = capacity, 0
        self.segments_BS: torch.Tensor | None = None
        """Document ids of the positions seen, -1 on padding; None as long as every row is one document, number 0."""
        self.layers: list[list[torch.Tensor]] = [[] for _ in range(num_layers)]
        """Each layer's tensors `[B, G, capacity, X]`."""

    def begin(self, tokens_BT: torch.Tensor, segments_BT: torch.Tensor | None) -> Isolation:
        """What new tokens may see; without document ids they go on in document 0. ValueError where there is no room."""
        num_rows, num_new = tokens_BT.shape
        end = self.length + num_new
        if end > self.capacity:
            raise ValueError(f"{end} positions exceed the cache's {self.capacity}")
        if segments_BT is None and self.segments_BS is None:
            return None if num_new == 1 or not self.length else self._later_ones(tokens_BT)
        device = tokens_BT.device if segments_BT is None else segments_BT.device
        goes_on = segments_BT is None
        if segments_BT is None:
            segments_BT = torch.zeros(num_rows, num_new, dtype=torch.int64, device=device)
        if self.segments_BS is None:
            self.segments_BS = torch.zeros(num_rows, self.length, dtype=torch.int64, device=device)
        self.segments_BS = torch.cat((self.segments_BS, segments_BT), dim=1)
        if goes_on and num_new == 1 and self.length:
            return self._other_documents()
        return isolate(segments_BT, self.segments_BS, device=tokens_BT.device)

    def extend(self, layer: int, *new: torch.Tensor) -> list[torch.Tensor]:
        """Write one layer's tensors `[B, T, G, X]` of the new positions; returns those of all positions `[B, S, G, X]`."""
        if not self.layers[layer]:
            self.layers[layer] = [x.new_empty(x.shape[0], x.shape[2], self.capacity, x.shape[3]) for x in new]
        num_new = new[0].shape[1]
        for kept, x in zip(self.layers[layer], new, strict=True):
            if num_new == 1:
                kept.select(2, self.length).copy_(x.select(1, 0))
            else:
                kept.narrow(2, self.length, num_new).copy_(x.transpose(1, 2))
        return [kept.narrow(2, 0, self.length + num_new).transpose(1, 2) for kept in self.layers[layer]]

    def finish(self, num_new: int) -> None:
        """Count the new positions as seen, after every layer has written them."""
        self.length += num_new

    def forget(self, length: int) -> None:
        """Keep only the first positions, as if no others had come."""
        assert 0 <= length <= self.length
        self.length = length
        if self.segments_BS is not None:
            self.segments_BS = self.segments_BS[:, :length]

    def grow(self, capacity: int) -> None:
        """Make room for more positions."""
        for tensors in self.layers:
            for place, kept in enumerate(tensors):
                larger = kept.new_empty(*kept.shape[:2], capacity, kept.shape[3])
                larger[:, :, : self.length] = kept[:, :, : self.length]
                tensors[place] = larger
        self.capacity = capacity

    def keep(self, rows: list[int]) -> None:
        """Keep only these rows, in this order."""
        if self.segments_BS is not None:
            self.segments_BS = self.segments_BS[rows]
        for tensors in self.layers:
            tensors[:] = [kept[rows] for kept in tensors]

    def _later_ones(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        """Among new tokens nobody sees those behind: bool `[1, 1, T, S]`."""
        segments_1S = torch.zeros(1, self.length + tokens_BT.shape[1], dtype=torch.int64, device=tokens_BT.device)
        return document_mask(segments_1S[:, self.length :], segments_1S)

    def _other_documents(self) -> torch.Tensor:
        """What is added to the scores of one new token a row, `[B, 1, 1, S]`: next to nothing is left of padding."""
        kept = next(tensors[0] for tensors in self.layers if tensors)
        mask_BS = torch.zeros(self.segments_BS.shape, dtype=kept.dtype, device=kept.device)
        is_other_BS = (self.segments_BS != 0).to(kept.device)
        return mask_BS.masked_fill_(is_other_BS, torch.finfo(kept.dtype).min)[:, None, None]
