"""Exact duplicates: documents that say the same but for white space have the same key."""

import numpy as np
import xxhash

ASCII_SPACE = b" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"
OTHER_SPACE = (
    "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""Together what `str.isspace` calls white space."""

BLANK = ord(" ")
SHORT_CHARACTERS = 800
"""Up to here making the words is faster than arrays; the key is the same."""

AS_BLANK = bytes(BLANK if code in ASCII_SPACE else code for code in range(256))


def content_key(text: str) -> bytes:
    """128 bits (XXH3) that are equal for texts that differ in white space alone; words stay apart: `ab` is not `a b`."""
    if len(text) < SHORT_CHARACTERS:
        return xxhash.xxh3_128_digest(" ".join(text.split()).encode("utf-8", "surrogatepass"))
    if not text.isascii():
        for space in OTHER_SPACE:
            text = text.replace(space, " ")
    codes = np.frombuffer(text.encode("utf-8", "surrogatepass").translate(AS_BLANK), np.uint8)
    is_blank = codes == BLANK
    is_kept = np.ones(len(codes), bool)
    is_kept[1:] = ~(is_blank[1:] & is_blank[:-1])
    return xxhash.xxh3_128_digest(codes[is_kept].tobytes().strip(b" "))


def pairs_of_equal(keys_N2: np.ndarray) -> np.ndarray:
    """Neighbours among the documents with the same content key, int64 [pairs, 2], the smaller number first.

    `keys_N2` are the 16 bytes of each key as uint64 [N, 2]; 25 bytes of memory a document besides, 16 a pair.
    """
    order_N = np.lexsort((keys_N2[:, 1], keys_N2[:, 0]))  # stable: equal keys stay in the order of the documents
    is_same = np.ones(max(len(order_N) - 1, 0), bool)
    for half_N in keys_N2.T:
        sorted_N = half_N[order_N]
        is_same &= sorted_N[1:] == sorted_N[:-1]
    return np.stack([order_N[:-1][is_same], order_N[1:][is_same]], axis=1)
