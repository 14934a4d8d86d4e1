"""E-mail addresses: a name, `@`, and a domain that ends in a country's or a common top-level domain.

Left alone: example domains (RFC 2606); `git@...`; targets of ssh, scp and rsync (`ssh user@host.org`, `user@host.org:src/`);
user names in URLs; calls and indices (`a@b.to(...)`, matrix products); decorators (`@app.get`); file names (`icon@2x.png`);
package versions (`left@1.2.3`). Rare top-level domains are not known: they are found only as `<name@rare.domain>`.
"""

import re
from collections.abc import Iterator

LETTERS = r"A-Za-z0-9\u00c0-\u024f\u0370-\u052f"
"""Latin, Greek and Cyrillic; in other scripts text may touch an address without a space between."""
LOCAL = re.compile(rf"[{LETTERS}._%+'-]+\Z")
MAX_LOCAL = 64
"""Characters of a mailbox name, RFC 5321, section 4.5.3.1.1."""
DOMAIN = re.compile(
    rf"(?:[{LETTERS}](?:[{LETTERS}_-]{{0,61}}[{LETTERS}])?\.){{1,8}}(?:xn--[a-z0-9-]{{2,59}}|[A-Za-z]{{2,18}}(?=E<)|[A-Za-z]{{2,18}})"
)
"""In Perl's documentation an address may end in `E<gt>`."""
SSH_PATH = re.compile(r":(?:[~/.]|[\w.-]{1,64}/|[\w.-]{1,64}\.git\b)")
SSH_COMMAND = re.compile(r"\b(?:ssh|scp|sftp|rsync|mosh|ssh-copy-id)\b[^\n|;&]*\Z")
URL_USER = re.compile(r"://[^\s/@<>\"']*\Z")
EXAMPLE = re.compile(r"(?:^|\.)(?:example\.(?:com|net|org|edu)|example|test|invalid|localhost)\Z", re.IGNORECASE)

COUNTRIES = """
ac ad ae af ag ai al am ao ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bv bw by bz ca cc cd cf cg ch
ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl
gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz
la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no
np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss
st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm
zw
"""
GENERIC = """
com net org edu gov mil int info biz name pro aero asia cat coop jobs mobi museum post tel travel xxx academy agency app
bank berlin blog business capital care center church city cloud club company consulting design dev digital email energy
engineering events expert finance fund global group hamburg health help host hotel house institute international koeln land
law legal life live london ltd management market media network news nyc online page paris partners photography press school
science scot services shop site social software solutions space store studio support swiss systems team tech technology
today tokyo tools university wien work works world xyz zone
"""
TOP_LEVEL = frozenset((COUNTRIES + GENERIC).split())


def find_emails(text: str) -> Iterator[tuple[int, int]]:
    """Where e-mail addresses stand. Each `@` is looked at by itself with bounded reach, so no text makes this slow."""
    at = text.find("@")
    while at >= 0:
        domain = DOMAIN.match(text, at + 1)
        start = local_start(text, at) if domain else at
        end = domain_end(text, domain, is_framed=text[start - 1 : start] == "<") if start < at else 0
        if end and not is_login(text, start, at, end):
            yield start, end
        at = text.find("@", at + 1)


def local_start(text: str, at: int) -> int:
    """Where the mailbox name before the `@` begins; `at` when there is none."""
    found = LOCAL.search(text, max(0, at - MAX_LOCAL - 1), at)
    if not found or len(found.group()) > MAX_LOCAL or text[at - 1] in ".'":
        return at
    return at - len(found.group().lstrip(".'-%+"))


def domain_end(text: str, found: re.Match, *, is_framed: bool) -> int:
    """Where the domain ends that has a known last part, or any if `<` and `>` stand around the address; 0: nowhere."""
    domain = found.group()
    first, _, last = domain.rpartition(".")
    if last.lower() not in TOP_LEVEL and last[0].isupper() and "." in first:  # a sentence that begins behind the dot
        domain, last = first, first.rpartition(".")[2]
    end = found.start() + len(domain)
    following = text[end : end + 1]
    is_known = last.lower() in TOP_LEVEL or last.startswith("xn--") or (is_framed and following == ">")
    goes_on = following in ("(", "[", "@", "_") or following.isdigit()
    return end if is_known and not goes_on and not EXAMPLE.search(domain) else 0


def is_login(text: str, start: int, at: int, end: int) -> bool:
    """Whether text[start:end] is a user name on a machine and not a mailbox."""
    nearest = max(0, start - 100)
    line = text[max(nearest, text.rfind("\n", nearest, start) + 1) : start]
    is_target = bool(SSH_PATH.match(text, end) or SSH_COMMAND.search(line))
    return text[start:at] == "git" or is_target or bool(URL_USER.search(line))
