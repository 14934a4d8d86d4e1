"""The inspection page: figures equal slow loops, the page says what was counted, and no text becomes code."""

import math
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from mai1.report import inspect_overview, inspect_text
from mai1.report.inspect import build_inspection
from mai1.report.inspect_figures import (
    characteristic_tokens,
    count_choices,
    entropy,
    information_about,
    layer_figures,
    lifts,
    mutual_information,
)
from mai1.report.inspect_input import Inspection, Layer, Passage

NUM_TOKENS, NUM_EXPERTS, NUM_CHOICES = 600, 6, 2
NAMES = ["def", " x", "\n", "(", "\t", " <b>&", "é", "'\"", "end", " of"]
SOURCES = ["code", "prose", "docs"]
ATTACK = "</p></style></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


def make_layer(number: int, *, seed: int, unused: int | None = None) -> Layer:
    """Random choices of distinct experts; one expert may be left out."""
    rng = np.random.default_rng(seed)
    order = rng.random((NUM_TOKENS, NUM_EXPERTS))
    if unused is not None:
        order[:, unused] = 2
    experts = order.argsort(axis=1)[:, :NUM_CHOICES].astype(np.int16)
    return Layer(number=number, num_experts=NUM_EXPERTS, experts=experts, weights=rng.random(experts.shape))


@pytest.fixture
def inspection() -> Inspection:
    """Two layers, three sources; the first 40 tokens are shown and not surveyed."""
    rng = np.random.default_rng(0)
    return Inspection(
        title="spruce",
        subtitle="runs/spruce",
        notes=["The text was cut."],
        token_names=NAMES,
        tokens=rng.integers(0, len(NAMES), NUM_TOKENS),
        source_names=SOURCES,
        sources=rng.integers(0, len(SOURCES), NUM_TOKENS),
        layers=[make_layer(3, seed=1), make_layer(5, seed=2, unused=4)],
        passages=[Passage(title="my text", first=0, end=40)],
        is_surveyed=np.arange(NUM_TOKENS) >= 40,
        survey="held-out text",
        min_count=5,
    )


def page_of(inspection: Inspection, tmp_path: Path) -> str:
    path = tmp_path / "inspect.html"
    build_inspection(inspection, path)
    assert [file.name for file in tmp_path.iterdir()] == ["inspect.html"]
    return path.read_text(encoding="utf-8")


def panels_of(page: str) -> dict[int, str]:
    """The part of the page for each layer."""
    starts = [(int(found[1]), found.start()) for found in re.finditer(r'<div class="panel panel-(\d+)">', page)]
    ends = [start for _, start in starts[1:]] + [page.index('id="overview"')]
    return {number: page[start:end] for (number, start), end in zip(starts, ends, strict=True)}


def test_counts_and_lifts_equal_a_loop_over_choices(inspection: Inspection) -> None:
    layer = inspection.layers[0]
    counts = count_choices(layer.experts, inspection.tokens, num_experts=NUM_EXPERTS, num_labels=len(NAMES))
    slow: Counter = Counter()
    for token, experts in zip(inspection.tokens.tolist(), layer.experts.tolist(), strict=True):
        for expert in experts:
            slow[expert, token] += 1
    all_lifts = lifts(counts)
    for expert in range(NUM_EXPERTS):
        share = sum(slow[expert, token] for token in range(len(NAMES))) / (NUM_TOKENS * NUM_CHOICES)
        for token in range(len(NAMES)):
            assert counts[expert, token] == slow[expert, token]
            of_token = sum(slow[other, token] for other in range(NUM_EXPERTS))
            assert all_lifts[expert, token] == pytest.approx(slow[expert, token] / of_token / share)


def test_characteristic_tokens_are_those_of_highest_lift_that_are_frequent_enough() -> None:
    counts = np.array([[40, 9, 3, 30, 0], [0, 1, 0, 30, 17]])
    first, second = characteristic_tokens(counts, min_count=5, limit=2)
    assert [(share.token, share.count) for share in first] == [
        (0, 40),
        (1, 9),
    ]  # the third is too rare, the fourth common
    assert first[0].lift == pytest.approx(1 / (82 / 130))
    assert [(share.token, share.count) for share in second] == [(4, 17), (3, 30)]
    assert [share.token for share in characteristic_tokens(counts, min_count=1, limit=9)[0]] == [0, 2, 1]


def test_mutual_information_equals_its_definition() -> None:
    counts = np.random.default_rng(3).integers(0, 9, (4, 5))
    total = counts.sum()
    slow = sum(
        counts[row, column]
        / total
        * math.log2(counts[row, column] * total / (counts[row].sum() * counts[:, column].sum()))
        for row in range(4)
        for column in range(5)
        if counts[row, column]
    )
    assert mutual_information(counts) == pytest.approx(slow)
    assert mutual_information(np.diag([7, 7, 7, 7])) == pytest.approx(2.0)
    assert mutual_information(np.ones((3, 4), dtype=np.int64)) == pytest.approx(0.0, abs=1e-12)
    assert entropy(np.array([3, 3, 0, 3, 3])) == pytest.approx(2.0) and entropy(np.zeros(3, dtype=np.int64)) == 0


