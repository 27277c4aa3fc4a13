"""Microseconds of CPU time of pacer and dialer for each call, over a simulated database, whose time is shown apart.

It is CPU time, so other programs don't count. Simulated time stands still, nothing waits, and the tenant's server is a
function that reads nothing. So the figures include what callpacer, pynamodb and asyncio do for a call, from the message
to the report. They don't include botocore, connections, threads, or log lines.
"""

import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks.comparison import ROUNDS
from benchmarks.pacer import prepared
from chalicelib.domain.outcome import Answered, RequestResult
from chalicelib.gateway.clients import LastLook
from chalicelib.storage.database import DynamoDB
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.support.databases import with_tables
from tests.support.world import FakeTenant, World

CALLS = 2_000
#: the most items in a page of a query; in DynamoDB a page has a megabyte
_PAGE = 100_000


class Tenant(FakeTenant):
    """Accepts every call and every report without reading it."""

    made = 0

    async def place_call(self, *_: Any, last_look: LastLook, **__: Any) -> RequestResult:
        await last_look()
        self.made += 1
        return Answered(200, {}, b"")

    async def report(self, *_: Any, **__: Any) -> RequestResult:
        return Answered(200, {}, b"")


class Timed:
    """A client that measures its own CPU time, in seconds."""

    def __init__(self, client: DynamoDB) -> None:
        self._client = client
        self.taken = 0.0

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        begun = time.process_time()
        try:
            return self._client._make_api_call(operation_name, api_params)
        finally:
            self.taken += time.process_time() - begun


def run(calls: int = CALLS, rounds: int = ROUNDS) -> Iterator[str]:
    turns = [turn(calls) for _ in range(rounds)]
    for index, name in enumerate(("pacer", "dialer")):
        own, database = zip(*(one[index] for one in turns), strict=True)
        yield (
            f"{name:<8} {median(own):>8,.0f} µs a call (from {min(own):,.0f} to {max(own):,.0f} in {rounds} turns), "
            f"without {median(database):,.0f} of the simulated database"
        )


def turn(calls: int) -> list[tuple[float, float]]:
    """Microseconds for each call, of the pacer, then of the dialer: its own, and the simulated database's."""
    client = Timed(SimulatedDynamoDB(page_size=_PAGE))
    world = prepared(with_tables(client), calls)
    tenant = Tenant(world.clock)
    world.dialer = world.dialer_over(tenant)
    found = []
    for work in (tick, dial_all):
        client.taken = 0.0
        seconds = work(world)
        found.append((1e6 * (seconds - client.taken) / calls, 1e6 * client.taken / calls))
    if tenant.made != calls:
        raise RuntimeError(f"{tenant.made} of {calls} calls were made")
    return found


def tick(world: World) -> float:
    """The seconds that it takes to dispatch all calls."""
    begun = time.process_time()
    world.tick()
    return time.process_time() - begun


def dial_all(world: World) -> float:
    """The seconds that it takes to make and report all calls that were dispatched, slice by slice."""
    messages = sorted(world.sqs.messages, key=lambda message: message.visible_at)
    taken = 0.0
    for message in messages:
        world.clock.turn_to(message.visible_at)
        begun = time.process_time()
        again = world.dial([message.body])
        taken += time.process_time() - begun
        if again:
            raise RuntimeError("a message was not completed")
    return taken
