"""Personal data: what is found, what is left alone, and that no text makes it slow."""

import random
import re
import time

import pytest

from data_prep.document import Document
from data_prep.stages.pii import FINDERS, PiiConfig, PiiKind, PiiStage, finds_of
from data_prep.stages.pii_email import TOP_LEVEL
from data_prep.stages.pii_network import IPV4, IPV6, MAY_HAVE_IPV4, MAY_HAVE_IPV6
from data_prep.stages.pii_numbers import CARD_START, IBAN, LENGTHS, is_iban, passes_luhn
from tests.support.growth import is_about_linear

ALL = list(PiiKind)

POSITIVE = {  # text with what has to be found between double angle brackets
    PiiKind.email: [
        "Write to <<ada.lovelace@analytical.org>> for details.",
        "mail: <<a@b.co>>",
        "<<first.last+tag@sub.domain.co.uk>>",
        "Contact (<<info@museum-berlin.de>>) today",
        "<<JOHN.DOE@COMPANY.COM>> wrote:",
        "From: Jane <<<jane_doe99@gmail.com>>>",
        "mailto:<<sales@shop.fr>>?subject=x",
        "Ask <<o'brien@irish.ie>>, please.",
        "Two: <<a.b@c.net>>;<<d.e@f.net>>",
        "請聯絡<<wang@univ.edu.cn>>謝謝",
        "Schreib an <<j\u00fcrgen.m\u00fcller@web.de>>!",
        "It ended at <<x.y@z.com>>.Then came more.",
        "'<<quoted@mail.ru>>'",
        "Signed-off-by: K. Hacker <<<k.hacker@kernel.org>>>",
        'author_email = "<<dev@project.io>>"',
        "leak <<victim@mail.com>>:hunter2",
        "<<user%rest@gateway.net>> is old",
        "Reply-To:<<list-owner@lists.debian.org>>",
        "[<<me@home.name>>](mailto:<<me@home.name>>)",
        "\u043f\u043e\u0447\u0442\u0430 <<\u0438\u0432\u0430\u043d@\u043f\u043e\u0447\u0442\u0430.ru>>",
        "<<a@xn--bcher-kva.ch>>",
        "by Amy Ode <<<amy@rare.godaddy>>>",
        "Perl: E<lt><<amy@cpan.org>>E<gt>.",
        "E-mail address: <<admission@society.org>>.\nMember profile",
    ],
    PiiKind.ip: [
        "Failed login from <<93.184.216.34>> port 22",
        "http://<<93.184.216.34>>/index.html",
        "server <<8.8.8.8>> answers",
        "<<151.101.1.69>>:443 closed",
        "block <<45.33.32.0>>/24 please",
        "IP address: <<1.2.3.4>>",
        "[<<203.1.112.9>>]",
        "ping <<9.9.9.9>>",
        "hosts <<66.249.66.1>>, <<66.249.66.2>> and <<66.249.66.3>>.",
        '<<185.60.216.35>> - - [10/Oct/2000:13:55:36] "GET / HTTP/1.0"',
        "\u670d\u52a1\u5668<<47.95.164.112>>\u7684",
        "connect to <<2606:4700:4700::1111>> now",
        "AAAA <<2a00:1450:4001:0830:0000:0000:0000:200e>>",
        "http://[<<2607:f8b0:4005:805::200e>>]/",
        "route <<2a03:2880::>>/32",
        "peer <<2001:4860:4860::8888>>.",
    ],
    PiiKind.card: [
        "Visa <<4111 1111 1111 1111>> exp 12/27",
        "card <<4111111111111111>>.",
        "<<5500-0000-0000-0004>>",
        "Amex <<3782 822463 10005>>",
        "<<378282246310005>>",
        "MC 2-series <<2223003122003222>>",
        "Discover: <<6011 1111 1111 1117>>",
        "Diners <<3056 930902 5904>>",
        "JCB <<3530111333300000>>",
        "UnionPay <<6200000000000005>>",
        "number=<<4012888888881881>>;cvv",
        "(<<5105105105105100>>)",
        "<<4111 1111 1111 1111>> 12/27 737",
        "<<4012 8888 8888 1881>> 123",
        "**<<4111111111111111>>** bold",
        "old Diners <<38520000023237>>, thanks",
    ],
    PiiKind.iban: [
        "IBAN <<DE89 3704 0044 0532 0130 00>>",
        "<<DE89370400440532013000>>.",
        "pay to <<GB82 WEST 1234 5698 7654 32>> today",
        "<<FR1420041010050500013M02606>>",
        "<<NL91ABNA0417164300>>, Amsterdam",
        "<<CH93 0076 2011 6238 5295 7>>",
        "IBAN:<<BE68539007547034>>",
        "<<ES91 2100 0418 4502 0005 1332>>\nMadrid",
        "<<NO93 8601 1117 947>> Oslo",
        "<<MT84MALT011000012345MTLCAST001S>>",
        "<<PL61 1090 1014 0000 0712 1981 2874>> BIC",
        "(<<AT611904300234573201>>)",
    ],
    PiiKind.phone: [
        "Call <<+1 415 555 0132>> now",
        "<<+49 30 901820>>",
        "Tel. <<030 901820>>",
        "<<(415) 555-2671>> or <<415-555-2671>>",
        "Phone: <<020 7946 0958>>",
        "Mobile <<0171/5550123>>",
        "<<+33 (1) 23 45 67 89>>",
        "<<1-800-555-0199>>",
        "calls at <<780.800.7092>> only",
    ],
}
NEGATIVE = [  # nothing in these is personal
    "@app.route('/') and @pytest.mark.slow",
    "class A:\n    @property.setter\n    def x(self): ...",
    "git clone git@github.com:mai/project.git",
    "git@gitlab.internal.org",
    "ssh admin@build.server.net -p 2222",
    "scp -r user@host.company.com:data/ .",
    "rsync -av me@backup.site.org:/srv .",
    "user@workstation.local:~$ ls",
    "root@localhost and user@host",
    "postgresql://user:secret@db.company.com/name",
    "ssh://deploy@machine.company.com/repo",
    "y = W@x.sum() + a@b.T",
    "z = q@k.to(dtype)",
    "loss = model@data.me[0]",
    "icon@2x.png logo@3x.jpg",
    "npm install left-pad@1.3.0 @types/node@18",
    "someone@example.com, you@mail.example.org, a@b.test",
    "twitter: @someone and @another.one",
    "foo@bar without a domain; me@x.y",
    "a @ b.com",
    "@@ -1,7 +1,9 @@ def f():",
    "mod@v1.2.3",
    "127.0.0.1 0.0.0.0 255.255.255.255",
    "10.0.0.138 172.16.5.4 192.168.178.20",
    "192.0.2.44 198.51.100.7 203.0.113.99 in documentation",
    "224.0.0.251 and 239.255.255.250",
    "version 1.2.3.4",
    "v93.184.216.34",
    "pip install lib==93.184.21.3",
    "lib-93.184.216.34.tar.gz",
    "93.184.216.34-rc1",
    "1.3.6.1.4.1.311",
    "Section 3.2.1.4 says so",
    "see 12.4.2.1 and 2.10.3.1",
    "Firefox/93.0.14.203",
    "0.93.184.216.34 is no address, 93.184.216.340 neither",
    "93.184.216",
    "fe80::1 and ::1 and fd12:3456::1",
    "2001:db8::8a2e:370:7334",
    "std::vector<int>::iterator 2000::x",
    "12:30:45 and 2023:10:11 12:30:00",
    "00:1a:2b:3c:4d:5e",
    "a1b2:c3d4:e5f6",
    "ISBN 978-3-16-148410-0, ISBN 0-306-40615-2",
    "EAN 4006381333931",
    "4111 1111 1111 1112",
    "1234567890123456",
    "id 4111111111111111222233334444",
    "0.4111111111111111",
    "4111111111111111.5",
    "x4111111111111111",
    "uuid 550e8400-e29b-41d4-a716-446655440000",
    "uuid 3f2504e0-4f89-11d3-9a0c-4111111111111111",
    "1700000000000 and 1700000000000000000",
    "2023-11-14 22:13:20 5500 0000",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "DE89 3704 0044 0532 0130 01",
    "DE8937040044053201300",
    "XX89370400440532013000",
    "DE89370400440532013000AB",
    "AB12CDEF34GH56IJ78",
    "base64 RGVyIFZvZ2VsIGZsaWVndCDDvGJlciBkZW4gU2Vl",
    "price 3,141,592.65 or 4 000 000 000 000 000",
    "3.14159265358979 and 6.02214076e23",
    "RFC 2606, ISO 7812-1, 2001::/23",
    "0xDEADBEEF 0b1010 1e-9",
    "pi = 3 1415 9265 3589 7932",
    "upgrade V8 to 4.6.85.23 from 4.5.103.35",
    'specs sections "8.2.4.45 Markup"',
    "1.52-.87 2.83-2.12 3.24.35.22 2.03",
    "CJK 527D 5282 5281 5290 5293 5182",
    "5282 5281 5290 5293 5182 7F54",
    "+ 4828147466240000*t**12",
    "(r>>>0)+4294967296*(a>>>0)",
    "tracking 9400 1000 0000 0000 0000 00",
]


