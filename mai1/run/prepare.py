"""`mai1 prepare`: raw text to token shards. The only arrow from mai1 to data_prep."""

from data_prep.prepare import PrepareConfig, prepare
from mai1.run.compose import compose_config
from mai1.run.help import print_help


def main(arguments: list[str]) -> None:
    """Prepare as configured."""
    if "--help" in arguments:
        print_help("prepare", PrepareConfig, __doc__)
        return
    prepare(compose_config("prepare", PrepareConfig, arguments))
