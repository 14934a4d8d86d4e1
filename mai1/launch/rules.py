"""Rules that values keep so that no file, shell or scheduler takes them apart; and how a secret is recognised."""

import re

NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
"""A Kubernetes service name (RFC 1035), short enough that `NAME-node-0-12345` and a suffix fit into 63 characters."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
NODE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
WORD = re.compile(r"[A-Za-z0-9_.,:/@%+*=|&()\[\]-]{1,200}")
"""A value of a scheduler's option: nothing that a shell, YAML or an #SBATCH line ends a word at."""
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,251}[A-Za-z0-9])?")
PLACE = re.compile(r"/?[A-Za-z0-9_.,:@+=-]+(/[A-Za-z0-9_.,:@+=-]+)*")
URL = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9_.:/@%+=-]{1,500}")
SECRET_NAME = re.compile(r"(^|_|\.)(api_?key|key|token|secret|password|passwd|credentials?)($|_|=)", re.IGNORECASE)
SECRET_VALUE = re.compile(
    r"\b(hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|AKIA[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{30,}|xox[abp]-\S{10,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
PATH_RULE = "a path of letters, digits and _.,:@+=-"


def require(pattern: re.Pattern, key: str, value: str, rule: str, *, is_required: bool = False) -> None:
    """ValueError unless the whole value is of the pattern; empty is well where nothing is required."""
    if (value or is_required) and not pattern.fullmatch(str(value)):
        raise ValueError(f"{key}={value!r} must be {rule}")


def at_least(key: str, value: int, least: int) -> None:
    """ValueError where a number is too small."""
    if value < least:
        raise ValueError(f"{key}={value} must be at least {least}")


def refuse_secret(key: str, word: str) -> None:
    """ValueError, without the value, where a word that will stand in a file looks like a key or a password."""
    name, _, value = word.partition("=")
    if (value and SECRET_NAME.search(name)) or SECRET_VALUE.search(word):
        raise ValueError(
            f"{key} looks like a secret ({name.split('.')[-1][:40] if value else 'by its form'}), and the submitted file "
            "would hold it: pass its name alone, in environment (Slurm) or k8s.secrets (Kubernetes)"
        )
