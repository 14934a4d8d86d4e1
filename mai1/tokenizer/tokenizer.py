"""Text to token ids and back, byte for byte, with either of two models: SentencePiece or byte-level BPE.

tokenizer.model vocabulary.json    SentencePiece
tokenizer.json vocabulary.json     byte-level BPE
"""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from mai1.tokenizer.byte_bpe import ByteBpeModel
from mai1.tokenizer.byte_bpe_file import BYTE_BPE_FILE, from_json, to_json
from mai1.tokenizer.sentencepiece_model import SentencePieceModel
from mai1.tokenizer.vocabulary import END_OF_TEXT, PAD, Vocabulary

SENTENCEPIECE_FILE = "tokenizer.model"
VOCABULARY_FILE = "vocabulary.json"
MAX_MODEL_BYTES = 64 << 20
MAX_VOCABULARY_BYTES = 1 << 20


class Tokenizer:
    """A model that cuts text into pieces, and the vocabulary around it."""

    def __init__(self, model: SentencePieceModel | ByteBpeModel, vocabulary: Vocabulary) -> None:
        self.model, self.vocabulary = model, vocabulary
        if model.num_ids != vocabulary.text_size:
            raise ValueError(
                f"vocabulary.text_size={vocabulary.text_size} must equal the {model.num_ids} pieces "
                "of the model: the two files belong to different tokenizers"
            )
        self.end_of_text_id = vocabulary.control_id(END_OF_TEXT)
        self.pad_id = vocabulary.control_id(PAD)

    @classmethod
    def load(cls, directory: Path) -> "Tokenizer":
        """Read a tokenizer's two files; ValueError names the file that is missing or broken."""
        vocabulary_path = Path(directory) / VOCABULARY_FILE
        model_path = Path(directory) / SENTENCEPIECE_FILE
        if not model_path.is_file() and (Path(directory) / BYTE_BPE_FILE).is_file():
            model_path = Path(directory) / BYTE_BPE_FILE
        content = _read_bounded(model_path, max_bytes=MAX_MODEL_BYTES)
        try:
            vocabulary = Vocabulary.from_json(_read_bounded(vocabulary_path, max_bytes=MAX_VOCABULARY_BYTES).decode())
        except ValueError as error:
            raise ValueError(f"{vocabulary_path}: {error}") from error
        try:
            is_byte_bpe = model_path.name == BYTE_BPE_FILE
            model = from_json(content, vocabulary.control) if is_byte_bpe else SentencePieceModel(content)
            return cls(model, vocabulary)
        except ValueError as error:
            raise ValueError(f"{model_path}: {error}") from error

    def save(self, directory: Path) -> None:
        """Write the two files that `load` reads; ValueError where they would stand beside another tokenizer's."""
        Path(directory).mkdir(parents=True, exist_ok=True)
        name, content = self._model_file
        if name == BYTE_BPE_FILE and (Path(directory) / SENTENCEPIECE_FILE).exists():
            raise ValueError(f"{directory} holds the {SENTENCEPIECE_FILE} of another tokenizer: use another directory")
        (Path(directory) / name).write_bytes(content)
        (Path(directory) / VOCABULARY_FILE).write_text(self.vocabulary.to_json(), encoding="utf-8", newline="\n")

    @cached_property
    def hash(self) -> str:
        """SHA-256 over the model's file and the vocabulary: equal hashes mean equal ids."""
        return hashlib.sha256(self._model_file[1] + self.vocabulary.to_json().encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Ids of raw text, never a control id: `decode(encode(text)) == text`. ValueError for lone surrogates."""
        check_unicode(text)
        return self.model.encode(text)

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """`encode` of each text."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: list[int]) -> str:
        """The text of ids; control tokens by name, bytes that are no UTF-8 as U+FFFD. ValueError for an unknown id."""
        parts = []
        for token_id in ids:
            if 0 <= token_id < self.vocabulary.text_size:
                parts.append(self.model.bytes_of_id[token_id])
            elif 0 <= token_id < self.vocabulary.size:
                parts.append(self.vocabulary.name_of(token_id).encode())
            else:
                raise ValueError(f"token id {token_id} must be at least 0 and below {self.vocabulary.size}")
        return b"".join(parts).decode("utf-8", errors="replace")

    def segments(self, text: str) -> Iterator[str]:
        """Cut a text into parts of bounded length whose ids, joined, are the ids of the whole."""
        return self.model.segments(text)

    def pieces(self) -> list[tuple[str, float]]:
        """Every text piece as the model writes it and its score, in the order of the ids; what scores best merges first."""
        return self.model.pieces()

    @property
    def _model_file(self) -> tuple[str, bytes]:
        """Name and content of the model's file."""
        if isinstance(self.model, SentencePieceModel):
            return SENTENCEPIECE_FILE, self.model.content
        return BYTE_BPE_FILE, to_json(self.model, self.vocabulary.control).encode()


def check_unicode(text: str) -> bytes:
    """The text as UTF-8; ValueError for a lone surrogate, which libraries would replace or stumble over."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"text must be valid Unicode, but has a lone surrogate at {error.start}") from error


def holds_tokenizer(directory: Path) -> bool:
    """Whether there are files of one."""
    return (Path(directory) / VOCABULARY_FILE).is_file()


def _read_bounded(path: Path, *, max_bytes: int) -> bytes:
    if not path.is_file():
        raise ValueError(f"{path} must be a tokenizer file: name a directory that `mai1 prepare` wrote")
    if path.stat().st_size > max_bytes:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, but may have at most {max_bytes}: restore the file")
    return path.read_bytes()
