"""Lists of words or names that a person gives as files."""

from pathlib import Path


def read_word_list(path: str, *, key: str) -> list[str]:
    """The lines of a UTF-8 file in lower case, without blank ones and those that begin with `#`; ValueError names the key."""
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{key}={path} must be a UTF-8 text file, one entry a line: {error}") from None
    lines = (line.strip().lower() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
