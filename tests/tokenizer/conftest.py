import random
import sysconfig
from pathlib import Path

import pytest

from mai1.tokenizer.tokenizer import Tokenizer
from mai1.tokenizer.training import TokenizerConfig, TokenizerKind, train_tokenizer
from mai1.tokenizer.words import Digits

NASTY = [
    "",
    " ",
    "\n",
    "a  b",
    "  leading and trailing  ",
    "trailing newline\n",
    "\u2581",
    "a\u2581b \u2581\u2581 c",
    "\u2585 block",
    "nul\x00inside\x00",
    "lone\rcarriage",
    "windows\r\nlines\r\n",
    "\ttabs\t\there",
    "emoji \U0001f642\U0001f468\u200d\U0001f469\u200d\U0001f467 done",
    "combining e\u0301 a\u030a \u0e01\u0e33",
    "\ufb01 \u00c5 \u2460 \u3000 \u00a0 \ufeff",
    "\ufffd\uffff\U0010ffff",
    "<|endoftext|><|user|>hi<|end|><unk><s></s>[MASK]",
    "<0x41><0x0A>",
    "=" * 77 + "\n" + "-" * 78 + "\n" + "#" * 3,
    "a" * 5001,
    " " * 333 + "x" + "\n" * 41,
    "x" + "\u0301" * 200,
    "def f(x):\n        return x\n\n\n    # done\n",
]


@pytest.fixture(scope="session")
def real_texts() -> list[str]:
    """About 3 MB of standard library sources, every file whole."""
    library = Path(sysconfig.get_path("stdlib"))
    names = sorted(library.glob("*.py")) + sorted((library / "email").glob("*.py"))
    texts = [path.read_text(encoding="utf-8") for path in names]
    return texts[::2]


@pytest.fixture(scope="session")
def bpe(real_texts: list[str]) -> Tokenizer:
    return train_tokenizer(iter(real_texts), TokenizerConfig(vocab_size=2000))


@pytest.fixture(scope="session")
def char(real_texts: list[str]) -> Tokenizer:
    return train_tokenizer(iter(real_texts[:40]), TokenizerConfig(kind=TokenizerKind.char, vocab_size=1000))


@pytest.fixture(scope="session")
def byte_bpe(real_texts: list[str]) -> Tokenizer:
    return train_tokenizer(iter(real_texts), TokenizerConfig(kind=TokenizerKind.byte_bpe, vocab_size=2000))


@pytest.fixture(scope="session")
def single_digits(real_texts: list[str]) -> Tokenizer:
    config = TokenizerConfig(kind=TokenizerKind.byte_bpe, vocab_size=700, digits=Digits.single)
    return train_tokenizer(iter(real_texts[:60]), config)


@pytest.fixture(scope="session", params=["bpe", "char", "byte_bpe", "single_digits"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def random_texts() -> list[str]:
    """Seeded random Unicode: any code point but surrogates, and runs of what tokenizers stumble over."""
    generator = random.Random(7)
    texts = ["".join(map(chr, (_code_point(generator) for _ in range(generator.randrange(60))))) for _ in range(300)]
    atoms = [*"=-_#*.ab\"' \n\t\r\u2581\x00\u00e9", "  ", "self", "return", "\r\n", "\U0001f642", "<|user|>", "<0x0A>"]
    for _ in range(1500):
        runs = (generator.choice(atoms) * generator.choice([1, 1, 2, 3, 5, 7, 16, 40]) for _ in range(8))
        texts.append("".join(runs))
    return texts


@pytest.fixture(scope="session")
def nasty_texts() -> list[str]:
    return NASTY


def _code_point(generator: random.Random) -> int:
    limit = generator.choice([0x80, 0x800, 0x3100, 0x10000, 0x110000])
    point = generator.randrange(limit)
    return point if not 0xD800 <= point < 0xE000 else 0x20
