"""Which servers a tenant's URL may name (P9): public http(s) servers, and nothing else.

A tenant could otherwise have the dialer knock on what only the dialer can reach: its own machine, the private network
around it, the credentials a cloud hands out at a link-local address. Names are checked when they are resolved and once
more at the socket (`chalicelib.gateway.http.lookup`); this module says what is allowed, and looks nothing up.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import quote

#: This machine itself: allowed by setting only.
LOOPBACK = tuple(ip_network(network) for network in ("127.0.0.0/8", "::1/128"))

#: What is never dialled: every range of the IANA special-purpose registries (RFC 6890, RFC 8190), whether or not some
#: of it is routed, since none of them holds web servers; and what the IANA address space registries keep for multicast
#: and for later.
#:
#: IPv6 addresses that carry an IPv4 address inside are refused whatever they carry. No server is known by one, and a
#: function that needed a translator (NAT64) to reach the IPv4 Internet doesn't exist: Lambda always has IPv4.
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

#: Ports above 1023 on which no web server listens, but something that might make sense of a form: the Fetch standard's
#: list of bad ports. Among them H.323 (1719, 1720), SIP (5060, 5061), NFS, X11 and IRC.
BAD_PORTS = frozenset(
    (1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080)
)

#: The longest URL that is read, in characters: what every server and proxy takes.
LONGEST_URL = 2_000

#: RFC 3986's own pattern (appendix B), for the two schemes there are: it fits whatever begins with one of them. The
#: fragment is the reader's, and never sent.
_URL = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?", re.I)

#: A name or an IPv4 address, or an IPv6 address in brackets, without a zone; perhaps a port.
_AUTHORITY = re.compile(r"(?:\[(?P<ipv6>[0-9a-f:.]+)]|(?P<name>[^\[\]:]+))(?::(?P<port>[0-9]{0,5}))?", re.I)

#: What RFC 3986 lets stand unquoted in a path or a query, and the quotes that are there already.
_UNQUOTED = "!$&'()*+,;=:@/?%-._~"

#: Letters, digits and hyphens (RFC 1123, section 2.1), and the underscore that some real hosts have.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")

#: A last label that makes the whole name an IPv4 address to the resolver: the URL standard's "ends in a number".
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class UrlFault(StrEnum):
    """Why a URL isn't dialled."""

    #: not the form of a URL, or a host that can't exist
    MALFORMED = "malformed"
    #: doesn't begin with http:// or https://
    SCHEME = "scheme"
    #: a name or password before the host
    CREDENTIALS = "credentials"
    PORT = "port"
    #: the host is an address that isn't public
    ADDRESS = "address"


@dataclass(frozen=True)
class Target:
    """A URL in the parts it was judged by, so that nobody need read it again, and read it differently."""

    #: `http` or `https`
    scheme: str
    #: ASCII, in lower case; an address in its one normal form, IPv6 without brackets
    host: str
    port: int
    #: begins with a slash, is quoted
    path: str
    #: quoted, without the question mark
    query: str


def is_allowed(address: str, *, allow_loopback: bool) -> bool:
    """May the dialer connect to this IP address? Text that is no address, or names a zone, is refused."""
    return _is_allowed(address, allow_loopback)


# The verdict on an address is the same each time, and a campaign's calls go to few addresses. To come to it takes
# longer than to make the socket.
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
    """The server a URL names, or why it isn't dialled.

    Where loopback is allowed, so is every port: that is a laptop, with its servers wherever there was room. A name's
    addresses aren't known here, so a target is still to be checked when it is resolved.
    """
    # Blanks, control characters and backslashes are what readers of URLs disagree about most.
    if len(url) > LONGEST_URL or any(character <= " " or character in "\x7f\\" for character in url):
        return UrlFault.MALFORMED
    parts = _URL.fullmatch(url)
    if parts is None:
        return UrlFault.SCHEME
    if "@" in parts["authority"]:
        return UrlFault.CREDENTIALS
    authority = _AUTHORITY.fullmatch(parts["authority"])
    host = None if authority is None else _host(authority["name"], authority["ipv6"])
    if authority is None or host is None:
        return UrlFault.MALFORMED
    scheme = parts["scheme"].lower()
    port = int(authority["port"] or (443 if scheme == "https" else 80))
    if not _is_port_allowed(port, allow_loopback=allow_loopback):
        return UrlFault.PORT
    if not _is_host_allowed(host, allow_loopback=allow_loopback):
        return UrlFault.ADDRESS
    try:
        path, query = (quote(part or "", safe=_UNQUOTED) for part in (parts["path"], parts["query"]))
    except UnicodeEncodeError:
        return UrlFault.MALFORMED
    return Target(scheme, str(host), port, path or "/", query)


def _is_port_allowed(port: int, *, allow_loopback: bool) -> bool:
    if allow_loopback:
        return 1 <= port <= 65_535
    return port in {80, 443} or (1_024 <= port <= 65_535 and port not in BAD_PORTS)


def _is_host_allowed(host: str | IPv4Address | IPv6Address, *, allow_loopback: bool) -> bool:
    """Names are allowed until they are resolved, but for those that are this machine everywhere (RFC 6761, 6.3)."""
    if isinstance(host, str):
        return allow_loopback or (host != "localhost" and not host.endswith(".localhost"))
    return is_allowed(str(host), allow_loopback=allow_loopback)


def _host(name: str | None, ipv6: str | None) -> str | IPv4Address | IPv6Address | None:
    """The address that the host is, or its name, or nothing if it can be neither.

    A name that ends in a number must be an IPv4 address of four decimal numbers. The resolver would take `127.1`,
    `0x7f.1`, `0177.0.0.1` and `2130706433` for addresses too; nobody writes them who has a public server.
    """
    if name is None:
        return _address(IPv6Address, ipv6 or "")
    ascii_name = _ascii(name)
    if ascii_name is None:
        return None
    # one dot at the end says that a name is complete, and means nothing else here
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
    """The name as the DNS knows it: IDNA 2008 (RFC 5891) after the mappings of UTS 46, so that wide digits and other
    dots have become ASCII before anything is judged by them."""
    if name.isascii():
        return name.lower()
    # imported late: its tables take longer to load than the rest of this module, for the sake of few names
    import idna

    try:
        return idna.encode(name, uts46=True).decode("ascii").lower()
    except UnicodeError:
        return None
