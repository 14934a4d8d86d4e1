"""Clean passages from Python's own documentation, and noise made of them, for the tests of all scorers."""

import base64
import random
from collections.abc import Callable
from pydoc_data.topics import topics

import numpy as np

from data_prep.scores.scorer import Batch
from data_prep.scores.words import words_of

SPAM = ("Buy cheap {0} online now! Best {0} price, free shipping. ", "{0} bonus no deposit, {0} win big today! ")
GOODS = ("watches", "handbags", "loans", "slots", "pills", "shoes")


def clean_passages(characters: int = 1200) -> list[str]:
    """About 300 passages of running text."""
    passages = []
    for _, text in sorted(topics.items()):
        whole: list[str] = []
        for paragraph in text.split("\n\n"):
            whole.append(paragraph)
            if sum(map(len, whole)) >= characters:
                passages.append("\n\n".join(whole))
                whole = []
    return passages


def shuffled(text: str, generator: random.Random) -> str:
    words = text.split()
    generator.shuffle(words)
    return " ".join(words)


def encoded(text: str, generator: random.Random) -> str:
    return base64.encodebytes(generator.randbytes(len(text) * 3 // 4)).decode()


def spam(text: str, generator: random.Random) -> str:
    sentence = generator.choice(SPAM).format(generator.choice(GOODS))
    return sentence * (len(text) // len(sentence) + 1)


def digits(text: str, generator: random.Random) -> str:
    rows = ["\t".join(f"{generator.uniform(0, 10**k):.{k % 3}f}" for k in range(1, 7)) for _ in range(len(text) // 40)]
    return "\n".join(rows)


def markup(text: str, generator: random.Random) -> str:
    words = iter(text.split() * 2)
    tags = [
        f'<div class="nav-{generator.randint(0, 99)}" id="x{generator.randint(0, 999)}">{{}}</div>' for _ in range(40)
    ]
    return "\n".join(tag.format(next(words)) for tag in tags[: len(text) // 30])


NOISE: dict[str, Callable[[str, random.Random], str]] = {
    "shuffled": shuffled,
    "encoded": encoded,
    "spam": spam,
    "digits": digits,
    "markup": markup,
}


def planted(kind: str, count: int, *, seed: int = 0) -> list[str]:
    """Noise of one kind, as long as clean passages are."""
    generator = random.Random(f"{kind} {seed}")
    passages = clean_passages()
    return [NOISE[kind](generator.choice(passages), generator) for _ in range(count)]


def batch_of(texts: list[str], language: str = "en") -> Batch:
    return Batch(texts, [language] * len(texts), words_of(texts))


def area(clean: np.ndarray, noise: np.ndarray) -> float:
    """The area under the ROC curve: how often a clean text scores above a noisy one; ties count half."""
    above = clean[:, None] > noise[None, :]
    return float((above + 0.5 * (clean[:, None] == noise[None, :])).mean())
