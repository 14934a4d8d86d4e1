"""Secrets by their form: private keys, cloud keys, tokens of known services, web tokens, passwords in addresses, assignments.

Left alone are what documentation shows (`AKIAIOSFODNN7EXAMPLE`, `your-api-key`, `user:password@host`), references to other
places (`os.environ[...]`, `${TOKEN}`), names and words: what has little variety is no secret. Each finder first looks for
a plain substring, and every repetition in its expressions is bounded or begins at a border, so no text makes it slow.
"""

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

BORDER = r"(?<![\w-])"
EXAMPLE = re.compile(
    r"example|sample|placeholder|dummy|your[-_ ]|your(?:key|token|secret|pass)|my[-_](?:key|token|secret|pass)|change_?me|"
    r"redacted|"
    r"replace|insert|fake|mock|test|x{4}|\*{3}|\.{3}|<|\[[a-z_ -]+\]|\$|\{|%|abcdef|1234567|0000|deadbeef|foobar|todo|none|null",
    re.IGNORECASE,
)
"""What is written where a secret would stand."""

JWT_EXAMPLE = "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
"""The signature that every introduction to web tokens shows."""
MIN_TOKEN_BITS = 3.2
MIN_ASSIGNED_BITS = 3.6
"""Shannon entropy, bits a character: below it a value is a word, a name or a pattern."""
MIN_KEY_CHARACTERS, MAX_KEY_CHARACTERS = 64, 20_000

TOKENS = {
    "ghp_": r"ghp_\w{36}",
    "gho_": r"gho_\w{36}",
    "ghs_": r"ghs_\w{36}",
    "ghu_": r"ghu_\w{36}",
    "github_pat_": r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
    "glpat-": r"glpat-[\w-]{20,64}",
    "xox": r"xox[abeoprs]-[A-Za-z0-9-]{20,200}",
    "sk-": r"sk-(?:proj-|svcacct-|ant-|or-)?[\w-]{20,200}",
    "sk_live_": r"[rs]k_live_[A-Za-z0-9]{20,120}",
    "rk_live_": r"rk_live_[A-Za-z0-9]{20,120}",
    "hf_": r"hf_[A-Za-z0-9]{32,40}",
    "npm_": r"npm_[A-Za-z0-9]{36}",
    "pypi-": r"pypi-AgE[\w-]{50,300}",
    "SG.": r"SG\.[\w-]{22}\.[\w-]{43}",
    "ya29.": r"ya29\.[\w-]{30,300}",
    "GOCSPX-": r"GOCSPX-[\w-]{28}",
    "dop_v1_": r"dop_v1_[0-9a-f]{64}",
    "shpat_": r"shpat_[0-9a-fA-F]{32}",
}
"""Substring that must be there, and the token's form. Google's own keys are among the cloud keys."""
CLOUD = {
    "AKIA": r"AKIA[A-Z2-7]{16}",
    "ASIA": r"ASIA[A-Z2-7]{16}",
    "AIza": r"AIza[\w-]{35}",
    "AccountKey=": r"(?<=AccountKey=)[A-Za-z0-9+/]{86}==",
    "SharedAccessKey=": r"(?<=SharedAccessKey=)[A-Za-z0-9+/]{43}=",
}
KEY_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
KEY_EXAMPLE = re.compile(r"\.\.\.|<|\[|x{8}", re.IGNORECASE)
KEY_BODY = re.compile(r"(?:[A-Za-z0-9+/=\\]|\s|Proc-Type:.{0,80}|DEK-Info:.{0,80}){64,20000}")
JWT = re.compile(BORDER + r"eyJ[\w-]{10,2000}\.eyJ[\w-]{4,8000}\.[\w-]{16,2000}")
WEBHOOK = re.compile(r"hooks\.slack\.com/(?:services|workflows)/[A-Z0-9]{8,12}/[A-Z0-9]{8,16}/([A-Za-z0-9]{20,40})")
URL_PASSWORD = re.compile(r"[a-z][a-z0-9+]{1,19}://[^\s/:@\"'<>]{1,64}:([^\s/@\"'<>]{6,128})@[\w.-]{3,253}")
PLAIN_PASSWORDS = frozenset(
    {
        "admin",
        "changeme",
        "guest",
        "hunter2",
        "letmein",
        "mypassword",
        "mysecret",
        "mysql",
        "p4ssw0rd",
        "p@ssw0rd",
        "pass1234",
        "passwd",
        "password",
        "password1",
        "password123",
        "postgres",
        "qwerty",
        "root",
        "s3cr3t",
        "secret",
        "secret123",
        "swordfish",
    }
)
ASSIGNED = re.compile(
    r"[=:]>?[ \t]{0,4}[\"']?(?=[^\s\"']{0,24}\d)([A-Za-z0-9+/_=.~!@#%^&*-]{16,200})(?=[\"'\s,;)}\]]|\Z)",
)
"""A value of 16 characters or more with a digit in its first 25, behind `=`, `:`, `=>` or `:=`."""
OWNER = re.compile(
    r"(?:api[-_]?key|access[-_]?key|secret[-_]?key|account[-_]?key|auth[-_]?key|key[-_]?id|secret|token|passw(?:or)?d|pwd|credential)"
    r"[\"'\]]{0,2}[ \t]{0,4}:?\Z",
    re.IGNORECASE,
)
OWNER_REACH = 24
"""Characters before `=` in which the name ends."""
NAME = re.compile(r"[A-Za-z_]+(?:[.\-/_][A-Za-z_]*)*\d{0,4}\Z|(?:self|os|config|settings|args|request|process)\.")
HEX_DIGEST = re.compile(r"[0-9a-f]{32}\Z|[0-9a-f]{64}\Z|[0-9a-f]{128}\Z")


