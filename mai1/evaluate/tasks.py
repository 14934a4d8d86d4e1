"""Ask a model the items of a local task, and grade what comes.

What is asked is a pure function of the file, the seed and the item: a limit or the number of ranks changes no prompt.
"""

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, replace
from enum import Enum
from pathlib import Path

from mai1.evaluate.config import AskConfig, Prompting
from mai1.evaluate.extraction import Extraction, extract, number_in
from mai1.evaluate.grading import (
    Graded,
    graded_choice,
    graded_completion,
    graded_reply,
    graded_text,
    most_common,
)
from mai1.evaluate.likelihood import SharedModel, log_likelihoods
from mai1.evaluate.replies import Prompt, reply
from mai1.evaluate.requests import Request, TextEncoder
from mai1.evaluate.statistics import Score
from mai1.evaluate.task_files import AUTO, Item, Kind, TaskConfig, TaskFile, read_task_file
from mai1.generate.sampling import SamplingConfig
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.tokenizer import Tokenizer


class LocalTask:
    """The items of a file, as they are asked."""

    def __init__(self, name: str, config: TaskConfig, ask: AskConfig) -> None:
        self.name, self.ask = name, ask
        self.file = read_task_file(config, Path(config.path))
        self.config = _resolved(config, self.file, ask.prompting)
        self._pool = read_task_file(config, Path(config.examples)).items if config.examples else self.file.items
        if ask.num_fewshot > len(self._pool) - (not config.examples):
            raise ValueError(
                f"num_fewshot={ask.num_fewshot} must not exceed the {len(self._pool)} items to draw examples from: use less"
            )
        count = len(self.file.items)
        picked = range(count) if not 0 < ask.limit < count else [i * count // ask.limit for i in range(ask.limit)]
        self.items = [self.file.items[number] for number in picked]
        self._prompts = hashlib.sha256()

    @property
    def generates(self) -> bool:
        """Whether the model has to say something."""
        return self.file.kind is Kind.answer

    def facts(self) -> dict:
        """What decides the prompts, and what they were."""
        return {
            "kind": self.file.kind.value,
            "task_sha256": self.file.sha256,
            "prompts_sha256": self._prompts.hexdigest(),
            "definition": _plain(asdict(self.config)),
            **_plain({key: getattr(self.ask, key) for key in AskConfig.__dataclass_fields__}),
        }

    def further_scores(self) -> dict[str, Score]:
        """None: every score of these tasks is one over items."""
        return {}

    def grade(self, shared: SharedModel, tokenizer: Tokenizer) -> list[Graded]:
        """Ask all items; every rank must call this, and gets all of them."""
        self._prompts = hashlib.sha256()
        texts = TextEncoder(tokenizer, self.ask.beginning)
        match self.file.kind:
            case Kind.choices:
                return self._grade_choices(shared, texts)
            case Kind.completion:
                return self._grade_completions(shared, texts)
            case Kind.text:
                return self._grade_texts(shared, texts)
            case _:
                return self._grade_answers(shared, tokenizer, texts)

    def _grade_choices(self, shared: SharedModel, texts: TextEncoder) -> list[Graded]:
        requests = [[self._request(texts, item, choice) for choice in item.choices] for item in self.items]
        found = iter(log_likelihoods(shared, [each for of_item in requests for each in of_item], label=self.name))
        return [graded_choice(item, [next(found).log_likelihood for _ in item.choices]) for item in self.items]

    def _grade_completions(self, shared: SharedModel, texts: TextEncoder) -> list[Graded]:
        requests = [self._request(texts, item, item.answer) for item in self.items]
        guess = most_common([item.answer for item in self.items])
        found = log_likelihoods(shared, requests, label=self.name)
        return [graded_completion(*each, guess=guess) for each in zip(self.items, found, strict=True)]

    def _grade_texts(self, shared: SharedModel, texts: TextEncoder) -> list[Graded]:
        windows = [list(texts.windows(item.question, max_length=shared.max_length)) for item in self.items]
        for item in self.items:
            self._prompts.update(json.dumps(item.question).encode())
        found = iter(log_likelihoods(shared, [each for of_item in windows for each in of_item], label=self.name))
        return [
            graded_text(item, sum(next(found).log_likelihood for _ in of_item))
            for item, of_item in zip(self.items, windows, strict=True)
        ]

    def _grade_answers(self, shared: SharedModel, tokenizer: Tokenizer, texts: TextEncoder) -> list[Graded]:
        sampling = SamplingConfig(max_new_tokens=self.config.max_new_tokens)
        until = (*self.config.until, tokenizer.vocabulary.name_of(tokenizer.end_of_text_id))
        prompts = [Prompt(tuple(self._prompt_ids(texts, item)), until, sampling) for item in self.items]
        replies = reply(shared, tokenizer, prompts, label=self.name)
        right = [extract(item.answer, self.config.extraction) for item in self.items]
        guess = most_common(right)
        return [
            graded_reply(item, said, is_right=extract(said, self.config.extraction) == wanted, is_guess=wanted == guess)
            for item, said, wanted in zip(self.items, replies, right, strict=True)
        ]

    def _request(self, texts: TextEncoder, item: Item, continuation: str) -> Request:
        if self.ask.prompting is Prompting.chat:
            messages = self.messages(item)
            self._prompts.update(json.dumps([messages, continuation]).encode())
            return texts.after(self._chat_ids(texts, messages), continuation)
        context, continuation = self.context(item), self.config.delimiter + continuation
        self._prompts.update(json.dumps([context, continuation]).encode())
        return texts.request(context, continuation)

    def _prompt_ids(self, texts: TextEncoder, item: Item) -> list[int]:
        is_chat = self.ask.prompting is Prompting.chat
        prompt = self.messages(item) if is_chat else self.context(item)
        self._prompts.update(json.dumps(prompt).encode())
        return self._chat_ids(texts, prompt) if is_chat else texts.prompt(prompt)

    def _chat_ids(self, texts: TextEncoder, messages: list[dict]) -> list[int]:
        return encode_chat(texts.tokenizer, messages, add_generation_prompt=True).ids

    def context(self, item: Item) -> str:
        """The prompt as plain text: examples, then the question."""
        shown = [
            self._asked(each) + self.config.delimiter + each.answer + self.config.between
            for each in self._examples(item)
        ]
        return "".join(shown) + self._asked(item)

    def messages(self, item: Item) -> list[dict]:
        """The prompt as a conversation, in which examples are turns."""
        shown = [
            {"role": role, "content": content}
            for each in self._examples(item)
            for role, content in (("user", self._asked(each)), ("assistant", each.answer))
        ]
        return [*shown, {"role": "user", "content": self._asked(item)}]

    def _asked(self, item: Item) -> str:
        question, after = item.question, self.config.after
        if after == AUTO:
            is_asked = self.ask.prompting is Prompting.text and (self.config.before + question).startswith("Question:")
            question, after = (question.rstrip(), "\nAnswer:") if is_asked else (question, "")
        return self.config.before + question + after

    def _examples(self, item: Item) -> Iterator[Item]:
        """Drawn for this item alone; never the item itself."""
        generator = random.Random(f"{self.ask.seed} {item.number}")
        drawn = generator.sample(range(len(self._pool)), min(self.ask.num_fewshot + 1, len(self._pool)))
        others = [self._pool[number] for number in drawn if self.config.examples or number != item.number]
        yield from others[: self.ask.num_fewshot]


def _resolved(config: TaskConfig, file: TaskFile, prompting: Prompting) -> TaskConfig:
    """The task with what `auto` stands for, but for the text after a question, which each question decides."""
    is_text, extraction = prompting is Prompting.text, config.extraction
    if extraction is Extraction.auto:
        are_numbers = all(number_in(item.answer) is not None for item in file.items)
        extraction = Extraction.number if are_numbers else Extraction.text
    before = config.before
    if before == AUTO:
        before = "Question: " if file.kind is Kind.answer and is_text else ""
    until = config.until
    if not until and is_text:
        until = ["Question:"] if extraction is Extraction.number else ["\n"]
    delimiter = config.delimiter if is_text else ""
    return replace(config, kind=file.kind, extraction=extraction, before=before, until=until, delimiter=delimiter)


def _plain(values: dict) -> dict:
    return {key: value.value if isinstance(value, Enum) else value for key, value in values.items()}
