"""What an item is worth, from what a model made of it."""

import math
import re
from collections import Counter
from dataclasses import dataclass, field

from mai1.evaluate.likelihood import Likelihood
from mai1.evaluate.statistics import Figure
from mai1.evaluate.task_files import Item


@dataclass(slots=True)
class Graded:
    """One item, what the model made of it and what that is worth."""

    number: int
    question: str
    answer: str
    """What is right."""
    reply: str
    """What the model chose or said; empty where it was not asked to."""
    figures: dict[str, Figure]
    """By metric."""
    forms: list[list[str]]
    """The forms in which the item may stand in a training text, each as texts that stand near each other."""
    cluster: str = ""
    log_likelihoods: list[float] = field(default_factory=list)
    """Of the choices, or of the one continuation."""


def graded_choice(item: Item, values: list[float]) -> Graded:
    """Right is what is the most likely whole, per character and per byte; of equals the first counts."""
    lengths = {
        "acc": [1] * len(values),
        "acc_norm": [len(choice) for choice in item.choices],
        "acc_bytes": [len(choice.encode()) for choice in item.choices],
    }
    chosen = {
        metric: max(range(len(values)), key=lambda i, sizes=sizes: values[i] / sizes[i])
        for metric, sizes in lengths.items()
    }
    figures = {metric: Figure(float(best == item.gold), 1.0, 1 / len(values)) for metric, best in chosen.items()}
    said = item.choices[chosen["acc"]]
    return Graded(
        item.number, item.question, item.answer, said, figures, item.forms, cluster=item.cluster, log_likelihoods=values
    )


def graded_completion(item: Item, found: Likelihood, *, guess: str | None) -> Graded:
    """As the harness has it: the perplexity is of whole continuations, not of their tokens."""
    nats = -found.log_likelihood
    figures = {
        "acc": Figure(float(found.is_greedy), 1.0, float(item.answer == guess)),
        "perplexity": Figure(nats),
        "bits_per_byte": Figure(nats / math.log(2), float(len(item.answer.encode()))),
    }
    said = item.answer if found.is_greedy else ""
    values = [found.log_likelihood]
    return Graded(
        item.number, item.question, item.answer, said, figures, item.forms, cluster=item.cluster, log_likelihoods=values
    )


def graded_text(item: Item, log_likelihood: float) -> Graded:
    """How likely a whole text is; a word is what stands between white space."""
    num_bytes, num_words = float(len(item.question.encode())), float(len(re.split(r"\s+", item.question)))
    figures = {
        "bits_per_byte": Figure(-log_likelihood / math.log(2), num_bytes),
        "byte_perplexity": Figure(-log_likelihood, num_bytes),
        "word_perplexity": Figure(-log_likelihood, num_words),
    }
    return Graded(
        item.number,
        item.question,
        "",
        "",
        figures,
        item.question,
        cluster=item.cluster,
        log_likelihoods=[log_likelihood],
    )


def graded_reply(item: Item, said: str, *, is_right: bool, is_guess: bool) -> Graded:
    """Right or wrong; a guess is what is right most often."""
    figures = {"exact_match": Figure(float(is_right), 1.0, float(is_guess))}
    return Graded(item.number, item.question, item.answer, said, figures, item.forms, cluster=item.cluster)


def most_common(answers: list[str | None]) -> str | None:
    """What a model would say that always says the same; of equals the first in order."""
    counts = Counter(answer for answer in answers if answer is not None)
    return min(counts, key=lambda answer: (-counts[answer], answer), default=None)
