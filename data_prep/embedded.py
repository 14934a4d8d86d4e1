"""The corpus every machine has: documentation and sources that come with Python and the packages installed beside it.

docs        the language reference that `help()` shows
docstrings  what modules, classes and functions say about themselves, one document a module
code        the sources of the standard library
prose       readme, description, licence and change files of installed packages

Files are read and parsed, never imported or executed.
"""

import ast
import importlib.metadata
import importlib.util
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_prep.docstrings import docstring_document
from data_prep.document import Document
from data_prep.splitting import uniform

PREFIX = "embedded:"
KINDS = ("docs", "docstrings", "code", "prose")

PACKAGES = (
    "numpy",
    "networkx",
    "sympy",
    "mpmath",
    "pandas",
    "torch",
    "deepspeed",
    "datasets",
    "huggingface_hub",
    "setuptools",
    "pydantic",
    "pygments",
    "rich",
    "fsspec",
    "jinja2",
)
"""Packages with good docstrings; those that are not installed are left out. transformers repeats itself too much."""

SKIPPED_PARTS = {"test", "tests", "testing", "idlelib", "lib2to3", "site-packages", "dist-packages", "_vendor"}
PROSE_NAME = re.compile(r"(?i)(METADATA|LICEN[CS]E|COPYING|NOTICE|AUTHORS|README|CHANGE|HISTORY).*|.*\.(md|rst)")
SHARE_OF_TEXT = {"docs": 0.9, "docstrings": 0.18, "code": 1.0, "prose": 0.9}
"""About how much of the files' bytes is text that is used; for estimates only."""


@dataclass(frozen=True, slots=True)
class EmbeddedFile:
    """A file and the name its documents go by."""

    name: str
    path: Path
    size: int


def find_files(name: str, kind: str, *, seed: int) -> list[EmbeddedFile]:
    """The files of a kind in a hashed order; ValueError for an unknown kind or when this Python comes without them."""
    if kind not in KINDS:
        choices = ", ".join(PREFIX + k for k in KINDS)
        raise ValueError(f"sources.{name}.path={PREFIX}{kind} must be one of {choices}")
    files = list({file.path: file for file in _list_files(kind)}.values())
    if not files:
        raise ValueError(f"sources.{name}.path={PREFIX}{kind} found no files in this Python: leave it out")
    return sorted(files, key=lambda file: (uniform(file.name.encode(), seed=seed, purpose="order"), str(file.path)))


def documents_of_file(file: EmbeddedFile, *, kind: str) -> list[Document]:
    """The documents of one file; none when it cannot be read as what it should be."""
    try:
        text = file.path.read_bytes().decode("utf-8")
        if kind == "docs":
            return [Document(topic, f"{file.name}:{name}") for name, topic in _topics(text).items()]
        if kind == "prose":
            return [Document(_without_headers(text) if file.path.name == "METADATA" else text, file.name)]
        content = text if kind == "code" else docstring_document(text, module=file.name)
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError, RecursionError):
        return []
    return [Document(content, file.name, family=file.name)] if content else []


def _list_files(kind: str) -> Iterator[EmbeddedFile]:
    library = Path(sysconfig.get_path("stdlib"))
    if kind == "docs":
        yield from _listed([library / "pydoc_data" / "topics.py"], root=library.parent)
    elif kind == "prose":
        yield from _listed([library / "LICENSE.txt"], root=library.parent)
        for distribution in sorted(importlib.metadata.distributions(), key=lambda d: str(d.metadata["Name"]).lower()):
            names = [file for file in distribution.files or [] if PROSE_NAME.fullmatch(file.name)]
            for file in sorted(names, key=str):
                yield from _listed([Path(str(file.locate()))], root=Path(str(distribution.locate_file(""))))
    else:
        roots = [library] + (_package_directories() if kind == "docstrings" else [])
        for root in roots:
            yield from _modules(root, base=library if root == library else root.parent)


def _package_directories() -> list[Path]:
    found = []
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)  # finds a top-level package without importing it
        found += [Path(place) for place in (spec.submodule_search_locations or [] if spec else [])]
    return found


def _modules(root: Path, *, base: Path) -> Iterator[EmbeddedFile]:
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(base).with_suffix("").parts
        if not SKIPPED_PARTS.intersection(parts) and not parts[-1].startswith("test_"):
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield EmbeddedFile(name, path, path.stat().st_size)


def _listed(paths: list[Path], *, root: Path) -> Iterator[EmbeddedFile]:
    for path in paths:
        if path.is_file():
            name = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
            yield EmbeddedFile(str(name), path, path.stat().st_size)


def _topics(source: str) -> dict[str, str]:
    """The dict literal that pydoc keeps its topics in."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            return {str(name): str(text) for name, text in ast.literal_eval(node.value).items()}
    return {}


def _without_headers(metadata: str) -> str:
    """The description of a package: what follows the header lines."""
    _, _, description = metadata.replace("\r\n", "\n").partition("\n\n")
    return description
