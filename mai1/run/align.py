"""`mai1 align`: tune a model on pairs of a better and a worse answer; the same loop as pretraining with another objective."""

import os
import sys

from mai1.train.stop import StopRequest


def main(arguments: list[str]) -> None:
    """Tune as configured; signals ask for a checkpoint from here on, also while the imports still load."""
    stop = StopRequest()
    from mai1.run.compose import compose_config
    from mai1.run.config import AlignConfig
    from mai1.run.help import print_help

    if "--help" in arguments:
        print_help("align", AlignConfig, __doc__)
        return
    config = compose_config("align", AlignConfig, arguments)
    if config.launch.starts_ranks(os.environ):
        from mai1.run.stage import check_stage, preference_stage
        from mai1.watch.supervisor import supervise

        check_stage(
            preference_stage(config), world_size=config.launch.ranks
        )  # a mistake is said before any rank starts
        sys.exit(
            supervise(["-m", "mai1", "align", *arguments], config.launch, run_directory=config.run.path, stop=stop)
        )
    from mai1.run.stage import preference_stage
    from mai1.run.train import run_stage

    run_stage(preference_stage(config), stop)
