"""Everything `mai1 prepare` can be told."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from data_prep.as_json import changed_settings
from data_prep.contamination.config import ContaminationConfig
from data_prep.dedup.minhash import MinHashConfig
from data_prep.dedup.passages import PassageConfig
from data_prep.engine.config import EngineKind, EngineOptions
from data_prep.instruct import InstructConfig
from data_prep.reading.source import SourceConfig
from data_prep.scores.config import ScoresConfig, example_files
from data_prep.splitting import HeldoutKind
from data_prep.stages.boilerplate import BoilerplateConfig
from data_prep.stages.extraction import ExtractionConfig
from data_prep.stages.language import LanguageConfig
from data_prep.stages.persona import PersonaConfig
from data_prep.stages.pii import PiiConfig
from data_prep.stages.repair import RepairConfig
from data_prep.stages.rules import RulesConfig
from data_prep.stages.secrets import SecretsConfig
from data_prep.stages.urls import UrlConfig
from mai1.tokenizer.bulk import Library
from mai1.tokenizer.training import TokenizerConfig

SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(kw_only=True, slots=True)
class DedupConfig:
    """Which copies are dropped."""

    exact: bool = True
    """Texts that differ in white space alone are kept once: `dedup.exact`."""

    minhash: MinHashConfig = field(default_factory=MinHashConfig)
    """Near-duplicates: `dedup.near`."""

    passages: PassageConfig = field(default_factory=PassageConfig)
    """Passages that stand in several documents are cut out of all but the first."""


@dataclass(kw_only=True, slots=True)
class CurateConfig:
    """The stages that every document goes through on its own, in this order."""

    urls: UrlConfig = field(default_factory=UrlConfig)
    """Addresses that are not wanted."""

    extraction: ExtractionConfig = field(default_factory=ExtractionConfig)
    """From HTML to text."""

    repair: RepairConfig = field(default_factory=RepairConfig)
    """Unicode, line ends, control characters."""

    boilerplate: BoilerplateConfig = field(default_factory=BoilerplateConfig)
    """Lines that belong to a page and not to its text."""

    language: LanguageConfig = field(default_factory=LanguageConfig)
    """Which languages are kept."""

    rules: RulesConfig = field(default_factory=RulesConfig)
    """Rules that a text must keep: lengths, Gopher, C4, FineWeb."""

    secrets: SecretsConfig = field(default_factory=SecretsConfig)
    """Keys, tokens and passwords that are replaced."""

    pii: PiiConfig = field(default_factory=PiiConfig)
    """Personal data that is replaced."""

    contamination: ContaminationConfig = field(default_factory=ContaminationConfig)
    """Evaluation sets that must not be trained on."""

    dedup: DedupConfig = field(default_factory=DedupConfig)
    """Which copies are dropped."""


@dataclass(kw_only=True, slots=True)
class ErrorConfig:
    """How much broken input is borne."""

    max_fraction: float = 0.05
    """Largest share of a source's documents that cannot be read; more stops the run. What is borne is counted by reason."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.max_fraction <= 1.0:
            raise ValueError(f"errors.max_fraction={self.max_fraction} must be from 0 to 1")


