"""Self-check of the experts: a layer equals all its experts applied to all tokens; experts differ, replicas do not.

Legend: N tokens of the probe over all ranks of an expert-parallel group, D width, E experts of a layer, R ranks.
"""

import torch
import torch.nn.functional as F

from mai1.dist import World, gather_tensor, sum_tensor_over_group
from mai1.model.moe.layer import MoELayer
from mai1.model.transformer import MoETransformer

MIN_TOKENS, TOKENS_PER_RANK = 49, 8
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 5e-2}
"""Of outputs and gradients, relative to the largest. Rows that go astray differ by about 1."""
MULTIPLIERS = tuple(c - 2**64 for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
"""Odd numbers whose multiples spread over 64 bits (SplitMix64, Steele et al. 2014)."""
GRID_COLUMNS = 1024


def dense_problems(layer: MoELayer, *, seed: int) -> tuple[float, list[str]]:
    """How far output and input gradient of a layer are from the slow way, relative to the largest value, and what is wrong.

    The slow way has no dispatch: each rank applies its own experts to all tokens of the group, weighted by the routing, and
    the sum over the group is the answer. Every rank feeds other tokens of the probe, and not equally many, so that a row
    brought back to a wrong place, or to a wrong rank, shows. Every rank of the group must call this.
    """
    num_experts, num_local = len(layer.router.weight), len(layer.experts.gate_up)
    group_size, group_rank = num_experts // num_local, layer.experts.first_expert // num_local
    probe_ND, direction_ND = _probe(layer, max(MIN_TOKENS, TOKENS_PER_RANK * group_size + 1), seed=seed)
    mine = slice(group_rank, None, group_size)

    x_ND = probe_ND[mine].clone().requires_grad_()
    y_BTD, _ = layer(x_ND[None])
    [grad_ND] = torch.autograd.grad(y_BTD, x_ND, direction_ND[mine][None])

    expected_ND, expected_grad_ND = _without_dispatch(layer, x_ND, probe_ND, direction_ND, mine)
    found = {
        "output": _relative_difference(y_BTD[0].detach(), expected_ND),
        "gradient by the input": _relative_difference(grad_ND, expected_grad_ND),
    }
    return max(found.values()), [
        f"its {what} differs by {difference:.1e} of the largest value from all experts applied to all tokens: dispatch, "
        f"exchange or combine mixes up rows{' over expert-parallel ranks' if group_size > 1 else ''}"
        for what, difference in found.items()
        if not difference <= TOLERANCE[x_ND.dtype]
    ]


def _without_dispatch(
    layer: MoELayer, x_ND: torch.Tensor, probe_ND: torch.Tensor, direction_ND: torch.Tensor, mine: slice
) -> tuple[torch.Tensor, torch.Tensor]:
    """Answers and input gradient of this rank's tokens `x_ND`, which are `mine` of the whole group's `probe_ND`."""
    weights_NE = _routing_weights(layer, x_ND)
    all_weights_NE = torch.zeros(len(probe_ND), weights_NE.shape[1], device=x_ND.device)
    all_weights_NE[mine] = weights_NE.detach()
    sum_tensor_over_group(all_weights_NE, layer.expert_group)
    parts = _local_experts(layer, probe_ND.float(), all_weights_NE, direction_ND.float())
    y_ND, grad_by_experts_ND, grad_weights_NE = (
        sum_tensor_over_group(part, layer.expert_group)[mine] for part in parts
    )
    [grad_by_weights_ND] = torch.autograd.grad(weights_NE, x_ND, grad_weights_NE)
    grad_ND = grad_by_experts_ND + grad_by_weights_ND
    if layer.shared is not None:
        shared_ND = layer.shared(x_ND)
        [grad_by_shared_ND] = torch.autograd.grad(shared_ND, x_ND, direction_ND[mine])
        y_ND, grad_ND = y_ND + shared_ND.detach(), grad_ND + grad_by_shared_ND
    return y_ND, grad_ND


def _probe(layer: MoELayer, num_tokens: int, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs as a norm leaves them, and the gradient of the output; the same on every rank."""
    weight, generator = layer.experts.gate_up, torch.Generator().manual_seed(seed)
    shape = (2, num_tokens, weight.shape[-1])
    probe_ND, direction_ND = torch.randn(shape, generator=generator).to(weight.device, weight.dtype)
    return probe_ND, direction_ND


def _routing_weights(layer: MoELayer, x_ND: torch.Tensor) -> torch.Tensor:
    """The factor of every expert for every token, 0 where it is not chosen: `[N, E]`."""
    routing = layer.router(x_ND)
    padded_NE = routing.scores_NE.new_zeros(len(x_ND), routing.scores_NE.shape[1] + 1)  # the last column: no expert
    return padded_NE.scatter(1, routing.experts_NK, routing.weights_NK)[:, :-1]


def _local_experts(
    layer: MoELayer, x_ND: torch.Tensor, weights_NE: torch.Tensor, direction_ND: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What this rank's experts add to the answers, and the gradients by tokens and weights that go through them."""
    x_ND, weights_NE = x_ND.clone().requires_grad_(), weights_NE.clone().requires_grad_()
    y_ND = torch.zeros_like(x_ND)
    for local in range(len(layer.experts.down)):
        gate_up, down = layer.experts.matrices_of(local)
        gate_NF, up_NF = F.linear(x_ND, gate_up).chunk(2, dim=-1)
        answer_ND = F.linear(F.silu(gate_NF) * up_NF, down)
        y_ND = y_ND + answer_ND * weights_NE[:, layer.experts.first_expert + local, None]
    grad_x_ND, grad_weights_NE = torch.autograd.grad(y_ND, (x_ND, weights_NE), direction_ND)
    return y_ND.detach(), grad_x_ND, grad_weights_NE


def _relative_difference(got: torch.Tensor, expected: torch.Tensor) -> float:
    largest = (got.float() - expected.float()).abs().max()
    return float(largest / expected.abs().max().clamp(min=1e-20))


@torch.no_grad()
def copy_problems(model: MoETransformer, world: World, *, num_stages: int = 1, has_copies: bool = False) -> list[str]:
    """Experts of a layer that are equal, unless the model `has_copies`, experts that no rank has, and replicas that differ.

    Every weight this rank holds is read once, and ranks of a pipeline stage compare digests.
    """
    layers = model.moe_layers()
    of_experts = {id(parameter) for layer in layers.values() for parameter in layer.experts.parameters()}
    state = [*model.named_parameters(), *model.named_buffers()]
    shared = {name: _digests(tensor.detach().flatten()[None]) for name, tensor in state if id(tensor) not in of_experts}
    experts = [_expert_digests(layer) for layer in layers.values()]
    first = next(iter(layers.values())).experts.first_expert
    mine = torch.cat([experts[0].new_tensor([first]), *shared.values(), *experts])
    of_ranks = _of_stage(mine, world, num_stages=num_stages)
    first_rank, problems = min(of_ranks), []
    for place, name in enumerate(shared, start=1):
        if others := [rank for rank, found in of_ranks.items() if found[place] != of_ranks[first_rank][place]]:
            problems.append(f"{name} of rank {others[0]} is not that of rank {first_rank}, though both are replicas")
    start = 1 + len(shared)
    for (number, layer), digests in zip(layers.items(), experts, strict=True):
        ends = start + len(digests)
        held = [
            (found[0] + local, rank, digest)
            for rank, found in of_ranks.items()
            for local, digest in enumerate(found[start:ends])
        ]
        sizes = {"num_experts": len(layer.router.weight), "has_copies": has_copies}
        problems += [f"layer {number}: {text}" for text in _expert_problems(held, **sizes)]
        start = ends
    return problems


def _of_stage(mine: torch.Tensor, world: World, *, num_stages: int) -> dict[int, list[int]]:
    """What each rank of this one's pipeline stage has, by rank; stages have lists of different lengths."""
    longest = int(gather_tensor(mine.new_tensor([len(mine)]), world).max())
    of_ranks = gather_tensor(F.pad(mine, (0, longest - len(mine))), world).tolist()
    num_ranks = world.size // num_stages
    first = world.rank // num_ranks * num_ranks
    return {rank: of_ranks[rank] for rank in range(first, first + num_ranks)}


def _expert_problems(held: list[tuple[int, int, int]], *, num_experts: int, has_copies: bool) -> list[str]:
    """What is wrong among (expert, rank, digest) of one layer over all ranks."""
    of_expert: dict[int, tuple[int, int]] = {}
    of_digest: dict[int, tuple[int, int]] = {}
    problems = []
    for expert, rank, digest in held:
        first_rank, first_digest = of_expert.setdefault(expert, (rank, digest))
        if digest != first_digest:
            problems.append(
                f"expert {expert} of rank {rank} is not that of rank {first_rank}, though both are replicas"
            )
        twin, twin_rank = of_digest.setdefault(digest, (expert, rank))
        if twin != expert and not has_copies:
            problems.append(f"experts {twin} (rank {twin_rank}) and {expert} (rank {rank}) have the same weights")
    if missing := sorted(set(range(num_experts)) - set(of_expert)):
        problems.append(f"expert {missing[0]} is on no rank")
    return problems


def _expert_digests(layer: MoELayer) -> torch.Tensor:
    """One int64 for each expert held here."""
    parts = [_digests(weight.detach().flatten(1)) for weight in layer.experts.parameters()]
    return torch.stack(parts).mul_(torch.arange(1, 2 * len(parts), 2, device=parts[0].device)[:, None]).sum(0)


def _digests(rows: torch.Tensor) -> torch.Tensor:
    """One int64 for each row's bits: its 64-bit words in a grid, the sum of each column and of each grid row weighted.

    Sums wrap around, so their order does not matter. The factors of columns are odd and those of rows even, so every word
    counts by an odd one: a single word that changes always changes the digest.
    """
    words = _words(rows)
    num_columns = min(GRID_COLUMNS, words.shape[1])
    whole = words.shape[1] // num_columns * num_columns
    grid = words[:, :whole].unflatten(1, (-1, num_columns))
    parts = grid.sum(1), grid.sum(2), words[:, whole:]
    digests = words.new_zeros(len(words))
    for part, first, multiplier in zip(parts, (1, 0, 1), MULTIPLIERS, strict=True):
        factors = torch.arange(first, first + 2 * part.shape[1], 2, device=part.device) * multiplier
        digests += (part * factors).sum(1)
    return digests


def _words(rows: torch.Tensor) -> torch.Tensor:
    """The bits of each row as int64, filled up with zeros; a view where the rows lie well."""
    raw = rows.contiguous().view(torch.uint8)
    if raw.shape[1] % 8 or raw.storage_offset() % 8:
        raw = F.pad(raw, (0, -raw.shape[1] % 8)).clone()
    return raw.view(torch.int64)
