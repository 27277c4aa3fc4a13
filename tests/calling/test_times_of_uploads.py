"""Numbers that aren't called before an instant, or from an instant on, as their upload says."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from chalicelib.calling.passing import GROUPS_PASSED
from chalicelib.domain.call import ReportState, State
from chalicelib.domain.models import MOST_PASSED, Entry, Status
from chalicelib.domain.outcome import Answered, NotSent
from chalicelib.errors import Busy
from chalicelib.storage.progress import ProgressStore
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.support.campaigns import (
    MINUTE,
    call,
    campaign,
    destinations,
    numbers,
    prepare_running,
    progress,
    shown_status,
    stop,
)
from tests.support.databases import with_tables, with_work
from tests.support.examples import CAMPAIGN
from tests.support.world import EIGHT, HandClock, World

HOUR = timedelta(hours=1)


class Dies(Exception):
    """The function dies."""


@pytest.fixture
def world() -> World:
    return World(with_tables(SimulatedDynamoDB()), HandClock())


def timed(
    entries: Sequence[Entry], *, not_before: datetime | None = None, expires: datetime | None = None
) -> list[Entry]:
    return [entry._replace(not_before=not_before, expires=expires) for entry in entries]


def append(world: World, entries: Sequence[Entry]) -> None:
    world.services.campaigns.append(CAMPAIGN, entries, None, world.clock.now())


def reported(world: World) -> list[tuple[str, str, str, str]]:
    fields = ("phone_number", "result", "reason", "attempts")
    return sorted(tuple(report.form[field] for field in fields) for report in world.tenant.reports)  # type: ignore[misc] # it has four


def called_at(world: World, entry: Entry) -> datetime:
    (at,) = [one.at for one in world.tenant.calls if one.form["phone_number"] == entry.destination]
    return at


def test_a_number_is_not_called_before_its_time_and_its_slot_goes_to_the_next_number(world: World) -> None:
    early = timed(numbers(2), not_before=EIGHT + 10 * MINUTE)
    others = numbers(3, first=2)
    prepare_running(world, [*early, *others], amount=3)
    world.run(minutes=1)
    assert world.tenant.called == destinations(others)
    world.run(minutes=4)
    assert progress(world) == {"total": 5, "completed": 3, "deferred": 2}
    world.run(minutes=9)
    assert world.tenant.called == destinations([*others, *early])
    assert all(EIGHT + 10 * MINUTE <= called_at(world, entry) < EIGHT + 12 * MINUTE for entry in early)
    assert progress(world) == {"total": 5, "completed": 5}
    assert shown_status(world) is Status.COMPLETED


def test_a_number_whose_time_comes_before_its_turn_keeps_its_turn(world: World) -> None:
    entries = [*numbers(4), *timed(numbers(1, first=4), not_before=EIGHT + 2 * MINUTE), *numbers(2, first=5)]
    prepare_running(world, entries, amount=1)
    world.run(minutes=8)
    assert world.tenant.called == destinations(entries)


def test_a_number_whose_time_is_over_fails_and_its_slot_goes_to_the_next_number(world: World) -> None:
    expired = timed(numbers(2, first=1), expires=EIGHT + MINUTE)
    entries = [*numbers(1), *expired, *numbers(2, first=3)]
    prepare_running(world, entries, amount=1)
    world.run(minutes=5)
    assert world.tenant.called == destinations([entries[0], entries[3], entries[4]])
    assert [row for row in reported(world) if row[1] == "failed"] == [
        (entry.destination, "failed", "expired", "0") for entry in expired
    ]
    assert progress(world) == {"total": 5, "completed": 3, "failed": 2}
    assert shown_status(world) is Status.COMPLETED


def test_a_campaign_completes_in_which_only_expired_numbers_are_left(world: World) -> None:
    prepare_running(world, timed(numbers(3), expires=EIGHT + 3 * MINUTE), amount=1, period=2)
    world.run(minutes=5)
    assert (len(world.tenant.calls), progress(world)) == (1, {"total": 3, "completed": 1, "failed": 2})
    assert shown_status(world) is Status.COMPLETED


def test_a_campaign_without_result_url_reports_no_expired_number(world: World) -> None:
    prepare_running(world, timed(numbers(2), expires=EIGHT - MINUTE), result_url=None)
    world.run(minutes=3)
    assert (reported(world), call(world, 0).report) == ([], ReportState.NONE)
    assert shown_status(world) is Status.COMPLETED


def test_a_number_that_expires_on_its_way_to_the_dialer_fails_without_a_call(world: World) -> None:
    prepare_running(world, timed(numbers(60), expires=EIGHT + timedelta(seconds=40)))
    world.run(minutes=3)
    last = max(one.at for one in world.tenant.calls)
    assert EIGHT + timedelta(seconds=35) < last < EIGHT + timedelta(seconds=40)
    assert len(world.tenant.calls) + len([row for row in reported(world) if row[2:] == ("expired", "0")]) == 60
    assert shown_status(world) is Status.COMPLETED


def test_no_retry_is_planned_for_a_time_at_which_the_number_has_expired(world: World) -> None:
    world.tenant.on_call = lambda _: Answered(500, {}, b"")
    prepare_running(world, timed(numbers(1), expires=EIGHT + timedelta(minutes=3.5)), max_retries=5)  # every 2 minutes
    world.run(minutes=8)
    assert len(world.tenant.calls) == 2
    assert reported(world) == [("tel:+12220000000", "failed", "http_500", "2")]


def test_a_retry_that_comes_too_late_is_not_made(world: World) -> None:
    world.tenant.on_call = lambda _: Answered(500, {}, b"")
    prepare_running(world, timed(numbers(1), expires=EIGHT + timedelta(minutes=2.9)), max_retries=1)
    world.run(minutes=2)
    stop(world)
    world.run(minutes=2)
    world.services.campaigns.start(CAMPAIGN, None, world.clock.now())
    world.run(minutes=4)
    assert len(world.tenant.calls) == 1
    assert reported(world) == [("tel:+12220000000", "failed", "expired", "1")]
    assert progress(world) == {"total": 1, "failed": 1}


def test_expired_tasks_take_no_slots(world: World) -> None:
    """They were early, or were moved to the front."""
    brief = timed(numbers(10), not_before=EIGHT + 2 * MINUTE, expires=EIGHT + 4 * MINUTE)
    others = numbers(6, first=10)
    prepare_running(world, [*brief, *others], amount=2)
    world.tick()
    world.sqs.messages.clear()
    stop(world)
    world.clock.turn_to(EIGHT + 10 * MINUTE)
    world.services.campaigns.start(CAMPAIGN, None, world.clock.now())
    world.run(minutes=3)
    assert len(world.tenant.calls) >= 4
    world.run(minutes=10)
    assert sorted(world.tenant.called) == destinations(others)
    assert progress(world) == {"total": 16, "completed": 6, "failed": 10}
    assert len([row for row in reported(world) if row[1:] == ("failed", "expired", "0")]) == 10
    assert list(world.services.tasks.waiting_dials(CAMPAIGN, spread=1)) == []


def test_a_task_that_is_early_does_not_fail(world: World) -> None:
    """None should be due before its time. If one is, the last look refuses it."""
    entry = timed(numbers(1), not_before=EIGHT + 3 * MINUTE)[0]
    prepare_running(world, [])
    append(world, [entry])
    assert world.services.calls.defer_lost(CAMPAIGN.call(0), entry, spread=1)
    world.services.progress.advance_head(campaign(world), 1)
    world.run(minutes=2)
    assert (world.tenant.calls, progress(world)) == ([], {"total": 1, "deferred": 1})
    world.run(minutes=4)
    assert world.tenant.calls[0].at >= EIGHT + 3 * MINUTE


def test_an_expired_call_that_was_returned_with_others_is_refused_and_then_ended(world: World) -> None:
    prepare_running(world, timed(numbers(3), expires=EIGHT + 3 * MINUTE), amount=10)
    messages = world.dispatch()
    world.clock.turn_to(EIGHT + 2 * MINUTE)
    world.dial([message.body for message in messages])
    assert len(list(world.services.tasks.returned_dials(CAMPAIGN))) == 3
    world.clock.turn_to(EIGHT + 4 * MINUTE)
    world.run(minutes=4)
    assert (world.tenant.calls, progress(world)) == ([], {"total": 3, "failed": 3})
    assert shown_status(world) is Status.COMPLETED


@pytest.mark.parametrize("where", ["before", "between"])
def test_numbers_that_cannot_be_passed_hold_up_no_others(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    expired = timed(numbers(1, first=5), expires=EIGHT)
    entries = [*expired, *numbers(3)] if where == "before" else [*numbers(3), *expired, *numbers(1, first=6)]
    prepare_running(world, entries)

    def busy(*_: object) -> None:
        raise Busy("throttled")

    monkeypatch.setattr(world.services.passed, "record", busy)
    with pytest.raises(ExceptionGroup):
        world.tick()
    assert campaign(world).head == len(entries)
    monkeypatch.undo()
    world.run(minutes=10)
    assert len(world.tenant.calls) == len(entries) - 1
    assert progress(world)["failed"] == 1


def test_a_tick_passes_nothing_after_its_deadline(world: World) -> None:
    prepare_running(world, timed(numbers(3), expires=EIGHT), result_url=None)
    world.pacer.tick(world.clock.now(), with_work(world.progress, world.clock.now()))
    assert campaign(world).head == 0


def test_a_call_that_was_not_sent_is_not_tried_after_its_time(world: World) -> None:
    world.tenant.on_call = lambda _: NotSent("refused")
    prepare_running(world, timed(numbers(1), expires=EIGHT + timedelta(seconds=20)))
    world.run(minutes=4)
    assert reported(world) == [("tel:+12220000000", "failed", "refused", "1")]


def test_an_event_plans_no_retry_after_the_time_of_its_number(world: World) -> None:
    """The record knows the time, since no message is there to tell it."""
    world.tenant.on_call = lambda _: Answered(202, {}, b"")
    expires = EIGHT + 90 * MINUTE
    prepare_running(world, timed(numbers(1), expires=expires))
    world.run(minutes=1)
    assert call(world, 0).entry == Entry("tel:+12220000000", "ref 0", None, expires)


@pytest.mark.parametrize("is_early", [True, False])
def test_a_pacer_that_dies_before_it_records_what_it_has_passed_loses_no_number(
    world: World, monkeypatch: pytest.MonkeyPatch, is_early: bool
) -> None:
    times = {"not_before": EIGHT + HOUR} if is_early else {"expires": EIGHT - HOUR}
    entries = [*numbers(1), *timed(numbers(1, first=1), **times), *numbers(1, first=2)]
    prepare_running(world, entries)

    def die() -> None:
        world.services.progress.advance_head(campaign(world), 3)
        raise Dies

    monkeypatch.setattr(world.services.passed, "record", lambda *_: die())
    with pytest.raises(ExceptionGroup):
        world.tick()
    monkeypatch.undo()
    world.run(minutes=10)
    assert world.tenant.called == destinations([entries[0], entries[2]])
    assert call(world, 1).state is (State.DEFERRED if is_early else State.FAILED)
    assert progress(world)["deferred" if is_early else "failed"] == 1


def test_a_number_that_is_passed_twice_is_recorded_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [*timed(numbers(2), not_before=EIGHT + 5 * MINUTE), *timed(numbers(2, first=2), expires=EIGHT)]
    prepare_running(world, entries)
    monkeypatch.setattr(ProgressStore, "advance_head", lambda *_: False)
    world.tick()
    monkeypatch.undo()
    world.run(minutes=10)
    assert sorted(world.tenant.called) == destinations(entries[:2])
    assert len(reported(world)) == 4


def test_a_tick_passes_6000_numbers_and_the_next_one_goes_on(world: World) -> None:
    most = GROUPS_PASSED * MOST_PASSED + MOST_PASSED
    prepare_running(world, [*timed(numbers(most + 1), expires=EIGHT), *numbers(1, first=most + 1)], result_url=None)
    world.tick()
    assert campaign(world).head == most == 6000
    world.run(minutes=15)
    assert (len(world.tenant.calls), progress(world)["failed"]) == (1, most + 1)


def test_a_tick_passes_a_bounded_number_between_two_that_it_sends(world: World) -> None:
    """So the settler finds what a pacer that died has sent."""
    many = timed(numbers(2 * MOST_PASSED, first=1), expires=EIGHT)
    prepare_running(world, [*numbers(1), *many, *numbers(1, first=2 * MOST_PASSED + 1)], result_url=None)
    world.tick()
    assert campaign(world).head == 1 + MOST_PASSED
    world.run(minutes=9)
    assert len(world.tenant.calls) == 2


def test_the_head_stays_before_a_number_that_could_not_be_sent(world: World) -> None:
    expired = timed(numbers(2, first=5), expires=EIGHT)
    first, second = numbers(2)
    prepare_running(world, [first, expired[0], second, expired[1]])
    world.sqs.refuses = 1000
    world.tick()
    assert campaign(world).head == 0
    world.sqs.refuses = 0
    world.run(minutes=3)
    assert world.tenant.called == destinations([first, second])
    assert progress(world) == {"total": 4, "completed": 2, "failed": 2}


def test_an_upload_with_times_comes_after_one_without(world: World) -> None:
    prepare_running(world, numbers(2), amount=10)
    assert not campaign(world).has_times
    append(world, timed(numbers(1, first=2), not_before=EIGHT + HOUR))
    append(world, numbers(1, first=3))
    assert campaign(world).has_times
    world.run(minutes=2)
    assert len(world.tenant.calls) == 3


def test_a_campaign_sleeps_until_the_time_of_its_last_numbers(world: World) -> None:
    prepare_running(world, timed(numbers(1), not_before=EIGHT + HOUR))
    world.run(minutes=3)
    assert campaign(world).wakes_at > world.clock.now() + 10 * MINUTE
    world.run(minutes=62)
    assert EIGHT + HOUR <= world.tenant.calls[0].at < EIGHT + HOUR + 2 * MINUTE


@pytest.mark.parametrize("passed", ["early", "expired"])
def test_a_limited_campaign_passes_numbers_too(world: World, passed: str) -> None:
    times = {"not_before": EIGHT + 3 * MINUTE} if passed == "early" else {"expires": EIGHT}
    entries = [*timed(numbers(2), **times), *numbers(1, first=2), *timed(numbers(1, first=3), **times)]
    prepare_running(world, entries, max_concurrent_calls=2)
    world.run(minutes=1)
    assert world.tenant.called == destinations(entries[2:3])
    world.run(minutes=6)
    assert len(world.tenant.calls) == (4 if passed == "early" else 1)
    assert shown_status(world) is Status.COMPLETED
