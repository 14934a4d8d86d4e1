"""Text to token ids and back, with one of three models: SentencePiece or byte-level BPE of ours, or somebody else's.

tokenizer.model vocabulary.json          SentencePiece, byte for byte
tokenizer.json vocabulary.json           byte-level BPE, byte for byte
tokenizer.json tokenizer_config.json     a Hugging Face tokenizer, as it is
"""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from mai1.tokenizer.byte_bpe import ByteBpeModel
from mai1.tokenizer.byte_bpe_file import BYTE_BPE_FILE, from_json, to_json
from mai1.tokenizer.foreign import ForeignModel, ForeignVocabulary
from mai1.tokenizer.sentencepiece_model import SentencePieceModel
from mai1.tokenizer.vocabulary import END_OF_MESSAGE, END_OF_TEXT, PAD, Vocabulary

SENTENCEPIECE_FILE = "tokenizer.model"
VOCABULARY_FILE = "vocabulary.json"
MAX_MODEL_BYTES = 64 << 20
MAX_VOCABULARY_BYTES = 1 << 20


class Tokenizer:
    """A model that cuts text into pieces, and the vocabulary around it."""

    def __init__(
        self, model: SentencePieceModel | ByteBpeModel | ForeignModel, vocabulary: Vocabulary | ForeignVocabulary
    ) -> None:
        self.model, self.vocabulary = model, vocabulary
        if model.num_ids != vocabulary.text_size:
            raise ValueError(
                f"vocabulary.text_size={vocabulary.text_size} must equal the {model.num_ids} pieces "
                "of the model: the two files belong to different tokenizers"
            )
        self.end_of_text_id = model.end_of_text_id if self.is_foreign else vocabulary.control_id(END_OF_TEXT)
        self.pad_id = model.pad_id if self.is_foreign else vocabulary.control_id(PAD)

    @classmethod
    def load(cls, directory: Path) -> "Tokenizer":
        """Read a tokenizer's files, ours or a Hugging Face directory's; ValueError names what is missing or broken."""
        vocabulary_path = Path(directory) / VOCABULARY_FILE
        if not vocabulary_path.is_file() and (Path(directory) / "tokenizer_config.json").is_file():
            model = ForeignModel.read(directory)
            return cls(model, ForeignVocabulary(model))
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

    @property
    def is_foreign(self) -> bool:
        """Whether it is somebody else's, with a chat template of its own."""
        return isinstance(self.model, ForeignModel)

    def with_chat_template(self, path: Path) -> "Tokenizer":
        """The same foreign tokenizer with the chat template of a file."""
        model = self.model.with_chat_template(_read_bounded(path, max_bytes=MAX_VOCABULARY_BYTES), where=str(path))
        return Tokenizer(model, ForeignVocabulary(model))

    @property
    def num_text_ids(self) -> int:
        """Ids below this may be sampled, and those in `stop_ids`; the model may have more, which stand for nothing."""
        return self.vocabulary.text_size

    @cached_property
    def stop_ids(self) -> list[int]:
        """What ends an answer or a text; the first one ends a text."""
        if self.is_foreign:
            return self.model.stop_ids
        ends = [name for name in (END_OF_TEXT, END_OF_MESSAGE) if name in self.vocabulary.control]
        return [self.vocabulary.control_id(name) for name in ends]

    @property
    def begin_id(self) -> int:
        """What a Hugging Face config calls the token that begins a text, whether or not one is put there."""
        return self.model.begin_id if self.is_foreign else self.end_of_text_id

    @property
    def begin_ids(self) -> list[int]:
        """What stands in front of a text that is no conversation."""
        return self.model.begin_ids if self.is_foreign else [self.end_of_text_id]

    def save(self, directory: Path) -> None:
        """Write the files that `load` reads; ValueError where they would stand beside another tokenizer's."""
        Path(directory).mkdir(parents=True, exist_ok=True)
        if self.is_foreign:
            for name, content in self.model.files.items():
                (Path(directory) / name).write_bytes(content)
            return
        name, content = self._model_file
        if name == BYTE_BPE_FILE and (Path(directory) / SENTENCEPIECE_FILE).exists():
            raise ValueError(f"{directory} holds the {SENTENCEPIECE_FILE} of another tokenizer: use another directory")
        (Path(directory) / name).write_bytes(content)
        (Path(directory) / VOCABULARY_FILE).write_text(self.vocabulary.to_json(), encoding="utf-8", newline="\n")

    @cached_property
    def hash(self) -> str:
        """SHA-256 over the model's file and the vocabulary: equal hashes mean equal ids."""
        if self.is_foreign:
            return self.model.hash
        return hashlib.sha256(self._model_file[1] + self.vocabulary.to_json().encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Ids of raw text, never a control id. ValueError for lone surrogates.

        `decode(encode(text)) == text` with ours; what becomes of spaces and accents with somebody else's is theirs.
        """
        check_unicode(text)
        return self.model.encode(text)

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """`encode` of each text."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: list[int]) -> str:
        """The text of ids; control tokens by name, bytes that are no UTF-8 as U+FFFD. ValueError for an unknown id."""
        if self.is_foreign:
            return self.model.decode(ids)
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
