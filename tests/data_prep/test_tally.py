import random

from data_prep.document import Document, Dropped
from data_prep.tally import SAMPLES_PER_REASON, Tally


def outcomes_of(count: int) -> list[Document | Dropped]:
    texts = [
        Document(f"text number {i} " * (i % 5 + 1), f"file:{i}", language=("en", "de", "")[i % 3]) for i in range(count)
    ]
    return [Dropped(d, f"rule.{i % 3}", "why") if i % 4 == 0 else d for i, d in enumerate(texts)]


def tally_of(outcomes: list[Document | Dropped]) -> Tally:
    tally = Tally()
    for outcome in outcomes:
        if isinstance(outcome, Dropped):
            tally.read(outcome.document)
            tally.drop(outcome)
        else:
            tally.read(outcome)
            tally.keep(outcome)
    return tally


def test_tallies_of_parts_add_up_to_that_of_the_whole_however_they_are_cut():
    outcomes = outcomes_of(200)
    whole = tally_of(outcomes).to_json()
    shuffled = random.Random(0).sample(outcomes, len(outcomes))
    total = Tally()
    for start in range(0, len(shuffled), 17):
        total.add(Tally.from_json(tally_of(shuffled[start : start + 17]).to_json()))
    assert total.to_json() == whole


def test_every_document_is_counted_once_as_kept_or_under_one_reason():
    outcomes = outcomes_of(200)
    tally = tally_of(outcomes)
    assert tally.table("read")["documents"] == 200
    assert tally.table("kept")["documents"] + tally.table("dropped.documents").total() == 200
    kept = [o for o in outcomes if isinstance(o, Document)]
    assert tally.table("kept")["bytes"] == sum(len(d.text.encode()) for d in kept)
    assert tally.table("languages").total() == len(kept) and tally.table("lengths").total() == len(kept)


def test_samples_are_few_of_each_reason():
    tally = tally_of(outcomes_of(400))
    assert set(tally.samples) == {"rule.0", "rule.1", "rule.2"}
    assert all(len(samples) == SAMPLES_PER_REASON for samples in tally.samples.values())
    assert {sample["detail"] for sample in tally.samples["rule.1"]} == {"why"}


def test_a_lone_surrogate_in_a_dropped_text_is_counted_and_shown_without_harm():
    tally = Tally()
    tally.drop(Dropped(Document("a\ud800b", "bad"), "rule.x"))
    assert tally.samples["rule.x"][0]["text"] == "a?b"


def test_labels_and_edits_are_summed_by_kind():
    tally = Tally()
    tally.keep(Document("x y", "one", edits={"pii.email": 2}, labels={"kind": "code"}))
    tally.keep(
        Document("x z", "two", edits={"pii.email": 1}, labels={"kind": "prose", "contamination.gsm8k": "17:0.93"})
    )
    assert tally.table("edits") == {"pii.email": 3} and tally.table("edited_documents") == {"pii.email": 2}
    assert tally.table("label.kind") == {"code": 1, "prose": 1} and tally.table("contamination.gsm8k") == {"17": 1}
    assert tally.table("contaminated_documents") == {"contamination.gsm8k": 1}
