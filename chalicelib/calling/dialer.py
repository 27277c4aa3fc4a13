"""The dialer: make each call of a slice once, and report its outcome.

    wait for its instant -> claim -> connect -> last look -> send -> record the outcome -> report it

The claim comes before anything is sent, so a number that is delivered twice is dialled once. The last look comes when
the connection stands and nothing is sent yet. Until then the claim can be given up; from then on it can't. If the
dialer dies in between, the claim stays without an outcome, and the call becomes uncertain.

Calls that come too late, or may not be made any more, are returned before they are claimed, with one write for a slice.
So a dialer that is overloaded loses little time on calls that it can't make.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any, ParamSpec, TypeVar

from chalicelib.calling.blocking import RunBlocking, retry_blocking
from chalicelib.calling.refiller import Refiller
from chalicelib.calling.reporter import Reporter
from chalicelib.calling.signer import Signer
from chalicelib.calling.snapshots import CampaignSnapshots
from chalicelib.domain import messages
from chalicelib.domain.call import Call, Claim, EndedAttempt, ReportState, State, finished, is_unclaimed
from chalicelib.domain.forms import dial_form
from chalicelib.domain.keys import CallKey
from chalicelib.domain.last_look import CampaignSnapshot, Refusal, hold, refusal, refusal_unclaimed
from chalicelib.domain.messages import Dial, Refill, Report, Slice
from chalicelib.domain.models import Campaign
from chalicelib.domain.outcome import Outcome, RequestResult, Result, Unknown
from chalicelib.domain.retries import AwaitOutcome, Finish, Retry, TryUnsentAgain, next_action
from chalicelib.domain.tasks import AttemptReportTask, DialTask
from chalicelib.domain.timetable import Timetable
from chalicelib.gateway.clients import CALL_DEADLINE, StartUrlClient, form_body
from chalicelib.gateway.queue import DeadLetters
from chalicelib.runtime.clock import Clock
from chalicelib.runtime.logs import about, about_campaign
from chalicelib.runtime.metrics import Metric, Metrics
from chalicelib.storage.stores import Stores
from chalicelib.storage.writes import new_nonce

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

#: The longest time from the last look to the recorded outcome: the gateway's deadline, and the time to write.
CALL_TIME = timedelta(seconds=CALL_DEADLINE + 5)
#: How long after an attempt its report is dispatched, unless its dialer has sent it. A dialer lives for 90 seconds.
ATTEMPT_REPORTED_WITHIN = timedelta(minutes=2)
#: How long before its instant a number is claimed, so that the claim doesn't make the call late.
CLAIMED_AHEAD = timedelta(seconds=0.2)

_COUNTED = {
    Result.COMPLETED: Metric.COMPLETED,
    Result.FAILED: Metric.FAILED,
    Result.UNCERTAIN: Metric.UNCERTAIN,
}


@dataclass(frozen=True)
class Delivery:
    """A message as the queue delivers it."""

    id: str
    body: str


class Status(Enum):
    """What became of one call or report of a slice."""

    DONE = "done"
    #: another dialer holds the claim, and may die before it has the outcome: the lease must stay
    HELD_ELSEWHERE = "held elsewhere"
    #: SQS must deliver the message again
    FAILED = "failed"


@dataclass(frozen=True)
class TaskResult:
    """What became of one call or report of a slice."""

    status: Status
    #: the call whose first report result_url acknowledged, if that isn't recorded yet
    acknowledged: Call | None = None


@dataclass(frozen=True)
class SliceResult:
    """What became of a message."""

    #: True if SQS must deliver it again
    failed: bool
    acknowledged: Sequence[Call] = ()


DONE = TaskResult(Status.DONE)
HELD_ELSEWHERE = TaskResult(Status.HELD_ELSEWHERE)


class Refused(Exception):
    """The last look refused the call."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why)
        self.why = why


class _LastLook:
    """The last look, as the client takes it. Once it has passed, the request may have been sent."""

    def __init__(self, look: Callable[[], Awaitable[None]]) -> None:
        self._look = look
        self.has_passed = False

    async def __call__(self) -> None:
        """Raises Refused."""
        await self._look()
        self.has_passed = True


