"""Every combination of parallelism that four ranks allow, and what is compared between a topology and one rank."""

from collections.abc import Iterator

import numpy as np

from mai1.data.heldout import HeldoutSource
from mai1.engine.ds_config import EngineConfig
from mai1.engine.support import refusal
from mai1.model.moe.experts import Experts
from mai1.train.trainer import Trainer
from tests.support.tiny import ByteRows

KINDS = {
    "rows only (data)": {},
    "experts": {"expert_parallel": 2},
    "sequences": {"sequence_parallel": 2},
    "sequences and experts": {"sequence_parallel": 2, "expert_parallel": 2},
    "pipeline": {"pipeline_parallel": 2},
    "pipeline and experts": {"pipeline_parallel": 2, "expert_parallel": 2},
    "pipeline and sequences": {"pipeline_parallel": 2, "sequence_parallel": 2},
}
COLUMNS = {
    f"ZeRO-{stage}{', offload' if offload else ''}": {"zero_stage": stage, "offload_optimizer": offload}
    for stage in (1, 2, 3)
    for offload in (False, True)
}


def supported() -> Iterator[tuple[str, dict]]:
    """Name and settings of every accepted combination."""
    for kind, sizes in KINDS.items():
        for column, settings in COLUMNS.items():
            if refusal(EngineConfig(**sizes, **settings)) is None:
                yield f"{kind}, {column}", sizes | settings


def accumulating(settings: dict) -> dict:
    """The same with two microbatches a step on four ranks, where rows go through a pipeline four."""
    is_sliced = "sequence_parallel" in settings and "pipeline_parallel" not in settings
    return settings | {"microbatch": 2 if is_sliced else 1}


def two_sources(sequence_length: int) -> list[HeldoutSource]:
    """Held-out rows, one of them a source of its own: not every rank has a row of it."""
    rows = [ByteRows(masked=True, sequence_length=sequence_length).read(sample) for sample in range(300, 305)]
    targets = [int(row.loss_mask[1:].sum()) for row in rows]
    return [
        HeldoutSource("all but one", rows[1:], sum(targets[1:]), bytes_per_token=1.0),
        HeldoutSource("one", rows[:1], targets[0], bytes_per_token=1.0),
    ]


def weights_here(trainer: Trainer) -> dict[str, tuple[int, np.ndarray]]:
    """Each weight or buffer by name, and the first of the experts in it that are here; other tensors begin at 0."""
    model = trainer.engine.model
    experts = {name: module.first_expert for name, module in model.named_modules() if isinstance(module, Experts)}
    return {
        name: (experts.get(name.rpartition(".")[0], 0), tensor.detach().float().numpy().copy())
        for name, tensor in trainer.engine.weights()
    }
