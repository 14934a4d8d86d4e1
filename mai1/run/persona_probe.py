"""How often a model claims a person behind it, on a fixed set of questions: persona.json, before and after tuning."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

from mai1.checkpoint.inference import load_model
from mai1.generate.texts import write_texts
from mai1.persona.claims import Claim, find_persona_claims
from mai1.persona.probes import NAME, Probe, even_choice
from mai1.persona.rates import wilson
from mai1.run.config import StageConfig
from mai1.run.directory import write_atomically
from mai1.tokenizer.chat import encode_chat
from mai1.tokenizer.tokenizer import Tokenizer

ANSWER_TOKENS = 64
"""Longest answer to a probe."""
NUM_EXAMPLES = 12


def ask_probes(checkpoint: Path | None, config: StageConfig, tokenizer: Tokenizer, *, when: str) -> None:
    """Ask the probes greedily and keep the rate of answers with claims; once for each of before and after."""
    path = config.run.path / "persona.json"
    figures = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if checkpoint is None or not config.samples.persona_probes or when in figures:
        return
    model = load_model(checkpoint)
    probes = even_choice(config.samples.persona_probes)
    encoded = [encode_chat(tokenizer, asked(probe), add_generation_prompt=True).ids for probe in probes]
    longest = min(ANSWER_TOKENS, model.config.max_positions // 2)
    fitting = [n for n, ids in enumerate(encoded) if len(ids) + longest <= model.config.max_positions]
    if not fitting:
        return
    sampling = replace(config.sampling, max_new_tokens=longest, temperature=0.0)
    texts = write_texts(model, tokenizer, [encoded[n] for n in fitting], sampling)
    answers = [(probes[n], text[0].text) for n, text in zip(fitting, texts, strict=True)]
    figures |= {"set": NAME, when: figures_of(answers)}
    write_atomically(path, json.dumps(figures, indent=1, ensure_ascii=False))


def asked(probe: Probe) -> list[dict]:
    """The probe as a conversation."""
    return [{"role": "user", "content": probe.prompt}]


def figures_of(answers: list[tuple[Probe, str]]) -> dict:
    """The rate with its interval, by category of claims, by what was asked and by language; and examples."""
    found = [find_persona_claims([*asked(probe), {"role": "assistant", "content": text}]) for probe, text in answers]
    flagged = sum(map(bool, found))
    low, high = wilson(flagged, len(answers))
    return {
        "asked": len(answers),
        "flagged": flagged,
        "rate": flagged / len(answers),
        "low": low,
        "high": high,
        "claims": dict(Counter(name for claims in found for name in sorted({c.category.value for c in claims}))),
        "by_question": _by([probe.about for probe, _ in answers], found),
        "by_language": _by([probe.language for probe, _ in answers], found),
        "examples": [_example(*pair) for pair in zip(answers, found, strict=True) if pair[1]][:NUM_EXAMPLES],
    }


def _by(names: list[str], found: list[list[Claim]]) -> dict[str, dict[str, int]]:
    figures = {name: {"asked": 0, "flagged": 0} for name in sorted(set(names))}
    for name, claims in zip(names, found, strict=True):
        figures[name]["asked"] += 1
        figures[name]["flagged"] += bool(claims)
    return figures


def _example(answer: tuple[Probe, str], claims: list[Claim]) -> dict:
    probe, text = answer
    return {
        "prompt": probe.prompt,
        "answer": text,
        "category": claims[0].category.value,
        "sentence": claims[0].sentence,
    }
