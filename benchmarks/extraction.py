"""How well and how fast pages become text, on the article extraction benchmark, beside the outputs published with it.

usage: python benchmarks/extraction.py --folder DIR [--extractors main_content trafilatura ...] [--bootstrap 1000]

DIR is a copy of github.com/scrapinghub/article-extraction-benchmark, or of its `ground-truth.json`, `output/*.json` and the pages
as `html.tar` or `html/*.html.gz`. Scores are those of its `evaluate.py`: per page, precision and recall of runs of four words
(regular expression \\w+) counted with their numbers; the mean of each over the pages; F1 of the two means; accuracy, the share
of pages whose words are exactly those of the article. After +- stands the standard deviation over resampled pages. A title or
caption counts as an error here, because the annotated articles hold none. Speed is megabytes of HTML a second of CPU time on one
core, with decoding and everything else that `ExtractionStage` does. The last two rows show what leaving out titles changes.
"""

import argparse
import gzip
import json
import random
import re
import statistics
import tarfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from data_prep.document import Document
from data_prep.stages.extraction import ExtractionConfig, ExtractionStage, Extractor, usual_skips

WORD = re.compile(r"\w+")
WORDS_A_RUN = 4


@dataclass(frozen=True)
class Score:
    """One page. Precision is absent where nothing was extracted, recall where the article is empty."""

    precision: float | None
    recall: float | None
    is_exact: bool


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    names = [extractor.value for extractor in Extractor]
    parser.add_argument("--extractors", nargs="+", choices=names, default=["main_content", "all_text", "trafilatura"])
    parser.add_argument("--bootstrap", type=int, default=1000)
    options = parser.parse_args()
    articles = bodies_of(options.folder / "ground-truth.json")
    pages = {name: page for name, page in read_pages(options.folder).items() if name in articles}
    print(f"{len(pages)} pages, {sum(map(len, pages.values())) / 1e6:.1f} MB of HTML\n")
    print("| extractor | precision | recall | F1 | accuracy | MB/s |\n|---|---|---|---|---|---|")
    for path in sorted((options.folder / "output").glob("*.json")):
        print_row(f"{path.stem} (published)", articles, bodies_of(path), options.bootstrap)
    configs = {name: ExtractionConfig(extractor=Extractor(name)) for name in options.extractors}
    if "main_content" in configs:
        configs["main_content, skip=[]"] = ExtractionConfig(skip=[])
        configs["main_content, also skips h1"] = ExtractionConfig(skip=[*usual_skips(), "h1"])
        configs["main_content, also skips h1, header"] = ExtractionConfig(skip=[*usual_skips(), "h1", "header"])
    for name, config in configs.items():
        texts, speed = extract(pages, config)
        print_row(name, articles, texts, options.bootstrap, speed=f"{speed:.1f}")


def bodies_of(path: Path) -> dict[str, str]:
    """Article bodies by page of a file of the benchmark; newer files wrap them with a version."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content = content.get("output", content)
    return {name: entry.get("articleBody") or "" for name, entry in content.items()}


def read_pages(folder: Path) -> dict[str, bytes]:
    """The pages by name."""
    if (folder / "html.tar").is_file():
        with tarfile.open(folder / "html.tar") as archive:
            packed = {
                Path(member.name).name: archive.extractfile(member).read() for member in archive if member.isfile()
            }
    else:
        packed = {path.name: path.read_bytes() for path in (folder / "html").glob("*.html.gz")}
    return {name.split(".")[0]: gzip.decompress(data) for name, data in sorted(packed.items())}


def extract(pages: dict[str, bytes], config: ExtractionConfig) -> tuple[dict[str, str], float]:
    """Texts by page, and MB of HTML per second of CPU."""
    stage = ExtractionStage(config)
    documents = [Document("", name, markup=page) for name, page in pages.items()]
    stage(documents[:1])  # imports
    start = time.process_time()
    outcomes = stage(documents)
    seconds = time.process_time() - start
    texts = {name: getattr(outcome, "text", "") for name, outcome in zip(pages, outcomes, strict=True)}
    return texts, sum(map(len, pages.values())) / seconds / 1e6


def print_row(
    name: str, articles: dict[str, str], texts: dict[str, str], num_resamples: int, *, speed: str = ""
) -> None:
    """One line of the table."""
    scores = [score(articles[page], texts[page]) for page in articles]
    generator = random.Random(0)
    resampled = [summary(generator.choices(scores, k=len(scores))) for _ in range(num_resamples)]
    cells = [
        f"{value:.3f} +- {statistics.stdev(column):.3f}"
        for value, column in zip(summary(scores), zip(*resampled, strict=True), strict=True)
    ]
    print(f"| {name} | {' | '.join(cells)} | {speed} |", flush=True)


def score(article: str, text: str) -> Score:
    """One page by the benchmark's definition."""
    true, found = runs_of(article), runs_of(text)
    common, num_true, num_found = (true & found).total(), true.total(), found.total()
    is_exact = WORD.findall(article) == WORD.findall(text)
    return Score(common / num_found if num_found else None, common / num_true if num_true else None, is_exact)


def runs_of(text: str) -> Counter:
    """Every run of four words with its number; a shorter text is one run, an empty one none."""
    words = WORD.findall(text)
    places = range(max(1, len(words) - WORDS_A_RUN + 1)) if words else ()
    return Counter(tuple(words[place : place + WORDS_A_RUN]) for place in places)


def summary(scores: list[Score]) -> tuple[float, float, float, float]:
    """Precision, recall, F1 and accuracy over pages."""
    precision = statistics.fmean(s.precision for s in scores if s.precision is not None)
    recall = statistics.fmean(s.recall for s in scores if s.recall is not None)
    return (
        precision,
        recall,
        2 * precision * recall / (precision + recall),
        statistics.fmean(s.is_exact for s in scores),
    )


if __name__ == "__main__":
    main()
