"""Which addresses are refused."""

import random
from pathlib import Path

import pytest

from data_prep.document import Document, Dropped
from data_prep.stages.urls import DomainSet, UrlConfig, UrlStage, host_of, is_ip


def reason(url: str, **settings: object) -> str:
    [outcome] = UrlStage(UrlConfig(**{"enabled": True, **settings}))([Document(text="text", name="x", url=url)])
    return outcome.reason if isinstance(outcome, Dropped) else ""


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_documents_without_an_address_and_all_where_it_is_off_pass():
    assert reason("", blocked_domains=["a.org"]) == ""
    assert reason("http://a.org", blocked_domains=["a.org"], enabled=False) == ""
    assert not UrlConfig().enabled


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://bad.org/page", "url.blocked_domain"),
        ("https://deep.in.bad.org:8080/", "url.blocked_domain"),
        ("bad.org/page", "url.blocked_domain"),
        ("//bad.org", "url.blocked_domain"),
        ("HTTPS://user:secret@BAD.ORG./", "url.blocked_domain"),
        ("http://notbad.org/", ""),
        ("http://good.org/bad.org", ""),
        ("http://org/", ""),
        ("http://b\u00fccher.de/", "url.blocked_domain"),
        ("http://xn--bcher-kva.de/", "url.blocked_domain"),
        ("http://[", ""),
        ("http://\udc80.bad.org/", "url.blocked_domain"),
        ("http://" + "a" * 300 + ".\u00e9/", ""),
        ("::::", ""),
    ],
)
def test_a_blocked_domain_stands_for_all_hosts_under_it(url: str, expected: str):
    assert reason(url, blocked_domains=["bad.org", "bücher.de"], ip_hosts=True) == expected


def test_lists_come_from_files_too(tmp_path: Path):
    domains = write(tmp_path / "domains", "# a comment\n\nBad.org\n*.worse.org\n")
    words = write(tmp_path / "words", "spam\n")
    allowed = write(tmp_path / "allowed", "good.bad.org\n")
    settings = {"blocked_domain_files": [domains], "blocked_word_files": [words], "allowed_domain_files": [allowed]}
    assert reason("http://bad.org/", **settings) == reason("http://a.worse.org/", **settings) == "url.blocked_domain"
    assert reason("http://x.org/spam", **settings) == "url.blocked_word"
    assert reason("http://x.org/spammer", **settings) == ""
    assert reason("http://sub.good.bad.org/spam", **settings) == ""


def test_allowed_domains_are_asked_nothing():
    assert reason("http://10.0.0.1/porn", allowed_domains=["10.0.0.1"]) == ""
    assert reason("http://health.org/porn-addiction", allowed_domains=["health.org"]) == ""
    assert reason("http://health.org/porn-addiction") == "url.blocked_word"


@pytest.mark.parametrize("host", ["1.2.3.4", "1.2.3.4:80", "2130706433", "0x7f.1", "[::1]", "[2001:db8::1]:443"])
def test_hosts_that_are_numbers_are_refused_unless_they_are_welcome(host: str):
    assert reason(f"http://{host}/page") == "url.ip_host"
    assert reason(f"http://{host}/page", ip_hosts=True) == ""


def test_names_with_numbers_are_no_addresses():
    assert not any(map(is_ip, ["1.2.3.4.in-addr.arpa", "163.com", "0xdead.beef.org", "", "localhost"]))


def test_words_are_whole_and_one_of_the_soft_ones_is_allowed():
    assert reason("http://x.org/xxx/1") == "url.blocked_word"
    assert reason("http://x.org/essex-sussex-xxxl") == ""
    assert reason("http://x.org/sex-education") == ""
    assert reason("http://x.org/Sex_Casino") == "url.soft_words"
    assert reason("http://x.org/sex-casino", max_soft_words=2) == ""
    assert reason("http://x.org/sex", max_soft_words=0) == "url.soft_words"
    assert reason("http://x.org/sex-casino-porn", builtin_words=False) == ""
    assert reason("http://x.org/Coupon", blocked_words=["coupon"], builtin_words=False) == "url.blocked_word"


def test_every_drop_says_what_was_found():
    [dropped] = UrlStage(UrlConfig(enabled=True))([Document(text="", name="x", url="http://x.org/poker/casino")])
    assert dropped.detail == "soft words=2 (casino poker), at most 1"
    [dropped] = UrlStage(UrlConfig(enabled=True, blocked_domains=["b.c"]))([Document(text="", name="x", url="a.b.c")])
    assert dropped.detail == "host=a.b.c, under b.c"


def test_a_large_list_answers_as_a_set_of_names(tmp_path: Path):
    source = random.Random(0)
    names = [".".join(source.choice("abcdef") for _ in range(source.randint(1, 5))) for _ in range(2000)]
    listed = set(names[:400])
    domains = DomainSet([], [write(tmp_path / "list", "\n".join(names[:400]))], "key")
    for name in names:
        above = [name.split(".", level)[-1] for level in range(name.count(".") + 1)]
        assert domains.find(name) == next((domain for domain in above if domain in listed), "")
    assert domains.hashes.nbytes == 8 * len(listed)


def test_hosts_are_read_without_a_scheme_as_with_one():
    assert [host_of(url) for url in ("a.org/x", "http://A.org", "ftp://a.org:21", "//a.org")] == ["a.org"] * 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_soft_words": -1}, "urls.max_soft_words=-1 must be at least 0"),
        ({"blocked_words": ["two words"]}, "urls.blocked_words: 'two words' must be one word"),
        ({"blocked_domain_files": ["/no/such"]}, "urls.blocked_domain_files: /no/such must be a file"),
        ({"allowed_domain_files": ["/no/such"]}, "urls.allowed_domain_files: /no/such must be a file"),
        ({"blocked_word_files": ["/no/such"]}, "urls.blocked_word_files: /no/such must be a file"),
    ],
)
def test_wrong_settings_are_refused(changes: dict, message: str):
    with pytest.raises(ValueError) as error:
        UrlConfig(**changes)
    assert message in str(error.value)


def test_a_list_that_is_no_text_is_refused(tmp_path: Path):
    path = tmp_path / "list"
    path.write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(ValueError, match="urls.blocked_domain_files=.* must be a UTF-8 text file"):
        UrlStage(UrlConfig(blocked_domain_files=[str(path)]))
