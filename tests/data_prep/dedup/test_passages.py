"""Repeated passages against a brute-force search: everything repeated goes, nothing vanishes."""

import random

import numpy as np
import pytest

from data_prep.dedup.passages import (
    FIRST,
    REPEAT,
    UNIQUE,
    PassageConfig,
    Passages,
    PassageUnit,
    cut,
    passages_of,
    repeated_places,
    roles_of,
    spans_to_cut,
)

SIZE = 6
RUNS = PassageConfig(unit=PassageUnit.substrings, min_words=SIZE)


def deduplicated(texts: list[str], config: PassageConfig) -> list[str]:
    """All three steps at once."""
    passages = passages_of(texts, config)
    spans = spans_to_cut(passages, roles_of(passages.keys_P))
    return [cut(*both) for both in zip(texts, spans, strict=True)]


def runs_of(text: str, size: int = SIZE) -> list[tuple[str, ...]]:
    words = text.split()
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]


def plain_deduplicated(texts: list[str]) -> list[str]:
    """Word by word: out if in a run that stood before, unless in the first of several runs."""
    everything = [run for text in texts for run in runs_of(text)]
    seen, shortened = set(), []
    for text in texts:
        words = text.split()
        is_out, is_safe = [False] * len(words), [False] * len(words)
        for start, run in enumerate(runs_of(text)):
            marked = is_out if run in seen else is_safe if everything.count(run) > 1 else []
            marked[start : start + SIZE] = [True] * (SIZE if marked else 0)
            seen.add(run)
        shortened.append(" ".join(w for w, out, safe in zip(words, is_out, is_safe, strict=True) if safe or not out))
    return shortened


def planted(seed: int) -> list[str]:
    rng = random.Random(seed)
    shared = [[f"s{seed}x{i}y{j}" for j in range(rng.randrange(3, 20))] for i in range(4)]
    texts = []
    for number in range(12):
        words = [f"w{rng.randrange(40)}" for _ in range(rng.randrange(25))]
        for passage in rng.sample(shared, 2):
            place = rng.randrange(len(words) + 1)
            words[place:place] = passage
        texts.append(" ".join(words * (1 + (number == 5))))
    return texts


@pytest.mark.parametrize("seed", range(20))
def test_repeated_runs_equal_a_brute_force_search(seed: int):
    texts = planted(seed)
    expected = plain_deduplicated(texts)
    shortened = deduplicated(texts, RUNS)
    assert [" ".join(text.split()) for text in shortened] == expected
    assert sum(map(len, shortened)) < sum(map(len, texts))


@pytest.mark.parametrize("seed", range(20))
def test_no_run_of_words_vanishes(seed: int):
    texts = planted(seed)
    before = {run for text in texts for run in runs_of(text)}
    repeated = {run for run in before if sum(runs_of(text).count(run) for text in texts) > 1}
    after = {run for text in deduplicated(texts, RUNS) for run in runs_of(text)}
    assert repeated and repeated <= after


def test_a_copy_of_a_text_goes_whole_and_the_first_stays():
    text = "\u201cThe river\u201d runs past old houses, and people trade bread.\n"
    assert deduplicated([text, text.upper(), "before " + text + " and after it comes more"], RUNS) == [
        text,
        "",
        "before \nand after it comes more",
    ]


def test_one_word_without_end_is_left_once():
    assert deduplicated(["word " * 1000, "word " * 3], RUNS)[0].split() == ["word"] * SIZE


def test_texts_shorter_than_a_passage_are_left():
    assert deduplicated(["one two three"] * 3 + [""], RUNS) == ["one two three"] * 3 + [""]
    assert deduplicated([], RUNS) == []


def test_scripts_without_spaces_and_other_letters_are_cut_at_characters():
    shared = "\u65e5\u672c\u8a9e\u306e\u6587\u7ae0\u3067\u3059"
    assert (
        deduplicated([shared, f"\u0416\u0443\u043a {shared}\U0001f642 caf\u00e9"], RUNS)[1]
        == "\u0416\u0443\u043a caf\u00e9"
    )


