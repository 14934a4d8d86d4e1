"""The rules as a stage: every limit has an effect, every drop says why, code and languages have limits of their own."""

import random
from dataclasses import fields
from pathlib import Path
from pydoc_data import topics

import pytest

from data_prep.document import Document, Dropped, Outcome
from data_prep.stages.basic import BasicConfig
from data_prep.stages.c4 import C4Config
from data_prep.stages.code import CodeConfig, Kind
from data_prep.stages.fineweb import FineWebConfig
from data_prep.stages.gopher import GopherConfig
from data_prep.stages.language_rules import LANGUAGES, LanguageRules
from data_prep.stages.repetition import RepetitionConfig
from data_prep.stages.rule import Bound
from data_prep.stages.rules import RulesConfig, RulesStage
from data_prep.stages.view import TextView, Unit

PROSE = "The river runs past old houses, where people trade bread and salt.\nThen winter comes to the islands.\n"
MIXED = """\
# The # river runs... past old old old houses of 12 and 47 stones, where people of the river trade bread and salt.
- bread
- salt…

The river runs past old houses, where people trade bread and salt, and {all} of them are content with that. Lorem ipsum?

The river runs past old houses, where people trade bread and salt, and {all} of them are content with that. Lorem ipsum?

bread
"""
FAMILIES = {
    "basic": BasicConfig,
    "gopher": GopherConfig,
    "repetition": RepetitionConfig,
    "c4": C4Config,
    "fineweb": FineWebConfig,
}
KEYS = {
    "basic.too_short": "min_characters",
    "basic.too_long": "max_characters",
    "basic.long_line": "max_line_characters",
    "basic.few_letters": "min_letter_fraction",
    "basic.many_digits": "max_digit_fraction",
    "basic.repeated_lines": "max_repeated_line_fraction",
    "gopher.few_words": "min_words",
    "gopher.many_words": "max_words",
    "gopher.short_words": "min_mean_word_characters",
    "gopher.long_words": "max_mean_word_characters",
    "gopher.hashes": "max_hashes_per_word",
    "gopher.ellipses": "max_ellipses_per_word",
    "gopher.bullet_lines": "max_bullet_line_fraction",
    "gopher.ellipsis_lines": "max_ellipsis_line_fraction",
    "gopher.few_letter_words": "min_letter_word_fraction",
    "gopher.few_stop_words": "min_stop_words",
    "repetition.paragraphs": "max_paragraph_fraction",
    "repetition.paragraph_characters": "max_paragraph_character_fraction",
    "repetition.lines": "max_line_fraction",
    "repetition.line_characters": "max_line_character_fraction",
    **{f"repetition.top_{n}_gram": f"max_top_{n}_gram" for n in (2, 3, 4)},
    **{f"repetition.duplicate_{n}_grams": f"max_duplicate_{n}_grams" for n in range(5, 11)},
    "c4.few_sentences": "min_sentences",
    "c4.lorem_ipsum": "lorem_ipsum",
    "c4.curly_brackets": "curly_brackets",
    "c4.bad_words": "bad_words",
    "fineweb.few_line_ends": "min_punctuated_line_fraction",
    "fineweb.short_lines": "max_short_line_fraction",
    "fineweb.duplicated_lines": "max_duplicate_line_character_fraction",
    "fineweb.list": "max_line_breaks_per_word",
}


@pytest.fixture
def bad_words(tmp_path: Path) -> str:
    """A list as people write them."""
    path = tmp_path / "bad.txt"
    path.write_text("# not these\nSalt\n\nold houses\nbrea\n", encoding="utf-8")
    return str(path)


def config_of(family: str, limits: dict, *, bad_words: str = "", **others: object) -> RulesConfig:
    """Only one family is on, and in it only the given limits."""
    off = {entry.name: 0 for entry in fields(FAMILIES[family]) if entry.type in (int, float)}
    more = {"short_line_characters": 30} if family == "fineweb" else {}
    more |= {"bad_words_file": bad_words} if family == "c4" else {}
    config = FAMILIES[family](**{**off, **more, **limits, "enabled": True})
    others = {"basic": BasicConfig(enabled=False), "code": CodeConfig(enabled=False), **others}
    return RulesConfig(**{**others, family: config})


def judge(text: str, config: RulesConfig, *, language: str = "en") -> Outcome:
    [outcome] = RulesStage(config)([Document(text=text, name="made up", language=language)])
    return outcome


def reason(text: str, config: RulesConfig, *, language: str = "en") -> str:
    outcome = judge(text, config, language=language)
    return outcome.reason if isinstance(outcome, Dropped) else ""


