"""Lines: never more calls at once than a campaign or an account may have, and no line idle for long."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Campaign, Plan, Status
from chalicelib.domain.outcome import Answered
from chalicelib.runtime.metrics import Metric
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.support.campaigns import MINUTE, campaign, numbers, prepare, prepare_running, start, stop
from tests.support.databases import with_tables
from tests.support.events import post_event
from tests.support.examples import CAMPAIGN
from tests.support.telephone import Telephones, about
from tests.support.world import HandClock, World


@pytest.fixture
def world() -> World:
    return World(with_tables(SimulatedDynamoDB()), HandClock())


def limit_lines(world: World, lines: int | None) -> None:
    def revise(plan: Plan) -> Plan:
        return replace(plan, max_concurrent_calls=lines)

    world.services.campaigns.change(CAMPAIGN, revise, world.clock.now())


def lines_in_use(world: World) -> int:
    return len(world.services.lines.read(str(CAMPAIGN)).held)


def test_lines_of_calls_that_last_are_in_use_nine_tenths_of_the_time(world: World) -> None:
    telephones = Telephones(world, about(45))
    prepare_running(world, numbers(200), max_concurrent_calls=10)
    telephones.run(minutes=9)
    assert telephones.most == 10
    since, until = world.clock.now() - 7 * MINUTE, world.clock.now()
    assert telephones.seconds_in_use(since, until) >= 0.9 * 10 * (until - since).total_seconds()
    assert world.metrics.counted[Metric.DEFERRED] == 0


@pytest.mark.parametrize(("calls_a_minute", "lines"), [(60, 20), (300, 30)])
def test_calls_that_end_at_once_keep_their_pace(world: World, calls_a_minute: int, lines: int) -> None:
    prepare_running(world, numbers(4 * calls_a_minute), amount=calls_a_minute, max_concurrent_calls=lines)
    world.run(minutes=3)
    made = [call.at for call in world.tenant.calls if call.at >= world.clock.now() - 2 * MINUTE]
    assert 0.98 * 2 * calls_a_minute <= len(made) <= 2 * calls_a_minute + 1


def test_one_line_makes_one_call_after_another(world: World) -> None:
    telephones = Telephones(world, lambda: 20.0)
    prepare_running(world, numbers(20), max_concurrent_calls=1)
    telephones.run(minutes=4)
    assert telephones.most == 1
    assert len(telephones.lines) >= 9


def test_the_campaigns_of_an_account_share_its_lines(world: World) -> None:
    telephones = Telephones(world, about(30))
    world.services.accounts.limit_concurrent_calls("acme", 6)
    first = prepare(world, numbers(100), max_concurrent_calls=4)
    world.services.campaigns.add(
        Campaign("acme", 2, replace(first.plan, max_concurrent_calls=None), Status.CREATED),
        numbers(100, first=100),
        None,
        world.clock.now(),
    )
    for identifier in (1, 2):
        world.services.campaigns.start(CampaignKey("acme", identifier), None, world.clock.now())
    telephones.run(minutes=5)
    assert telephones.most == 6
    assert telephones.most_of["1"] <= 4
    assert min(telephones.most_of.values()) >= 2


def test_calls_that_began_without_a_limit_hold_lines_once_there_is_one(world: World) -> None:
    telephones = Telephones(world, lambda: 200.0)
    prepare_running(world, numbers(60), amount=20)
    telephones.run(minutes=1)
    limit_lines(world, 10)
    telephones.run(minutes=4)
    dispatched_before = 25  # those of 75 seconds
    lines = telephones.lines
    assert len(lines) > dispatched_before
    for later in lines[dispatched_before:]:
        assert sum(line.begun <= later.begun < line.ends for line in lines) <= 10


def test_a_higher_limit_holds_from_the_next_tick_on_and_none_at_all_again(world: World) -> None:
    telephones = Telephones(world, lambda: 600.0)
    prepare_running(world, numbers(200), max_concurrent_calls=2)
    telephones.run(minutes=2)
    assert len(telephones.lines) == 2
    limit_lines(world, 5)
    telephones.run(minutes=2)
    assert len(telephones.lines) == 5
    limit_lines(world, None)
    telephones.run(minutes=1)
    assert len(telephones.lines) > 50


def test_a_line_whose_refill_died_before_it_sent_comes_back(world: World) -> None:
    prepare_running(world, numbers(10), max_concurrent_calls=3)
    world.tick()
    (first, *_) = world.sqs.messages
    world.sqs.messages.clear()
    world.sqs.refuses = 100
    assert world.dial([first.body]) == []
    assert lines_in_use(world) > 0
    world.sqs.refuses = 0
    world.clock.turn_to(world.clock.now() + timedelta(seconds=10))
    world.run(minutes=2)
    assert len(world.tenant.calls) == 10


def test_the_line_of_a_call_that_came_too_late_is_free_some_seconds_later(world: World) -> None:
    prepare_running(world, numbers(10), max_concurrent_calls=3)
    world.tick()
    refills = [message.body for message in world.sqs.messages]
    world.sqs.messages.clear()
    assert world.dial(refills[:1]) == []
    late = [message.body for message in world.sqs.messages]
    world.sqs.messages.clear()
    world.clock.turn_to(world.clock.now() + timedelta(seconds=8))
    assert world.dial(late) == []
    assert world.tenant.calls == []
    assert world.dial(refills[-3:-2]) == []
    world.drain(world.clock.now() + MINUTE)
    assert len(world.tenant.calls) == 3


def test_a_refill_that_comes_twice_or_late_takes_no_lines_again(world: World) -> None:
    world.tenant.on_call = lambda _: Answered(202, {}, b"")
    prepare_running(world, numbers(10), max_concurrent_calls=3)
    world.tick()
    (first, *_) = world.sqs.messages
    assert world.dial([first.body, first.body]) == []
    world.drain(world.clock.now() + timedelta(seconds=8))
    assert len(world.tenant.calls) == 3
    world.clock.turn_to(world.clock.now() + 10 * MINUTE)
    assert world.dial([first.body]) == []
    assert len(world.tenant.calls) == 3


def test_a_slice_that_comes_twice_holds_each_line_once(world: World) -> None:
    world.tenant.on_call = lambda _: Answered(202, {}, b"")
    prepare_running(world, numbers(10), max_concurrent_calls=3)
    world.tick()
    world.drain(world.clock.now())
    slices = [message for message in world.sqs.messages if '"dials"' in message.body]
    world.sqs.messages += slices
    world.run(minutes=3)
    assert len(world.tenant.calls) == 3
    assert lines_in_use(world) == 3


def test_a_busy_number_frees_its_line_for_another(world: World) -> None:
    world.tenant.on_call = lambda _: Answered(202, {}, b"")
    prepare_running(world, numbers(2), max_concurrent_calls=1, max_retries=1)
    world.run(minutes=1)
    assert len(world.tenant.calls) == 1
    post_event(world.services, world.tenant.calls[0].form["status_url"], status="busy")
    world.run(minutes=1)
    assert [call.form["attempt"] for call in world.tenant.calls] == ["1", "1"]


def test_a_call_without_an_end_frees_its_line_when_it_times_out(world: World) -> None:
    world.tenant.on_call = lambda _: Answered(202, {}, b"")
    prepare_running(world, numbers(3), max_concurrent_calls=1, call_timeout=60)
    world.run(minutes=7)
    assert len(world.tenant.calls) == 3


def test_a_stopped_campaign_is_not_refilled(world: World) -> None:
    prepare_running(world, numbers(100), max_concurrent_calls=10)
    world.tick()
    stop(world)
    world.drain(world.clock.now() + MINUTE)
    assert world.tenant.calls == []
    start(world)
    world.run(minutes=2)
    assert len(world.tenant.calls) > 50


def test_a_campaign_without_waiting_numbers_gets_no_refills(world: World) -> None:
    prepare_running(world, numbers(2), max_concurrent_calls=10)
    world.run(minutes=2)
    assert len(world.tenant.calls) == 2
    world.sqs.messages.clear()
    world.tick()
    assert world.sqs.messages == []
    assert campaign(world).counts.completed == 2
