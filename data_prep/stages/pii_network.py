"""Public IPv4 and IPv6 addresses.

Left alone: private, local, multicast and documentation ranges, and whatever goes on at either side: `v1.2.3.4`,
`lib-1.2.3.4`, `1.2.3.4-rc1`, `1.2.3.4.5`. Behind `/`, `==`, `version`, `section`, `upgrade to` and the like four numbers are
a version (`Firefox/3.6.28.1`). So are, anywhere, four numbers of which three are below 32, unless a port, a prefix length
or a word such as `server` or `address` stands beside them: of all IPv4 addresses 0.7% look like that, of versions most.
"""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address, IPv6Network

OCTET = r"(?:25[0-5]|2[0-4]\d|1\d{2}|[1-9]?\d)"
IPV4 = re.compile(rf"(?<![\w.-]){OCTET}\.{OCTET}\.{OCTET}\.{OCTET}(?![\w-]|[.+]\w)", re.ASCII)
IPV6 = re.compile(r"(?<![\w:.])[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{3,34}+(?!\w)", re.ASCII)
MAY_HAVE_IPV4 = re.compile(r"\.\d{1,3}\.\d{1,3}\.\d", re.ASCII)
MAY_HAVE_IPV6 = re.compile(r":[0-9A-Fa-f:]{3}")
"""What every address has in it. Beginning with a letter of its own, it is looked for twenty times as fast."""

SMALL = 32
VERSION_BEFORE = re.compile(
    r"(?:\w/|[=~^<>]=? ?|\b(?:versions?|release|ver|v|rev|sections?|chapter)\b[^\n]{0,12}"
    r"|\b(?:upgrade|update|downgrade|bump|roll)[a-z]*\b[^\n]{0,50})\Z",
    re.ASCII | re.IGNORECASE,
)
ADDRESS_BEFORE = re.compile(
    r"\b(?:ip|ipv4|addr|address|host|server|nameserver|dns|ping|gateway)\b[^\n]{0,12}\Z", re.ASCII | re.IGNORECASE
)
PORT_OR_PREFIX = re.compile(r":\d{2,5}\b|/\d{1,2}\b", re.ASCII)
NOT_PERSONAL = tuple(IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "3fff::/20"))
"""Protocol assignments (RFC 2928) and documentation (RFC 3849, RFC 9637) within the public range 2000::/3."""


def find_ips(text: str) -> Iterator[tuple[int, int]]:
    """Where public IP addresses stand, IPv4 and then IPv6."""
    for found in IPV4.finditer(text) if MAY_HAVE_IPV4.search(text) else ():
        if not is_version(text, *found.span()) and is_public_v4(found.group()):
            yield found.span()
    for found in IPV6.finditer(text) if MAY_HAVE_IPV6.search(text) else ():
        written = found.group()
        written = written if written.endswith("::") else written.rstrip(":")
        if is_public_v6(written):
            yield found.start(), found.start() + len(written)


def is_public_v4(written: str) -> bool:
    """Whether anybody's machine may have the address."""
    address = IPv4Address(written)
    return address.is_global and not address.is_multicast


def is_public_v6(written: str) -> bool:
    """Whether this is an address at all, and anybody's machine may have it."""
    try:
        address = IPv6Address(written)
    except AddressValueError:
        return False
    return not any(address in network for network in NOT_PERSONAL)


def is_version(text: str, start: int, end: int) -> bool:
    """Whether four numbers are a version or section, by what stands beside them and by their size."""
    before = text[max(0, start - 64) : start]
    if ADDRESS_BEFORE.search(before) or PORT_OR_PREFIX.match(text, end):
        return False
    return sum(int(part) < SMALL for part in text[start:end].split(".")) >= 3 or bool(VERSION_BEFORE.search(before))
