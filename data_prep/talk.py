"""A conversation on its way to the instruction data, and what became of those of one source."""

from collections import Counter
from dataclasses import dataclass, field

from mai1.data.conversation_shapes import is_preference, to_messages, to_preference


@dataclass(slots=True)
class Talk:
    """A conversation on its way, with its answers where it is a preference."""

    source: str
    name: str
    messages: list[dict]
    """All that is said; of a preference with the better answer last."""

    rejected: str | None = None
    """The worse answer of a preference."""

    num_tokens: int = 0
    num_targets: int = 0
    """Tokens that loss is taken on."""

    edits: Counter = field(default_factory=Counter)
    """What was repaired or replaced in it, by kind."""

    labels: dict[str, str] = field(default_factory=dict)
    """The evaluation items that it holds, where these are labelled and not dropped."""

    @property
    def text(self) -> str:
        """What is compared and searched: everything said, and the worse answer."""
        return "\n".join([m["content"] for m in self.messages] + ([self.rejected] if self.rejected else []))

    @property
    def question(self) -> str:
        """What the user says first."""
        return next((m["content"] for m in self.messages if m["role"] == "user"), "")


@dataclass(slots=True)
class Figures:
    """What became of one source."""

    read: int = 0
    dropped: Counter = field(default_factory=Counter)
    broken: str = ""
    """What is wrong with the first record that is no conversation, and where it is."""

    kept: list[Talk] = field(default_factory=list)
    samples: dict[str, list[dict]] = field(default_factory=dict)
    """Reason to a few sentences that gave it, of claims that answers make of a persona."""

    def to_json(self) -> dict:
        """Counts, lengths in tokens by powers of two, and the share of tokens that are learned."""
        tokens, targets = (sum(getattr(t, key) for t in self.kept) for key in ("num_tokens", "num_targets"))
        edits, labels = Counter(), Counter()
        for talk in self.kept:
            edits.update(talk.edits)
            labels.update(talk.labels.keys())
        return {
            "read": self.read,
            "kept": len(self.kept),
            "preferences": sum(talk.rejected is not None for talk in self.kept),
            "dropped": dict(sorted(self.dropped.items())),
            **({"broken": self.broken} if self.broken else {}),
            "edits": dict(sorted(edits.items())),
            **({"samples": dict(sorted(self.samples.items()))} if self.samples else {}),
            **({"contaminated": dict(sorted(labels.items()))} if labels else {}),
            "tokens": tokens,
            "supervised_tokens": targets,
            "supervised_fraction": round(targets / tokens, 6) if tokens else 0.0,
            "messages": dict(sorted(Counter(str(len(t.messages)) for t in self.kept).items())),
            "lengths": dict(sorted(Counter(str(t.num_tokens.bit_length()) for t in self.kept).items(), key=_as_number)),
        }


def talk_of(source: str, where: str, record: object) -> Talk:
    """The conversation of a record in any of the shapes. ValueError when it is none."""
    name = f"{source}:{where.rpartition('/')[2]}"
    if is_preference(record):
        pair = to_preference(record)
        return Talk(source, name, [*pair.messages, {"role": "assistant", "content": pair.chosen}], pair.rejected)
    return Talk(source, name, to_messages(record))


def record_of(talk: Talk) -> dict:
    """A line of the instruction data."""
    facts = {"source": talk.source, "name": talk.name} | ({"labels": talk.labels} if talk.labels else {})
    if talk.rejected is None:
        return {"messages": talk.messages, **facts}
    return {"messages": talk.messages[:-1], "chosen": talk.messages[-1]["content"], "rejected": talk.rejected, **facts}


def _as_number(entry: tuple[str, int]) -> int:
    return int(entry[0])
