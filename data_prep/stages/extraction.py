"""From web pages to text: each document with markup gets the text of its page, without what surrounds it.

F1 on the article extraction benchmark and speed: `benchmarks/extraction.py`.
"""

import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

from data_prep.document import Document, Dropped, Outcome
from data_prep.reading.bad import is_panic
from data_prep.reading.pages import CHARSET
from data_prep.stages.markup_limits import fault_of_markup

KEY = "extraction"
NOT_THE_PAGE = ":not(html):not(body):not(main):not(article)"
"""Sites put state into classes of their largest elements, such as `cookie-accepted`."""

SKIPPED_CLASSES = ("caption", "gallery", "newsletter", "signup", "popup", "cookie", "copyright", "credit")

BODY_TAG = re.compile(r"<body\b[^>]*>", re.IGNORECASE)
END_OF_HEAD = re.compile(r"</head\s*>", re.IGNORECASE)


class Extractor(Enum):
    """What is taken of a page."""

    main_content = "main_content"
    """The main content, as resiliparse finds it; headings, code, lists and tables in their form, no comments."""

    all_text = "all_text"
    """All visible text, by resiliparse."""

    trafilatura = "trafilatura"
    """The main content, as trafilatura's fast mode finds it: better on news, about a fourth of the speed."""

    none = "none"
    """The page's source, decoded."""


def usual_skips() -> list[str]:
    """What stands around articles on many sites, as CSS selectors."""
    return ["footer", "figcaption", *(f"{NOT_THE_PAGE}[class*='{name}']" for name in SKIPPED_CLASSES)]


@dataclass(kw_only=True, slots=True)
class ExtractionConfig:
    """How pages become text; documents that are text already pass."""

    extractor: Extractor = Extractor.main_content
    """What is taken of a page."""

    skip: list[str] = field(default_factory=usual_skips)
    """CSS selectors of elements that `main_content` leaves out with all that is in them, besides what it recognises itself."""

    max_page_bytes: int = 8 << 20
    """Largest page that is parsed; larger: `extraction.too_large`."""

    def __post_init__(self) -> None:
        if self.max_page_bytes < 1:
            raise ValueError(f"{KEY}.max_page_bytes={self.max_page_bytes} must be at least 1: use {8 << 20}")
        if empty := [selector for selector in self.skip if not selector.strip()]:
            raise ValueError(f"{KEY}.skip={empty} must be CSS selectors such as footer: remove the empty ones")


class ExtractionStage:
    """Pages to text: `extraction.too_large`, `extraction.failed`, `extraction.empty`. ValueError where a library is absent."""

    name = "extraction"

    def __init__(self, config: ExtractionConfig) -> None:
        self.config = config
        self._extract: Callable[[str], str] | None = None
        if config.extractor is Extractor.trafilatura:
            _need("trafilatura", f"{KEY}.extractor=trafilatura")

    def __call__(self, documents: list[Document]) -> list[Outcome]:
        """One outcome for each document, in order; those without markup are unchanged."""
        return [self._outcome(document) if document.markup else document for document in documents]

    def _outcome(self, document: Document) -> Outcome:
        size, most = len(document.markup), self.config.max_page_bytes
        if size > most:
            return Dropped(document, "extraction.too_large", f"{size} bytes, at most {most}")
        if self._extract is None:  # the libraries are needed for pages only
            self._extract = extractor_of(self.config)
        markup = decode_page(document.markup, declared=document.labels.get(CHARSET, ""))
        if fault := self._fault(markup):
            return Dropped(document, "extraction.failed", fault)
        try:
            text = self._extract(markup).strip()
        except BaseException as error:  # whatever a parser raises ends this page alone
            if not isinstance(error, Exception) and not is_panic(error):
                raise
            return Dropped(document, "extraction.failed", f"{type(error).__name__}: {' '.join(str(error).split())}")
        if not text:
            return Dropped(document, "extraction.empty", f"no text in {size} bytes")
        labels = {label: value for label, value in document.labels.items() if label != CHARSET}
        return replace(document, text=text, markup=b"", labels=labels)

    def _fault(self, markup: str) -> str:
        return "" if self.config.extractor is Extractor.none else fault_of_markup(markup.encode())


def extractor_of(config: ExtractionConfig) -> Callable[[str], str]:
    """The function from a page's source to its text. ValueError when its library is not installed."""
    if config.extractor is Extractor.none:
        return str
    if config.extractor is Extractor.trafilatura:
        return _trafilatura(config)
    return _resiliparse(config)


def decode_page(markup: bytes, *, declared: str = "") -> str:
    """A page as text: UTF-8 where it is, else as its byte order mark, its server, the page itself or its letters say.

    Servers are often wrong about UTF-8, and other encodings hardly ever look like it by chance. Errors are left out.
    """
    _need("resiliparse", "extraction from web pages")
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5

    is_plain = b"\x00" not in markup and b"\x1b" not in markup  # else UTF-16 or ISO-2022
    try:
        if is_plain:
            return markup.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError:
        pass
    known = map_encoding_to_html5(declared, fallback_utf8=False) if declared else None
    encoding = known or detect_encoding(markup, from_html_meta=True) or "utf-8"
    return bytes_to_str(markup, encoding)


def _resiliparse(config: ExtractionConfig) -> Callable[[str], str]:
    from resiliparse.extract.html2text import extract_plain_text

    if config.extractor is Extractor.all_text:
        return lambda markup: extract_plain_text(markup, alt_texts=False)
    return lambda markup: extract_plain_text(
        _with_deeper_body(markup),
        main_content=True,
        alt_texts=False,
        comments=False,
        post_meta=False,
        skip_elements=config.skip,
    )


def _with_deeper_body(markup: str) -> str:
    """The page with three more elements around all it shows.

    resiliparse takes every list less than three elements below the body for navigation; on pages with little structure, such as
    those of documentation tools, that is every list of the text.
    """
    begin = BODY_TAG.search(markup) or END_OF_HEAD.search(markup)
    return f"{markup[: begin.end()]}<div><div><div>{markup[begin.end() :]}" if begin else markup


def _trafilatura(config: ExtractionConfig) -> Callable[[str], str]:
    from trafilatura import extract

    return lambda markup: extract(markup, fast=True, include_comments=False) or ""


def _need(package: str, what: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise ValueError(f"{what} needs {package}, which is not installed: pip install 'mai1[web]'")
