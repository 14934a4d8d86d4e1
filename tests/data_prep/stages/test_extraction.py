import random
import re
import sys

import numpy as np
import pytest

from data_prep.document import Document, Dropped
from data_prep.stages import extraction, markup_limits
from data_prep.stages.extraction import ExtractionConfig, ExtractionStage, Extractor, decode_page
from data_prep.stages.markup_limits import fault_of_markup

pytest.importorskip("resiliparse")

PROSE = "The river runs past old houses where people trade bread, salt and iron for stories about distant islands."
PAGE = f"""<html><head><title>t</title><script>var hidden = 1;</script><style>p {{ color: red }}</style></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/x">Elsewhere</a></li></ul></nav>
<main><article><h1>A title</h1><p>{PROSE}</p><!-- a remark -->
<pre><code>def f(x):
    if x &lt; 3:
        return  1

    return 2</code></pre>
<table><tr><th>name</th><th>size</th></tr><tr><td>iron</td><td>17</td></tr></table>
<figure><img src="a.png" alt="alternative"><figcaption>Under the picture</figcaption></figure>
<ol><li>first</li><li>second</li></ol><p>{PROSE}</p></article></main>
<div class="comments"><p>Nice page!</p></div><footer>All rights reserved</footer></body></html>"""


def extract(page: str | bytes, *, charset: str = "", **settings) -> Document | Dropped:
    markup = page.encode() if isinstance(page, str) else page
    document = Document("", "here", url="http://a", markup=markup, labels={"charset": charset} if charset else {})
    (outcome,) = ExtractionStage(ExtractionConfig(**settings))([document])
    return outcome


def test_the_main_content_keeps_its_form_and_loses_what_surrounds_it():
    text = extract(PAGE).text
    assert text.startswith("A title") and text.count(PROSE) == 2
    assert "def f(x):\n    if x < 3:\n        return  1\n\n    return 2" in text
    assert "name\t\tsize\niron\t\t17" in text and "1. first" in text
    for unwanted in (
        "hidden",
        "color",
        "remark",
        "Elsewhere",
        "Nice page",
        "rights",
        "Under the picture",
        "alternative",
    ):
        assert unwanted not in text, unwanted


@pytest.mark.parametrize("head", ["<html><head></head><body class='x'>", "<head></head>", "<HTML><BODY>"])
def test_lists_right_below_the_body_are_kept(head: str):
    text = extract(
        f"{head}<p>{PROSE}</p><ul><li>one thing</li><li>two<ul><li>deeper</li></ul></li></ul><p>{PROSE}</p>"
    ).text
    assert "\u2022 one thing" in text and "\u2022 two" in text and "\u2022 deeper" in text and text.count(PROSE) == 2


def test_each_extractor_takes_its_own():
    everything = extract(PAGE, extractor=Extractor.all_text).text
    assert (
        "Elsewhere" in everything
        and "rights" in everything
        and "hidden" not in everything
        and "remark" not in everything
    )
    assert extract(PAGE, extractor=Extractor.none).text == PAGE.strip()
    pytest.importorskip("trafilatura")
    text = extract(PAGE, extractor=Extractor.trafilatura).text
    assert PROSE in text and "    if x < 3:" in text and "Elsewhere" not in text and "Nice page" not in text


def test_skipped_elements_are_the_config_s():
    page = PAGE.replace("<pre>", "<div class='photo-caption'>A house by the river</div><pre>")
    assert "A house by the river" in extract(page, skip=[]).text and "A house" not in extract(page).text
    text = extract(PAGE, skip=["h1", "table"]).text
    assert "A title" not in text and "iron" not in text.replace("salt and iron", "")
    state = PAGE.replace("<body>", '<body class="cookie-accepted">').replace("<article>", '<article class="gallery">')
    assert extract(state).text == extract(PAGE).text, "classes of the page itself are no reason to skip it"


def test_documents_that_are_text_already_are_unchanged_and_labels_are_used_up():
    plain = Document("x < y", "a")
    page = Document("", "b", url="http://b", markup=PAGE.encode(), labels={"charset": "utf-8", "kind": "page"})
    first, second = ExtractionStage(ExtractionConfig())([plain, page])
    assert first is plain
    assert (second.name, second.url, second.markup, second.labels) == ("b", "http://b", b"", {"kind": "page"})


def test_pages_without_text_and_large_pages_are_dropped_with_what_was_measured():
    empty = extract("<html><body><script>x</script></body></html>")
    assert (empty.reason, empty.detail) == ("extraction.empty", "no text in 44 bytes")
    large = extract(PAGE, max_page_bytes=100)
    assert large.reason == "extraction.too_large" and large.detail == f"{len(PAGE)} bytes, at most 100"
    assert large.document.markup == PAGE.encode()


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "iso-8859-2", "shift_jis", "iso-2022-jp"]
)
def test_an_encoding_is_known_from_the_bytes_the_server_or_the_page(encoding: str):
    words = {"shift_jis": "\u65e5\u672c\u8a9e\u306e\u6587\u7ae0", "iso-2022-jp": "\u65e5\u672c\u8a9e\u306e\u6587\u7ae0"}
    text = words.get(encoding, "Gr\u00fc\u00dfe aus K\u00f6ln")
    assert text in decode_page(f"<p>{text}".encode(encoding), declared=encoding.removesuffix("-sig"))
    if not encoding.startswith("utf-16"):
        page = f'<html><head><meta charset="{encoding.removesuffix("-sig")}"></head><p>{text}'
        assert text in decode_page(page.encode(encoding))
    assert text in extract(f"<p>{text}".encode(encoding), charset=encoding, extractor=Extractor.all_text).text


