"""Word problems by templates, in the style of GSM8K and SVAMP: names, things, numbers and words vary.

Held out from training are some templates of every kind, some names and things, and a fifth of all pairs of numbers, so that no
problem of the evaluation can be known by heart.
"""

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

# fmt: off
NAMES = [
    "Mary", "John", "Paul", "Anna", "Tom", "Lucy", "Sam", "Emma", "Jack", "Lily", "Ben", "Sara", "Dan", "Kate", "Max", "Rose",
    "Luke", "Jane", "Mark", "Nina", "Adam", "Ella", "Carl", "Ruth", "Eric", "Maya", "Fred", "Tina", "Greg", "Zoe", "Hugo", "Iris",
    "Ivan", "Joan", "Kurt", "Lena", "Leo", "Mia", "Ned", "Olga", "Omar", "Rita", "Otto", "Vera", "Pete", "Wendy", "Ray", "Yara",
]
THINGS = [
    "apples", "books", "marbles", "cards", "pencils", "stickers", "coins", "shells", "cookies", "oranges", "balloons", "flowers",
    "toys", "stamps", "crayons", "pears", "bottles", "cups", "candies", "eggs", "cakes", "boxes", "buttons", "beads", "bananas",
    "pages", "trees", "games", "blocks", "spoons", "hats", "keys", "rings", "chairs", "pens", "dolls", "lemons", "peaches",
    "birds", "fish", "tickets", "bags", "ribbons", "stones", "plates", "nuts", "photos", "shirts", "cars", "plums",
]
# fmt: on
HELDOUT_NAMES, HELDOUT_THINGS = frozenset(NAMES[-8:]), frozenset(THINGS[-8:])
PLACES = ["park", "school", "shop", "farm", "library", "garden", "market", "party"]
GAINS = ["got", "found", "bought", "won", "received", "picked", "collected", "made"]
LOSSES = ["lost", "gave away", "sold", "ate", "used", "broke", "threw away", "dropped"]

