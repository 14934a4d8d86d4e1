"""What the report shows of a model's words: continuations of held-out text, and answers before and after tuning."""

import json
from dataclasses import asdict, replace
from pathlib import Path

from mai1.checkpoint.inference import load_model
from mai1.evaluate.answers import Answer, answer_questions
from mai1.generate.sampling import generate
from mai1.run.config import StageConfig
from mai1.run.datasets import StageData
from mai1.run.directory import write_atomically
from mai1.tokenizer.chat import encode_chat

PROMPT_TOKENS = 24
"""Held-out tokens a continuation starts from."""


def write_continuations(checkpoint: Path, config: StageConfig, data: StageData) -> None:
    """Continue the beginnings of a few held-out rows; for stages that ask no questions."""
    rows = [row for source in data.heldout for row in source.rows if row.num_valid > PROMPT_TOKENS]
    if data.questions or not rows or not config.samples.count:
        return
    model, tokenizer = load_model(checkpoint), data.tokenizer
    picked = [rows[i * len(rows) // config.samples.count] for i in range(min(config.samples.count, len(rows)))]
    prompts = [row.ids[:PROMPT_TOKENS].tolist() for row in picked]
    completions = generate(
        model,
        prompts,
        _fitting(config, model, PROMPT_TOKENS),
        stop_ids=[tokenizer.end_of_text_id],
        num_text_ids=tokenizer.vocabulary.text_size,
    )
    answers = [
        Answer(
            prompt=tokenizer.decode([i for i in ids if i != tokenizer.end_of_text_id]),
            reference=tokenizer.decode(row.ids[PROMPT_TOKENS : min(PROMPT_TOKENS + 48, row.num_valid)].tolist()),
            completion=tokenizer.decode(completion),
            score=None,
        )
        for row, ids, completion in zip(picked, prompts, completions, strict=True)
    ]
    _write(config.run.path, "after", answers)


def ask_questions(checkpoint: Path | None, config: StageConfig, data: StageData, *, when: str) -> None:
    """Ask the held-out questions that fit the model once, before or after tuning; keep the figures and a few answers."""
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
    result, answers = answer_questions(model, data.tokenizer, asked, _fitting(config, model, longest))
    write_atomically(path, json.dumps(figures | {when: asdict(result), "questions": len(asked)}, indent=1))
    _write(config.run.path, when, answers[: config.samples.count])


def _fitting(config: StageConfig, model, prompt_tokens: int):
    """The sampling with a length that fits the model's positions."""
    room = model.config.max_positions - prompt_tokens
    return replace(config.sampling, max_new_tokens=max(1, min(config.sampling.max_new_tokens, room)))


def _write(run_directory: Path, when: str, answers: list[Answer]) -> None:
    path = run_directory / "samples.jsonl"
    kept = path.read_text().splitlines() if path.is_file() else []
    kept = [line for line in kept if json.loads(line)["when"] != when]
    kept += [json.dumps({"when": when, **asdict(answer)}) for answer in answers]
    write_atomically(path, "\n".join(kept))
