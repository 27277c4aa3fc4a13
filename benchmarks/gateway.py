"""Calls through the gateway to a server on this machine, beside bare aiohttp with a new connection each.

The gateway does for each call what bare aiohttp doesn't: it reads the URL and checks it, checks the address at the
socket, takes a last look before it sends, keeps a deadline and bounds the answer.
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

#: how many in a turn, and how many of them at once: as many as a dialer's batch has
CALLS, WEIGHT_PER_INVOCATION = 200, MOST_DIALS
#: short turns, and many: a slow moment of the machine is left out then by the median
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
    """Makes one call."""
    gateway = HttpGateway(allow_loopback=True)

    async def call() -> None:
        answer = await gateway.place_call(url, _BODY, _HEADERS, last_look=_nothing_against_it)
        if not (isinstance(answer, Answered) and answer.status == 200):
            raise RuntimeError(f"the call was not answered: {answer}")

    return call


async def _nothing_against_it() -> None:
    """What the dialer looks at is the dialer's own time."""


async def _bare(url: str, calls: int) -> None:
    async with ClientSession(connector=TCPConnector(force_close=True)) as session:

        async def call() -> None:
            fixed = {"Content-Type": "application/x-www-form-urlencoded"}
            async with session.post(url, data=_BODY, headers={**_HEADERS, **fixed}) as response:
                await response.read()

        await _in_batches(call, calls)


async def _in_batches(call: Callable[[], Awaitable[None]], calls: int) -> None:
    for begin in range(0, calls, WEIGHT_PER_INVOCATION):
        await asyncio.gather(*(call() for _ in range(min(WEIGHT_PER_INVOCATION, calls - begin))))
