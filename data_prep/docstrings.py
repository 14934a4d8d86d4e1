"""A module's documentation as one document: a heading with the full name, the signature, what it says.

# module `textwrap`

Text wrapping and filling.

## function `textwrap.shorten`

    shorten(text, width, **kwargs)

Collapse and truncate the given text to fit in the given width.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

LEAST_CHARACTERS = 200
"""A module that says less than this about itself makes no document."""

HEADING = re.compile(r"^#{1,2} (module|class|function|method) `([^`\n]+)`$", re.MULTILINE)
SIGNATURE = re.compile(r"\A\s*    \w+\(.*\)\n")


@dataclass(frozen=True, slots=True)
class Entry:
    """One documented thing."""

    kind: str
    """module, class, function or method."""

    name: str
    """Full dotted name."""

    text: str
    """Its docstring, without indentation."""


def docstring_document(source: str, *, module: str) -> str:
    """The document of a module's source; empty when it documents too little."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in other people's code
        tree = ast.parse(source)
    sections = []
    if text := _docstring(tree):
        sections.append(f"# module `{module}`\n\n{text}\n")
    sections += _sections(tree, prefix=module, in_class=False)
    document = "\n".join(sections)
    return document if len(document) >= LEAST_CHARACTERS else ""


def entries_of(document: str) -> Iterator[Entry]:
    """The entries of a document that `docstring_document` made."""
    headings = list(HEADING.finditer(document))
    for number, heading in enumerate(headings):
        end = headings[number + 1].start() if number + 1 < len(headings) else len(document)
        text = SIGNATURE.sub("", document[heading.end() : end])
        yield Entry(heading[1], heading[2], text.strip())


def _sections(parent: ast.Module | ast.ClassDef, *, prefix: str, in_class: bool) -> Iterator[str]:
    """Sections of the public classes and functions, in the order of the source."""
    for node in parent.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        name, text = f"{prefix}.{node.name}", _docstring(node)
        if isinstance(node, ast.ClassDef):
            if text:
                yield f"## class `{name}`\n\n{text}\n"
            yield from _sections(node, prefix=name, in_class=True)
        elif text:
            kind = "method" if in_class else "function"
            yield f"## {kind} `{name}`\n\n    {_signature(node)}\n\n{text}\n"


def _docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    text = ast.get_docstring(node, clean=True) or ""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Name and argument names; defaults and annotations would make it long."""
    a = node.args
    names = [arg.arg for arg in a.posonlyargs + a.args if arg.arg not in ("self", "cls")]
    names += [f"*{a.vararg.arg}"] if a.vararg else ["*"] if a.kwonlyargs else []
    names += [arg.arg for arg in a.kwonlyargs]
    names += [f"**{a.kwarg.arg}"] if a.kwarg else []
    return f"{node.name}({', '.join(names)})"
