"""Which addresses and URLs the gateway may reach."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.gateway.addresses import BAD_PORTS, LONGEST_URL, REFUSED, Target, UrlFault, is_allowed, read_url

#: The first, the last and some other address of every range, written down without the list under test.
NOT_PUBLIC = """
    0.0.0.0 0.1.2.3 0.255.255.255
    10.0.0.0 10.20.30.40 10.255.255.255
    100.64.0.0 100.100.100.200 100.127.255.255
    168.63.129.16
    169.254.0.0 169.254.169.254 169.254.170.2 169.254.255.255
    172.16.0.0 172.20.1.1 172.31.255.255
    192.0.0.0 192.0.0.9 192.0.0.192 192.0.0.255
    192.0.2.0 192.0.2.255
    192.31.196.0 192.31.196.255
    192.52.193.0 192.52.193.255
    192.88.99.0 192.88.99.255
    192.168.0.0 192.168.255.255
    192.175.48.0 192.175.48.255
    198.18.0.0 198.19.255.255
    198.51.100.0 198.51.100.255
    203.0.113.0 203.0.113.255
    224.0.0.0 239.255.255.255
    240.0.0.0 255.255.255.254 255.255.255.255
    :: ::2 ::127.0.0.1 ::8.8.8.8
    ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:169.254.169.254 ::ffff:0:8.8.8.8
    64:ff9b::8.8.8.8 64:ff9b::10.0.0.1 64:ff9b:1::1 64:ff9b:1:ffff::1 ff:ffff::1
    100:: 100::1 100:0:0:1::1 1ff:ffff::1
    200::1 3ff:ffff::1
    400::1 7ff:ffff::1
    800::1 fff:ffff::1
    1000::1 1fff:ffff:ffff::1
    2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:1::1 2001:2::1 2001:3::1 2001:4:112::1 2001:10::1 2001:20::1
    2001:30::1 2001:1ff:ffff::1
    2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff
    2002:: 2002:7f00:1::1 2002:808:808::1 2002:ffff:ffff::1
    2620:4f:8000:: 2620:4f:8000:ffff:ffff:ffff:ffff:ffff
    3ffe:: 3ffe:ffff::1
    3fff:: 3fff:fff:ffff::1
    4000::1 5f00::1 5fff::1
    6000::1 7fff::1
    8000::1 9fff::1
    a000::1 bfff::1
    c000::1 dfff::1
    e000::1 efff::1
    f000::1 f7ff::1
    f800::1 fbff::1
    fc00:: fd00:ec2::254 fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
    fe00::1 fe7f::1
    fe80:: fe80::1 febf:ffff::1
    fec0:: fec0::1 feff:ffff::1
    ff00:: ff02::1 ff0e::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
"""

#: The addresses right before and right after the ranges, and some well-known ones.
PUBLIC = """
    1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15 168.63.129.17
    169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.31.195.255
    192.31.197.0 192.52.192.255 192.52.194.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 192.175.47.255
    192.175.49.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
    8.8.8.8 93.184.215.14
    2000::1 2001:200:: 2001:4860:4860::8888 2001:db7:ffff::1 2001:db9:: 2003:: 2606:2800:21f:cb07:6820:80da:af6b:8b2c
    2620:4f:7fff:ffff::1 2620:4f:8001:: 2a00:1450:4001::1 3ffd:ffff::1 3fff:1000:: 3fff:ffff:ffff::1
