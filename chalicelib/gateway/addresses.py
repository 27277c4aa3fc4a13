"""Which servers a tenant's URL may name (P9): public http and https servers only.

Otherwise a tenant could send requests to what only the dialer can reach: its own machine, its private network, or the
link-local address at which a cloud hands out credentials. This module has the rules, and resolves no names.
`chalicelib.gateway.http.lookup` checks the addresses of a name, after the lookup and at the socket.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import quote

#: This machine itself. Only `allow_loopback` allows it.
LOOPBACK = tuple(ip_network(network) for network in ("127.0.0.0/8", "::1/128"))

#: Addresses that are never dialled. These are all ranges of the IANA special-purpose registries (RFC 6890, RFC 8190),
#: even those that are partly routed, because none has web servers. And these are the ranges that the IANA address space
#: registries reserve for multicast and for the future.
#:
#: An IPv6 address that contains an IPv4 address is refused, whatever that is. No public server has such an address. No
#: function needs one to reach the IPv4 Internet through a translator (NAT64), because Lambda always has IPv4.
REFUSED = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network, and the unspecified address: RFC 791, section 3.2
        "10.0.0.0/8",  # private use: RFC 1918
        "100.64.0.0/10",  # shared between carrier and customer (CGNAT): RFC 6598
        "168.63.129.16/32",  # the platform's own server inside Azure networks, by its documentation
        "169.254.0.0/16",  # link-local: RFC 3927; 169.254.169.254 and 169.254.170.2 hand out cloud credentials
        "172.16.0.0/12",  # private use: RFC 1918
        "192.0.0.0/24",  # IETF protocol assignments: RFC 6890, section 2.1
        "192.0.2.0/24",  # documentation (TEST-NET-1): RFC 5737
        "192.31.196.0/24",  # AS112-v4: RFC 7535
        "192.52.193.0/24",  # automatic multicast tunneling: RFC 7450
        "192.88.99.0/24",  # 6to4 relays, deprecated: RFC 7526
        "192.168.0.0/16",  # private use: RFC 1918
        "192.175.48.0/24",  # direct delegation AS112 service: RFC 7534
        "198.18.0.0/15",  # benchmarking: RFC 2544
        "198.51.100.0/24",  # documentation (TEST-NET-2): RFC 5737
        "203.0.113.0/24",  # documentation (TEST-NET-3): RFC 5737
        "224.0.0.0/4",  # multicast: RFC 5771
        "240.0.0.0/4",  # reserved: RFC 1112, section 4; its last address is the limited broadcast: RFC 919
        # Reserved by the IETF: RFC 4291. It holds the unspecified address (::, section 2.5.2), IPv4-compatible
        # (::/96, section 2.5.5.1) and IPv4-mapped addresses (::ffff:0:0/96, section 2.5.5.2), and both prefixes of
        # IPv4/IPv6 translators (64:ff9b::/96, RFC 6052, and 64:ff9b:1::/48, RFC 8215).
        "::/8",
        # Reserved: RFC 4291. It holds discard-only (100::/64, RFC 6666) and dummy addresses (100:0:0:1::/64, RFC 9780).
        "100::/8",
        "200::/7",  # reserved: RFC 4048
        "400::/6",  # reserved: RFC 4291
        "800::/5",  # reserved: RFC 4291
        "1000::/4",  # reserved: RFC 4291
        # IETF protocol assignments: RFC 2928. They hold Teredo (2001::/32, RFC 4380), benchmarking (2001:2::/48,
        # RFC 5180), AMT (2001:3::/32, RFC 7450), ORCHID (2001:10::/28, RFC 4843), ORCHIDv2 (2001:20::/28, RFC 7343)
        # and drone remote ids (2001:30::/28, RFC 9374).
        "2001::/23",
        "2001:db8::/32",  # documentation: RFC 3849
        "2002::/16",  # 6to4: RFC 3056
        "2620:4f:8000::/48",  # direct delegation AS112 service: RFC 7534
        "3ffe::/16",  # 6bone, returned: RFC 3701
        "3fff::/20",  # documentation: RFC 9637
        "4000::/3",  # reserved: RFC 4291; it holds segment routing (5f00::/16, RFC 9602)
        "6000::/3",  # reserved: RFC 4291
        "8000::/3",  # reserved: RFC 4291
        "a000::/3",  # reserved: RFC 4291
        "c000::/3",  # reserved: RFC 4291
        "e000::/4",  # reserved: RFC 4291
        "f000::/5",  # reserved: RFC 4291
        "f800::/6",  # reserved: RFC 4291
        "fc00::/7",  # unique local: RFC 4193; fd00:ec2::254 hands out cloud credentials
        "fe00::/9",  # reserved: RFC 4291
        "fe80::/10",  # link-local: RFC 4291, section 2.5.6
        "fec0::/10",  # site-local, deprecated: RFC 3879
        "ff00::/8",  # multicast: RFC 4291, section 2.7
    )
)

#: Ports above 1023 on which no web server listens, but another server that may react to a form. They are the Fetch
#: standard's bad ports: H.323 (1719, 1720), SIP (5060, 5061), NFS, X11, IRC and others.
BAD_PORTS = frozenset(
    (1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080)
)

#: Characters of a URL. Every server and proxy accepts as many.
LONGEST_URL = 2_000

#: The pattern of RFC 3986, appendix B, for two schemes. It matches every text that begins with one of them. The
#: fragment is never sent.
_URL = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?", re.I)

#: A name, an IPv4 address, or an IPv6 address in brackets and without a zone. A port may follow.
_AUTHORITY = re.compile(r"(?:\[(?P<ipv6>[0-9a-f:.]+)]|(?P<name>[^\[\]:]+))(?::(?P<port>[0-9]{0,5}))?", re.I)

#: Characters that RFC 3986 allows in a path or a query, and the percent sign of those that are already encoded.
_UNQUOTED = "!$&'()*+,;=:@/?%-._~"

#: Letters, digits and hyphens (RFC 1123, section 2.1), and underscores, which some real hosts have.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")

#: With such a last label, the resolver reads the name as an IPv4 address. The URL standard calls it "ends in a number".
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class UrlFault(StrEnum):
    """Why a URL isn't dialled."""

    #: it isn't written as a URL, or the host can't exist
    MALFORMED = "malformed"
    #: it doesn't begin with http:// or https://
    SCHEME = "scheme"
    #: it has a user name or a password before the host
    CREDENTIALS = "credentials"
    PORT = "port"
    #: its host is an address that isn't public
    ADDRESS = "address"


