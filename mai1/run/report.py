"""`mai1 report DIRECTORY`: write report.html of a run, finished or not, or of a corpus, and print its main figures."""

import sys
from pathlib import Path

from mai1.report.build import write_report
from mai1.report.corpus import build_corpus_report
from mai1.report.corpus_card import write_card
from mai1.report.corpus_overview import summary as corpus_summary
from mai1.report.corpus_records import read_corpus
from mai1.report.ledger import summary_lines
from mai1.report.records import RunRecords, read_object, read_run


def main(arguments: list[str]) -> None:
    """Build the page, print a summary and where the page is."""
    if "--help" in arguments or not arguments:
        print("usage: mai1 report runs/NAME\n       mai1 report data/NAME")
        return
    if len(arguments) > 1:
        raise ValueError(f"report {' '.join(arguments)}: give one directory, runs/NAME or data/NAME")
    directory = Path(arguments[0])
    if not (directory / "config.yaml").is_file():
        if not (directory / "manifest.json").is_file():
            raise ValueError(
                f"{directory} holds neither a run (no config.yaml there) nor a corpus (no manifest.json): use runs/NAME or "
                "data/NAME"
            )
        if (directory / "config.json").is_file():
            raise ValueError(f"{directory} is a checkpoint, which stays as it was saved: name its run, runs/NAME")
        write_corpus_pages(directory)
        return
    records = read_run(directory)
    for line in summary(records):
        print(line)
    print(f"  report        {write_report(records)}")


def write_corpus_pages(directory: Path) -> None:
    """Write report.html and README.md of a prepared corpus, and print its main figures and where they are.

    The corpus is complete without them: where they cannot be written, that is said and no more.
    """
    for line in corpus_summary(read_corpus(directory)):
        print(line)
    try:
        print(f"  report        {build_corpus_report(directory)}")
        print(f"  data card     {write_card(directory)}")
    except OSError as error:
        print(f"the page or the data card cannot be written ({error}); the corpus is complete", file=sys.stderr)


def summary(records: RunRecords) -> list[str]:
    """The run in a few lines; what is not there yet is left out."""
    baselines, answers, parity = records.baselines, records.answers, records.parity
    lines = [f"{records.directory} ({records.run.get('stage', '?')})"]
    trained, heldout, pairs = records.train, records.heldout, records.pairs
    if trained:
        last = trained[-1]
        lines.append(
            f"  trained       {last['step']:,} steps, {last['tokens']:,} tokens, {last['tokens_per_s']:,.0f} tokens/s"
        )
    if heldout:
        first, last = heldout[0], heldout[-1]
        lines.append(f"  held-out      {last['loss']:.3f} nats per token, {last['bits_per_byte']:.3f} bits per byte")
        lines.append(f"  at the start  {first['loss']:.3f} nats per token")
    if pairs:
        shares = " -> ".join(f"{record['preference_accuracy']:.1%}" for record in (pairs[0], pairs[-1]))
        lines.append(f"  preferences   {shares} of {pairs[-1]['pairs']} held-out pairs ranked rightly")
    lines += [f"  {name:<13} {line}" for name, line in summary_lines(trained, heldout).items()]
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
    lines += [f"  {'asked ' + when:<13} {rate}" for when, rate in _persona_rates(records.directory).items()]
    if parity:
        lines.append(f"  transformers  {parity['architecture']}, logits within {parity['max_logit_difference']:.1e}")
    return lines


def _persona_rates(directory: Path) -> dict[str, str]:
    """How many probes were answered with a claim of a persona, before and after tuning."""
    figures = read_object(directory / "persona.json", notes=[])
    moments = {when: figures[when] for when in ("before", "after") if when in figures}
    return {
        when: f"{each['flagged']} of {each['asked']} probes answered with a claim" for when, each in moments.items()
    }