def test_every_limit_of_every_family_is_tried_below():
    switches = {"enabled", "bad_words_file", "short_line_characters"}
    limits = [(name, entry.name) for name, family in FAMILIES.items() for entry in fields(family)]
    tried = [(rule.partition(".")[0], key) for rule, key in KEYS.items()]
    assert sorted(pair for pair in limits if pair[1] not in switches) == sorted(tried)


@pytest.mark.parametrize("name", KEYS)
def test_each_limit_drops_on_one_side_and_zero_turns_it_off(name: str, bad_words: str):
    family, key = name.partition(".")[0], KEYS[name]
    [rule] = [
        rule
        for rule in config_of(family, {key: 1}, bad_words=bad_words).families(LANGUAGES["en"])[family]
        if rule.name == name
    ]
    found = rule.measure(TextView(MIXED), 1e9 if rule.bound is Bound.at_least else 1e-9)
    assert found > 0
    low, high = (found - 1, found + 1) if isinstance(found, int) else (found * 0.99, found * 1.01)
    kept, dropped = {Bound.at_least: (low, high), Bound.at_most: (high, low), Bound.below: (high, found)}[rule.bound]
    assert reason(MIXED, config_of(family, {key: dropped}, bad_words=bad_words)) == name
    assert reason(MIXED, config_of(family, {key: kept}, bad_words=bad_words)) == ""
    if rule.bound is not Bound.below:
        assert reason(MIXED, config_of(family, {key: found}, bad_words=bad_words)) == "", "the limit itself is allowed"
    assert reason(MIXED, config_of(family, {key: 0}, bad_words=bad_words)) == ""


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_that_is_off_drops_nothing(family: str):
    for text in (MIXED, "x", "{" * 90):
        config = config_of(family, {})
        setattr(config, family, FAMILIES[family](enabled=False))
        assert reason(text, config) == ""


def test_only_the_basic_rules_are_on_by_default():
    config = RulesConfig()
    assert [name for name in FAMILIES if getattr(config, name).enabled] == ["basic"]
    assert reason(PROSE, config) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "basic.empty"),
        (" \n\t", "basic.empty"),
        ("short", "basic.too_short"),
        ("word " * 5000, "basic.long_line"),
        ("=+-*/ " * 40, "basic.few_letters"),
        ("abc 123 4 " * 20, "basic.many_digits"),
        (PROSE * 20, "basic.repeated_lines"),
    ],
)
def test_basic_rules_give_their_names(text: str, expected: str):
    assert reason(text, RulesConfig()) == expected


def test_a_text_without_visible_characters_is_dropped_whatever_is_off():
    outcome = judge("\n \n", RulesConfig(basic=BasicConfig(enabled=False)))
    assert (outcome.reason, outcome.detail) == ("basic.empty", "visible characters=0, at least 1")


def test_every_drop_says_what_was_measured_and_what_the_limit_is():
    config = RulesConfig(gopher=GopherConfig(enabled=True))
    assert judge(PROSE, config).detail == "words=18, at least 50"
    assert judge("word " * 5000, config).detail == "characters of a line=25000, at most 20000"
    brackets = config_of("c4", {"curly_brackets": 2})
    assert judge("{{{", brackets).detail == "curly brackets=3, below 2"


def test_outcomes_are_in_the_order_of_the_documents_and_texts_are_untouched():
    documents = [Document(text=text, name=str(n)) for n, text in enumerate((PROSE, "x", MIXED, "", PROSE))]
    outcomes = RulesStage(RulesConfig())(documents)
    assert [isinstance(outcome, Dropped) for outcome in outcomes] == [False, True, False, True, False]
    found = [outcome.document if isinstance(outcome, Dropped) else outcome for outcome in outcomes]
    assert [(d.name, d.text) for d in found] == [(d.name, d.text) for d in documents]


def test_bad_words_are_whole_words_and_phrases(bad_words: str):
    def found(text: str, limit: int) -> bool:
        return bool(reason(text, config_of("c4", {"bad_words": limit}, bad_words=bad_words)))

    assert found("SALT, please.", 1) and found("past Old Houses", 1) and found("salt in old houses", 2)
    assert not found("salty bread and cold houses", 1) and not found("salt", 2)


def test_short_lines_are_as_short_as_the_key_says():
    config = config_of("fineweb", {"max_short_line_fraction": 0.5, "short_line_characters": 5})
    assert reason("12345\n12345\n123456\n", config) == "fineweb.short_lines"
    assert reason("123456\n12345\n123456\n", config) == ""


CODE = Path(random.__file__).read_text(encoding="utf-8")


