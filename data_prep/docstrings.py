"""A module's documentation as one document: a heading with the full name, the signature, what it says.

# module `textwrap`

Text wrapping and filling.

## function `textwrap.shorten`

    shorten(text, width, **kwargs)

Collapse and truncate the given text to fit in the given width.
"""

import ast
import inspect
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

LEAST_CHARACTERS = 200
"""A module that says less than this about itself makes no document."""

HEADING = re.compile(r"^#{1,2} (module|class|function|method) `([^`\n]+)`$", re.MULTILINE)
OWN_SIGNATURE = re.compile(r"(\w[\w.]*\(.*\)(?: *-> *.+)?)\n\n+(?=\S)")
"""A first line such as `abs(input, *, out=None) -> Tensor`."""

PLACEHOLDER_LINE = re.compile(r"^\s*\{\w+\}\n", re.MULTILINE)
"""A line that `.format` would fill in with what many functions share."""

SIGNATURE = re.compile(r"\A\s*    \w[\w.]*\(.*\n")


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
    sections = [f"# module `{module}`\n\n{text}\n"] if (text := _docstring(tree)) else []
    sections += _sections(tree, prefix=module, in_class=False)
    sections += _attached_sections(tree)
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
                yield _section("class", name, text)
            yield from _sections(node, prefix=name, in_class=True)
        elif text:
            yield _section("method" if in_class else "function", name, text, signature=_signature(node))


def _attached_sections(tree: ast.Module) -> Iterator[str]:
    """Sections of compiled functions, whose documentation torch and numpy attach with calls of constant texts."""
    for node in tree.body:
        if isinstance(node, ast.Expr) and isinstance(call := node.value, ast.Call) and isinstance(call.func, ast.Name):
            texts = [_constant_text(argument) for argument in call.args]
            if not texts or not texts[-1]:
                continue
            text = _tidy(inspect.cleandoc(PLACEHOLDER_LINE.sub("", texts[-1])))
            if call.func.id == "add_docstr" and len(texts) == 2:
                yield _section("function", ast.unparse(call.args[0]), text)
            elif call.func.id == "add_docstr_all" and len(texts) == 2:
                yield _section("method", f"torch.Tensor.{texts[0]}", text)
            elif call.func.id == "add_newdoc" and len(texts) == 3 and texts[0]:
                name = re.sub(r"\._core(\.\w+)?$", "", texts[0]) + f".{texts[1]}"
                member = call.args[2].elts[0] if isinstance(call.args[2], ast.Tuple) else None
                kind = "method" if member else "function"
                yield _section(kind, f"{name}.{_constant_text(member)}" if member else name, text)


def _constant_text(node: ast.expr) -> str:
    """A text constant, also one that is filled in with `.format` or stands last in a tuple; otherwise empty."""
    if isinstance(node, ast.Tuple) and node.elts:
        return _constant_text(node.elts[-1])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _constant_text(node.func.value).replace("{{", "{").replace("}}", "}")
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _section(kind: str, name: str, text: str, *, signature: str = "") -> str:
    """A heading, the signature (its own first line where the text begins with one) and the text."""
    if own := OWN_SIGNATURE.match(text):
        signature, text = own[1], text[own.end() :]
    return f"## {kind} `{name}`\n\n" + (f"    {signature}\n\n" if signature else "") + f"{text}\n"


def _docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return _tidy(ast.get_docstring(node, clean=True) or "")


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Name and argument names; defaults and annotations would make it long."""
    a = node.args
    names = [arg.arg for arg in a.posonlyargs + a.args if arg.arg not in ("self", "cls")]
    names += [f"*{a.vararg.arg}"] if a.vararg else ["*"] if a.kwonlyargs else []
    names += [arg.arg for arg in a.kwonlyargs]
    names += [f"**{a.kwarg.arg}"] if a.kwarg else []
    return f"{node.name}({', '.join(names)})"
