"""Which kinds of parallelism work together. Every combination that is not refused here is shown exact by a test."""

from collections.abc import Callable
from dataclasses import dataclass

from mai1.engine.ds_config import EngineConfig


@dataclass(frozen=True, slots=True)
class Rule:
    """A combination that does not work, and why."""

    applies: Callable[[EngineConfig], bool]
    keys: tuple[str, ...]
    """What is in conflict, of `engine`."""
    reason: str
    mend: str


RULES = (
    Rule(
        lambda c: c.pipeline_parallel > 1 and c.zero_stage > 1,
        ("pipeline_parallel", "zero_stage"),
        "a stage adds up the gradients of all microbatches before it shares them, which only ZeRO-1 lets it do",
        "use engine.zero_stage=1",
    ),
    Rule(
        lambda c: c.zero_stage == 3 and c.expert_parallel > 1 and c.offload_optimizer,
        ("zero_stage", "expert_parallel", "offload_optimizer"),
        "DeepSpeed 0.19.8 loses gradients that were accumulated over microbatches",
        "use engine.zero_stage=2, or engine.offload_optimizer=false",
    ),
)


def refusal(config: EngineConfig) -> Rule | None:
    """The first rule against this combination; None when it is supported."""
    return next((rule for rule in RULES if rule.applies(config)), None)


def check_combination(config: EngineConfig) -> None:
    """ValueError that names the keys in conflict, why, and what to do."""
    if rule := refusal(config):
        values = " with ".join(f"engine.{key}={str(getattr(config, key)).lower()}" for key in rule.keys)
        raise ValueError(f"{values}: {rule.reason}: {rule.mend}")
