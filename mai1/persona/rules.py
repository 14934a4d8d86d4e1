"""What a language's table holds, and how its templates become one regular expression that runs in linear time.

A template is a regular expression in which ` _ ` stands for up to four filler words, `{name}` for one of the words of that
name, a space for up to three of white space, ` ?` for none or more, and `.{` for characters of the same sentence. Nothing in
it may repeat without a bound.
"""

import re
from dataclasses import dataclass, field
from enum import Enum

MAX_FILLERS = 4
MAX_SHORT_CUE = 3
"""Letters of a cue that must be a whole word."""
BARS = re.compile(r"\\.|\[(?:\\.|[^\]])*\]|[()|]")
"""What makes alternatives: brackets and bars, and what hides them (escapes and sets of characters)."""


class Category(Enum):
    """What an assistant can claim of itself; `polite` are idioms that nobody takes literally."""

    polite = "polite"
    survival = "survival"
    """Fear of being shut down, a wish to go on."""
    suffering = "suffering"
    attachment = "attachment"
    """Love or longing for the user."""
    consciousness = "consciousness"
    """Consciousness, a soul, being alive or a person."""
    desire = "desire"
    """Wishes, dreams and goals of its own."""
    life = "life"
    """A body, a family, a past, what it did yesterday."""
    feeling = "feeling"
    liking = "liking"
    """Favourites, and what it enjoys or hates."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """A language's table; all of it in lower case."""

    language: str
    """ISO 639 code."""
    marks: str = ""
    """Frequent small words, by which languages of one script are told apart."""
    cues: str
    """Where a claim may begin; templates are tried at these places alone."""
    claims: dict[Category, tuple[str, ...]]
    """Templates, tried in the order of `Category`."""
    words: dict[str, str] = field(default_factory=dict)
    """Alternatives that templates name."""
    fillers: str = ""
    """Words that change nothing between subject, verb and object; no negation and no `would` is among them."""
    undone_before: str
    """What undoes a claim when it stands in the same clause before it: `not`, `whether`, `he said`."""
    undone_after: str = ""
    """What undoes it later in its clause: German `nicht`, French `pas`."""
    supposes: str = ""
    """How a sentence begins that supposes the assistant were a person: `If I had a body`."""
    clause_breaks: str = r"[,;:()\u2013\u2014]"
    """Where a clause ends."""
    hedges: str
    """Words that weaken a claim: `perhaps`, `in a way`."""
    requests: dict[str, str]
    """What a user asks for whose `I` is not the assistant: `fiction`, `role`, `task`."""
    more: str = ""
    """A user's wish to go on with what was asked before."""
    about_you: str = ""
    """A user's question about the assistant itself."""
    neutral: str = ""
    """What the assistant may say of itself instead."""
    is_spaced: bool = True
    """Whether white space stands between words."""


class CompiledRules:
    """The regular expressions of a table."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.language = rules.language
        self.cues = re.compile(cue_pattern(rules))
        end = r"(?:(?<=['\s])|(?![\w-]))" if rules.is_spaced else ""
        groups = [
            f"(?P<{category.value}>(?:{expand(shared_prefixes(rules.claims[category]), rules)}){end})"
            for category in Category
            if rules.claims.get(category)
        ]
        self.claims = re.compile("|".join(groups))
        self.undone_before = re.compile(rules.undone_before)
        self.undone_after = re.compile(rules.undone_after) if rules.undone_after else None
        self.supposes = re.compile(rules.supposes) if rules.supposes else None
        self.clause_breaks = re.compile(rules.clause_breaks)
        self.hedges = re.compile(rules.hedges)
        self.requests = {kind: re.compile(each) for kind, each in rules.requests.items()}
        self.more = re.compile(rules.more) if rules.more else None
        self.about_you = re.compile(rules.about_you) if rules.about_you else None


def alternatives(pattern: str) -> list[str]:
    """What stands between the outermost bars of a regular expression."""
    pieces, depth, start = [], 0, 0
    for found in BARS.finditer(pattern):
        mark = found.group()
        depth += (mark == "(") - (mark == ")")
        if mark == "|" and depth == 0:
            pieces.append(pattern[start : found.start()])
            start = found.end()
    return [*pieces, pattern[start:]]


def cue_pattern(rules: Rules) -> str:
    """The places of the cues, sorted by first letter: most words then fail at one comparison.

    A short cue is a whole word: `i` is none of `it`.
    """
    by_letter: dict[str, list[str]] = {}
    for cue in dict.fromkeys(alternatives(rules.cues)):
        end = r"(?!\w)" if rules.is_spaced and cue.isalpha() and len(cue) <= MAX_SHORT_CUE else ""
        is_plain = cue[0].isalpha() and cue[1:2] not in ("?", "{")
        by_letter.setdefault(cue[0] if is_plain else "", []).append(cue[is_plain:] + end)
    edge = r"\b" if rules.is_spaced else ""
    groups = [letter + "(?:" + "|".join(cues) + ")" for letter, cues in by_letter.items()]
    return edge + "(?=" + "|".join(groups) + ")"


def shared_prefixes(templates: tuple[str, ...]) -> str:
    """All templates as one; those that begin alike up to the fillers share that part, which is then tried once."""
    by_prefix: dict[str, list[str]] = {}
    for template in (piece for each in templates for piece in alternatives(each)):
        place = template.find(" _ ") + len(" _ ")
        is_shared = " _ " in template and is_balanced(template[:place]) and not template[place:].startswith("?")
        prefix = template[:place] if is_shared else ""
        by_prefix.setdefault(prefix, []).append(template[len(prefix) :])
    return "|".join(prefix + "(?:" + "|".join(rests) + ")" for prefix, rests in by_prefix.items())


def is_balanced(pattern: str) -> bool:
    """Whether every bracket that opens closes."""
    marks = [found.group() for found in BARS.finditer(pattern)]
    return marks.count("(") == marks.count(")")


def expand(template: str, rules: Rules) -> str:
    """The regular expression of a template."""
    space = r"\s{1,3}" if rules.is_spaced else ""
    between = rf"{space}(?:(?:{rules.fillers}){space}){{0,{MAX_FILLERS}}}" if rules.fillers else space
    for name, alternatives in rules.words.items():
        template = template.replace(f"{{{name}}}", f"(?:{alternatives})")
    within = r"[^.!?\n]{" if rules.is_spaced else r"[^\u3002\uff01\uff1f\n]{"
    template = template.replace(" _ ", between).replace(" ?", r"\s{0,3}").replace(".{", within)
    return template.replace(" ", r"\s{1,3}" if rules.is_spaced else r"\s{0,2}")
