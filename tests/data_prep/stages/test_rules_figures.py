"""Every figure that a rule measures, beside an obvious slow way to the same number."""

import random
import re
import tracemalloc
import unicodedata
from collections import Counter
from itertools import accumulate
from pydoc_data import topics

import numpy as np
import pytest

from data_prep.stages import basic, c4, code, fineweb, gopher, repetition, view
from data_prep.stages.view import TextView, Unit

WORDS = [
    *(
        "the",
        "of",
        "to",
        "and",
        "be",
        "with",
        "that",
        "it's",
        "a",
        "--",
        "...",
        "#",
        "{x}",
        "42",
        "3.14",
        "naïve",
        "слово",
    ),
    *("日本語", "don't", "(maybe)", "foo_bar()", "x=y;", "—", "•", "２", "²", "“so”"),
]
ENDS = ("\n", "\n", "\n\n", "\n \n", " ", ". ", "...\n", "…\n", "\r\n", "\t", "\x85", "!”\n", "\n- ", "\n• ", "\n\n\n")


def random_text(seed: int) -> str:
    """Few different words, so that much is repeated, with line ends of all kinds; some passages stand several times."""
    source = random.Random(seed)
    words = source.sample(WORDS, source.randint(1, len(WORDS)))
    text = ""
    for _ in range(source.randint(1, 150)):
        text += source.choice(words) + (source.choice(ENDS) if source.random() < 0.25 else " ")
        if source.random() < 0.05:
            start = source.randrange(len(text))
            text += text[start : start + source.randint(1, 80)]
    return text


def real_texts() -> list[str]:
    """The language reference of Python, and code."""
    named = [topics.topics[name] for name in ("if", "class", "strings", "formatstrings", "assignment", "yield")]
    return [*named, *(open(module.__file__, encoding="utf-8").read() for module in (random, re, view))]


TEXTS = [
    *map(random_text, range(250)),
    *real_texts(),
    "",
    " \n",
    "word",
    "word " * 40,
    "a\nb\na\nb\n" * 9,
    "日本語です。" * 12,
]


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def paragraphs_of(text: str) -> list[str]:
    """Runs of lines that are not blank; LF alone ends a line here."""
    paragraphs = [""]
    for line in text.split("\n"):
        if line.strip():
            paragraphs[-1] += line + "\n"
        else:
            paragraphs.append("")
    return [paragraph.strip() for paragraph in paragraphs if paragraph.strip()]


def units_of(text: str, unit: Unit) -> list[str]:
    return text.split() if unit is Unit.words else [character for character in text if character.isalnum()]


