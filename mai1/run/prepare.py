"""`mai1 prepare`: raw text to curated token shards, instruction data, and a page to decide from.

The only arrow from mai1 to data_prep.
"""

import sys
from pathlib import Path

from data_prep.engine.ledger import TaskError
from data_prep.prepare import PrepareConfig, prepare
from mai1.run.compose import compose_config
from mai1.run.help import print_help
from mai1.run.report import write_corpus_pages


def main(arguments: list[str]) -> None:
    """Prepare as configured, then write the page and the data card and say where they are."""
    if "--help" in arguments:
        print_help("prepare", PrepareConfig, (__doc__ or "").splitlines()[0])
        return
    config = compose_config("prepare", PrepareConfig, arguments)
    try:
        prepare(config)
    except TaskError as error:
        sys.exit(f"mai1: {error}; the same command goes on from there")  # its log has the traceback
    write_corpus_pages(Path(config.output).expanduser())
