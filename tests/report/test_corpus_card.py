"""The data card says what a corpus is, where it is from and what it is not, and no text of it becomes markup."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from mai1.report.corpus_card import write_card
from mai1.report.corpus_card_text import code_span, front_matter, markdown, markdown_table
from tests.report.test_corpus import JSON_FILES
from tests.report.test_report import ATTACK, STRANGE, replaced
from tests.support.corpus_directory import manifest, write_corpus, write_json

MARKDOWN_ATTACK = (
    "a|b\n| c | d |\n\n# title\n[link](javascript:alert(1)) ![x](http://evil) `code` <b>&lt;\n---\nlicense: mit"
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus")


def card_of(directory: Path) -> str:
    return write_card(directory).read_text(encoding="utf-8")


def facts_of(card: str) -> dict[str, Any]:
    return yaml.safe_load(card.split("---\n")[1])


def test_the_card_names_sources_licences_settings_and_hashes(corpus: Path) -> None:
    card = card_of(corpus)
    assert f"| books | CC0-1.0 | a library | `books/*.txt` | 10 | `{'cd' * 32}` | 1,500 |" in card
    assert f"| web | **not stated** | **not stated** | `crawl/` | 1 | `{'ab' * 32}` | 1,900 |" in card
    assert "**No licence is stated for web.**" in card
    assert "| `rules.gopher.enabled` | `true` |" in card and "| `sources.web.text_field` | `body` |" in card
    assert f"| `train/web.bin` | `{'webbin'.ljust(64, '0')}` |" in card
    assert "| web | 100 | 60 (60.0%) | 1,900 | 100 | 4.000 |" in card
    assert "| Gopher rules | 20 | 17.5% | 2kB |" in card
    assert "| talks | **not stated** | a forum | 12 | 10 | 800 | 200 |" in card
    assert "of these kinds alone: email, ip." in card and "evaluation sets: quiz." in card
    assert "mai1 pretrain data.path=DIRECTORY" in card


def test_the_front_matter_is_what_the_hub_reads(corpus: Path) -> None:
    facts = facts_of(card_of(corpus))
    assert facts["license"] == "unknown" and facts["language"] == ["en"] and facts["size_categories"] == ["n<1K"]
    assert facts["configs"] == [{"config_name": "instruct", "data_files": "instruct/train.jsonl"}]


@pytest.mark.parametrize(
    ("licences", "stated"),
    [(("MIT", "mit"), "mit"), (("MIT", "CC0-1.0"), "other"), (("own", "own"), "other"), (("MIT", ""), "unknown")],
)
def test_the_licence_is_one_that_all_sources_share(corpus: Path, licences: tuple[str, str], stated: str) -> None:
    content = manifest()
    for entry, licence in zip(content["sources"].values(), licences, strict=True):
        entry["licence"] = licence
    write_json(corpus / "manifest.json", content)
    assert facts_of(card_of(corpus))["license"] == stated


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("contamination", {"tasks": {}}, "It was compared with no evaluation set"),
        ("heldout_fraction", 0, "Nothing is held out."),
        ("dedup", {"minhash": {"is_on": False}}, "Near copies were not looked for."),
        ("tokenizer_from", "old/tokenizer", "taken from `old/tokenizer`"),
    ],
)
def test_the_card_says_what_the_settings_do_not_do(corpus: Path, key: str, value: Any, said: str) -> None:
    content = manifest()
    assert said not in card_of(corpus)
    content["config"][key] = value
    write_json(corpus / "manifest.json", content)
    assert said in card_of(corpus)


def test_the_card_does_not_depend_on_the_place(corpus: Path, tmp_path: Path) -> None:
    assert card_of(corpus) == card_of(Path(shutil.copytree(corpus, tmp_path / "elsewhere")))


def test_text_stays_within_its_cell_and_is_no_markup() -> None:
    table = markdown_table(["name", "path"], [[MARKDOWN_ATTACK, code_span(MARKDOWN_ATTACK)]])
    assert len(table.splitlines()) == 3
    row = table.splitlines()[2]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3
    cell = re.split(r"(?<!\\)\|", row)[1]
    assert not re.search(r"(?<!\\)[\[\]<>`&]", cell) and "\\<b\\>" in cell
    assert row.count("`") - cell.count("`") == 2  # the code span alone
    assert markdown("arc_easy *x*") == r"arc\_easy \*x\*"


def test_front_matter_cannot_be_left_by_a_value() -> None:
    text = front_matter({"pretty_name": MARKDOWN_ATTACK, "tags": [MARKDOWN_ATTACK]})
    assert len(text.splitlines()) == 4
    facts = yaml.safe_load("\n".join(text.splitlines()[1:-1]))
    assert facts == {"pretty_name": MARKDOWN_ATTACK, "tags": [MARKDOWN_ATTACK]}


def test_no_html_of_a_corpus_reaches_the_card(corpus: Path) -> None:
    content = json.loads((corpus / "manifest.json").read_text().replace('"web"', json.dumps("web" + ATTACK)))
    for entry in content["sources"].values():
        entry |= {"licence": ATTACK, "origin": ATTACK, "path": ATTACK, "inputs": {"sha256": ATTACK}}
    content["changed"] = {ATTACK: ATTACK}
    write_json(corpus / "manifest.json", content)
    body = card_of(corpus).split("---\n", 2)[2]
    assert "alert(1)" in body
    assert "<" not in re.sub(r"`[^`]*`|\\<", "", body)


@pytest.mark.parametrize("missing", [*JSON_FILES, "inputs.txt"])
def test_any_file_may_be_missing_or_torn(corpus: Path, missing: str) -> None:
    whole = (corpus / missing).read_bytes()
    (corpus / missing).write_bytes(whole[: len(whole) // 2])
    card_of(corpus)
    (corpus / missing).unlink()
    assert card_of(corpus).endswith("\n")


@pytest.mark.parametrize("strange", STRANGE, ids=lambda value: str(value)[:12] or "empty")
@pytest.mark.parametrize("name", JSON_FILES)
def test_no_strange_value_stops_the_card(corpus: Path, name: str, strange: Any) -> None:
    for copy in replaced(json.loads((corpus / name).read_text()), strange, depth=4):
        write_json(corpus / name, copy)
        card_of(corpus)
