"""How byte-level BPE cuts text into words before anything is merged, and where a long text may be cut without a change.

No token spans two words. The expressions are those of well-known models, letter for letter, so that whoever has to name
one for these files (llama.cpp, vLLM, a GGUF header) finds it there.
"""

import re
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache

from tokenizers import Regex, pre_tokenizers

SEGMENT_CHARACTERS = 1 << 16
MAX_SEGMENT_CHARACTERS = 1 << 18
"""No expression is run on more: from 600,000 spaces on tiktoken's stack overflows, from 10,000,000 Oniguruma gives up."""


class Digits(Enum):
    """How many digits may stand in one word."""

    up_to_three = "up_to_three"
    single = "single"


EXPRESSIONS = {
    Digits.up_to_three: (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+"
    ),
    Digits.single: (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+"
    ),
}
"""GPT-4's expression (`cl100k_base` in tiktoken's openai_public.py) as the tokenizer.json of Llama 3 writes it, and with
single digits as that of Qwen 2 does."""

SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
r"""What \s is to these expressions (Unicode's White_Space), as the inside of a character class."""

LETTERS = "A-Za-z\xc0-\xd6\xd8-\xf6\xf8-\u02af\u0410-\u044f\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fa5\uac00-\ud7a3"
"""Letters in every version of Unicode that a library may know: the commonest scripts."""

CUT = re.compile(
    rf"[{LETTERS}](?=[{SPACES}!-/:-@\[-`{{-~\u3001\u3002\uff01\uff0c\uff1f]|[0-9])"  # a word of letters ends
    rf"|[0-9](?=[{SPACES}!-/:-@\[-`{{-~A-Za-z])"  # a word of digits ends
    rf"|[^{SPACES}](?=[\t \u3000])"  # only line ends may follow a sign within its word
    rf"|[\r\n](?=[^{SPACES}])"  # line ends are the last of their word
)
"""A character that is the last of its word whatever stands before it and after what follows: what is cut behind it gives
the same words as the whole, because a word is found from its beginning on and looks one character ahead at most."""


def segments(text: str) -> Iterator[str]:
    """Parts of SEGMENT_CHARACTERS or a little more that have, one after the other, the words of the whole text."""
    start = 0
    while len(text) - start > SEGMENT_CHARACTERS:
        found = CUT.search(text, start + SEGMENT_CHARACTERS - 1)
        if found is None:
            break
        yield text[start : found.end()]
        start = found.end()
    yield text[start:]


def words(text: str, digits: Digits) -> Iterator[str]:
    """The words of a text of any length; for parts that `segments` could not cut. Seconds to begin, then 5 MB/s."""
    return (match.group() for match in _plain_expression(digits).finditer(text))


@lru_cache(maxsize=len(Digits))
def _plain_expression(digits: Digits) -> re.Pattern[str]:
    r"""The expression for Python's `re`, which has no \p{} but matches in bounded memory: classes are spelled out."""
    letters, numbers = _characters(r"\p{L}"), _characters(r"\p{N}")
    plain = EXPRESSIONS[digits]
    for name, inside in ((r"\p{L}", letters), (r"\p{N}", numbers), (r"\s", SPACES)):
        plain = re.sub(r"(\[[^\]]*)" + re.escape(name), lambda found, inside=inside: found[1] + inside, plain)
        plain = plain.replace(name, f"[{inside}]")
    return re.compile(plain.replace(r"\S", f"[^{SPACES}]"))


def _characters(name: str) -> str:
    """A class as ranges, asked of the library that cuts ordinary text: Python may know another version of Unicode."""
    everything = "".join(chr(i) for i in range(0x110000) if not 0xD800 <= i < 0xE000)
    split = pre_tokenizers.Split(Regex(f"{name}+"), behavior="removed", invert=True)
    runs = [run for run, _ in split.pre_tokenize_str(everything)]
    return "".join(f"{re.escape(run[0])}-{re.escape(run[-1])}" for run in runs)


def splitter(digits: Digits) -> pre_tokenizers.PreTokenizer:
    """The library's own: words by the expression, their bytes as visible characters."""
    by_expression = pre_tokenizers.Split(Regex(EXPRESSIONS[digits]), behavior="isolated")
    return pre_tokenizers.Sequence([by_expression, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
