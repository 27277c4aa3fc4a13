"""How much the pacer hands over, by what it finds of the calls that were made."""

import json
from datetime import timedelta

from chalicelib.domain.call import ReportState
from chalicelib.domain.keys import CallKey
from chalicelib.domain.outcome import Outcome, Result
from tests.support.campaigns import campaign, numbers, prepare, start
from tests.support.world import World


def make_calls(world: World, first: int, beyond: int, takes: timedelta) -> None:
    """As dialers do, without a settler that sees them."""
    entries = numbers(beyond)
    for sequence in range(first, beyond):
        key, now = CallKey("acme", 1, sequence), world.clock.now()
        claim = world.services.calls.claim(key, entries[sequence], 1, now)
        assert claim is not None
        world.services.calls.finish(claim, Outcome(Result.COMPLETED, "http_200"), now + takes, ReportState.NONE)


def slices_of_a_tick(world: World) -> list[str]:
    """What is handed over, a minute before the next tick."""
    world.tick()
    slices = [message.body for message in world.sqs.messages]
    world.sqs.messages.clear()
    world.clock.advance(60)
    return slices


def calls_in(slices: list[str]) -> int:
    return sum(len(json.loads(body)["dials"]) for body in slices)


def handed_over(world: World) -> int:
    """How many calls in one tick."""
    return calls_in(slices_of_a_tick(world))


def test_a_limit_by_what_came_back_holds_in_ticks_that_try_nothing_too(world: World) -> None:
    """Slices that all come back, of a campaign that has a share of the dialers, too: a slice is tried now and then."""
    world.pacer._dialers = 1
    prepare(world, numbers(6000), amount=600)
    start(world)
    first = handed_over(world)
    make_calls(world, 0, 60, takes=timedelta(seconds=20))
    handed = []
    for _ in range(14):
        slices = slices_of_a_tick(world)
        handed.append(calls_in(slices))
        assert world.dial(slices) == []  # they come too late, and go back
    assert first > 100
    assert max(handed[4:]) <= 60
    assert 0 < sum(handed[4:]) <= 20 * len(handed[4:])


def test_calls_that_have_become_slow_are_seen_before_the_settler_says_so(world: World) -> None:
    world.pacer._dialers = 1
    prepare(world, numbers(900), amount=300)
    start(world)
    first = handed_over(world)
    make_calls(world, 0, 250, takes=timedelta(seconds=5))
    assert handed_over(world) < 0.9 * 300 < first
    assert campaign(world).call_time == timedelta(0)


def test_calls_that_have_become_quick_are_seen_before_the_settler_says_so(world: World) -> None:
    world.pacer._dialers = 1
    prepare(world, numbers(1200), amount=300)
    start(world)
    first = handed_over(world)
    make_calls(world, 0, first, takes=timedelta(seconds=5))
    world.settle()
    second = handed_over(world)
    make_calls(world, first, first + second - 50, takes=timedelta(seconds=0.2))
    assert campaign(world).call_time > timedelta(seconds=4)
    assert second < 0.9 * 300 <= handed_over(world)
