"""Real text for `benchmarks/prepare.py`: English pages of documentation, with planted near copies, and how alike texts are."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from data_prep.document import Document, apply_stages
from data_prep.reading.listing import list_slices
from data_prep.reading.slices import read_slice
from data_prep.reading.source import SourceConfig
from data_prep.stages.extraction import ExtractionConfig, ExtractionStage
from data_prep.stages.language import CodeLanguage, LanguageConfig, LanguageMode, LanguageStage
from data_prep.stages.repair import RepairConfig, RepairStage

MIN_CHARACTERS = 500
PAGES_AT_ONCE = 64
EDITED_SHARES = (0.01, 0.05)
"""Shares of a copy's words that are other words than in its original."""

NEAR_COPIES = 0.1
"""Copies among all documents."""

SHINGLE_WORDS = 5
WORD = re.compile(r"\w+")


def write_text(folder: Path, path: Path, *, num_bytes: int) -> None:
    """English documents of the HTML pages below a folder, in a hashed order, until there are so many bytes of text."""
    taken = 0
    with open(path, "w", encoding="utf-8") as file:
        for number, document in enumerate(_english(folder)):
            file.write(_line(str(number), document.text))
            taken += len(document.text.encode())
            if taken >= num_bytes:
                return
    raise ValueError(f"--text {folder} must have pages of {num_bytes} bytes of English text, but has {taken}: use less")


def _english(folder: Path) -> Iterator[Document]:
    source = SourceConfig(path=f"{folder}/**/*.html*")
    language = LanguageConfig(mode=LanguageMode.keep, keep=["en"], code=CodeLanguage.judge)
    stages = [ExtractionStage(ExtractionConfig()), RepairStage(RepairConfig()), LanguageStage(language)]
    for piece in list_slices("text", source, seed=0):
        pages = (page for page in read_slice(piece, source) if isinstance(page, Document))
        while batch := list(islice(pages, PAGES_AT_ONCE)):
            outcomes = apply_stages(batch, stages)
            yield from (each for each in outcomes if isinstance(each, Document) and len(each.text) >= MIN_CHARACTERS)


def _line(name: str, text: str) -> str:
    return json.dumps({"id": name, "text": text, "language": "en"}, ensure_ascii=False) + "\n"


def plant_copies(text: Path, path: Path, *, seed: int = 0) -> dict[str, list[tuple[str, str]]]:
    """Write the documents and near copies of some, in a shuffled order; returns original and copy by the share edited."""
    generator = random.Random(seed)
    documents = list(read_texts(text).items())
    chosen = generator.sample(documents, int(len(documents) * NEAR_COPIES / (1 - NEAR_COPIES)))
    planted: dict[str, list[tuple[str, str]]] = {f"{share:.0%}": [] for share in EDITED_SHARES}
    for number, (name, original) in enumerate(chosen):
        share = EDITED_SHARES[number % len(EDITED_SHARES)]
        documents.append((f"{name}-copy", _edited(original, share, generator)))
        planted[f"{share:.0%}"].append((name, f"{name}-copy"))
    generator.shuffle(documents)
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(_line(name, each) for name, each in documents)
    return planted


def _edited(text: str, share: float, generator: random.Random) -> str:
    """The text with some of its words replaced by others of its words."""
    parts = re.split(r"(\s+)", text)
    words = [place for place in range(0, len(parts), 2) if parts[place]]
    for place in generator.sample(words, round(share * len(words))):
        parts[place] = parts[generator.choice(words)]
    return "".join(parts)


def read_texts(path: Path) -> dict[str, str]:
    """The texts of a file by their ids."""
    with open(path, encoding="utf-8") as file:
        return {record["id"]: record["text"] for record in map(json.loads, file)}


def nearest(texts: dict[str, str], names: Iterable[str]) -> dict[str, float]:
    """For each named text the largest Jaccard overlap of its word 5-grams with those of any other text; exact."""
    shingles = {name: _shingles(texts[name]) for name in names}
    owners: dict[int, list[str]] = {}
    for name, own in shingles.items():
        for shingle in own:
            owners.setdefault(shingle, []).append(name)
    best = dict.fromkeys(shingles, 0.0)
    for other, text in texts.items():
        theirs = _shingles(text)
        common = Counter(name for shingle in theirs if shingle in owners for name in owners[shingle])
        for name, count in common.items():
            if name != other:
                best[name] = max(best[name], count / (len(shingles[name]) + len(theirs) - count))
    return best


def _shingles(text: str) -> set[int]:
    """Hashes of five neighbouring words, letters and digits in lower case."""
    words = WORD.findall(text.lower())
    return set(map(hash, zip(*(words[place:] for place in range(SHINGLE_WORDS)), strict=False)))
