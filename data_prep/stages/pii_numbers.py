"""Numbers that belong to a person: bank accounts and payment cards, which carry a checksum, and phones, which do not.

- IBAN: upper case, in one run or in groups of four, with its country's length, and right modulo 97 (ISO 13616).
- Card: 14 to 19 digits in one run or grouped as printed, with an issuer's prefix and length, and right by Luhn. Of random
  16-digit numbers that begin as a card does, one in ten passes: no form tells those apart.
- Phone: `+` and 8 to 15 digits; North American numbers as printed; digits from 0 on behind `tel`, `phone`, `fax`, `mobile`.
"""

import re
from collections.abc import Iterator

IBAN = re.compile(r"[A-Z](?<![A-Za-z0-9].)[A-Z]\d{2}(?: ?[A-Z0-9]){11,36}+", re.ASCII)
"""No letter or digit before it; asked behind the first letter, for `re` skips fast to what an expression begins with."""

COUNTRIES_BY_LENGTH = """
15 NO
16 BE
18 DK FO FI FK GL NL SD
19 MK SI
20 AT BA EE KZ LT LU MN XK
21 CH CR HR LI LV
22 BG BH DE GB GE IE ME RS VA
23 AE GI IL IQ OM SO TL
24 AD CZ DZ ES MD PK RO SA SE SK TN VG
25 AO CV LY MZ PT ST
26 IS TR
27 BF CI DJ FR GR IT MC MG MR SM
28 AL AZ BI BJ BY CM CY DO GT HU LB NI PL SN SV
29 BR EG PS QA UA
30 JO KW MU YE
31 MT SC
32 LC
33 RU
"""
LENGTHS = {
    country: int(length)
    for length, *countries in map(str.split, COUNTRIES_BY_LENGTH.split("\n")[1:-1])
    for country in countries
}
"""Characters of an IBAN by country, from the IBAN registry (SWIFT) and the lists of countries that use it unregistered."""

CARD_START = re.compile(r"[2-6](?<![\w.-].)\d{3}[\d -]{10,19}+", re.ASCII)
"""No digit, letter, dot or hyphen before it."""
CARD_FORMS = (
    re.compile(r"\d{14,19}(?!\w|[.*-]\w)", re.ASCII),
    re.compile(r"(?<![\dA-Fa-f]{4} )\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?(?![\w-]|\.\w| [\dA-Fa-f]{4})", re.ASCII),
    re.compile(r"(?<![\dA-Fa-f]{4} )\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?![\w-]|\.\w| [\dA-Fa-f]{4})", re.ASCII),
    re.compile(r"\d{4}([ -])\d{6}\1\d{4,5}(?![\w-]|\.\w| \d{4})", re.ASCII),
)
"""In one run; in fours, with three more or without; as 4-6-5 and 4-6-4 (American Express, Diners Club)."""
ISSUER = re.compile(
    r"4(?:\d{15}|\d{18})|(?:5[1-5]|2[3-6])\d{14}|22(?:2[1-9]|[3-9]\d)\d{12}|27(?:[01]\d|20)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|6(?:011|4[4-9]\d|5\d\d)\d{12}|62\d{14,17}",
    re.ASCII,
)
"""Visa, Mastercard, American Express, Diners Club, JCB, Discover, UnionPay: prefix and length."""

INTERNATIONAL = re.compile(r"\+[1-9]\d{0,2}(?:[ .()/-]{0,2}\d){7,13}+(?![\w+])", re.ASCII)
NORTH_AMERICAN = re.compile(r"[2-9]\d{2}(?:\) ?|[-.])[2-9]\d{2}[-.]\d{4}(?![\w-]|\.\d)", re.ASCII)
NATIONAL = re.compile(r"(?<![\w.])\(?0\d(?:[ .()/-]{0,2}\d){5,12}+(?!\w)", re.ASCII)
PHONE_BEFORE = re.compile(r"\b(?:tel|phone|fax|mobile|telefon|telephone)[.:]{0,2} {0,2}\Z", re.ASCII | re.IGNORECASE)


def find_ibans(text: str) -> Iterator[tuple[int, int]]:
    """Where bank account numbers stand that pass their check."""
    for found in IBAN.finditer(text):
        size = spaced_size(found.group(), LENGTHS.get(found.group()[:2], 0))
        end = found.start() + size
        if size and not text[end : end + 1].isalnum() and is_iban(found.group()[:size].replace(" ", "")):
            yield found.start(), end


def spaced_size(candidate: str, length: int) -> int:
    """Characters that hold the first `length` letters and digits, in one run or in groups of four; 0 in neither."""
    if " " not in candidate[:length]:
        return length if len(candidate) >= length else 0
    grouped = candidate[: length + (length - 1) // 4]
    fits = all((character == " ") == (place % 5 == 4) for place, character in enumerate(grouped))
    return len(grouped) if fits and len(grouped) == length + (length - 1) // 4 else 0


def is_iban(digits: str) -> bool:
    """ISO 7064 MOD 97-10: country and check digits behind the rest, letters as 10 to 35, leave 1."""
    return int("".join(str(int(character, 36)) for character in digits[4:] + digits[:4])) % 97 == 1


def find_cards(text: str) -> Iterator[tuple[int, int]]:
    """Where numbers of payment cards stand that pass their check."""
    for found in CARD_START.finditer(text):
        cards = (form.match(text, found.start()) for form in CARD_FORMS)
        span = next((card.span() for card in cards if card and is_card(card.group())), None)
        if span:
            yield span


def is_card(written: str) -> bool:
    """Whether an issuer gives out numbers like this one."""
    digits = written.replace(" ", "").replace("-", "")
    return bool(ISSUER.fullmatch(digits)) and passes_luhn(digits)


def passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: every second digit from the right doubled, the sum of all digits divides by 10."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0


def find_phones(text: str) -> Iterator[tuple[int, int]]:
    """Where phone numbers stand."""
    for found in INTERNATIONAL.finditer(text):
        if not _is_inside(text, found.start()):
            yield found.span()
    for found in NORTH_AMERICAN.finditer(text):
        start = found.start() - (text[found.start() - 1 : found.start()] == "(")
        start -= len("1-") if text[max(0, start - 2) : start] in ("1-", "1.", "1 ") else 0
        if not _is_inside(text, start) and text[start - 1 : start] != "+":
            yield start, found.end()
    for found in NATIONAL.finditer(text):
        if PHONE_BEFORE.search(text, max(0, found.start() - 20), found.start()):
            yield found.span()


def _is_inside(text: str, start: int) -> bool:
    """Whether a number, word or path goes on before this place."""
    before = text[max(0, start - 1) : start]
    return bool(before) and (before.isalnum() or before in "_.-/+)]")
