"""Writes a small corpus directory of known content, as `mai1 prepare` leaves one, for the tests of its page and card."""

import json
from pathlib import Path
from typing import Any

SOURCES = ("web", "books")


def write_corpus(directory: Path) -> Path:
    """Two sources; of web 100 documents were read and 60 kept, of books 10 and 10."""
    for folder in ("train", "heldout", "instruct"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    write_json(directory / "manifest.json", manifest())
    write_json(directory / "curation.json", curation())
    write_lines(directory / "dropped_samples.jsonl", dropped_samples())
    kept = [
        sample(name, "kept", f"kept{number}", "usual=-0.5", language="en") for name in SOURCES for number in range(3)
    ]
    write_lines(directory / "kept_samples.jsonl", kept)
    write_json(directory / "instruct" / "statistics.json", {"talks": talks()})
    for name in SOURCES:
        digests = {"bin": f"{name}bin".ljust(64, "0"), "idx": f"{name}idx".ljust(64, "0")}
        write_json(directory / "train" / f"{name}.json", {"documents": 50, "tokens": 1000, "sha256": digests})
    (directory / "inputs.txt").write_text("web crawl/0.warc 5 1\n")
    return directory


def manifest() -> dict[str, Any]:
    config = {
        "tokenizer": {"kind": "bpe"},
        "heldout_fraction": 0.03,
        "tokenizer_from": "",
        "pii": {"kinds": ["email", "ip"]},
        "dedup": {"minhash": {"is_on": True}},
        "contamination": {"rule": "ngram", "action": "drop", "tasks": {"quiz": {"path": "quiz.jsonl"}}},
        "scores": {"scorers": {"usual": {"kind": "prior"}}},
        "instructions": {"sources": {"talks": {"path": "talks.jsonl", "licence": "", "origin": "a forum"}}},
    }
    return {
        "format": "mai1-corpus",
        "version": 2,
        "fingerprint": "abcdef0123456789",
        "config": config,
        "changed": {"rules.gopher.enabled": True, "sources.web.path": "crawl/", "sources.web.text_field": "body"},
        "tokenizer_hash": "cafe" * 16,
        "vocab_size": 8192,
        "totals": {"documents": 70, "bytes": 14_000, "tokens": 3500, "bytes_per_token": 4.0},
        "sources": {"web": web(), "books": books()},
        "instruct": {"train": 8, "heldout": 2, "sources": {"talks": talks()}},
    }


def web() -> dict[str, Any]:
    """40,000 bytes of pages: 4,000 never became text, 18,000 were markup, 10,000 text was dropped, 8,000 is left."""
    dropped = {
        "extraction.failed": {"documents": 5, "bytes": 4000},
        "gopher.few_words": {"documents": 20, "bytes": 2000},
        "contamination.quiz": {"documents": 2, "bytes": 1000},
        "dedup.near": {"documents": 10, "bytes": 5000},
        "scores.usual.low": {"documents": 3, "bytes": 1500},
    }
    return {
        "path": "crawl/",
        "read": 100,
        "bytes_read": 40_000,
        "kept": 60,
        "train": {"documents": 57, "bytes": 7600, "tokens": 1900},
        "heldout": {"documents": 3, "bytes": 400, "tokens": 100},
        "bytes_per_token": 4.0,
        "dropped": dropped,
        "bad": {"input.not_json": 4},
        "edits": {"pii.email": 7},
        "languages": {"en": 70, "de": 3},
        "licence": "",
        "origin": "",
        "inputs": {"count": 1, "sha256": "ab" * 32},
    }


def books() -> dict[str, Any]:
    sizes = {"documents": 10, "bytes": 6000, "tokens": 1500}
    nothing = {"documents": 0, "bytes": 0, "tokens": 0}
    facts = {"path": "books/*.txt", "licence": "CC0-1.0", "origin": "a library", "bytes_per_token": 4.0}
    inputs = {"count": 10, "sha256": "cd" * 32}
    counted = {"read": 10, "bytes_read": 6000, "kept": 10, "dropped": {}, "bad": {}, "edits": {}}
    return {**facts, **counted, "train": sizes, "heldout": nothing, "languages": {"en": 10}, "inputs": inputs}


def curation() -> dict[str, Any]:
    tables = {
        "kept": {"documents": 73, "bytes": 15_000},
        "edits": {"pii.email": 7, "boilerplate.menu": 30, "dedup.passages.characters": 520},
        "edited_documents": {"pii.email": 4, "boilerplate.menu": 12, "dedup.passages": 9},
        "label.kind": {"prose": 80, "code": 20},
        "contaminated_documents": {"contamination.quiz": 2},
        "contamination.quiz": {"17": 2, "4": 1},
    }
    language = {"documents": 70, "kept": 57, "bytes": 14_000, "kept_bytes": 7900}
    cluster = {"size": 9, "members": [sample("web", "", "first twin", ""), sample("web", "", "second twin", "")]}
    return {
        "sources": {"web": tables, "books": {"kept": {"documents": 10, "bytes": 6000}}},
        "languages": {"en": language, "unknown": {"documents": 3, "kept": 3, "bytes": 100, "kept_bytes": 100}},
        "lengths": {"9": {"documents": 20, "kept": 15}, "11": {"documents": 63, "kept": 55}},
        "cluster_sizes": {"2": 3, "8": 1},
        "clusters": [cluster],
        "scores": {"usual": score()},
        "contamination": {"quiz": {"items": 25, "too_short": 5}},
    }


def score() -> dict[str, Any]:
    limit = {"language": "", "lowest": -2.5, "highest": None, "judged": 80, "low": 3, "high": 0}
    samples = [
        {**sample("web", "", "odd page", ""), "quantile": 0.01, "score": -3.0, "fate": "scores.usual.low"},
        {**sample("books", "", "plain page", ""), "quantile": 0.5, "score": -0.75, "fate": "kept"},
    ]
    return {
        "judged": 80,
        "not_judged": 3,
        "bytes": 20_000,
        "edges": [-3.0, -2.0, -1.0, 0.0],
        "kept": [1, 20, 49],
        "dropped": [3, 0, 0],
        "dropped_otherwise": [1, 3, 3],
        "quantiles": [{"quantile": 0.05, "score": -2.5, "bytes_below": 500}],
        "limits": [limit],
        "samples": samples,
    }


def talks() -> dict[str, Any]:
    figures = {"read": 12, "kept": 10, "preferences": 1, "tokens": 800, "supervised_tokens": 200}
    return {
        **figures,
        "dropped": {"instruct.broken": 2},
        "edits": {},
        "messages": {"2": 10},
        "lengths": {"6": 4, "7": 6},
    }


def dropped_samples() -> list[dict[str, Any]]:
    return [
        sample("web", "gopher.few_words", "page 1", "words=31, at least 50"),
        sample("web", "gopher.few_words", "page 2", "words=12, at least 50"),
        sample("web", "dedup.near", "page 3", "copy of web: page 4"),
        sample("web", "input.not_json", "crawl/0.jsonl:7", "Expecting value"),
    ]


def sample(source: str, reason: str, name: str, detail: str, **more: str) -> dict[str, Any]:
    return {"source": source, "reason": reason, "name": name, "detail": detail, "text": f"the text of {name}", **more}


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
