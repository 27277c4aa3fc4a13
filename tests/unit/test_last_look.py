"""P3 and P4: when the last look refuses a call."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from chalicelib.domain.keys import CallKey
from chalicelib.domain.last_look import CampaignSnapshot, Refusal, hold, refusal, refusal_unclaimed
from chalicelib.domain.messages import Dial
from chalicelib.domain.models import Campaign, Day, Entry, Plan, Schedule, Status, Window
from chalicelib.domain.timetable import Timetable

EIGHT = datetime(2026, 1, 5, 13, tzinfo=UTC)  # a Monday, 08:00 in New York
ELEVEN = EIGHT + timedelta(hours=3)
PLAN = Plan(date(2026, 1, 5), date(2026, 1, 5), 1, (Window(1, 8 * 60, 11 * 60),), "http://tenant.example/", None)
CAMPAIGN = Campaign("acme", 1, PLAN, Status.RUNNING, generation=3)
TIMETABLE = Timetable.of(PLAN, Schedule("acme", 1, None, tuple(Day)))
DIAL = Dial(CallKey("acme", 1, 0), 1, Entry("tel:+12223334444"), 3, EIGHT, ELEVEN, ELEVEN)


def last_look(
    now: datetime = EIGHT,
    *,
    dial: Dial = DIAL,
    campaign: Campaign | None = CAMPAIGN,
    timetable: Timetable | None = TIMETABLE,
    age: timedelta = timedelta(0),
    halted: bool = False,
    connected: bool = False,
    has_time: bool = True,
) -> Refusal | None:
    snapshot = CampaignSnapshot(halted, campaign, timetable, asked_at=now - age)
    return refusal(dial, snapshot, now, connected=connected, has_time=has_time)


def test_a_due_number_is_dialled() -> None:
    assert last_look() is None


@pytest.mark.parametrize("status", [Status.CREATED, Status.STOPPED])
def test_a_campaign_that_does_not_run_dials_nothing(status: Status) -> None:
    assert last_look(campaign=replace(CAMPAIGN, status=status)) is Refusal.STOPPED


def test_a_deleted_campaign_dials_nothing_whatever_its_status() -> None:
    assert last_look(campaign=replace(CAMPAIGN, deleted=True)) is Refusal.STOPPED


def test_nothing_is_dialled_during_a_halt() -> None:
    assert last_look(halted=True) is Refusal.HALTED


def test_without_its_campaign_or_schedule_nothing_is_dialled() -> None:
    assert last_look(campaign=None) is Refusal.STOPPED
    assert last_look(timetable=None) is Refusal.STOPPED


@pytest.mark.parametrize("generation", [2, 4])
def test_a_number_of_another_start_is_not_dialled(generation: int) -> None:
    assert last_look(dial=replace(DIAL, generation=generation)) is Refusal.SUPERSEDED


def test_nothing_is_dialled_before_the_window_opens() -> None:
    assert last_look(EIGHT - timedelta(microseconds=1)) is Refusal.CLOSED


def test_nothing_is_dialled_within_a_second_of_the_closing() -> None:
    assert last_look(ELEVEN - timedelta(seconds=1)) is None
    assert last_look(ELEVEN - timedelta(seconds=0.999)) is Refusal.CLOSED
    assert last_look(ELEVEN) is Refusal.CLOSED


def test_a_call_at_the_opening_waits_until_the_window_is_open_by_every_clock() -> None:
    def begins(seconds: float) -> float:
        now = EIGHT + timedelta(seconds=seconds)
        return (now + hold(TIMETABLE, now) - EIGHT).total_seconds()

    assert [begins(due) for due in (0, 0.5, 1, 1.5, 2, 3)] == [1, 1.25, 1.5, 1.75, 2, 3]


def test_a_window_that_opens_when_another_closes_delays_no_call() -> None:
    halves = (Window(1, 8 * 60, 9 * 60), Window(1, 9 * 60, 11 * 60))
    split = replace(TIMETABLE, windows=halves)
    assert hold(split, EIGHT) == timedelta(seconds=1)
    assert hold(split, EIGHT + timedelta(hours=1)) == timedelta(0)
    assert hold(split, ELEVEN) == timedelta(0)


def test_a_removed_window_is_closed_for_numbers_that_were_dispatched_before() -> None:
    moved = replace(TIMETABLE, windows=(Window(1, 9 * 60, 11 * 60),))
    assert last_look(timetable=moved) is Refusal.CLOSED


def test_a_number_is_not_dialled_before_its_instant() -> None:
    assert last_look(EIGHT, dial=replace(DIAL, due=EIGHT + timedelta(seconds=1))) is Refusal.EARLY


@pytest.mark.parametrize("connected", [False, True])
def test_a_number_is_not_dialled_in_another_period_than_its_own(connected: bool) -> None:
    expiring = replace(DIAL, start_deadline=EIGHT + timedelta(minutes=1), expires=EIGHT + timedelta(minutes=1))
    assert last_look(EIGHT + timedelta(seconds=59.999), dial=expiring, connected=connected) is None
    assert last_look(EIGHT + timedelta(minutes=1), dial=expiring, connected=connected) is Refusal.LATE


def test_a_late_number_is_not_connected_but_a_slow_connection_does_not_make_it_late() -> None:
    late = replace(DIAL, start_deadline=EIGHT + timedelta(seconds=2))
    assert last_look(EIGHT + timedelta(seconds=2), dial=late) is Refusal.LATE
    assert last_look(EIGHT + timedelta(seconds=5), dial=late, connected=True) is None


def test_a_snapshot_is_valid_for_one_and_a_half_seconds() -> None:
    assert last_look(age=timedelta(seconds=1.5)) is None
    assert last_look(age=timedelta(seconds=1.501)) is Refusal.UNSURE
    assert last_look(age=timedelta(seconds=1.501), halted=True) is Refusal.UNSURE


def test_a_number_is_not_claimed_if_it_may_not_be_dialled_by_its_start_deadline() -> None:
    def unclaimed(now: datetime, campaign: Campaign = CAMPAIGN) -> Refusal | None:
        dial = replace(DIAL, start_deadline=EIGHT + timedelta(seconds=2))
        return refusal_unclaimed(dial, CampaignSnapshot(False, campaign, TIMETABLE, now), now)

    assert unclaimed(EIGHT - timedelta(seconds=1)) is None
    assert unclaimed(EIGHT + timedelta(seconds=1.999)) is None
    assert unclaimed(EIGHT + timedelta(seconds=2)) is Refusal.LATE
    assert unclaimed(EIGHT, replace(CAMPAIGN, status=Status.STOPPED)) is Refusal.STOPPED


def test_no_call_begins_that_the_function_has_no_time_to_end() -> None:
    assert last_look(has_time=False) is Refusal.NO_TIME
