"""Calls: a record for each number, which is made when the number leaves the queue.

A claim is a conditional write. It is given once for each attempt, whatever is delivered twice or overlaps. Only the
dialer that has its nonce may write the outcome.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain import spreading
from chalicelib.domain.call import Call, Claim, RecordedEvent, ReportState, State, finished
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Entry
from chalicelib.domain.outcome import CalleeType, Outcome, Result
from chalicelib.domain.tasks import AttemptReportTask, DialTask, ReportTask, UncountedOutcome
from chalicelib.storage.database import Database
from chalicelib.storage.tasks import TaskStore
from chalicelib.storage.undialled import never_called
from chalicelib.storage.updates import Written, update_of
from chalicelib.storage.writes import Transaction, WriteRefused, conditional, new_nonce

_CALL = "call"


class Calls:
    def __init__(self, database: Database, *, tasks: TaskStore, retention: timedelta | None) -> None:
        """`retention` is how long a record is kept after the outcome; None for ever.

        It must be longer than a number takes to be settled, and longer than a message may stay in a queue: when the
        record is deleted, only `settled` shows that the number was called.
        """
        self._database = database
        self._tasks = tasks
        self._retention = retention
        self._items = database.calls

    def claim(
        self, key: CallKey, entry: Entry, attempt: int, now: datetime, nonce: str | None = None, spread: int = 1
    ) -> Claim | None:
        """The right to make this attempt; None if it was claimed before.

        After a time-out, retry with the same `nonce`. `spread` is the campaign's, or an earlier one.
        """
        nonce = nonce or new_nonce()
        unclaimed = "(#state = :deferred AND #attempt = :before)"
        if attempt == 1:
            unclaimed += " OR attribute_not_exists(#call)"
        sets = {
            "destination": entry.destination,
            "state": State.DIALLING,
            "attempt": attempt,
            "nonce": nonce,
            "claimed_at": now,
        }
        if entry.message_reference:
            sets["message_reference"] = entry.message_reference
        if entry.expires is not None:
            sets["call_before"] = entry.expires
        claiming = update_of(
            self._items,
            _written_key(key),
            sets,
            condition=f"{unclaimed} OR #nonce = :nonce",
            given={":deferred": {"S": State.DEFERRED}, ":before": {"N": str(attempt - 1)}},
            answers="ALL_OLD",  # which is empty for a number that is claimed for the first time
        )
        try:
            with conditional():
                before = self._database.update(claiming)
        except WriteRefused:
            return None
        unsent = before.get("unsent", {"N": "0"})["N"]
        skipped = before.get("skipped", {"BOOL": False})["BOOL"]
        return Claim(key, entry, attempt, int(unsent), skipped, nonce, now, spread)

    def give_up(self, claim: Claim, reason: str) -> bool:
        """Nothing was sent: the number waits again, before the numbers of the log. False if the claim is lost."""
        task = DialTask(claim.key, claim.entry, claim.attempt, not_before=None)
        actions = [self._items.attempt.set(claim.attempt - 1), self._items.reason.set(reason)]
        return self._defer(claim, task, actions)

    def defer_unsent(self, claim: Claim, reason: str, not_before: datetime) -> bool:
        """The call was surely not sent, so the same attempt is made later. False if the claim is lost."""
        return self._defer(
            claim,
            DialTask(claim.key, claim.entry, claim.attempt, not_before),
            [
                self._items.attempt.set(claim.attempt - 1),
                self._items.unsent.set(claim.unsent + 1),
                self._items.reason.set(reason),
            ],
        )

    def defer_retry(
        self,
        claim: Claim,
        outcome: Outcome,
        ended_at: datetime,
        not_before: datetime,
        report: AttemptReportTask | None = None,
    ) -> bool:
        """The attempt failed, and the next one is made later. False if the claim is lost.

        `report` is that of the attempt, if it is reported. It waits until its time.
        """
        task = DialTask(claim.key, claim.entry, claim.attempt + 1, not_before)
        return self._defer(claim, task, [*self._ended(outcome, ended_at), self._items.unsent.remove()], report)

    def begin_progress(self, claim: Claim, now: datetime) -> bool:
        """start_url answered that the call is in progress. False if an event has ended the attempt already.

        A number that the settler skipped is listed among the open calls instead, where its time-out is seen.
        """
        if not claim.skipped:
            sets = {"state": State.IN_PROGRESS, "last_attempt_at": now}
            given: Written = {":nonce": {"S": claim.nonce}, ":dialling": {"S": State.DIALLING}}
            held = "#nonce = :nonce AND #state IN (:dialling, :state)"
            try:
                with conditional():
                    self._database.update(update_of(self._items, _written_key(claim.key), sets, held, given))
            except WriteRefused:
                return False
            return True
        actions = [
            self._items.state.set(State.IN_PROGRESS),
            self._items.last_attempt_at.set(now),
            self._items.skipped.remove(),
            self._items.listed.set(True),
        ]
        held_too: Condition = (self._items.nonce == claim.nonce) & (self._items.state == State.DIALLING)
        transaction = self._database.transaction()
        transaction.update(_CALL, self._items(call_key(claim.key)), actions, held_too)
        self._tasks.add_open(transaction, claim.key.campaign, [claim.key.sequence])
        return transaction.is_committed()

    def finish(self, claim: Claim, outcome: Outcome, ended_at: datetime, report: ReportState) -> Call | None:
        """Record the outcome. Answers the record; None if the claim is lost."""
        if not claim.skipped:
            return self._finish_unskipped(claim, outcome, ended_at, report)
        item = self._items(call_key(claim.key))
        state = State(outcome.result)
        actions = [
            self._items.state.set(state),
            *self._ended(outcome, ended_at),
            self._items.report.set(report),
            *self._expiring(ended_at),
        ]
        held: Condition = self._items.nonce == claim.nonce
        try:
            transaction = self._database.transaction()
            transaction.update(_CALL, item, actions, held & (self._items.state == State.DIALLING))
            self._tasks.add_outcome(transaction, uncounted(claim.key, state, claim.spread))
            transaction.commit()
        except WriteRefused:
            return None
        return self.get(claim.key)

    def _finish_unskipped(self, claim: Claim, outcome: Outcome, ended_at: datetime, report: ReportState) -> Call | None:
        """One write is enough: the settler's sweep finds the record, and counts the outcome."""
        sets = {
            "state": State(outcome.result),
            "reason": outcome.reason,
            "callee_type": outcome.callee_type,
            "duration": outcome.duration,
            "last_attempt_at": ended_at,
            "report": report,
        }
        if self._retention is not None:
            sets["expires_at"] = ended_at + self._retention
        held = "#nonce = :nonce"
        ending = update_of(self._items, _written_key(claim.key), sets, held, given={":nonce": {"S": claim.nonce}})
        try:
            with conditional():
                self._database.update(ending)
        except WriteRefused:
            return None
        return finished(claim, outcome, ended_at, report)

    def expire(self, call: Call, *, report: bool, now: datetime, spread: int) -> bool:
        """Nobody waits for the outcome any more, so the call becomes uncertain. False if it has its outcome after all.

        The claim of a call that is being dialled was held for too long. A call in progress has timed out.
        """
        transaction = self._database.transaction()
        outcome = Outcome(Result.UNCERTAIN, "no_outcome", call.heard_callee)
        is_in_progress = call.state is State.IN_PROGRESS
        actions: list[Action] = [
            self._items.state.set(State.UNCERTAIN),
            self._items.nonce.set(new_nonce()),
            *self._ended(outcome, call.last_attempt_at or now if is_in_progress else call.claimed_at or now),
            self._items.ended_at.set(now),
            self._items.report.set(ReportState.DEFERRED if report else ReportState.NONE),
            *self._expiring(now),
        ]
        unchanged = (self._items.state == call.state) & (self._items.claimed_at == call.claimed_at)
        transaction.update(_CALL, self._items(call_key(call.key)), actions, unchanged)
        if report:
            self._tasks.add(transaction, ReportTask(call.key, 1, now), spread=spread)
        if call.skipped:
            self._tasks.add_outcome(transaction, uncounted(call.key, State.UNCERTAIN, spread))
        return transaction.is_committed()

    def defer_lost(self, key: CallKey, entry: Entry, *, spread: int) -> bool:
        """A number that was dispatched and never claimed waits again. False if it was claimed after all."""
        transaction = self._database.transaction()
        self.add_deferred(transaction, DialTask(key, entry, attempt=1, not_before=None), spread=spread)
        return transaction.is_committed()

    def add_deferred(self, transaction: Transaction, task: DialTask, *, spread: int) -> None:
        """A number without a record waits as this task, and counts as skipped by the settler."""
        actions: list[Action] = [
            *never_called(self._items, task.entry),
            self._items.state.set(State.DEFERRED),
            self._items.skipped.set(True),
        ]
        item = self._items(call_key(task.key))
        transaction.update(f"{_CALL} {task.key.sequence}", item, actions, self._items.call.does_not_exist())
        self._tasks.add(transaction, task, spread=spread)

    def skip_open(self, transaction: Transaction, call: Call) -> None:
        """The settler skips an open call that is deferred, on the condition that it still is."""
        item = self._items(call_key(call.key))
        actions = [self._items.skipped.set(True), self._items.listed.remove()]
        transaction.update(f"{_CALL} {call.key.sequence}", item, actions, self._items.state == State.DEFERRED)

    def skip(self, call: Call) -> bool:
        """The settler skips it, so its outcome is counted separately later. False if it isn't deferred any more."""
        is_deferred = self._items.state == State.DEFERRED
        try:
            with conditional():
                self._items(call_key(call.key)).update([self._items.skipped.set(True)], is_deferred)
        except WriteRefused:
            return False
        return True

    def get(self, key: CallKey) -> Call | None:
        try:
            return _call(key, self._items.get(call_key(key), consistent_read=True))
        except DoesNotExist:
            return None

    def between(self, campaign: CampaignKey, first: int, beyond: int) -> Iterator[Call]:
        """The campaign's calls from `first` to before `beyond` that have a record, in any order."""
        return self.among(campaign.call(sequence) for sequence in range(first, beyond))

    def among(self, keys: Iterable[CallKey], *, consistent: bool = True) -> Iterator[Call]:
        """The calls that have a record, in any order. If it isn't `consistent`, it costs half, and may be older."""
        names = {call_key(key): key for key in keys}
        for item in self._items.batch_get(list(names), consistent_read=consistent):
            yield _call(names[item.call], item)

    def _defer(
        self, claim: Claim, task: DialTask, actions: Sequence[Action], report: AttemptReportTask | None = None
    ) -> bool:
        held: Condition = self._items.nonce == claim.nonce
        held &= self._items.state == State.DIALLING
        transaction = self._database.transaction()
        transaction.update(
            _CALL, self._items(call_key(claim.key)), [self._items.state.set(State.DEFERRED), *actions], held
        )
        self._tasks.add(transaction, task, spread=claim.spread)
        if report is not None:
            self._tasks.add(transaction, report, spread=claim.spread)
        return transaction.is_committed()

    def _ended(self, outcome: Outcome, ended_at: datetime) -> list[Action]:
        return [
            self._items.reason.set(outcome.reason),
            self._items.callee_type.set(outcome.callee_type),
            self._items.duration.set(outcome.duration),
            self._items.last_attempt_at.set(ended_at),
        ]

    def _expiring(self, ended_at: datetime) -> list[Action]:
        """DynamoDB deletes the record within some days of its time to live, at no cost.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html
        """
        return [] if self._retention is None else [self._items.expires_at.set(ended_at + self._retention)]


def call_key(key: CallKey) -> str:
    return f"{key.campaign}/{key.sequence}"


def uncounted(key: CallKey, state: State, spread: int) -> UncountedOutcome:
    return UncountedOutcome(key, state, spreading.partition(key.sequence, spread))


def _written_key(key: CallKey) -> Written:
    return {"call": {"S": call_key(key)}}


def _call(key: CallKey, item: Any) -> Call:
    return Call(
        key=key,
        entry=Entry(item.destination, item.message_reference or "", expires=item.call_before),
        state=State(item.state),
        attempt=int(item.attempt),
        skipped=bool(item.skipped),
        claimed_at=item.claimed_at,
        reason=item.reason,
        callee_type=CalleeType(item.callee_type or CalleeType.UNKNOWN),
        duration=int(item.duration or 0),
        last_attempt_at=item.last_attempt_at,
        report=ReportState(item.report or ReportState.NONE),
        report_attempts=int(item.report_attempts or 0),
        report_error=item.report_error,
        events=tuple(map(RecordedEvent.from_line, item.events or ())),
        ended_at=item.ended_at,
        revision=int(item.revision or 0),
        listed=bool(item.listed),
        attempt_reports=tuple(item.attempt_reports or ()),
    )
