"""A SentencePiece model without any normalization.

SentencePiece writes a space as U+2581; a U+2581 that stands in the text itself is therefore cut out before and written
as its three byte pieces.
"""

from collections.abc import Iterator

import sentencepiece

SEGMENT_CHARACTERS = 1 << 16
SPACE = "\u2581"
"""How SentencePiece writes a space."""


class SentencePieceModel:
    """The content of a model file; ValueError for whatever is not one of our models."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._processor = _load_processor(content)
        self.bytes_of_id = _bytes_of_pieces(self._processor)
        self._joined_pairs = {piece[i : i + 2] for piece, _ in self.pieces() for i in range(len(piece) - 1)}
        self.space_mark_ids = [self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in SPACE.encode()]

    @property
    def num_ids(self) -> int:
        """How many ids there are."""
        return self._processor.vocab_size()

    @property
    def has_merges(self) -> bool:
        """Whether any piece is longer than a character: not so in a model of single characters."""
        return any(len(piece.decode(errors="replace")) > 1 for piece in self.bytes_of_id)

    def encode(self, text: str) -> list[int]:
        """Ids of valid Unicode text of any length."""
        ids: list[int] = []
        for number, part in enumerate(text.split(SPACE)):
            if number:
                ids += self.space_mark_ids
            for segment in self.segments(part):
                ids += self._processor.encode(segment)
        return ids

    def segments(self, text: str) -> Iterator[str]:
        """Parts of bounded length whose ids, one after the other, are the ids of the whole.

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
        """Every piece as SentencePiece writes it and its score, in the order of the ids."""
        return [(self._processor.id_to_piece(i), self._processor.get_score(i)) for i in range(self.num_ids)]


def _load_processor(model: bytes) -> sentencepiece.SentencePieceProcessor:
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