@dataclass(frozen=True)
class Target:
    """A URL in its checked parts. It is never parsed again, because another parser may read it differently."""

    #: `http` or `https`
    scheme: str
    #: ASCII in lower case; an address in its normal form, IPv6 without brackets
    host: str
    port: int
    #: percent-encoded, begins with a slash
    path: str
    #: percent-encoded, without the question mark
    query: str


def is_allowed(address: str, *, allow_loopback: bool) -> bool:
    """True if the dialer may connect to this IP address. False for text that isn't an address or has a zone."""
    return _is_allowed(address, allow_loopback)


# The check takes longer than making the socket, and a campaign's calls go to few addresses.
@lru_cache(maxsize=1_024)
def _is_allowed(address: str, allow_loopback: bool) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
        return False
    if any(parsed in network for network in LOOPBACK):
        return allow_loopback
    return not any(parsed in network for network in REFUSED)


def read_url(url: str, *, allow_loopback: bool) -> Target | UrlFault:
    """The server that a URL names, or why it isn't dialled.

    If loopback is allowed, every port is, because on a laptop a server may have any port. The addresses of a name
    aren't known here: they are checked when it is resolved.
    """
    try:
        return _target(url, allow_loopback=allow_loopback)
    except _Refused as refused:
        return refused.fault


