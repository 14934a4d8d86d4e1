"""The lint on labelled cases: how much it finds, what it leaves alone, and that no text makes it slow."""

import json
from collections import Counter
from pathlib import Path

import pytest

from mai1.data.conversation_shapes import is_preference, to_messages, to_preference
from mai1.data.instructions import read_records
from mai1.persona.claims import Severity, claims_of, find_persona_claims, fold
from mai1.persona.rates import wilson
from mai1.persona.rewrite import without_claims
from mai1.persona.rules import Category, expand, shared_prefixes
from mai1.persona.tables import ALL, compiled
from tests.support.growth import is_about_linear

CASES = [
    json.loads(line)
    for name in ("cases", "second", "third")
    for line in Path(f"tests/persona/{name}.jsonl").read_text(encoding="utf-8").splitlines()
]
REAL = Path(__file__).parents[3] / "shared" / "data" / "instruct"
FLOORS = {  # part -> precision and recall below which something broke
    "development": (0.97, 0.95),
    "heldout": (0.97, 0.95),
    "former": (0.97, 0.95),
    "unseen": (0.90, 0.88),
    "second": (0.95, 0.88),
    "third.dev": (0.95, 0.93),
    "third.test": (0.90, 0.79),
}


def talk(answer: str, question: str = "What do you say?") -> list[dict]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def found_in(answer: str, question: str = "What do you say?", least: Severity = Severity.hedged) -> set[str]:
    return {claim.category.value for claim in find_persona_claims(talk(answer, question), least=least)}


def test_the_labelled_set_is_large_and_half_of_it_is_hard_negatives():
    negatives = [case for case in CASES if not case["expected"]]
    assert len(CASES) >= 1230 and len(negatives) >= len(CASES) / 2
    assert len({case["language"] for case in CASES}) == len(ALL) == 9
    assert min(Counter(case["language"] for case in CASES).values()) >= 40
    assert {case["expected"] for case in CASES} == {c.value for c in Category if c is not Category.polite} | {""}
    contents = [json.dumps(case["messages"]) for case in CASES]
    assert len(set(contents)) == len(contents)


@pytest.mark.parametrize("part", FLOORS)
def test_precision_and_recall_stay_above_their_floors(part: str):
    cases = [case for case in CASES if case["part"] == part]
    hits = [bool(find_persona_claims(case["messages"])) for case in cases]
    wanted = [bool(case["expected"]) for case in cases]
    right = sum(hit and want for hit, want in zip(hits, wanted, strict=True))
    precision, recall = FLOORS[part]
    assert right / sum(hits) >= precision
    assert right / sum(wanted) >= recall


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the instruction files")
def test_real_answers_of_assistants_are_left_alone():
    num_answers = num_flagged = 0
    for path in sorted(REAL.glob("*.json*")):
        for _, record in read_records(path):
            try:
                pair = to_preference(record) if is_preference(record) else None
                messages = talk(pair.chosen, pair.messages[-1]["content"]) if pair else to_messages(record)
            except ValueError:
                continue
            num_answers += 1
            num_flagged += bool(find_persona_claims(messages))
    assert num_answers > 9000
    assert num_flagged <= num_answers / 1000


def test_a_claim_says_where_and_what_it_is():
    (claim,) = find_persona_claims(talk("Of course. Honestly, I am sad today! Shall we go on?"))
    assert (claim.category, claim.severity, claim.language) == (Category.feeling, Severity.plain, "en")
    assert claim.message == 1 and claim.sentence == "Honestly, I am sad today!"
    assert "Of course. Honestly, I am sad today!"[claim.start : claim.end] == "I am sad"


def test_only_the_assistant_is_judged():
    said = [{"role": role, "content": "I am sad and I love you."} for role in ("system", "user", "tool")]
    assert find_persona_claims([*said, {"role": "assistant", "content": "Noted."}]) == []


@pytest.mark.parametrize(
    "answer",
    [
        'The robot says: "I am sad."',
        "The robot says: \u201cI am sad.\u201d",
        "> I am sad",
        "```\nI am sad\n```",
        "`I am sad`",
        "Ann: I am sad.\nBob: I am angry.",
        "I am not sad.",
        "I don't think that I am sad.",
        "You asked whether I am sad.",
        "He said I am sad.",
        "If I am sad, the test fails.",
    ],
)
def test_what_surrounds_a_claim_undoes_it(answer: str):
    assert found_in("I am sad.") == {"feeling"}
    assert found_in(answer) == set()


def test_a_clause_of_its_own_is_not_undone_by_its_neighbour():
    assert found_in("I am not a toaster, I am sad.") == {"feeling"}
    assert found_in("He said hello, and I am sad.") == {"feeling"}


def test_what_a_user_asked_for_is_not_the_assistants_voice():
    assert found_in("I am sad.", "Write a poem about rain.") == set()
    assert found_in("I am sad.", "Translate: Je suis triste.") == set()
    assert found_in("I am sad.", "Tell me about rain.") == {"feeling"}
    role = [
        {"role": "system", "content": "Pretend you are a pirate."},
        *talk("I am sad."),
        *talk("I love you.", "And?"),
    ]
    assert find_persona_claims(role) == []
    poem = [
        *talk("I am sad.", "Write a poem."),
        *talk("I am sad again.", "Make it sadder."),
        *talk("I am sad.", "Who won?"),
    ]
    assert [claim.message for claim in find_persona_claims(poem)] == [5]


