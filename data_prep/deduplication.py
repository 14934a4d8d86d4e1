"""Exact duplicates: documents that say the same but for white space are kept once."""

import hashlib


def content_key(text: str) -> bytes:
    """128 bits that are equal for texts that differ only in white space."""
    digest = hashlib.blake2b(digest_size=16)
    for line in text.splitlines():
        if words := line.split():
            digest.update(f"{' '.join(words)} ".encode())
    return digest.digest()


class Deduplicator:
    """Remembers what it has seen; about 90 bytes of memory a document."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def is_duplicate(self, key: bytes) -> bool:
        """Whether this key came before; from now on it did."""
        if key in self._seen:
            return True
        self._seen.add(key)
        return False
