"""datatrove's half of `benchmarks/prepare.py`, in datatrove's environment: its own steps with their defaults, in their own order.

usage: PYTHON benchmarks/datatrove_side.py PART --text FILE --output DIR --tokenizer DIR, started by `benchmarks/prepare.py`
"""

from collections.abc import Iterable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    gopher_quality_filter,
    gopher_repetition_filter,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import MegatronDocumentTokenizer
from datatrove.pipeline.writers import JsonlWriter
from loguru import logger
from one_core import Job, run_side

GOPHER, SAME_WORDS = "gopher quality + repetition", "gopher quality + repetition, the same words"
CHAINS = {
    GOPHER: (GopherQualityFilter, GopherRepetitionFilter),
    "fineweb": (partial(FineWebQualityFilter, char_duplicates_ratio=0.1),),  # as in FineWeb's paper and recipe
    "c4": (C4QualityFilter,),
}
WARM_UP = "The tokenizer of words is loaded with the first of its texts. " * 20


def main() -> None:
    """Do one part, without a log."""
    logger.remove()
    run_side({"filters": filter_documents, "minhash": remove_copies, "tokens": tokenize})


def filter_documents(job: Job) -> None:
    """Each chain on documents that are in memory; a document that a filter drops does not reach the next."""
    job.facts["datatrove"] = version("datatrove")
    records = job.records()
    for name, steps in CHAINS.items():
        documents = [Document(text=record["text"], id=record["id"]) for record in records]
        list(chain([Document(text=WARM_UP, id="")], [step() for step in steps]))
        with job.clock(name):
            job.facts[name] = [document.id for document in chain(documents, [step() for step in steps])]
    for module in (gopher_quality_filter, gopher_repetition_filter):
        module.split_into_words = lambda text, language: text.split()
    documents = [Document(text=record["text"], id=record["id"]) for record in records]
    job.facts[SAME_WORDS] = [each.id for each in chain(documents, [step() for step in CHAINS[GOPHER]])]


def chain(documents: Iterable[Document], steps: list) -> Iterator[Document]:
    """The documents that all steps pass on."""
    for step in steps:
        documents = step.run(documents, 0, 1)
    return iter(documents)


def remove_copies(job: Job) -> None:
    """Its four steps from a file of JSON lines to a file of those that stay."""
    config, folder = MinhashConfig(), job.output
    MinhashDedupSignature(str(folder / "warm")).get_shingles(WARM_UP)
    with job.clock("signatures"):
        MinhashDedupSignature(str(folder / "signatures"), config).run(reader(job.text).run(), 0, 1)
    with job.clock("buckets"):
        for bucket in range(config.num_buckets):
            MinhashDedupBuckets(str(folder / "signatures"), str(folder / "buckets"), config=config).run(
                None, bucket, config.num_buckets
            )
    with job.clock("clusters"):
        MinhashDedupCluster(str(folder / "buckets"), str(folder / "clusters"), config=config).run(None, 0, 1)
    with job.clock("filter"):
        kept = MinhashDedupFilter(str(folder / "clusters")).run(reader(job.text).run(), 0, 1)
        writer = JsonlWriter(str(folder / "kept"), compression=None)
        job.facts["kept"] = [document.id for document in writer.run(kept, 0, 1)]


def tokenize(job: Job) -> None:
    """From a file of JSON lines to a shard."""
    step = MegatronDocumentTokenizer(
        str(job.output / "shards"), tokenizer_name_or_path=str(job.tokenizer / "tokenizer.json")
    )
    step.tokenizer.encode_batch([WARM_UP])
    job.facts["datatrove"] = version("datatrove")
    with job.clock("tokens"):
        step.run(reader(job.text).run(), 0, 1)


def reader(path: Path) -> JsonlReader:
    """The documents of one file, read as they are asked for."""
    return JsonlReader(str(path.parent), glob_pattern=path.name, compression=None)


if __name__ == "__main__":
    main()
