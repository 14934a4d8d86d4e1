"""Where `mai1 prepare` spends its time: CPU seconds of each phase, and of each step of curation, in one process.

usage: python benchmarks/prepare_phases.py PRESET --text FILE --output DIR --tokenizer DIR, started by `benchmarks/prepare.py`
"""

from collections.abc import Callable

from one_core import Job, run_side

from data_prep import curation
from data_prep.config import PrepareConfig
from data_prep.pipeline import Pipeline
from data_prep.prepare import prepare
from data_prep.store import StoreWriter
from mai1.run.compose import compose_config

PHASES = {
    "_curate": "curate",
    "_select": "select",
    "_write_chosen": "select",
    "_tokenizer": "tokenizer",
    "_encode": "encode",
}
PRESETS = {"none": [], "technical": ["curation=technical"], "web": ["curation=web"]}


def main() -> None:
    """Do one preset."""
    run_side(
        {preset: lambda job, settings=settings: time_phases(job, settings) for preset, settings in PRESETS.items()}
    )


def time_phases(job: Job, settings: list[str]) -> None:
    """Prepare the text with every phase and step on a clock of its own; the rest is reading, batching and counting."""
    for method, phase in PHASES.items():
        setattr(Pipeline, method, on_clock(job, phase, getattr(Pipeline, method)))
    for function in ("content_key", "band_keys"):
        setattr(curation, function, on_clock(job, f"curate: {function}", getattr(curation, function)))
    for method in ("add", "close"):
        setattr(StoreWriter, method, on_clock(job, "curate: store", getattr(StoreWriter, method)))
    build = curation.build_stages
    curation.build_stages = lambda task: [Clocked(job, stage) for stage in build(task)]
    source = f'sources={{text: {{path: "{job.text}", name_field: id}}}}'
    given = [source, f"output={job.output / 'corpus'}", f"tokenizer_from={job.tokenizer}", "workers=1", *settings]
    config = compose_config("prepare", PrepareConfig, given)
    with job.clock("all"):
        manifest = prepare(config, progress=False)
    job.facts |= {"totals": manifest["totals"], "source": manifest["sources"]["text"]}


class Clocked:
    """A stage on a clock."""

    def __init__(self, job: Job, stage: Callable) -> None:
        self.name, self.call = stage.name, on_clock(job, f"curate: {stage.name}", stage)

    def __call__(self, documents: list) -> list:
        return self.call(documents)


def on_clock(job: Job, name: str, function: Callable) -> Callable:
    """The function, its time added to the clock of that name."""

    def timed(*arguments: object, **options: object) -> object:
        with job.clock(name):
            return function(*arguments, **options)

    return timed


if __name__ == "__main__":
    main()
