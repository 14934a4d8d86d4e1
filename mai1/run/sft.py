"""`mai1 sft`: tune a model on instructions; the same loop as pretraining with other data and a loss mask."""

from mai1.train.stop import StopRequest


def main(arguments: list[str]) -> None:
    """Tune as configured; signals ask for a checkpoint from here on, also while the imports still load."""
    stop = StopRequest()
    from mai1.run.compose import compose_config
    from mai1.run.config import SftConfig
    from mai1.run.help import print_help

    if "--help" in arguments:
        print_help("sft", SftConfig, __doc__)
        return
    config = compose_config("sft", SftConfig, arguments)
    from mai1.run.stage import tuning_stage
    from mai1.run.train import run_stage

    run_stage(tuning_stage(config), stop)