"""


@pytest.mark.parametrize("loopback", [True, False])
@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_an_address_that_is_not_public_is_never_allowed(address: str, loopback: bool) -> None:
    assert not is_allowed(address, allow_loopback=loopback)


@pytest.mark.parametrize("address", PUBLIC.split())
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_allowed(address, allow_loopback=False)


@pytest.mark.parametrize("address", ["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1", "0:0:0:0:0:0:0:1"])
def test_loopback_is_allowed_only_by_the_setting(address: str) -> None:
    assert is_allowed(address, allow_loopback=True)
    assert not is_allowed(address, allow_loopback=False)


@pytest.mark.parametrize(
    "text", ["", "example.com", "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "8.8.8.8/32", "2606::1%eth0", "::1%lo"]
)
def test_a_text_that_is_no_address_or_has_a_zone_is_not_allowed(text: str) -> None:
    assert not is_allowed(text, allow_loopback=True)


@pytest.mark.parametrize("network", [str(network) for network in REFUSED])
def test_every_refused_range_is_refused_from_its_first_address_to_its_last(network: str) -> None:
    for address in (ip_network(network)[0], ip_network(network)[-1]):
        assert str(address) == "::1" or not is_allowed(str(address), allow_loopback=True)


@given(st.ip_addresses())
def test_an_allowed_address_is_global_by_the_standard_library(address: IPv4Address | IPv6Address) -> None:
    assert address.is_global or not is_allowed(str(address), allow_loopback=False)


@given(st.ip_addresses(v=6).filter(lambda address: address not in ip_network("2000::/3")))
def test_no_ipv6_address_outside_global_unicast_is_allowed(address: IPv6Address) -> None:
    assert not is_allowed(str(address), allow_loopback=False)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://example.com", Target("http", "example.com", 80, "/", "")),
        ("HTTPS://Example.COM/Call?A=b#c", Target("https", "example.com", 443, "/Call", "A=b")),
        ("http://example.com:8080/a/b.vxml", Target("http", "example.com", 8080, "/a/b.vxml", "")),
        ("https://example.com:8443?x=1", Target("https", "example.com", 8443, "/", "x=1")),
        ("http://example.com:/", Target("http", "example.com", 80, "/", "")),
        ("http://example.com./", Target("http", "example.com", 80, "/", "")),
        ("http://my_host.example.com/", Target("http", "my_host.example.com", 80, "/", "")),
        ("http://8.8.8.8:80/", Target("http", "8.8.8.8", 80, "/", "")),
        ("http://[2001:4860:4860:0::8888]:8080/", Target("http", "2001:4860:4860::8888", 8080, "/", "")),
        ("http://exämple.com/", Target("http", "xn--exmple-cua.com", 80, "/", "")),
        ("http://XN--exmple-CUA.com/", Target("http", "xn--exmple-cua.com", 80, "/", "")),
        ("http://straße.de/", Target("http", "xn--strae-oqa.de", 80, "/", "")),
        (
            "http://example.com/a%2Fb/ü?q=ü&r={1}|",
            Target("http", "example.com", 80, "/a%2Fb/%C3%BC", "q=%C3%BC&r=%7B1%7D%7C"),
        ),
        ("http://example.com/a//b/../c;d=1,2?", Target("http", "example.com", 80, "/a//b/../c;d=1,2", "")),
        ("http://example.com/?u=http://a@b:c/?d", Target("http", "example.com", 80, "/", "u=http://a@b:c/?d")),
    ],
)
def test_a_url_of_a_public_server_is_read_into_its_parts(url: str, target: Target) -> None:
    assert read_url(url, allow_loopback=False) == target


NOT_WEB = """
    example.com/x localhost:8000/x //example.com/ ftp://example.com/ file:///etc/passwd httpx://example.com/
    gopher://example.com/ javascript:alert(1) http:example.com/ http:/example.com/ mailto:a@example.com
"""


@pytest.mark.parametrize("url", ["", *NOT_WEB.split()])
def test_only_http_and_https_are_allowed(url: str) -> None:
    assert read_url(url, allow_loopback=True) is UrlFault.SCHEME


@pytest.mark.parametrize("userinfo", ["user", "user:password", ":", "", "example.com:80", "%40"])
def test_a_url_with_credentials_even_empty_ones_is_refused(userinfo: str) -> None:
    assert read_url(f"http://{userinfo}@example.com/", allow_loopback=True) is UrlFault.CREDENTIALS


@pytest.mark.parametrize("port", [0, 1, 22, 25, 79, 81, 442, 444, 1023, 65_536, 99_999, 5060, 6667])
def test_other_low_ports_and_ports_of_other_protocols_are_refused(port: int) -> None:
    assert read_url(f"http://example.com:{port}/", allow_loopback=False) is UrlFault.PORT


@pytest.mark.parametrize("port", [80, 443, 1024, 3000, 8000, 8080, 8443, 65_535])
def test_ports_80_and_443_and_all_high_ones_are_allowed(port: int) -> None:
    target = read_url(f"http://example.com:{port}/", allow_loopback=False)
    assert isinstance(target, Target)
    assert target.port == port


def test_every_port_is_allowed_together_with_loopback() -> None:
    for port in (1, 81, 1023, *BAD_PORTS):
        assert isinstance(read_url(f"http://127.0.0.1:{port}/", allow_loopback=True), Target)
    assert read_url("http://127.0.0.1:0/", allow_loopback=True) is UrlFault.PORT
    assert read_url("http://127.0.0.1:65536/", allow_loopback=True) is UrlFault.PORT


#: IDNA turns the last three into 127.0.0.1: circled digits, wide digits, other dots.
LOOPBACK_HOSTS = """
    127.0.0.1 127.0.0.1. 127.0.0.2 [::1] [0:0::1] localhost LOCALHOST. a.localhost
    ①②⑦.⓪.⓪.① １２７.0.0.1 127。0。0。1
