"""Renders one chat template in a process of its own, which can do nothing else: little memory, little time, no files.

Started by `chat_template.py` as a script; imports nothing of mai1. One JSON object a line goes in and out:

    first in   {"source", "variables", "cpu_s"}                                  out {"literals", "has_generation"}
    then in    {"messages", "tools", "cuts": [[number of messages, prompt], ...]}   out {"rendered": [[text, spans], ...]}

A mistake is {"error"}; what takes too much time or memory ends the process.
"""

import json
import resource
import signal
import sys
from contextlib import suppress
from datetime import date

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

MAX_MEMORY_BYTES = 1 << 30
MAX_CHARACTERS = 1 << 24
"""Of everything that one request renders."""
DAY = date(2026, 1, 1)
"""What a template that asks for the date of today is told, so that rows are the same on every day."""


class GenerationTags(Extension):
    """`{% generation %}...{% endgeneration %}` around what the assistant says; where it stands is noted."""

    tags = {"generation"}

    def __init__(self, environment: jinja2.Environment) -> None:
        super().__init__(environment)
        self.is_used = False
        self.parts: list[str] = []
        self.spans: list[tuple[int, int]] = []

    def parse(self, parser: jinja2.parser.Parser) -> nodes.CallBlock:
        """A call of `_note` with what stands between the tags."""
        self.is_used = True
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_note"), [], [], body).set_lineno(line)

    def _note(self, caller: jinja2.runtime.Macro) -> str:
        said = caller()
        start = sum(map(len, self.parts))
        self.spans.append((start, start + len(said)))
        return said


class PlainNamespace(Namespace):
    """A namespace without names that begin with an underscore."""

    def __init__(self, *pairs: object, **entries: object) -> None:
        entries = dict(*pairs, **entries)
        for name in entries:
            _check_name(name)
        super().__init__(entries)

    def __setitem__(self, name: str, value: object) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: str) -> None:
    if str(name).startswith("_"):
        raise SecurityError(f"a namespace cannot hold {name!r}")


def environment() -> jinja2.Environment:
    """Everything that a template may use: what transformers gives to it."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTags, loopcontrols]
    )
    made.filters["tojson"] = _tojson
    made.globals |= {
        "raise_exception": _raise_exception,
        "strftime_now": DAY.strftime,
        "dict": lambda *pairs, **entries: dict(*pairs, **entries),
        "namespace": PlainNamespace,
    }
    return made


def render(template: jinja2.Template, tags: GenerationTags, variables: dict) -> tuple[str, list[tuple[int, int]]]:
    """The text of a conversation and its generation spans, in characters."""
    tags.parts, tags.spans, length = [], [], 0
    for part in template.generate(**variables):
        tags.parts.append(part)
        length += len(part)
        if length > MAX_CHARACTERS:
            raise TemplateError(f"it writes more than {MAX_CHARACTERS} characters")
    return "".join(tags.parts), tags.spans


def main() -> None:
    """Answer requests until there are no more."""
    _limit()
    first = json.loads(sys.stdin.readline())
    signal.setitimer(signal.ITIMER_PROF, first["cpu_s"])
    made = environment()
    tags = made.extensions[GenerationTags.identifier]
    try:
        tree = made.parse(first["source"])
        template = made.from_string(tree)
    except (TemplateError, RecursionError, MemoryError, ValueError, OverflowError, SyntaxError) as error:
        _answer({"error": _reason(error)})
        return
    literals = [node.data for node in tree.find_all(nodes.TemplateData)]
    literals += [node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)]
    _answer({"literals": "\0".join(literals), "has_generation": tags.is_used})
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, first["cpu_s"])
        _answer(_rendered(template, tags, first["variables"], json.loads(line)))


def _rendered(template: jinja2.Template, tags: GenerationTags, variables: dict, request: dict) -> dict:
    try:
        found = [
            render(
                template,
                tags,
                variables
                | {"messages": request["messages"][:count], "tools": request["tools"], "documents": None}
                | {"add_generation_prompt": has_prompt},
            )
            for count, has_prompt in request["cuts"]
        ]
    except Exception as error:  # noqa: BLE001 - a template can make any of Python's errors
        return {"error": _reason(error)}
    return {"rendered": found}


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _answer(value: dict) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _limit() -> None:
    """From here on: no new processes, no file may grow, and so much memory."""
    for name, most in (("AS", MAX_MEMORY_BYTES), ("FSIZE", 0), ("NPROC", 0), ("CORE", 0)):
        with suppress(ValueError, OSError):
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


if __name__ == "__main__":
    main()
