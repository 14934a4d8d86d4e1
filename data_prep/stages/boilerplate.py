"""Removes lines that belong to a page and not to its text; off by default, and every line removed is counted.

The line rules of C4 (Raffel et al. 2020, JMLR 21 (140), section 2.2, and the authors' code), and rows of menu entries.
"""

import dataclasses
import re
from collections import Counter
from dataclasses import dataclass

from data_prep.document import Document
from data_prep.stages.code import MIN_SYMBOL_FRACTION, Kind, kind_of
from data_prep.stages.fineweb import LINE_ENDS
from data_prep.stages.view import TextView

POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
CITATION = re.compile(r" ?\[(?:\d+|edit|citation needed|note \d+)\]", re.IGNORECASE)


@dataclass(kw_only=True, slots=True)
class BoilerplateConfig:
    """Which lines are removed. A limit of 0 turns its rule off. Code is left alone."""

    enabled: bool = False
    """Whether lines are removed at all."""

    javascript: bool = True
    """Whether lines that name JavaScript go."""

    policies: bool = True
    """Whether lines that name terms of use, privacy policies or cookies go."""

    citations: bool = True
    """Whether `[12]`, `[edit]` and `[citation needed]` go, out of the lines they stand in."""

    unpunctuated: bool = False
    """Whether lines that do not end like a sentence go, among them all headings (C4)."""

    min_line_words: int = 0
    """Lines with fewer words go; C4 has 5."""

    max_word_characters: int = 1000
    """Lines with a longer word go."""

    menu_lines: int = 3
    """Rows of at least so many menu lines at the top or bottom go; the last at the top stays, for it may be the title."""

    repeated_menu_lines: int = 3
    """Menu lines that stand so many times in the text go, all of them."""

    max_menu_words: int = 3
    """A menu line has at most so many words and does not end like a sentence."""

    def __post_init__(self) -> None:
        for key in ("min_line_words", "max_word_characters", "menu_lines", "repeated_menu_lines", "max_menu_words"):
            if getattr(self, key) < 0:
                raise ValueError(f"boilerplate.{key}={getattr(self, key)} must be at least 0: use 0 to turn it off")


class BoilerplateStage:
    """Gives every document back without its boilerplate lines; drops none, but may leave one empty."""

    name = "boilerplate"

    def __init__(self, config: BoilerplateConfig) -> None:
        self.config = config

    def __call__(self, documents: list[Document]) -> list[Document]:
        return [self._clear(document) for document in documents] if self.config.enabled else documents

    def _clear(self, document: Document) -> Document:
        if kind_of(TextView(document.text), min_symbol_fraction=MIN_SYMBOL_FRACTION) is Kind.code:
            return document
        text, edits = remove_boilerplate(document.text, self.config)
        return dataclasses.replace(document, text=text, edits=document.edits | edits) if edits else document


def remove_boilerplate(text: str, config: BoilerplateConfig) -> tuple[str, dict[str, int]]:
    """The text without boilerplate, and how many lines (and citations) each rule took; untouched when there are none."""
    edits: Counter[str] = Counter()
    if config.citations:
        text, edits["citations"] = CITATION.subn("", text)
    lines = text.splitlines()
    reasons = [_reason_to_remove(line, config) for line in lines]
    _mark_menus(lines, reasons, config)
    edits.update(filter(None, reasons))
    edits = +edits
    if any(reasons):
        kept = (line for line, reason in zip(lines, reasons, strict=True) if not reason)
        text = "\n".join(kept).strip("\n")
        text = text + "\n" if text else ""
    return text, {f"boilerplate.{rule}": number for rule, number in edits.items()}


def _reason_to_remove(line: str, config: BoilerplateConfig) -> str:
    """The first rule of C4 that a line breaks; blank lines break none."""
    bare = line.strip()
    if not bare:
        return ""
    lowered = bare.lower()
    if config.javascript and "javascript" in lowered:
        return "javascript"
    if config.policies and any(phrase in lowered for phrase in POLICIES):
        return "policies"
    if config.unpunctuated and (bare[-1] not in LINE_ENDS or bare.endswith(("...", "…"))):
        return "unpunctuated"
    words = bare.split()
    if len(words) < config.min_line_words:
        return "few_words"
    if 0 < config.max_word_characters < max(map(len, words)):
        return "long_word"
    return ""


def _mark_menus(lines: list[str], reasons: list[str], config: BoilerplateConfig) -> None:
    """Give menu lines that stand too often, and those in rows at the top and bottom, their reason."""
    left = [place for place, line in enumerate(lines) if not reasons[place] and line.strip()]
    menu = {place for place in left if _is_menu_line(lines[place].strip(), config)}
    if config.repeated_menu_lines:
        often = Counter(lines[place].strip() for place in menu)
        for place in menu:
            if often[lines[place].strip()] >= config.repeated_menu_lines:
                reasons[place] = "repeated"
        left = [place for place in left if not reasons[place]]
    if config.menu_lines:
        top, bottom = _first_row(left, menu), _first_row(left[::-1], menu)
        for place in top[:-1] * (len(top) >= config.menu_lines) + bottom * (len(bottom) >= config.menu_lines):
            reasons[place] = "menu"


def _is_menu_line(line: str, config: BoilerplateConfig) -> bool:
    return line[-1] not in LINE_ENDS and len(line.split()) <= config.max_menu_words


def _first_row(places: list[int], menu: set[int]) -> list[int]:
    """The places up to the first that is no menu line."""
    length = next((number for number, place in enumerate(places) if place not in menu), len(places))
    return places[:length]
