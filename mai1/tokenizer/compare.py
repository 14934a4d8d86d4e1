"""How well tokenizers fit given texts: tokens for the same bytes, what they are, and how fast they come."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from mai1.tokenizer.bulk import BulkEncoder
from mai1.tokenizer.tokenizer import Tokenizer

BATCH_CHARACTERS = 1 << 22
OVERALL = "overall"
GROUP_TITLE = "bytes per token"


@dataclass(slots=True)
class Fit:
    """Sums over some texts."""

    bytes: int = 0
    """UTF-8 bytes of the texts."""

    words: int = 0
    """What white space separates: little for languages that write none."""

    tokens: int = 0
    single_byte_tokens: int = 0
    """Tokens that stand for one byte: nothing was saved."""

    broken_tokens: int = 0
    """Tokens that are no whole characters: byte pieces of SentencePiece, cut characters of byte-level BPE."""

    seconds: float = 0.0
    """Of the processor, for encoding."""

    def add(self, other: "Fit") -> None:
        """Count another's texts, too."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)

    def figures(self) -> dict[str, float]:
        """What the sums say, by name; None where there is nothing to divide by."""
        return {
            **asdict(self),
            "bytes_per_token": _ratio(self.bytes, self.tokens),
            "tokens_per_word": _ratio(self.tokens, self.words),
            "single_byte_share": _ratio(self.single_byte_tokens, self.tokens),
            "broken_share": _ratio(self.broken_tokens, self.tokens),
            "megabytes_per_second": _ratio(self.bytes / 1e6, self.seconds),
        }


class Comparison:
    """Fits of several tokenizers to the same texts, by group of texts."""

    def __init__(self, tokenizers: dict[str, Tokenizer]) -> None:
        self._encoders = {name: BulkEncoder(tokenizer) for name, tokenizer in tokenizers.items()}
        self._lengths = {name: _lengths(tokenizer) for name, tokenizer in tokenizers.items()}
        self.fits: dict[str, dict[str, Fit]] = {}
        """Group, then tokenizer."""

    def add(self, samples: Iterable[tuple[str, list[str]]]) -> None:
        """Count texts, each with the names of its groups; ValueError for a text that does not come back."""
        for batch in _batches(samples):
            for name, encoder in self._encoders.items():
                begun = time.process_time()
                ids = encoder.encode([text for text, _ in batch])
                seconds = (time.process_time() - begun) / max(1, sum(len(text) for text, _ in batch))
                for (text, groups), row in zip(batch, ids, strict=True):
                    if encoder.tokenizer.decode(row.tolist()) != text:
                        raise ValueError(f"{name} must give every text back, but not {text[:80]!r}: train it again")
                    fit = self._fit(name, text, row, seconds * len(text))
                    for group in [OVERALL, *groups]:
                        self.fits.setdefault(group, {}).setdefault(name, Fit()).add(fit)

    def figures(self) -> dict[str, dict[str, dict[str, float | None]]]:
        """Group, tokenizer, figure."""
        return {group: {name: fit.figures() for name, fit in fits.items()} for group, fits in self.fits.items()}

    def _fit(self, name: str, text: str, ids: np.ndarray, seconds: float) -> Fit:
        num_bytes, is_broken = self._lengths[name]
        return Fit(
            bytes=len(text.encode()),
            words=len(text.split()),
            tokens=len(ids),
            single_byte_tokens=int((num_bytes[ids] == 1).sum()),
            broken_tokens=int(is_broken[ids].sum()),
            seconds=seconds,
        )


def lines_of(comparison: Comparison) -> list[str]:
    """The figures for a person: all of them over everything, then bytes per token of each group."""
    figures, names = comparison.figures(), list(comparison.fits[OVERALL])
    width = max(map(len, [*names, *figures, GROUP_TITLE])) + 2
    titles = ("bytes/token", "tokens/word", "1 byte", "broken", "MB/s")
    lines = ["".join([" " * width, *(f"{title:>13}" for title in titles)])]
    for name, found in figures[OVERALL].items():
        values = [f"{found[key] or 0:13.3f}" for key in ("bytes_per_token", "tokens_per_word")]
        values += [f"{found[key] or 0:13.2%}" for key in ("single_byte_share", "broken_share")]
        lines.append("".join([f"{name:<{width}}", *values, f"{found['megabytes_per_second'] or 0:13.1f}"]))
    columns = [max(13, len(name) + 2) for name in names]
    heads = [f"{name:>{column}}" for name, column in zip(names, columns, strict=True)]
    lines += ["", f"{GROUP_TITLE:<{width}}{''.join(heads)}{'bytes':>15}"]
    for group, found in figures.items():
        values = [f"{found[n]['bytes_per_token'] or 0:{column}.3f}" for n, column in zip(names, columns, strict=True)]
        lines.append(f"{group:<{width}}{''.join(values)}{found[names[0]]['bytes']:15,}")
    return lines


def _ratio(value: float, divisor: float) -> float | None:
    return value / divisor if divisor else None


def _lengths(tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Of every id the number of bytes, and whether they are no whole characters."""
    pieces = tokenizer.model.bytes_of_id
    return np.array([len(piece) for piece in pieces]), np.array([not _is_text(piece) for piece in pieces])


def _is_text(piece: bytes) -> bool:
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


def _batches(samples: Iterable[tuple[str, list[str]]]) -> Iterator[list[tuple[str, list[str]]]]:
    batch, characters = [], 0
    for sample in samples:
        batch.append(sample)
        characters += len(sample[0])
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
