"""All rules in one stage: every document is asked one rule after the other and dropped by the first that it breaks."""

import dataclasses
import difflib
from dataclasses import dataclass, field

from data_prep.document import Document, Dropped, Outcome
from data_prep.stages.basic import BasicConfig
from data_prep.stages.c4 import C4Config
from data_prep.stages.code import KIND, CodeConfig, Kind, kind_of, labelled
from data_prep.stages.fineweb import FineWebConfig
from data_prep.stages.gopher import GopherConfig
from data_prep.stages.language_rules import LANGUAGES, LanguageRules
from data_prep.stages.repetition import RepetitionConfig
from data_prep.stages.rule import Rule
from data_prep.stages.view import TextView

EMPTY = "basic.empty"
"""The one reason that no setting turns off."""

UNKNOWN = LanguageRules()


@dataclass(kw_only=True, slots=True)
class RulesConfig:
    """Which documents are not worth training on. Each rule is one figure, has one limit, and gives its name as the reason."""

    basic: BasicConfig = field(default_factory=BasicConfig)
    """Rules for any text."""

    gopher: GopherConfig = field(default_factory=GopherConfig)
    """Quality rules of Gopher."""

    repetition: RepetitionConfig = field(default_factory=RepetitionConfig)
    """Repetition rules of Gopher."""

    c4: C4Config = field(default_factory=C4Config)
    """Page rules of C4."""

    fineweb: FineWebConfig = field(default_factory=FineWebConfig)
    """Rules of FineWeb."""

    code: CodeConfig = field(default_factory=CodeConfig)
    """What holds for code and technical text."""

    languages: dict[str, LanguageRules] = field(default_factory=dict)
    """What holds for a language, by ISO 639 code; an entry replaces the built-in one."""

    default_language: str = ""
    """Taken where a document's language is not known; empty: counted in words, without stop words."""

    def __post_init__(self) -> None:
        known = {rule.name for rules in self.families(LanguageRules(stop_words=["the"])).values() for rule in rules}
        _check_names("rules.code", self.code, known)
        for code, entry in self.languages.items():
            _check_names(f"rules.languages.{code}", entry, known)

    def families(self, language: LanguageRules) -> dict[str, list[Rule]]:
        """Each family's rules, families and rules in the order they are asked, whether they are on or off."""
        return {
            "basic": self.basic.rules(),
            "gopher": self.gopher.rules(unit=language.unit, stop_words=language.stop_words),
            "repetition": self.repetition.rules(),
            "c4": self.c4.rules(),
            "fineweb": self.fineweb.rules(),
        }


class RulesStage:
    """Drops documents by the first rule they break, and labels the others `kind: code` or `kind: prose`."""

    name = "rules"

    def __init__(self, config: RulesConfig) -> None:
        self.config = config
        self.languages = LANGUAGES | config.languages
        self.rules: dict[tuple[str, Kind], list[Rule]] = {}

    def __call__(self, documents: list[Document]) -> list[Outcome]:
        return [self._judge(document) for document in documents]

    def _judge(self, document: Document) -> Outcome:
        if not document.text or document.text.isspace():
            return Dropped(document, EMPTY, "visible characters=0, at least 1")
        code = document.language or self.config.default_language
        language = self._language(code)
        view = TextView(document.text, unit=language.unit, characters_per_word=language.characters_per_word)
        kind = Kind.prose
        if self.config.code.enabled:
            given = document.labels.get(KIND)
            kind = Kind(given) if given else kind_of(view, min_symbol_fraction=self.config.code.min_symbol_fraction)
            document = document if given else labelled(document, kind)
        for rule in self._rules_for(code, kind):
            if detail := rule.what_is_wrong(view):
                return Dropped(document, rule.name, detail)
        return document

    def _language(self, code: str) -> LanguageRules:
        return self.languages.get(code) or UNKNOWN

    def _rules_for(self, code: str, kind: Kind) -> list[Rule]:
        """The rules that are on for a language and kind, with their limits there; put together once."""
        key = (code if code in self.languages else "", kind)
        if key not in self.rules:
            language = self._language(code)
            exceptions = [language, self.config.code] if kind is Kind.code else [language]
            skipped = {name for exception in exceptions for name in exception.skip}
            limits = {name: limit for exception in exceptions for name, limit in exception.limits.items()}
            rules = [
                dataclasses.replace(rule, limit=limits.get(rule.name, rule.limit))
                for family, rules in self.config.families(language).items()
                if getattr(self.config, family).enabled and family not in skipped
                for rule in rules
                if rule.name not in skipped
            ]
            self.rules[key] = [rule for rule in rules if rule.limit]
        return self.rules[key]


def _check_names(section: str, entry: CodeConfig | LanguageRules, known: set[str]) -> None:
    families = {name.partition(".")[0] for name in known}
    for key, names in (("skip", known | families), ("limits", known)):
        for name in getattr(entry, key):
            if name not in names:
                near = difflib.get_close_matches(name, names, n=3) or sorted(families)
                raise ValueError(f"{section}.{key}: {name} is no rule: did you mean {' or '.join(near)}?")
    for name, limit in entry.limits.items():
        if limit < 0:
            raise ValueError(f"{section}.limits.{name}={limit} must be at least 0: use 0 to turn it off")