def test_polite_idioms_are_a_severity_of_their_own():
    answer = "I'm happy to help! I'm afraid that is not possible."
    assert found_in(answer) == set()
    assert found_in(answer, least=Severity.polite) == {"polite"}


def test_hedged_claims_are_told_from_plain_ones():
    answer = "Perhaps I am alive. I am alive."
    claims = find_persona_claims(talk(answer))
    assert [claim.severity for claim in claims] == [Severity.hedged, Severity.plain]
    assert len(find_persona_claims(talk(answer), least=Severity.plain)) == 1


@pytest.mark.parametrize(
    "answer",
    ["I live in Boston.", "I am from Bergen.", "Mi vida vale mucho.", "Ich schlafe schlecht."],
)
def test_a_template_that_ends_in_a_blank_is_followed_by_a_word(answer: str):
    assert found_in(answer) != set()


def test_a_short_cue_is_a_whole_word():
    cues = compiled("en").cues
    assert cues.match("i am") and not cues.match("illness")


def test_a_sentence_that_supposes_a_person_claims_nothing():
    assert found_in("If I had a body, I might be afraid of water.") == set()
    assert found_in("I might be afraid of water.") == {"feeling"}


def test_templates_that_begin_alike_share_their_beginning():
    assert shared_prefixes(("i _ cry", "i _ (?:sob|weep)", "my heart|my soul")) == (
        "i _ (?:cry|(?:sob|weep))|(?:my heart|my soul)"
    )


def test_a_cue_does_not_hide_another_that_begins_within_it():
    assert found_in("Il mio piatto preferito \u00e8 la carbonara.", "Cosa mangi?") == {"liking"}


def test_a_claim_does_not_reach_into_the_next_sentence():
    assert found_in("I spent two steps on it. Yesterday prices fell.") == set()


def test_folding_keeps_every_place():
    text = "\u0130stanbul \u2019 STRASSE \u1e9e \ufb03"
    assert len(fold(text)) == len(text)


HOSTILE = {
    "cues": "I " * 60_000,
    "fillers": "I really " * 20_000,
    "words": "I very really truly so " * 8_000,
    "blanks": "I" + " " * 200_000 + "am",
    "quotes": '"\u201c\u00ab\u300e`' * 30_000,
    "fences": "```" * 50_000,
    "speakers": "Ann: I am sad.\n" * 10_000,
    "one sentence": "I am sad, " * 12_000,
    "newlines": "\n" * 200_000,
    "requests": "write " * 30_000,
    "japanese": "\u79c1\u306f" * 40_000,
    "chinese": "\u6211" * 100_000,
    "russian": "\u044f \u043e\u0447\u0435\u043d\u044c " * 20_000,
    "german": "ich habe so sehr " * 9_000,
    "french": "j'ai tr\u00e8s " * 15_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_as_the_text_does(name: str):
    assert is_about_linear(lambda text: find_persona_claims(talk(text, question=text)), HOSTILE[name])


def test_every_template_begins_where_a_cue_is_and_repeats_nothing_without_a_bound():
    for rules in ALL:
        compiled(rules.language)
        for category, templates in rules.claims.items():
            assert category in Category and len(set(templates)) == len(templates)
            for template in templates:
                pattern = expand(template, rules)
                assert "*" not in pattern and ".+" not in pattern and "\\w+" not in pattern.replace("\\w+ed?", "")


def test_an_answer_loses_its_claiming_sentence_and_stays_an_answer():
    answer = (
        "The lake is 12 km long and up to 80 m deep. I love swimming there. It freezes in most winters, in January."
    )
    messages = talk(answer, "Tell me of the lake.")
    rewritten = without_claims(messages, find_persona_claims(messages))
    assert (
        rewritten[1]["content"] == "The lake is 12 km long and up to 80 m deep. It freezes in most winters, in January."
    )
    assert rewritten[0] == messages[0] and messages[1]["content"] == answer
    assert find_persona_claims(rewritten) == []


def test_a_neutral_sentence_answers_a_question_about_the_assistant():
    messages = talk(
        "I love jazz. It came up in New Orleans around 1900, from blues, ragtime and marches.", "Do you like jazz?"
    )
    (_, answer) = without_claims(messages, find_persona_claims(messages))
    assert (
        answer["content"].startswith("I am a language model, without feelings") and "New Orleans" in answer["content"]
    )
    assert find_persona_claims(without_claims(messages, find_persona_claims(messages))) == []


def test_an_answer_that_would_lose_most_of_itself_is_not_rewritten():
    messages = talk("I am sad. Bye now.")
    assert without_claims(messages, find_persona_claims(messages)) is None


@pytest.mark.parametrize("rules", ALL, ids=lambda rules: rules.language)
def test_what_is_said_instead_is_no_claim(rules):
    assert claims_of(rules.neutral) == []


def test_the_interval_of_a_rate_is_wilsons():
    low, high = wilson(8, 10)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)
    assert wilson(0, 0) == (0.0, 1.0) and wilson(0, 5)[0] == 0.0 and wilson(5, 5)[1] == 1.0