"""  # noqa: RUF001


@pytest.mark.parametrize("host", LOOPBACK_HOSTS.split())
def test_loopback_is_allowed_only_by_the_setting_however_it_is_written(host: str) -> None:
    assert read_url(f"http://{host}:8000/", allow_loopback=False) is UrlFault.ADDRESS
    assert isinstance(read_url(f"http://{host}:8000/", allow_loopback=True), Target)


HOSTS_NOT_PUBLIC = """
    10.0.0.1 169.254.169.254 169.254.169.254. 0.0.0.0 255.255.255.255 [::] [fe80::1] [fd00:ec2::254]
    [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [64:ff9b::127.0.0.1] [2002:7f00:1::]
"""


@pytest.mark.parametrize("host", HOSTS_NOT_PUBLIC.split())
def test_a_url_of_an_address_that_is_not_public_is_always_refused(host: str) -> None:
    assert read_url(f"http://{host}/", allow_loopback=True) is UrlFault.ADDRESS


AMBIGUOUS_HOSTS = """
    0x7f.1 0x7f000001 2130706433 0177.0.0.1 017700000001 127.1 127.0.1 127.0.0.01 1.2.3.4.5 256.0.0.1 127.0.0.0x1
    0x a.0x1 example.1 127.0.0.1.. １27.1 0ｘ7f.1
    . .. a..b .a -a.com a-.com a%20b %31%32%37.0.0.1 127.0.0.1%00.com a\b a!b a,b a℀b
    [::1 ::1 [::1%25lo] [::1%lo] [127.0.0.1] [v1.x] [] [::1]x a:b a:80:80 a:+80 a:８０ a:-1 a:123456
"""  # noqa: RUF001


@pytest.mark.parametrize("host", ["", "a b", "a" * 64 + ".com", "a." * 127 + "com", *AMBIGUOUS_HOSTS.split()])
def test_a_host_that_can_be_read_in_two_ways_is_refused(host: str) -> None:
    assert read_url(f"http://{host}/", allow_loopback=True) is UrlFault.MALFORMED


@pytest.mark.parametrize("character", [" ", "\t", "\r", "\n", "\0", "\x1f", "\x7f", "\\", "\ud800"])
def test_a_url_with_a_space_control_character_or_backslash_is_refused(character: str) -> None:
    for url in (
        f"http://exa{character}mple.com/",
        f"http://example.com/{character}",
        f"http://example.com/?{character}",
    ):
        assert read_url(url, allow_loopback=True) is UrlFault.MALFORMED


def test_a_url_has_two_thousand_characters_at_most() -> None:
    longest = "http://example.com/".ljust(LONGEST_URL, "a")
    assert isinstance(read_url(longest, allow_loopback=False), Target)
    assert read_url(longest + "a", allow_loopback=False) is UrlFault.MALFORMED


@st.composite
def spelled_addresses(draw: st.DrawFn) -> str:
    """An IPv4 address as C's inet_aton reads it: one to four parts in any base, the last of which fills the rest."""
    number = int(draw(st.ip_addresses(v=4)))
    count = draw(st.integers(1, 4))
    parts = [number >> (24 - 8 * index) & 0xFF for index in range(count - 1)]
    parts.append(number & ((1 << (32 - 8 * (count - 1))) - 1))
    spellings = [
        draw(st.sampled_from((str, hex, lambda part: f"0{part:o}", lambda part: f"0X{part:X}")))(part) for part in parts
    ]
    return ".".join(spellings)


@given(spelled_addresses())
def test_any_spelling_of_an_ipv4_address_is_checked(host: str) -> None:
    resolved = IPv4Address(socket.inet_aton(host))
    target = read_url(f"http://{host}/", allow_loopback=False)
    if isinstance(target, Target):
        assert ip_address(target.host) == resolved
        assert is_allowed(str(resolved), allow_loopback=False)


@given(st.text(max_size=80).map("http://".__add__) | st.text(max_size=80))
def test_any_text_is_refused_or_read_as_plain_ascii(url: str) -> None:
    target = read_url(url, allow_loopback=False)
    if isinstance(target, Target):
        assert (target.host + target.path + target.query).isascii()
        assert target.path.startswith("/")
