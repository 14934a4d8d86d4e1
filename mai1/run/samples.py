"""What the report shows of a model's words: continuations of held-out text, and answers before and after tuning."""

import json
from dataclasses import asdict, replace
from pathlib import Path

from mai1.checkpoint.inference import load_model
from mai1.evaluate.answers import Answer, answer_questions
from mai1.evaluate.periodic_samples import PeriodicSamples, SamplePrompt
from mai1.evaluate.rows import Measuring
from mai1.generate.generation import generate
from mai1.generate.sampling import SamplingConfig
from mai1.run.config import StageConfig
from mai1.run.datasets import StageData
from mai1.run.directory import write_atomically
from mai1.run.persona_probe import ask_probes
from mai1.tokenizer.chat import encode_chat

PROMPT_TOKENS = 24
"""Held-out tokens a continuation starts from."""


def periodic_samples(config: StageConfig, measuring: Measuring, data: StageData) -> PeriodicSamples | None:
    """What the model is to say while it learns; None where nothing is asked of it."""
    max_positions = measuring.model.config.max_positions
    prompts = _questions(config, data, max_positions) if data.questions else _beginnings(config, data)
    if not config.samples.every_steps or not prompts:
        return None
    path = config.run.path
    return PeriodicSamples(
        every_steps=config.samples.every_steps,
        prompts=prompts,
        sampling=_fitting(config, max_positions, max(len(prompt.ids) for prompt in prompts)),
        measuring=measuring,
        tokenizer=data.tokenizer,
        stop_ids=data.tokenizer.stop_ids if data.questions else data.tokenizer.stop_ids[:1],
        keep=lambda step, answers: _write(path, f"step {step}", answers),
    )


def write_continuations(checkpoint: Path, config: StageConfig, data: StageData) -> None:
    """Continue the beginnings of a few held-out rows; for stages that ask no questions."""
    prompts = [] if data.questions else _beginnings(config, data)
    if not prompts:
        return
    model, tokenizer = load_model(checkpoint), data.tokenizer
    completions = generate(
        model,
        [prompt.ids for prompt in prompts],
        _fitting(config, model.config.max_positions, PROMPT_TOKENS),
        stop_ids=tokenizer.stop_ids[:1],
        num_text_ids=tokenizer.num_text_ids,
    )
    answers = [
        Answer(prompt.text, prompt.reference, tokenizer.decode(completion), score=None)
        for prompt, completion in zip(prompts, completions, strict=True)
    ]
    _write(config.run.path, "after", answers)


def ask_questions(checkpoint: Path | None, config: StageConfig, data: StageData, *, when: str) -> None:
    """Ask the held-out questions that fit the model once, before or after tuning; keep the figures and a few answers.

    Before them the probes for claims of a persona, where these are asked for.
    """
    ask_probes(checkpoint, config, data.tokenizer, when=when)
    path = config.run.path / "answers.json"
    figures = json.loads(path.read_text()) if path.is_file() else {}
    if checkpoint is None or not data.questions or not config.samples.questions or when in figures:
        return
    model = load_model(checkpoint)
    prompts = [encode_chat(data.tokenizer, q[:-1], add_generation_prompt=True).ids for q in data.questions]
    fitting = [i for i, ids in enumerate(prompts) if len(ids) < model.config.max_positions][: config.samples.questions]
    if not fitting:
        return
    asked, longest = [data.questions[i] for i in fitting], max(len(prompts[i]) for i in fitting)
    result, answers = answer_questions(
        model, data.tokenizer, asked, _fitting(config, model.config.max_positions, longest)
    )
    write_atomically(path, json.dumps(figures | {when: asdict(result), "questions": len(asked)}, indent=1))
    _write(config.run.path, when, answers[: config.samples.count])


def _beginnings(config: StageConfig, data: StageData) -> list[SamplePrompt]:
    """Beginnings of held-out rows, evenly taken."""
    rows = [row for source in data.heldout for row in source.rows if row.num_valid > PROMPT_TOKENS]
    count, decode = min(config.samples.count, len(rows)), data.tokenizer.decode
    prompts = []
    for row in (rows[i * len(rows) // config.samples.count] for i in range(count)):
        ids = row.ids[:PROMPT_TOKENS].tolist()
        shown = decode([token for token in ids if token != data.tokenizer.end_of_text_id])
        reference = decode(row.ids[PROMPT_TOKENS : min(PROMPT_TOKENS + 48, row.num_valid)].tolist())
        prompts.append(SamplePrompt(ids, shown, reference, is_question=False))
    return prompts


def _questions(config: StageConfig, data: StageData, max_positions: int) -> list[SamplePrompt]:
    """The first held-out questions that leave room for an answer."""
    prompts = []
    for messages in data.questions:
        ids = encode_chat(data.tokenizer, messages[:-1], add_generation_prompt=True).ids
        if len(prompts) < config.samples.count and len(ids) < max_positions:
            prompts.append(SamplePrompt(ids, messages[-2]["content"], messages[-1]["content"], is_question=True))
    return prompts


def _fitting(config: StageConfig, max_positions: int, prompt_tokens: int) -> SamplingConfig:
    """The sampling with a length that fits the model's positions."""
    room = max_positions - prompt_tokens
    return replace(config.sampling, max_new_tokens=max(1, min(config.sampling.max_new_tokens, room)))


def _write(run_directory: Path, when: str, answers: list[Answer]) -> None:
    path = run_directory / "samples.jsonl"
    kept = path.read_text().splitlines() if path.is_file() else []
    kept = [line for line in kept if json.loads(line)["when"] != when]
    kept += [json.dumps({"when": when, **asdict(answer)}) for answer in answers]
    write_atomically(path, "\n".join(kept))
