"""Questions and answers from docstrings: "What does `textwrap.shorten` do?" -> the first sentence of its documentation.

A pair is held out when its module is: neither the question nor the documentation it comes from was seen in training.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from data_prep.docstrings import Entry, entries_of
from data_prep.splitting import uniform

MIN_WORDS, MAX_WORDS = 4, 40

PHRASINGS = {
    "module": ("What is the module `{}` about?", "What is `{}` for?", "Describe the module `{}`."),
    "class": ("What is `{}`?", "What is the class `{}` for?", "Describe the class `{}`.", "Explain `{}` briefly."),
    "function": (
        "What does `{}` do?",
        "What is `{}` for?",
        "Explain `{}` briefly.",
        "Describe the function `{}`.",
        "How does `{}` help me?",
    ),
    "method": ("What does `{}` do?", "What is the method `{}` for?", "Describe `{}`.", "Explain `{}` briefly."),
}

JUNK = re.compile(
    r"""(?ix)
    ^ ( alias | an?\ alias | todo\b | note\b | warning | like\ | refer\ to | stub\b | placeholder | private\b
      | not\ implemented | same\ as | overrid | backward | copyright | authors?\b | licen[cs]e | please\b | usage\b
      | this\ (file|is\ an?\ (internal|auto)) | auto-?generated | tests?\ (for|case|suite) | unit\ test )
    | deprecated | \binternal\b | \bsee\b | \b(todo|fixme|xxx)\b
    | >>> | https?:// | \.\.\ \w+:: | ::\s*$ | \bself\. | \\[a-z(\[] | [$|<>{}] | \b(e\.g|i\.e)\.?$
    """
)
"""Sentences that say nothing about what a thing does, or that hold markup."""

ROLE = re.compile(r":[\w:+-]+:`~?([^`<]+?)(?:\s*<[^>]*>)?`")
LITERAL = re.compile(r"``([^`]+)``")
EMPHASIS = re.compile(r"(?<![\w*])\*{1,2}([^*\s][^*]*)\*{1,2}(?![\w*])")
SENTENCE_END = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!vs\.)(?<!cf\.)\s+(?=[A-Z`\"(])")
DANGLING = re.compile(r"(?i)\b(as|the|an?|of|by|is|are|that|with|for|to|from|and|or|in|on|into|where|like|if)\.?$")
BULLET = re.compile(r"\s*([-*+•]|\d+[.)])\s|\s*[=~^-]{3,}\s*$|\s*:\w")


@dataclass(frozen=True, slots=True)
class Pair:
    """One question with its answer."""

    name: str
    question: str
    answer: str


def pairs_of(document: str, *, seed: int) -> Iterator[Pair]:
    """The pairs of one docstring document."""
    for entry in entries_of(document):
        answer = answer_from(entry)
        if answer:
            choices = PHRASINGS[entry.kind]
            place = int(uniform(entry.name.encode(), seed=seed, purpose="phrasing") * len(choices))
            yield Pair(entry.name, choices[place].format(entry.name), answer)


def answer_from(entry: Entry) -> str:
    """The first sentences of a docstring as plain English, up to 40 words; empty when they are no good answer."""
    if any(part.startswith("_") for part in entry.name.split(".")) or entry.name.count(".") > 6:
        return ""
    lines = entry.text.split("\n\n")[0].splitlines()
    if not lines or any(BULLET.match(line) for line in lines) or any(line.startswith("    ") for line in lines):
        return ""
    text = " ".join(" ".join(lines).split())
    text = EMPHASIS.sub(r"\1", LITERAL.sub(r"`\1`", ROLE.sub(r"`\1`", text))).replace("``", "`")
    answer = _first_sentences(text)
    words = answer.split()
    if not MIN_WORDS <= len(words) <= MAX_WORDS or JUNK.search(answer) or answer.count("`") % 2:
        return ""
    visible = "".join(answer.split())
    is_english = (
        sum(map(str.isalpha, visible)) > 0.75 * len(visible)
        and answer.isascii()
        and answer[0].isupper()
        and answer.endswith(".")
    )
    return answer if is_english else ""


def choose_questions(
    pairs: Iterable[tuple[str, Pair]], *, max_pairs: int, source: str, seed: int
) -> list[tuple[str, dict]]:
    """Conversations from (split, pair), by the hash of their names, without repeating a question or answer."""
    chosen = _without_repeats(pairs)
    chosen.sort(key=lambda item: (uniform(item[1].name.encode(), seed=seed, purpose="questions"), item[1].question))
    return [(split, _record_of(pair, source)) for split, pair in chosen[:max_pairs]]


def _record_of(pair: Pair, source: str) -> dict:
    messages = [{"role": "user", "content": pair.question}, {"role": "assistant", "content": pair.answer}]
    return {"messages": messages, "source": source, "name": pair.name}


def _first_sentences(text: str) -> str:
    """The first sentence, or two short ones; a single one may lack its full stop. Empty for a sentence cut short."""
    sentences = SENTENCE_END.split(text)
    two = " ".join(sentences[:2])
    if len(sentences) > 1 and two.endswith(".") and len(two.split()) <= MAX_WORDS // 2 and not JUNK.search(two):
        return two
    first = sentences[0]
    if first.endswith((":", ",", ";")) or DANGLING.search(first):
        return ""
    return first if first.endswith((".", "!", "?")) else first + "."


def _without_repeats(pairs: Iterable[tuple[str, Pair]]) -> list[tuple[str, Pair]]:
    """Pairs whose question and answer are both new; an answer that held-out and train share is held out of neither."""
    kept: list[tuple[str, Pair]] = []
    seen: set[bytes] = set()
    for split, pair in pairs:
        keys = {_key(pair.question), _key(pair.answer)}
        if not keys & seen:
            kept.append((split, pair))
        seen |= keys
    return kept


def _key(text: str) -> bytes:
    return hashlib.blake2b(" ".join(re.findall(r"\w+", text.lower())).encode(), digest_size=16).digest()
