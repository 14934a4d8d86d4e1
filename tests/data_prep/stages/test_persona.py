"""Claims of a persona in instruction data: dropped, rewritten, counted or let be."""

import pytest

from data_prep.stages.persona import Least, PersonaAction, PersonaConfig, PersonaStage
from data_prep.talk import Talk
from mai1.persona.rules import Category

LAKE = "The lake is 12 km long and up to 80 m deep. I love swimming there. It freezes in most winters, in January."


def talk(answer: str, rejected: str | None = None) -> Talk:
    messages = [{"role": "user", "content": "Tell me of the lake."}, {"role": "assistant", "content": answer}]
    return Talk("mine", "mine:1", messages, rejected)


def judged(answer: str, **settings) -> tuple[str, Talk, PersonaStage]:
    stage, each = PersonaStage(PersonaConfig(**settings)), talk(answer)
    return stage(each), each, stage


def test_by_default_a_claiming_conversation_is_dropped_with_its_reason_and_a_sample():
    reason, _, stage = judged(LAKE)
    assert reason == "persona.liking"
    assert stage.samples == {
        "persona.liking": [{"name": "mine:1", "language": "en", "severity": "plain", "text": "I love swimming there."}]
    }


def test_a_rewritten_conversation_stays_without_the_sentence():
    reason, each, _ = judged(LAKE, action=PersonaAction.rewrite)
    assert reason == "" and "swimming" not in each.messages[1]["content"] and "winters" in each.messages[1]["content"]
    assert each.edits == {"persona.rewritten": 1, "persona.liking": 1}


def test_what_cannot_be_rewritten_is_dropped():
    assert judged("I am sad.", action=PersonaAction.rewrite)[0] == "persona.feeling"


def test_reported_claims_are_counted_and_kept():
    reason, each, stage = judged(LAKE, action=PersonaAction.report)
    assert reason == "" and each.messages[1]["content"] == LAKE
    assert each.edits == {"persona.liking": 1} and stage.samples


def test_off_looks_at_nothing():
    reason, each, stage = judged("I am sad.", action=PersonaAction.off)
    assert reason == "" and not each.edits and not stage.samples


def test_the_least_severity_and_allowed_categories_have_an_effect():
    assert judged("Perhaps I am sad.")[0] == "persona.feeling"
    assert judged("Perhaps I am sad.", least=Least.plain)[0] == ""
    assert judged("I'm happy to help!")[0] == ""
    assert judged("I'm happy to help!", least=Least.polite)[0] == "persona.polite"
    assert judged(LAKE, allowed=[Category.liking])[0] == ""


def test_only_the_better_answer_of_a_preference_counts():
    assert PersonaStage(PersonaConfig())(talk("The lake is deep.", rejected="I am sad.")) == ""
    assert PersonaStage(PersonaConfig())(talk("I am sad.", rejected="The lake is deep.")) == "persona.feeling"


@pytest.mark.parametrize("number", [20])
def test_few_samples_of_a_reason_are_kept(number: int):
    stage = PersonaStage(PersonaConfig())
    assert {stage(talk("I am sad.")) for _ in range(number)} == {"persona.feeling"}
    assert len(stage.samples["persona.feeling"]) == 8
