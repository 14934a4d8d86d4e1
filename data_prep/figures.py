"""What the corpus page shows and the manifest does not hold: `curation.json`, `inputs.txt`, and samples of documents."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from data_prep.contamination.index import task_sizes
from data_prep.facts import KEPT, Curated, inputs_of
from data_prep.score_figures import distribution_of, limit_in_words, limits_shown, quantile_documents
from data_prep.selection import COPIES, Selection
from data_prep.store import read_documents, read_sizes
from data_prep.tally import SAMPLE_CHARACTERS

CURATION = "curation.json"
INPUTS = "inputs.txt"
DROPPED_SAMPLES, KEPT_SAMPLES = "dropped_samples.jsonl", "kept_samples.jsonl"
CLUSTERS_SHOWN = 10
MEMBERS_SHOWN = 4


def write_figures(
    directory: Path,
    sources: list[Curated],
    selection: Selection,
    scores: dict[str, np.ndarray],
    *,
    contamination: Path | None,
) -> None:
    """Write the figures and samples; `contamination` is the index of evaluation sets that documents were compared with."""
    num_bytes_N = np.concatenate([np.empty(0, np.int64), *(read_sizes(f) for s in sources for f in s.folders)])
    quantiles = {name: quantile_documents(values) for name, values in scores.items()}
    clusters = members_shown(selection)
    kept_from = keepers_of([place for source in sources for place in _places(source)], selection)
    wanted = [place for source in sources for place in _places(source)] + list(kept_from.values())
    wanted += [place for members in clusters.values() for place in members]
    wanted += [place for documents in quantiles.values() for places in documents.values() for place in places]
    shown = beginnings_of(sources, set(wanted))
    figures = {
        "sources": {source.name: {t: dict(c) for t, c in sorted(source.tally.sums.items())} for source in sources},
        "languages": _languages(sources, selection, num_bytes_N),
        "lengths": _lengths(selection, num_bytes_N),
        "cluster_sizes": {str(size): count for size, count in sorted(selection.clusters.histogram.items())},
        "clusters": [
            {"size": size, "members": [shown[place] for place in clusters[cluster]]}
            for cluster, size in selection.clusters.largest[:CLUSTERS_SHOWN]
        ],
        "scores": {
            name: distribution_of(name, values, selection, num_bytes_N)
            | {"limits": limits_shown(name, selection)}
            | {"samples": _score_samples(values, quantiles[name], selection, shown)}
            for name, values in scores.items()
        },
        "contamination": task_sizes(contamination) if contamination else {},
    }
    _write(directory / CURATION, [json.dumps(figures, indent=1, ensure_ascii=False)])
    _write(directory / INPUTS, (f"{source.name} {line}" for source in sources for line in inputs_of(source)))
    details = {
        place: _detail(place, document["language"], selection, scores, shown.get(kept_from.get(place, -1)))
        for place, document in shown.items()
    }
    samples = [sample for source in sources for sample in _samples(source, shown, details)]
    for name, is_kept in ((DROPPED_SAMPLES, False), (KEPT_SAMPLES, True)):
        lines = (json.dumps(s, ensure_ascii=False) for s in samples if (s["reason"] == KEPT) is is_kept)
        _write(directory / name, lines)


def _write(path: Path, lines: Iterable[str]) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


def _places(source: Curated) -> list[int]:
    return [place for places in source.shown.values() for place in places]


def _samples(source: Curated, shown: dict[int, dict], details: dict[int, str]) -> list[dict]:
    """What stages dropped, then what selection dropped or kept, by reason."""
    samples = [
        {"source": source.name, "reason": reason, **{key: sample[key] for key in ("name", "detail", "text")}}
        for reason, samples in source.tally.samples.items()
        for sample in samples
    ]
    for reason, places in source.shown.items():
        samples += [{"reason": reason, **shown[place], "detail": details[place]} for place in places]
    return sorted(samples, key=lambda sample: sample["reason"])


def _detail(
    place: int, language: str, selection: Selection, scores: dict[str, np.ndarray], kept_from: dict | None
) -> str:
    """What was measured of a document that selection dropped, and what it had to be; of one that it kept its scores."""
    number = int(selection.reason_N[place])
    reason = selection.reasons[number - 1] if number else ""
    if reason in COPIES:
        return f"copy of {kept_from['source']}: {kept_from['name']}" if kept_from else ""
    if reason.startswith("scores."):
        _, name, _ = reason.split(".")
        return f"{name}={scores[name][place]:.4g}, {limit_in_words(name, language, selection)}"
    return ", ".join(f"{name}={values[place]:.4g}" for name, values in scores.items() if np.isfinite(values[place]))


def keepers_of(places: list[int], selection: Selection) -> dict[int, int]:
    """For those of these documents that are copies the one of their cluster that is none."""
    numbers = [number for number, reason in enumerate(selection.reasons, start=1) if reason in COPIES]
    copies = [place for place in places if selection.reason_N[place] in numbers]
    members = np.flatnonzero(np.isin(selection.cluster_N, selection.cluster_N[copies]))
    first = members[~np.isin(selection.reason_N[members], numbers)]
    by_cluster = dict(zip(selection.cluster_N[first].tolist(), first.tolist(), strict=True))
    clusters = {place: int(selection.cluster_N[place]) for place in copies}
    return {place: by_cluster[cluster] for place, cluster in clusters.items() if cluster in by_cluster}


def members_shown(selection: Selection) -> dict[int, list[int]]:
    """A few members of each of the largest clusters of near-duplicates."""
    largest = [cluster for cluster, _ in selection.clusters.largest[:CLUSTERS_SHOWN]]
    return {c: np.flatnonzero(selection.cluster_N == c)[:MEMBERS_SHOWN].tolist() for c in largest}


def beginnings_of(sources: list[Curated], wanted: set[int]) -> dict[int, dict]:
    """Source, name and beginning of these documents; each slice is read once, and not at all where none of them is in it."""
    found, first, left = {}, 0, np.array(sorted(wanted), np.int64)
    for source in sources:
        for result in source.results:
            last = first + result.summary["documents"]
            own = set(left[np.searchsorted(left, first) : np.searchsorted(left, last)].tolist())
            for number, document in enumerate(read_documents(result.folder) if own else (), start=first):
                if number in own:
                    facts = {"source": source.name, "name": document.name, "language": document.language}
                    found[number] = facts | {"text": document.text[:SAMPLE_CHARACTERS]}
            first = last
    return found


def _score_samples(
    values: np.ndarray, documents: dict[float, list[int]], selection: Selection, shown: dict[int, dict]
) -> list[dict]:
    """The documents at each quantile of a score with what became of them."""
    fates = {0: KEPT} | dict(enumerate(selection.reasons, start=1))
    return [
        {"quantile": q, "score": round(float(values[p]), 6), "fate": fates[int(selection.reason_N[p])], **shown[p]}
        for q, places in documents.items()
        for p in places
    ]


def _languages(sources: list[Curated], selection: Selection, num_bytes_N: np.ndarray) -> dict[str, dict[str, int]]:
    """What came through the stages, and what of it was kept, by language."""
    total: dict[str, np.ndarray] = {}
    first = 0
    for folder in (folder for source in sources for folder in source.folders):
        codes = [document.language for document in read_documents(folder, with_text=False)]
        languages, numbers_N = np.unique(np.array(codes, np.str_), return_inverse=True)
        own = slice(first, first + len(numbers_N))
        first = own.stop
        is_kept, sizes = selection.fate_N[own] > 0, num_bytes_N[own]
        sums_L4 = np.zeros((len(languages), 4), np.int64)
        np.add.at(sums_L4, numbers_N, np.stack([np.ones_like(sizes), is_kept, sizes, sizes * is_kept], axis=1))
        for language, sums in zip(languages.tolist(), sums_L4, strict=True):
            total[language or "unknown"] = total.get(language or "unknown", 0) + sums
    keys = ("documents", "kept", "bytes", "kept_bytes")
    return {code: dict(zip(keys, map(int, sums), strict=True)) for code, sums in sorted(total.items())}


def _lengths(selection: Selection, num_bytes_N: np.ndarray) -> dict[str, dict[str, int]]:
    """Documents that came through the stages, and kept ones, by the binary digits of their UTF-8 bytes."""
    digits_N = np.frexp(num_bytes_N.astype(np.float64))[1]
    documents = np.bincount(digits_N)
    kept = np.bincount(digits_N[selection.fate_N > 0], minlength=len(documents))
    return {str(d): {"documents": int(n), "kept": int(kept[d])} for d, n in enumerate(documents) if n}
