"""What canceling writes, on each database."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.call import Call, ReportState, State
from chalicelib.domain.cancellation import REASON, Candidate
from chalicelib.domain.keys import CallKey
from chalicelib.domain.models import Campaign
from chalicelib.domain.outcome import Outcome, Result
from chalicelib.domain.tasks import ReportTask, UncountedOutcome
from chalicelib.storage.calls import Calls
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.cancellations import CANCELED_AT_ONCE, Cancellations
from chalicelib.storage.database import Database
from chalicelib.storage.progress import ProgressStore
from chalicelib.storage.stores import Stores
from chalicelib.storage.tasks import TaskStore
from tests.support.examples import CAMPAIGN, ENTRY, KEY, NOW, add_running, claimed, recorded

LATER = NOW + timedelta(hours=1)
FAILED = Outcome(Result.FAILED, "http_500")


@pytest.fixture
def cancellations(database: Database) -> Cancellations:
    return Stores.of(database).cancellations


@pytest.fixture
def campaign(campaigns: Campaigns) -> Campaign:
    running = add_running(campaigns, numbers=200)
    return replace(running, plan=replace(running.plan, result_url="http://tenant.example/result"))


@pytest.fixture
def deferred(calls: Calls) -> Call:
    assert calls.defer_retry(claimed(calls), FAILED, NOW, LATER)
    return recorded(calls)


def candidate(call: Call | None = None, key: CallKey = KEY) -> Candidate:
    return Candidate(key, ENTRY, call)


def test_a_canceled_number_cannot_be_claimed(calls: Calls, campaign: Campaign, cancellations: Cancellations) -> None:
    assert cancellations.cancel(campaign, [candidate()], NOW)
    assert [calls.claim(KEY, ENTRY, attempt, NOW) for attempt in (1, 2)] == [None, None]
    assert not calls.defer_lost(KEY, ENTRY, spread=1)
    call = recorded(calls)
    assert (call.state, call.reason, call.attempt, call.ended_at) == (State.CANCELED, REASON, 0, NOW)
    assert (call.entry, call.last_attempt_at, call.skipped) == (ENTRY, None, False)


def test_a_deferred_number_keeps_what_is_known_of_its_attempts(
    calls: Calls, campaign: Campaign, cancellations: Cancellations, deferred: Call, tasks: TaskStore
) -> None:
    assert cancellations.cancel(campaign, [candidate(deferred)], LATER)
    call = recorded(calls)
    assert (call.state, call.attempt, call.last_attempt_at, call.ended_at) == (State.CANCELED, 1, NOW, LATER)
    assert calls.claim(KEY, ENTRY, 2, LATER) is None
    assert list(tasks.uncounted_outcomes(CAMPAIGN, spread=1)) == []
    tasks.delete_dials(CAMPAIGN, [KEY.sequence], spread=1)
    assert list(tasks.waiting_dials(CAMPAIGN, spread=1)) == []


def test_the_outcome_of_a_skipped_number_is_counted_separately(
    calls: Calls, campaign: Campaign, cancellations: Cancellations, deferred: Call, tasks: TaskStore
) -> None:
    assert calls.skip(deferred)
    assert not cancellations.cancel(campaign, [candidate(deferred)], NOW)
    assert cancellations.cancel(campaign, [candidate(recorded(calls))], NOW)
    assert list(tasks.uncounted_outcomes(CAMPAIGN, spread=1)) == [UncountedOutcome(KEY, State.CANCELED)]


def test_a_number_that_is_claimed_or_canceled_meanwhile_is_left_alone(
    calls: Calls, campaign: Campaign, cancellations: Cancellations, deferred: Call
) -> None:
    other = CAMPAIGN.call(8)
    claimed(calls, attempt=2)
    claimed(calls, other)
    assert not cancellations.cancel(campaign, [candidate(deferred)], NOW)
    assert not cancellations.cancel(campaign, [candidate(key=other)], NOW)
    assert {recorded(calls, key).state for key in (KEY, other)} == {State.DIALLING}
    third = CAMPAIGN.call(9)
    assert cancellations.cancel(campaign, [candidate(key=third)], NOW)
    assert not cancellations.cancel(campaign, [candidate(key=third)], NOW)


def test_a_group_is_canceled_whole_or_not_at_all(
    calls: Calls, campaigns: Campaigns, campaign: Campaign, cancellations: Cancellations, tasks: TaskStore
) -> None:
    keys = [CAMPAIGN.call(sequence) for sequence in range(CANCELED_AT_ONCE)]
    claimed(calls, keys[-1])
    assert not cancellations.cancel(campaign, [candidate(key=key) for key in keys], NOW)
    assert len(list(calls.among(keys))) == 1
    assert (tasks.withdrawn(CAMPAIGN), campaigns.get(CAMPAIGN).withdrawn_lists) == ([], 0)


def test_the_largest_group_fits_into_one_transaction(
    calls: Calls, campaigns: Campaigns, campaign: Campaign, cancellations: Cancellations, tasks: TaskStore
) -> None:
    keys = [CAMPAIGN.call(sequence) for sequence in range(CANCELED_AT_ONCE)]
    for key in keys:
        assert calls.defer_lost(key, ENTRY, spread=1)
    skipped = [candidate(recorded(calls, key), key) for key in keys]
    assert cancellations.cancel(campaign, skipped, LATER)
    (listed,) = tasks.withdrawn(CAMPAIGN)
    assert listed.sequences == {key.sequence for key in keys}
    after = campaigns.get(CAMPAIGN)
    assert (after.withdrawn_lists, after.has_work) == (1, True)
    reports = [one.task for one in tasks.due_reports(CAMPAIGN, LATER, spread=1)]
    assert reports == [ReportTask(key, 1, LATER) for key in keys]
    assert {recorded(calls, key).report for key in keys} == {ReportState.DEFERRED}


def test_a_list_is_deleted_once(
    database: Database, campaigns: Campaigns, campaign: Campaign, cancellations: Cancellations, tasks: TaskStore
) -> None:
    assert cancellations.cancel(campaign, [candidate()], NOW)
    (listed,) = tasks.withdrawn(CAMPAIGN)

    before = campaigns.get(CAMPAIGN)

    def delete() -> bool:
        transaction = database.transaction()
        tasks.delete_withdrawn(transaction, CAMPAIGN, listed)
        ProgressStore(database).remove_withdrawn_lists(transaction, before, 1)
        return transaction.is_committed()

    assert [delete(), delete()] == [True, False]
    assert (tasks.withdrawn(CAMPAIGN), campaigns.get(CAMPAIGN).withdrawn_lists) == ([], 0)


def test_a_list_of_canceled_numbers_is_no_work_by_itself(
    campaign: Campaign, cancellations: Cancellations, tasks: TaskStore
) -> None:
    assert cancellations.cancel(campaign, [candidate()], NOW)
    for scheduled in list(tasks.due_reports(CAMPAIGN, NOW, spread=1)):
        tasks.delete([scheduled])
    assert not tasks.any_unfinished(CAMPAIGN, spread=1)
    assert not tasks.any_in_progress(CAMPAIGN, spread=1)
    assert tasks.any(CAMPAIGN, spread=1)


def test_a_campaign_to_which_numbers_are_canceled_does_not_fall_asleep(
    campaigns: Campaigns, campaign: Campaign, cancellations: Cancellations, progress: ProgressStore
) -> None:
    before = campaigns.get(CAMPAIGN)
    assert cancellations.cancel(campaign, [candidate()], NOW)
    progress.sleep(before, LATER)
    progress.clear_work_flag(before)
    after = campaigns.get(CAMPAIGN)
    assert (after.wakes_at, after.has_work) == (before.wakes_at, True)


def test_a_campaign_that_sleeps_is_woken_and_one_that_is_awake_is_left_as_it_is(
    campaigns: Campaigns, campaign: Campaign, cancellations: Cancellations, progress: ProgressStore
) -> None:
    """A tick makes up for slots since the campaign woke."""
    assert cancellations.cancel(campaign, [candidate()], NOW)
    assert campaigns.get(CAMPAIGN).wakes_at == campaign.wakes_at <= NOW
    progress.sleep(campaigns.get(CAMPAIGN), LATER)
    asleep = campaigns.get(CAMPAIGN)
    assert asleep.wakes_at == LATER
    assert cancellations.cancel(asleep, [candidate(key=CAMPAIGN.call(9))], NOW)
    assert campaigns.get(CAMPAIGN).wakes_at == NOW


def test_a_canceled_number_whose_record_has_expired_is_recorded_again(
    calls: Calls, cancellations: Cancellations
) -> None:
    cancellations.record_again(KEY, ENTRY, NOW)
    call = recorded(calls)
    assert (call.state, call.attempt, call.report, call.entry) == (State.CANCELED, 0, ReportState.NONE, ENTRY)
    assert calls.claim(KEY, ENTRY, 1, NOW) is None
    other = CAMPAIGN.call(8)
    claimed(calls, other)
    cancellations.record_again(other, ENTRY, NOW)
    assert recorded(calls, other).state is State.DIALLING


@pytest.mark.real_database
def test_of_a_claim_and_a_cancellation_one_comes_first(
    calls: Calls, campaign: Campaign, cancellations: Cancellations
) -> None:
    keys = [CAMPAIGN.call(sequence) for sequence in range(24)]

    def cancel(key: CallKey) -> bool:
        return cancellations.cancel(campaign, [candidate(key=key)], NOW)

    def claim(key: CallKey) -> bool:
        return calls.claim(key, ENTRY, 1, NOW) is not None

    with ThreadPoolExecutor(8) as threads:
        both = [(threads.submit(cancel, key), threads.submit(claim, key)) for key in keys]
        won = [(canceled.result(), is_claimed.result()) for canceled, is_claimed in both]
    assert all(canceled != is_claimed for canceled, is_claimed in won)
    states = [recorded(calls, key).state for key in keys]
    assert states == [State.CANCELED if canceled else State.DIALLING for canceled, _ in won]
