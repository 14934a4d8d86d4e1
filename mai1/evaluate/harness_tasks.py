"""Tasks of lm-evaluation-harness by their names, as the suite asks and scores them.

Of the harness's files those in its own package are believed, which define tasks in YAML with Python beside it. A path is never
given to it: what a person has in files are local tasks (`tasks.py`), which hold nothing that runs.
"""

import difflib
import hashlib
import math
import os
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version

os.environ.setdefault("HF_EVALUATE_OFFLINE", "1")  # or the library of metrics would run scripts from the hub

from lm_eval.api.task import Task
from lm_eval.evaluator import evaluate
from lm_eval.tasks import TaskManager

from mai1.evaluate.config import AskConfig, Prompting
from mai1.evaluate.grading import Graded
from mai1.evaluate.harness import HarnessModel
from mai1.evaluate.likelihood import SharedModel
from mai1.evaluate.statistics import ACCURACY, BITS, METRICS, Figure, Score
from mai1.tokenizer.tokenizer import Tokenizer

BOOTSTRAP_ROUNDS = 1000
"""For scores that are no ratios of sums."""


class HarnessTask:
    """A task of the harness's own package, by its name."""

    def __init__(self, task: Task, ask: AskConfig) -> None:
        self.name, self._task, self._ask = task.task_name, task, ask
        self._results: dict = {}
        self._prompts = hashlib.sha256()

    @property
    def generates(self) -> bool:
        """Whether the model has to say something."""
        return self._task.OUTPUT_TYPE == "generate_until"

    def grade(self, shared: SharedModel, tokenizer: Tokenizer) -> list[Graded]:
        """Ask all items; every rank must call this, and gets all of them."""
        model = HarnessModel(shared, tokenizer, beginning=self._ask.beginning, seed=self._ask.seed)
        if self._ask.num_fewshot and self._task.get_config("num_fewshot") != 0:
            self._task.set_config(key="num_fewshot", value=self._ask.num_fewshot)
        elif self._task.get_config("num_fewshot") is None:
            self._task.set_config(key="num_fewshot", value=0)
        self._task.set_fewshot_seed(seed=self._ask.seed)
        found = evaluate(
            model,
            {"tasks": {self.name: self._task}},
            limit=self._ask.limit or None,
            bootstrap_iters=BOOTSTRAP_ROUNDS,
            apply_chat_template=self._ask.prompting is Prompting.chat,
            fewshot_as_multiturn=True,
        )
        samples = found["samples"][self.name]
        self._results, self._filter = found["results"][self.name], samples[0]["filter"]
        kept = [sample for sample in samples if sample["filter"] == self._filter]
        self._prompts = hashlib.sha256("".join(sample["prompt_hash"] for sample in kept).encode())
        return [self._graded(sample) for sample in sorted(kept, key=lambda sample: sample["doc_id"])]

    def facts(self) -> dict:
        """What decides the prompts, and what they were; the file is the harness's, known by its version."""
        return {
            "kind": f"lm_eval {self._task.OUTPUT_TYPE}",
            "lm_eval": version("lm_eval"),
            "task_version": str(self._task.VERSION),
            "filter": self._filter,
            "prompts_sha256": self._prompts.hexdigest(),
            "num_fewshot": self._task.get_config("num_fewshot"),
            "limit": self._ask.limit,
            "seed": self._ask.seed,
            "prompting": self._ask.prompting.value,
            "beginning": self._ask.beginning.value,
        }

    def further_scores(self) -> dict[str, Score]:
        """What the harness aggregates in a way of its own, with its bootstrapped errors."""
        scores = {}
        for key, value in self._results.items():
            metric, comma, filter_name = key.partition(",")
            if comma and filter_name == self._filter and metric not in METRICS and not metric.endswith("_stderr"):
                error = self._results.get(f"{metric}_stderr,{filter_name}")
                error = error if isinstance(error, float) else None
                scores[metric] = Score(float(value), error, self._results["sample_len"])
        return scores

    def _graded(self, sample: dict) -> Graded:
        is_choice = self._task.OUTPUT_TYPE == "multiple_choice"
        chance = 1 / len(sample["arguments"]) if is_choice else None
        figures = {
            metric: _figure(metric, sample[metric], chance=chance) for metric in sample["metrics"] if metric in METRICS
        }
        values = [value for value, *_ in sample["filtered_resps"]] if is_choice else []
        replies = [each[1] for each in sample["arguments"]] if is_choice else []
        reply_ = (
            replies[max(range(len(values)), key=values.__getitem__)] if is_choice else str(sample["filtered_resps"][0])
        )
        question, answer = str(self._task.doc_to_text(sample["doc"])), str(sample["target"])
        if is_choice and answer.isdigit() and int(answer) < len(replies):
            answer = replies[int(answer)]
        return Graded(sample["doc_id"], question, answer, reply_, figures, [[question, answer]], log_likelihoods=values)


def _figure(metric: str, value: object, *, chance: float | None) -> Figure:
    """What the harness keeps of an item: a share, a log-likelihood, or a log-likelihood and what it is divided by."""
    if METRICS[metric] is ACCURACY:
        return Figure(float(value), 1.0, chance)
    log_likelihood, size = value if isinstance(value, tuple | list) else (value, 1.0)
    scale = math.log(2) if METRICS[metric] is BITS else 1.0
    return Figure(-log_likelihood / scale, float(size))


def open_harness_tasks(names: Sequence[str], ask: AskConfig) -> list[HarnessTask]:
    """Tasks, groups and tags of the harness by name; ValueError for one that it has not, or whose data cannot be had."""
    manager = task_manager()
    tasks: list[HarnessTask] = []
    for name in names:
        if name not in manager.task_index:
            near = difflib.get_close_matches(name, manager.all_tasks, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "`lm-eval ls tasks` lists them"
            raise ValueError(f"tasks={name} is neither a .jsonl file nor a task of the harness: {hint}")
        try:
            loaded = manager.load([name])["tasks"]
        except Exception as error:  # whatever the libraries of data sets raise
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"tasks={name} needs a data set from the network, which could not be read ({type(error).__name__}: {reason}): "
                "connect, or name a local .jsonl file"
            ) from error
        tasks += [HarnessTask(task, ask) for task in loaded.values()]
    return tasks


@cache
def task_manager() -> TaskManager:
    """The harness's list of tasks; reading it takes seconds, for they are thousands of files."""
    return TaskManager()
