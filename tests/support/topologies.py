"""Every combination of parallelism that four ranks allow: those the engine accepts are trained by a test."""

from collections.abc import Iterator

from mai1.engine.ds_config import EngineConfig
from mai1.engine.support import refusal

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
