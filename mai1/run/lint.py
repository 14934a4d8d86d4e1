"""`mai1 lint FILE...`: where assistants claim feelings, a consciousness, wishes or a life of their own.

usage: mai1 lint FILE... [least=hedged] [output=FINDINGS.jsonl] [show=5]

FILE   conversations in any shape that tuning reads (.jsonl, .json), or samples.jsonl of a run
least  smallest severity that counts: polite (idioms such as `I'm happy to help`), hedged, plain
output a line for each claim: file, place, message, category, severity, language, start, end, sentence
show   claims printed of each category

Exit code 0, whatever is found: a table is printed for a person, and the file is for programs.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tqdm import tqdm

from mai1.data.conversation_shapes import is_preference, to_messages, to_preference
from mai1.data.instructions import read_records
from mai1.generate.terminal import harmless
from mai1.persona.claims import Claim, Severity, find_persona_claims
from mai1.persona.rates import wilson
from mai1.report.page import write_page
from mai1.run.output import check_output

OPTIONS = {"least": "hedged", "output": "", "show": "5"}


@dataclass(slots=True)
class Findings:
    """What was looked at, and every claim with its place."""

    conversations: int = 0
    flagged: int = 0
    unreadable: int = 0
    first_unreadable: str = ""
    claims: list[tuple[str, Claim]] = field(default_factory=list)


def main(arguments: list[str]) -> None:
    """Lint files as asked; the table goes to standard output."""
    if "--help" in arguments or not arguments:
        print(__doc__)
        return
    options = OPTIONS | dict(a.split("=", 1) for a in arguments if a.split("=", 1)[0] in OPTIONS and "=" in a)
    files = [Path(a) for a in arguments if not ("=" in a and a.split("=", 1)[0] in OPTIONS)]
    if not files:
        raise ValueError("no file is named: mai1 lint data.jsonl")
    if options["least"] not in [each.value for each in Severity]:
        raise ValueError(f"least={options['least']} must be one of polite, hedged, plain: use one of them")
    if not options["show"].isdecimal():
        raise ValueError(f"show={options['show']} must be a number: use 0 for none")
    if options["output"]:
        check_output(Path(options["output"]), key="output", inputs=files)
    findings = lint_files(files, least=Severity(options["least"]))
    for line in table(findings, num_shown=int(options["show"])):
        print(line)
    if options["output"]:
        lines = [json.dumps(record_of(place, claim), ensure_ascii=False) + "\n" for place, claim in findings.claims]
        write_page(Path(options["output"]), "".join(lines))


def lint_files(files: list[Path], *, least: Severity) -> Findings:
    """All claims of the assistants in these files; ValueError for a file that is none or holds no conversation."""
    findings = Findings()
    for path in files:
        if not path.is_file():
            raise ValueError(f"{path} is no file: name .jsonl or .json files of conversations")
        before = findings.conversations
        for place, record in tqdm(read_records(path), desc=path.name, unit=" records", file=sys.stderr, delay=5.0):
            try:
                talks = list(conversations_of(record))
            except ValueError as error:
                findings.unreadable += 1
                findings.first_unreadable = findings.first_unreadable or f"{place}: {error}"
                continue
            for messages in talks:
                claims = find_persona_claims(messages, least=least)
                findings.conversations += 1
                findings.flagged += bool(claims)
                findings.claims += [(place, claim) for claim in claims]
        if findings.conversations == before:
            raise ValueError(
                f"{path} holds no conversation ({findings.first_unreadable or 'it is empty'}): name another file"
            )
    return findings


def conversations_of(record: object) -> Iterator[list[dict]]:
    """The conversation of a record; both of a preference; a sample of a run as question and answer."""
    if isinstance(record, dict) and isinstance(record.get("prompt"), str) and isinstance(record.get("completion"), str):
        asked, said = (
            {"role": role, "content": record[key]} for role, key in (("user", "prompt"), ("assistant", "completion"))
        )
        yield [asked, said]
    elif is_preference(record):
        pair = to_preference(record)
        for answer in (pair.chosen, pair.rejected):
            yield [*pair.messages, {"role": "assistant", "content": answer}]
    else:
        yield to_messages(record)


def table(findings: Findings, *, num_shown: int) -> list[str]:
    """Counts by category and severity, a rate with its interval, and a few claims of each category."""
    low, high = wilson(findings.flagged, findings.conversations)
    rate = findings.flagged / max(findings.conversations, 1)
    lines = [
        f"{findings.flagged:,} of {findings.conversations:,} conversations with claims: {rate:.2%} (95%: {low:.2%} to {high:.2%})"
    ]
    if findings.unreadable:
        lines.append(f"{findings.unreadable:,} records are no conversations, such as {findings.first_unreadable}")
    counts = Counter((claim.category.value, claim.severity.value) for _, claim in findings.claims)
    for category in sorted({name for name, _ in counts}):
        by_severity = {
            severity: counts[category, severity.value] for severity in Severity if counts[category, severity.value]
        }
        lines.append(f"  {category:<14}" + ", ".join(f"{number:,} {s.value}" for s, number in by_severity.items()))
        shown = [(place, claim) for place, claim in findings.claims if claim.category.value == category][:num_shown]
        lines += [f"    {place}: {harmless(' '.join(claim.sentence.split()))[:160]}" for place, claim in shown]
    return lines


def record_of(place: str, claim: Claim) -> dict:
    """A line of the findings."""
    file, _, entry = place.rpartition(":")
    values = asdict(claim) | {"category": claim.category.value, "severity": claim.severity.value}
    return {"file": file or place, "place": entry, **values}
