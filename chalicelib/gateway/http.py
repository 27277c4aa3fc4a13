"""Calls and reports over HTTP: one POST each, on a connection of its own.

The one question everything here serves is whether the request has left. Until the last look has passed it surely
hasn't; from then on nothing but a status line is an answer. aiohttp is imported in this module alone, since it takes
long to load.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import (
    AddrInfoType,
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
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http import HttpProcessingError
from yarl import URL

from chalicelib.domain.outcome import Answered, Exchange, NotSent, Unknown
from chalicelib.gateway.addresses import Target, UrlFault, is_allowed, read_url
from chalicelib.gateway.telephone import LastLook

if TYPE_CHECKING:
    from aiohttp import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

#: Bytes of an answer's body that are read; the rest is dropped, and the answer still counts. No header may be longer.
LONGEST_ANSWER = 65_536

#: From a host's name to its addresses as text. Raises OSError if there are none.
Lookup = Callable[[str], Awaitable[Sequence[str]]]


class AddressNotAllowed(OSError):
    """Every address of the host is one that isn't dialled (P9)."""


def addresses_of(host: str) -> Sequence[str]:
    """What the machine's own resolver says. It blocks for as long as a name server is silent."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [str(address[0]) for *_, address in found]


class ThreadedLookup:
    """A blocking lookup as one that can be waited for, and given up.

    The threads are its own: for those of the event loop, the loop's end waits.
    """

    def __init__(self, blocking: Callable[[str], Sequence[str]] = addresses_of, threads: int = 32) -> None:
        self._blocking = blocking
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="lookup")

    async def __call__(self, host: str) -> Sequence[str]:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._blocking, host)


class AllowedAddresses(AbstractResolver):
    """Passes on of a host's addresses only those that may be dialled."""

    def __init__(self, lookup: Lookup, *, allow_loopback: bool) -> None:
        self._lookup = lookup
        self._allow_loopback = allow_loopback

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:  # noqa: ARG002
        found = await self._lookup(host)
        allowed = [address for address in found if is_allowed(address, allow_loopback=self._allow_loopback)]
        if found and not allowed:
            raise AddressNotAllowed(f"{host} is none of the public servers")
        if not allowed:
            raise OSError(f"{host} has no address")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in allowed
        ]

    async def close(self) -> None:
        """There is nothing to close: the lookup isn't ours."""


def checked_socket(destination: AddrInfoType, *, allow_loopback: bool) -> socket.socket:
    """A socket for the very address that is about to be dialled, or AddressNotAllowed.

    The last of the checks of P9, and the one that nothing can come after: no second lookup, no address in a URL.
    """
    family, kind, protocol, _, address = destination
    if not is_allowed(str(address[0]), allow_loopback=allow_loopback):
        raise AddressNotAllowed(f"{address[0]} is no public server")
    return socket.socket(family, kind, protocol)


