"""Conversations to ids for tuning, each by the chat template of the model, and the figures of what came of them."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from mai1.data.conversation_shapes import Dialogue, as_text
from mai1.data.conversations import Conversation, TooLong
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.chat_tokens import ChatTokens, Learn
from mai1.tokenizer.tokenizer import Tokenizer

BAR_DELAY_S = 2.0


@dataclass(slots=True)
class SourceFigures:
    """What became of the conversations of one source; tokens are those of conversations that are kept."""

    conversations: int = 0
    too_long: int = 0
    """Longer than a row: left out, or cut behind an answer where the settings say so."""
    cut: int = 0
    """Of these, the ones that were cut and are kept."""
    duplicates: int = 0
    """Kept though they are token by token the same as an earlier one."""
    tokens: int = 0
    supervised_tokens: int = 0
    answers: Counter = field(default_factory=Counter)
    """Conversations by how often the assistant speaks."""
    lengths: Counter = field(default_factory=Counter)
    """Conversations, before any cut, by the least power of two that is not below their length in tokens."""
    longest: int = 0

    def to_json(self) -> dict:
        """Plain values, with the share of tokens that are supervised."""
        share = self.supervised_tokens / self.tokens if self.tokens else 0.0
        return {
            "conversations": self.conversations,
            "kept": self.conversations - self.too_long + self.cut,
            **{key: getattr(self, key) for key in ("too_long", "cut", "duplicates", "tokens", "supervised_tokens")},
            "supervised_share": round(share, 6),
            "answers": {str(key): self.answers[key] for key in sorted(self.answers)},
            "lengths": {str(key): self.lengths[key] for key in sorted(self.lengths)},
            "longest": self.longest,
        }

    def add(self, other: "SourceFigures") -> None:
        """Take in those of another source."""
        for key in ("conversations", "too_long", "cut", "duplicates", "tokens", "supervised_tokens"):
            setattr(self, key, getattr(self, key) + getattr(other, key))
        self.answers.update(other.answers)
        self.lengths.update(other.lengths)
        self.longest = max(self.longest, other.longest)


@dataclass(slots=True)
class TuningText:
    """A file of conversations as ids."""

    path: Path
    conversations: list[Conversation]
    """Those that fit a row."""
    figures: dict[str, SourceFigures]
    """By source."""
    answer_bytes: int
    """UTF-8 bytes of all answers that are learned and kept."""

    def to_json(self) -> dict:
        """The figures by source and of all together."""
        total = SourceFigures()
        for each in self.figures.values():
            total.add(each)
        sources = {name: self.figures[name].to_json() for name in sorted(self.figures)}
        return {"path": str(self.path), "all": total.to_json(), "sources": sources}

    def line(self) -> str:
        """The figures in a few words."""
        found = self.to_json()["all"]
        too_long = f", {found['too_long']} too long ({found['cut']} of them cut)" if found["too_long"] else ""
        copies = f", {found['duplicates']} of them copies" if found["duplicates"] else ""
        return (
            f"{self.path}: {found['kept']:,} of {found['conversations']:,} conversations{copies}{too_long}; "
            f"{found['tokens']:,} tokens, {found['supervised_share']:.1%} of them learned"
        )


def encode_dialogues(
    path: Path,
    dialogues: list[tuple[Dialogue, str]],
    tokenizer: Tokenizer,
    *,
    sequence_length: int,
    learn: Learn = Learn.all,
    too_long: TooLong = TooLong.leave_out,
) -> TuningText:
    """Every conversation that fits `sequence_length + 1` ids; ValueError names the one that nothing can be learned from."""
    text, seen = TuningText(path, [], {}, 0), set()
    bar = tqdm(dialogues, desc=f"tokenizing {path.name}", delay=BAR_DELAY_S, leave=False)
    for number, (dialogue, source) in enumerate(bar, start=1):
        figures = text.figures.setdefault(source, SourceFigures())
        try:
            chat = _encode(tokenizer, dialogue, learn)
            _count(figures, dialogue, chat)
            if len(chat.ids) > sequence_length + 1:
                figures.too_long += 1
                chat, dialogue = _cut(tokenizer, dialogue, learn, too_long, most=sequence_length + 1)
                figures.cut += chat is not None
        except ValueError as error:
            raise ValueError(f"{path}, conversation {number}: {error}") from None
        if chat is None:
            continue
        identity = tuple(chat.ids)
        figures.duplicates += identity in seen
        seen.add(identity)
        figures.tokens += len(chat.ids)
        figures.supervised_tokens += sum(chat.loss_mask)
        text.answer_bytes += _answer_bytes(dialogue, learn)
        text.conversations.append(Conversation(chat.ids, chat.loss_mask, source))
    return text


def _encode(tokenizer: Tokenizer, dialogue: Dialogue, learn: Learn) -> ChatTokens:
    if tokenizer.is_foreign:
        return encode_chat(tokenizer, dialogue.messages, tools=dialogue.tools, learn=learn)
    return encode_chat(tokenizer, as_text(dialogue), learn=learn)


def _cut(
    tokenizer: Tokenizer, dialogue: Dialogue, learn: Learn, too_long: TooLong, *, most: int
) -> tuple[ChatTokens | None, Dialogue]:
    """The longest beginning that ends behind an answer and fits, if there is one."""
    answers = [n for n, message in enumerate(dialogue.messages[:-1]) if message["role"] == "assistant"]
    for number in reversed(answers if too_long is TooLong.cut else []):
        shorter = Dialogue(dialogue.messages[: number + 1], dialogue.tools)
        if any(message.get("train", True) for message in _learnable(shorter, learn)):
            chat = _encode(tokenizer, shorter, learn)
            if len(chat.ids) <= most:
                return chat, shorter
    return None, dialogue


def _count(figures: SourceFigures, dialogue: Dialogue, chat: ChatTokens) -> None:
    figures.conversations += 1
    figures.answers[sum(message["role"] == "assistant" for message in dialogue.messages)] += 1
    figures.lengths[1 << max(len(chat.ids) - 1, 0).bit_length()] += 1
    figures.longest = max(figures.longest, len(chat.ids))


def _learnable(dialogue: Dialogue, learn: Learn) -> list[dict]:
    answers = [message for message in dialogue.messages if message["role"] == "assistant"]
    return answers[-1:] if learn is Learn.last else answers


def _answer_bytes(dialogue: Dialogue, learn: Learn) -> int:
    learned = [message for message in _learnable(dialogue, learn) if message.get("train", True)]
    return sum(len(message["content"].encode()) for message in as_text(Dialogue(learned)))