@pytest.mark.parametrize("unit", [PassageUnit.lines, PassageUnit.paragraphs])
@pytest.mark.parametrize("seed", range(5))
def test_repeated_lines_and_paragraphs_equal_a_set(unit: PassageUnit, seed: int):
    rng = random.Random(seed)
    end = "\n" if unit is PassageUnit.lines else "\n \n\n"
    blocks = [" ".join(f"w{rng.randrange(9)}" for _ in range(rng.randrange(5))) for _ in range(30)]
    texts = [end.join(rng.choices(blocks, k=rng.randrange(12))) + end * rng.randrange(2) for _ in range(10)]
    seen: set[str] = set()
    expected = []
    for text in texts:
        kept = []
        for block in text.split(end):
            if len(block.split()) < 2 or block not in seen:
                kept.append(block)
            seen.add(block)
        expected.append(" ".join(" ".join(kept).split()))
    shortened = deduplicated(texts, PassageConfig(unit=unit, min_words=2))
    assert [" ".join(text.split()) for text in shortened] == expected


def test_lines_go_with_their_ends_and_short_ones_stay():
    text = "}\nA line that stands here.\n}\nanother line that stands here\n"
    config = PassageConfig(unit=PassageUnit.lines, min_words=3)
    assert deduplicated([text, "x\n" + text], config) == [text, "x\n}\n}\n"]


def test_the_order_of_words_in_a_line_says_something():
    config = PassageConfig(unit=PassageUnit.lines, min_words=2)
    assert deduplicated(["one two\ntwo one\none two two\n"], config) == ["one two\ntwo one\none two two\n"]


def test_cutting_keeps_what_follows_on_its_own_line():
    assert cut("one two\nthree", np.array([[4, 8]])) == "one \nthree"
    assert cut("one\ntwo\nthree", np.array([[4, 8]])) == "one\nthree"
    assert cut("two\nthree", np.array([[0, 4]])) == "three"
    assert cut("one two three", np.array([[4, 8]])) == "one three"
    assert cut('one "two" three', np.array([[5, 10]])) == "one three"
    assert cut("a.two.b", np.array([[2, 6]])) == "a.b"
    assert cut("one", np.empty((0, 2), np.int64)) == "one"


@pytest.mark.parametrize("num_parts", [1, 2, 7])
def test_ranges_of_keys_together_find_what_one_search_finds(num_parts: int):
    rng = np.random.default_rng(num_parts)
    keys = rng.choice(rng.integers(0, 2**64, 300, dtype=np.uint64), 1000)
    roles = np.full(1000, UNIQUE, np.uint8)
    for part in range(num_parts):
        places, told = repeated_places(np.array_split(keys, 3), part=part, num_parts=num_parts)
        assert (roles[places] == UNIQUE).all()
        roles[places] = told
    np.testing.assert_array_equal(roles, roles_of(keys))
    for key in np.unique(keys):
        of_key = roles[keys == key].tolist()
        assert of_key == ([UNIQUE] if len(of_key) == 1 else [FIRST] + [REPEAT] * (len(of_key) - 1))


@pytest.mark.parametrize("unit", [PassageUnit.lines, PassageUnit.paragraphs, PassageUnit.substrings])
def test_slices_give_the_same_passages_as_everything_at_once(unit: PassageUnit):
    config = PassageConfig(unit=unit, min_words=3)
    texts = [text.replace("w1 ", "w1\n").replace("w2 ", "w2\n\n") for text in planted(3)]
    whole = passages_of(texts, config)
    parts = [passages_of([text], config) for text in texts]
    for name in ("keys_P", "starts_P", "ends_P"):
        np.testing.assert_array_equal(getattr(whole, name), np.concatenate([getattr(part, name) for part in parts]))
    assert np.diff(whole.first_D).tolist() == [len(part.keys_P) for part in parts]
    assert len(whole.keys_P) and isinstance(whole, Passages)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="dedup.passages.min_words=0 must be at least 1"):
        PassageConfig(min_words=0)
    assert PassageConfig().unit is PassageUnit.off and PassageConfig().min_words == 50