class _Refused(Exception):
    """The URL isn't dialled."""

    def __init__(self, fault: UrlFault) -> None:
        super().__init__(fault)
        self.fault = fault


def _target(url: str, *, allow_loopback: bool) -> Target:
    """Raises _Refused."""
    parts = _parts(url)
    scheme = parts["scheme"].lower()
    host, port = _host_and_port(parts["authority"], 443 if scheme == "https" else 80)
    if not _is_port_allowed(port, allow_loopback=allow_loopback):
        raise _Refused(UrlFault.PORT)
    if not _is_host_allowed(host, allow_loopback=allow_loopback):
        raise _Refused(UrlFault.ADDRESS)
    return Target(scheme, str(host), port, _quoted(parts["path"]) or "/", _quoted(parts["query"] or ""))


def _parts(url: str) -> re.Match[str]:
    """Raises _Refused."""
    # Parsers of URLs disagree most about blanks, control characters and backslashes.
    if len(url) > LONGEST_URL or any(character <= " " or character in "\x7f\\" for character in url):
        raise _Refused(UrlFault.MALFORMED)
    parts = _URL.fullmatch(url)
    if parts is None:
        raise _Refused(UrlFault.SCHEME)
    if "@" in parts["authority"]:
        raise _Refused(UrlFault.CREDENTIALS)
    return parts


def _host_and_port(authority: str, default_port: int) -> tuple[str | IPv4Address | IPv6Address, int]:
    """Raises _Refused."""
    parts = _AUTHORITY.fullmatch(authority)
    host = None if parts is None else _host(parts["name"], parts["ipv6"])
    if parts is None or host is None:
        raise _Refused(UrlFault.MALFORMED)
    return host, int(parts["port"] or default_port)


def _quoted(part: str) -> str:
    """Raises _Refused."""
    try:
        return quote(part, safe=_UNQUOTED)
    except UnicodeEncodeError:
        raise _Refused(UrlFault.MALFORMED) from None


def _is_port_allowed(port: int, *, allow_loopback: bool) -> bool:
    if allow_loopback:
        return 1 <= port <= 65_535
    return port in {80, 443} or (1_024 <= port <= 65_535 and port not in BAD_PORTS)


def _is_host_allowed(host: str | IPv4Address | IPv6Address, *, allow_loopback: bool) -> bool:
    """A name is allowed here and checked when it is resolved. Names of this machine (RFC 6761, 6.3) need loopback."""
    if isinstance(host, str):
        return allow_loopback or (host != "localhost" and not host.endswith(".localhost"))
    return is_allowed(str(host), allow_loopback=allow_loopback)


def _host(name: str | None, ipv6: str | None) -> str | IPv4Address | IPv6Address | None:
    """The host's address or name. None if it is neither.

    A name that ends in a number must be an IPv4 address of four decimal numbers. The resolver also reads `127.1`,
    `0x7f.1`, `0177.0.0.1` and `2130706433` as addresses. They are refused: no public server's address is written so.
    """
    if name is None:
        return _address(IPv6Address, ipv6 or "")
    ascii_name = _ascii(name)
    if ascii_name is None:
        return None
    # A dot at the end marks a name as complete. It has no other meaning.
    labels = ascii_name.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _address(IPv4Address, ".".join(labels))
    if len(ascii_name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    return ".".join(labels)


def _address(kind: type[IPv4Address] | type[IPv6Address], text: str) -> IPv4Address | IPv6Address | None:
    try:
        return kind(text)
    except ValueError:
        return None


def _ascii(name: str) -> str | None:
    """The name as in the DNS, by IDNA 2008 (RFC 5891). The mappings of UTS 46 are applied first.

    They turn wide digits and other dots into ASCII, so that the checks see them.
    """
    if name.isascii():
        return name.lower()
    # Imported here, because few names need it and its tables take longer to load than the rest of this module.
    import idna

    try:
        return idna.encode(name, uts46=True).decode("ascii").lower()
    except UnicodeError:
        return None
