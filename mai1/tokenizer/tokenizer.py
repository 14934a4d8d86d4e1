"""Text to token ids and back, byte for byte.

SentencePiece does the segmentation, with no normalization at all. It writes a space as U+2581; a U+2581 that stands in
the text itself is therefore cut out before and written as its three byte pieces.
"""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import sentencepiece

from mai1.tokenizer.vocabulary import END_OF_TEXT, PAD, Vocabulary

MODEL_FILE = "tokenizer.model"
VOCABULARY_FILE = "vocabulary.json"
MAX_MODEL_BYTES = 64 << 20
MAX_VOCABULARY_BYTES = 1 << 20
SEGMENT_CHARACTERS = 1 << 16
SPACE = "\u2581"
"""How SentencePiece writes a space."""


class Tokenizer:
    """A SentencePiece model and the vocabulary around it."""

    def __init__(self, model: bytes, vocabulary: Vocabulary) -> None:
        self.model, self.vocabulary = model, vocabulary
        self._processor = _load_processor(model)
        if self._processor.vocab_size() != vocabulary.text_size:
            raise ValueError(
                f"vocabulary.text_size={vocabulary.text_size} must equal the {self._processor.vocab_size()} pieces "
                "of the SentencePiece model: the two files belong to different tokenizers"
            )
        self._bytes_of_id = _bytes_of_pieces(self._processor)
        self._joined_pairs = {piece[i : i + 2] for piece, _ in self.pieces() for i in range(len(piece) - 1)}
        self._space_mark_ids = [self._byte_id(byte) for byte in SPACE.encode()]
        self.end_of_text_id = vocabulary.control_id(END_OF_TEXT)
        self.pad_id = vocabulary.control_id(PAD)

    @classmethod
    def load(cls, directory: Path) -> "Tokenizer":
        """Read `tokenizer.model` and `vocabulary.json`; ValueError names the file that is missing or broken."""
        model = _read_bounded(Path(directory) / MODEL_FILE, max_bytes=MAX_MODEL_BYTES)
        text = _read_bounded(Path(directory) / VOCABULARY_FILE, max_bytes=MAX_VOCABULARY_BYTES)
        try:
            vocabulary = Vocabulary.from_json(text.decode("utf-8", errors="strict"))
        except ValueError as error:
            raise ValueError(f"{Path(directory) / VOCABULARY_FILE}: {error}") from error
        try:
            return cls(model, vocabulary)
        except ValueError as error:
            raise ValueError(f"{Path(directory) / MODEL_FILE}: {error}") from error

    def save(self, directory: Path) -> None:
        """Write the two files that `load` reads."""
        Path(directory).mkdir(parents=True, exist_ok=True)
        (Path(directory) / MODEL_FILE).write_bytes(self.model)
        (Path(directory) / VOCABULARY_FILE).write_text(self.vocabulary.to_json(), encoding="utf-8", newline="\n")

    @cached_property
    def hash(self) -> str:
        """SHA-256 over the model's bytes and the vocabulary: equal hashes mean equal ids."""
        return hashlib.sha256(self.model + self.vocabulary.to_json().encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Ids of raw text, never a control id: `decode(encode(text)) == text`. ValueError for lone surrogates."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """`encode` of each text."""
        try:
            return [self._encode(text) for text in texts]
        except UnicodeEncodeError as error:
            raise ValueError(f"text must be valid Unicode, but has a lone surrogate at {error.start}") from error

    def decode(self, ids: list[int]) -> str:
        """The text of ids; control tokens by name, bytes that are no UTF-8 as U+FFFD. ValueError for an unknown id."""
        parts = []
        for token_id in ids:
            if 0 <= token_id < self.vocabulary.text_size:
                parts.append(self._bytes_of_id[token_id])
            elif 0 <= token_id < self.vocabulary.size:
                parts.append(self.vocabulary.name_of(token_id).encode())
            else:
                raise ValueError(f"token id {token_id} must be at least 0 and below {self.vocabulary.size}")
        return b"".join(parts).decode("utf-8", errors="replace")

    def segments(self, text: str) -> Iterator[str]:
        """Cut a text into parts of bounded length whose ids, joined, are the ids of the whole.

        A cut is exact between two characters that stand side by side in no piece: then no piece can span it.
        """
        start = 0
        while len(text) - start > SEGMENT_CHARACTERS:
            end = start + SEGMENT_CHARACTERS
            while end < len(text) and text[end - 1 : end + 1].replace(" ", SPACE) in self._joined_pairs:
                end += 1
            yield text[start:end]
            start = end
        yield text[start:]

    def pieces(self) -> list[tuple[str, float]]:
        """Every text piece as SentencePiece writes it and its score, in the order of the ids."""
        return [
            (self._processor.id_to_piece(i), self._processor.get_score(i)) for i in range(self.vocabulary.text_size)
        ]

    def _encode(self, text: str) -> list[int]:
        text.encode("utf-8")  # a lone surrogate must fail here: SentencePiece would replace it
        ids: list[int] = []
        for number, part in enumerate(text.split(SPACE)):
            if number:
                ids += self._space_mark_ids
            for segment in self.segments(part):
                ids += self._processor.encode(segment)
        return ids

    def _byte_id(self, byte: int) -> int:
        return self._processor.piece_to_id(f"<0x{byte:02X}>")


def _load_processor(model: bytes) -> sentencepiece.SentencePieceProcessor:
    """A processor for the model's bytes; ValueError for whatever is not one of our models."""
    processor = sentencepiece.SentencePieceProcessor()
    try:
        if not model:
            raise RuntimeError("the file is empty")
        processor.LoadFromSerializedProto(model)
    except (RuntimeError, OSError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"this must be a complete SentencePiece model ({reason}): restore the file") from error
    pieces = range(processor.vocab_size())
    if any(processor.is_control(i) or processor.is_unused(i) for i in pieces):
        raise ValueError("the SentencePiece model must hold no control symbols: train it with `mai1 prepare`")
    if sum(processor.is_byte(i) for i in pieces) != 256:
        raise ValueError("the SentencePiece model must hold all 256 byte pieces: train it with `mai1 prepare`")
    _check_no_normalization(processor)
    return processor


def _check_no_normalization(processor: sentencepiece.SentencePieceProcessor) -> None:
    """A model that strips, adds or rewrites characters could not give every text back."""
    probe = "  \ufb01 \u00c5 A\u030a \u2460  \n x  "
    if processor.decode(processor.encode(probe)) != probe:
        raise ValueError("the SentencePiece model must not normalize its text: train it with `mai1 prepare`")


def _bytes_of_pieces(processor: sentencepiece.SentencePieceProcessor) -> list[bytes]:
    """What each id stands for in the text, as UTF-8; byte pieces are one byte, unknown is U+FFFD."""
    table = []
    for token_id in range(processor.vocab_size()):
        piece = processor.id_to_piece(token_id)
        if processor.is_byte(token_id):
            table.append(bytes([int(piece[3:5], 16)]))
        elif processor.is_unknown(token_id):
            table.append("\ufffd".encode())
        else:
            table.append(piece.replace(SPACE, " ").encode())
    return table


def _read_bounded(path: Path, *, max_bytes: int) -> bytes:
    if not path.is_file():
        raise ValueError(f"{path} must be a tokenizer file: name a directory that `mai1 prepare` wrote")
    if path.stat().st_size > max_bytes:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, but may have at most {max_bytes}: restore the file")
    return path.read_bytes()
