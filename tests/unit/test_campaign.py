"""How each request of its owner changes a campaign."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.campaign import appended, changed, deleted, started, stopped
from chalicelib.domain.models import AWAKE, Campaign, Counts, Cursor, Plan, Status, Window

NOW = datetime(2026, 1, 5, 13, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=10)
LATER = NOW + timedelta(minutes=10)
MORNING, NOON = Window(1, 8 * 60, 11 * 60), Window(2, 11 * 60, 13 * 60)
PLAN = Plan(date(2026, 1, 5), date(2026, 1, 9), 1, (MORNING,), "http://tenant.example/", None)
CREATED = Campaign("acme", 1, PLAN, Status.CREATED)
#: numbers 4 to 9 are queued
RUNNING = Campaign(
    "acme",
    1,
    PLAN,
    Status.RUNNING,
    revision=2,
    generation=3,
    tail=10,
    head=4,
    settled=2,
    counts=Counts(completed=2),
    cursors=(Cursor(EARLIER, EARLIER + timedelta(seconds=5)),),
    pacing_version="3cbd",
    wakes_at=EARLIER,
    has_work=True,
)
#: it does nothing before LATER
ASLEEP = replace(RUNNING, wakes_at=LATER, has_work=False)
STOPPED = replace(ASLEEP, status=Status.STOPPED)


def at(*instants: datetime) -> tuple[Cursor, ...]:
    return tuple(Cursor(instant, instant) for instant in instants)


class TestStart:
    @pytest.mark.parametrize("campaign", [CREATED, STOPPED])
    def test_a_started_campaign_runs_as_a_new_generation(self, campaign: Campaign) -> None:
        running = started(campaign, NOW)
        assert (running.status, running.generation) == (Status.RUNNING, campaign.generation + 1)

    def test_each_window_is_paced_from_the_start_on(self) -> None:
        campaign = replace(STOPPED, plan=replace(PLAN, windows=(MORNING, NOON)))
        assert (started(campaign, NOW).cursors, started(campaign, NOW).pacing_version) == (at(NOW, NOW), "")

    def test_the_queue_and_the_counts_stay_as_they_are(self) -> None:
        expected = replace(
            STOPPED,
            status=Status.RUNNING,
            generation=4,
            cursors=at(NOW),
            pacing_version="",
            has_work=True,
            wakes_at=NOW,
        )
        assert started(STOPPED, NOW) == expected

    def test_a_campaign_that_runs_already_is_not_changed(self) -> None:
        assert started(ASLEEP, NOW) is ASLEEP


class TestStop:
    def test_only_the_status_changes(self) -> None:
        assert stopped(RUNNING) == replace(RUNNING, status=Status.STOPPED)

    @pytest.mark.parametrize("campaign", [CREATED, STOPPED])
    def test_a_campaign_that_does_not_run_is_not_changed(self, campaign: Campaign) -> None:
        assert stopped(campaign) is campaign


class TestAppend:
    def test_only_the_tail_moves_while_numbers_are_queued(self) -> None:
        assert appended(RUNNING, 5, NOW) == replace(RUNNING, tail=15)

    def test_slots_that_passed_while_the_queue_was_empty_are_not_made_up_for(self) -> None:
        empty = replace(RUNNING, head=10)
        assert appended(empty, 5, NOW) == replace(empty, tail=15, cursors=at(NOW), pacing_version="")

    def test_slots_that_are_reserved_already_are_not_reserved_again(self) -> None:
        soon = NOW + timedelta(seconds=40)
        assert appended(replace(RUNNING, head=10, cursors=at(soon)), 5, NOW).cursors == at(soon)

    def test_a_campaign_that_was_never_started_has_no_cursors(self) -> None:
        assert appended(CREATED, 5, NOW) == replace(CREATED, tail=5, has_work=True)


class TestChange:
    def test_another_plan_is_another_revision(self) -> None:
        plan = replace(PLAN, start_url="http://tenant.example/other")
        assert changed(RUNNING, plan, NOW) == replace(RUNNING, plan=plan, revision=3)

    def test_other_windows_are_paced_from_the_change_on(self) -> None:
        plan = replace(PLAN, windows=(MORNING, NOON))
        expected = replace(RUNNING, plan=plan, revision=3, cursors=at(NOW, NOW), pacing_version="")
        assert changed(RUNNING, plan, NOW) == expected

    def test_slots_that_are_reserved_already_are_not_reserved_again(self) -> None:
        soon = NOW + timedelta(seconds=40)
        plan = replace(PLAN, windows=(NOON,))
        assert changed(replace(RUNNING, cursors=at(soon)), plan, NOW).cursors == at(soon)

    def test_a_campaign_that_was_never_started_has_no_cursors(self) -> None:
        plan = replace(PLAN, windows=(MORNING, NOON))
        assert changed(CREATED, plan, NOW) == replace(CREATED, plan=plan, revision=1, has_work=True)

    def test_the_same_plan_changes_nothing(self) -> None:
        assert changed(ASLEEP, replace(PLAN), NOW) is ASLEEP


class TestDelete:
    def test_a_deleted_campaign_is_stopped_and_keeps_its_queue(self) -> None:
        assert deleted(RUNNING, NOW) == replace(RUNNING, deleted=True, status=Status.STOPPED)


REQUESTS: dict[str, Callable[[Campaign, datetime], Campaign]] = {
    "start": started,
    "stop": lambda campaign, _: stopped(campaign),
    "append": lambda campaign, now: appended(campaign, 5, now),
    "change the URL": lambda campaign, now: changed(campaign, replace(campaign.plan, start_url=str(now)), now),
    "change the hours": lambda campaign, now: changed(campaign, replace(campaign.plan, windows=(MORNING, NOON)), now),
    "delete": deleted,
}
WAKING = sorted(REQUESTS.keys() - {"start", "stop"})


class TestWaking:
    @pytest.mark.parametrize("request_", WAKING)
    def test_a_request_wakes_a_campaign_that_sleeps(self, request_: str) -> None:
        awake = REQUESTS[request_](ASLEEP, NOW)
        assert (awake.has_work, awake.wakes_at) == (True, NOW)

    def test_a_start_wakes_a_campaign_that_sleeps(self) -> None:
        awake = started(STOPPED, NOW)
        assert (awake.has_work, awake.wakes_at) == (True, NOW)

    @pytest.mark.parametrize("request_", WAKING)
    def test_a_request_does_not_delay_a_campaign_that_is_awake(self, request_: str) -> None:
        assert REQUESTS[request_](RUNNING, NOW).wakes_at == EARLIER
        assert REQUESTS[request_](replace(RUNNING, wakes_at=AWAKE), NOW).wakes_at == AWAKE


@given(st.lists(st.sampled_from(sorted(REQUESTS)), max_size=12))
def test_requests_move_only_the_tail_of_the_queue(requests: list[str]) -> None:
    campaign = CREATED
    for minute, request in enumerate(requests):
        before, campaign = campaign, REQUESTS[request](campaign, NOW + timedelta(minutes=minute))
        assert (campaign.head, campaign.settled, campaign.counts) == (0, 0, Counts())
        assert campaign.tail == before.tail + 5 * (request == "append")
        assert campaign.generation - before.generation in (0, 1)
        assert len(campaign.cursors) in (0, len(campaign.plan.windows))
        assert campaign.status is not Status.RUNNING or campaign.cursors