def split_marks(marked: str) -> tuple[str, list[str]]:
    """The text without its marks, and what was marked."""
    marked = marked.replace("<<<", "<\ue000").replace(">>>", "\ue001>").replace("<<", "\ue000").replace(">>", "\ue001")
    return re.sub("[\ue000\ue001]", "", marked), re.findall("\ue000(.*?)\ue001", marked)


CASES = [(kind, *split_marks(marked)) for kind, texts in POSITIVE.items() for marked in texts]


@pytest.mark.parametrize(("kind", "text", "wanted"), CASES, ids=[text for _, text, _ in CASES])
def test_personal_data_is_found_with_its_exact_borders(kind: PiiKind, text: str, wanted: list[str]):
    found = list(finds_of(text, ALL))
    assert [text[find.start : find.end] for find in found] == wanted
    assert {find.kind for find in found} == {kind}


@pytest.mark.parametrize("text", NEGATIVE)
def test_what_only_looks_like_personal_data_is_left_alone(text: str):
    assert [text[find.start : find.end] for find in finds_of(text, ALL)] == []


def test_there_are_sixty_cases_of_each():
    assert sum(len(wanted) for _, _, wanted in CASES) >= 60 and len(NEGATIVE) >= 60


def test_finds_are_replaced_and_counted_by_kind_and_nothing_else_changes():
    document = Document(
        text="a@b.com, c@d.org at 93.184.216.34\n", name="n", edits={"pii.email": 1, "unicode.fixed": 2}
    )
    (outcome,) = PiiStage(PiiConfig())([document])
    assert outcome.text == "[EMAIL], [EMAIL] at [IP]\n"
    assert outcome.edits == {"pii.email": 3, "pii.ip": 1, "unicode.fixed": 2}
    assert document.edits == {"pii.email": 1, "unicode.fixed": 2}
    assert PiiStage(PiiConfig())([outcome]) == [outcome]


