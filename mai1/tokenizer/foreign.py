"""A tokenizer that came with somebody else's model: its Hugging Face files are read here and handed on as they are.

tokenizer.json tokenizer_config.json chat_template.jinja special_tokens_map.json generation_config.json ...
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import tokenizers

from mai1.given_files import check_entries, read_given
from mai1.tokenizer.chat_template import ChatTemplate
from mai1.tokenizer.foreign_limits import check_limits

TEMPLATE_FILE = "chat_template.jinja"
TOKENIZER_FILE, GENERATION_FILE = "tokenizer.json", "generation_config.json"
FILES = (
    *(TOKENIZER_FILE, "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", TEMPLATE_FILE, GENERATION_FILE),
)
"""What belongs to a tokenizer and its use, and goes unchanged into every checkpoint that is made from it."""
MAX_FILE_BYTES = 128 << 20
MOST_IDS = 2**24
"""What is more is no vocabulary; of all that are known, the largest has a million."""
NAMED = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


class ForeignModel:
    """Somebody else's tokenizer with the files that make it up; ValueError for what cannot be read."""

    def __init__(self, files: dict[str, bytes], *, where: str) -> None:
        self.files, self.where = files, where
        if TOKENIZER_FILE in files:
            check_limits(files[TOKENIZER_FILE], where=f"{where}/{TOKENIZER_FILE}")
        self.settings = _json_object(files, "tokenizer_config.json", where)
        named = self.settings
        if "added_tokens_decoder" not in named:  # then, and only then, transformers reads this older file
            named = named | _json_object(files, "special_tokens_map.json", where)
        self.named = {name: text for name in NAMED if (text := _content_of(named.get(name)))}
        self.library = self._open()
        self._plain = self._open()
        self._plain.encode_special_tokens = True
        added = self.library.get_added_tokens_decoder()
        self.added = {token.content: token_id for token_id, token in added.items()}
        self.special = frozenset(token.content for token in added.values() if token.special)
        self._generation = _json_object(files, GENERATION_FILE, where)

    @classmethod
    def read(cls, directory: Path) -> "ForeignModel":
        """The tokenizer in a Hugging Face directory."""
        files = {}
        for path in (Path(directory) / name for name in FILES):
            if path.is_file():
                files[path.name] = read_given(path, max_bytes=MAX_FILE_BYTES)
        return cls(files, where=str(directory))

    def with_chat_template(self, content: bytes, *, where: str) -> "ForeignModel":
        """The same with another chat template."""
        changed = ForeignModel(self.files | {TEMPLATE_FILE: content}, where=self.where)
        changed.template = ChatTemplate(_decoded(content), changed.named, where=where)
        return changed

    @cached_property
    def num_ids(self) -> int:
        """One more than the largest id; the model may have more rows than that."""
        found = max(self.library.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        if not 0 < found <= MOST_IDS:
            raise ValueError(
                f"{self.where}/{TOKENIZER_FILE} has ids below {found}, and must have from 1 to {MOST_IDS}: restore the file"
            )
        return found

    @cached_property
    def template(self) -> ChatTemplate | None:
        """The chat template, if there is one; the one for tools is not told from the other."""
        source = self._template_source()
        return None if source is None else ChatTemplate(source, self.named, where=f"{self.where}: the chat template")

    @cached_property
    def end_of_text_id(self) -> int:
        """What ends a text, by the tokenizer or else by the generation config."""
        if "eos_token" in self.named:
            return self.id_of(self.named["eos_token"])
        if ends := self._generation_ids("eos_token_id"):
            return ends[0]
        raise ValueError(f"{self.where}: tokenizer_config.json names no eos_token: add what ends a text")

    @cached_property
    def pad_id(self) -> int:
        """What rows are filled up with; the end of text where there is nothing else."""
        if "pad_token" in self.named:
            return self.id_of(self.named["pad_token"])
        return next(iter(self._generation_ids("pad_token_id")), self.end_of_text_id)

    @cached_property
    def stop_ids(self) -> list[int]:
        """All that ends an answer: by the tokenizer, by the generation config, and as the template ends a turn."""
        found = [self.end_of_text_id, *self._generation_ids("eos_token_id"), self.turn_end_id]
        return [token_id for token_id in dict.fromkeys(found) if token_id is not None]

    @cached_property
    def turn_end_id(self) -> int | None:
        """The special token that the template writes behind an answer, or in front of what the user says next."""
        if self.template is None:
            return None
        ask, said = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
        try:
            prompt, whole = self.template.render([ask, said, ask], [(1, True), (3, False)])
        except ValueError:
            return None
        behind = whole.text.removeprefix(prompt.text).partition("b")[2].lstrip()
        names = [name for name in sorted(self.special, key=len) if behind.startswith(name)]
        return self.added[names[-1]] if names else None

    @property
    def begin_id(self) -> int:
        """The token named as the beginning of a text; the end of text where there is none."""
        return self.id_of(self.named["bos_token"]) if "bos_token" in self.named else self.end_of_text_id

    @cached_property
    def begin_ids(self) -> list[int]:
        """What is put in front of a text that is no conversation."""
        if "add_bos_token" in self.settings or self.library.post_processor is None:
            begins = bool(self.settings.get("add_bos_token")) and "bos_token" in self.named
            return [self.id_of(self.named["bos_token"])] if begins else []
        with library_mistakes(self.where):
            whole, bare = (self.library.encode("a", add_special_tokens=flag).ids for flag in (True, False))
        places = [i for i in range(len(whole)) if whole[i : i + len(bare)] == bare]
        found = whole[: places[0]] if places else []
        if any(token_id >= self.num_ids for token_id in found):
            raise ValueError(
                f"{self.where}/{TOKENIZER_FILE} puts ids that it does not have in front of texts: restore it"
            )
        return found

    @cached_property
    def control_tokens(self) -> frozenset[str]:
        """What steers the model: special tokens, and other added ones that the template writes."""
        written = self.template.literals if self.template is not None else ""
        return self.special | {name for name in self.added if name in written and not name.isspace()}

    @cached_property
    def hash(self) -> str:
        """SHA-256 over the files but for the generation config, which is no part of the tokenizer."""
        parts = (name.encode() + content for name, content in sorted(self.files.items()) if name != GENERATION_FILE)
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def id_of(self, token: str) -> int:
        """The id of a token by its text; ValueError for an unknown one."""
        token_id = self.library.token_to_id(token)
        if token_id is None:
            raise ValueError(f"{self.where}: the tokenizer has no token {token!r} that its settings name")
        return token_id

    def name_of(self, token_id: int) -> str:
        """How a token is written."""
        return self.library.id_to_token(token_id) or f"<|unused_{token_id}|>"

    def segments(self, text: str) -> Iterator[str]:
        """The text as one part."""
        yield text

    def encode(self, text: str) -> list[int]:
        """Ids of raw text, in which special tokens are text like any other."""
        with library_mistakes(self.where):
            return self._plain.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> str:
        """The text of ids, control tokens by name. ValueError for an unknown id."""
        if ids and not (min(ids) >= 0 and max(ids) < self.num_ids):
            raise ValueError(f"token ids {min(ids)} to {max(ids)} must be at least 0 and below {self.num_ids}")
        with library_mistakes(self.where):
            return self.library.decode(ids, skip_special_tokens=False)

    def _generation_ids(self, key: str) -> list[int]:
        value = self._generation.get(key)
        return [i for i in (value if isinstance(value, list) else [value]) if type(i) is int and 0 <= i < self.num_ids]

    def _template_source(self) -> str | None:
        if TEMPLATE_FILE in self.files:
            return _decoded(self.files[TEMPLATE_FILE])
        found = self.settings.get("chat_template")
        if isinstance(found, list):
            found = {entry.get("name"): entry.get("template") for entry in found if isinstance(entry, dict)}
            found = found.get("default")
        return found if isinstance(found, str) else None

    def _open(self) -> tokenizers.Tokenizer:
        library = self._read_library()
        library.no_truncation()
        library.no_padding()
        known = {token.content for token in library.get_added_tokens_decoder().values()}
        self._add(library, [token for token in self._listed_tokens() if token.content not in known])
        extra = [self.settings.get(key) for key in ("additional_special_tokens", "extra_special_tokens")]
        extra = [_content_of(token) for tokens in extra if isinstance(tokens, list) for token in tokens]
        known = {token.content for token in library.get_added_tokens_decoder().values()}
        names = [*self.named.values(), *filter(None, extra)]
        missing = [name for name in dict.fromkeys(names) if name not in known]
        self._add(library, [tokenizers.AddedToken(name, special=True, normalized=False) for name in missing])
        return library

    def _add(self, library: tokenizers.Tokenizer, tokens: list[tokenizers.AddedToken]) -> None:
        with library_mistakes(self.where, doing="be read"):
            library.add_tokens(tokens)

    def _listed_tokens(self) -> list[tokenizers.AddedToken]:
        """What the settings add to the tokenizer, in the order of the ids."""
        listed = self.settings.get("added_tokens_decoder") or {}
        try:
            entries = [listed[key] for key in sorted(listed, key=int)]
            flags = [{flag: entry[flag] for flag in FLAGS if flag in entry} for entry in entries]
            return [tokenizers.AddedToken(e["content"], **f) for e, f in zip(entries, flags, strict=True)]
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ValueError(
                f"{self.where}/tokenizer_config.json: added_tokens_decoder must map ids to tokens: restore the file"
            ) from None

    def _read_library(self) -> tokenizers.Tokenizer:
        if TOKENIZER_FILE not in self.files:
            raise ValueError(
                f"{self.where} has no {TOKENIZER_FILE}, the only kind of file that says all of how text is cut: let transformers "
                "write it with AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)"
            )
        with library_mistakes(self.where, doing="be read"):
            return tokenizers.Tokenizer.from_buffer(self.files[TOKENIZER_FILE])


@dataclass(frozen=True, slots=True)
class ForeignVocabulary:
    """The ids of a foreign tokenizer, in whatever order its makers gave them."""

    model: ForeignModel

    @property
    def size(self) -> int:
        """One more than the largest id."""
        return self.model.num_ids

    @property
    def text_size(self) -> int:
        """The same: control tokens stand among the others."""
        return self.model.num_ids

    @property
    def control(self) -> tuple[str, ...]:
        """Special tokens in the order of their ids."""
        return tuple(sorted(self.model.special, key=self.model.id_of))

    def control_id(self, name: str) -> int:
        """The id of a token by its name; ValueError for an unknown one."""
        return self.model.id_of(name)

    def name_of(self, token_id: int) -> str:
        """How an id is written."""
        return self.model.name_of(token_id)


@contextmanager
def library_mistakes(where: str, *, doing: str = "cut or join a text") -> Iterator[None]:
    """Whatever the library raises over somebody's tokenizer is a ValueError; what panics in Rust is no Exception."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{where}/{TOKENIZER_FILE} cannot {doing} ({reason}): restore the file") from None


def _content_of(token: object) -> str | None:
    """A special token as settings name it: its text, or an object that has it."""
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) and token else None


def _decoded(content: bytes) -> str:
    return content.decode("utf-8", errors="replace")


def _json_object(files: dict[str, bytes], name: str, where: str) -> dict:
    if name not in files:
        return {}
    try:
        check_entries(files[name])
        found = json.loads(files[name])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}/{name} is not JSON ({error}): restore the file") from None
    if not isinstance(found, dict):
        raise ValueError(f"{where}/{name} must hold a JSON object: restore the file")
    return found
