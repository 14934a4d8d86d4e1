"""Byte-level BPE: words are merged from bytes up, in the order in which the merges were learned.

Ids: the 256 bytes, then one id a merge. There is no unknown piece, for every text is bytes. The library of Hugging Face
merges; it is given lists that were checked here, never a file.
"""

from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate, chain, groupby, islice

import tokenizers
from tokenizers import models

from mai1.tokenizer.words import MAX_SEGMENT_CHARACTERS, Digits, segments, splitter, words

NUM_BYTES = 256
MAX_PIECE_BYTES = 256
LONG_WORD_BYTES = 1 << 16
"""Longer words are merged in parts: the library takes about 100 bytes of memory for each of theirs."""

WORDS_AT_ONCE = 1 << 14
SEAM_TOKENS = 64
"""How many ends of tokens are tried, from the end of a part back, until one is an end in the whole word, too."""


def byte_alphabet() -> str:
    """The visible character for each byte, as GPT-2's `bytes_to_unicode`: itself, or the next one from U+0100 on."""
    is_visible = [33 <= byte <= 126 or 161 <= byte <= 172 or byte >= 174 for byte in range(NUM_BYTES)]
    hidden = iter(range(NUM_BYTES, 2 * NUM_BYTES))
    return "".join(chr(byte if is_visible[byte] else next(hidden)) for byte in range(NUM_BYTES))


ALPHABET = byte_alphabet()
TO_VISIBLE = dict(enumerate(ALPHABET))
BYTE_OF = {character: byte for byte, character in enumerate(ALPHABET)}


class ByteBpeModel:
    """256 bytes, merges, and how text is cut into words."""

    def __init__(self, merges: list[tuple[bytes, bytes]], digits: Digits) -> None:
        self.merges, self.digits = merges, digits
        self.bytes_of_id = _pieces_of(merges)
        self._ordinary = self._library_model()
        self._ordinary.pre_tokenizer = splitter(digits)

    @property
    def num_ids(self) -> int:
        """How many ids there are."""
        return len(self.bytes_of_id)

    def encode(self, text: str) -> list[int]:
        """Ids of valid Unicode text of any length."""
        ids: list[int] = []
        for segment in self.segments(text):
            is_long = len(segment) > MAX_SEGMENT_CHARACTERS
            ids += self._encode_by_words(segment) if is_long else self._encode_ordinary(segment)
        return ids

    def segments(self, text: str) -> Iterator[str]:
        """Parts of bounded length, where the text has an end of a word that is sure, whose ids are those of the whole."""
        return segments(text)

    def pieces(self) -> list[tuple[str, float]]:
        """Every piece, bytes that are no text as `<0xE2>`, and its score: what is merged first scores best."""
        return [(show_bytes(piece), -float(token_id)) for token_id, piece in enumerate(self.bytes_of_id)]

    def _library_model(self) -> tokenizers.Tokenizer:
        visible = [as_visible(piece) for piece in self.bytes_of_id]
        merges = [(as_visible(left), as_visible(right)) for left, right in self.merges]
        ids = {piece: token_id for token_id, piece in enumerate(visible)}
        return tokenizers.Tokenizer(models.BPE(vocab=ids, merges=merges))

    def _encode_ordinary(self, text: str) -> list[int]:
        """One text at a time: a list would be spread over as many threads as there are processors."""
        return self._ordinary.encode_batch_fast([text], add_special_tokens=False)[0].ids

    def _encode_by_words(self, text: str) -> list[int]:
        """`encode` without the library's expression, which gives up on runs of a million characters."""
        ids: list[int] = []
        for is_long, group in groupby(words(text, self.digits), key=lambda word: len(word.encode()) > LONG_WORD_BYTES):
            visible = (as_visible(word.encode()) for word in group)
            if is_long:
                ids += chain.from_iterable(map(self._encode_long_word, visible))
            while several := list(islice(visible, WORDS_AT_ONCE)):
                ids += self._merge(*several)
        return ids

    def _encode_long_word(self, word: str) -> list[int]:
        """Ids of a word, in parts: a list of ids is a word's if every two neighbours are the ids of their own bytes.

        For the first merge across an end of a token would also be made between the two tokens that it joins
        (https://github.blog/ai-and-ml/llms/so-many-tokens-so-little-time-introducing-a-faster-more-flexible-byte-pair-tokenizer/).
        """
        ids, start, part = [], 0, self._merge(word[:LONG_WORD_BYTES])
        while start + LONG_WORD_BYTES < len(word):
            ends = list(accumulate(len(self.bytes_of_id[token_id]) for token_id in part))
            for kept in range(len(part) - 2, max(0, len(part) - 2 - SEAM_TOKENS), -1):
                begin = start + ends[kept - 1]
                following = self._merge(word[begin : begin + LONG_WORD_BYTES])
                if self._are_neighbours(part[kept - 1], following[0]):
                    break
            else:
                return ids + self._merge(word[start:])
            ids += part[:kept]
            start, part = begin, following
        return ids + part

    def _are_neighbours(self, left: int, right: int) -> bool:
        return self._merge(as_visible(self.bytes_of_id[left] + self.bytes_of_id[right])) == [left, right]

    def _merge(self, *visible_words: str) -> list[int]:
        [encoding] = self._one_word.encode_batch_fast([visible_words], is_pretokenized=True, add_special_tokens=False)
        return encoding.ids

    @cached_property
    def _one_word(self) -> tokenizers.Tokenizer:
        """The same merges where the words are known already."""
        return self._library_model()


def as_visible(piece: bytes) -> str:
    """Bytes as the library writes them, one character a byte."""
    return piece.decode("latin-1").translate(TO_VISIBLE)


def show_bytes(piece: bytes) -> str:
    """A piece for a person: its text, or its bytes one by one where they are no text."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in piece)


def _pieces_of(merges: list[tuple[bytes, bytes]]) -> list[bytes]:
    """The bytes of each id; ValueError for a merge that is not made of earlier pieces, is not new or too long."""
    pieces = [bytes([byte]) for byte in range(NUM_BYTES)]
    known = set(pieces)
    for place, (left, right) in enumerate(merges):
        joined = left + right
        if left not in known or right not in known:
            raise ValueError(f"merge {place} must join two pieces that stand before it: restore the file")
        if joined in known or len(joined) > MAX_PIECE_BYTES:
            raise ValueError(
                f"merge {place} must make a new piece of at most {MAX_PIECE_BYTES} bytes: restore the file"
            )
        known.add(joined)
        pieces.append(joined)
    return pieces