TEMPLATES = {  # kind -> problems whose answer is a + b, a - b, a * b or a / b; the last ones of a kind are held out
    "plus": [
        "{N} had {a} {t}. {N} {g} {b} more {t}. How many {t} does {N} have now?",
        "{N} has {a} {t} and {M} has {b} {t}. How many {t} do they have altogether?",
        "There are {a} {t} on the table. {N} puts {b} more {t} there. How many {t} are on the table now?",
        "{N} {g} {a} {t} on Monday and {b} {t} on Tuesday. How many {t} did {N} get in total?",
        "{N} {l} {a} {t} and has {b} {t} left. How many {t} did {N} have at first?",
        "{M} has {a} {t}. {N} has {b} more {t} than {M}. How many {t} does {N} have?",
        "{N} {l} {a} {t} and {M} {l} {b} {t}. How many {t} was that in all?",
        "At the {p} there were {a} {t}. Then {b} more came. How many {t} are there now?",
        "{N} {g} {a} {t}. {M} {g} {b} {t}. How many {t} do they have together?",
        "{N} {l} {a} {t} and then {l} {b} more {t}. How many {t} are gone?",
        "If {N} has {a} {t} and gets {b} more, how many {t} will {N} have?",
        "There are {a} {t} in one box and {b} {t} in another box. How many {t} are in the two boxes?",
        "{N} {g} {a} {t} in the morning and {b} {t} in the evening. How many {t} did {N} get in all?",
        "{N} started with {a} {t} and then {g} {b} {t}. How many {t} does {N} have in the end?",
    ],
    "minus": [
        "{N} had {a} {t}. {N} gave {b} {t} to {M}. How many {t} does {N} have left?",
        "{N} has {a} {t}. {M} has {b} {t}. How many more {t} does {N} have than {M}?",
        "There were {a} {t} in the box. {N} took {b} {t} out. How many {t} are left in the box?",
        "{N} {g} some {t}. {N} had {b} {t} before and has {a} {t} now. How many {t} did {N} get?",
        "{N} {l} {b} of the {a} {t}. How many {t} remain?",
        "{N} had {a} {t} but {l} {b} of them. How many {t} does {N} have now?",
        "There are {a} {t} at the {p}. {b} of them are red. How many {t} are not red?",
        "{N} needs {a} {t}. {N} already has {b} {t}. How many more {t} does {N} need?",
        "{M} has {b} {t}, and {N} has {a} {t}. How many fewer {t} does {M} have than {N}?",
        "{N} {l} {b} {t} out of {a} {t}. How many {t} are left?",
        "{N} {g} {a} {t} and {M} {g} {b} {t}. How many more {t} does {N} have than {M}?",
        "{N} had {a} {t}. After {N} {l} some there were {b} {t}. How many {t} are gone?",
        "{N} has {b} more {t} than {M}. {N} has {a} {t}. How many {t} does {M} have?",
        "If {N} had {a} {t} and {l} {b} {t}, how many {t} would be left?",
    ],
    "times": [
        "There are {a} boxes with {b} {t} in each box. How many {t} are there in all?",
        "{N} has {a} bags. Each bag holds {b} {t}. How many {t} does {N} have?",
        "{N} buys {b} {t} every day. How many {t} does {N} buy in {a} days?",
        "Each of {a} children has {b} {t}. How many {t} do they have together?",
        "One toy costs {b} dollars. How many dollars do {a} toys cost?",
        "There are {b} {t} in each of the {a} rooms. How many {t} are there in total?",
        "{N} made {a} rows of {b} {t}. How many {t} are in the rows?",
        "{N} needs {b} {t} for one cake. How many {t} are needed for {a} cakes?",
    ],
    "share": [
        "{N} has {a} {t} and puts them into {b} bags equally. How many {t} are in each bag?",
        "{N} shares {a} {t} among {b} friends. How many {t} does each friend get?",
        "{a} {t} are packed into boxes of {b}. How many boxes are needed?",
        "{N} reads {b} pages a day. How many days does {N} need for {a} pages?",
        "There are {a} {t} in {b} boxes, in each the same number. How many {t} are in one box?",
        "There are {a} {t} in {b} equal groups. How many {t} are in one group?",
        "If each child gets {b} {t}, how many children can get {t} out of {a} {t}?",
    ],
}
SIGNS = {"plus": "+", "minus": "-", "times": "*", "share": "/"}
NUM_HELDOUT_TEMPLATES = 2
DISTRACTORS = [
    "{M} has {c} {u}.",
    "There are {c} {u} at the {p}.",
    "{N} also saw {c} {u}.",
    "{M} is {c} years old.",
    "{N} bought {c} {u} too.",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """A question and its solution in one line, with the answer behind `####`."""

    question: str
    solution: str

    @property
    def answer(self) -> str:
        """The number alone."""
        return self.solution.partition("#### ")[2]


def problems(*, seed: int, new_numbers: bool, new_words: bool) -> Iterator[Problem]:
    """Problems without end; new is what training never sees: pairs of numbers, or templates, names and things."""
    generator = random.Random(f"{seed} {new_numbers} {new_words}")
    while True:
        yield _problem(generator, new_numbers=new_numbers, new_words=new_words)


def sums(*, seed: int) -> Iterator[str]:
    """Calculations alone, with pairs of numbers of training."""
    generator = random.Random(f"{seed} sums")
    while True:
        kind = generator.choice(list(SIGNS))
        a, b, result = _numbers(generator, kind, is_new=False)
        yield f"{a} {SIGNS[kind]} {b} = {result}"


def is_heldout_pair(a: int, b: int) -> bool:
    """A fifth of all pairs of numbers, whatever their order and digits."""
    return zlib.crc32(f"{min(a, b)} {max(a, b)}".encode()) % 5 == 0


def _problem(generator: random.Random, *, new_numbers: bool, new_words: bool) -> Problem:
    kind = generator.choices(list(TEMPLATES), weights=[3, 4, 2, 2])[0]
    templates = TEMPLATES[kind][-NUM_HELDOUT_TEMPLATES:] if new_words else TEMPLATES[kind][:-NUM_HELDOUT_TEMPLATES]
    template = generator.choice(templates)
    things = [thing for thing in THINGS if (thing in HELDOUT_THINGS) == new_words]
    a, b, result = _numbers(generator, kind, is_new=new_numbers)
    thing, unlike = generator.sample(things, 2)
    values = {"N": _name(generator, is_new=new_words), "M": _name(generator, is_new=new_words)}
    values |= {"t": thing, "u": unlike, "p": generator.choice(PLACES), "a": a, "b": b}
    values |= {"g": generator.choice(GAINS), "l": generator.choice(LOSSES)}
    question = template.format(**values)
    if generator.random() < 0.3:
        sentences = question.split(". ")
        distractor = generator.choice(DISTRACTORS).format(**values, c=_size(generator))
        sentences.insert(generator.randrange(len(sentences)), distractor.rstrip("."))
        question = ". ".join(sentences)
    return Problem(question, f"{a} {SIGNS[kind]} {b} = {result} #### {result}")


def _name(generator: random.Random, *, is_new: bool) -> str:
    """One of the list, and in training as often one that nobody has, so that names are nothing to know."""
    if not is_new and generator.random() < 0.5:
        syllables = (
            generator.choice("bdfgklmnprstvz") + generator.choice("aeiou") for _ in range(generator.randint(2, 3))
        )
        return "".join(syllables).capitalize() + generator.choice(["", "n", "l", "s"])
    return generator.choice([name for name in NAMES if (name in HELDOUT_NAMES) == is_new])


def _numbers(generator: random.Random, kind: str, *, is_new: bool) -> tuple[int, int, int]:
    while True:
        if kind in ("times", "share"):
            first, second = generator.randint(2, 12), generator.randint(2, 12)
            a, b, result = (first, second, first * second) if kind == "times" else (first * second, second, first)
            if is_heldout_pair(first, second) == is_new:
                return a, b, result
        else:
            a, b = _size(generator), _size(generator)
            if kind == "minus":
                a, b = max(a, b), min(a, b)
            if is_heldout_pair(a, b) == is_new:
                return a, b, a + b if kind == "plus" else a - b


def _size(generator: random.Random) -> int:
    return generator.randint(1, generator.choices((20, 100, 600), weights=(5, 4, 1))[0])
