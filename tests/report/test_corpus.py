"""The corpus page states what was prepared, survives what is missing or torn, and lets no text become code."""

import json
import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from mai1.report.corpus import build_corpus_report
from mai1.report.corpus_funnel import funnel_of, order_of
from mai1.report.corpus_overview import summary
from mai1.report.corpus_records import read_corpus
from tests.report.test_report import ATTACK, STRANGE, replaced, rows_of, tags_of
from tests.support.corpus_directory import write_corpus, write_json

JSON_FILES = ["manifest.json", "curation.json", "instruct/statistics.json", "train/web.json"]
LINE_FILES = ["dropped_samples.jsonl", "kept_samples.jsonl"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus")


def page_of(directory: Path) -> str:
    text = build_corpus_report(directory).read_text(encoding="utf-8")
    assert "could not be drawn" not in text, re.findall("[^>]*could not be drawn[^<]*", text)
    return text


def section_of(text: str, name: str) -> str:
    return text[text.index(f'id="{name}"') :].split("</section>")[0]


def test_the_headline_states_the_figures_of_the_manifest(corpus: Path) -> None:
    text = page_of(corpus)
    assert re.findall(r'<span class="value">([^<]*)', text) == ["70", "14kB", "3.5k", "4.000", "100", "10", "7", "2"]
    assert "61.4% of 114" in text and "Corpus of web and books" in text
    assert "No licence is stated for web" in text and "gopher.few_words drops" not in text


def test_the_funnel_adds_up_in_the_order_of_the_stages(corpus: Path) -> None:
    figures = funnel_of(read_corpus(corpus))
    reasons = [loss.reason for loss in figures.losses]
    assert reasons == [
        *("input.not_json", "extraction.failed", "inside documents", "gopher.few_words", "contamination.quiz"),
        *("dedup.near", "scores.usual.low", "dedup.passages"),
    ]
    assert figures.found.documents == 100 + 4 + 10 and figures.found.bytes == 46_000
    assert figures.kept.documents == 70 and figures.kept.tokens == 3500
    lost = {loss.reason: loss.total for loss in figures.losses}
    assert lost["inside documents"].bytes == 40_000 - 4000 - 3000 - 15_000
    assert lost["dedup.passages"].bytes == 15_000 - 6500 - 8000
    assert lost["gopher.few_words"].tokens == 2000 / 4
    assert lost["extraction.failed"].tokens == 4000 * (18 / 36) / 4  # half of other pages was markup
    rows = rows_of(section_of(page_of(corpus), "funnel"))
    assert ["Gopher rules", "20", "17.5%", "85", "22kB", "5.5k"] in rows
    assert ["kept", "", "", "70", "14kB", "3.5k"] in rows
    assert ["dedup.near", "web", "10", "8.8%", "5kB", "1.25k"] in rows


def test_an_unknown_reason_comes_last_and_is_not_lost() -> None:
    reasons = ["magic.rule", "dedup.passages", "limit.max_bytes", "url.ip_host", "dedup.exact"]
    assert sorted(reasons, key=order_of) == [
        "url.ip_host",
        "dedup.exact",
        "limit.max_bytes",
        "dedup.passages",
        "magic.rule",
    ]


def test_what_was_dropped_stands_next_to_what_was_kept_with_its_measure(corpus: Path) -> None:
    text = section_of(page_of(corpus), "samples")
    pairs = re.findall(r'<div class="sides">(.*?)</pre></div></div>', text, re.DOTALL)
    assert any(
        "words=31, at least 50" in pair and "the text of page 1" in pair and "kept · web · kept" in pair
        for pair in pairs
    )
    assert "gopher.few_words: 20 documents, mostly in web" in text and "copy of web: page 4" in text
    assert "input.not_json" not in text


def test_tables_state_languages_changes_contamination_scores_and_sources(corpus: Path) -> None:
    rows = rows_of(page_of(corpus))
    assert ["en", "70", "57", "14kB", "7.9kB", "98.8%"] in rows
    assert ["pii.email", "personal data replaced", "web", "7", "4"] in rows
    assert ["dedup.passages.characters", "repeated passages cut", "web", "520", "9"] in rows
    assert ["quiz", "25", "5", "2", "10.0%", "2", "2"] in rows and ["quiz", "item 17", "2"] in rows
    assert ["5.0%", "-2.5", "4", "2.5%"] in rows and ["all", "-2.5", "–", "80", "3", "0"] in rows
    assert ["web", "55.9%", "1,900", "100", "8kB", "4.000", "60", "60.0%"] in rows
    assert ["books", "CC0-1.0", "a library", "books/*.txt", "10", "cdcdcdcdcdcdcdcd"] in rows
    assert ["web", "not stated", "not stated", "crawl/", "1", "abababababababab"] in rows
    assert ["input.not_json", "web", "4", "3.5%"] in rows and ["web", "crawl/0.jsonl:7", "Expecting value"] in rows
    assert ["talks", "not stated", "instruct.broken 2", "12", "10", "1", "800", "25.0%"] in rows
    assert ["rules.gopher.enabled", "true"] in rows and ["sources.web.text_field", "body"] in rows
    assert not any(row[:1] == ["sources.web.path"] for row in rows)


def test_scores_show_limits_and_documents_at_every_height(corpus: Path) -> None:
    text = section_of(page_of(corpus), "scores")
    assert "lowest -2.5" in text and "80 documents have a score, 3 have none and pass" in text
    assert "score -3 · dropped: scores.usual.low" in text and "score -0.75 · kept" in text
    assert "1.0% of the documents are lower" in text and "dropped_otherwise: 3" in text


def test_clusters_are_shown_with_their_members(corpus: Path) -> None:
    text = section_of(page_of(corpus), "copies")
    assert "9 near copies; the first 2" in text and "second twin" in text and "2 to 3" in text and "8 to 15" in text


def test_a_language_of_which_nothing_is_left_is_named(corpus: Path) -> None:
    assert "Nothing of" not in page_of(corpus)
    figures = json.loads((corpus / "curation.json").read_text())
    figures["languages"]["ja"] = {"documents": 42, "kept": 0}
    write_json(corpus / "curation.json", figures)
    assert "Nothing of ja was kept" in page_of(corpus)


def test_the_console_says_the_same_in_short(corpus: Path) -> None:
    assert summary(read_corpus(corpus)) == [
        f"{corpus} (corpus)",
        "  documents     70 kept of 114",
        "  text          14kB, 3,500 tokens, 4.000 bytes per token",
        "  held out      3 documents, 100 tokens",
        "  dropped       gopher.few_words 20, dedup.near 10, extraction.failed 5, input.not_json 4",
    ]


def test_the_page_does_not_depend_on_the_place_or_the_time(corpus: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(corpus, tmp_path / "elsewhere"))
    assert page_of(corpus) == page_of(other)


def test_an_empty_directory_says_what_is_absent(tmp_path: Path) -> None:
    text = page_of(tmp_path)
    for missing in (
        "No manifest.json",
        "names no sources",
        "No samples",
        "No scorers",
        "No near-duplicates",
        "no evaluation set",
    ):
        assert missing in text


@pytest.mark.parametrize("missing", [*JSON_FILES, *LINE_FILES, "inputs.txt", "instruct", "train"])
def test_any_part_may_be_missing(corpus: Path, missing: str) -> None:
    path = corpus / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page_of(corpus)


@pytest.mark.parametrize("torn", [*JSON_FILES, *LINE_FILES])
def test_any_file_may_be_torn_at_any_byte(corpus: Path, torn: str) -> None:
    whole = (corpus / torn).read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 6)):
        (corpus / torn).write_bytes(whole[:length])
        page_of(corpus)