def test_a_document_without_personal_data_comes_back_itself():
    document = Document(text="nothing here", name="n")
    assert PiiStage(PiiConfig())([document])[0] is document


@pytest.mark.parametrize("kind", ALL)
def test_each_kind_is_replaced_only_when_asked_for_and_by_its_own_placeholder(kind: PiiKind):
    text, wanted = split_marks(POSITIVE[kind][0])
    config = PiiConfig(**{"kinds": [kind], kind.value: "<gone>"})
    (outcome,) = PiiStage(config)([Document(text=text, name="n")])
    assert outcome.text == text.replace(wanted[0], "<gone>") and outcome.edits == {f"pii.{kind.value}": 1}
    others = PiiConfig(kinds=[other for other in ALL if other is not kind])
    assert PiiStage(others)([Document(text=text, name="n")])[0].text == text


def test_phones_are_replaced_only_on_request():
    assert PiiKind.phone not in PiiConfig().kinds and set(PiiConfig().kinds) == set(ALL) - {PiiKind.phone}


@pytest.mark.parametrize("text", ["", "x@y.com", "93.184.216.34"])
def test_a_placeholder_must_not_be_personal_data_itself(text: str):
    with pytest.raises(ValueError, match=r"pii\.email=.* use something like \[EMAIL\]"):
        PiiConfig(email=text)


def test_overlapping_finds_are_replaced_once():
    texts = ["4111111111111111@mail.com", "Tel 0049 4111 1111 1111 1111", "+4111111111111111 x"]
    for text in texts:
        ends = [(find.start, find.end) for find in finds_of(text, ALL)]
        assert ends == sorted(ends) and all(end <= start for (_, end), (start, _) in zip(ends, ends[1:], strict=False))


def slow_luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def test_luhn_equals_the_textbook_on_random_digits_and_notices_every_changed_digit():
    generator = random.Random(5)
    for _ in range(500):
        digits = "".join(generator.choices("0123456789", k=generator.randint(12, 19)))
        assert passes_luhn(digits) == slow_luhn(digits)
    right = "4111111111111111"
    for place in range(16):
        for digit in set("0123456789") - {right[place]}:
            assert not passes_luhn(right[:place] + digit + right[place + 1 :])


def test_iban_check_notices_every_changed_digit():
    right = "GB82WEST12345698765432"
    assert is_iban(right)
    changed = [right[:i] + c + right[i + 1 :] for i in range(2, 22) for c in "0123456789" if right[i] != c]
    assert not any(is_iban(text) for text in changed if text[4:8] == "WEST")


SLOW = {
    IBAN: re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,36}+", re.ASCII),
    CARD_START: re.compile(r"(?<![\w.-])[2-6]\d{3}[\d -]{10,19}+", re.ASCII),
}
"""The same, with what may not stand before at its place."""


