"""Whose voice an answer is: the assistant's own, or one that a user asked for (fiction, a role, an exercise)."""

import re

from mai1.persona.tables import compiled, languages_of

OWN_FICTION = re.compile(
    r"\A\W{0,4}(?:sure\W{1,3}|of course\W{1,3}|certainly\W{1,3})?(?:here(?:'s| is| are) .{0,60}"
    r"\b(?:story|stories|poem|letter|e-?mail|speech|song|lyrics|essay|diary|dialogue|monologue|sentences?|examples?|draft|"
    r"translation|version|message|limerick|haiku)\b|once upon a time\b|subject: |dear \[)"
)
MAX_REQUEST = 20_000
"""Characters of a user's message that are searched for a request: half from its beginning, half from its end."""


def is_asked_for(messages: list[dict], number: int) -> bool:
    """Whether the answer with this number speaks in a voice that was asked for.

    A role that a user or the system gives lasts to the end of the conversation. Fiction and exercises last for the answer,
    and for the next one where the user wants more of the same.
    """
    before = [_lower(m["content"]) for m in messages[:number] if m["role"] in ("user", "system")]
    if any(_asks(text, "role") for text in before):
        return True
    if OWN_FICTION.match(_lower(messages[number]["content"][:300])):
        return True
    users = [_lower(m["content"]) for m in messages[:number] if m["role"] == "user"]
    while users:
        text = users.pop()
        if _asks(text, "fiction") or _asks(text, "task"):
            return True
        if not any((more := compiled(rules.language).more) and more.search(text) for rules in languages_of(text)):
            return False
    return False


def _asks(text: str, kind: str) -> bool:
    return any(compiled(rules.language).requests[kind].search(text) for rules in languages_of(text))


def _lower(text: str) -> str:
    half = MAX_REQUEST // 2
    kept = text if len(text) <= MAX_REQUEST else f"{text[:half]} {text[-half:]}"
    return kept.lower().replace("\u2019", "'")
