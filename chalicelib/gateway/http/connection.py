"""Connections for one request each. The last look is taken when the connection stands, before anything is written."""

import asyncio
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from aiohttp import ClientSession, ClientTimeout, ServerDisconnectedError, TCPConnector
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler

from chalicelib.domain.outcome import Answered
from chalicelib.gateway.clients import LastLook
from chalicelib.gateway.http.listening import AnswerListener
from chalicelib.gateway.http.lookup import checked_socket

if TYPE_CHECKING:
    from aiohttp import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


class Sending:
    """The state of one request: its last look, and whether it may have been sent.

    A context manager. Connections that are made within it are for this request, and closed at its end.
    """

    def __init__(self, last_look: LastLook) -> None:
        self._last_look = last_look
        self._transport: asyncio.Transport | None = None
        self._listener: AnswerListener | None = None
        #: if True, a part of the request may have been sent
        self.look_passed = False
        #: what the last look raised
        self.last_look_error: Exception | None = None

    def __enter__(self) -> Self:
        self._reset_token = _SENDING.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection at once, whatever is left to read or write. So no server can keep it open."""
        _SENDING.reset(self._reset_token)
        if self._transport is not None:
            self._transport.abort()

    def answer(self) -> Answered | None:
        """What was received of the answer. None if there is no status line, or nothing was sent."""
        return self._listener.answer() if self._listener is not None and self.look_passed else None

    async def take_last_look(self, connection: "Connection") -> None:
        """Raises what the last look raises, or ServerDisconnectedError. Then nothing is sent."""
        self._transport = connection.transport
        if isinstance(connection.protocol, AnswerListener):
            self._listener = connection.protocol
        try:
            await self._run_last_look()
            if connection.closed:
                raise ServerDisconnectedError
        except BaseException:
            connection.close()
            raise
        self.look_passed = True

    async def _run_last_look(self) -> None:
        try:
            await self._last_look()
        except Exception as error:
            self.last_look_error = error
            raise


#: The request that a connection is made for. Without one, `connect` raises LookupError.
_SENDING: ContextVar[Sending] = ContextVar("sending")


class OneCallConnector(TCPConnector):
    """Opens a connection for each request, and takes its last look. It keeps no connection.

    aiohttp awaits `connect` before it writes. So the last look comes after DNS, TCP and TLS, and before the first byte
    of the request.
    """

    def __init__(self, resolver: AbstractResolver, *, allow_loopback: bool, tls: ssl.SSLContext | None) -> None:
        super().__init__(
            resolver=resolver,
            use_dns_cache=False,
            force_close=True,
            limit=0,  # no limit: no call waits for another one's end
            ssl=True if tls is None else tls,
            socket_factory=partial(checked_socket, allow_loopback=allow_loopback),
        )
        # aiohttp has no public way to read a connection's bytes before they are parsed.
        self._factory: Callable[[], ResponseHandler] = partial(  # type: ignore[assignment] # aiohttp only calls it
            AnswerListener, loop=asyncio.get_running_loop()
        )

    async def connect(
        self,
        req: "ClientRequest",
        traces: list["Trace"],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> "Connection":
        sending = _SENDING.get()
        connection = await super().connect(req, traces, timeout)
        await sending.take_last_look(connection)
        return connection


class SessionPerLoop:
    """The session of the running event loop. Another loop can't use it, and each invocation has a loop of its own.

    All calls of a loop share it, because making one takes a tenth of the time that a call takes. It keeps no connection
    and no cookie, so there is nothing to close. But aiohttp warns of a session that isn't.
    """

    def __init__(self, make: Callable[[], ClientSession]) -> None:
        self._make = make
        self._last: tuple[asyncio.AbstractEventLoop, ClientSession] | None = None

    def session(self) -> ClientSession:
        loop = asyncio.get_running_loop()
        last = self._last
        if last is None or last[0] is not loop:
            self._leave()
            last = self._last = loop, self._make()
        return last[1]

    def _leave(self) -> None:
        if self._last is not None:
            self._last[1].detach()

    def __del__(self) -> None:
        self._leave()