def over(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def repeats(parts: list[str]) -> list[str]:
    return [part for place, part in enumerate(parts) if part in parts[:place]]


def slow_top(words: list[str], n: int, *, separator: str, total: int) -> float:
    grams = [separator.join(words[start : start + n]) for start in range(len(words) - n + 1)]
    if not grams:
        return 0.0
    gram, times = Counter(grams).most_common(1)[0]  # of several, the one that was counted first
    return min(over(len(gram) * times, total), 1.0) if times > 1 else 0.0


def slow_duplicates(words: list[str], n: int, *, total: int) -> float:
    read, characters, place = set(), 0, 0
    while place + n <= len(words):
        gram = tuple(words[place : place + n])
        if gram in read:
            characters += sum(map(len, gram))
            place += n
        else:
            read.add(gram)
            place += 1
    return over(characters, total)


def is_symbol(word: str) -> bool:
    return not any(character.isalnum() for character in word)


def slow_sentences(text: str) -> int:
    found, place = 0, 0
    while place < len(text):
        if text[place] in "。！？｡।॥؟۔።။។":
            found += 1
        elif text[place] in ".!?":
            after = place + 1
            while after < len(text) and text[after] in "\"'”’)]":
                after += 1
            if after == len(text) or text[after].isspace():
                found += 1
                place = after - 1
        place += 1
    return found


def test_lines_paragraphs_and_characters_are_those_of_a_plain_reading():
    for text in TEXTS:
        seen = TextView(text)
        assert seen.lines == lines_of(text) and seen.paragraphs == paragraphs_of(text)
        visible = [character for character in text if not character.isspace()]
        assert seen.character_counts == (sum(map(str.isalpha, visible)), sum(map(str.isdigit, visible)), len(visible))


@pytest.mark.parametrize("unit", Unit)
def test_words_are_numbered_as_they_appear(unit: Unit):
    for text in TEXTS:
        seen, words = TextView(text, unit=unit), units_of(text, unit)
        names = list(dict.fromkeys(words))
        assert list(seen.vocabulary) == names
        assert [names[number] for number in seen.words_W.tolist()] == words
        assert dict(zip(names, seen.counts_V.tolist(), strict=True)) == Counter(words)
        assert seen.offsets_W.tolist() == list(accumulate(map(len, words), initial=0))
        assert seen.has_letter_V.tolist() == [any(character.isalpha() for character in name) for name in names]
        assert seen.is_symbol_V.tolist() == [is_symbol(name) for name in names]


def test_basic_figures_equal_a_loop_over_characters():
    for text in TEXTS:
        seen, visible = TextView(text), "".join(text.split())
        assert basic.letter_fraction(seen) == over(
            sum(unicodedata.category(c)[0] == "L" for c in visible), len(visible)
        )
        assert basic.digit_fraction(seen) == over(sum(c.isdigit() for c in visible), len(visible))
        assert basic.longest_line(seen) == max([0, *map(len, text.splitlines())])
        lines = [line for line in lines_of(text) if len(line) >= 4]
        repeated = over(sum(map(len, repeats(lines))), sum(map(len, lines)))
        assert basic.repeated_line_fraction(seen) == pytest.approx(repeated)


def test_gopher_figures_equal_loops_over_words_and_lines():
    for text in TEXTS:
        seen, words, lines = TextView(text), text.split(), lines_of(text)
        real = [word for word in words if not is_symbol(word)]
        assert gopher.num_words(seen) == len(real)
        assert gopher.mean_word_characters(seen) == over(len("".join(real)), len(real))
        assert gopher.hashes_per_word(seen) == over(len(re.findall("#", text)), len(words))
        assert gopher.ellipses_per_word(seen) == over(len(re.findall(r"\.\.\.|…", text)), len(words))
        assert gopher.bullet_line_fraction(seen) == over(sum(line[0] in "•‣▪●◦·*-" for line in lines), len(lines))
        ends = [line for line in lines if line[-1] == "…" or line[-3:] == "..."]
        assert gopher.ellipsis_line_fraction(seen) == over(len(ends), len(lines))
        assert gopher.letter_word_fraction(seen) == over(
            len([w for w in words if any(map(str.isalpha, w))]), len(words)
        )


def test_repeated_lines_and_paragraphs_equal_a_search_in_all_that_stood_above():
    for text in TEXTS:
        seen, lines, paragraphs = TextView(text), lines_of(text), paragraphs_of(text)
        assert repetition.line_fraction(seen) == over(len(repeats(lines)), len(lines))
        assert repetition.line_character_fraction(seen) == over(len("".join(repeats(lines))), len(text))
        assert repetition.paragraph_fraction(seen) == over(len(repeats(paragraphs)), len(paragraphs))
        assert repetition.paragraph_character_fraction(seen) == over(len("".join(repeats(paragraphs))), len(text))


@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize("limit", [0.001, 0.05, 0.15, 0.5])
def test_ngram_figures_equal_counting_strings_wherever_they_exceed_the_limit(unit: Unit, limit: float):
    for text in TEXTS:
        seen = TextView(text, unit=unit, characters_per_word=1.5)
        words, scale = units_of(text, unit), 1.5 if unit is Unit.characters else 1
        for n in repetition.TOP_SIZES:
            found = repetition.top_ngram_fraction(seen, n, limit=limit)
            wanted = slow_top(words, round(n * scale), separator=" " if unit is Unit.words else "", total=len(text))
            assert found == pytest.approx(wanted) if wanted > limit else found <= limit
        for n in repetition.DUPLICATE_SIZES:
            found = repetition.duplicate_ngram_fraction(seen, n, limit=limit)
            wanted = slow_duplicates(words, round(n * scale), total=len(text))
            assert found == pytest.approx(wanted) if wanted > limit else wanted - 1e-12 <= found <= limit


def test_c4_fineweb_and_code_figures_equal_loops():
    for text in TEXTS:
        seen, lines = TextView(text), lines_of(text)
        assert c4.num_sentences(seen, 1_000_000) == slow_sentences(text)
        assert c4.num_sentences(seen, 2) == min(slow_sentences(text), 3)
        assert c4.num_lorem_ipsum(seen) == text.lower().count("lorem ipsum")
        ends = [line for line in lines if line.endswith(tuple(fineweb.LINE_ENDS))]
        assert fineweb.punctuated_line_fraction(seen) == over(len(ends), len(lines))
        assert fineweb.short_line_fraction(seen, max_characters=9) == over(
            len([x for x in lines if len(x) < 10]), len(lines)
        )
        wanted = over(len("".join(repeats(lines))), len(text.replace("\n", "")))
        assert fineweb.duplicate_line_character_fraction(seen) == wanted
        assert fineweb.line_breaks_per_word(seen) == over(text.split("\n").__len__() - 1, len(text.split()))
        symbols = [character for character in text if character in code.SYMBOLS]
        assert code.symbol_fraction(seen) == over(len(symbols), len("".join(text.split())))


def test_stop_words_count_once_in_either_case_and_with_punctuation_around():
    words = ["the", "be", "to", "of"]
    assert gopher.num_stop_words(TextView("The cat (of Rome), of old."), words, enough=9) == 2
    assert gopher.num_stop_words(TextView("others often tobe"), words, enough=9) == 0
    assert gopher.num_stop_words(TextView("我的书在这里", unit=Unit.characters), ["的", "在", "是"], enough=2) == 2


def test_long_texts_are_taken_apart_without_losing_a_word(monkeypatch: pytest.MonkeyPatch):
    text = " ".join(random_text(seed) for seed in range(40))
    whole = TextView(text)
    expected = [whole.words_W.tolist(), whole.character_counts, list(whole.vocabulary)]
    for size in (1, 7, 100):
        monkeypatch.setattr(view, "CHUNK_CHARACTERS", size)
        cut = TextView(text)
        assert [cut.words_W.tolist(), cut.character_counts, list(cut.vocabulary)] == expected


def test_different_ngrams_have_different_hashes():
    source = np.random.default_rng(0)
    seen = TextView(" ".join(f"w{number}" for number in source.integers(0, 5000, 200_000)))
    for n in (2, 5, 10):
        words_W = seen.words_W
        grams = np.stack([words_W[place : len(words_W) - n + 1 + place] for place in range(n)], axis=1)
        assert len(np.unique(seen.ngrams(n))) == len(np.unique(grams, axis=0))


def test_a_long_text_costs_memory_for_its_numbers_and_not_for_its_words():
    text = "some words of a text " * 400_000
    tracemalloc.start()
    seen = TextView(text)
    assert gopher.num_words(seen) == 2_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60_000_000  # two million strings alone have 100 MB