class OneCallConnector(TCPConnector):
    """A connection for one request, that asks once more before it hands itself over.

    aiohttp awaits `connect` before it writes, so what is done here happens after DNS, TCP and TLS, and before the first
    byte of the request.
    """

    def __init__(
        self,
        resolver: AbstractResolver,
        *,
        allow_loopback: bool,
        timeout: float,
        tls: ssl.SSLContext | None,
        last_look: LastLook,
    ) -> None:
        super().__init__(
            resolver=resolver,
            use_dns_cache=False,
            force_close=True,
            ssl=True if tls is None else tls,
            socket_factory=partial(checked_socket, allow_loopback=allow_loopback),
        )
        self._connect_timeout = timeout
        self._last_look = last_look
        self._transport: asyncio.Transport | None = None
        #: the last look has passed: from here on nobody can say that nothing was sent
        self.let_go = False
        #: what the last look raised
        self.objection: Exception | None = None

    async def connect(
        self,
        req: "ClientRequest",
        traces: list["Trace"],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> "Connection":
        async with asyncio.timeout(self._connect_timeout):
            connection = await super().connect(req, traces, timeout)
        self._transport = connection.transport
        try:
            await self._look()
            if connection.closed:
                raise ServerDisconnectedError
        except BaseException:
            connection.close()
            raise
        self.let_go = True
        return connection

    async def _look(self) -> None:
        try:
            await self._last_look()
        except Exception as objection:
            self.objection = objection
            raise

    def hang_up(self) -> None:
        """End the connection at once, whatever is left to read or write: a server that does neither can't hold it."""
        if self._transport is not None:
            self._transport.abort()


@dataclass(frozen=True)
class HttpGateway:
    """Telephone and ReportDesk in one. It keeps nothing between requests, and serves any number of them at once."""

    #: may a URL name this machine itself?
    allow_loopback: bool
    #: seconds for a call, all in all: lookup, connection, last look, request, answer
    call_deadline: float = 30.0
    #: seconds for a report, all in all
    report_deadline: float = 10.0
    #: seconds for lookup, TCP and TLS together
    connect_timeout: float = 5.0
    lookup: Lookup = field(default_factory=ThreadedLookup)
    #: which certificates are believed; None: those the machine believes
    tls: ssl.SSLContext | None = None

    async def place_call(self, url: str, body: bytes, headers: Mapping[str, str], *, last_look: LastLook) -> Exchange:
        """See Telephone. A call still on its way to the last look when its time is up is NotSent like any other."""
        return await self._post(url, body, headers, self.call_deadline, last_look)

    async def report(self, url: str, body: bytes, headers: Mapping[str, str]) -> Exchange:
        """See ReportDesk."""
        return await self._post(url, body, headers, self.report_deadline, _nothing_to_look_at)

    async def _post(
        self, url: str, body: bytes, headers: Mapping[str, str], deadline: float, last_look: LastLook
    ) -> Exchange:
        target = read_url(url, allow_loopback=self.allow_loopback)
        if isinstance(target, UrlFault):
            return NotSent("address_not_allowed" if target is UrlFault.ADDRESS else "url_not_allowed")
        connector = OneCallConnector(
            AllowedAddresses(self.lookup, allow_loopback=self.allow_loopback),
            allow_loopback=self.allow_loopback,
            timeout=self.connect_timeout,
            tls=self.tls,
            last_look=last_look,
        )
        answer = _Answer()
        try:
            async with asyncio.timeout(deadline), _session(connector) as session:
                try:
                    await answer.to_post(session, target, body, headers)
                finally:
                    connector.hang_up()
        except (ClientError, HttpProcessingError, OSError) as failure:
            if connector.objection is None and not answer.status:
                return Unknown(_why_unknown(failure)) if connector.let_go else NotSent(_why_not_sent(failure))
        if connector.objection is not None:
            # aiohttp dresses some errors in its own on the way here
            raise connector.objection
        return answer.as_far_as_it_came()


async def _nothing_to_look_at() -> None:
    """A report may always go out."""


def _session(connector: TCPConnector) -> ClientSession:
    """Time is kept by whoever uses it: aiohttp's own timeouts are rounded up to whole seconds."""
    return ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        timeout=ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None),
        max_field_size=LONGEST_ANSWER,
    )


@dataclass
class _Answer:
    """What has come back of one request so far: whoever is interrupted finds it here."""

    #: 0 until a status line has come
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)

    async def to_post(self, session: ClientSession, target: Target, body: bytes, headers: Mapping[str, str]) -> None:
        # Built from the parts that were checked, not read again; and sent as it stands, since it may be signed too.
        url = URL.build(
            scheme=target.scheme,
            host=f"[{target.host}]" if ":" in target.host else target.host,
            port=target.port,
            path=target.path,
            query_string=target.query,
            encoded=True,
        )
        fixed = {
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": "callpacer",
            # a few packed bytes could unpack to more than there is room for
            "Accept-Encoding": "identity",
        }
        response = await session.post(url, data=body, headers={**headers, **fixed}, allow_redirects=False)
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
        return Answered(self.status, self.headers, bytes(self.body[:LONGEST_ANSWER]))


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
