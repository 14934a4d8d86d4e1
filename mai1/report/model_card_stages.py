"""The runs a model was made in, nearest first, with what each read and how it was set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mai1.report.corpus_records import CorpusRecords, read_corpus
from mai1.report.model_card_text import public
from mai1.report.records import RunRecords, locate, mapping, read_ancestors, read_run


@dataclass(kw_only=True, slots=True)
class Stage:
    """One run of the lineage."""

    run: RunRecords
    corpus: CorpusRecords | None
    """None where its data is no longer where it was."""
    config: dict[str, Any]
    """Its configuration; empty where it is not known."""

    @property
    def kind(self) -> str:
        """pretrain, sft and so on."""
        return public(self.run.run.get("stage")) or "a stage that was not recorded"

    def setting(self, dotted: str) -> Any:
        """The value of a key of the configuration; None where it is not told."""
        value: Any = self.config
        for part in dotted.split("."):
            value = mapping(value).get(part)
        return value


def read_stages(run: Path | None, configs: dict[str, dict]) -> list[Stage]:
    """The run and those it started from; `configs` holds parsed configurations by the path of the run's directory."""
    if run is None:
        return []
    newest = read_run(run)
    stages = []
    for records in [newest, *read_ancestors(newest)]:
        data = locate(records.run.get("data"), beside=records.directory)
        corpus = read_corpus(data) if data is not None and (data / "manifest.json").is_file() else None
        stages.append(Stage(run=records, corpus=corpus, config=mapping(configs.get(str(records.directory.resolve())))))
    return stages
