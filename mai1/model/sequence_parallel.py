"""Sequence parallelism: several ranks hold the same rows, each an equal slice of their positions.

Everything but attention treats positions one by one, so it works on the slice alone. Attention needs whole rows, but its
heads do not need each other: one all-to-all gives each rank the whole rows of its share of the heads, another one brings
the answers home (DeepSpeed-Ulysses, Jacobs et al. 2023, arXiv 2309.14509, §3.1). Both are their own reverse. Without a
group, every function here hands back what it was given.

Legend: B rows, T positions of whole rows, U positions of this rank's slice, S ranks of the group (T = S*U), H heads,
C channels of a head, X channels of all heads that one rank attends with.
"""

import math

import torch
import torch.distributed as dist


def check_sequence_parallel(size: int, *, num_heads: int, sequence_length: int) -> None:
    """Refuse a number of slices by which heads or positions cannot be divided."""
    counts = {"model.attention.num_heads": num_heads, "data.sequence_length": sequence_length}
    usable = [n for n in range(1, num_heads + 1) if all(count % n == 0 for count in counts.values())]
    for key, count in counts.items():
        if count % size:
            raise ValueError(
                f"engine.sequence_parallel={size} must divide {key}={count}: use {' or '.join(map(str, usable))}"
            )


def place_in_rows(group: dist.ProcessGroup | None) -> tuple[int, int]:
    """Which slice of the rows this rank holds, and how many slices there are."""
    return (0, 1) if group is None else (dist.get_rank(group), dist.get_world_size(group))


def own_positions(x_BT: torch.Tensor, group: dist.ProcessGroup | None) -> torch.Tensor:
    """This rank's slice `[B, U, ...]` of whole rows `[B, T, ...]`."""
    if group is None:
        return x_BT
    rank, num_slices = place_in_rows(group)
    assert x_BT.shape[1] % num_slices == 0, f"{x_BT.shape[1]} positions do not make {num_slices} equal slices"
    return x_BT.chunk(num_slices, dim=1)[rank]


def own_heads(x_H: torch.Tensor, group: dist.ProcessGroup | None) -> torch.Tensor:
    """Of what there is once for every head, `[H, ...]`, what belongs to this rank's share of them, `[H/S, ...]`."""
    rank, num_slices = place_in_rows(group)
    return x_H.chunk(num_slices)[rank]


@torch.compiler.disable
@torch.no_grad()
def whole_rows(x_BU: torch.Tensor, group: dist.ProcessGroup | None) -> torch.Tensor:
    """Whole rows `[B, T, ...]` from every rank's slice `[B, U, ...]`; no gradient flows through it."""
    if group is None:
        return x_BU
    slices_SBU = x_BU.new_empty(dist.get_world_size(group), *x_BU.shape)
    dist.all_gather_single(slices_SBU.flatten(0, 1), x_BU.contiguous(), group=group)
    return slices_SBU.transpose(0, 1).flatten(1, 2)


@torch.no_grad()
def sum_over_slices(counts: torch.Tensor, group: dist.ProcessGroup | None) -> torch.Tensor:
    """What the slices counted, added up, in place: counts of whole rows."""
    if group is not None:
        dist.all_reduce(counts, group=group)
    return counts


def split_heads(*of_slice_BUHC: torch.Tensor, group: dist.ProcessGroup | None) -> tuple[torch.Tensor, ...]:
    """From this rank's positions of all heads, `[B, U, H, C]`, to all positions of its share, `[B, T, H/S, C]`.

    The tensors, each with its own H and C, travel as one. Where S does not divide the heads, each is sent as often as
    makes it divide: with one head, every rank gets it. Query heads and what they attend to stay together.
    """
    if group is None:
        return of_slice_BUHC
    num_slices = dist.get_world_size(group)
    shares = [_shares(x_BUHC, num_slices) for x_BUHC in of_slice_BUHC]
    whole_BTX = _swap(torch.cat(shares, dim=-1), group).transpose(0, 1).flatten(1, 2)
    parts = whole_BTX.split([share.shape[-1] for share in shares], dim=-1)
    return tuple(part.unflatten(-1, (-1, x.shape[-1])) for part, x in zip(parts, of_slice_BUHC, strict=True))


def join_heads(of_heads_BTHC: torch.Tensor, *, group: dist.ProcessGroup | None) -> torch.Tensor:
    """The way back: from all positions of this rank's heads, `[B, T, H/S, C]`, to its positions of all, `[B, U, H, C]`."""
    if group is None:
        return of_heads_BTHC
    slices_SBUHC = of_heads_BTHC.unflatten(1, (dist.get_world_size(group), -1)).transpose(0, 1)
    return _swap(slices_SBUHC, group).permute(1, 2, 0, 3, 4).flatten(2, 3)


def _shares(x_BUHC: torch.Tensor, num_slices: int) -> torch.Tensor:
    """What each rank gets of these positions: `[S, B, U, X]`."""
    num_heads = x_BUHC.shape[2]
    copies = math.lcm(num_heads, num_slices) // num_heads
    heads_BUHC = x_BUHC[:, :, :, None].expand(-1, -1, -1, copies, -1).flatten(2, 3)
    return heads_BUHC.unflatten(2, (num_slices, -1)).flatten(3).permute(2, 0, 1, 3)


@torch.compiler.disable
def _swap(x_S: torch.Tensor, group: dist.ProcessGroup) -> torch.Tensor:
    """Send piece s of `[S, ...]` to rank s; piece s of the result came from rank s."""
    return _Swap.apply(x_S, group)


class _Swap(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x_S: torch.Tensor, group: dist.ProcessGroup) -> torch.Tensor:
        ctx.group = group
        return _all_to_all(x_S, group)

    @staticmethod
    def backward(ctx, grad_S: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _all_to_all(grad_S, ctx.group), None


def _all_to_all(x_S: torch.Tensor, group: dist.ProcessGroup) -> torch.Tensor:
    x_S = x_S.contiguous()
    arrived_S = torch.empty_like(x_S)
    dist.all_to_all_single(arrived_S, x_S, group=group)
    return arrived_S
