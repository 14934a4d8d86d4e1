"""`mai1 sft`: tune a model on instructions; the same loop as pretraining with other data and a loss mask."""

from mai1.run.training import run_training


def main(arguments: list[str]) -> None:
    """Tune as configured."""
    run_training("sft", arguments, description=__doc__, parts=_parts)


def _parts() -> tuple:
    from mai1.run.config import SftConfig
    from mai1.run.stage import tuning_stage

    return SftConfig, tuning_stage
