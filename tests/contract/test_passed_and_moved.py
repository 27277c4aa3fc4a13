"""What is written of numbers that are passed by their times, or moved to the front, on each database."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.call import ReportState, State
from chalicelib.domain.models import Campaign, Entry
from chalicelib.domain.outcome import Outcome, Result
from chalicelib.domain.passing import EXPIRED, waits_until
from chalicelib.domain.tasks import DialTask, ReportTask, UncountedOutcome, Withdrawn
from chalicelib.storage.calls import Calls
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.database import Database
from chalicelib.storage.moved import MOVED_AT_ONCE, MovedNumbers
from chalicelib.storage.passed import PASSED_AT_ONCE, PassedNumbers
from chalicelib.storage.stores import Stores
from chalicelib.storage.tasks import TaskStore
from tests.support.examples import CAMPAIGN, ENTRY, KEY, NOW, add_running, claimed, recorded

LATER = NOW + timedelta(hours=1)
EARLY = ENTRY._replace(not_before=LATER)
EXPIRES = ENTRY._replace(expires=NOW)
FAILED = Outcome(Result.FAILED, "http_500")


@pytest.fixture
def passed(database: Database) -> PassedNumbers:
    return Stores.of(database).passed


@pytest.fixture
def moved(database: Database) -> MovedNumbers:
    return Stores.of(database).moved


@pytest.fixture
def campaign(campaigns: Campaigns) -> Campaign:
    running = add_running(campaigns, numbers=200)
    return replace(running, plan=replace(running.plan, result_url="http://tenant.example/result"))


def test_an_early_number_waits_for_its_time_and_is_claimed_then(
    calls: Calls, campaign: Campaign, passed: PassedNumbers, tasks: TaskStore
) -> None:
    passed.record(campaign, [(KEY, EARLY)], NOW)
    call = recorded(calls)
    assert (call.state, call.attempt, call.skipped) == (State.DEFERRED, 0, True)
    (waiting,) = tasks.waiting_dials(CAMPAIGN, spread=1)
    assert (waiting.task.key, waiting.task.not_before) == (KEY, waits_until(EARLY))
    assert list(tasks.due_dials(CAMPAIGN, LATER, spread=1)) == []
    assert calls.claim(KEY, EARLY, 1, LATER) is not None


def test_an_expired_number_fails_and_is_reported_once(
    calls: Calls, campaign: Campaign, passed: PassedNumbers, tasks: TaskStore
) -> None:
    for _ in range(2):
        passed.record(campaign, [(KEY, EXPIRES)], NOW)
    call = recorded(calls)
    assert (call.state, call.reason, call.attempt, call.report) == (State.FAILED, EXPIRED, 0, ReportState.DEFERRED)
    assert (call.entry.expires, call.ended_at, call.skipped) == (NOW, NOW, False)
    assert [one.task for one in tasks.due_reports(CAMPAIGN, NOW, spread=1)] == [ReportTask(KEY, 1, NOW)]
    assert calls.claim(KEY, EXPIRES, 1, NOW) is None


def test_a_number_that_is_claimed_is_not_passed(calls: Calls, campaign: Campaign, passed: PassedNumbers) -> None:
    claimed(calls)
    passed.record(campaign, [(KEY, EXPIRES)], NOW)
    assert recorded(calls).state is State.DIALLING


def test_more_numbers_are_passed_than_fit_into_a_transaction(
    calls: Calls, campaign: Campaign, passed: PassedNumbers, tasks: TaskStore
) -> None:
    keys = [CAMPAIGN.call(sequence) for sequence in range(PASSED_AT_ONCE + 2)]
    passed.record(campaign, [(key, EARLY if key.sequence % 2 else EXPIRES) for key in keys], NOW)
    assert len(list(calls.among(keys))) == len(keys)
    waiting = tasks.count_dials(CAMPAIGN, 1000, spread=1), tasks.count_reports(CAMPAIGN, 1000, spread=1)
    assert waiting == (len(keys) // 2, len(keys) // 2)


def test_a_retry_that_has_expired_keeps_what_is_known_of_its_attempts_and_is_counted(
    calls: Calls, campaign: Campaign, passed: PassedNumbers, tasks: TaskStore
) -> None:
    assert calls.defer_retry(claimed(calls), FAILED, NOW, LATER)
    assert calls.skip(recorded(calls))
    (waiting,) = tasks.waiting_dials(CAMPAIGN, spread=1)
    expired = replace(waiting, task=DialTask(KEY, EXPIRES, 2, LATER))
    passed.end_tasks(campaign, [expired], LATER)
    call = recorded(calls)
    assert (call.state, call.reason, call.attempt, call.last_attempt_at) == (State.FAILED, EXPIRED, 1, NOW)
    assert list(tasks.uncounted_outcomes(CAMPAIGN, spread=1)) == [UncountedOutcome(KEY, State.FAILED)]
    assert list(tasks.waiting_dials(CAMPAIGN, spread=1)) == []
    passed.end_tasks(campaign, [expired], LATER)
    assert tasks.count_reports(CAMPAIGN, 10, spread=1) == 1


def test_the_time_at_which_a_number_expires_is_in_its_record(calls: Calls) -> None:
    assert calls.claim(KEY, ENTRY._replace(expires=LATER), 1, NOW) is not None
    assert recorded(calls).entry == ENTRY._replace(expires=LATER)


@pytest.mark.usefixtures("campaign")
def test_an_upload_is_moved_in_steps_and_listed(
    calls: Calls, campaigns: Campaigns, moved: MovedNumbers, tasks: TaskStore
) -> None:
    count = MOVED_AT_ONCE + 2
    campaigns.append(CAMPAIGN, [Entry(f"tel:+1222{index:07}") for index in range(count)], None, NOW, first=True)
    assert campaigns.get(CAMPAIGN).to_front == (range(200, 200 + count),)
    goes_on = iter([True, False])
    moved.move(CAMPAIGN, lambda: next(goes_on))
    halfway = campaigns.get(CAMPAIGN)
    assert (halfway.to_front, halfway.withdrawn_lists) == ((range(200 + MOVED_AT_ONCE, 200 + count),), 1)
    moved.move(CAMPAIGN, lambda: True)
    done = campaigns.get(CAMPAIGN)
    assert (done.to_front, done.withdrawn_lists) == ((), 2)
    assert tasks.withdrawn_numbers(done) == Withdrawn(moved=frozenset(range(200, 200 + count)))
    waiting = [one.task.key.sequence for one in tasks.due_dials(CAMPAIGN, NOW, spread=1)]
    assert waiting == list(range(200, 200 + count))
    assert {call.state for call in calls.between(CAMPAIGN, 200, 200 + count)} == {State.DEFERRED}


@pytest.mark.usefixtures("campaign")
def test_ranges_follow_each_other_or_are_kept_apart(campaigns: Campaigns, moved: MovedNumbers) -> None:
    for first in (True, True, False, True):
        campaigns.append(CAMPAIGN, [ENTRY], None, NOW, first=first)
    assert campaigns.get(CAMPAIGN).to_front == (range(200, 202), range(203, 204))
    moved.move(CAMPAIGN, lambda: True)
    assert campaigns.get(CAMPAIGN).to_front == ()


@pytest.mark.usefixtures("campaign")
def test_a_plan_that_changes_meanwhile_stays_changed(campaigns: Campaigns) -> None:
    campaigns.append(CAMPAIGN, [ENTRY], None, NOW, first=True)
    campaigns.change(CAMPAIGN, lambda plan: replace(plan, max_retries=3), NOW)
    changed = campaigns.get(CAMPAIGN)
    assert (changed.plan.max_retries, changed.to_front) == (3, (range(200, 201),))