def test_code_is_labelled_and_judged_by_its_own_limits():
    families = {name: family(enabled=True) for name, family in FAMILIES.items()}
    kept = judge(CODE, RulesConfig(**families))
    assert isinstance(kept, Document) and kept.labels == {"kind": "code"}
    assert judge(PROSE, RulesConfig()).labels == {"kind": "prose"}
    as_prose = judge(CODE, RulesConfig(**families, code=CodeConfig(enabled=False)))
    assert isinstance(as_prose, Dropped) and as_prose.document.labels == {}


def test_each_setting_for_code_has_an_effect():
    on = {"c4": C4Config(enabled=True), "gopher": GopherConfig(enabled=True)}
    assert reason(CODE, RulesConfig(**on)) == ""
    assert reason(CODE, RulesConfig(**on, code=CodeConfig(min_symbol_fraction=0.9))) == "c4.curly_brackets"
    assert reason(CODE, RulesConfig(**on, code=CodeConfig(skip=["gopher"]))) == "c4.curly_brackets"
    limits = {"gopher.few_words": 10_000}
    assert reason(CODE, RulesConfig(**on, code=CodeConfig(limits=limits))) == "gopher.few_words"
    assert (
        reason(PROSE * 2 + MIXED, RulesConfig(gopher=GopherConfig(enabled=True), code=CodeConfig(limits=limits))) == ""
    )


def test_labels_that_a_document_has_stay():
    [outcome] = RulesStage(RulesConfig())([Document(text=PROSE, name="x", labels={"licence": "MIT"})])
    assert outcome.labels == {"licence": "MIT", "kind": Kind.prose.value}


def test_technical_prose_is_not_taken_for_spam():
    config = RulesConfig(gopher=GopherConfig(enabled=True), repetition=RepetitionConfig(enabled=True))
    pages = [text for text in topics.topics.values() if len(text) > 1000]
    dropped = [reason(text, config) for text in pages]
    assert len(pages) > 40 and sum(map(bool, dropped)) <= 0.05 * len(pages)
    config.code = CodeConfig(enabled=False)
    assert sum(bool(reason(text, config)) for text in pages) <= 0.12 * len(pages)


@pytest.mark.parametrize(
    ("section", "entry", "message"),
    [
        (
            "code",
            CodeConfig(skip=["gopher.few_wurds"]),
            "rules.code.skip: gopher.few_wurds is no rule: did you mean",
        ),
        ("code", CodeConfig(limits={"gopher": 1.0}), "rules.code.limits: gopher is no rule"),
        ("languages", {"xx": LanguageRules(skip=["c5"])}, "rules.languages.xx.skip: c5 is no rule"),
        (
            "languages",
            {"xx": LanguageRules(limits={"basic.too_long": -1})},
            "limits.basic.too_long=-1 must be at least 0",
        ),
    ],
)
def test_exceptions_for_unknown_rules_are_refused(section: str, entry: object, message: str):
    with pytest.raises(ValueError) as error:
        RulesConfig(**{section: entry})
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("basic", {"min_characters": -1}, "rules.basic.min_characters=-1 must be at least 0"),
        ("basic", {"min_letter_fraction": 1.5}, "rules.basic.min_letter_fraction=1.5 must be from 0 to 1"),
        ("basic", {"max_characters": 10}, "rules.basic.max_characters=10 must be at least min_characters=80"),
        ("gopher", {"max_words": 9}, "rules.gopher.max_words=9 must be at least min_words=50"),
        ("gopher", {"min_stop_words": -2}, "rules.gopher.min_stop_words=-2 must be at least 0"),
        ("gopher", {"max_mean_word_characters": 2.0}, "must be at least min_mean_word_characters=3.0"),
        ("repetition", {"max_top_3_gram": 2.0}, "rules.repetition.max_top_3_gram=2.0 must be from 0 to 1"),
        ("c4", {"min_sentences": -1}, "rules.c4.min_sentences=-1 must be at least 0"),
        ("c4", {"bad_words_file": "/no/such"}, "rules.c4.bad_words_file=/no/such must be a UTF-8 text file"),
        (
            "fineweb",
            {"max_short_line_fraction": -0.1},
            "rules.fineweb.max_short_line_fraction=-0.1 must be from 0",
        ),
    ],
)
def test_wrong_limits_are_refused(family: str, changes: dict, message: str):
    with pytest.raises(ValueError) as error:
        RulesConfig(**{family: FAMILIES[family](**changes)})
    assert message in str(error.value)


def test_a_wrong_share_of_symbols_is_refused():
    with pytest.raises(ValueError, match="rules.code.min_symbol_fraction=0.0 must be above 0"):
        CodeConfig(min_symbol_fraction=0.0)
    with pytest.raises(ValueError, match="characters_per_word=0.5 must be at least 1"):
        LanguageRules(unit=Unit.characters, characters_per_word=0.5)
