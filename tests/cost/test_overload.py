"""More than the dialers can do: what is made levels off, and nobody suffers for another.

The event source has few functions here, so that little is much.
"""

import pytest

from tests.cost.deployment import Deployment
from tests.cost.world import Conditions, World

#: of which the first are for finding out how much is too much
MINUTES, LEARNING = 12, 2
#: how long calls take is known when the first have ended; until then the others lose calls, too
SLOW_LEARNT = 6
#: what two dialers are about able to do in a minute, at two seconds a call
CAPACITY = 300


def overloaded(pace: int, seed: int = 0) -> World:
    conditions = Conditions(pace * MINUTES, pace=pace, latency=2, at_most=MINUTES, dialers=2, seed=seed)
    return World(conditions, Deployment.read())


def made(world: World) -> float:
    """Calls a minute, on average."""
    return sum(world.made(1, minute) for minute in range(LEARNING, MINUTES)) / (MINUTES - LEARNING)


@pytest.mark.parametrize("times", [3, 10])
def test_calls_made_stay_at_what_can_be_done_however_many_are_offered(times: int) -> None:
    can, too_much = overloaded(CAPACITY), overloaded(times * CAPACITY)
    can.run()
    too_much.run()
    assert made(too_much) >= 0.9 * made(can)


def test_what_is_handed_over_in_vain_is_little() -> None:
    world = overloaded(3 * CAPACITY)
    world.run()
    slices = world.ledger.sqs["ReceiveMessage"]
    assert slices < 2 * len(world.tenant.calls) / 20 * 1.5


def test_two_ticks_after_the_load_falls_all_is_as_usual() -> None:
    world = overloaded(3 * CAPACITY)
    pace, falls = CAPACITY // 2, 6
    world.each_minute = lambda minute: world.change_pace(pace if minute >= falls else 3 * CAPACITY)
    world.run()
    assert [world.made(1, minute) for minute in range(falls + 3, MINUTES)] == pytest.approx(
        [pace] * (MINUTES - falls - 3), abs=2
    )


@pytest.mark.parametrize("latency", [5, 29])
def test_a_slow_campaign_leaves_the_others_their_share(latency: float) -> None:
    """Two campaigns at 600 a minute; the slow one alone would keep more dialers busy than there are."""
    pace = 1200
    conditions = Conditions(pace * MINUTES, campaigns=2, pace=pace, at_most=MINUTES, dialers=10, slow={2: latency})
    world = World(conditions, Deployment.read())
    world.run()
    healthy = [world.made(1, minute) for minute in range(SLOW_LEARNT, MINUTES)]
    assert sum(healthy) >= 0.98 * 600 * len(healthy)
    slow = [world.made(2, minute) for minute in range(SLOW_LEARNT, MINUTES)]
    assert all(calls > 0 for calls in slow)
