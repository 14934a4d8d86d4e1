"""`mai1 report RUN`: write report.html of a run, finished or not, and print its main figures."""

from pathlib import Path

from mai1.report.build import build_report
from mai1.report.records import read_lines, read_object


def main(arguments: list[str]) -> None:
    """Build the page, print a summary and where the page is."""
    if "--help" in arguments or len(arguments) != 1:
        print("usage: mai1 report runs/NAME")
        return
    directory = Path(arguments[0])
    if not (directory / "config.yaml").is_file():
        raise ValueError(f"{directory} holds no run (no config.yaml there): use runs/NAME")
    for line in summary(directory):
        print(line)
    print(f"  report        {build_report(directory)}")


def summary(directory: Path) -> list[str]:
    """The run in a few lines, from its files; what is not there yet is left out."""
    facts, baselines, answers, parity = (
        read_object(directory / f"{name}.json", notes=[]) for name in ("run", "baselines", "answers", "parity")
    )
    records = read_lines(directory / "metrics.jsonl", notes=[])
    lines = [f"{directory} ({facts.get('stage', '?')})"]
    trained = [record for record in records if record["kind"] == "train"]
    heldout = [record for record in records if record["kind"] == "heldout"]
    if trained:
        last = trained[-1]
        lines.append(
            f"  trained       {last['step']:,} steps, {last['tokens']:,} tokens, {last['tokens_per_s']:,.0f} tokens/s"
        )
    if heldout:
        first, last = heldout[0], heldout[-1]
        lines.append(f"  held-out      {last['loss']:.3f} nats per token, {last['bits_per_byte']:.3f} bits per byte")
        lines.append(f"  at the start  {first['loss']:.3f} nats per token")
    if baselines:
        lines.append(
            f"  baselines     bigram {baselines['bigram']:.3f}, unigram {baselines['unigram']:.3f} nats per token"
        )
    for when in ("before", "after"):
        if when in answers:
            figures = answers[when]
            lines.append(
                f"  {when + ' tuning':<13} answer loss {figures['answer_loss']:.3f} nats per token, "
                f"F1 {figures['f1']:.3f} on {figures['questions']} held-out questions"
            )
    if parity:
        lines.append(f"  transformers  {parity['architecture']}, logits within {parity['max_logit_difference']:.1e}")
    return lines
