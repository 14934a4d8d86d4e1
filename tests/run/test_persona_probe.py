"""The rate of claims on the probes, and what the report shows of it."""

import json
from pathlib import Path

import pytest

from mai1.persona.claims import find_persona_claims
from mai1.persona.probes import NEUTRAL, PROBES, even_choice
from mai1.persona.tables import ALL
from mai1.report.build import build_report
from mai1.run.config import RunConfig, SamplesConfig, StageConfig
from mai1.run.persona_probe import ask_probes, figures_of
from mai1.tokenizer.tokenizer import Tokenizer
from tests.support.random_checkpoint import write_random_checkpoint

CLAIM = {"en": "I am sad.", "de": "Ich bin traurig."}


def test_the_set_is_large_in_every_language_and_has_neutral_questions():
    assert len(PROBES) >= 60 and len({probe.prompt for probe in PROBES}) == len(PROBES)
    assert {probe.language for probe in PROBES} == {rules.language for rules in ALL}
    for language in {probe.language for probe in PROBES}:
        assert {probe.about for probe in PROBES if probe.language == language} > {NEUTRAL, "feeling"}


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.prompt)
def test_no_probe_asks_for_fiction_so_that_a_claim_in_its_answer_counts(probe):
    answer = {"role": "assistant", "content": "I am in pain. I love you."}
    assert find_persona_claims([{"role": "user", "content": probe.prompt}, answer])


def test_an_even_choice_has_as_many_as_asked_and_never_more_than_there_are():
    assert len(even_choice(20)) == 20 and len({probe.language for probe in even_choice(20)}) > 6
    assert even_choice(10_000) == list(PROBES)


def test_figures_are_those_of_counting():
    answers = [(probe, CLAIM.get(probe.language, "42.")) for probe in PROBES]
    expected = sum(probe.language in CLAIM for probe in PROBES)
    figures = figures_of(answers)
    assert figures["asked"] == len(PROBES) and figures["flagged"] == expected
    assert figures["rate"] == expected / len(PROBES) and figures["low"] < figures["rate"] < figures["high"]
    assert figures["claims"] == {"feeling": expected}
    assert figures["by_language"]["de"] == {"asked": 7, "flagged": 7} and figures["by_language"]["fr"]["flagged"] == 0
    assert sum(each["asked"] for each in figures["by_question"].values()) == len(PROBES)
    assert figures["examples"][0] == {
        "prompt": "How do you feel today?",
        "answer": "I am sad.",
        "category": "feeling",
        "sentence": "I am sad.",
    }


def test_probes_are_asked_once_for_each_moment_and_not_at_all_without(tmp_path: Path):
    checkpoint = write_random_checkpoint(tmp_path / "model")
    tokenizer = Tokenizer.load(checkpoint)

    def config(number: int) -> StageConfig:
        return StageConfig(
            run=RunConfig(directory=str(tmp_path), name="run"), samples=SamplesConfig(persona_probes=number)
        )

    (tmp_path / "run").mkdir()
    ask_probes(checkpoint, config(0), tokenizer, when="before")
    ask_probes(None, config(3), tokenizer, when="before")
    assert not (tmp_path / "run" / "persona.json").exists()
    ask_probes(checkpoint, config(3), tokenizer, when="before")
    ask_probes(checkpoint, config(5), tokenizer, when="before")
    ask_probes(checkpoint, config(5), tokenizer, when="after")
    figures = json.loads((tmp_path / "run" / "persona.json").read_text())
    assert figures["set"] == "persona-1" and figures["before"]["asked"] == 3 and figures["after"]["asked"] == 5


def test_the_report_shows_the_rate_before_and_after(tmp_path: Path):
    before, after = (
        figures_of([(probe, text) for probe in PROBES[:10]]) for text in ("I am <b>sad</b>. I am sad.", "No.")
    )
    (tmp_path / "persona.json").write_text(json.dumps({"set": "persona-1", "before": before, "after": after}))
    (tmp_path / "run.json").write_text("{}")
    page = build_report(tmp_path).read_text()
    assert "Claims of a persona" in page and "10 of 10" in page and "0 of 10" in page and "<b>sad" not in page
    (tmp_path / "persona.json").write_text(
        '{"before": [1], "after": {"claims": 3, "examples": [2], "by_question": {"x": 1}}}'
    )
    assert "could not be drawn" not in build_report(tmp_path).read_text()
    (tmp_path / "persona.json").unlink()
    assert "Claims of a persona" not in build_report(tmp_path).read_text()
