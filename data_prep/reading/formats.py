"""What the name of a file says: what reads it, and about how much text is in it."""

from enum import Enum

COMPRESSIONS = (".gz", ".zst")


class SliceKind(Enum):
    """What reads a slice."""

    text = "text"
    html = "html"
    jsonl = "jsonl"
    parquet = "parquet"
    arrow = "arrow"
    warc = "warc"
    embedded = "embedded"
    data_set = "data_set"


ENDINGS = {
    SliceKind.text: (".txt", ".md", ".rst", ".info"),
    SliceKind.html: (".html", ".htm", ".xhtml"),
    SliceKind.jsonl: (".jsonl",),
    SliceKind.parquet: (".parquet",),
    SliceKind.arrow: (".arrow", ".feather"),
    SliceKind.warc: (".warc", ".wet"),
}
"""All but tables may have .gz or .zst behind it."""

KINDS = {ending: kind for kind, endings in ENDINGS.items() for ending in endings}
ONE_DOCUMENT_A_FILE = (SliceKind.text, SliceKind.html)
TABLES = (SliceKind.parquet, SliceKind.arrow)
EXPANSION = {".gz": 4, ".zst": 4, ".parquet": 3}
SHARE_OF_TEXT = {SliceKind.html: 0.2, SliceKind.warc: 0.1}


def kind_of_file(path: str) -> SliceKind | None:
    """What a file's ending says; None when it says nothing."""
    name = path.lower()
    compression = next((ending for ending in COMPRESSIONS if name.endswith(ending)), "")
    plain = name.removesuffix(compression)
    kind = next((kind for ending, kind in KINDS.items() if plain.endswith(ending)), None)
    return None if compression and kind in TABLES else kind


def expanded_bytes(path: str, size: int) -> int:
    """About how many bytes a file of a size has before compression."""
    ending = next((ending for ending in EXPANSION if path.lower().endswith(ending)), "")
    return size * EXPANSION.get(ending, 1)


def text_bytes(kind: SliceKind, expanded: int) -> int:
    """About how many of a kind's bytes are text."""
    return int(expanded * SHARE_OF_TEXT.get(kind, 1.0))
