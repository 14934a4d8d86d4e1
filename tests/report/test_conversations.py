"""The report tells what a run was tuned on, source by source."""

import json
from pathlib import Path

import pytest

from mai1.report.build import build_report
from tests.report.conftest import train_record, write_lines, write_run


def figures(conversations: int, *, too_long: int = 0, tokens: int = 1000, supervised: int = 250) -> dict:
    return {
        "conversations": conversations, "kept": conversations - too_long, "too_long": too_long, "cut": 0, "duplicates": 3,
        "tokens": tokens, "supervised_tokens": supervised, "supervised_share": supervised / tokens,
        "answers": {"1": conversations}, "lengths": {"128": conversations - 1, "256": 1}, "longest": 201,
    }  # fmt: skip


def test_sources_are_told_with_what_is_learned_of_them(tmp_path: Path):
    run = write_run(tmp_path / "runs" / "tuned")
    write_lines(run / "metrics.jsonl", [train_record(1)])
    sources = {"forum": figures(90, too_long=7), "wiki": figures(10, supervised=900)}
    train = {"path": "train.jsonl", "all": figures(100, too_long=7, tokens=2000, supervised=1150), "sources": sources}
    (run / "tuning_data.json").write_text(json.dumps({"train": train}))
    page = build_report(run).read_text()
    forum = '<td>forum</td><td class="n">90</td><td class="n">83</td><td class="n">7</td>'
    for words in ("train: train.jsonl", forum, "25.0%", "90.0%", "57.5%"):
        assert words in page, words
    assert "up to 128" in page and "up to 256" in page


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"train": 3}', '{"train": {"sources": {"x": [1], "<blink>": {"lengths": 5}}}}']
)
def test_a_damaged_file_costs_no_more_than_the_section(tmp_path: Path, text: str):
    run = write_run(tmp_path / "runs" / "tuned")
    write_lines(run / "metrics.jsonl", [train_record(1)])
    (run / "tuning_data.json").write_text(text)
    page = build_report(run).read_text()
    assert "Conversations" in page and "<blink>" not in page
