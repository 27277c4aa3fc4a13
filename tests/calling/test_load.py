"""How many calls the pacer dispatches, by the newest calls that were made."""

import json
from datetime import timedelta

import pytest

from chalicelib.domain.call import ReportState
from chalicelib.domain.outcome import Outcome, Result
from chalicelib.runtime.metrics import Metric
from tests.support.campaigns import campaign, numbers, prepare_running
from tests.support.examples import CAMPAIGN
from tests.support.world import World


@pytest.fixture
def world(world: World) -> World:
    """There is one dialer."""
    world.pacer = world.pacer_with(dialers=1)
    return world


def make_calls(world: World, first: int, beyond: int, takes: timedelta) -> None:
    """Record calls as dialers do. No settler reads them."""
    entries = numbers(beyond)
    for sequence in range(first, beyond):
        key, now = CAMPAIGN.call(sequence), world.clock.now()
        claim = world.services.calls.claim(key, entries[sequence], 1, now)
        assert claim is not None
        world.services.calls.finish(claim, Outcome(Result.COMPLETED, "http_200"), now + takes, ReportState.NONE)


def dispatch_slices(world: World) -> list[str]:
    """The slices of one tick. A minute passes."""
    world.tick()
    slices = [message.body for message in world.sqs.messages]
    world.sqs.messages.clear()
    world.clock.advance(60)
    return slices


def calls_in(slices: list[str]) -> int:
    return sum(len(json.loads(body)["dials"]) for body in slices)


def dispatch(world: World) -> int:
    """How many calls one tick dispatches."""
    return calls_in(dispatch_slices(world))


def test_a_limit_from_returned_calls_stays_in_ticks_that_dispatch_nothing(world: World) -> None:
    """All slices are returned, and the campaign has a share of the dialers. Only some ticks dispatch a slice."""
    prepare_running(world, numbers(6000), amount=600)
    first = dispatch(world)
    make_calls(world, 0, 60, takes=timedelta(seconds=20))
    dispatched = []
    for _ in range(14):
        slices = dispatch_slices(world)
        dispatched.append(calls_in(slices))
        assert world.dial(slices) == []  # they come too late, and are returned
    assert first > 100
    assert max(dispatched[4:]) <= 60
    assert 0 < sum(dispatched[4:]) <= 20 * len(dispatched[4:])


def test_the_pacer_knows_that_calls_have_become_slow_before_the_settler_does(world: World) -> None:
    prepare_running(world, numbers(900), amount=300)
    first = dispatch(world)
    make_calls(world, 0, 250, takes=timedelta(seconds=5))
    assert dispatch(world) < 0.9 * 300 < first
    assert campaign(world).call_time == timedelta(0)


def test_the_pacer_knows_that_calls_have_become_quick_before_the_settler_does(world: World) -> None:
    prepare_running(world, numbers(1200), amount=300)
    first = dispatch(world)
    make_calls(world, 0, first, takes=timedelta(seconds=5))
    world.settle()
    second = dispatch(world)
    make_calls(world, first, first + second - 50, takes=timedelta(seconds=0.2))
    assert campaign(world).call_time > timedelta(seconds=4)
    assert second < 0.9 * 300 <= dispatch(world)


def test_the_dialers_that_calls_need_are_measured_by_the_time_that_calls_take(world: World) -> None:
    prepare_running(world, numbers(900), amount=300)
    dispatch(world)
    make_calls(world, 0, 250, takes=timedelta(seconds=5))
    dispatch(world)
    quick, slow = world.metrics.measured[Metric.DIALERS_NEEDED]
    assert quick < 2 < slow