def test_a_server_that_is_wrong_about_utf8_is_not_believed_and_any_bytes_decode():
    assert "na\u00efve" in decode_page("na\u00efve \u20ac".encode(), declared="iso-8859-1")
    assert "caf\u00e9" in decode_page(b"<p>caf\xe9 cr\xe8me", declared="utf-8")
    assert "caf\u00e9" in decode_page(b"<p>caf\xe9 cr\xe8me", declared="klingon")
    generator = random.Random(0)
    for _ in range(200):
        decode_page(generator.randbytes(generator.randrange(200)), declared="utf-16").encode()


def test_what_a_parser_raises_ends_one_page(monkeypatch: pytest.MonkeyPatch):
    def fails(markup: str) -> str:
        if "bad" in markup:
            raise RuntimeError("broken\npage")
        return markup

    monkeypatch.setattr(extraction, "extractor_of", lambda config: fails)
    pages = [Document("", name, markup=name.encode()) for name in ("good", "bad", "fine")]
    first, second, third = ExtractionStage(ExtractionConfig())(pages)
    assert (first.text, third.text) == ("good", "fine")
    assert (second.reason, second.detail) == ("extraction.failed", "RuntimeError: broken page")


def test_an_absent_library_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(extraction.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(ValueError, match=r"extractor=trafilatura needs trafilatura.*pip install 'mai1\[web\]'"):
        ExtractionStage(ExtractionConfig(extractor=Extractor.trafilatura))
    stage = ExtractionStage(ExtractionConfig())
    assert stage([Document("x", "a")]), "text needs no library"
    with pytest.raises(ValueError, match=r"web pages needs resiliparse"):
        stage([Document("", "a", markup=b"<p>x")])


def test_libraries_are_imported_only_when_they_are_used():
    code = "import sys; import data_prep.stages.extraction, data_prep.reading.listing; print(sorted(sys.modules))"
    import subprocess

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not [
        name for name in ("resiliparse", "trafilatura", "fastwarc", "lxml", "datasets") if f"'{name}'" in loaded
    ]


@pytest.mark.parametrize(
    ("page", "detail"),
    [
        ("<div>" * 100_000, "elements nested 100000 deep, at most 2000"),
        ("<div></span>" * 100_000, "elements nested 100000 deep, at most 2000"),
        ("</div>" * 5000 + "<div>" * 3000, "elements nested 3000 deep, at most 2000"),
        ("<div>" * 1000 + "<b></b>" * 60_000, "depths of all tags add up to"),
        ("<p " + " ".join(f"a{number}=1" for number in range(50_000)) + ">", "a tag with 50001 attributes"),
        ("<p " + " ".join(f"<a{number}" for number in range(50_000)), "a tag with 50018 attributes"),
    ],
)
def test_pages_that_would_hold_up_a_parser_are_dropped(page: str, detail: str):
    outcome = extract(page + PROSE)
    assert outcome.reason == "extraction.failed" and detail in outcome.detail


def test_scripts_and_long_lists_are_no_reason_to_drop_a_page():
    loops = "for (i=0; i<n; i++) { s += '<div><span>' }\n" * 5000
    words = "<script>var s = '<p " + "a b " * 9000 + "'</script>"
    items = "".join(f"<li>item {number}<br>" for number in range(20_000))
    page = PAGE.replace("</head>", f"<script>{loops}</script>{words}</head>").replace("<h1>", f"<ul>{items}</ul><h1>")
    assert fault_of_markup(page.encode()) == "" and PROSE in extract(page).text


def test_estimated_depths_equal_a_walk_over_the_tags():
    def depths(markup: bytes) -> list[int]:
        opened, found = {}, []
        for tag in re.finditer(rb"<(/?)([A-Za-z][A-Za-z0-9]{0,3})?", markup):
            name = (tag[2] or b"").lower().decode()
            if name and name not in markup_limits.NEVER_NESTED:
                change = (-1 if opened.get(name) else 0) if tag[1] else 1
                opened[name] = opened.get(name, 0) + change
                found.append(sum(opened.values()))
        return found

    generator = random.Random(0)
    tags = [
        "<div>",
        "</div>",
        "<A>",
        "</a>",
        "<b x>",
        "</b>",
        "<",
        "x",
        "<br>",
        "<p>",
        "</p>",
        "</span>",
        "<span1>",
        "<!--",
    ]
    for _ in range(500):
        markup = "".join(generator.choices(tags, k=generator.randrange(30))).encode()
        padded = np.frombuffer(markup + b"\x00" * 5, dtype=np.uint8)
        assert markup_limits._depths(padded).tolist() == depths(markup), markup


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_page_bytes": 0}, r"max_page_bytes=0 must be at least 1"),
        ({"skip": ["footer", " "]}, r"skip=\[' '\] must be CSS"),
    ],
)
def test_wrong_settings_are_refused(settings: dict, message: str):
    with pytest.raises(ValueError, match=rf"extraction\.{message}"):
        ExtractionConfig(**settings)