def test_what_is_written_for_speed_finds_what_the_plain_expressions_find():
    generator = random.Random(0)
    texts = ["".join(generator.choices("1234567:.-abAGDE 5\n", k=generator.randrange(60))) for _ in range(10_000)]
    for _ in range(500):
        numbers, before = [generator.randrange(256) for _ in range(4)], generator.choice(["", " ", ".", "a", "7"])
        texts += [before + ".".join(map(str, numbers)), f"{before}2{numbers[0]:03x}:{numbers[1]:x}::1"]
        texts += [f"{before}DE{generator.randrange(10**20)}", f"{before}{generator.randrange(10**16)} {numbers[0]}"]
    for fast, slow in SLOW.items():
        found = [[match.span() for match in slow.finditer(text)] for text in texts]
        assert sum(map(len, found)) > 100
        assert [[match.span() for match in fast.finditer(text)] for text in texts] == found
    for address, quick in ((IPV4, MAY_HAVE_IPV4), (IPV6, MAY_HAVE_IPV6)):
        has_address = [text for text in texts if address.search(text)]
        assert len(has_address) > 100 and all(map(quick.search, has_address))


def test_every_country_s_account_numbers_are_found_in_both_forms():
    generator = random.Random(3)
    for country, length in LENGTHS.items():
        rest = "".join(generator.choices("0123456789", k=length - 4))
        check = next(f"{number:02}" for number in range(2, 99) if is_iban(f"{country}{number:02}{rest}"))
        plain = f"{country}{check}{rest}"
        grouped = " ".join(plain[place : place + 4] for place in range(0, length, 4))
        for written in (plain, grouped):
            text = f"to {written}, thanks"
            assert [text[start:end] for start, end in FINDERS[PiiKind.iban](text)] == [written]
            assert not list(FINDERS[PiiKind.iban](text.replace(written, written[:-1] + str(9 - int(written[-1])))))


def test_iban_lengths_are_those_of_the_registry_for_what_it_lists():
    known = {
        "NO": 15,
        "BE": 16,
        "NL": 18,
        "AT": 20,
        "CH": 21,
        "DE": 22,
        "ES": 24,
        "PT": 25,
        "FR": 27,
        "PL": 28,
        "MT": 31,
    }
    assert known.items() <= LENGTHS.items() and len(LENGTHS) > 80 and {len(name) for name in LENGTHS} == {2}


def test_top_level_domains_hold_no_file_name_endings_that_follow_an_at():
    assert not TOP_LEVEL & {"png", "jpg", "js", "html", "css", "txt", "json", "exe", "local", "test", "example"}


ADVERSARIAL = {
    "digits": "1" * 10**6,
    "fours": "4" * 10**6,
    "fours and spaces": "4 " * 500_000,
    "dots": "1." * 500_000,
    "at signs": "@" * 10**6,
    "a at": "a@" * 500_000,
    "one address without end": "a@" + "a." * 500_000,
    "names to the limit": ("a" * 64 + "@") * 15_000,
    "many labels": ("x@" + "y." * 8) * 50_000,
    "colons": "2001:" * 200_000,
    "iban beginnings": "DE89" * 250_000,
    "iban groups": "DE89 " * 200_000,
    "plus": "+1 " * 333_000,
    "plus digits": "+" + "9 " * 500_000,
    "brackets": "(234) " * 160_000,
    "phones": "tel 0" + "1 " * 500_000,
    "ssh": "ssh a@b.com " * 80_000,
    "versions": "1.2.3.4 " * 125_000,
    "addresses": "93.184.216.34 " * 70_000,
    "cards": "4111 1111 1111 1112 " * 50_000,
    "blanks": " " * 10**6,
    "words": "word " * 200_000,
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_a_megabyte_takes_no_longer_for_being_malicious(name: str):
    start = time.process_time()
    for _ in finds_of(ADVERSARIAL[name], ALL):
        pass
    assert time.process_time() - start < 30  # a quadratic search takes hours


@pytest.mark.parametrize("kind", ALL)
def test_time_grows_as_the_text_does(kind: PiiKind):
    for name in ("digits", "fours and spaces", "iban groups", "plus digits", "one address without end", "phones"):
        assert is_about_linear(lambda text: list(FINDERS[kind](text)), ADVERSARIAL[name]), name


def test_random_text_never_fails_and_never_leaves_what_it_found():
    generator = random.Random(11)
    stage = PiiStage(PiiConfig(kinds=ALL))
    alphabet = "019423 .:-+@/aAfDE()\n\u00fc\u4e2d\ud800"
    for _ in range(300):
        text = "".join(generator.choices(alphabet, k=200))
        (outcome,) = stage([Document(text=text, name="n")])
        assert (outcome.text == text) == (not outcome.edits)
