"""One POST: the request, its answer, and the reason of a failure."""

import asyncio
import math
import ssl
from collections.abc import Mapping
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

from chalicelib.domain.outcome import NotSent, RequestResult, Unknown
from chalicelib.gateway.addresses import UrlFault, read_url
from chalicelib.gateway.clients import CALL_DEADLINE, REPORT_DEADLINE, LastLook
from chalicelib.gateway.http.connection import OneCallConnector, Sending, SessionPerLoop
from chalicelib.gateway.http.lookup import AddressNotAllowed, AllowedAddresses, Lookup, ThreadedLookup

#: Headers of every request. The caller's headers can't change them.
_FIXED_HEADERS = {
    "Content-Type": "application/x-www-form-urlencoded",
    "User-Agent": "callpacer",
    # Some servers compress their answer anyway, and `unpacking` reads it.
    "Accept-Encoding": "identity",
}


class HttpGateway:
    """Implements StartUrlClient and ResultUrlClient. It keeps no connection. Requests don't wait for each other."""

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
        """With `allow_loopback`, a URL may name this machine itself.

        The deadlines are in seconds, for the whole of a call or a report: lookup, connection, last look, request and
        answer. `connect_timeout` is in seconds, for lookup, TCP and TLS together. `tls` has the trusted certificates;
        the default is those that the machine trusts.
        """
        self._allow_loopback = allow_loopback
        self._call_deadline = call_deadline
        self._report_deadline = report_deadline
        # Above the threshold, aiohttp rounds timeouts up to whole seconds.
        timeout = ClientTimeout(total=None, connect=connect_timeout, ceil_threshold=math.inf)
        addresses = AllowedAddresses(lookup or ThreadedLookup(), allow_loopback=allow_loopback)
        self._sessions = SessionPerLoop(
            lambda: ClientSession(
                connector=OneCallConnector(addresses, allow_loopback=allow_loopback, tls=tls),
                cookie_jar=DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                timeout=timeout,
            )
        )

    async def place_call(
        self, url: str, body: bytes, headers: Mapping[str, str], *, last_look: LastLook
    ) -> RequestResult:
        """See StartUrlClient. A call that reaches its deadline before the last look has passed is NotSent, too."""
        return await self._post(url, body, headers, self._call_deadline, last_look)

    async def report(self, url: str, body: bytes, headers: Mapping[str, str]) -> RequestResult:
        """See ResultUrlClient."""
        return await self._post(url, body, headers, self._report_deadline, _no_last_look)

    async def _post(
        self, url: str, body: bytes, headers: Mapping[str, str], deadline: float, last_look: LastLook
    ) -> RequestResult:
        checked = _check_url(url, self._allow_loopback)
        if isinstance(checked, UrlFault):
            return NotSent("address_not_allowed" if checked is UrlFault.ADDRESS else "url_not_allowed")
        sending = Sending(last_look)
        failure = await _send(self._sessions.session(), sending, checked, body, headers, deadline)
        if sending.last_look_error is not None:
            # aiohttp wraps some exceptions in its own. The original one is raised.
            raise sending.last_look_error
        answer = sending.answer()
        if answer is None:
            return Unknown(_reason_unknown(failure)) if sending.look_passed else NotSent(_reason_not_sent(failure))
        return answer


async def _send(
    session: ClientSession, sending: Sending, url: URL, body: bytes, headers: Mapping[str, str], deadline: float
) -> Exception:
    """Send the request, and wait for the end of its answer. That end is an exception like any other."""
    try:
        async with asyncio.timeout(deadline):
            with sending:
                await session.post(url, data=body, headers={**headers, **_FIXED_HEADERS}, allow_redirects=False)
    except (ClientError, HttpProcessingError, OSError) as failure:
        # Its traceback holds the connection, which holds the failure: the garbage collector would have to part them.
        return failure.with_traceback(None)
    raise AssertionError("an answer always ends with an exception")


async def _no_last_look() -> None:
    """A report may always be sent."""


# All calls of a campaign have the same URL. With the longest URLs, the cache takes a megabyte.
@lru_cache(maxsize=256)
def _check_url(url: str, allow_loopback: bool) -> URL | UrlFault:
    """The URL, built from the checked parts and not parsed again. It isn't normalised, because it may be signed."""
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


def _reason_not_sent(failure: Exception) -> str:
    """The reason of a failure before the last look had passed."""
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


def _reason_unknown(failure: Exception) -> str:
    """The reason of a failure after the last look: the server may have received the request or a part of it."""
    match failure:
        case TimeoutError():
            return "timeout"
        case ClientResponseError():
            return "bad_answer"
        case ServerDisconnectedError():
            return "closed"
    return "reset"
