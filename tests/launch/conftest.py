"""A prepared corpus of a few pages, made as the security tests make theirs."""

from tests.security.conftest import corpus, tokenizer  # noqa: F401 (fixtures)
