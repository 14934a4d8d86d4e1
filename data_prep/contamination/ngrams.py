"""From the items of one evaluation set to the n-grams that give them away."""

from dataclasses import dataclass

import numpy as np

from data_prep.contamination.config import ContaminationRule
from data_prep.contamination.items import Item
from data_prep.dedup.words import ngram_hashes, ngram_owners, words_of

OVERLAP_NGRAM_WORDS = 5
"""decon's default for its n-gram size."""

MIN_NGRAM_WORDS, MAX_NGRAM_WORDS, SHORT_PERCENTILE = 8, 13, 5
"""GPT-3's N: the length of a task's 5th percentile item in words, from 8 to 13."""

MIN_ITEM_WORDS = 8
"""Items of fewer words stand in too many documents by chance, and are not looked for."""

LONG_QUESTION_WORDS = 20
"""A question of fewer words counts only together with its answer."""


@dataclass(frozen=True, slots=True)
class TaskNgrams:
    """The items of one task that can be looked for; one with several forms is here once for each."""

    num_items: int
    """Items in the task's file."""

    num_short: int
    """Those of them that are too short to look for."""

    num_words: int
    """Words of an n-gram."""

    numbers_I: np.ndarray
    """int64: number of each item in the file."""

    words_I: np.ndarray
    """int32: its length in words."""

    hashes_P: np.ndarray
    """uint64: n-grams, each once an item."""

    items_P: np.ndarray
    """int64: the item that each is of, as a place in `numbers_I`."""

    @classmethod
    def of(cls, items: list[Item], rule: ContaminationRule) -> "TaskNgrams":
        """Find the forms of every item and their n-grams."""
        questions_I, answers_I = (np.diff(words_of(list(texts)).first_D) for texts in zip(*items, strict=True))
        num_words = _ngram_words(questions_I + answers_I, rule)
        forms = [
            (number, texts)
            for number, (item, length) in enumerate(zip(items, questions_I.tolist(), strict=True))
            for texts in _forms(item, length, rule)
        ]
        words = words_of([text for _, texts in forms for text in texts])
        forms_D = np.repeat(np.arange(len(forms)), [len(texts) for _, texts in forms])
        words_F = np.bincount(forms_D, np.diff(words.first_D), len(forms)).astype(np.int32)
        places_P, counts_D = ngram_owners(words.first_D, num_words)
        forms_P = np.repeat(forms_D, counts_D)
        hashes_P = ngram_hashes(words.hashes_W, num_words, seed=num_words)[places_P]
        order = np.lexsort((hashes_P, forms_P))
        hashes_P, forms_P = hashes_P[order], forms_P[order]
        is_used_P = words_F[forms_P] >= MIN_ITEM_WORDS
        is_used_P[1:] &= (hashes_P[1:] != hashes_P[:-1]) | (forms_P[1:] != forms_P[:-1])
        used_I, items_P = np.unique(forms_P[is_used_P], return_inverse=True)
        numbers_I = np.array([number for number, _ in forms])[used_I]
        num_short = len(items) - len(np.unique(numbers_I))
        return cls(len(items), num_short, num_words, numbers_I, words_F[used_I], hashes_P[is_used_P], items_P)


def _ngram_words(lengths_I: np.ndarray, rule: ContaminationRule) -> int:
    if rule is ContaminationRule.weighted_overlap:
        return OVERLAP_NGRAM_WORDS
    return int(np.clip(np.percentile(lengths_I, SHORT_PERCENTILE), MIN_NGRAM_WORDS, MAX_NGRAM_WORDS))


def _forms(item: Item, question_words: int, rule: ContaminationRule) -> list[list[str]]:
    """The forms in which the item may stand in a document, each as texts; no n-gram reaches from one text to the next."""
    is_whole = rule is ContaminationRule.ngram
    if not item.answer or (question_words >= LONG_QUESTION_WORDS and not is_whole):
        return [[item.question]]
    if is_whole or question_words < MIN_ITEM_WORDS:
        return [[f"{item.question} {item.answer}"], [f"{item.question} Answer: {item.answer}"]]
    return [[item.question, item.answer]]
