"""Microseconds of pacer and dialer for each call, over a simulated database, which takes some of them itself.

They are the processor's: what other programs do meanwhile doesn't count. Time stands still, nothing waits, and the
tenant's server is a function.
"""

import time
from collections.abc import Iterator
from statistics import median

from benchmarks.comparison import ROUNDS
from benchmarks.pacer import prepared
from tests.databases import with_tables
from tests.functional.world import World
from tests.simulation.dynamodb import SimulatedDynamoDB

CALLS = 2_000
#: no page of a query is larger; in DynamoDB a page has a megabyte
_PAGE = 100_000


def run(calls: int = CALLS, rounds: int = ROUNDS) -> Iterator[str]:
    paced, dialled = [], []
    for _ in range(rounds):
        world = simulated(calls)
        paced.append(ticking(world))
        dialled.append(dialling(world))
        if len(world.tenant.called) != calls:
            raise RuntimeError(f"{len(world.tenant.called)} of {calls} calls were made")
    for name, seconds in (("pacer", paced), ("dialer", dialled)):
        each = sorted(1e6 * one / calls for one in seconds)
        yield f"{name:<8} {median(each):>8,.0f} µs a call (from {each[0]:,.0f} to {each[-1]:,.0f} in {rounds} turns)"


def simulated(calls: int) -> World:
    return prepared(with_tables(SimulatedDynamoDB(page_size=_PAGE)), calls)


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
