"""`mai1 pretrain`: train a mixture-of-experts model on prepared shards, or go on with an unfinished run."""

from mai1.run.training import run_training


def main(arguments: list[str]) -> None:
    """Train as configured."""
    run_training("pretrain", arguments, description=__doc__, parts=_parts)


def _parts() -> tuple:
    from mai1.run.config import PretrainConfig
    from mai1.run.stage import pretraining_stage

    return PretrainConfig, pretraining_stage
