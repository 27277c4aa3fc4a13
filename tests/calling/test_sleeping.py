"""A running campaign with nothing to do sleeps until shortly before its next call or report."""

from dataclasses import replace
from datetime import timedelta

from chalicelib.domain.models import Counts, Day
from chalicelib.domain.outcome import Answered
from tests.support.campaigns import MINUTE, campaign, destinations, numbers, prepare, prepare_running, start
from tests.support.customer import Customer
from tests.support.databases import with_work
from tests.support.examples import CAMPAIGN
from tests.support.world import EIGHT, World

HOUR = timedelta(hours=1)


def is_asleep(world: World) -> bool:
    return with_work(world.progress, world.clock.now()) == []


def test_a_campaign_sleeps_until_its_hours_begin_and_calls_in_their_first_seconds(world: World) -> None:
    world.clock.turn_to(EIGHT + 22 * HOUR)
    prepare_running(world, numbers(120))
    world.run(minutes=2)
    minutes_asleep = 0
    while world.clock.now() < EIGHT + 24 * HOUR + 2 * MINUTE:
        minutes_asleep += is_asleep(world)
        world.run(minutes=1)
    # It wakes about once an hour.
    assert minutes_asleep >= 110
    opens = EIGHT + 24 * HOUR
    late = [call.at - opens - timedelta(seconds=second) for second, call in enumerate(world.tenant.calls)]
    # The first second of the window has no call, since clocks differ.
    assert len(late) == 120
    assert all(timedelta(0) <= one <= timedelta(seconds=1) for one in late)


def test_a_campaign_sleeps_in_the_rest_between_two_periods(world: World) -> None:
    prepare(world, numbers(19), period=1, amount=10)
    world.services.profiles.change("acme", 1, {"time_between_periods": 20})
    start(world)
    world.run(minutes=6)
    assert len(world.tenant.calls) == 9  # the campaign was started at the instant of the first slot
    assert is_asleep(world)
    world.run(minutes=16)
    assert sorted(world.tenant.called) == destinations(numbers(19))
    assert world.tenant.calls[9].at == EIGHT + 21 * MINUTE


def test_slots_that_passed_while_retries_waited_are_not_made_up_for(world: World) -> None:
    world.tenant.on_call = lambda _: Answered(500, {}, b"")
    prepare(world, numbers(10), max_retries=1, amount=6)
    world.services.campaigns.change(CAMPAIGN, lambda plan: replace(plan, retry_interval=1800), EIGHT)
    start(world)
    world.run(minutes=8)
    assert len(world.tenant.calls) == 10
    assert is_asleep(world)
    world.run(minutes=40)
    retried_at = [call.at for call in world.tenant.calls[10:]]
    # One minute's slots may be made up for, at twice the pace. If those of half an hour were, all ten would go out.
    assert retried_at[-1] - retried_at[0] > timedelta(seconds=80)
    assert campaign(world).counts == Counts(failed=10)


def test_a_new_day_in_a_schedule_wakes_its_campaigns(world: World) -> None:
    prepare(world, numbers(3))
    world.services.schedules.change("acme", 1, {"days": (Day.SUN,)})
    start(world)
    world.run(minutes=6)
    assert is_asleep(world)
    Customer(world.services).patch("/api/schedules/1", days=["mon"])
    world.run(minutes=2)
    assert sorted(world.tenant.called) == destinations(numbers(3))


def test_a_new_pace_in_a_profile_wakes_its_campaigns(world: World) -> None:
    prepare(world, numbers(3), amount=1)
    world.services.profiles.change("acme", 1, {"time_between_periods": 50})
    start(world)
    world.run(minutes=6)
    assert is_asleep(world)
    Customer(world.services).patch("/api/profiles/1", time_between_periods=0)
    world.run(minutes=4)
    assert sorted(world.tenant.called) == destinations(numbers(3))


def test_a_campaign_sleeps_until_its_next_report_is_due(world: World) -> None:
    world.tenant.on_report = lambda _: Answered(503, {"retry-after": "3000"}, b"")
    prepare_running(world, numbers(1))
    world.run(minutes=5)
    assert is_asleep(world)
    world.tenant.on_report = lambda _: Answered(200, {}, b"")
    world.run(minutes=50)
    assert len(world.tenant.reports) == 2
    assert world.tenant.reports[-1].at - world.tenant.reports[0].at >= 50 * MINUTE
