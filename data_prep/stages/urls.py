"""Drops documents by their address alone: listed hosts, listed words, hosts that are IP addresses."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import xxhash

from data_prep.document import Document, Dropped, Outcome
from data_prep.stages.word_lists import read_word_list

WORD = re.compile(r"[^\W_]+")
NUMERIC_LABEL = re.compile(r"(?:0x[0-9a-f]*|\d+)")
BLOCKED_WORDS = frozenset(
    ("porn", "porno", "pornhub", "xxx", "xvideos", "xhamster", "xnxx", "hentai", "camgirl", "camgirls")
)
SOFT_WORDS = frozenset(
    (
        *("adult", "amateur", "bet", "betting", "bingo", "casino", "cialis", "dating", "erotic", "escort", "escorts"),
        *("gambling", "hardcore", "jackpot", "lottery", "mature", "milf", "naked", "nude", "nudes", "payday", "poker"),
        *("sex", "sexe", "sexo", "sexy", "slots", "teen", "teens", "viagra", "webcam"),
    )
)
"""Harmless one at a time; several of them in one address are not."""


@dataclass(kw_only=True, slots=True)
class UrlConfig:
    """Which addresses are refused. A domain stands for all hosts under it. Documents without an address pass."""

    enabled: bool = False
    """Whether addresses are looked at."""

    blocked_domains: list[str] = field(default_factory=list)
    """Domains whose documents are dropped: `url.blocked_domain`."""

    blocked_domain_files: list[str] = field(default_factory=list)
    """Files with such domains, one a line; millions of lines are fine."""

    allowed_domains: list[str] = field(default_factory=list)
    """Domains that no rule here is asked about."""

    allowed_domain_files: list[str] = field(default_factory=list)
    """Files with such domains, one a line."""

    blocked_words: list[str] = field(default_factory=list)
    """Words besides the built-in ones, one of which in the address is enough: `url.blocked_word`."""

    blocked_word_files: list[str] = field(default_factory=list)
    """Files with such words, one a line."""

    builtin_words: bool = True
    """Whether the short built-in English lists of adult and gambling words are used."""

    max_soft_words: int = 1
    """Most different words of the built-in soft list in an address; more: `url.soft_words`."""

    ip_hosts: bool = False
    """Whether hosts that are numbers instead of names are welcome; if not: `url.ip_host`."""

    def __post_init__(self) -> None:
        if self.max_soft_words < 0:
            raise ValueError(
                f"urls.max_soft_words={self.max_soft_words} must be at least 0: use builtin_words=false to turn it off"
            )
        for word in self.blocked_words:
            if not WORD.fullmatch(word):
                raise ValueError(f"urls.blocked_words: {word!r} must be one word of letters and digits: write it so")
        for key in ("blocked_domain_files", "allowed_domain_files", "blocked_word_files"):
            for path in getattr(self, key):
                if not Path(path).expanduser().is_file():
                    raise ValueError(f"urls.{key}: {path} must be a file: write the path of one")


class UrlStage:
    """Drops documents with an address that a rule refuses."""

    name = "url"

    def __init__(self, config: UrlConfig) -> None:
        self.config = config
        self.blocked = DomainSet(config.blocked_domains, config.blocked_domain_files, "urls.blocked_domain_files")
        self.allowed = DomainSet(config.allowed_domains, config.allowed_domain_files, "urls.allowed_domain_files")
        listed = [read_word_list(path, key="urls.blocked_word_files") for path in config.blocked_word_files]
        self.words = {word.lower() for word in config.blocked_words}.union(*listed)
        self.words |= BLOCKED_WORDS if config.builtin_words else frozenset()

    def __call__(self, documents: list[Document]) -> list[Outcome]:
        return [self._judge(document) if self.config.enabled and document.url else document for document in documents]

    def _judge(self, document: Document) -> Outcome:
        host = host_of(document.url)
        if self.allowed.find(host):
            return document
        if domain := self.blocked.find(host):
            return Dropped(document, "url.blocked_domain", f"host={host}, under {domain}")
        if not self.config.ip_hosts and is_ip(host):
            return Dropped(document, "url.ip_host", f"host={host}, a name")
        words = set(WORD.findall(document.url.lower()))
        if found := words & self.words:
            return Dropped(document, "url.blocked_word", f"words={' '.join(sorted(found))}, none of them")
        soft = words & SOFT_WORDS if self.config.builtin_words else set()
        if len(soft) > self.config.max_soft_words:
            detail = f"soft words={len(soft)} ({' '.join(sorted(soft))}), at most {self.config.max_soft_words}"
            return Dropped(document, "url.soft_words", detail)
        return document


class DomainSet:
    """Domains by hash: eight bytes each, because lists of millions are in use and every process holds its own."""

    def __init__(self, domains: list[str], files: list[str], key: str) -> None:
        parts = [_hashes_in(path, key) for path in files]
        self.hashes = np.unique(np.concatenate([_hashes_of(domains), *parts]))

    def find(self, host: str) -> str:
        """The longest listed domain that the host is, or is under; empty: none."""
        while host and len(self.hashes):
            if host in self:
                return host
            host = host.partition(".")[2]
        return ""

    def __contains__(self, domain: str) -> bool:
        wanted = np.uint64(_hash_of(domain))
        place = int(np.searchsorted(self.hashes, wanted))
        return place < len(self.hashes) and bool(self.hashes[place] == wanted)


def host_of(url: str) -> str:
    """The host in lower case and ASCII, without port and user; empty where the address has none or is no address."""
    try:
        host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
        return _as_ascii(host)
    except ValueError:  # `http://[` and its like
        return ""


def is_ip(host: str) -> bool:
    """Whether browsers take a host for an address: it has a colon, or its last label is a number (WHATWG URL, 3.5)."""
    return ":" in host or NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]) is not None


def _as_ascii(host: str) -> str:
    host = host.strip().strip(".").lower()
    try:
        return host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:  # labels that no registry takes: too long, or of characters no name may have
        return host


@lru_cache(maxsize=8)
def _hashes_in(path: str, key: str) -> np.ndarray:
    """Of a file's lines, once a process: a new stage for every task costs nothing."""
    return _hashes_of(read_word_list(path, key=key))


def _hashes_of(domains: list[str]) -> np.ndarray:
    names = (_as_ascii(domain.removeprefix("*.")) for domain in domains)
    return np.array([_hash_of(name) for name in names], np.uint64)


def _hash_of(domain: str) -> int:
    return xxhash.xxh3_64_intdigest(domain.encode("utf-8", "surrogatepass"))
