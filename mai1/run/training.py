"""What `mai1 pretrain`, `sft` and `align` do alike: compose, check, then train here or start the ranks of this machine."""

import os
import sys
from collections.abc import Callable

from mai1.train.stop import StopRequest


def run_training(command: str, arguments: list[str], *, description: str, parts: Callable[[], tuple]) -> None:
    """Train as configured; signals ask for a checkpoint from here on, also while the imports still load.

    `parts` imports and returns the command's config class and what puts its stage together.
    """
    stop = StopRequest()
    from mai1.run.compose import compose_config
    from mai1.run.help import print_help

    config_class, stage_of = parts()
    if "--help" in arguments:
        print_help(command, config_class, description)
        return
    config = compose_config(command, config_class, arguments)
    if config.launch.starts_ranks(os.environ):
        from mai1.run.stage import check_stage
        from mai1.watch.supervisor import supervise

        check_stage(stage_of(config), world_size=config.launch.ranks)  # a mistake is said before any rank starts
        again = ["-m", "mai1", command, *arguments]
        sys.exit(supervise(again, config.launch, run_directory=config.run.path, stop=stop))
    from mai1.run.train import run_stage

    run_stage(stage_of(config), stop)
