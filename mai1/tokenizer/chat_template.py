"""A chat template of somebody else: rendered by `render_worker.py` in a process that can do nothing but that."""

import json
import subprocess
import sys
import threading
import weakref
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

WORKER = Path(__file__).with_name("render_worker.py")
CPU_S = 10.0
"""Processor time of one conversation; what takes longer is no chat template."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation as text."""

    text: str
    spans: list[tuple[int, int]]
    """What stands between generation tags, from and to which character, in the order in which it was written."""


class ChatTemplate:
    """The template and the names of special tokens that it may write; `where` names it in messages."""

    def __init__(self, source: str, variables: dict[str, str], *, where: str, cpu_s: float = CPU_S) -> None:
        self.source, self.variables, self.where, self.cpu_s = source, variables, where, cpu_s
        self._lock = threading.Lock()
        self._worker: subprocess.Popen | None = None

    @property
    def literals(self) -> str:
        """All text and all string constants of the template, for finding the control tokens that it writes."""
        return self._facts["literals"]

    @property
    def has_generation(self) -> bool:
        """Whether it marks what the assistant says with `{% generation %}`."""
        return self._facts["has_generation"]

    def render(
        self, messages: list[dict], cuts: list[tuple[int, bool]], *, tools: list[dict] | None = None
    ) -> list[Rendered]:
        """For each cut (number of messages, whether the answer to them is asked for) the text; ValueError says why not."""
        _ = self._facts
        answer = self._ask({"messages": _as_seen(messages), "tools": tools or None, "cuts": cuts})
        return [Rendered(text, [tuple(span) for span in spans]) for text, spans in answer["rendered"]]

    @cached_property
    def _facts(self) -> dict:
        command = [sys.executable, "-I", str(WORKER)]
        self._worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}
        )
        weakref.finalize(self, _end, self._worker)
        return self._ask({"source": self.source, "variables": self.variables, "cpu_s": self.cpu_s})

    def _ask(self, request: dict) -> dict:
        with self._lock:
            try:
                self._worker.stdin.write(json.dumps(request).encode() + b"\n")
                self._worker.stdin.flush()
                line = self._worker.stdout.readline()
            except BrokenPipeError:
                line = b""
        if not line.endswith(b"\n"):
            self.__dict__.pop("_facts", None)  # the next conversation gets a new process
            raise ValueError(
                f"{self.where} takes more than {self.cpu_s:g} s or too much memory for a conversation: use another template"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise ValueError(f"{self.where} refuses the conversation ({answer['error']})")
        return answer


def _as_seen(messages: list[dict]) -> list[dict]:
    """Without empty fields, and with reasoning under both the names that templates read, as transformers does."""
    seen = []
    for message in messages:
        message = {key: value for key, value in message.items() if value is not None}
        if "reasoning_content" in message:
            message = {"thinking": message["reasoning_content"]} | message
        seen.append(message)
    return seen


def _end(worker: subprocess.Popen) -> None:
    worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        pipe.close()
