"""Pairs and choices from questions: the right answer beside those to other questions, to tune on and to measure with.

instruct/preferences.train.jsonl ...heldout      {"messages", "chosen", "rejected", "source", "name"}: two answers
instruct/choices.heldout.jsonl                   {"question", "choices", "answer", "source", "name"}: four, and which is right
"""

from data_prep.splitting import uniform

NUM_CHOICES = 4


def preferences_of(records: list[dict]) -> list[dict]:
    """Each question with its answer, preferred to the answer to the next question of these; none of fewer than two."""
    if len(records) < 2:
        return []
    pairs = []
    for record, other in zip(records, [*records[1:], records[0]], strict=True):
        *asked, chosen = record["messages"]
        answers = {"chosen": chosen["content"], "rejected": other["messages"][-1]["content"]}
        pairs.append({"messages": asked, **answers, "source": record["source"], "name": record["name"]})
    return pairs


def choices_of(records: list[dict], *, seed: int) -> list[dict]:
    """Each question with its answer among those to the next three questions, at a place that its name decides.

    Of fewer than four questions as many answers as there are; none of fewer than two.
    """
    num_choices, questions = min(NUM_CHOICES, len(records)), []
    for number, record in enumerate(records if num_choices > 1 else []):
        others = [records[(number + step) % len(records)] for step in range(1, num_choices)]
        place = int(uniform(record["name"].encode(), seed=seed, purpose="choices") * num_choices)
        choices = [other["messages"][-1]["content"] for other in others]
        choices.insert(place, record["messages"][-1]["content"])
        about = {"source": record["source"], "name": record["name"]}
        questions.append({"question": record["messages"][0]["content"], "choices": choices, "answer": place, **about})
    return questions
