"""Answers in which the assistant claims feelings, a consciousness, wishes or a life: dropped, rewritten or counted.

Of instruction data alone; what is a claim stands in `mai1/persona/`.
"""

from dataclasses import dataclass, field
from enum import Enum

from data_prep.talk import Talk
from mai1.persona.claims import Claim, Severity, find_persona_claims
from mai1.persona.rewrite import without_claims
from mai1.persona.rules import Category

SAMPLES_PER_REASON = 8
SAMPLE_CHARACTERS = 300


class PersonaAction(Enum):
    """What becomes of a conversation with claims."""

    off = "off"
    report = "report"
    """Counted and kept."""
    rewrite = "rewrite"
    """The claiming sentences go where the rest still answers; else the conversation is dropped."""
    drop = "drop"


class Least(Enum):
    """From which severity on a claim counts."""

    polite = "polite"
    """Idioms too: `I'm happy to help`."""
    hedged = "hedged"
    plain = "plain"


@dataclass(kw_only=True, slots=True)
class PersonaConfig:
    """Claims of a persona by the assistant in instruction data."""

    action: PersonaAction = PersonaAction.drop
    """off, report (counted and kept), rewrite (the sentence goes where the rest still answers, else dropped) or drop."""

    least: Least = Least.hedged
    """Smallest severity that counts: plain claims, hedged ones (`in a way I feel`), or polite idioms (`I'm happy to help`)."""

    allowed: list[Category] = field(default_factory=list)
    """Categories that are left alone: feeling, suffering, consciousness, desire, survival, life, attachment, liking."""


@dataclass(slots=True)
class PersonaStage:
    """Judges conversations one by one, and remembers a few of each reason."""

    config: PersonaConfig
    samples: dict[str, list[dict]] = field(default_factory=dict)
    """Reason to what was said, for the report; the first of each."""

    def __call__(self, talk: Talk) -> str:
        """Why a conversation is dropped, such as `persona.feeling`; empty when it stays, changed in place or counted.

        Of a preference only the better answer counts: the worse one may show what is not wanted.
        """
        if self.config.action is PersonaAction.off:
            return ""
        claims = [
            c for c in find_persona_claims(talk.messages, least=Severity(self.config.least.value)) if self._counts(c)
        ]
        if not claims:
            return ""
        reason = f"persona.{claims[0].category.value}"
        self._remember(reason, talk, claims[0])
        if self.config.action is PersonaAction.drop:
            return reason
        if self.config.action is PersonaAction.rewrite:
            rewritten = without_claims(talk.messages, claims)
            if rewritten is None:
                return reason
            talk.messages = rewritten
            talk.edits["persona.rewritten"] += 1
        for claim in claims:
            talk.edits[f"persona.{claim.category.value}"] += 1
        return ""

    def _counts(self, claim: Claim) -> bool:
        return claim.category not in self.config.allowed

    def _remember(self, reason: str, talk: Talk, claim: Claim) -> None:
        samples = self.samples.setdefault(reason, [])
        if len(samples) < SAMPLES_PER_REASON:
            text = claim.sentence[:SAMPLE_CHARACTERS].encode(errors="replace").decode()
            samples.append(
                {"name": talk.name, "language": claim.language, "severity": claim.severity.value, "text": text}
            )