@dataclass(frozen=True, slots=True)
class Form:
    """A compiled form and the substring without which it cannot be there."""

    gate: str
    pattern: re.Pattern[str]


TOKEN_FORMS = [Form(gate, re.compile(BORDER + pattern + r"(?![\w-])")) for gate, pattern in TOKENS.items()]
CLOUD_FORMS = [
    Form(gate, re.compile((pattern if pattern.startswith("(?<=") else BORDER + pattern) + r"(?![\w])"))
    for gate, pattern in CLOUD.items()
]


def find_private_keys(text: str) -> Iterator[tuple[int, int]]:
    """Whole blocks, in armour or with line ends written as `\\n`; those without an end as far as they look like a key."""
    if "PRIVATE KEY" not in text:
        return
    end = 0
    for begin in KEY_BEGIN.finditer(text):
        if begin.start() < end:
            continue
        closing = KEY_END.search(text, begin.end(), begin.end() + MAX_KEY_CHARACTERS)
        body = KEY_BODY.match(text, begin.end())
        if closing:
            inner = text[begin.end() : closing.start()]
            if len(inner.strip()) >= MIN_KEY_CHARACTERS and not KEY_EXAMPLE.search(inner):
                end = closing.end()
                yield begin.start(), end
        elif body:
            end = begin.end() + len(body.group().rstrip())
            yield begin.start(), end


def find_tokens(text: str) -> Iterator[tuple[int, int]]:
    """Tokens of services that can be told by their beginning, and Slack's webhooks."""
    for form in TOKEN_FORMS:
        if form.gate in text:
            for found in form.pattern.finditer(text):
                payload = found.group()[len(form.gate) :]
                if is_random(payload, MIN_TOKEN_BITS) and any(c.isupper() or c.isdigit() for c in payload):
                    yield found.span()
    if "hooks.slack.com/" in text:
        for found in WEBHOOK.finditer(text):
            if is_random(found.group(1), MIN_TOKEN_BITS):
                yield found.span()


def find_cloud_keys(text: str) -> Iterator[tuple[int, int]]:
    """Keys of Amazon, Google and Azure."""
    for form in CLOUD_FORMS:
        if form.gate in text:
            for found in form.pattern.finditer(text):
                if is_random(found.group()[4:], 2.6):
                    yield found.span()


def find_web_tokens(text: str) -> Iterator[tuple[int, int]]:
    """JSON web tokens (RFC 7519) whose header names an algorithm."""
    if ".eyJ" not in text:
        return
    for found in JWT.finditer(text):
        header, _, signature = found.group().split(".")
        if signature != JWT_EXAMPLE and "alg" in _decoded(header) and not EXAMPLE.search(signature):
            yield found.span()


def find_url_passwords(text: str) -> Iterator[tuple[int, int]]:
    """The password alone of `scheme://user:password@host`."""
    if "://" not in text or "@" not in text:
        return
    for found in URL_PASSWORD.finditer(text):
        password = found.group(1)
        if password.lower() not in PLAIN_PASSWORDS and not EXAMPLE.search(password) and not password.isalpha():
            yield found.span(1)


def find_assigned(text: str) -> Iterator[tuple[int, int]]:
    """Values of much variety that are given to a name such as `api_key` or `client_secret`."""
    for found in ASSIGNED.finditer(text):
        if not OWNER.search(text, max(0, found.start() - OWNER_REACH), found.start()):
            continue
        value = found.group(1)
        has_both = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
        if has_both and not NAME.match(value) and not HEX_DIGEST.match(value) and is_random(value, MIN_ASSIGNED_BITS):
            yield found.span(1)


def is_random(value: str, least_bits: float) -> bool:
    """Whether a value has the variety of a secret and shows none of the signs of an example."""
    counts = Counter(value).values()
    bits = -sum(count / len(value) * math.log2(count / len(value)) for count in counts) if value else 0.0
    return bits >= least_bits and not EXAMPLE.search(value)


def _decoded(header: str) -> dict:
    """A web token's header; empty where it is none."""
    try:
        value = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
