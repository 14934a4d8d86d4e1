"""The page that holds the report: skeleton and rules of safety; style and pointer live beside it."""

import base64
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

from mai1.report.markup import Markup, element, escape, join
from mai1.report.pointer import SCRIPT
from mai1.report.style import STYLE

HEADING = re.compile('<section id="([^"]*)"><h2>(.*?)</h2>')
"""Of a section that has something to show: empty ones have a class."""

MIN_LINKS = 3


def page(title: str, *parts: Markup) -> str:
    """One self-contained HTML document: its parts, and links to their sections before the first of them.

    The content policy allows this page's own script by its hash and loads nothing, so that text from a data set could
    not run even if it came through unescaped.
    """
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    head = join(
        [
            Markup('<meta charset="utf-8">'),
            Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
            Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            Markup('<meta name="color-scheme" content="light dark">'),
            element("title", title),
            element("style", Markup(STYLE)),
        ]
    )
    body = join(
        [element("main", *_with_links(parts)), Markup('<div id="tip" hidden></div>'), element("script", Markup(SCRIPT))]
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{body}</body></html>\n'


def _with_links(parts: tuple[Markup, ...]) -> list[Markup]:
    """The parts, with a line of links to the sections that have something to show."""
    links = [element("a", Markup(heading), href=f"#{target}") for target, heading in HEADING.findall("".join(parts))]
    if len(links) < MIN_LINKS:
        return list(parts)
    first = next(place for place, part in enumerate(parts) if "<section" in part)
    return [*parts[:first], element("nav", *links), *parts[first:]]


def drawn(name: str, draw: Callable[[], Markup]) -> Markup:
    """One part, or a visible note in its place: what cannot be drawn must not end what it tells of."""
    try:
        return draw()
    except Exception as error:
        text = join([element("b", name), escape(f" could not be drawn: {type(error).__name__}: {error}")])
        return element("section", element("p", text, class_="note"))


def write_page(path: Path, text: str) -> Path:
    """Write the page; a reader sees the old page or the new one, never half of one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
