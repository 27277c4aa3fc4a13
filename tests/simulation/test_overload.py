"""When more calls are due than the dialers can make, no capacity is lost, and each campaign gets its share.

There are few dialers here, so that a small simulation overloads them.
"""

from datetime import timedelta

import pytest

from benchmarks.cost.deployment import Deployment
from benchmarks.cost.world import Conditions, World
from chalicelib.domain.slicing import LEAD, MOST_DIALS, PROCESSOR_TIME

#: how long a simulation lasts, and after how many minutes the pacer has found the limit
MINUTES, LEARNING = 11, 2
#: After how many minutes the pacer knows how long slow calls take. Until then the other campaigns lose calls, too.
SLOW_LEARNT = 5
#: how many dialers there are, and how many seconds a call takes, and then its report
DIALERS, LATENCY = 2, 2
#: How long a full slice keeps a dialer busy: it starts, its calls share a processor, the last one is made and reported.
SLICE_TIME = LEAD + MOST_DIALS * PROCESSOR_TIME + 2 * timedelta(seconds=LATENCY)
#: how many calls the dialers can make in a minute, if each always has a full slice
CAPACITY = int(DIALERS * MOST_DIALS * timedelta(minutes=1) / SLICE_TIME)


def overloaded(pace: int, seed: int = 0) -> World:
    conditions = Conditions(pace * MINUTES, pace=pace, latency=LATENCY, at_most=MINUTES, dialers=DIALERS, seed=seed)
    return World(conditions, Deployment.read())


def made(world: World) -> float:
    """Calls a minute, on average."""
    return sum(world.made(1, minute) for minute in range(LEARNING, MINUTES)) / (MINUTES - LEARNING)


@pytest.fixture(scope="module")
def worlds() -> dict[int, World]:
    """Worlds in which 3 and 10 times as many calls are due as the dialers can make."""
    found = {times: overloaded(times * CAPACITY) for times in (3, 10)}
    for world in found.values():
        world.run()
    return found


@pytest.mark.xdist_group("overload")
@pytest.mark.parametrize("times", [3, 10])
def test_nine_tenths_of_what_the_dialers_can_make_are_made_however_many_are_due(
    worlds: dict[int, World], times: int
) -> None:
    assert made(worlds[times]) >= 0.9 * CAPACITY


@pytest.mark.xdist_group("overload")
def test_few_slices_are_dispatched_in_vain(worlds: dict[int, World]) -> None:
    slices = len(worlds[3].tenant.calls) / MOST_DIALS
    assert worlds[3].ledger.sqs["ReceiveMessage"] < 2 * slices


def test_two_ticks_after_the_load_falls_all_calls_are_made() -> None:
    world = overloaded(3 * CAPACITY)
    # Two calls a second: then the dialers are nearly always busy with slices of four seconds.
    pace, falls = 120, 6
    world.each_minute = lambda minute: world.change_pace(pace if minute >= falls else 3 * CAPACITY)
    world.run()
    after_two_ticks = range(falls + 2, MINUTES)
    assert [world.made(1, minute) for minute in after_two_ticks] == [pace] * len(after_two_ticks)


def test_a_slow_campaign_leaves_the_others_their_share() -> None:
    """There are two campaigns at 600 a minute. The slow one alone would keep more dialers busy than there are."""
    pace = 1200
    conditions = Conditions(pace * MINUTES, campaigns=2, pace=pace, at_most=MINUTES, dialers=10, slow={2: 29})
    world = World(conditions, Deployment.read())
    world.run()
    healthy = [world.made(1, minute) for minute in range(SLOW_LEARNT, MINUTES)]
    assert sum(healthy) >= 0.98 * 600 * len(healthy)
    slow = [world.made(2, minute) for minute in range(SLOW_LEARNT, MINUTES)]
    assert all(calls > 0 for calls in slow)


def test_many_slow_campaigns_share_the_dialers() -> None:
    """Each could keep a tenth of the dialers busy with slices of one call. It dispatches full slices instead.

    At 30 calls a minute a slice has seven, and keeps a dialer busy for 42 seconds.
    """
    campaigns, dialers, full = 20, 10, 7 / 42
    slow = dict.fromkeys(range(1, campaigns + 1), 29.0)
    conditions = Conditions(600 * MINUTES, campaigns, pace=600, at_most=MINUTES, dialers=dialers, slow=slow)
    world = World(conditions, Deployment.read())
    world.run()
    by_minute = world.made_by_minute()
    learnt = range(SLOW_LEARNT, MINUTES)
    assert sum(by_minute[minute] for minute in learnt) >= 0.5 * dialers * full * 60 * len(learnt)
    made = [sum(world.made(campaign, minute) for minute in range(MINUTES)) for campaign in slow]
    assert min(made) >= 0.3 * sum(made) / campaigns
