"""What of a run's own words may stand in a public model card: no paths of a machine, no addresses' secrets, no keys."""

import re

from mai1.report.corpus_card_text import Safe, markdown

REMOVED = "[removed]"
URL = re.compile(r"\b([a-z][a-z0-9+.-]*)://([^\s/@]*@)?([^\s?#]*)[^\s]*", re.IGNORECASE)
PATH = re.compile(r"(?<![\w:/.])(?:~[\w.-]*|[A-Za-z]:)?(?:[\\/][^\\/\s,;:'\"()]+)*[\\/]([^\\/\s,;:'\"()]*)")
MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
KEY = re.compile(
    r"\b(?:hf|ghp|gho|ghs|github_pat|glpat|sk|pk|xox[abp]|AKIA|ASIA|AIza|wandb)[-_]?[A-Za-z0-9_-]{12,}"
    r"|(?<![\w-])(?=[\w+-]*\d)[A-Za-z0-9+_-]{32,}={0,2}",
)
"""Tokens of well-known services by how they begin, and any long run that is no word."""


def public(value: object) -> Safe:
    """`value` as Markdown, for everyone: an absolute path as its last part, an address without user, query and keys."""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    kept: list[str] = []

    def keep(found: re.Match) -> str:
        scheme, _, rest = found.groups()
        kept.append("file" if scheme.lower() == "file" else f"{scheme}://{rest}")
        return f"\0{len(kept) - 1}\0"

    text = URL.sub(keep, text.replace("\0", " "))
    text = MAIL.sub(REMOVED, PATH.sub(lambda found: found[1] or REMOVED, text))
    text = re.sub("\0(\\d+)\0", lambda found: kept[int(found[1])], text)
    return markdown(KEY.sub(REMOVED, text))
