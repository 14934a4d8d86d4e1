"""`mai1 pretrain`: train a mixture-of-experts model on prepared shards, or go on with an unfinished run."""

import os
import sys

from mai1.train.stop import StopRequest


def main(arguments: list[str]) -> None:
    """Train as configured; signals ask for a checkpoint from here on, also while the imports still load."""
    stop = StopRequest()
    from mai1.run.compose import compose_config
    from mai1.run.config import PretrainConfig
    from mai1.run.help import print_help

    if "--help" in arguments:
        print_help("pretrain", PretrainConfig, __doc__)
        return
    config = compose_config("pretrain", PretrainConfig, arguments)
    if config.launch.starts_ranks(os.environ):
        from mai1.run.stage import check_stage, pretraining_stage
        from mai1.watch.supervisor import supervise

        check_stage(
            pretraining_stage(config), world_size=config.launch.ranks
        )  # a mistake is said before any rank starts
        sys.exit(
            supervise(["-m", "mai1", "pretrain", *arguments], config.launch, run_directory=config.run.path, stop=stop)
        )
    from mai1.run.stage import pretraining_stage
    from mai1.run.train import run_stage

    run_stage(pretraining_stage(config), stop)
