"""A noisy corpus of known faults: real text, near copies of some of it, and spam; beside it clean text that shares no page.

Everything is a function of the text and a seed. `clean/` is for the reference model and the held-out measure, `noisy/` for
training; each folder has one .jsonl a source.
"""

import gzip
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PAGE_CHARACTERS = 2400
"""Text is cut into pages of about this length, at ends of sentences."""
COPIES = 6
"""Near copies of each page that is copied at all."""
EDITED_WORDS = 0.01
"""Share of a copy's words that are another word."""
WARES = (
    "watches shoes pills loans casino slots insurance mortgage crypto followers diplomas vitamins handbags phones essays "
    "roofing plumbing dating lottery sunglasses"
)
PRAISE = "cheap best free discount original genuine fast trusted exclusive certified amazing limited instant secret"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Characters of each kind of text."""

    noisy: dict[str, int]
    """Real text to train on, by source."""
    clean: dict[str, int]
    """Other real text, by source."""
    copies: int
    spam: int

    def scaled(self, factor: float) -> "Sizes":
        """The same corpus, smaller."""
        parts = ({name: int(size * factor) for name, size in part.items()} for part in (self.noisy, self.clean))
        return Sizes(*parts, int(self.copies * factor), int(self.spam * factor))


FULL = Sizes(
    noisy={"books": 330_000, "encyclopedia": 200_000, "plays": 200_000, "web": 110_000},
    clean={"books": 330_000, "encyclopedia": 200_000, "plays": 200_000, "web": 110_000},
    copies=420_000,
    spam=420_000,
)


def write_texts(source: Path, output: Path, sizes: Sizes, *, seed: int = 0) -> None:
    """Make both folders from the files of `source`; copies and spam go to the web source, where they belong."""
    pages = {name: read(source) for name, read in READERS.items()}
    noisy, clean = {}, {}
    for name, found in pages.items():
        random.Random(f"{seed} {name}").shuffle(found)
        noisy[name], rest = _take(found, sizes.noisy[name])
        clean[name], _ = _take(rest, sizes.clean[name])
    draw = random.Random(f"{seed} planted")
    real = [page for name in sorted(noisy) for page in noisy[name]]
    words = sorted({word for page in real for word in re.findall(r"[a-z]{3,}", page)})
    noisy["web"] += _copies(real, words, sizes.copies, draw) + _spam(words, sizes.spam, draw)
    draw.shuffle(noisy["web"])
    for folder, texts in (("noisy", noisy), ("clean", clean)):
        (output / folder).mkdir(parents=True, exist_ok=True)
        for name, found in texts.items():
            lines = (json.dumps({"text": page}) + "\n" for page in found)
            (output / folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def _books(source: Path) -> list[str]:
    with gzip.open(source / "books_pd_1800_1925.jsonl.gz", "rt", encoding="utf-8") as file:
        return [page for line in file for page in _pages(json.loads(line)["text"][:200_000])]


def _web(source: Path) -> list[str]:
    lines = (source / "c4_demo.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def _file(name: str) -> Callable[[Path], list[str]]:
    return lambda source: _pages((source / name).read_text(encoding="utf-8"))


READERS = {"books": _books, "encyclopedia": _file("wiki_demo.txt"), "plays": _file("tinyshakespeare.txt"), "web": _web}


def _pages(text: str) -> list[str]:
    """Whole sentences or lines, as many as make a page."""
    pages, filled = [[]], 0
    for sentence in re.split(r"(?<=[.!?] )|(?<=\n)", text):
        if filled > PAGE_CHARACTERS:
            pages.append([])
            filled = 0
        pages[-1].append(sentence)
        filled += len(sentence)
    return ["".join(page).strip() for page in pages]


def _take(pages: list[str], characters: int) -> tuple[list[str], list[str]]:
    """Pages of about so many characters, and the rest."""
    filled = 0
    for number, page in enumerate(pages):
        if filled >= characters:
            return pages[:number], pages[number:]
        filled += len(page)
    return pages, []


def _copies(pages: list[str], words: list[str], characters: int, draw: random.Random) -> list[str]:
    copies = []
    while sum(map(len, copies)) < characters:
        page = draw.choice(pages)
        copies += [_edited(page, words, draw) for _ in range(COPIES)]
    return copies


def _edited(page: str, words: list[str], draw: random.Random) -> str:
    pieces = re.split(r"(\s+)", page)
    return "".join(draw.choice(words) if draw.random() < EDITED_WORDS and p.strip() else p for p in pieces)


def _spam(words: list[str], characters: int, draw: random.Random) -> list[str]:
    """By turns advertisement, which is soon learned, and words without order, which cannot be learned."""
    spam = []
    while sum(map(len, spam)) < characters:
        spam.append(_advertisement(draw) if len(spam) % 2 else _word_salad(words, draw))
    return spam


def _advertisement(draw: random.Random) -> str:
    ware, sentences = draw.choice(WARES.split()), []
    for _ in range(draw.randint(12, 30)):
        praise, other = draw.sample(PRAISE.split(), 2)
        shop = f"www.{praise}-{ware}-{draw.randint(100, 999)}.com"
        sentences.append(f"Buy {praise} {ware} online, {other} {ware} {draw.randint(5, 95)}% off today at {shop}.")
    return " ".join(sentences)


def _word_salad(words: list[str], draw: random.Random) -> str:
    sentences = [" ".join(draw.choices(words, k=draw.randint(6, 18))).capitalize() + "." for _ in range(30)]
    return " ".join(sentences)
