"""What the rules have to know of a language: its stop words, and whether its text is counted in words or characters."""

from dataclasses import dataclass, field

from data_prep.stages.view import Unit


@dataclass(kw_only=True, slots=True)
class LanguageRules:
    """How one language's text is judged. An entry replaces the built-in one of that language as a whole."""

    stop_words: list[str] = field(default_factory=list)
    """Words that nearly every text of the language has, in lower case; empty: `gopher.few_stop_words` is not asked."""

    unit: Unit = Unit.words
    """words: what stands between white space; characters: letters and digits, for languages written without spaces."""

    characters_per_word: float = 1.0
    """With `unit=characters`: how many of them count as one word in every figure and n-gram."""

    skip: list[str] = field(default_factory=list)
    """Rules that are not asked, by name or family: `c4.few_sentences`, `fineweb`."""

    limits: dict[str, float] = field(default_factory=dict)
    """Rules that have another limit, by name: `gopher.long_words: 14`; 0 turns one off."""

    def __post_init__(self) -> None:
        if self.characters_per_word < 1:
            raise ValueError(
                f"rules.languages.*.characters_per_word={self.characters_per_word} must be at least 1: use 1 or more"
            )


def _spaced(stop_words: str, **limits: float) -> LanguageRules:
    return LanguageRules(
        stop_words=stop_words.split(), limits={f"gopher.{rule}": limit for rule, limit in limits.items()}
    )


def _unspaced(characters_per_word: float, stop_words: str, skip: tuple[str, ...] = ()) -> LanguageRules:
    return LanguageRules(
        stop_words=stop_words.split(), unit=Unit.characters, characters_per_word=characters_per_word, skip=list(skip)
    )


NO_END_MARKS = ("c4.few_sentences", "fineweb.few_line_ends")
"""Rules for sentences, in languages that end them by a space."""

LANGUAGES = {
    "en": _spaced("the be to of and that have with"),
    "de": _spaced("der die das und ist zu mit nicht von den ein in", long_words=12),
    "fr": _spaced("le la les de et est que des un une dans pour"),
    "es": _spaced("el la los de y que en un una es por con"),
    "it": _spaced("il la di e che un una per non è con del"),
    "pt": _spaced("o a os de e que em um uma é para com"),
    "ru": _spaced("и в не на что с по как это из для к", long_words=12),
    "nl": _spaced("de het een en van is dat te niet in met voor"),
    "pl": _spaced("i w na z się nie że do to jest o jak", long_words=12),
    "cs": _spaced("a v na se je že z do to s pro o", long_words=12),
    "uk": _spaced("і в не на що з та до як це у для", long_words=12),
    "sv": _spaced("och att det i en som på är av för med den"),
    "da": _spaced("og at det i en som på er af for med den"),
    "no": _spaced("og at det i en som på er av for med den"),
    "fi": _spaced("ja on ei että se oli hän kun mutta myös joka tai", long_words=14),
    "hu": _spaced("a az és hogy nem is egy ez meg volt de csak", long_words=12),
    "ro": _spaced("și de în la cu un o pe că nu din este"),
    "tr": _spaced("ve bir bu da de için ile ne çok olarak daha ki", long_words=12),
    "zh": _unspaced(1.5, "的 是 在 了 不 和 有 我 这 人 為 為了 这个 也 這"),
    "ja": _unspaced(2.0, "の は に を が と で た て も"),
    "ko": _unspaced(2.0, "의 는 이 을 에 은 를 가 다 고"),
    "th": _unspaced(3.5, "ที่ และ ใน ของ เป็น มี การ ได้ ไม่ ให้", NO_END_MARKS),
    "lo": _unspaced(3.5, "ທີ່ ແລະ ໃນ ຂອງ ເປັນ ມີ ການ ໄດ້ ບໍ່ ໃຫ້", NO_END_MARKS),
    "km": _unspaced(3.5, "នៅ និង ជា ដែល បាន ក្នុង មាន នេះ របស់ ការ"),
    "my": _unspaced(3.5, "သည် မှ ကို နှင့် များ တွင် ၏ ဖြစ် သော ရှိ"),
}
"""Built-in entries by ISO 639 code. Any other language is counted in words and has no stop words."""
