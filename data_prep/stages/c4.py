"""The page rules of C4 (Raffel et al. 2020, JMLR 21 (140), section 2.2). Its line rules are in `boilerplate.py`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from data_prep.stages.rule import Bound, Rule, below, check_limits
from data_prep.stages.view import TextView, Unit
from data_prep.stages.word_lists import read_word_list

SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*(?=\s|$)|[。！？｡।॥؟۔።။។]")
"""Latin marks end a sentence before white space; those of other scripts wherever they stand."""

LOREM_IPSUM = re.compile("lorem ipsum", re.IGNORECASE)
WORD = re.compile(r"\w+(?:['’-]\w+)*")
"""What bad words are compared with, in lower case."""


@dataclass(kw_only=True, slots=True)
class C4Config:
    """C4's page rules with the paper's thresholds; a limit of 0 turns its rule off."""

    enabled: bool = False
    """Whether these rules are asked at all."""

    min_sentences: int = 3
    """Fewest sentences; fewer: `c4.few_sentences`. Counted on the lines that the boilerplate stage has left."""

    lorem_ipsum: int = 1
    """So many times `lorem ipsum` and more: `c4.lorem_ipsum`."""

    curly_brackets: int = 1
    """So many opening curly brackets and more: `c4.curly_brackets`."""

    bad_words: int = 1
    """So many different words or phrases of `bad_words_file` and more: `c4.bad_words`."""

    bad_words_file: str = ""
    """A list of words and phrases, one a line, that a page must not have; empty: none."""

    def __post_init__(self) -> None:
        check_limits(self, "rules.c4", counts=("min_sentences", "lorem_ipsum", "curly_brackets", "bad_words"))

    def rules(self) -> list[Rule]:
        """All rules, in the order they are asked. ValueError when the list of words cannot be read."""
        sentences = Rule("c4.few_sentences", "sentences", Bound.at_least, self.min_sentences, num_sentences)
        rules = [
            sentences,
            below("c4.lorem_ipsum", "lorem ipsum", self.lorem_ipsum, num_lorem_ipsum),
            below("c4.curly_brackets", "curly brackets", self.curly_brackets, lambda view: view.text.count("{")),
        ]
        if self.bad_words_file:
            rules.append(below("c4.bad_words", "listed words", self.bad_words, bad_words_counter(self.bad_words_file)))
        return rules


def num_sentences(view: TextView, limit: float) -> int:
    """Sentences by their end marks, counted up to the limit."""
    return sum(1 for _ in islice(SENTENCE_END.finditer(view.text), int(limit) + 1))


def num_lorem_ipsum(view: TextView) -> int:
    """How often the printer's filler text begins."""
    return len(LOREM_IPSUM.findall(view.text))


def bad_words_counter(path: str) -> Callable[[TextView], int]:
    """Counts the different entries of a list that a text has: as whole words, or anywhere where characters are counted."""
    entries = set(read_word_list(path, key="rules.c4.bad_words_file"))
    words = {entry for entry in entries if WORD.fullmatch(entry)}
    phrases = sorted(entries - words)

    def count(view: TextView) -> int:
        text = view.text.lower()
        if view.unit is Unit.characters:
            return sum(entry in text for entry in entries)
        return len(words.intersection(WORD.findall(text))) + sum(_has_phrase(text, phrase) for phrase in phrases)

    return count


def _has_phrase(text: str, phrase: str) -> bool:
    return phrase in text and re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text) is not None
