"""Calls through the gateway to a server on this machine, compared with bare aiohttp and a new connection for each call.

For each call the gateway does what bare aiohttp doesn't: it parses and checks the URL, checks the address at the
socket, takes a last look before it sends, keeps a deadline, and limits the size of the answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from aiohttp import ClientSession, TCPConnector

from benchmarks.comparison import compared
from benchmarks.tenant import tenant
from chalicelib.domain.outcome import Answered
from chalicelib.domain.slicing import MOST_DIALS
from chalicelib.gateway.clients import form_body
from chalicelib.gateway.http.posting import HttpGateway

#: calls in a turn, and how many of them at once: as many as a slice has
CALLS, CALLS_AT_ONCE = 200, MOST_DIALS
#: many short turns: then the median ignores a slow moment of the machine
TURNS = 61
_BODY = form_body({"phone_number": "tel:+12223334444;ani=7778889999", "message_reference": "march", "call_id": "1"})
_HEADERS = {
    "Idempotency-Key": "4294967296-1",
    "webhook-id": "dial_4294967296_1",
    "webhook-timestamp": "1767618000",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
}


def run(calls: int = CALLS, rounds: int = TURNS) -> Iterator[str]:
    with tenant() as url:
        gateway = through_gateway(url)
        yield from compared(
            "calls",
            calls,
            ("calls through the gateway", lambda: asyncio.run(_in_batches(gateway, calls))),
            ("bare aiohttp, a new connection each", lambda: asyncio.run(_bare(url, calls))),
            rounds,
        )


def through_gateway(url: str) -> Callable[[], Awaitable[None]]:
    """A function that makes one call."""
    gateway = HttpGateway(allow_loopback=True)

    async def call() -> None:
        answer = await gateway.place_call(url, _BODY, _HEADERS, last_look=_allow)
        if not (isinstance(answer, Answered) and answer.status == 200):
            raise RuntimeError(f"the call was not answered: {answer}")

    return call


async def _allow() -> None:
    """A last look that checks nothing: the dialer's own is not measured here."""


async def _bare(url: str, calls: int) -> None:
    async with ClientSession(connector=TCPConnector(force_close=True)) as session:

        async def call() -> None:
            fixed = {"Content-Type": "application/x-www-form-urlencoded"}
            async with session.post(url, data=_BODY, headers={**_HEADERS, **fixed}) as response:
                await response.read()

        await _in_batches(call, calls)


async def _in_batches(call: Callable[[], Awaitable[None]], calls: int) -> None:
    for first in range(0, calls, CALLS_AT_ONCE):
        await asyncio.gather(*(call() for _ in range(min(CALLS_AT_ONCE, calls - first))))
