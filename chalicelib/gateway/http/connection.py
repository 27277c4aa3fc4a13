"""The connection of one request, which asks once more before it hands itself over."""

import asyncio
import ssl
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import ClientTimeout, ServerDisconnectedError, TCPConnector
from aiohttp.abc import AbstractResolver

from chalicelib.gateway.http.lookup import checked_socket
from chalicelib.gateway.telephone import LastLook

if TYPE_CHECKING:
    from aiohttp import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


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
