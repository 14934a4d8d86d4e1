"""What a model says after a prompt, until it ends or says one of the stops."""

import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import torch
from tqdm import tqdm

from mai1.dist import gather_json, sum_over_ranks
from mai1.evaluate.likelihood import SharedModel
from mai1.generate.generation import Generation, start_generation
from mai1.generate.sampling import SamplingConfig
from mai1.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Prompt:
    """What to go on from, and how."""

    ids: tuple[int, ...]
    """Those that do not fit beside the reply are left out at the beginning."""
    until: tuple[str, ...]
    """Texts that end the reply and are no part of it."""
    sampling: SamplingConfig


def reply(shared: SharedModel, tokenizer: Tokenizer, prompts: Sequence[Prompt], *, label: str = "") -> list[str]:
    """The reply to each prompt, on every rank. Every rank must call this with the same prompts.

    Nothing is forbidden to a model but to go on after the end; control tokens it says are left out of the text.
    """
    assert shared.keeps_whole_rows, "replies need all layers and positions on a rank"
    fitted = [_fitting(prompt, shared.max_length) for prompt in prompts]
    batches = _batches(fitted, tokens_at_once=shared.tokens_at_once)
    place, num_readers = shared.reader
    settings = {"unit": "batch", "delay": 2.0, "leave": False, "file": sys.stderr, "disable": not shared.world.is_main}
    said: dict[str, str] = {}
    was_training = shared.model.training
    shared.model.eval()
    for first in tqdm(range(0, len(batches), num_readers), desc=label or "replies", **settings):
        mine = batches[first + place] if first + place < len(batches) else []
        texts = _replies_of(shared, tokenizer, [fitted[number] for number in mine])
        said |= dict(zip(map(str, mine), texts, strict=True))
    shared.model.train(was_training)
    merged = {number: text for part in gather_json(said, shared.world) for number, text in part.items()}
    return [merged[str(number)] for number in range(len(prompts))]


@torch.no_grad()
def _replies_of(shared: SharedModel, tokenizer: Tokenizer, prompts: list[Prompt]) -> list[str]:
    """Replies to prompts of one kind. A rank that has no open one passes padding as long as others have some."""
    generation = _start(shared, tokenizer, prompts) if prompts else None
    texts, is_open = [""] * len(prompts), [True] * len(prompts)
    while sum_over_ranks([float(any(is_open))], shared.world)[0]:
        if not any(is_open):
            _pass_padding(shared)
            continue
        for row in generation.step():
            texts[row] = _plain_text(tokenizer, generation.completions[row].ids)
            is_open[row] = not any(stop and stop in texts[row] for stop in prompts[row].until)
        if generation.is_done:
            is_open = [False] * len(prompts)
    return [cut_at(text, prompt.until) for text, prompt in zip(texts, prompts, strict=True)]


def _start(shared: SharedModel, tokenizer: Tokenizer, prompts: list[Prompt]) -> Generation:
    return start_generation(
        shared.model,
        [list(prompt.ids) for prompt in prompts],
        prompts[0].sampling,
        stop_ids=tokenizer.stop_ids,
        num_text_ids=shared.model.config.vocab_size,
        step=shared.step,
    )


def _pass_padding(shared: SharedModel) -> None:
    """A forward for the sake of ranks whose experts or weights are here."""
    tokens_BT = torch.full((1, 1), shared.pad_id, device=shared.world.device)
    shared.model(tokens_BT, segments_BT=torch.full((1, 1), -1))


def cut_at(text: str, stops: Sequence[str]) -> str:
    """What stands before the first stop."""
    for stop in stops:
        text = text.split(stop)[0] if stop else text
    return text


def _fitting(prompt: Prompt, max_length: int) -> Prompt:
    room = max_length - prompt.sampling.max_new_tokens
    if room < 1:
        raise ValueError(
            f"max_new_tokens={prompt.sampling.max_new_tokens} must be less than max_length={max_length}: ask for less"
        )
    return replace(prompt, ids=prompt.ids[-room:])


def _batches(prompts: list[Prompt], *, tokens_at_once: int) -> list[list[int]]:
    """Prompts of one kind of sampling and about one length, by number; the longest first."""
    order = sorted(range(len(prompts)), key=lambda number: (_kind(prompts[number]), -len(prompts[number].ids), number))
    batches: list[list[int]] = []
    for number in order:
        first = prompts[batches[-1][0]] if batches else None
        width = len(first.ids) + first.sampling.max_new_tokens if first else 0
        if first and _kind(first) == _kind(prompts[number]) and (len(batches[-1]) + 1) * width <= tokens_at_once:
            batches[-1].append(number)
        else:
            batches.append([number])
    return batches


def _kind(prompt: Prompt) -> tuple:
    return *astuple(prompt.sampling), prompt.until


def _plain_text(tokenizer: Tokenizer, ids: list[int]) -> str:
    """The text of ids without control tokens, and without what stands for nothing."""
    control = {tokenizer.vocabulary.control_id(name) for name in tokenizer.vocabulary.control}
    return tokenizer.decode([token for token in ids if token < tokenizer.num_text_ids and token not in control])
