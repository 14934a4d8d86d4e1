"""docs/topologies.md says what works together; this writes its table and refuses a stale one."""

import re
from itertools import product
from pathlib import Path

import pytest

from mai1.engine.ds_config import EngineConfig
from mai1.engine.support import RULES, check_combination, refusal
from tests.support.topologies import COLUMNS, KINDS, supported

DOCS = Path("docs/topologies.md")


def _table() -> str:
    lines = [f"| ranks share | {' | '.join(COLUMNS)} |", f"|---{'|---' * len(COLUMNS)}|"]
    for kind, sizes in KINDS.items():
        rules = [refusal(EngineConfig(**sizes, **column)) for column in COLUMNS.values()]
        cells = ["exact" if rule is None else f"no ({'abcdefgh'[RULES.index(rule)]})" for rule in rules]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    reasons = [
        f"- ({letter}) {' with '.join(f'`engine.{key}`' for key in rule.keys)}: {rule.reason}; {rule.mend}."
        for letter, rule in zip("abcdefgh", RULES, strict=False)
    ]
    return "\n".join([*lines, "", *reasons])


def test_the_documented_table_is_what_the_engine_accepts():
    text = DOCS.read_text(encoding="utf-8")
    found = re.search(r"<!-- table -->\n(.*)\n<!-- end -->", text, re.DOTALL)
    assert found and found[1] == _table(), f"put this between the marks of {DOCS}:\n{_table()}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: " ".join(rule.keys))
def test_a_refused_combination_names_its_keys_the_reason_and_the_mend(rule):
    refused = [
        EngineConfig(**sizes, **column)
        for sizes, column in product(KINDS.values(), COLUMNS.values())
        if refusal(EngineConfig(**sizes, **column)) is rule
    ]
    assert refused, "a rule that refuses nothing the table shows"
    for config in refused:
        with pytest.raises(ValueError) as caught:
            check_combination(config)
        message = str(caught.value)
        assert all(f"engine.{key}={str(getattr(config, key)).lower()}" in message for key in rule.keys)
        assert rule.reason in message and rule.mend in message


def test_most_combinations_are_supported():
    assert len(list(supported())) >= 24
