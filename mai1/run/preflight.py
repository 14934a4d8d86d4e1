"""`mai1 preflight`: look at the allocated nodes before a run starts, and name those that are to be left out.

Started like a training command, by torchrun, Slurm or `mai1 launch`, on the same ranks. Results: a table on rank 0,
DIRECTORY/preflight.json and, where a node is unfit, a list for launchers. Exit code 0: fit; 6: not fit.
"""

from dataclasses import dataclass, field
from pathlib import Path

from mai1.preflight.config import Checks, PreflightConfig


@dataclass(kw_only=True, slots=True)
class PreflightCommand:
    directory: str = "runs"
    """Directory whose disk is looked at and where results go: run.directory/run.name, or the folder of all runs."""
    timeout_s: float = 600.0
    """Seconds that a rank waits for the others."""
    preflight: PreflightConfig = field(default_factory=PreflightConfig)
    """What is looked at and what is asked of the nodes."""

    def __post_init__(self) -> None:
        if not self.timeout_s > 0:
            raise ValueError(f"timeout_s={self.timeout_s} must be above 0")
        if self.preflight.checks is Checks.off:
            raise ValueError("preflight.checks=off leaves nothing to do: use quick or full")


def main(arguments: list[str]) -> None:
    """Check the nodes of all ranks."""
    from mai1.run.compose import compose_config
    from mai1.run.help import print_help

    if "--help" in arguments:
        print_help("preflight", PreflightCommand, __doc__)
        return
    config = compose_config("preflight", PreflightCommand, arguments)
    from mai1.dist import start_world, stop_world

    world = start_world(timeout_s=config.timeout_s)
    try:
        check_nodes(config.preflight, world, directory=Path(config.directory))
    finally:
        stop_world()


def check_nodes(config: PreflightConfig, world: object, *, directory: Path) -> None:
    """Look at the nodes, say and keep what was found; UnfitNodesError on every rank alike where something must be mended."""
    from mai1.dist import gather_json
    from mai1.preflight.check import run_preflight
    from mai1.preflight.outcome import lines_of, verdict, write_outcome
    from mai1.watch.faults import UnfitNodesError

    if config.checks is Checks.off:
        return
    found = run_preflight(config, world, directory=directory)
    listed = ""
    if world.is_main:
        world.say("preflight: " + "\n".join(lines_of(found, config)))
        try:
            path = write_outcome(found, config, folder=directory)
            listed = f" ({path})" if path else ""
        except OSError as error:
            world.say(f"preflight: the result cannot be written ({error})")
    listed = gather_json(listed, world)[0]
    if found.problems:
        raise UnfitNodesError(f"preflight: {verdict(found)}{listed}: {found.problems[0].message}")
