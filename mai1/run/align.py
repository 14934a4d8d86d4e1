"""`mai1 align`: tune a model on pairs of a better and a worse answer; the same loop as pretraining with another objective."""

from mai1.run.training import run_training


def main(arguments: list[str]) -> None:
    """Tune as configured."""
    run_training("align", arguments, description=__doc__, parts=_parts)


def _parts() -> tuple:
    from mai1.run.config import AlignConfig
    from mai1.run.stage import preference_stage

    return AlignConfig, preference_stage