class Dialer:
    def __init__(
        self,
        *,
        stores: Stores,
        snapshots: CampaignSnapshots,
        reporter: Reporter,
        refiller: Refiller,
        signer: Signer,
        dead_letters: DeadLetters,
        client: StartUrlClient,
        clock: Clock,
        metrics: Metrics,
        run_blocking: RunBlocking,
        random_fraction: Callable[[], float] = random.random,
    ) -> None:
        """`random_fraction` answers a number from 0 to 1, for jitter."""
        self._calls = stores.calls
        self._tasks = stores.tasks
        self._snapshots = snapshots
        self._reporter = reporter
        self._refiller = refiller
        self._signer = signer
        self._dead_letters = dead_letters
        self._client = client
        self._clock = clock
        self._metrics = metrics
        self._run_blocking = run_blocking
        self._random_fraction = random_fraction

    async def handle_batch(self, deliveries: Sequence[Delivery], deadline: datetime) -> list[str]:
        """Make all the calls and reports at once. Answers the ids of the messages that SQS must deliver again.

        `deadline` is when this function is ended, whatever it is doing.
        """
        self._snapshots.begin()
        results = await asyncio.gather(*(self._handle_message(delivery, deadline) for delivery in deliveries))
        await self._reporter.acknowledge(call for result in results for call in result.acknowledged)
        return [delivery.id for delivery, result in zip(deliveries, results, strict=True) if result.failed]

    async def _handle_message(self, delivery: Delivery, deadline: datetime) -> SliceResult:
        """An error in one message doesn't affect the others."""
        try:
            message = messages.from_message(delivery.body)
        except messages.Newer as fault:
            logger.warning("message %s is left to a newer version: %s", delivery.id, fault)
            return SliceResult(failed=True)
        except messages.Unreadable as fault:
            logger.error("message %s can't be read and goes to the dead letters: %s", delivery.id, fault)
            return SliceResult(failed=not await self._dead_letter(delivery))
        try:
            if isinstance(message, Refill):
                await self._run_blocking(self._refiller.refill, message, deadline)
                return SliceResult(failed=False)
            return await self._handle_slice(message, deadline)
        except Exception:
            logger.exception("the message failed, and comes again", extra=about_campaign(message.campaign))
            return SliceResult(failed=True)

    async def _handle_slice(self, slice_: Slice, deadline: datetime) -> SliceResult:
        results = await self._work_on(slice_, deadline)
        statuses = {result.status for result in results}
        failed = Status.FAILED in statuses
        if statuses == {Status.DONE} and slice_.lease is not None:
            failed = not await self._delete_lease(slice_, slice_.lease)
        return SliceResult(failed, [result.acknowledged for result in results if result.acknowledged is not None])

    async def _work_on(self, slice_: Slice, deadline: datetime) -> list[TaskResult]:
        dials, of_returned = await self._return_what_cannot_be_made(slice_)
        begins = messages.begins(dials, self._clock.now())
        done = await asyncio.gather(
            *(self._each(dial.key, self._dial(dial, begins[dial], slice_.spread, deadline)) for dial in dials),
            *(self._each(report.key, self._report_again(report, deadline)) for report in slice_.reports),
        )
        return [of_returned, *done]

    async def _each(self, key: CallKey, work: Coroutine[Any, Any, TaskResult]) -> TaskResult:
        """An error in one call or report doesn't affect the others of its slice."""
        try:
            return await work
        except Exception:
            logger.exception("the call or report failed; its message comes again", extra=about(key))
            return TaskResult(Status.FAILED)

    async def _delete_lease(self, slice_: Slice, lease: str) -> bool:
        try:
            await self._run_blocking(self._tasks.delete_lease, slice_.campaign, lease)
        except Exception:
            logger.exception("the lease isn't deleted; the message comes again", extra=about_campaign(slice_.campaign))
            return False
        return True

    async def _dead_letter(self, delivery: Delivery) -> bool:
        try:
            await self._run_blocking(self._dead_letters.put, delivery.body)
        except Exception:
            logger.exception("message %s didn't reach the dead letters; it comes again", delivery.id)
            return False
        return True

    async def _return_what_cannot_be_made(self, slice_: Slice) -> tuple[Sequence[Dial], TaskResult]:
        """Return the calls that can't be made. Answers the dials that are left, and the result of the returned ones."""
        if not slice_.dials:
            return (), DONE
        snapshot = await self._snapshots.read(slice_.campaign)
        if _refused(slice_, snapshot, self._clock.now()):
            # The campaign may have been started since it was read.
            snapshot = await self._snapshots.read(slice_.campaign, since=self._clock.now())
        refused = _refused(slice_, snapshot, self._clock.now())
        if not refused:
            return slice_.dials, DONE
        calls = {call.key: call for call in await self._run_blocking(self._read_calls, [dial.key for dial in refused])}
        returned = [
            DialTask(dial.key, dial.entry, dial.attempt, None)
            for dial in refused
            if is_unclaimed(calls.get(dial.key), dial.attempt)
        ]
        if returned:
            await self._retry(self._tasks.add_returned, returned, new_nonce())
            self._metrics.count(Metric.DEFERRED, len(returned))
            reasons = ", ".join(sorted(set(refused.values())))
            logger.info("%s calls returned: %s", len(returned), reasons, extra=about_campaign(slice_.campaign))
        is_being_dialled = any(call.state is State.DIALLING for call in calls.values())
        left = [dial for dial in slice_.dials if dial not in refused]
        return left, HELD_ELSEWHERE if is_being_dialled else DONE

    async def _dial(self, dial: Dial, begin: datetime, spread: int, deadline: datetime) -> TaskResult:
        may_wait = begin < deadline - CALL_TIME
        if may_wait:
            await self._until(begin - CLAIMED_AHEAD)
        # It is retried: if the answer were lost, the claim would be held until the call becomes uncertain.
        claim = await self._retry(
            self._calls.claim, dial.key, dial.entry, dial.attempt, self._clock.now(), new_nonce(), spread
        )
        if claim is None:
            logger.info("the attempt was claimed before", extra=about(dial.key, dial.entry, dial.attempt))
            call = await self._run_blocking(self._calls.get, dial.key)
            return HELD_ELSEWHERE if call is None or call.state is State.DIALLING else DONE
        if may_wait:
            await self._until(begin)
        try:
            result, campaign = await self._place(dial, claim, deadline)
        except Refused as refused:
            logger.info("refused: %s", refused.why, extra=about(dial.key, dial.entry, dial.attempt))
            self._metrics.count(Metric.DEFERRED)
            await self._retry(self._calls.give_up, claim, refused.why)
            return DONE
        call = await self._record(claim, result, campaign, deadline)
        if call is None or call.report is not ReportState.PENDING:
            return DONE
        acknowledged = await self._reporter.report(call, campaign, deadline)
        return TaskResult(Status.DONE, call if acknowledged else None)

    async def _until(self, instant: datetime) -> None:
        early = instant - self._clock.now()
        if early > timedelta(0):
            await self._clock.sleep(early.total_seconds())

    async def _place(self, dial: Dial, claim: Claim, deadline: datetime) -> tuple[RequestResult, Campaign]:
        """Make the call. Raises Refused, or another error from before the call was sent.

        After Refused the caller gives up the claim. After another error the claim is given up here.
        """
        last_look = _LastLook(partial(self._look_connected, dial, deadline))
        try:
            # A call that is refused now needs no connection.
            campaign, timetable = await self._look(dial, deadline, connected=False)
            now = self._clock.now()
            await self._until(now + hold(timetable, now))
            status_url = await self._signer.status_url(claim.key, claim.attempt)
            body = form_body(dial_form(claim, status_url))
            webhook_id = f"dial_{claim.key.call_id}_{claim.attempt}"
            headers = await self._signer.headers(claim.key, webhook_id, str(claim.attempt), body)
            url = campaign.plan.start_url
            return await self._client.place_call(url, body, headers, last_look=last_look), campaign
        except Refused:
            raise
        except Exception:
            if last_look.has_passed:
                logger.exception("the call may have been sent, so it is uncertain", extra=about(claim.key, claim.entry))
                return Unknown("internal_error"), campaign
            await self._retry(self._calls.give_up, claim, "internal_error")
            raise

    async def _look(self, dial: Dial, deadline: datetime, *, connected: bool) -> tuple[Campaign, Timetable]:
        """Raises Refused."""
        snapshot = await self._snapshots.read(dial.key.campaign)
        now = self._clock.now()
        why = refusal(dial, snapshot, now, connected=connected, has_time=deadline - now >= CALL_TIME)
        if why is not None or snapshot.campaign is None or snapshot.timetable is None:
            raise Refused(why or Refusal.STOPPED)
        return snapshot.campaign, snapshot.timetable

    async def _look_connected(self, dial: Dial, deadline: datetime) -> None:
        """Raises Refused."""
        await self._look(dial, deadline, connected=True)
        self._metrics.measure(Metric.PACE_LAG, (self._clock.now() - dial.due).total_seconds())

    async def _record(self, claim: Claim, result: RequestResult, campaign: Campaign, deadline: datetime) -> Call | None:
        """The call, if it has its outcome now."""
        now = self._clock.now()
        extra = about(claim.key, claim.entry, claim.attempt)
        match next_action(result, claim, campaign.plan, now, self._random_fraction()):
            case TryUnsentAgain(reason, not_before):
                logger.info("not sent: %s", reason, extra=extra)
                self._metrics.count(Metric.DEFERRED)
                await self._retry(self._calls.defer_unsent, claim, reason, not_before)
            case Retry(outcome, not_before):
                logger.info("failed, and is retried: %s", outcome.reason, extra=extra)
                self._metrics.count(Metric.DEFERRED)
                await self._dial_again(claim, outcome, now, not_before, campaign, deadline)
            case AwaitOutcome():
                logger.info("in progress", extra=extra)
                if not await self._retry(self._calls.begin_progress, claim, now):
                    logger.info("an event has ended the attempt already", extra=extra)
            case Finish(outcome):
                logger.info("%s: %s", outcome.result, outcome.reason, extra=extra)
                state = ReportState.PENDING if campaign.plan.result_url else ReportState.NONE
                call = await self._retry(self._calls.finish, claim, outcome, now, state)
                if call is None:
                    # An event came before start_url's answer, or the claim was held for too long.
                    logger.warning("the attempt has its outcome already", extra=extra)
                    return None
                self._metrics.count(_COUNTED[outcome.result])
                return call
        return None

    async def _dial_again(
        self,
        claim: Claim,
        outcome: Outcome,
        now: datetime,
        not_before: datetime,
        campaign: Campaign,
        deadline: datetime,
    ) -> None:
        """Defer the next attempt. If the campaign asks for it, report this one at once.

        The report's task waits in case that this dialer dies.
        """
        if not campaign.plan.reports_attempts:
            await self._retry(self._calls.defer_retry, claim, outcome, now, not_before)
            return
        ended = EndedAttempt(claim.attempt, now, outcome)
        report = AttemptReportTask(claim.key, 1, now + ATTEMPT_REPORTED_WITHIN, ended)
        if not await self._retry(self._calls.defer_retry, claim, outcome, now, not_before, report):
            return
        call = finished(claim, outcome, now, ReportState.NONE)
        # The claim's spread may be an earlier one than the campaign's.
        await self._reporter.report_attempt(call, report, campaign, deadline, spread=claim.spread)

    async def _report_again(self, report: Report, deadline: datetime) -> TaskResult:
        call = await self._run_blocking(self._calls.get, report.key)
        campaign = (await self._snapshots.read(report.key.campaign)).campaign
        if call is None or campaign is None:
            return DONE
        if report.ended is not None:
            task = AttemptReportTask(report.key, report.attempt, self._clock.now(), report.ended)
            await self._reporter.report_attempt_again(call, task, campaign, deadline)
            return DONE
        if not _is_owed(call, report.attempt):
            return DONE
        acknowledged = await self._reporter.report(call, campaign, deadline)
        return TaskResult(Status.DONE, call if acknowledged else None)

    async def _retry(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await retry_blocking(self._run_blocking, self._clock, function, *args, **kwargs)

    def _read_calls(self, keys: Sequence[CallKey]) -> list[Call]:
        """Storage answers lazily, and reading must not block the calls under way."""
        return list(self._calls.among(keys))


def _is_owed(call: Call, attempt: int) -> bool:
    """True if this attempt at the report is still to be made."""
    return call.report in (ReportState.PENDING, ReportState.DEFERRED) and call.report_attempts == attempt - 1


def _refused(slice_: Slice, snapshot: CampaignSnapshot, now: datetime) -> dict[Dial, Refusal]:
    """The dials that can't be made, each with the reason."""
    reasons = {dial: refusal_unclaimed(dial, snapshot, now) for dial in slice_.dials}
    return {dial: reason for dial, reason in reasons.items() if reason is not None}
