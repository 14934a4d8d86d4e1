"""A model's words on a terminal: shown, never obeyed.

A terminal takes escape sequences as orders: to move, to erase, to set its title, the clipboard, even to type. What a model
writes is as foreign as a file from a stranger, so control characters are written out visibly.
"""

import unicodedata

KEPT = "\n\t"
TURNS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""They turn the direction of what follows, so that a line reads as another than it is (CVE-2021-42574)."""


def harmless(text: str) -> str:
    """The text with every control character but newline and tab made visible: `\\x1b`, `\\u202e`; lone carriage returns too."""
    text = text.replace("\r\n", "\n")
    if text.isprintable():
        return text
    return "".join(character if _is_harmless(character) else _written_out(character) for character in text)


def _is_harmless(character: str) -> bool:
    if character in KEPT:
        return True
    return unicodedata.category(character) not in ("Cc", "Cs", "Co", "Zl", "Zp") and character not in TURNS


def _written_out(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
