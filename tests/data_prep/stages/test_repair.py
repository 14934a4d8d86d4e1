"""What is repaired in texts, what is counted, and what stays as it was written."""

import random
import re
import unicodedata

import pytest

from data_prep.document import Document
from data_prep.stages.repair import Mojibake, Newlines, Normalization, RepairConfig, RepairStage, repair

PLAIN, KEEP = RepairConfig(), RepairConfig(newlines=Newlines.keep)
MENDING = RepairConfig(mojibake=Mojibake.repair)
COMPOSING = RepairConfig(normalization=Normalization.nfc)


def slow_clean(text: str, *, newlines: Newlines) -> str:
    """Character by character: what every text loses, and what becomes of line ends."""
    removed = {*range(9), 11, 12, *range(14, 32), 127, 0xFEFF}
    kept = "".join("\ufffd" if 0xD800 <= ord(c) < 0xE000 else c for c in text if ord(c) not in removed)
    if newlines is Newlines.unix:
        kept = "\n".join(re.split("\r\n|\r|\n", kept))
    if not kept.split():
        return ""
    while kept.startswith("\n"):
        kept = kept[1:]
    while kept.endswith("\n"):
        kept = kept[:-1]
    return kept + "\n"


def random_text(seed: int) -> str:
    source = random.Random(seed)
    alphabet = "ab \n\n\r\t\x00\x0b\x0c\x1f\x7f\x85\xa0\ufeff\ud800\udfff\u2028éÃ¤e\u0301日\U0001f642"
    return "".join(source.choice(alphabet) for _ in range(source.randint(0, 60)))


@pytest.mark.parametrize("newlines", Newlines)
def test_without_extras_a_text_is_what_a_loop_over_its_characters_leaves(newlines: Newlines):
    texts = ["", "\n", "\r\n\r\n a \r\n", *map(random_text, range(3000))]
    for text in texts:
        assert repair(text, RepairConfig(newlines=newlines))[0] == slow_clean(text, newlines=newlines)


def test_a_clean_document_is_the_very_same_object():
    text = "  indented\n\n\ttab \u2581 caf\u00e9 e\u0301 \U0001f642  trailing  \nend\n"
    document = Document(text=text, name="x")
    for config in (PLAIN, KEEP, MENDING):
        assert RepairStage(config)([document])[0] is document


def test_every_change_is_counted_beside_what_was_counted_before():
    text = "\ufeffa\x00b\r\nc\rd\ud800\nsch\u00c3\u00b6n\nnai\u0308ve e\u0301\n\n\n"
    config = RepairConfig(mojibake=Mojibake.repair, normalization=Normalization.nfc)
    [found] = RepairStage(config)([Document(text=text, name="x", edits={"pii.email": 1})])
    assert found.text == "ab\nc\nd\ufffd\nschön\nnaïve é\n"
    assert found.edits == {
        "pii.email": 1,
        "repair.mojibake_lines": 1,
        "repair.control_characters": 2,
        "repair.surrogates": 1,
        "repair.line_ends": 2,
        "repair.composed_lines": 1,
    }


def test_line_ends_are_kept_where_that_is_asked_for():
    assert repair("a\r\nb\rc\n", KEEP) == ("a\r\nb\rc\n", {})
    assert repair("a\r\nb\rc\n", PLAIN) == ("a\nb\nc\n", {"repair.line_ends": 2})


def test_white_space_alone_is_empty():
    assert repair(" \n\t\n", PLAIN) == ("", {})
    assert repair("\x00", PLAIN) == ("", {"repair.control_characters": 1})


GOOD = ("schön und naïve façade", "“quoted” — naïve…", "Привет, мир и друзья", "日本語の文章です", "Ærø, Łódź, Šibenik")


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252"])
def test_text_decoded_wrongly_is_decoded_again_line_by_line(encoding: str):
    text = GOOD[0].encode().decode(encoding)
    text = f"{GOOD[0]}\n{text}\nplain\n"
    assert repair(text, MENDING) == (f"{GOOD[0]}\n{GOOD[0]}\nplain\n", {"repair.mojibake_lines": 1})
    assert repair(text, PLAIN) == (text, {})


def test_a_line_is_judged_by_itself_wherever_it_stands():
    assert repair("Â© 2020", MENDING)[0] == "© 2020\n"
    assert repair("plain\nÂ\xa02020\nplain", MENDING) == ("plain\n\xa02020\nplain\n", {"repair.mojibake_lines": 1})


def test_good_text_of_any_script_is_not_mended():
    text = "".join(line + "\n" for line in GOOD)
    assert repair(text, MENDING) == (text, {})


def test_a_byte_order_mark_that_comes_out_of_mending_goes_too():
    text = "\ufeffschön".encode().decode("windows-1252") + "\n"
    assert repair(text, MENDING)[0] == "schön\n"


def test_composed_text_is_that_of_the_whole_at_once():
    for seed in range(300):
        text = repair(random_text(seed), PLAIN)[0]
        composed, edits = repair(text, COMPOSING)
        assert composed == unicodedata.normalize("NFC", text)
        lines = zip(text.split("\n"), composed.split("\n"), strict=True)
        assert edits.get("repair.composed_lines", 0) == sum(before != after for before, after in lines)


def test_repairing_twice_changes_nothing_more():
    config = RepairConfig(mojibake=Mojibake.repair, normalization=Normalization.nfc)
    for seed in range(300):
        once = repair(random_text(seed), config)[0]
        assert repair(repair(once, config)[0], config)[0] == repair(once, config)[0]
        assert repair(once, COMPOSING) == (once, {})
