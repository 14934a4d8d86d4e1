"""The page and the file of an arena."""

import json
from pathlib import Path

import pytest

from mai1.arena.battles import Judgement
from mai1.arena.leaderboard import position_bias, write_leaderboard
from mai1.arena.ranking import RankingConfig, rate
from mai1.arena.strengths import separate_groups

HOSTILE = "<script>alert(1)</script>"
JUDGEMENTS = [Judgement(str(i), "a", "b", ("left", "left", "right", "tie", "skip")[i % 5], "person") for i in range(40)]


def test_the_left_sides_share_is_that_of_counting():
    bias = position_bias(JUDGEMENTS)
    assert (bias.wins, bias.battles, bias.asked_twice) == (16, 24, 0)
    assert bias.rate == pytest.approx(2 / 3) and bias.low < 2 / 3 < bias.high
    assert position_bias([]).rate == 0.5


def test_a_judge_asked_in_both_orders_shows_its_bias_in_each():
    always_first = Judgement("1", "a", "b", "tie", "api:x", swapped="right", first="left")
    fair = Judgement("2", "a", "b", "left", "api:x", swapped="left", first="left")
    bias = position_bias([always_first, fair])
    assert (bias.wins, bias.battles, bias.disagreed, bias.asked_twice) == (3, 4, 1, 2)


def test_page_and_file_say_the_same(tmp_path: Path):
    ratings = rate(JUDGEMENTS, RankingConfig(bootstrap_rounds=20))
    page = write_leaderboard(tmp_path, ratings, JUDGEMENTS, groups=separate_groups(JUDGEMENTS), title="Spring")
    facts = json.loads((tmp_path / "leaderboard.json").read_text())
    assert [entry["model"] for entry in facts["ratings"]] == ["a", "b"]
    assert facts["judges"] == {"person": 40} and facts["skipped"] == 8 and facts["judgements"] == 40
    text = page.read_text()
    assert "Spring" in text and f"{facts['ratings'][0]['rating']:,.0f}" in text and "66.7%" in text


def test_no_name_becomes_markup_and_nothing_is_loaded(tmp_path: Path):
    judgements = [Judgement(HOSTILE, HOSTILE, "b", "left", HOSTILE)]
    page = write_leaderboard(
        tmp_path,
        rate(judgements, RankingConfig(bootstrap_rounds=5)),
        judgements,
        groups=separate_groups(judgements),
        title=HOSTILE,
    )
    text = page.read_text()
    assert HOSTILE not in text and "&lt;script&gt;" in text
    assert "default-src 'none'" in text and "http://" not in text and "https://" not in text


def test_an_arena_of_ties_alone_has_a_page(tmp_path: Path):
    judgements = [Judgement(str(i), "a", "b", "tie", "equal") for i in range(3)]
    ratings = rate(judgements, RankingConfig(bootstrap_rounds=5))
    assert ratings[0].rating == pytest.approx(ratings[1].rating)
    assert (
        "Every battle was a tie"
        in write_leaderboard(tmp_path, ratings, judgements, groups=separate_groups(judgements), title="x").read_text()
    )


def test_models_that_battles_cannot_compare_are_said_to_be_such(tmp_path: Path):
    judgements = [Judgement(str(i), "best", "worst", "left", "person") for i in range(5)]
    groups, ratings = separate_groups(judgements), rate(judgements, RankingConfig())
    page = write_leaderboard(tmp_path, ratings, judgements, groups=groups, title="x").read_text()
    assert "do not say how far apart best | worst are" in page
    assert json.loads((tmp_path / "leaderboard.json").read_text())["groups"] == [["best"], ["worst"]]
    both = [*judgements, Judgement("6", "best", "worst", "right", "person")]
    ratings = rate(both, RankingConfig(bootstrap_rounds=5))
    page = write_leaderboard(tmp_path, ratings, both, groups=separate_groups(both), title="x").read_text()
    assert "do not say" not in page
