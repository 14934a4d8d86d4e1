"""The model card of a release: `README.md` with what the model is, what it was made of and how, and what it is not.

Made of the run's own files alone; what they do not tell is said to be unknown, and nothing of the machine gets in.
"""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mai1.report.corpus_card_text import Safe, bullet_list, code_span, front_matter, markdown, markdown_table
from mai1.report.model_card_curve import loss_image
from mai1.report.model_card_data import data_section, languages_of, limits_of_data
from mai1.report.model_card_results import agreement_section, evaluation_section, persona_section
from mai1.report.model_card_stages import Stage, read_stages
from mai1.report.model_card_text import public
from mai1.report.model_card_training import lineage_section, training_section
from mai1.report.page import write_page
from mai1.report.scales import compact, grouped

CURVE = "loss.svg"
HUB_DATASET = re.compile(r"datasets:([\w.-]+(?:/[\w.-]+)?)")
"""A source that `mai1 prepare` took from the Hub."""


@dataclass(kw_only=True, slots=True)
class ReleaseFacts:
    """What the release itself knows of the model."""

    name: str
    architecture: str
    model_type: str
    parameters: dict[str, int]
    """total and active."""
    shape: dict[str, Any]
    """Sizes by name, as the card lists them."""
    dtype: str
    licence: str = ""
    """As the Hugging Face Hub names it; empty where none was given."""
    step: int = 0
    """Optimizer steps of the checkpoint; 0 where it does not say."""
    is_chat: bool = False
    """Tuned on conversations."""
    base_model: str = ""
    """Hub name of the model that this one was made of."""
    gguf: dict[str, dict[str, Any]] = field(default_factory=dict)
    """File name -> what reading it back showed."""
    proof: dict[str, Any] = field(default_factory=dict)
    """Agreement with transformers; empty where it was not compared."""
    has_weights: bool = True
    """Whether there are safetensors beside the GGUF files."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of the programs that wrote the release."""


def write_model_card(directory: Path, facts: ReleaseFacts, *, run: Path | None, configs: dict[str, dict]) -> list[Path]:
    """Write README.md and, where a loss was logged, its curve; returns their paths.

    `run` is the directory of the run that made the model, `configs` the parsed configuration of each run by its directory's
    path; both may be absent.
    """
    stages = read_stages(run, configs)
    image = loss_image([stage.run for stage in stages])
    parts = [
        front_matter(_metadata(facts, stages)),
        f"# {markdown(facts.name)}",
        _what(facts, stages),
        "## The model",
        _model(facts),
        "## How to use it",
        _use(facts),
        "## Intended use and limits",
        _limits(facts, stages),
        "## Training data",
        data_section(stages),
        "## Training",
        training_section(stages),
        f"![Held-out and training loss by tokens]({CURVE})" if image else "No loss was logged, so no curve is shown.",
        "## Evaluation",
        evaluation_section(stages),
        "## Claims of feelings or goals of its own",
        persona_section(stages),
        "## Agreement with transformers",
        agreement_section(facts.proof, facts.gguf),
        "## Lineage",
        lineage_section(stages, facts.versions),
    ]
    written = [write_page(directory / "README.md", "\n\n".join(part for part in parts if part) + "\n")]
    return written + ([write_page(directory / CURVE, image)] if image else [])


def _metadata(facts: ReleaseFacts, stages: list[Stage]) -> dict[str, Any]:
    """Front matter as the Hugging Face Hub reads it; a data set is named where it came from there."""
    paths = [
        str(entry.get("path") or "") for stage in stages if stage.corpus for entry in stage.corpus.sources.values()
    ]
    datasets = sorted({found[1] for path in paths if (found := HUB_DATASET.fullmatch(path))})
    return {
        "license": facts.licence or "unknown",
        "language": languages_of(stages),
        "library_name": "transformers" if facts.has_weights else "gguf",
        "pipeline_tag": "text-generation",
        "base_model": facts.base_model,
        "datasets": datasets,
        "tags": ["mixture-of-experts", "mai1", facts.model_type, *(["conversational"] if facts.is_chat else [])],
    }


def _what(facts: ReleaseFacts, stages: list[Stage]) -> str:
    made = "It was not recorded how it was trained."
    if stages:
        names = ", started from ".join(str(public(stage.run.name)) for stage in stages)
        made = f"It was trained with mai1 in the run {names}."
    total, active = facts.parameters["total"], facts.parameters["active"]
    return (
        f"A mixture-of-experts language model of {compact(total)} parameters, of which {compact(active)} are active for a "
        f"token. {made} It loads as `{facts.architecture}` without custom code."
    )


def _model(facts: ReleaseFacts) -> str:
    rows = [
        ["architecture", code_span(facts.architecture)],
        ["parameters in all", grouped(facts.parameters["total"])],
        ["parameters active for a token", grouped(facts.parameters["active"])],
        *([name, str(value)] for name, value in facts.shape.items()),
        ["type of the weights", code_span(facts.dtype)],
        ["licence", facts.licence or Safe("**not stated**")],
    ]
    if facts.step:
        rows.append(["optimizer steps", grouped(facts.step)])
    return markdown_table(["", ""], rows)


def _use(facts: ReleaseFacts) -> str:
    name, parts = json.dumps(facts.name), []
    if facts.has_weights:
        lines = [
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            "",
            f"tokenizer = AutoTokenizer.from_pretrained({name})",
            f'model = AutoModelForCausalLM.from_pretrained({name}, dtype="auto")',
            *(_CHAT if facts.is_chat else _TEXT),
            "answer = model.generate(**inputs, max_new_tokens=128)",
            'print(tokenizer.decode(answer[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))',
        ]
        parts.append("\n".join(["```python", *lines, "```"]))
    if facts.gguf:
        option = "--jinja -cnv" if facts.is_chat else "-no-cnv -p 'Once upon a time'"
        lines = [f"llama-cli -m {shlex.quote(file)} {option}" for file in facts.gguf]
        parts.append("\n".join(["With llama.cpp:\n\n```", *lines, "```"]))
    return "\n\n".join(parts)


_CHAT = (
    'messages = [{"role": "user", "content": "What is a mutex?"}]',
    "inputs = tokenizer.apply_chat_template(",
    '    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"',
    ")",
)
_TEXT = ('inputs = tokenizer(tokenizer.bos_token + "Once upon a time", return_tensors="pt")',)


def _limits(facts: ReleaseFacts, stages: list[Stage]) -> str:
    kind = "answering in conversations" if facts.is_chat else "continuing text; it was not tuned to follow instructions"
    lines = [
        f"Made for {kind}, and for research on mixtures of experts.",
        "Not for decisions about people, nor for medical, legal or financial advice: it states falsehoods fluently.",
        "It repeats what its training data says, with that data's errors and prejudices, and may reproduce passages of it.",
        *limits_of_data(stages),
    ]
    if not facts.licence:
        lines.append("No licence was stated for it: find out under which terms it may be used.")
    return bullet_list(lines)
