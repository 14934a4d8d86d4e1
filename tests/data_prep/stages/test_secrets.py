"""Secrets: what is found, what is left alone, and that no text makes it slow. Those shown are made up here, from parts."""

import base64
import gzip
import json
import random
import string
from pathlib import Path

import pytest

from data_prep.document import Document
from data_prep.stages.secrets import FINDERS, SecretKind, SecretsConfig, SecretsStage, secrets_of
from tests.support.growth import is_about_linear

ALL = list(SecretKind)
RANDOM = random.Random(7)
LETTERS = string.ascii_letters + string.digits
PRETRAIN = Path(__file__).parents[4] / "shared" / "data" / "pretrain"


def made(length: int, letters: str = LETTERS) -> str:
    """Random text with a digit early on."""
    return "a7" + "".join(RANDOM.choice(letters) for _ in range(length - 2))


def upper(length: int) -> str:
    return "".join(RANDOM.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(length))


def web_token(header: dict) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, {"sub": "ann"})
    ]
    return ".".join([*parts, made(43)])


KEY = "\n".join(made(64) for _ in range(12))
BLOCK = "-----BEGIN {0}PRIVATE KEY-----\n" + KEY + "\n-----END {0}PRIVATE KEY-----"
SLACK = "xox" + "b-" + "123409876543-" + made(24)

POSITIVE = {  # the secret stands between double angle brackets
    SecretKind.private_key: [
        f"key = '''<<{BLOCK.format('RSA ')}>>'''",
        f"<<{BLOCK.format('')}>> and more",
        f"<<{BLOCK.format('OPENSSH ')}>>",
        '{"private_key": "<<' + BLOCK.format("").replace("\n", "\\n") + '>>\\n", "type": "service_account"}',
        f"cut off:\n<<-----BEGIN EC PRIVATE KEY-----\n{KEY}>>",
    ],
    SecretKind.cloud_key: [
        f"aws_id: <<AKIA{upper(16)}>>",
        f"<<ASIA{upper(16)}>>, temporary",
        f"maps?key=<<AIza{made(35)}>>&x=1",
        f"DefaultEndpointsProtocol=https;AccountKey=<<{made(86)}==>>;EndpointSuffix=core",
    ],
    SecretKind.token: [
        f"git clone https://<<ghp_{made(36)}>>@github.com/x/y",
        f"<<github_pat_{made(22)}_{made(59)}>>",
        f"PRIVATE-TOKEN: <<glpat-{made(20)}>>",
        f"<<{SLACK}>> posts",
        f"openai: <<sk-proj-{made(48)}>>",
        f"<<sk-{made(48)}>>",
        f"login(<<hf_{made(34)}>>)",
        f"//registry/:_auth <<npm_{made(36)}>>",
        f"<<pypi-AgEIcHlwaS5vcmc{made(80)}>>",
        f"post to https://<<hooks.slack.com/services/T{upper(9)}/B{upper(9)}/{made(24)}>>",
    ],
    SecretKind.web_token: [f"Authorization: Bearer <<{web_token({'alg': 'HS256', 'typ': 'JWT'})}>>"],
    SecretKind.url_password: [
        "db: postgresql://app:<<Xk29dkQpl3>>@db.firm.net:5432/main",
        "redis://u:<<9f-Qz!77ab>>@10.0.0.3",
    ],
    SecretKind.assigned: [
        f'api_key = "<<{made(32)}>>"',
        f"client_secret: <<{made(40)}>>",
        f"export SERVICE_TOKEN=<<{made(30)}>>",
        f"'password': '<<{made(20)}>>',",
        f"secretAccessKey => '<<{made(40)}>>'",
    ],
}
NEGATIVE = [
    "AKIAIOSFODNN7EXAMPLE",
    'api_key = "your-api-key-goes-here-123"',
    "token = os.environ['SERVICE_TOKEN_2']",
    "password: ${DB_PASSWORD_1}",
    "api_key = <your key 1234567890123>",
    "secret = settings.client_secret_2_value",
    "ghp_" + "x" * 36,
    "sk-this-is-only-a-placeholder-name",
    "postgresql://user:password@localhost/db",
    "ftp://ann:secret@host.net",
    "https://example.com/a:b@c",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
    "-----BEGIN PUBLIC KEY-----\n" + KEY + "\n-----END PUBLIC KEY-----",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    "sha256 key: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "token = tokenizer.encode_batch_fast_2(texts)",
    "key = 'conv2d_block_3_weights'",
    "primary_key=True, foreign_key='users.id'",
    "the password is the secret of the key",
    "passwords: aaaaaaaaaaaaaaaa1111",
    "hf_model_name_with_many_words_in_it",
    "task-sk-1234",
    "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
]


