"""Prompts to texts: several samples of each, cut at stop strings, with the probability of every token if asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from mai1.generate.compiled_step import CompiledStep
from mai1.generate.generation import Ending, Generation, check_room, start_generation
from mai1.generate.sampling import SamplingConfig
from mai1.generate.text_stream import TextStream
from mai1.model.transformer import MoETransformer
from mai1.tokenizer.tokenizer import Tokenizer


@dataclass(slots=True)
class Text:
    """What a model wrote after a prompt."""

    text: str
    """Up to the stop string, if it met one."""
    tokens: list[str]
    """What each token alone is, those of a stop string included."""
    log_probabilities: list[float]
    """Of each token; empty unless asked for."""
    ending: Ending


@torch.inference_mode()
def write_texts(
    model: MoETransformer,
    tokenizer: Tokenizer,
    prompts: list[list[int]],
    config: SamplingConfig,
    *,
    stops: Sequence[str] = (),
    num_samples: int = 1,
    rows_at_once: int = 16,
    wants_log_probabilities: bool = False,
    step: CompiledStep | None = None,
    progress: Callable[[int], None] = lambda num_done: None,
) -> list[list[Text]]:
    """`num_samples` texts for each prompt. A text depends on its prompt, the seed and the sample's number alone.

    Prompts of like length go together; `progress` is told how many texts were finished. ValueError, before anything is
    computed, for a prompt that leaves no room.
    """
    check_room(prompts, config, max_positions=model.config.max_positions)
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    rows = [(number, sample) for number in order for sample in range(num_samples)]
    settings = {"stop_ids": tokenizer.stop_ids, "num_text_ids": tokenizer.num_text_ids, "step": step}
    settings["wants_log_probabilities"] = wants_log_probabilities
    texts: list[list[Text]] = [[] for _ in prompts]
    for first in range(0, len(rows), rows_at_once):
        part = rows[first : first + rows_at_once]
        samples = [sample for _, sample in part]
        generation = start_generation(
            model, [prompts[number] for number, _ in part], config, samples=samples, **settings
        )
        streams = [TextStream(tokenizer.decode, stops) for _ in part]
        written = _write(generation, streams, progress)
        for (number, _), text, stream, completion in zip(part, written, streams, generation.completions, strict=True):
            tokens = [tokenizer.decode([token]) for token in completion.ids]
            ending = Ending.stop if stream.is_stopped else completion.ending
            texts[number].append(Text(text, tokens, completion.log_probabilities, ending))
    return texts


def _write(generation: Generation, streams: list[TextStream], progress: Callable[[int], None]) -> list[str]:
    texts, num_open = ["" for _ in streams], len(streams)
    while not generation.is_done:
        for row, token in generation.step().items():
            texts[row] += streams[row].add(token)
            if streams[row].is_stopped:
                generation.close(row)
        progress(num_open - generation.num_open)
        num_open = generation.num_open
    return [text + stream.finish() for text, stream in zip(texts, streams, strict=True)]
