"""The model card's results: held-out text, answers, tasks with their errors, the persona probe, agreement with transformers."""

from typing import Any

from mai1.report.corpus_card_text import code_span, markdown_table
from mai1.report.model_card_stages import Stage
from mai1.report.model_card_text import public
from mai1.report.records import mapping, number, read_object
from mai1.report.scales import fixed, grouped, percent, scientific

NORMAL_95 = 1.96
MAX_SCORES = 200


def evaluation_section(stages: list[Stage]) -> str:
    """Of the newest run, what was measured; what was not is named."""
    if not stages:
        return "No evaluation was recorded."
    newest = stages[0]
    parts = [_heldout(newest), _answers(newest), _tasks(newest)]
    return "\n\n".join(part for part in parts if part)


def persona_section(stages: list[Stage]) -> str:
    """How often answers to a fixed set of probes claim feelings or goals, before and after tuning."""
    probe = read_object(stages[0].run.directory / "persona.json", notes=[]) if stages else {}
    rates = {when: mapping(probe.get(when)) for when in ("before", "after")}
    rows = [
        [
            when,
            *(percent(number(found.get(key))) for key in ("rate", "low", "high")),
            grouped(number(found.get("asked"))),
        ]
        for when, found in rates.items()
        if number(found.get("rate")) is not None
    ]
    if not rows:
        return "How often its answers claim feelings, consciousness or goals of its own was not measured."
    return markdown_table(["tuning", "answers that claim them", "95% from", "to", "answers"], rows)


def agreement_section(proof: dict[str, Any], gguf: dict[str, dict[str, Any]]) -> str:
    """The proof in words, and what reading the GGUF files back showed."""
    parts = [_proof(proof)]
    for file, found in gguf.items():
        exact = f"{found.get('bit_exact')} of {found.get('tensors')} tensors are bit for bit those of the checkpoint"
        largest = scientific(number(found.get("max_difference")) or 0.0)
        parts.append(f"{code_span(file)}: read back, {exact}; the largest difference of a weight is {largest}.")
    return "\n\n".join(parts)


def _heldout(stage: Stage) -> str:
    newest = stage.run.heldout[-1] if stage.run.heldout else {}
    if not newest:
        return "No loss on held-out text was recorded."
    sources = mapping(newest.get("sources"))
    rows = [[public(name), *_figures(mapping(entry))] for name, entry in sorted(sources.items())]
    rows.append(["all", *_figures(newest)])
    rows += [
        [f"counts of {'pairs' if name == 'bigram' else 'single tokens'}", fixed(number(loss)), "–"]
        for name, loss in stage.run.baselines.items()
        if name in ("unigram", "bigram")
    ]
    step = grouped(number(newest.get("step")))
    table = markdown_table(["held-out text", "nats per token", "bits per byte"], rows)
    return f"Text that training never saw, at step {step}; below, what counting tokens reaches.\n\n{table}"


def _figures(entry: dict[str, Any]) -> list[str]:
    return [fixed(number(entry.get(key))) for key in ("loss", "bits_per_byte")]


def _answers(stage: Stage) -> str:
    rows = []
    for when in ("before", "after"):
        found = mapping(stage.run.answers.get(when))
        if found:
            figures = [fixed(number(found.get(key))) for key in ("answer_loss", "f1")]
            rows.append([f"{when} tuning", *figures, grouped(number(found.get("questions")))])
    return markdown_table(["answers to held-out questions", "nats per token", "F1", "questions"], rows) if rows else ""


def _tasks(stage: Stage) -> str:
    """Every score of every evaluation of the run; those apart on items that training text holds, too."""
    rows = []
    for path in sorted((stage.run.directory / "evaluation").glob("*.json")):
        found = read_object(path, notes=[])
        for task, entry in sorted(mapping(found.get("tasks")).items()):
            for split, scores in mapping(mapping(entry).get("scores")).items():
                rows += [
                    [
                        public(task),
                        public(split),
                        public(figure),
                        grouped(number(found.get("step"))),
                        *_with_error(mapping(score)),
                    ]
                    for figure, score in mapping(scores).items()
                ]
    if not rows:
        return "No task was evaluated."
    headers = ["task", "items", "figure", "step", "value", "95% interval", "guessing", "number of items"]
    return markdown_table(headers, rows[:MAX_SCORES])


def _with_error(score: dict[str, Any]) -> list[str]:
    error = number(score.get("standard_error"))
    interval = "–" if error is None else f"± {NORMAL_95 * error:.4f}"
    return [
        fixed(number(score.get("value")), 4),
        interval,
        fixed(number(score.get("chance")), 4),
        grouped(number(score.get("items"))),
    ]


def _proof(proof: dict[str, Any]) -> str:
    if not proof:
        return "The release was not compared with transformers."
    words = f"""On {grouped(number(proof.get("tokens")))} tokens of real text (SHA-256 {code_span(proof.get("text_sha256"))}),
read by mai1 and by transformers {public(proof.get("transformers"))}, both in float32: {_in_words(proof)}."""
    words += " Token ids are identical" + (", and so is the chat template." if proof.get("chat_identical") else ".")
    if released := mapping(proof.get("as_released")):
        words += f""" In {code_span(released.get("dtype"))}, as released, transformers against the checkpoint in float32:
{_in_words(released)}."""
    return " ".join(words.split())


def _in_words(figures: dict[str, Any]) -> str:
    values = {key: number(figures.get(key)) for key in figures}
    return (
        f"logits differ by at most {_small(values.get('max_logit_difference'))}, "
        f"the mean divergence is {_small(values.get('mean_kl'))} nats, "
        f"the likeliest token is the same for {percent(values.get('top1_agreement'))}, "
        f"and the experts are the same for {percent(values.get('routing_agreement'))} of tokens and layers"
    )


def _small(value: float | None) -> str:
    return "–" if value is None else scientific(value)
