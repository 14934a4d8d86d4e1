"""All languages of the lint, and which of them a text may be in."""

import re
from functools import cache

from mai1.persona.languages.chinese import CHINESE
from mai1.persona.languages.english import ENGLISH
from mai1.persona.languages.french import FRENCH
from mai1.persona.languages.german import GERMAN
from mai1.persona.languages.italian import ITALIAN
from mai1.persona.languages.japanese import JAPANESE
from mai1.persona.languages.portuguese import PORTUGUESE
from mai1.persona.languages.russian import RUSSIAN
from mai1.persona.languages.spanish import SPANISH
from mai1.persona.rules import CompiledRules, Rules

LATIN = (ENGLISH, GERMAN, FRENCH, SPANISH, ITALIAN, PORTUGUESE)
ALL = (*LATIN, CHINESE, JAPANESE, RUSSIAN)
KANA = re.compile("[\u3040-\u30ff]")
HAN = re.compile("[\u4e00-\u9fff]")
CYRILLIC = re.compile("[\u0400-\u04ff]")
LATIN_LETTER = re.compile("[a-z\u00e0-\u017f]")
FEW_MARKS = 3
"""Of fewer frequent words than these, no language is ruled out."""
LEAST_SHARE = 0.34
"""A language is looked for where it has this share of the frequent words that the best one has."""


MARKS = [frozenset(rules.marks.split()) for rules in LATIN]


@cache
def compiled(language: str) -> CompiledRules:
    """A language's regular expressions, made when they are first needed."""
    return CompiledRules(next(rules for rules in ALL if rules.language == language))


def languages_of(folded: str) -> list[Rules]:
    """The languages that a text in lower case may be in: by its letters, and among those of Latin letters by small words."""
    chosen: list[Rules] = []
    if LATIN_LETTER.search(folded):
        words = set(folded.split())
        counts = [len(words & marks) for marks in MARKS]
        most = max(counts)
        chosen += [r for r, count in zip(LATIN, counts, strict=True) if most < FEW_MARKS or count >= LEAST_SHARE * most]
    if not folded.isascii():
        if KANA.search(folded):
            chosen.append(JAPANESE)
        elif HAN.search(folded):
            chosen.append(CHINESE)
        if CYRILLIC.search(folded):
            chosen.append(RUSSIAN)
    return chosen
