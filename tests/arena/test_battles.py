"""Who meets whom, on which side, and the file that remembers what was decided."""

from collections import Counter
from pathlib import Path

import pytest

from mai1.arena.battles import Judgement, JudgementFile, Prompt, schedule, still_open

PROMPTS = [Prompt(str(i), [{"role": "user", "content": f"question {i}"}]) for i in range(200)]
ANSWERS = {model: {p.name: f"{model} says {p.name}" for p in PROMPTS} for model in ("a", "b", "c")}


def test_every_pair_meets_once_on_every_prompt_and_sides_are_even():
    battles = schedule(PROMPTS, ANSWERS, seed=0)
    assert len(battles) == len({battle.key for battle in battles}) == 600
    for battle in battles:
        assert battle.left_answer.startswith(battle.left) and battle.right_answer.startswith(battle.right)
    left = Counter(battle.left for battle in battles if {battle.left, battle.right} == {"a", "b"})
    assert 70 < left["a"] < 130


def test_the_seed_decides_order_and_sides():
    assert schedule(PROMPTS, ANSWERS, seed=1) == schedule(PROMPTS, ANSWERS, seed=1)
    assert schedule(PROMPTS, ANSWERS, seed=1) != schedule(PROMPTS, ANSWERS, seed=2)


def test_a_model_that_comes_later_changes_no_battle_of_the_others():
    before = schedule(PROMPTS, {name: ANSWERS[name] for name in ("a", "b")}, seed=0)
    after = [battle for battle in schedule(PROMPTS, ANSWERS, seed=0) if "c" not in (battle.left, battle.right)]
    assert before == after


def test_a_prompt_that_one_model_did_not_answer_is_no_battle():
    answers = {"a": {"0": "x", "1": "y"}, "b": {"1": "z"}}
    assert [battle.prompt.name for battle in schedule(PROMPTS, answers, seed=0)] == ["1"]


def test_what_was_judged_is_not_asked_again(tmp_path: Path):
    battles = schedule(PROMPTS[:3], ANSWERS, seed=0)
    file = JudgementFile(tmp_path / "battles.jsonl")
    for battle in battles[:4]:
        file.add(Judgement(battle.prompt.name, battle.left, battle.right, "left", "person"))
    again = JudgementFile(tmp_path / "battles.jsonl")
    assert again.judgements == file.judgements
    assert still_open(battles, again.judgements) == battles[4:]


def test_a_torn_line_is_cut_off_and_its_battle_asked_again(tmp_path: Path):
    path = tmp_path / "battles.jsonl"
    file = JudgementFile(path)
    for number in range(3):
        file.add(Judgement(str(number), "a", "b", "tie", "person"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    again = JudgementFile(path)
    assert [each.prompt for each in again.judgements] == ["0", "1"]
    again.add(Judgement("2", "a", "b", "tie", "person"))
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "line", ["nothing", "{}", '{"prompt": "1", "left": "a", "right": "b", "verdict": "maybe", "judge": "x"}']
)
def test_a_line_that_is_no_judgement_is_named(line: str, tmp_path: Path):
    path = tmp_path / "battles.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=r"battles\.jsonl:1 is no judgement .* delete it"):
        JudgementFile(path)