def test_chance_is_no_information_and_full_knowledge_is_all_of_it() -> None:
    rng = np.random.default_rng(4)
    layer, labels = make_layer(0, seed=5), rng.integers(0, 200, NUM_TOKENS)
    counts = count_choices(layer.experts, labels, num_experts=NUM_EXPERTS, num_labels=200)
    assert mutual_information(counts) > 0.3  # few tokens for so many labels
    assert information_about(labels, counts, layer).bits < 0.1
    knows = replace(layer, experts=layer.experts[:, :1])
    counts = count_choices(knows.experts, knows.experts[:, 0], num_experts=NUM_EXPERTS, num_labels=NUM_EXPERTS)
    found = information_about(knows.experts[:, 0], counts, knows)
    assert found.share > 0.97 and found.bits == pytest.approx(math.log2(NUM_EXPERTS), abs=0.05)


def test_figures_are_of_the_surveyed_tokens_alone(inspection: Inspection) -> None:
    first, second = layer_figures(inspection)
    assert (first.number, second.number) == (3, 5)
    assert first.unused == [] and second.unused == [4]
    for figures, layer in zip((first, second), inspection.layers, strict=True):
        surveyed = layer.experts[40:].ravel().tolist()
        np.testing.assert_allclose(figures.load, [surveyed.count(e) / len(surveyed) for e in range(NUM_EXPERTS)])
        assert figures.by_source.sum() == len(surveyed)
        for expert, shares in enumerate(figures.characteristic):
            for share in shares:
                at = inspection.tokens[40:] == share.token
                assert share.count == (layer.experts[40:][at] == expert).sum() >= 5


def test_each_layer_shows_every_token_in_the_colour_of_its_first_expert(inspection: Inspection, tmp_path: Path) -> None:
    panels = panels_of(page_of(inspection, tmp_path))
    assert list(panels) == [3, 5]
    for layer in inspection.layers:
        spans = re.findall(r'<span class="x(\d+)" data-tip="([^"]*)">', panels[layer.number])
        assert len(spans) == 40
        for place, (colour, tip) in enumerate(spans):
            by_weight = sorted(zip(layer.weights[place], layer.experts[place], strict=True), reverse=True)
            assert int(colour) == by_weight[0][1]
            assert tip.endswith("→ expert " + ", ".join(f"{expert} ({weight:.2f})" for weight, expert in by_weight))


def test_the_page_says_what_was_counted(inspection: Inspection, tmp_path: Path) -> None:
    page = page_of(inspection, tmp_path)
    panels, figures = panels_of(page), layer_figures(inspection)
    assert "Never taken: 4." in panels[5] and "Never taken: " not in panels[3]
    assert "The text was cut." in page and "560" in page
    for layer in figures:
        shares = re.findall(r"<td>(\d+\.\d)%</td>", panels[layer.number])
        assert [float(share) for share in shares] == [round(100 * load, 1) for load in layer.load if load]
        for share in (share for shares in layer.characteristic for share in shares):
            assert f"{share.lift:.1f}× {share.count}</small>" in panels[layer.number]
        assert f"{layer.about_token.bits:.3f} (" in page and f"{layer.about_source.bits:.3f} (" in page
        drawing = re.search(rf"<b>Layer {layer.number}</b>.*?(<svg.*?</svg>)", page)[1]
        assert drawing.count("<rect") == len(SOURCES) * (layer.load > 0).sum()
        ratio = lifts(layer.by_source)[1, 2]
        assert f"expert 1, docs: lift {ratio:.2f}" in drawing


def test_one_source_is_not_compared_with_itself(inspection: Inspection, tmp_path: Path) -> None:
    alone = replace(inspection, source_names=["text"], sources=np.zeros_like(inspection.sources))
    page = page_of(alone, tmp_path)
    assert "from one source" in page and 'class="map"' not in page and 'class="mix"' not in page


def test_a_page_stays_within_its_budget_and_says_so(
    inspection: Inspection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect_text, "MAX_SPANS", 50)
    monkeypatch.setattr(inspect_overview, "MAX_TIPS", 10)
    page = page_of(inspection, tmp_path)
    assert "The first 25 of 40 tokens are shown." in page
    assert panels_of(page)[3].count("→ expert") == 25
    assert 'class="map"' in page and "lift 1" not in page


class Tags(HTMLParser):
    """Collects the elements and attributes that a browser would see, and the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_hostile_text_stays_text(inspection: Inspection, tmp_path: Path) -> None:
    hostile = replace(
        inspection,
        title=ATTACK,
        subtitle=ATTACK,
        notes=[ATTACK],
        token_names=[name + ATTACK for name in NAMES[:-1]] + ["<script>"],
        source_names=[name + ATTACK for name in SOURCES],
        survey=ATTACK,
        passages=[Passage(title=ATTACK, first=0, end=40)],
    )
    page = page_of(hostile, tmp_path)
    parser = Tags()
    parser.feed(page)
    assert [tag for tag, _ in parser.found if tag in ("script", "img", "iframe", "object", "embed", "link")] == [
        "script"
    ]
    assert not [name for _, attributes in parser.found for name in attributes if name.startswith("on")]
    assert "&lt;script&gt;" in page and "http" not in page.replace("http-equiv", "")
    plain = Tags()
    plain.feed(page_of(inspection, tmp_path))
    assert [tag for tag, _ in parser.found] == [tag for tag, _ in plain.found]
