"""Which evaluation sets must not be in the training text, and when a document counts as holding an item of one."""

import re
from dataclasses import dataclass, field
from enum import Enum

TASK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class ContaminationRule(Enum):
    """When a document holds an item."""

    weighted_overlap = "weighted_overlap"
    ngram = "ngram"


class ContaminationAction(Enum):
    """What becomes of a document that holds an item."""

    drop = "drop"
    label = "label"
    cut = "cut"


@dataclass(kw_only=True, slots=True)
class TaskConfig:
    """One evaluation set and where in its records the text is; fields of fields are named with dots: `question.stem`."""

    path: str
    """File: .jsonl, .json (a list of objects), .csv (fields are numbered from 0, without header) or .parquet."""

    question: str = "question"
    """Field with the question, passage or beginning."""

    answer: str = ""
    """Field with the answer, or with the number, letter or label of the right choice; empty: questions alone."""

    choices: list[str] = field(default_factory=list)
    """One field with all choices, or one field for each; empty: the answer is a text."""


@dataclass(kw_only=True, slots=True)
class ContaminationConfig:
    """Decontamination against evaluation sets."""

    tasks: dict[str, TaskConfig] = field(default_factory=dict)
    """Evaluation sets by name; empty: nothing is looked for."""

    rule: ContaminationRule = ContaminationRule.weighted_overlap
    """weighted_overlap: most of an item's 5-grams, rare ones counting more (AI2's decon, doc/simple-details.md); ngram: any run
    of 13 words, fewer where a task's items are short (GPT-3, arXiv 2005.14165, appendix C)."""

    action: ContaminationAction = ContaminationAction.drop
    """drop: the document ends here; label: it stays and tells; cut: the place is cut out with a margin."""

    margin_characters: int = 200
    """cut: characters removed on either side; also the shortest piece that stays (GPT-3: 200)."""

    max_cuts: int = 10
    """cut: most places; documents with more are dropped (GPT-3: 10)."""

    def __post_init__(self) -> None:
        for name in self.tasks:
            if not TASK_NAME.fullmatch(name):
                raise ValueError(f"contamination.tasks.{name} must be named with letters, digits, - and _: rename it")
        for key in ("margin_characters", "max_cuts"):
            if getattr(self, key) < 0:
                raise ValueError(f"contamination.{key}={getattr(self, key)} must be at least 0: use the default")
