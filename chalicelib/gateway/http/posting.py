"""One POST: what is sent, what comes back, and the words for what went wrong."""

import asyncio
import math
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from aiohttp import (
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientError,
    ClientResponseError,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    ServerDisconnectedError,
)
from aiohttp.http import HttpProcessingError
from yarl import URL

from chalicelib.domain.outcome import Answered, NotSent, RequestResult, Unknown
from chalicelib.gateway.addresses import UrlFault, read_url
from chalicelib.gateway.clients import CALL_DEADLINE, REPORT_DEADLINE, LastLook
from chalicelib.gateway.http.connection import OneCallConnector, PerLoop, Sending
from chalicelib.gateway.http.lookup import AddressNotAllowed, AllowedAddresses, Lookup, ThreadedLookup

#: Bytes of an answer's body that are read; the rest is dropped, and the answer still counts. No header may be longer.
LONGEST_ANSWER = 65_536
#: How zlib is told of each content coding. Servers send `deflate` with zlib's header, and without.
_WINDOW_BITS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
#: Headers that every request has, whatever the caller's are.
_FIXED = {
    "Content-Type": "application/x-www-form-urlencoded",
    "User-Agent": "callpacer",
    # What comes packed all the same is unpacked as far as there is room for it.
    "Accept-Encoding": "identity",
}


class HttpGateway:
    """Telephone and ReportDesk in one. It keeps no connection, and serves any number of requests at once."""

    def __init__(
        self,
        *,
        allow_loopback: bool,
        call_deadline: float = CALL_DEADLINE,
        report_deadline: float = REPORT_DEADLINE,
        connect_timeout: float = 5.0,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """May a URL name this machine itself (`allow_loopback`)?

        The deadlines are in seconds for a call or a report, all in all: lookup, connection, last look, request, answer.
        `connect_timeout` is in seconds, for lookup, TCP and TLS together. `tls` says which certificates are believed;
        without it, those that the machine believes.
        """
        self._allow_loopback = allow_loopback
        self._call_deadline = call_deadline
        self._report_deadline = report_deadline
        # Above the threshold aiohttp would round up to whole seconds.
        self._timeout = ClientTimeout(total=None, connect=connect_timeout, ceil_threshold=math.inf)
        addresses = AllowedAddresses(lookup or ThreadedLookup(), allow_loopback=allow_loopback)
        self._loops = PerLoop(lambda: OneCallConnector(addresses, allow_loopback=allow_loopback, tls=tls))

    async def place_call(
        self, url: str, body: bytes, headers: Mapping[str, str], *, last_look: LastLook
    ) -> RequestResult:
        """See Telephone. A call still on its way to the last look when its time is up is NotSent like any other."""
        return await self._post(url, body, headers, self._call_deadline, last_look)

    async def report(self, url: str, body: bytes, headers: Mapping[str, str]) -> RequestResult:
        """See ReportDesk."""
        return await self._post(url, body, headers, self._report_deadline, _nothing_to_look_at)

    async def _post(
        self, url: str, body: bytes, headers: Mapping[str, str], deadline: float, last_look: LastLook
    ) -> RequestResult:
        checked = _checked(url, self._allow_loopback)
        if isinstance(checked, UrlFault):
            return NotSent("address_not_allowed" if checked is UrlFault.ADDRESS else "url_not_allowed")
        answer, sending = _Answer(), Sending(last_look)
        session = self._session()
        try:
            async with asyncio.timeout(deadline):
                with sending:
                    await answer.to_post(session, checked, body, headers)
        except (ClientError, HttpProcessingError, OSError) as failure:
            answer.status = answer.status or sending.status
            if sending.objection is None and not answer.status:
                return Unknown(_why_unknown(failure)) if sending.let_go else NotSent(_why_not_sent(failure))
        finally:
            # The connector serves other requests, too.
            session.detach()
        if sending.objection is not None:
            # aiohttp dresses some errors in its own on the way here
            raise sending.objection
        return answer.as_far_as_it_came()

    def _session(self) -> ClientSession:
        """One for each request costs little, and remembers nothing of another."""
        return ClientSession(
            connector=self._loops.connector(),
            cookie_jar=DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=self._timeout,
            max_field_size=LONGEST_ANSWER,
        )


async def _nothing_to_look_at() -> None:
    """A report may always go out."""


# All calls of a campaign have the same URL. What is kept, of the longest URLs there are, is a megabyte at most.
@lru_cache(maxsize=256)
def _checked(url: str, allow_loopback: bool) -> URL | UrlFault:
    """Built from the parts that were checked, not read again; and sent as it stands, since it may be signed too."""
    target = read_url(url, allow_loopback=allow_loopback)
    if isinstance(target, UrlFault):
        return target
    return URL.build(
        scheme=target.scheme,
        host=f"[{target.host}]" if ":" in target.host else target.host,
        port=target.port,
        path=target.path,
        query_string=target.query,
        encoded=True,
    )


@dataclass
class _Answer:
    """What has come back of one request so far: whoever is interrupted finds it here."""

    #: 0 until a status line has come
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)

    async def to_post(self, session: ClientSession, url: URL, body: bytes, headers: Mapping[str, str]) -> None:
        sent = {**headers, **_FIXED}
        response = await session.post(url, data=body, headers=sent, allow_redirects=False)
        try:
            self.status = response.status
            for name, value in response.headers.items():
                self.headers.setdefault(name.lower(), value)
            async for piece in response.content.iter_any():
                self.body += piece
                if len(self.body) >= LONGEST_ANSWER:
                    return
        finally:
            response.close()

    def as_far_as_it_came(self) -> Answered:
        """The answer, whose status counts even if its body was cut short: the server had decided by then."""
        return Answered(self.status, self.headers, unpacked(self.body, self.headers.get("content-encoding", "")))


def unpacked(body: bytes | bytearray, encoding: str) -> bytes | None:
    """The body as it was before it was packed, up to the longest that is read; None if it can't be unpacked."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return bytes(body[:LONGEST_ANSWER])
    for bits in _WINDOW_BITS.get(encoding, ()):
        try:
            return zlib.decompressobj(bits).decompress(body, LONGEST_ANSWER)
        except zlib.error:
            continue
    return None


def _why_not_sent(failure: Exception) -> str:
    """The word for a failure before the last look had passed."""
    match failure:
        case ConnectionTimeoutError():
            return "connect_timeout"
        case TimeoutError():
            return "timeout"
        case ClientSSLError():
            return "tls"
        case ClientConnectorError(os_error=AddressNotAllowed()):
            return "address_not_allowed"
        case ClientConnectorDNSError():
            return "dns"
        case ClientConnectorError(os_error=ConnectionRefusedError()):
            return "refused"
        case ServerDisconnectedError() | ClientConnectorError(os_error=ConnectionError()):
            return "closed"
    return "unreachable"


def _why_unknown(failure: Exception) -> str:
    """The word for a failure after it: the request, or a part of it, may have been read."""
    match failure:
        case TimeoutError():
            return "timeout"
        case ClientResponseError():
            return "bad_answer"
        case ServerDisconnectedError():
            return "closed"
    return "reset"
