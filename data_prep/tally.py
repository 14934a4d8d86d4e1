"""What became of documents, in sums and samples that add up over slices, whatever machine counted them."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field

from data_prep.contamination.stage import items_in_label
from data_prep.document import Document, Dropped

SAMPLES_PER_REASON = 8
SAMPLE_CHARACTERS = 400


@dataclass(slots=True)
class Tally:
    """Sums over documents. Everything is a count, so tallies of slices add up to that of the source."""

    sums: dict[str, Counter] = field(default_factory=dict)
    """Table name to counts: `read`, `kept`, `dropped.documents`, `dropped.bytes`, `edits`, `languages`, ..."""

    samples: dict[str, list[dict]] = field(default_factory=dict)
    """Reason to a few documents, those with the smallest hashes: an even choice that no order changes."""

    def count(self, table: str, entry: str, number: int = 1) -> None:
        """Add to one figure."""
        self.sums.setdefault(table, Counter())[entry] += number

    def read(self, document: Document) -> None:
        """A document came out of the reader."""
        self.count("read", "documents")
        self.count("read", "bytes", len(document.markup) or len(document.text.encode(errors="surrogatepass")))

    def bad(self, reason: str, name: str, detail: str) -> None:
        """Something could not be read."""
        self.count("bad", reason)
        self._sample(reason, name, {"name": name, "detail": detail, "text": ""})

    def drop(self, dropped: Dropped) -> None:
        """A stage ended a document."""
        document = dropped.document
        num_bytes = len(document.text.encode(errors="surrogatepass")) or len(document.markup)
        self.count("dropped.documents", dropped.reason)
        self.count("dropped.bytes", dropped.reason, num_bytes)
        text = document.text or document.markup[:SAMPLE_CHARACTERS].decode("utf-8", errors="replace")
        self._sample(dropped.reason, document.name, {"name": document.name, "detail": dropped.detail, "text": text})
        self._labels(document)

    def keep(self, document: Document) -> None:
        """A document came through all stages."""
        num_bytes = len(document.text.encode())
        self.count("kept", "documents")
        self.count("kept", "bytes", num_bytes)
        self.count("languages", document.language or "unknown")
        self.count("lengths", str(num_bytes.bit_length()))
        for kind, number in document.edits.items():
            self.count("edits", kind, number)
            self.count("edited_documents", kind)
        self._labels(document)

    def add(self, other: "Tally") -> None:
        """Add another tally to this one."""
        for table, counts in other.sums.items():
            self.sums.setdefault(table, Counter()).update(counts)
        for reason, samples in other.samples.items():
            merged = {s["order"]: s for s in self.samples.get(reason, []) + samples}
            self.samples[reason] = [merged[order] for order in sorted(merged)[:SAMPLES_PER_REASON]]

    def to_json(self) -> dict:
        """Plain values, in a fixed order."""
        sums = {table: dict(sorted(counts.items())) for table, counts in sorted(self.sums.items())}
        return {"sums": sums, "samples": dict(sorted(self.samples.items()))}

    @classmethod
    def from_json(cls, value: dict) -> "Tally":
        """The tally of `to_json`."""
        return cls({table: Counter(counts) for table, counts in value["sums"].items()}, dict(value["samples"]))

    def table(self, name: str) -> Counter:
        """One table; empty if nothing was counted."""
        return self.sums.get(name, Counter())

    def _labels(self, document: Document) -> None:
        for label, value in document.labels.items():
            if label.startswith("contamination."):
                self.count("contaminated_documents", label)
                for item in items_in_label(value):
                    self.count(label, str(item))
            else:
                self.count(f"label.{label}", value)

    def _sample(self, reason: str, name: str, sample: dict) -> None:
        """Keep it if its hash is among the smallest of its reason."""
        order = hashlib.blake2b(json.dumps([reason, name]).encode(), digest_size=8).hexdigest()
        samples = self.samples.setdefault(reason, [])
        if len(samples) == SAMPLES_PER_REASON and order >= samples[-1]["order"]:
            return
        text = sample["text"][:SAMPLE_CHARACTERS].encode(errors="replace").decode()
        samples.append({**sample, "text": text, "order": order})
        samples.sort(key=lambda entry: entry["order"])
        del samples[SAMPLES_PER_REASON:]
