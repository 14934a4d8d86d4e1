"""Every language is judged by its own stop words, in its own unit."""

import pytest

from data_prep.document import Document, Dropped
from data_prep.stages.basic import BasicConfig
from data_prep.stages.c4 import C4Config
from data_prep.stages.gopher import GopherConfig
from data_prep.stages.language_rules import LANGUAGES, LanguageRules
from data_prep.stages.repetition import RepetitionConfig
from data_prep.stages.rules import RulesConfig, RulesStage
from data_prep.stages.view import Unit

SENTENCES = {
    "en": "The house stands on a hill, and people have to walk a long way to the river.",
    "de": "Das Haus steht auf einem Hügel, und die Leute gehen weit, wenn sie zu dem Fluss wollen.",
    "fr": "La maison est sur une colline et les gens marchent longtemps pour aller à la rivière.",
    "es": "La casa está en una colina y la gente camina mucho para llegar al río que corre por el valle.",
    "it": "La casa sta su una collina e la gente cammina a lungo per arrivare al fiume che non si vede.",
    "pt": "A casa fica em uma colina e as pessoas caminham muito para chegar ao rio que não se vê.",
    "ru": "Дом стоит на холме, и люди долго идут к реке, что течёт в долине, как и раньше.",
    "nl": "Het huis staat op een heuvel en de mensen lopen ver om bij de rivier te komen.",
    "pl": "Dom stoi na wzgórzu i ludzie idą daleko, że nie widać rzeki, która płynie w dolinie do morza.",
    "zh": "房子在山上，人们要走很远的路才能到河边，因为这里没有桥，也没有船。",
    "ja": "家は丘の上にあり、人々は川まで長い道を歩いて行きます。橋も船もありません。",
    "ko": "집은 언덕 위에 있고 사람들은 강까지 먼 길을 걸어갑니다. 다리도 배도 없는 마을이다.",
    "th": "บ้านตั้งอยู่บนเนินเขาและผู้คนต้องเดินไกลเพื่อไปที่แม่น้ำ ไม่มีสะพานในหมู่บ้านนี้",
}


def reason(text: str, config: RulesConfig, language: str) -> str:
    [outcome] = RulesStage(config)([Document(text=text, name="made up", language=language)])
    return outcome.reason if isinstance(outcome, Dropped) else ""


def gopher(**changes: object) -> RulesConfig:
    return RulesConfig(basic=BasicConfig(enabled=False), gopher=GopherConfig(enabled=True, min_words=5), **changes)


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_has_the_stop_words_of_its_language(language: str):
    assert reason(SENTENCES[language], gopher(), language) == ""


def test_a_sentence_has_not_the_stop_words_of_another_language():
    assert reason(SENTENCES["de"], gopher(), "en") == "gopher.few_stop_words"
    assert reason(SENTENCES["ru"], gopher(), "de") == "gopher.few_stop_words"
    assert reason(SENTENCES["ja"], gopher(), "ko") == "gopher.few_stop_words"


@pytest.mark.parametrize("language", ["", "la", "zxx"])
def test_an_unknown_language_is_not_asked_for_stop_words(language: str):
    assert reason("Gallia est omnis divisa in partes tres, quarum unam incolunt Belgae.", gopher(), language) == ""


def test_the_default_language_stands_in_where_none_is_known():
    assert reason(SENTENCES["de"], gopher(default_language="en"), "") == "gopher.few_stop_words"
    assert reason(SENTENCES["de"], gopher(default_language="en"), "de") == ""


@pytest.mark.parametrize("language", ["zh", "ja", "ko", "th"])
def test_languages_without_spaces_are_counted_in_characters(language: str):
    entry = LANGUAGES[language]
    assert entry.unit is Unit.characters
    letters = sum(character.isalnum() for character in SENTENCES[language])
    words = letters / entry.characters_per_word

    def with_least(min_words: int) -> RulesConfig:
        config = gopher()
        config.gopher = GopherConfig(enabled=True, min_words=min_words)
        return config

    assert reason(SENTENCES[language], with_least(int(words)), language) == ""
    assert reason(SENTENCES[language], with_least(int(words) + 1), language) == "gopher.few_words"
    unspaced = SENTENCES[language].replace(" ", "")
    assert reason(unspaced, with_least(int(words)), language) == ""


def test_repetition_is_found_without_spaces():
    config = RulesConfig(basic=BasicConfig(enabled=False), repetition=RepetitionConfig(enabled=True))
    text = SENTENCES["zh"]
    assert reason(text, config, "zh") == ""
    assert reason(text + "今天天气很好我们去公园散步吧" * 4, config, "zh").startswith("repetition.")


def test_thai_is_not_asked_for_full_stops():
    config = RulesConfig(basic=BasicConfig(enabled=False), c4=C4Config(enabled=True))
    assert reason(SENTENCES["th"], config, "th") == ""
    assert reason(SENTENCES["th"], config, "xx") == "c4.few_sentences"


def test_an_entry_replaces_the_built_in_one_and_each_of_its_keys_has_an_effect():
    def with_entry(**changes: object) -> RulesConfig:
        return gopher(languages={"en": LanguageRules(**changes)})

    text = SENTENCES["en"]
    assert reason(text, with_entry(stop_words=["never", "found"]), "en") == "gopher.few_stop_words"
    assert reason(SENTENCES["de"], with_entry(), "en") == ""
    assert reason(text, with_entry(unit=Unit.characters, characters_per_word=20.0), "en") == "gopher.few_words"
    assert reason(text, with_entry(unit=Unit.characters, characters_per_word=2.0), "en") == ""
    assert reason(text, with_entry(limits={"gopher.long_words": 3.5}), "en") == "gopher.long_words"
    assert reason(text, with_entry(limits={"gopher.long_words": 3.5}, skip=["gopher.long_words"]), "en") == ""
    assert reason(SENTENCES["nl"], with_entry(limits={"gopher.long_words": 3.5}), "nl") == ""
