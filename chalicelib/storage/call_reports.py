"""What is written of the reports of calls: to the records of the calls, and as tasks to send them again."""

from datetime import datetime
from typing import cast

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain.call import Call, ReportState
from chalicelib.domain.tasks import AttemptReportTask, ReportTask
from chalicelib.storage.calls import Calls, call_key
from chalicelib.storage.database import Database
from chalicelib.storage.tasks import TaskStore
from chalicelib.storage.writes import WriteRefused, conditional, retried

_CALL = "call"


class CallReports:
    def __init__(self, database: Database, *, calls: Calls, tasks: TaskStore) -> None:
        self._database = database
        self._calls = calls
        self._tasks = tasks
        self._items = database.calls

    def report_ended(self, call: Call, report: ReportState, attempts: int, error: str | None) -> None:
        """Record that the report is delivered, given up, or not needed any more."""
        try:
            with conditional():
                self._items(call_key(call.key)).update(self._reported(report, attempts, error), self._is_owed(call))
        except WriteRefused:
            return  # another message's report was delivered, or given up, or the outcome was corrected, meanwhile

    def defer_report(self, call: Call, attempts: int, error: str | None, not_before: datetime, *, spread: int) -> None:
        """After so many attempts, the report is to be sent again.

        If two messages made the same attempt, only one defers the next. Otherwise a report would be sent twice as
        often, and be given up in half the time.
        """
        transaction = self._database.transaction()
        unchanged: Condition = self._items.report_attempts == call.report_attempts
        if call.report_attempts == 0:
            unchanged |= self._items.report_attempts.does_not_exist()
        transaction.update(
            _CALL,
            self._items(call_key(call.key)),
            self._reported(ReportState.DEFERRED, attempts, error),
            self._is_owed(call) & unchanged,
        )
        self._tasks.add(transaction, ReportTask(call.key, attempts + 1, not_before), spread=spread)
        try:
            transaction.commit()
        except WriteRefused:
            return  # another message's report was delivered, or deferred, meanwhile

    def defer_attempt_report(self, report: AttemptReportTask, *, spread: int) -> None:
        """The try before this one to report an attempt failed.

        If two messages made that try, only one defers the next, as in `defer_report`.
        """
        made = f"{report.ended.attempt}/{report.attempt - 1}"

        def defer() -> None:
            call = self._calls.get(report.key)
            if call is None or made in call.attempt_reports:
                return
            transaction = self._database.transaction()
            before = list(call.attempt_reports)
            unchanged: Condition = self._items.attempt_reports.does_not_exist()
            if before:
                unchanged = self._items.attempt_reports == before
            actions = [self._items.attempt_reports.set([*before, made])]
            item = self._items(call_key(report.key))
            transaction.update(_CALL, item, actions, self._items.call.exists() & unchanged)
            self._tasks.add(transaction, report, spread=spread)
            transaction.commit()

        retried(defer)

    def _is_owed(self, call: Call) -> Condition:
        """The report of this outcome is neither delivered nor given up."""
        same: Condition = self._items.revision == call.revision
        if call.revision == 0:
            same |= self._items.revision.does_not_exist()
        return cast(Condition, self._items.report.is_in(ReportState.PENDING, ReportState.DEFERRED) & same)

    def _reported(self, report: ReportState, attempts: int, error: str | None) -> list[Action]:
        return [
            self._items.report.set(report),
            self._items.report_attempts.set(attempts),
            self._items.report_error.remove() if error is None else self._items.report_error.set(error),
        ]