@pytest.mark.parametrize(("kind", "marked"), [(kind, text) for kind, texts in POSITIVE.items() for text in texts])
def test_a_secret_is_found_whole_and_alone(kind: SecretKind, marked: str):
    text = marked.replace("<<", "").replace(">>", "")
    start = marked.index("<<")
    end = marked.index(">>") - 2
    assert [(s.start, s.end) for s in secrets_of(text, ALL)] == [(start, end)]
    assert (start, end) in list(FINDERS[kind](text))


@pytest.mark.parametrize("text", NEGATIVE)
def test_examples_names_and_references_are_left_alone(text: str):
    assert list(secrets_of(text, ALL)) == []


def test_the_stage_replaces_counts_and_leaves_the_rest():
    token = f"ghp_{made(36)}"
    text = f"first {token} then {token}\nand AKIA{upper(16)}."
    (changed,) = SecretsStage(SecretsConfig())([Document(text, "a", edits={"repair.x": 1})])
    assert changed.text == "first [SECRET] then [SECRET]\nand [SECRET]."
    assert changed.edits == {"repair.x": 1, "secrets.token": 2, "secrets.cloud_key": 1}
    plain = Document("nothing here", "b")
    assert SecretsStage(SecretsConfig())([plain])[0] is plain


def test_kinds_and_placeholder_have_an_effect():
    text = f"ghp_{made(36)} AKIA{upper(16)}"
    (only,) = SecretsStage(SecretsConfig(kinds=[SecretKind.cloud_key], placeholder="[GONE]"))([Document(text, "a")])
    assert only.text.startswith("ghp_") and only.text.endswith("[GONE]")
    (none,) = SecretsStage(SecretsConfig(kinds=[]))([Document(text, "a")])
    assert none.text == text


@pytest.mark.parametrize("placeholder", ["", f"AKIA{upper(16)}"])
def test_a_placeholder_is_no_secret(placeholder: str):
    with pytest.raises(ValueError, match=r"secrets\.placeholder=.* use \[SECRET\]"):
        SecretsConfig(placeholder=placeholder)


def test_what_was_replaced_is_not_found_again():
    text = "\n".join(marked.replace("<<", "").replace(">>", "") for texts in POSITIVE.values() for marked in texts[:2])
    (once,) = SecretsStage(SecretsConfig())([Document(text, "a")])
    assert list(secrets_of(once.text, ALL)) == []


@pytest.mark.parametrize(
    "piece",
    [
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\n" + "A" * 60,
        "eyJ", "eyJhbGciOiJI.eyJ", ".eyJ", "https://a:", "https://a:b", "://a:bcdefgh@",
        "key=", "token: ", "password=a1", "ghp_", "sk-",
        "xoxb-", "SG.", "AKIA", "AccountKey=", "pypi-AgE", "=" , "secret", "a1b2c3d4",
    ],
)  # fmt: skip
def test_time_grows_as_the_text_does(piece: str):
    assert is_about_linear(lambda text: list(secrets_of(text, ALL)), piece * (200_000 // len(piece)))


@pytest.mark.skipif(not PRETRAIN.is_dir(), reason="needs the pretraining files")
def test_nothing_is_found_in_books_pages_and_the_standard_library():
    library = Path(json.__file__).parents[1]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(library.glob("*.py"))]
    texts += [path.read_text(encoding="utf-8") for path in PRETRAIN.iterdir() if path.suffix in (".txt", ".jsonl")]
    with gzip.open(next(PRETRAIN.glob("*.gz")), "rt", encoding="utf-8") as file:
        texts.append(file.read(5_000_000))
    assert sum(map(len, texts)) > 12_000_000
    assert [text[s.start : s.end] for text in texts for s in secrets_of(text, ALL)] == []