@dataclass(kw_only=True, slots=True)
class PrepareConfig(CurateConfig):
    """What becomes of raw text."""

    output: str = "data/embedded"
    """The directory to write."""

    sources: dict[str, SourceConfig] = field(default_factory=dict)
    """Sources by name; each becomes a shard of that name. Empty: the text that comes with Python and its packages."""

    errors: ErrorConfig = field(default_factory=ErrorConfig)
    """How much broken input is borne."""

    max_bytes: int = 0
    """Most UTF-8 bytes of text from all sources together, shared evenly between them; 0: no limit."""

    heldout: HeldoutKind = HeldoutKind.documents
    """What is held out: whole documents, or the tail of every document."""

    heldout_fraction: float = 0.03
    """Share of documents, or of every document's characters, that is held out; 0: nothing."""

    seed: int = 0
    """Decides what is held out and what a limit leaves over."""

    scores: ScoresConfig = field(default_factory=ScoresConfig)
    """Quality scores, fitted on the curated text; kept for every document, and thresholds on them."""

    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    """How the tokenizer is learned."""

    tokenizer_from: str = ""
    """A tokenizer, corpus or checkpoint directory whose tokenizer is used, without any key of `tokenizer`; empty: learn one."""

    library: Library = Library.auto
    """What encodes: the tokenizer's own library, tiktoken or gigatoken; auto: the fastest that is installed. Ids are the same."""

    questions: int = 20_000
    """Most question-answer pairs made from `embedded:docstrings`; 0: none."""

    instructions: InstructConfig = field(default_factory=InstructConfig)
    """Conversations from files, made into instruction data beside the questions."""

    persona: PersonaConfig = field(default_factory=PersonaConfig)
    """Answers in instruction data that claim feelings, a consciousness, wishes or a life of the assistant's own."""

    engine: EngineKind = EngineKind.local
    """local: processes of this machine; ray: a Ray cluster; slurm: job arrays. The same bytes come out of each."""

    engine_options: EngineOptions = field(default_factory=EngineOptions)
    """Details of the engines."""

    workers: int = 0
    """Processes of the local engine; 0: one per CPU that this process may use."""

    overwrite: bool = False
    """Replace an output that holds a corpus of other settings."""

    keep_work: bool = False
    """Leave the results of tasks in `.OUTPUT.work`: prepared again with other settings, only what depends on these is done."""

    def __post_init__(self) -> None:
        if not self.output:
            raise ValueError("output='' must name a directory: choose one")
        for key, names in (("sources", self.sources), ("instructions.sources", self.instructions.sources)):
            for name in names:
                if not SOURCE_NAME.fullmatch(name):
                    raise ValueError(f"{key}.{name} must be named with letters, digits, - and _: rename it")
        for key, least in (("max_bytes", 0), ("seed", 0), ("questions", 0), ("workers", 0)):
            if getattr(self, key) < least:
                raise ValueError(f"{key}={getattr(self, key)} must be at least {least}")
        if not 0.0 <= self.heldout_fraction <= 0.5:
            raise ValueError(f"heldout_fraction={self.heldout_fraction} must be from 0 to 0.5")
        if self.tokenizer_from and (asked := changed_settings(self.tokenizer)):
            given = ", ".join(f"tokenizer.{key}={value}" for key, value in asked.items())
            raise ValueError(
                f"tokenizer_from={self.tokenizer_from} leaves nothing to learn for {given}: give one or the other"
            )


def located(config: CurateConfig) -> CurateConfig:
    """The same with absolute paths to its files, for tasks that run in any directory."""

    def absolute(path: str) -> str:
        return str(Path(path).expanduser().absolute()) if path else ""

    keys = ("blocked_domain_files", "allowed_domain_files", "blocked_word_files")
    urls = replace(config.urls, **{key: [absolute(path) for path in getattr(config.urls, key)] for key in keys})
    c4 = replace(config.rules.c4, bad_words_file=absolute(config.rules.c4.bad_words_file))
    return replace(config, urls=urls, rules=replace(config.rules, c4=c4))


def word_lists(config: CurateConfig) -> list[str]:
    """The files of domains and words that the stages read."""
    urls, bad_words = config.urls, config.rules.c4.bad_words_file
    lists = [*urls.blocked_domain_files, *urls.allowed_domain_files, *urls.blocked_word_files]
    return [*lists, bad_words] if bad_words else lists


def other_inputs(config: PrepareConfig) -> list[str]:
    """All files besides the sources that decide what is written."""
    examples = [str(path) for path in example_files(config.scores).values()]
    talks = [source.path for source in config.instructions.sources.values()]
    return [*word_lists(config), *(task.path for task in config.contamination.tasks.values()), *examples, *talks]
