"""The id space of a model: which ids are text, which are control tokens, which are kept free for later.

Text comes first and its ids are exactly those of the model that cuts it, so no raw text can ever produce a control id.
"""

import json
from dataclasses import dataclass

FORMAT = "mai1-vocabulary"
VERSION = 1
ALIGNMENT = 128
"""The vocabulary is padded to a multiple of this, so that the embedding divides well over GPUs and tiles."""

MAX_TOKENS = 1 << 24
"""No vocabulary file may claim more tokens than this."""

END_OF_TEXT = "<|endoftext|>"
PAD = "<|pad|>"
END_OF_MESSAGE = "<|end|>"
DEFAULT_CONTROL = (END_OF_TEXT, PAD, "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", END_OF_MESSAGE)


@dataclass(frozen=True, slots=True)
class Span:
    """A range of ids with one purpose: [start, start + size)."""

    name: str
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Spans of ids, in this order: text, control, reserved, padding."""

    text_size: int
    """Ids of the model that cuts text: [0, text_size)."""

    control: tuple[str, ...]
    """Names of the control tokens, in the order of their ids."""

    reserved_size: int
    """Ids kept free for later tokens (other modalities, more roles)."""

    def __post_init__(self) -> None:
        for name, value in (("text_size", self.text_size), ("reserved_size", self.reserved_size)):
            least = 1 if name == "text_size" else 0
            if type(value) is not int or not least <= value <= MAX_TOKENS:
                raise ValueError(f"vocabulary.{name}={value!r} must be an integer from {least} to {MAX_TOKENS}")
        if not isinstance(self.control, tuple) or not all(isinstance(name, str) and name for name in self.control):
            raise ValueError(f"vocabulary.control={self.control!r} must be a tuple of non-empty names")
        if len(set(self.control)) != len(self.control):
            raise ValueError(f"vocabulary.control={list(self.control)} must not repeat a name: remove the repeated one")
        for name in (END_OF_TEXT, PAD):
            if name not in self.control:
                raise ValueError(f"vocabulary.control={list(self.control)} must hold {name}: add it")

    @property
    def size(self) -> int:
        """All ids, padding included: the rows of the embedding."""
        used = self.text_size + len(self.control) + self.reserved_size
        return -(-used // ALIGNMENT) * ALIGNMENT

    @property
    def spans(self) -> tuple[Span, ...]:
        """The spans in the order of their ids; together they cover [0, size) without a gap."""
        control_end = self.text_size + len(self.control)
        used = control_end + self.reserved_size
        return (
            Span("text", 0, self.text_size),
            Span("control", self.text_size, len(self.control)),
            Span("reserved", control_end, self.reserved_size),
            Span("padding", used, self.size - used),
        )

    def control_id(self, name: str) -> int:
        """The id of a control token; ValueError for an unknown name."""
        if name not in self.control:
            raise ValueError(f"control token {name!r} must be one of {', '.join(self.control)}")
        return self.text_size + self.control.index(name)

    def name_of(self, token_id: int) -> str:
        """How an id above the text span is written out: a control name, `<|reserved_3|>` or `<|padding_3|>`."""
        for span in self.spans[1:]:
            if span.start <= token_id < span.start + span.size:
                place = token_id - span.start
                return self.control[place] if span.name == "control" else f"<|{span.name}_{place}|>"
        raise ValueError(f"token id {token_id} must be above the text span and below {self.size}")

    def to_json(self) -> str:
        """One stable text for one vocabulary."""
        fields = {
            "format": FORMAT,
            "version": VERSION,
            "text_size": self.text_size,
            "control": list(self.control),
            "reserved_size": self.reserved_size,
        }
        return json.dumps(fields, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Vocabulary":
        """The vocabulary of `to_json`; ValueError for anything else."""
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"a vocabulary must be JSON ({error}): restore the file") from error
        if not isinstance(fields, dict) or fields.get("format") != FORMAT or fields.get("version") != VERSION:
            raise ValueError(f"a vocabulary must state format {FORMAT} and version {VERSION}: restore the file")
        control = fields.get("control")
        if not isinstance(control, list):
            raise ValueError(f"vocabulary.control={control!r} must be a list of names: restore the file")
        return cls(fields.get("text_size"), tuple(control), fields.get("reserved_size"))
