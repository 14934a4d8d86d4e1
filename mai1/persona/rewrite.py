"""Answers without their claims: the sentence goes, or a neutral one takes its place, where the rest still answers."""

import re

from mai1.persona.claims import Claim, fold
from mai1.persona.tables import compiled

MIN_LETTERS = 20
"""Letters that are left at least, Chinese and Japanese characters counting twice."""
MIN_SHARE = 0.5
"""Share of an answer's letters that is left at least."""
LETTER = re.compile(r"[^\W\d_]")
WIDE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
BLANKS = re.compile(r"[ \t]{2,64}")


def without_claims(messages: list[dict], claims: list[Claim]) -> list[dict] | None:
    """The same conversation without the sentences that hold the claims; None where an answer would be worth nothing then.

    Where the user asked the assistant about itself, the first such sentence of an answer becomes a neutral one in the same
    language. At least half of every answer stays.
    """
    rewritten = list(messages)
    for number in sorted({claim.message for claim in claims}):
        own = [claim for claim in claims if claim.message == number]
        asked = next((m["content"] for m in reversed(messages[:number]) if m["role"] == "user"), "")
        content = _without(messages[number]["content"], own, _neutral(own[0], asked))
        if content is None:
            return None
        rewritten[number] = messages[number] | {"content": content}
    return rewritten


def _neutral(claim: Claim, asked: str) -> str:
    """What is said instead; empty where the user did not ask about the assistant."""
    rules = compiled(claim.language)
    is_about_it = rules.about_you is not None and rules.about_you.search(fold(asked))
    return rules.rules.neutral if is_about_it else ""


def _without(text: str, claims: list[Claim], neutral: str) -> str | None:
    """The text without the claims' sentences, or None if too little is left."""
    pieces, end, replacement = [], 0, neutral
    for claim in claims:
        start = text.rfind(claim.sentence, 0, claim.start + len(claim.sentence))
        if start >= end:
            pieces += [text[end:start], replacement]
            end, replacement = start + len(claim.sentence), ""
    rest = "".join([*(piece for piece in pieces if piece != neutral), text[end:]])
    if _letters(rest) < max(MIN_LETTERS, MIN_SHARE * _letters(text)):
        return None
    lines = (BLANKS.sub(" ", line).strip() for line in "".join([*pieces, text[end:]]).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _letters(text: str) -> int:
    return len(LETTER.findall(text)) + len(WIDE.findall(text))
