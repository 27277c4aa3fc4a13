"""What events write to the records of calls.

Each write is refused if the call was changed after it was read: another event, the dialer or the settler came first.
Then the caller reads the call again, and decides again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain.call import Call, EndedAttempt, RecordedEvent, ReportState, State
from chalicelib.domain.models import Campaign
from chalicelib.domain.outcome import Outcome
from chalicelib.domain.tasks import AttemptReportTask, Correction, DialTask, ReportTask
from chalicelib.storage.calls import call_key, uncounted
from chalicelib.storage.database import Database
from chalicelib.storage.progress import ProgressStore
from chalicelib.storage.tasks import TaskStore
from chalicelib.storage.writes import conditional, new_nonce

_CALL = "call"


class CallEvents:
    def __init__(
        self, database: Database, *, tasks: TaskStore, progress: ProgressStore, retention: timedelta | None
    ) -> None:
        """`retention` is that of `Calls`."""
        self._database = database
        self._tasks = tasks
        self._progress = progress
        self._retention = retention
        self._items = database.calls

    def record(self, call: Call, event: RecordedEvent) -> None:
        """Add an event that doesn't end the call. Raises WriteRefused."""
        with conditional():
            self._items(call_key(call.key)).update([self._appended(call, event)], self._unchanged(call))

    def end(self, call: Call, event: RecordedEvent, outcome: Outcome, report: ReportState, *, spread: int) -> None:
        """The event brings the call's outcome. Raises WriteRefused.

        The record gets a new nonce, so the dialer can't write an outcome any more. One write is enough, unless the
        settler skipped the call: then the outcome is counted separately, and the report is a task of its own, since no
        sweep sees it.
        """
        nonce = new_nonce()
        has_report_task = call.skipped and report is ReportState.PENDING
        actions = [
            *self._ending(call, event, outcome, State(outcome.result)),
            self._items.ended_at.set(event.at),
            self._items.report.set(ReportState.DEFERRED if has_report_task else report),
            self._items.nonce.set(nonce),
            *([] if self._retention is None else [self._items.expires_at.set(event.at + self._retention)]),
        ]
        if not call.skipped:
            # The SDK repeats a write whose answer it lost, which then finds its own nonce.
            condition = self._unchanged(call) | (self._items.nonce == nonce)
            with conditional():
                self._items(call_key(call.key)).update(actions, condition)
            return
        transaction = self._database.transaction()
        transaction.update(_CALL, self._items(call_key(call.key)), actions, self._unchanged(call))
        self._tasks.add_outcome(transaction, uncounted(call.key, State(outcome.result), spread))
        if has_report_task:
            self._tasks.add(transaction, ReportTask(call.key, 1, event.at), spread=spread)
        transaction.commit()

    def defer(
        self,
        call: Call,
        event: RecordedEvent,
        outcome: Outcome,
        not_before: datetime,
        *,
        report: bool = False,
        spread: int,
    ) -> None:
        """The event ends the attempt, and the next one is made later. Raises WriteRefused.

        If the attempt is to be reported, that is a task of its own.
        """
        actions = [
            *self._ending(call, event, outcome, State.DEFERRED),
            self._items.nonce.set(new_nonce()),
            self._items.unsent.remove(),
        ]
        transaction = self._database.transaction()
        transaction.update(_CALL, self._items(call_key(call.key)), actions, self._unchanged(call))
        self._tasks.add(transaction, DialTask(call.key, call.entry, call.attempt + 1, not_before), spread=spread)
        if report:
            ended = EndedAttempt(call.attempt, self._answered_at(call, event), outcome)
            self._tasks.add(transaction, AttemptReportTask(call.key, 1, event.at, ended), spread=spread)
        transaction.commit()

    def correct(self, campaign: Campaign, call: Call, event: RecordedEvent, outcome: Outcome) -> None:
        """The call was uncertain, and its outcome is known now. It is reported again. Raises WriteRefused."""
        state = State(outcome.result)
        is_reported = campaign.plan.result_url is not None
        actions = [
            *self._ending(call, event, outcome, state),
            self._items.revision.set(call.revision + 1),
            self._items.report.set(ReportState.DEFERRED if is_reported else ReportState.NONE),
            self._items.report_attempts.remove(),
            self._items.report_error.remove(),
        ]
        transaction = self._database.transaction()
        transaction.update(_CALL, self._items(call_key(call.key)), actions, self._unchanged(call))
        self._tasks.add_correction(transaction, Correction(call.key, state))
        self._progress.add_correction(transaction, campaign, event.at)
        if is_reported:
            self._tasks.add(transaction, ReportTask(call.key, 1, event.at), spread=campaign.spread)
        transaction.commit()

    def _ending(self, call: Call, event: RecordedEvent, outcome: Outcome, state: State) -> Sequence[Action]:
        return [
            self._items.state.set(state),
            self._items.reason.set(outcome.reason),
            self._items.callee_type.set(outcome.callee_type),
            self._items.duration.set(outcome.duration),
            self._items.last_attempt_at.set(self._answered_at(call, event)),
            self._appended(call, event),
        ]

    def _answered_at(self, call: Call, event: RecordedEvent) -> datetime:
        """An event may come before start_url's answer. Then it is when the attempt was answered."""
        if call.state is State.DIALLING or call.last_attempt_at is None:
            return event.at
        return call.last_attempt_at

    def _appended(self, call: Call, event: RecordedEvent) -> Action:
        return self._items.events.set([one.line for one in (*call.events, event)])

    def _unchanged(self, call: Call) -> Condition:
        """True if everything that the event's effect depends on is as it was read."""
        events = [one.line for one in call.events]
        same_events = self._items.events == events if events else self._items.events.does_not_exist()
        same_skipped = self._items.skipped == True if call.skipped else self._items.skipped.does_not_exist()  # noqa: E712 # the database evaluates it
        return cast(
            Condition,
            (self._items.state == call.state) & (self._items.attempt == call.attempt) & same_events & same_skipped,
        )
