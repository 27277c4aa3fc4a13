"""What storage promises of the reports of calls: of outcomes, and of attempts that others follow."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.call import EndedAttempt, ReportState
from chalicelib.domain.outcome import CalleeType, Outcome, Result
from chalicelib.domain.tasks import AttemptReportTask, Lease, ReportTask
from chalicelib.storage.call_reports import CallReports
from chalicelib.storage.calls import Calls
from chalicelib.storage.database import Database
from chalicelib.storage.tasks import TaskStore
from tests.support.examples import CAMPAIGN, KEY, NOW, claimed, finished, recorded
from tests.support.interruptions import after_first_call
from tests.support.tasks import add_tasks, tasks_of, waiting

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BUSY = EndedAttempt(1, NOW, Outcome(Result.FAILED, "busy", CalleeType.UNKNOWN, 4))


def test_a_late_message_does_not_defer_a_delivered_report(calls: Calls, call_reports: CallReports) -> None:
    call_reports.defer_report(finished(calls, claimed(calls), ReportState.PENDING), 1, "http_500", NOW, spread=1)
    deferred = recorded(calls)
    call_reports.report_ended(deferred, ReportState.DELIVERED, 2, None)
    call_reports.defer_report(deferred, 2, "timeout", NOW + MINUTE, spread=1)
    call = recorded(calls)
    assert (call.report, call.report_attempts, call.report_error) == (ReportState.DELIVERED, 2, None)


def test_a_report_attempt_that_was_made_twice_is_followed_by_one_task(
    calls: Calls, call_reports: CallReports, tasks: TaskStore
) -> None:
    call = finished(calls, claimed(calls), ReportState.PENDING)
    for error in ("http_500", "timeout"):
        call_reports.defer_report(call, 1, error, NOW, spread=1)
    assert tasks_of(tasks.due_reports(CAMPAIGN, NOW, spread=1)) == [ReportTask(KEY, 2, NOW)]
    again = recorded(calls)
    assert (again.report_attempts, again.report_error) == (1, "http_500")


def test_the_report_of_an_attempt_that_failed_is_a_task_beside_the_next_attempt(calls: Calls, tasks: TaskStore) -> None:
    report = AttemptReportTask(KEY, 1, NOW, BUSY)
    calls.defer_retry(claimed(calls), BUSY.outcome, NOW, NOW + MINUTE, report)
    assert tasks_of(tasks.due_reports(CAMPAIGN, NOW, spread=1)) == [report]
    assert waiting(tasks, CAMPAIGN, spread=1) == [KEY.sequence]
    lost = claimed(calls, attempt=2)
    claimed(calls, CAMPAIGN.call(1))
    assert not calls.defer_retry(replace(lost, nonce="another"), BUSY.outcome, NOW, NOW, replace(report, attempt=2))
    assert len(list(tasks.due_reports(CAMPAIGN, NOW, spread=1))) == 1


def test_a_try_to_report_an_attempt_that_was_made_twice_is_followed_by_one_task(
    calls: Calls, call_reports: CallReports, tasks: TaskStore
) -> None:
    calls.defer_retry(claimed(calls), BUSY.outcome, NOW, NOW)
    second = replace(BUSY, attempt=2)
    for report in (AttemptReportTask(KEY, 2, NOW, BUSY), AttemptReportTask(KEY, 2, NOW + MINUTE, BUSY)):
        call_reports.defer_attempt_report(report, spread=1)
    for tries in (2, 3):
        call_reports.defer_attempt_report(AttemptReportTask(KEY, tries, NOW, second), spread=1)
    found = tasks_of(tasks.due_reports(CAMPAIGN, NOW + HOUR, spread=1))
    about = [(task.attempt, task.ended.attempt) for task in found if isinstance(task, AttemptReportTask)]
    assert sorted(about) == [(2, 1), (2, 2), (3, 2)]
    assert recorded(calls).attempt_reports == ("1/1", "2/1", "2/2")


def test_tries_to_report_two_attempts_at_the_same_moment_are_both_deferred(
    calls: Calls, call_reports: CallReports, tasks: TaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls.defer_retry(claimed(calls), BUSY.outcome, NOW, NOW)
    second = replace(BUSY, attempt=2)

    def defer_the_second() -> None:
        call_reports.defer_attempt_report(AttemptReportTask(KEY, 2, NOW, second), spread=1)

    after_first_call(monkeypatch, Calls, "get", defer_the_second)
    call_reports.defer_attempt_report(AttemptReportTask(KEY, 2, NOW, BUSY), spread=1)
    assert sorted(recorded(calls).attempt_reports) == ["1/1", "2/1"]
    assert len(list(tasks.due_reports(CAMPAIGN, NOW, spread=1))) == 2


def test_no_report_of_an_attempt_is_deferred_for_a_record_that_has_expired(
    calls: Calls, call_reports: CallReports, tasks: TaskStore
) -> None:
    call_reports.defer_attempt_report(AttemptReportTask(KEY, 2, NOW, BUSY), spread=1)
    assert calls.get(KEY) is None
    assert list(tasks.due_reports(CAMPAIGN, NOW, spread=1)) == []


def test_the_report_of_an_attempt_keeps_how_that_ended_in_its_lease(database: Database, tasks: TaskStore) -> None:
    report = AttemptReportTask(KEY, 3, NOW, BUSY)
    add_tasks(database, report)
    due = list(tasks.due_reports(CAMPAIGN, NOW, spread=1))
    name = tasks.lease(due, NOW)
    (lease,) = tasks.expired_leases(CAMPAIGN, NOW + 15 * MINUTE)
    assert lease == Lease((replace(report, not_before=NOW + 15 * MINUTE),), name, NOW + 15 * MINUTE)
    tasks.release(lease, NOW, lease.tasks, spread=1)
    assert tasks_of(tasks.due_reports(CAMPAIGN, NOW, spread=1)) == [report]


def test_whoever_knows_the_report_of_an_attempt_deletes_it(database: Database, tasks: TaskStore) -> None:
    report = AttemptReportTask(KEY, 1, NOW, BUSY)
    add_tasks(database, report, replace(report, attempt=2))
    tasks.delete_attempt_report(report, spread=1)
    assert tasks_of(tasks.due_reports(CAMPAIGN, NOW, spread=1)) == [replace(report, attempt=2)]
    tasks.add_attempt_report(report, spread=1)
    assert len(list(tasks.due_reports(CAMPAIGN, NOW, spread=1))) == 2


def test_reports_of_outcomes_are_due_before_those_of_attempts(database: Database, tasks: TaskStore) -> None:
    attempt, outcome = AttemptReportTask(KEY, 1, NOW - MINUTE, BUSY), ReportTask(KEY, 1, NOW)
    add_tasks(database, attempt, outcome)
    assert tasks_of(tasks.due_reports(CAMPAIGN, NOW, spread=1)) == [outcome, attempt]
    waiting_outcome = replace(outcome, not_before=NOW + HOUR)
    add_tasks(database, waiting_outcome)
    assert tasks_of(tasks.due_reports(CAMPAIGN, NOW, spread=1)) == [outcome, attempt]
    assert tasks_of(tasks.due_reports(CAMPAIGN, NOW + HOUR, spread=1)) == [outcome, waiting_outcome, attempt]
    assert tasks.count_reports(CAMPAIGN, 10, spread=1) == 3
    assert tasks.count_reports(CAMPAIGN, 1, spread=1) == 1
    assert tasks.first_report(CAMPAIGN, spread=1) == NOW - MINUTE
    assert tasks.any_unfinished(CAMPAIGN, spread=1)
    assert not tasks.any_in_progress(CAMPAIGN, spread=1)
