"""Connections for one request each, which ask once more before they hand themselves over."""

import asyncio
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from aiohttp import ClientTimeout, ServerDisconnectedError, TCPConnector
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler

from chalicelib.gateway.clients import LastLook
from chalicelib.gateway.http.listening import StatusListener
from chalicelib.gateway.http.lookup import checked_socket

if TYPE_CHECKING:
    from aiohttp import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


class Sending:
    """One request: what is to be asked before it is sent, and whether it may have been sent.

    A context manager: within it, connections are made for this request. At the end of it the connection is ended.
    """

    def __init__(self, last_look: LastLook) -> None:
        self._last_look = last_look
        self._transport: asyncio.Transport | None = None
        self._listener: StatusListener | None = None
        #: the last look has passed: from here on nobody can say that nothing was sent
        self.let_go = False
        #: what the last look raised
        self.objection: Exception | None = None

    def __enter__(self) -> Self:
        self._before = _SENDING.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Hangs up at once, whatever is left to read or write: a server that does neither can't hold the connection."""
        _SENDING.reset(self._before)
        if self._transport is not None:
            self._transport.abort()

    @property
    def status(self) -> int:
        """The status that has come back, whatever came after it; 0 if none has, or nothing was sent."""
        return self._listener.status if self._listener is not None and self.let_go else 0

    async def look_and_let_go(self, connection: "Connection") -> None:
        """Raises what the last look raises, and ServerDisconnectedError; then nothing is sent."""
        self._transport = connection.transport
        if isinstance(connection.protocol, StatusListener):
            self._listener = connection.protocol
        try:
            await self._look()
            if connection.closed:
                raise ServerDisconnectedError
        except BaseException:
            connection.close()
            raise
        self.let_go = True

    async def _look(self) -> None:
        try:
            await self._last_look()
        except Exception as objection:
            self.objection = objection
            raise


#: The request that this code is about. A connection for none is an error, and isn't made.
_SENDING: ContextVar[Sending] = ContextVar("sending")


class OneCallConnector(TCPConnector):
    """Makes a connection for each request, which asks once more before it hands itself over. None is kept.

    aiohttp awaits `connect` before it writes, so what is done here happens after DNS, TCP and TLS, and before the first
    byte of the request.
    """

    def __init__(self, resolver: AbstractResolver, *, allow_loopback: bool, tls: ssl.SSLContext | None) -> None:
        super().__init__(
            resolver=resolver,
            use_dns_cache=False,
            force_close=True,
            limit=0,  # none: a call doesn't wait for the end of another
            ssl=True if tls is None else tls,
            socket_factory=partial(checked_socket, allow_loopback=allow_loopback),
        )
        # aiohttp has no public way to have a connection's bytes seen before they are parsed.
        self._factory: Callable[[], ResponseHandler] = partial(  # type: ignore[assignment] # it is called, and no more
            StatusListener, loop=asyncio.get_running_loop()
        )

    async def connect(
        self,
        req: "ClientRequest",
        traces: list["Trace"],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> "Connection":
        sending = _SENDING.get()
        connection = await super().connect(req, traces, timeout)
        await sending.look_and_let_go(connection)
        return connection


class PerLoop:
    """The connector of the event loop that runs. It can't be another loop's, and each invocation has a loop of its own.

    To make one takes as long as a tenth of a call does. It needn't be closed, since it keeps no connection.
    """

    def __init__(self, make: Callable[[], OneCallConnector]) -> None:
        self._make = make
        self._last: tuple[asyncio.AbstractEventLoop, OneCallConnector] | None = None

    def connector(self) -> OneCallConnector:
        loop = asyncio.get_running_loop()
        last = self._last
        if last is None or last[0] is not loop:
            last = self._last = loop, self._make()
        return last[1]
