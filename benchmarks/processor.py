"""Microseconds of pacer and dialer for each call, over a simulated database, whose own are told beside theirs.

They are the processor's: what other programs do meanwhile doesn't count. Time stands still, nothing waits, and the
tenant's server is a function, which reads nothing. So all is in it that callpacer, pynamodb and asyncio do for a call,
from the message to the report; and nothing of botocore, of connections, of threads, or of lines in the log.
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
#: no page of a query is larger; in DynamoDB a page has a megabyte
_PAGE = 100_000


class Tenant(FakeTenant):
    """Takes every call and every report, without a look at it."""

    made = 0

    async def place_call(self, *_: Any, last_look: LastLook, **__: Any) -> RequestResult:
        await last_look()
        self.made += 1
        return Answered(200, {}, b"")

    async def report(self, *_: Any, **__: Any) -> RequestResult:
        return Answered(200, {}, b"")


class Timed:
    """A client, and the seconds of the processor that it has taken itself."""

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
    for place, name in enumerate(("pacer", "dialer")):
        own, database = zip(*(one[place] for one in turns), strict=True)
        yield (
            f"{name:<8} {median(own):>8,.0f} µs a call (from {min(own):,.0f} to {max(own):,.0f} in {rounds} turns), "
            f"without {median(database):,.0f} of the simulated database"
        )


def turn(calls: int) -> list[tuple[float, float]]:
    """Microseconds a call of the pacer, then of the dialer: its own, and the simulated database's."""
    client = Timed(SimulatedDynamoDB(page_size=_PAGE))
    world = prepared(with_tables(client), calls)
    tenant = Tenant(world.clock)
    world.dialer = world.dialer_over(tenant)
    found = []
    for work in (ticking, dialling):
        client.taken = 0.0
        seconds = work(world)
        found.append((1e6 * (seconds - client.taken) / calls, 1e6 * client.taken / calls))
    if tenant.made != calls:
        raise RuntimeError(f"{tenant.made} of {calls} calls were made")
    return found


def ticking(world: World) -> float:
    """Seconds that it takes to hand all over."""
    begun = time.process_time()
    world.tick()
    return time.process_time() - begun


def dialling(world: World) -> float:
    """Seconds that it takes to make all the calls that are handed over, and to report them, slice by slice."""
    messages = sorted(world.sqs.messages, key=lambda message: message.visible_at)
    taken = 0.0
    for message in messages:
        world.clock.turn_to(message.visible_at)
        begun = time.process_time()
        again = world.dial([message.body])
        taken += time.process_time() - begun
        if again:
            raise RuntimeError("not all messages were dealt with")
    return taken
