import pytest

from mai1.generate.terminal import harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, Grüße 世界 👩‍👩‍👧\n\tindented", "plain text, Grüße 世界 👩‍👩‍👧\n\tindented"),
        ("\x1b[2J\x1b[1;1Hgone", "\\x1b[2J\\x1b[1;1Hgone"),
        ("\x1b]0;title\x07 \x1b]52;c;cm0=\x07", "\\x1b]0;title\\x07 \\x1b]52;c;cm0=\\x07"),
        ("\x9b31mred", "\\x9b31mred"),  # the same in one character
        ("secret\rpublic", "secret\\x0dpublic"),
        ("back\x08\x7f", "back\\x08\\x7f"),
        ("user\u202egpj.exe", "user\\u202egpj.exe"),
        ("line\u2028break \x85", "line\\u2028break \\x85"),
        ("two\r\nlines", "two\nlines"),
        ("\ue000\U000f0000", "\\ue000\\U000f0000"),
        ("", ""),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str):
    assert harmless(text) == shown


def test_no_control_character_gets_through():
    shown = harmless("".join(map(chr, range(0x3000))))
    assert [c for c in shown if ord(c) < 0x20 and c not in "\n\t" or 0x7F <= ord(c) < 0xA0] == []