@pytest.mark.parametrize("strange", STRANGE, ids=lambda value: str(value)[:12] or "empty")
@pytest.mark.parametrize("name", JSON_FILES)
def test_no_strange_value_stops_the_page(corpus: Path, name: str, strange: Any) -> None:
    whole = json.loads((corpus / name).read_text())
    for copy in replaced(whole, strange, depth=4):
        write_json(corpus / name, copy)
        page_of(corpus)


@pytest.mark.parametrize("strange", STRANGE, ids=lambda value: str(value)[:12] or "empty")
@pytest.mark.parametrize("name", LINE_FILES)
def test_no_strange_record_stops_the_page(corpus: Path, name: str, strange: Any) -> None:
    lines = (corpus / name).read_text().splitlines()
    for copy in replaced(json.loads(lines[0]), strange, depth=2):
        (corpus / name).write_text("\n".join([*lines, json.dumps(copy), ""]))
        page_of(corpus)


def test_text_from_files_never_becomes_code(corpus: Path) -> None:
    poison_files(corpus)
    found = tags_of(page_of(corpus))
    assert [tag for tag, _ in found if tag in ("script", "img", "iframe", "object", "embed")] == ["script"]
    assert not [name for _, attributes in found for name in attributes if name.startswith("on")]


def poison_files(directory: Path) -> None:
    """Append the attack to every text and to every name that is not one of ours."""
    for name in JSON_FILES:
        write_json(directory / name, poison(json.loads((directory / name).read_text())))
    for name in LINE_FILES:
        lines = [json.dumps(poison(json.loads(line))) for line in (directory / name).read_text().splitlines()]
        (directory / name).write_text("\n".join(lines))


def poison(value: Any) -> Any:
    if isinstance(value, dict):
        names = {"web", "books", "usual", "quiz", "talks", "en", "pii.email", "input.not_json", "17", "instruct.broken"}
        return {(key + ATTACK if key in names or "." in key else key): poison(part) for key, part in value.items()}
    if isinstance(value, list):
        return [poison(part) for part in value]
    return value + ATTACK if isinstance(value, str) else value


def test_the_page_loads_nothing_and_its_drawings_are_well_formed(corpus: Path) -> None:
    text = page_of(corpus)
    assert "http://" not in text and "https://" not in text
    for tag, attributes in tags_of(text):
        assert "src" not in attributes and tag != "link"
        assert attributes.get("href", "#").startswith("#")
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) == 7
    for drawing in drawings:
        ElementTree.fromstring(drawing)
    targets = {attributes["href"][1:] for tag, attributes in tags_of(text) if tag == "a"}
    assert targets == set(re.findall(r'<section id="([a-z]+)"', text))


def test_the_page_is_replaced_whole_and_nothing_else_is_left(corpus: Path) -> None:
    before = {path.name for path in corpus.iterdir()}
    build_corpus_report(corpus).write_text("old")
    assert build_corpus_report(corpus).read_text().startswith("<!doctype html>")
    assert {path.name for path in corpus.iterdir()} == before | {"report.html"}
