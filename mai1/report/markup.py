"""HTML and SVG building blocks of the report; here, and only here, text from files becomes safe markup."""

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence

MAX_TEXT = 2000
ABSENT = '<p class="absent">'
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Markup(str):
    """Text that is already markup: everything else is escaped on its way into the page."""

    __slots__ = ()


def escape(value: object) -> Markup:
    """`value` as markup: escaped unless it is markup already; what XML has no place for (control characters, lone
    surrogates) is shown as a replacement character."""
    if isinstance(value, Markup):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return Markup(html.escape(UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text), quote=True))


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """One element. Attribute names are written with `_` for `-`; `class_` for `class`; None leaves one out."""
    pairs = [(name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items() if value is not None]
    opening = "".join(f' {name}="{escape(value)}"' for name, value in pairs)
    return Markup(f"<{tag}{opening}>{join(children)}</{tag}>")


def join(parts: Iterable[object]) -> Markup:
    """The parts one after the other, each escaped unless it is markup already."""
    return Markup("".join(escape(part) for part in parts))


def section(identifier: str, title: str, *children: object) -> Markup:
    """A titled part of the page; one that only says what is absent becomes a quiet line."""
    is_empty = all(isinstance(child, Markup) and child.startswith(ABSENT) for child in children)
    return element("section", element("h2", title), *children, id=identifier, class_="empty" if is_empty else None)


def absent(text: str) -> Markup:
    """A quiet line that says what is not there."""
    return element("p", text, class_="absent")


def caption(text: str) -> Markup:
    """A quiet line under a title: what is shown and in which unit."""
    return element("p", text, class_="caption")


def details(summary: object, *children: object) -> Markup:
    """A part that opens on demand, also without scripts."""
    return element("details", element("summary", summary), *children)


def figure(title: str, note: str, *children: object) -> Markup:
    """A chart with its title and one line of explanation."""
    heading = element("figcaption", element("b", title), " ", element("span", note))
    return element("figure", heading, *children)


def tile(name: str, value: str, *under: str) -> Markup:
    """A main figure: its name, its value, and quiet lines under it."""
    lines = (element("span", line, class_="under") for line in under)
    return element("div", element("dt", name), element("dd", element("span", value, class_="value"), *lines))


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, num_text_columns: int = 1) -> Markup:
    """A table; the first `num_text_columns` are text, the others figures aligned to the right."""

    def cells(tag: str, values: Sequence[object]) -> Markup:
        kinds = (None if index < num_text_columns else "n" for index in range(len(values)))
        return join(element(tag, value, class_=kind) for value, kind in zip(values, kinds, strict=True))

    head = element("thead", element("tr", cells("th", headers)))
    body = element("tbody", *(element("tr", cells("td", row)) for row in rows))
    return element("div", element("table", head, body), class_="scroll")


def passage(text: object) -> Markup:
    """Text from a document or a model, as it is, cut where it grows too long."""
    text = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False, default=str)
    if not text.strip():
        words = f"nothing but {len(text):,} blanks" if text else "empty"
        return element("pre", element("span", words, class_="quiet"))
    cut = element("span", f" … {len(text) - MAX_TEXT:,} more characters", class_="quiet")
    return element("pre", text[:MAX_TEXT], cut if len(text) > MAX_TEXT else "")


def shortened(name: str, columns: int) -> str:
    """`name` cut to so many columns of text; wide letters, such as Chinese ones, take two."""
    widths = [2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in name]
    if sum(widths) <= columns:
        return name
    taken, length = 0, 0
    while taken + widths[length] < columns:
        taken, length = taken + widths[length], length + 1
    return name[:length] + "…"
