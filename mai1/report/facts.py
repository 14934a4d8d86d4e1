"""End of the report: does transformers agree, and on what machine with which settings was this made."""

from typing import Any

from mai1.report.markup import Markup, absent, caption, details, element, passage, section, table
from mai1.report.records import RunRecords, mapping, number
from mai1.report.scales import scientific

VERDICTS = {"ids_identical": "token ids of generated text", "chat_identical": "chat template"}


def parity(records: RunRecords) -> Markup:
    """How the exported model compares when transformers loads it."""
    title = "Agreement with transformers"
    if not records.parity:
        return section("parity", title, absent("No parity.json: the comparison has not been made."))
    difference = number(records.parity.get("max_logit_difference"))
    rows = [
        ["architecture", records.parity.get("architecture", "–")],
        ["largest difference of a logit", "–" if difference is None else scientific(difference)],
        *([name, _verdict(records.parity.get(key))] for key, name in VERDICTS.items()),
    ]
    known = {"architecture", "max_logit_difference", *VERDICTS}
    rows += [[key, _plain(value)] for key, value in records.parity.items() if key not in known]
    note = caption("The checkpoint opened by transformers without this project's code, on the same tokens.")
    return section("parity", title, note, table(["compared", "result"], rows))


def setup(records: RunRecords) -> Markup:
    """Model, environment and the resolved configuration, verbatim."""
    model = mapping(records.run.get("model"))
    parts = [
        details("Model", _facts(model)) if model else absent("run.json does not describe the model."),
        details("Environment", _facts(records.environment)) if records.environment else absent("No environment.json."),
        details("Configuration", element("pre", records.config)) if records.config else absent("No config.yaml."),
    ]
    command = records.environment.get("command")
    return section("setup", "Setup", passage(command) if command else "", *parts)


def _facts(facts: dict[str, Any]) -> Markup:
    return table(["key", "value"], [[key, _plain(value)] for key, value in facts.items()], num_text_columns=2)


def _verdict(value: object) -> str:
    return {True: "✓ identical", False: "✗ differs"}[value] if isinstance(value, bool) else "– not compared"


def _plain(value: object) -> object:
    """A value as itself: a float as Python writes it, text without quotes, anything else as JSON."""
    return repr(value) if isinstance(value, float) else value
