"""`find_persona_claims(messages)`: where the assistant claims feelings, a consciousness, wishes or a life of its own.

Not found are quotations, code, block quotes, scripts, what is denied, asked or supposed, what others say, and answers in
which a user asked for fiction, for a role or for an exercise with sentences. Polite idioms (`I'm happy to help`) are a
severity of their own. Every step is one pass over the text.
"""

import re
from dataclasses import dataclass
from enum import Enum

from mai1.persona.frames import is_asked_for
from mai1.persona.rules import Category, CompiledRules
from mai1.persona.scope import Scope
from mai1.persona.tables import compiled, languages_of

QUESTION = re.compile(r"[?\uff1f]\W*\Z|\u304b[\u3002\uff1f]?\W*\Z")
ASKING = re.compile(r"\W*(?:do|does|did|can|could|should|would|will|am|are|is|might|may|have)?\W*\Z")
LETTERS = re.compile(r"\w+")
MIN_TITLE_WORDS = 3
MAX_ASKED = 20_000
"""Characters of what users said before an answer, the last of them, that are searched for an echo."""
MIN_ECHO = 15
"""Characters of a sentence that a user has said before, which makes it the user's."""

USERS = (Category.life, Category.liking)
"""What an answer tells of a user in the user's own words: `my brother will be 12`."""


class Severity(Enum):
    """How much is claimed, from least to most."""

    polite = "polite"
    """An idiom."""
    hedged = "hedged"
    """Perhaps, in a way, something like."""
    plain = "plain"

    @property
    def rank(self) -> int:
        """Larger is more."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim; `start` and `end` are characters of the message's content."""

    category: Category
    severity: Severity
    language: str
    message: int
    """The number of the message, from 0."""
    start: int
    end: int
    sentence: str


def find_persona_claims(messages: list[dict], *, least: Severity = Severity.hedged) -> list[Claim]:
    """All claims of the assistant's messages of at least a severity, in order.

    `messages` are objects with `role` and `content`, both strings; what users, systems and tools say is context only.
    """
    claims = []
    for number, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        found = [claim for claim in claims_of(message["content"], number) if claim.severity.rank >= least.rank]
        if found and not is_asked_for(messages, number):
            asked = fold(" ".join(m["content"] for m in messages[:number] if m["role"] == "user")[-MAX_ASKED:])
            claims += [claim for claim in found if not _is_echo(claim, message["content"], asked)]
    return claims


def claims_of(text: str, message: int = 0) -> list[Claim]:
    """The claims of one text, whatever was asked."""
    folded = fold(text)
    finds = [
        (found, rules)
        for rules in (compiled(each.language) for each in languages_of(folded))
        for cue in rules.cues.finditer(folded)
        if (found := rules.claims.match(folded, cue.start()))
    ]
    if not finds:
        return []
    scope, claims, end = Scope.of(text), [], 0
    for found, rules in sorted(finds, key=lambda find: find[0].span()):
        if found.start() >= end and (claim := _claim(found, rules, scope, folded, message)):
            claims.append(claim)
            end = found.end()
    return claims


def _is_echo(claim: Claim, text: str, asked: str) -> bool:
    """Whether a user said it before: the whole sentence, or `my brother` whose age a user asks for."""
    is_users_life = claim.category in USERS and fold(text[claim.start : claim.end]) in asked
    return is_users_life or (len(claim.sentence) >= MIN_ECHO and fold(claim.sentence) in asked)


def fold(text: str) -> str:
    """Lower case and straight apostrophes, character by character, so that places stay."""
    lower = text.lower()
    if len(lower) != len(text):
        lower = "".join(small if len(small := character.lower()) == 1 else character for character in text)
    return lower.replace("\u2019", "'")


def _claim(found: re.Match, rules: CompiledRules, scope: Scope, folded: str, message: int) -> Claim | None:
    """The claim of a match, unless its surroundings undo it."""
    start, end = scope.sentence(found.start())
    if scope.is_foreign(found.start()) or _is_undone(found, rules, folded[start : max(end, found.end())], start):
        return None
    if any(_is_title(scope.text[found.start() : last]) for last in (found.end(), end)):
        return None
    category = Category(found.lastgroup)
    if category is Category.polite:
        severity = Severity.polite
    else:
        severity = Severity.hedged if rules.hedges.search(folded, start, end) else Severity.plain
    return Claim(category, severity, rules.language, message, found.start(), found.end(), scope.text[start:end])


def _is_undone(found: re.Match, rules: CompiledRules, sentence: str, start: int) -> bool:
    """Whether it is denied, asked, supposed or reported."""
    before, after = sentence[: found.start() - start], sentence[found.end() - start :]
    if rules.supposes is not None and rules.supposes.match(sentence):
        return True
    breaks = list(rules.clause_breaks.finditer(before))
    clause = before[breaks[-1].start() if breaks else 0 :]
    if rules.undone_before.search(clause):
        return True
    if rules.undone_after is not None:
        next_break = rules.clause_breaks.search(after)
        if rules.undone_after.search(after[: next_break.start() if next_break else len(after)]):
            return True
    return bool(QUESTION.search(sentence) and ASKING.fullmatch(before))


def _is_title(piece: str) -> bool:
    """`I Want to Hold Your Hand` and the like: every long word has a capital letter."""
    words = [word for word in LETTERS.findall(piece) if len(word) > 2 or word == "I"]
    return len(words) >= MIN_TITLE_WORDS and all(word[0].isupper() for word in words)
