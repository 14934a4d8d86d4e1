"""Documents from the `datasets` library: a local directory, a builder with files, or (with a network) a hub name."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_prep.readers import text_of_record
from data_prep.sources import Document, SourceConfig
from data_prep.workers import Workers

PREFIX = "datasets:"
UNKNOWN_BYTES = 1 << 40
"""The estimate for a source of unknown size: it is read after all others."""


@dataclass(slots=True)
class HubSource:
    """One split of one data set, streamed."""

    name: str
    config: SourceConfig
    is_shuffled: bool = False
    estimated_bytes: int = UNKNOWN_BYTES

    def identity(self) -> list[str]:
        """The settings; what a hub serves under a name may change without notice."""
        c = self.config
        return [f"{c.path} {c.subset} {c.split} {c.data_files} {c.text_field}"]

    def documents(self, workers: Workers) -> Iterator[Document]:
        """Rows in the order of the data set."""
        for number, record in enumerate(self._rows()):
            where = f"{self.config.path} row {number}"
            yield Document(text_of_record(record, self.config.text_field, where=where), where)

    def _rows(self) -> Iterator[dict]:
        import datasets  # heavy: only for sources that ask for it

        key, where = f"prepare.sources.{self.name}.path={self.config.path}", self.config.path.removeprefix(PREFIX)
        try:
            if (Path(where) / "state.json").is_file() or (Path(where) / "dataset_dict.json").is_file():
                loaded = datasets.load_from_disk(where)
                yield from loaded[self.config.split] if isinstance(loaded, dict) else loaded
            else:
                files = {self.config.split: self.config.data_files} if self.config.data_files else None
                subset = self.config.subset or None
                yield from datasets.load_dataset(
                    where, subset, split=self.config.split, data_files=files, streaming=True
                )
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            rule = f"must be a data set with split {self.config.split!r}"
            raise ValueError(f"{key} {rule} ({reason}): check both") from error
