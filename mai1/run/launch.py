"""`mai1 launch`: a training command on one machine or thousands, through Slurm, Kubernetes, Ray, SkyPilot or Azure ML.

Without submit=true it prints exactly what would be written and run. `mai1 launch errors RUN` says which rank failed first.
"""

import re
import sys

from mai1.launch import first_error
from mai1.launch.config import JobConfig, Target
from mai1.launch.kubernetes import kubernetes
from mai1.launch.platforms import azureml, local, ray, skypilot
from mai1.launch.slurm import slurm
from mai1.launch.submission import show, submit
from mai1.launch.training import Training, words_of
from mai1.run.compose import compose_config
from mai1.run.config import AlignConfig, PretrainConfig, SftConfig, StageConfig
from mai1.run.help import print_help

SCHEMAS = {"pretrain": PretrainConfig, "sft": SftConfig, "align": AlignConfig}
RENDER = {
    Target.local: local,
    Target.slurm: slurm,
    Target.k8s: kubernetes,
    Target.ray: ray,
    Target.skypilot: skypilot,
    Target.azureml: azureml,
}


def main(arguments: list[str]) -> None:
    """Print or submit as configured."""
    if arguments[:1] == ["errors"]:
        sys.exit(first_error.main(arguments[1:]))
    if "--help" in arguments:
        print_help("launch", JobConfig, __doc__)
        return
    commands = [
        a.partition("=")[2] for a in arguments if a.startswith("command=")
    ]  # words of a shell, no Hydra grammar
    config = compose_config("launch", JobConfig, [a for a in arguments if not a.startswith("command=")])
    config.command = commands[-1] if commands else config.command
    words = words_of(config.command)
    training = check_training(words, config)
    submission = RENDER[config.target](config, training, name=config.name or job_name(training.run.name))
    if not config.submit:
        print(show(submission))
        print("mai1 launch: nothing was written or submitted: add submit=true", file=sys.stderr)
        return
    if code := submit(submission):
        raise ValueError(f"{submission.command[0]} ended with code {code}: what it said stands above")


def check_training(words: list[str], config: JobConfig) -> Training:
    """Compose the training command's own configuration: a mistake in it is said here, not after hours in a queue."""
    try:
        stage = compose_config(words[0], SCHEMAS[words[0]], words[1:])
        _check_ranks(stage, config)
    except ValueError as error:
        raise ValueError(f"command: {error}") from None
    return Training(words, stage.run.path)


def _check_ranks(stage: StageConfig, config: JobConfig) -> None:
    """Refuse a topology that this many ranks cannot have."""
    from mai1.engine.support import check_combination

    check_combination(stage.engine)
    num_experts = stage.model.moe.num_experts if isinstance(stage, PretrainConfig) else None
    if num_experts is not None:
        stage.engine.check_topology(world_size=config.ranks, num_experts=num_experts)
        stage.batch.microbatches_per_step(stage.engine.data_parallel(config.ranks))


def job_name(run: str) -> str:
    """A name for schedulers from that of a run: lower case, what they do not take becomes a dash."""
    name = re.sub(r"[^a-z0-9]+", "-", run.lower()).strip("-")[:40].strip("-")
    return name if name[:1].isalpha() else f"run-{name}"[:40].strip("-")
