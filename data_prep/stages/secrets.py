"""Secrets in text, code and conversations: found by form, replaced by a placeholder, counted. Nothing is dropped.

What is found and what is left alone stands in `secret_forms.py`. Not found are passwords in prose and short values.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from data_prep.document import Document, Outcome
from data_prep.stages.replacement import Find, finds_in, with_placeholders
from data_prep.stages.secret_forms import (
    find_assigned,
    find_cloud_keys,
    find_private_keys,
    find_tokens,
    find_url_passwords,
    find_web_tokens,
)


class SecretKind(Enum):
    """Kinds of secrets; where finds overlap the first to begin wins, then the first kind."""

    private_key = "private_key"
    cloud_key = "cloud_key"
    token = "token"
    web_token = "web_token"
    url_password = "url_password"
    assigned = "assigned"


FINDERS: dict[SecretKind, Callable[[str], Iterator[tuple[int, int]]]] = {
    SecretKind.private_key: find_private_keys,
    SecretKind.cloud_key: find_cloud_keys,
    SecretKind.token: find_tokens,
    SecretKind.web_token: find_web_tokens,
    SecretKind.url_password: find_url_passwords,
    SecretKind.assigned: find_assigned,
}
"""Each gives the (start, end) of its finds; in time proportional to the text, whatever it is."""


@dataclass(kw_only=True, slots=True)
class SecretsConfig:
    """Replacement of secrets."""

    kinds: list[SecretKind] = field(default_factory=lambda: list(SecretKind))
    """What is replaced, of private_key, cloud_key, token, web_token, url_password and assigned; empty: nothing."""

    placeholder: str = "[SECRET]"
    """What stands for a secret."""

    def __post_init__(self) -> None:
        if not self.placeholder or any(True for _ in secrets_of(self.placeholder, list(SecretKind))):
            raise ValueError(
                f"secrets.placeholder={self.placeholder!r} must be some text that is not itself a secret: use [SECRET]"
            )


class SecretsStage:
    """Replaces secrets; `edits` counts the finds of each kind, as in `secrets.token`."""

    name = "secrets"

    def __init__(self, config: SecretsConfig) -> None:
        self.config = config

    def __call__(self, documents: list[Document]) -> list[Outcome]:
        """Documents without secrets come back as they are."""
        return [self._replace(document) for document in documents]

    def _replace(self, document: Document) -> Document:
        finds = secrets_of(document.text, self.config.kinds)
        return with_placeholders(document, finds, placeholder_of=lambda _: self.config.placeholder, family="secrets")


def secrets_of(text: str, kinds: list[SecretKind]) -> Iterator[Find[SecretKind]]:
    """All secrets of these kinds, in order and without overlaps."""
    return finds_in(text, FINDERS, kinds)
