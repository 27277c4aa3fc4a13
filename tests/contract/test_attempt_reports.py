"""What storage promises of the reports of attempts before a number's last one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.call import EndedAttempt
from chalicelib.domain.outcome import CalleeType, Outcome, Result
from chalicelib.domain.tasks import Lease, ReportTask
from chalicelib.storage.calls import Calls
from chalicelib.storage.database import Database
from chalicelib.storage.tasks import TaskStore
from tests.support.examples import CAMPAIGN, KEY, NOW, claimed, recorded
from tests.support.interruptions import after_first_call
from tests.support.tasks import add_tasks, tasks_of, waiting

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BUSY = EndedAttempt(1, NOW, Outcome(Result.FAILED, "busy", CalleeType.UNKNOWN, 4))


def test_the_report_of_an_attempt_that_failed_is_a_task_beside_the_next_attempt(calls: Calls, tasks: TaskStore) -> None:
    calls.defer_retry(claimed(calls), BUSY.outcome, NOW, NOW + MINUTE, report=True)
    assert tasks_of(tasks.due_reports(CAMPAIGN, NOW, spread=1)) == [ReportTask(KEY, 1, NOW, BUSY)]
    assert waiting(tasks, CAMPAIGN, spread=1) == [KEY.sequence]
    lost = claimed(calls, attempt=2)
    claimed(calls, CAMPAIGN.call(1))
    assert not calls.defer_retry(replace(lost, nonce="another"), BUSY.outcome, NOW, NOW, report=True)
    assert len(list(tasks.due_reports(CAMPAIGN, NOW, spread=1))) == 1


def test_a_try_to_report_an_attempt_that_was_made_twice_is_followed_by_one_task(calls: Calls, tasks: TaskStore) -> None:
    calls.defer_retry(claimed(calls), BUSY.outcome, NOW, NOW)
    second = replace(BUSY, attempt=2)
    for report in (ReportTask(KEY, 2, NOW, BUSY), ReportTask(KEY, 2, NOW + MINUTE, BUSY)):
        calls.defer_attempt_report(report, BUSY, spread=1)
    for tries in (2, 3):
        calls.defer_attempt_report(ReportTask(KEY, tries, NOW, second), second, spread=1)
    found = tasks_of(tasks.due_reports(CAMPAIGN, NOW + HOUR, spread=1))
    about = [task.ended for task in found if isinstance(task, ReportTask)]
    assert sorted((task.attempt, ended.attempt) for task, ended in zip(found, about, strict=True) if ended) == [
        (2, 1),
        (2, 2),
        (3, 2),
    ]
    assert recorded(calls).attempt_reports == ("1/1", "2/1", "2/2")


def test_tries_to_report_two_attempts_at_the_same_moment_are_both_deferred(
    calls: Calls, tasks: TaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls.defer_retry(claimed(calls), BUSY.outcome, NOW, NOW)
    second = replace(BUSY, attempt=2)

    def defer_the_second() -> None:
        calls.defer_attempt_report(ReportTask(KEY, 2, NOW, second), second, spread=1)

    after_first_call(monkeypatch, Calls, "get", defer_the_second)
    calls.defer_attempt_report(ReportTask(KEY, 2, NOW, BUSY), BUSY, spread=1)
    assert sorted(recorded(calls).attempt_reports) == ["1/1", "2/1"]
    assert len(list(tasks.due_reports(CAMPAIGN, NOW, spread=1))) == 2


def test_no_report_of_an_attempt_is_deferred_for_a_record_that_has_expired(calls: Calls, tasks: TaskStore) -> None:
    calls.defer_attempt_report(ReportTask(KEY, 2, NOW, BUSY), BUSY, spread=1)
    assert calls.get(KEY) is None
    assert list(tasks.due_reports(CAMPAIGN, NOW, spread=1)) == []


def test_the_report_of_an_attempt_keeps_how_that_ended_in_its_lease(database: Database, tasks: TaskStore) -> None:
    report = ReportTask(KEY, 3, NOW, BUSY)
    add_tasks(database, report)
    due = list(tasks.due_reports(CAMPAIGN, NOW, spread=1))
    name = tasks.lease(due, NOW)
    (lease,) = tasks.expired_leases(CAMPAIGN, NOW + 15 * MINUTE)
    assert lease == Lease((replace(report, not_before=NOW + 15 * MINUTE),), name, NOW + 15 * MINUTE)
    tasks.release(lease, NOW, lease.tasks, spread=1)
    assert tasks_of(tasks.due_reports(CAMPAIGN, NOW, spread=1)) == [report]
