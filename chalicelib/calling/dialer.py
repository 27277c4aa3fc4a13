"""The dialer: make each call of a slice, once, and report how it ended.

    wait for its instant -> claim -> connect -> last look -> send -> record the outcome -> report it

The claim comes before anything is sent, so a number that is delivered twice is dialled once. The last look comes when
the connection stands and nothing is sent yet: until then the number can be given back as if nothing had happened, from
then on it can't. Whatever happens in between, the claim tells: one without an outcome is an uncertain call.

What comes too late, or may not be dialled any more, is returned before it is claimed: a slice's numbers with one write.
So a dialer that has more to do than it can loses little time on what it can't do.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from chalicelib.calling.blocking import RunBlocking, retry_blocking
from chalicelib.calling.reporter import Reporter, Signer
from chalicelib.calling.snapshots import CampaignSnapshot, CampaignSnapshots
from chalicelib.domain import messages as handover
from chalicelib.domain.call import Call, Claim, DialTask, ReportState, State, is_unclaimed
from chalicelib.domain.forms import dial_form
from chalicelib.domain.last_look import Refusal, hold, refusal, refusal_unclaimed
from chalicelib.domain.messages import Dial, Report, Slice
from chalicelib.domain.models import CallKey, Campaign, Schedule
from chalicelib.domain.next_action import Finish, Retry, TryUnsentAgain, verdict
from chalicelib.domain.outcome import RequestResult, Result, Unknown
from chalicelib.gateway.clients import ResultUrlClient, StartUrlClient, form_body
from chalicelib.gateway.queue import DeadLetters
from chalicelib.runtime.clock import Clock
from chalicelib.runtime.logs import about, about_campaign
from chalicelib.runtime.metrics import Metric, Metrics
from chalicelib.storage.stores import Stores
from chalicelib.storage.switch import Switch
from chalicelib.storage.writes import new_nonce

logger = logging.getLogger(__name__)

#: What a call takes at most, from the last look to its recorded outcome: the gateway's deadline, and some to write.
CALL_TIME = timedelta(seconds=35)
#: A number is claimed so long before its instant: then the claim doesn't make the call late.
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


@dataclass(frozen=True)
class Batch:
    """What those that are dealt with at once share."""

    #: when this function is ended, whatever it is doing
    ends_at: datetime
    #: the calls whose outcome was taken as soon as it was told
    told: list[Call]


class TaskResult(Enum):
    """What has become of a part of a slice."""

    DONE = "done"
    #: a number that somebody else is at: who knows whether that will come to an end
    HELD_ELSEWHERE = "by somebody else"
    #: it is to come again
    FAILED = "failed"


class Refused(Exception):
    """The last look said no."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why)
        self.why = why


class Dialer:
    def __init__(
        self,
        *,
        stores: Stores,
        switch: Switch,
        dead_letters: DeadLetters,
        start_url_client: StartUrlClient,
        result_url_client: ResultUrlClient,
        clock: Clock,
        metrics: Metrics,
        run_blocking: RunBlocking,
        random_fraction: Callable[[], float] = random.random,
    ) -> None:
        """`chance` answers a number from 0 to 1, for jitter."""
        self._calls = stores.calls
        self._tasks = stores.tasks
        self._views = CampaignSnapshots(switch, stores.campaigns, stores.schedules, clock, run_blocking)
        self._dead_letters = dead_letters
        self._start_url_client = start_url_client
        self._clock = clock
        self._metrics = metrics
        self._run_blocking = run_blocking
        self._random_fraction = random_fraction
        self._signer = Signer(stores.accounts, clock, run_blocking)
        self._reporter = Reporter(
            stores=stores,
            signer=self._signer,
            result_url_client=result_url_client,
            clock=clock,
            metrics=metrics,
            run_blocking=run_blocking,
            random_fraction=random_fraction,
        )

    async def handle_batch(self, deliveries: Sequence[Delivery], ends_at: datetime) -> list[str]:
        """Make all the calls and reports at once. Answers the ids of the messages that must come again.

        `ends_at` is when this function is ended, whatever it is doing.
        """
        self._views.begin()
        batch = Batch(ends_at, told=[])
        failures = await asyncio.gather(*(self._deal_with_one(delivery, batch) for delivery in deliveries))
        await self._reporter.note(batch.told)
        return [delivery.id for delivery, failed in zip(deliveries, failures, strict=True) if failed]

    async def _deal_with_one(self, delivery: Delivery, batch: Batch) -> bool:
        """Must it come again? Whatever is wrong with one message stays with it."""
        try:
            handed = handover.from_message(delivery.body)
        except handover.Newer as fault:
            logger.warning("message %s is left to a newer version: %s", delivery.id, fault)
            return True
        except handover.Unreadable as fault:
            logger.error("message %s can't be read and goes to the dead letters: %s", delivery.id, fault)
            return not await self._put_away(delivery)
        try:
            dealt = await self._deal_with_slice(handed, batch)
            if handed.scheduled is not None and dealt == {TaskResult.DONE}:
                await self._run_blocking(self._tasks.delete_lease, *_campaign(handed), handed.scheduled)
        except Exception:
            logger.exception("a slice is not dealt with, and comes again", extra=about_campaign(*_campaign(handed)))
            return True
        return TaskResult.FAILED in dealt

    async def _deal_with_slice(self, handed: Slice, batch: Batch) -> set[TaskResult]:
        dials, of_the_others = await self._return_what_cannot_be_made(handed)
        begins = handover.begins(dials, self._clock.now())
        dealt = await asyncio.gather(
            *(self._each(dial.key, self._dial(dial, begins[dial], handed.spread, batch)) for dial in dials),
            *(self._each(report.key, self._report_again(report, batch)) for report in handed.reports),
        )
        return {of_the_others, *dealt}

    async def _each(self, key: CallKey, work: Coroutine[Any, Any, TaskResult]) -> TaskResult:
        """What fails for one call of a slice doesn't hold up the others."""
        try:
            return await work
        except Exception:
            logger.exception("not dealt with; its message comes again", extra=about(key))
            return TaskResult.FAILED

    async def _return_what_cannot_be_made(self, handed: Slice) -> tuple[Sequence[Dial], TaskResult]:
        """Answers the others, which are to be made; and what became of these."""
        if not handed.dials:
            return (), TaskResult.DONE
        view = await self._views.of(*_campaign(handed))
        if _refused(handed, view, self._clock.now()):
            # It may have been started since it was read.
            view = await self._views.of(*_campaign(handed), since=self._clock.now())
        refused = _refused(handed, view, self._clock.now())
        if not refused:
            return handed.dials, TaskResult.DONE
        known = {
            call.key: call for call in await self._run_blocking(_list, self._calls.among, [d.key for d in refused])
        }
        back = [
            DialTask(dial.key, dial.entry, dial.attempt, None)
            for dial in refused
            if is_unclaimed(known.get(dial.key), dial.attempt)
        ]
        if back:
            await retry_blocking(self._run_blocking, self._clock, self._tasks.add_returned, back, new_nonce())
            self._metrics.count(Metric.DEFERRED, len(back))
            whys = ", ".join(sorted(set(refused.values())))
            logger.info("%s calls returned: %s", len(back), whys, extra=about_campaign(*_campaign(handed)))
        is_being_dialled = any(call.state is State.DIALLING for call in known.values())
        others = [dial for dial in handed.dials if dial not in refused]
        return others, TaskResult.HELD_ELSEWHERE if is_being_dialled else TaskResult.DONE

    async def _put_away(self, delivery: Delivery) -> bool:
        try:
            await self._run_blocking(self._dead_letters.put, delivery.body)
        except Exception:
            logger.exception("message %s can't be put away, and comes again", delivery.id)
            return False
        return True

    async def _dial(self, dial: Dial, begin: datetime, spread: int, batch: Batch) -> TaskResult:
        may_wait = begin < batch.ends_at - CALL_TIME
        if may_wait:
            await self._until(begin - CLAIMED_AHEAD)
        # A claim that is given and not heard of would hold the number until it counts as uncertain.
        claim = await retry_blocking(
            self._run_blocking,
            self._clock,
            self._calls.claim,
            dial.key,
            dial.entry,
            dial.attempt,
            self._clock.now(),
            new_nonce(),
            spread,
        )
        if claim is None:
            logger.info("the attempt is somebody else's", extra=about(dial.key, dial.entry, dial.attempt))
            call = await self._run_blocking(self._calls.get, dial.key)
            return TaskResult.HELD_ELSEWHERE if call is None or call.state is State.DIALLING else TaskResult.DONE
        if may_wait:
            await self._until(begin)
        try:
            request_result, campaign = await self._place(dial, claim, batch)
        except Refused as refused:
            logger.info("not now: %s", refused.why, extra=about(dial.key, dial.entry, dial.attempt))
            self._metrics.count(Metric.DEFERRED)
            await retry_blocking(self._run_blocking, self._clock, self._calls.give_up, claim, refused.why)
            return TaskResult.DONE
        await self._record(claim, request_result, campaign, batch)
        return TaskResult.DONE

    async def _until(self, instant: datetime) -> None:
        early = instant - self._clock.now()
        if early > timedelta(0):
            await self._clock.sleep(early.total_seconds())

    async def _place(self, dial: Dial, claim: Claim, batch: Batch) -> tuple[RequestResult, Campaign]:
        """Raises Refused, and whatever else kept the call from being sent; then the claim is given up."""
        sending = False

        async def look(*, connected: bool) -> tuple[Campaign, Schedule]:
            view = await self._views.of(dial.key.account, dial.key.campaign_id)
            now = self._clock.now()
            why = refusal(
                dial,
                view.campaign,
                view.schedule,
                now,
                halted=view.halted,
                asked_at=view.asked_at,
                connected=connected,
                time_left=batch.ends_at - now,
                time_needed=CALL_TIME,
            )
            if why is not None or view.campaign is None or view.schedule is None:
                raise Refused(why or Refusal.STOPPED)
            return view.campaign, view.schedule

        async def last_look() -> None:
            nonlocal sending
            await look(connected=True)
            sending = True
            self._metrics.measure(Metric.PACE_LAG, (self._clock.now() - dial.due).total_seconds())

        try:
            campaign, schedule = await look(connected=False)  # what is refused already needs no connection
            now = self._clock.now()
            await self._until(now + hold(campaign, schedule, now))
            body = form_body(dial_form(claim))
            headers = await self._signer.headers(
                claim.key, f"dial_{claim.key.call_id}_{claim.attempt}", claim.attempt, body
            )
            url = campaign.plan.start_url
            return await self._start_url_client.place_call(url, body, headers, last_look=last_look), campaign
        except Refused:
            raise
        except Exception:
            if sending:
                logger.exception("nobody knows whether the call went out", extra=about(claim.key, claim.entry))
                return Unknown("internal_error"), campaign
            await retry_blocking(self._run_blocking, self._clock, self._calls.give_up, claim, "internal_error")
            raise

    async def _record(self, claim: Claim, request_result: RequestResult, campaign: Campaign, batch: Batch) -> None:
        now = self._clock.now()
        which = about(claim.key, claim.entry, claim.attempt)
        match verdict(request_result, claim, campaign.plan, now, self._random_fraction()):
            case TryUnsentAgain(reason, not_before):
                logger.info("not sent: %s", reason, extra=which)
                self._metrics.count(Metric.DEFERRED)
                await retry_blocking(
                    self._run_blocking, self._clock, self._calls.defer_unsent, claim, reason, not_before
                )
            case Retry(outcome, not_before):
                logger.info("failed, to be tried again: %s", outcome.reason, extra=which)
                self._metrics.count(Metric.DEFERRED)
                await retry_blocking(
                    self._run_blocking, self._clock, self._calls.defer_retry, claim, outcome, now, not_before
                )
            case Finish(outcome):
                logger.info("%s: %s", outcome.result, outcome.reason, extra=which)
                report = ReportState.PENDING if campaign.plan.result_url else ReportState.NONE
                call = await retry_blocking(
                    self._run_blocking, self._clock, self._calls.finish, claim, outcome, now, report
                )
                if call is None:
                    logger.error("its claim was lost before its outcome was recorded", extra=which)
                    return
                self._metrics.count(_COUNTED[outcome.result])
                if report is ReportState.PENDING:
                    await self._reporter.report(call, campaign, batch.ends_at, batch.told)

    async def _report_again(self, report: Report, batch: Batch) -> TaskResult:
        call = await self._run_blocking(self._calls.get, report.key)
        campaign = (await self._views.of(report.key.account, report.key.campaign_id)).campaign
        if call is not None and campaign is not None and _is_owed(call, report.attempt):
            await self._reporter.report(call, campaign, batch.ends_at)
        return TaskResult.DONE


def _is_owed(call: Call, attempt: int) -> bool:
    """Is this attempt at telling its outcome still to be made?"""
    return call.report in (ReportState.PENDING, ReportState.DEFERRED) and call.report_attempts == attempt - 1


def _campaign(handed: Slice) -> tuple[str, int]:
    return handed.account, handed.campaign_id


def _refused(handed: Slice, view: CampaignSnapshot, now: datetime) -> dict[Dial, Refusal]:
    """The dials that can't be made, each with the reason."""
    whys = {dial: refusal_unclaimed(dial, view.campaign, now, halted=view.halted) for dial in handed.dials}
    return {dial: why for dial, why in whys.items() if why is not None}


def _list(read: Callable[[Sequence[CallKey]], Iterable[Call]], keys: Sequence[CallKey]) -> list[Call]:
    """Storage answers as it reads, which must not block the calls under way."""
    return list(read(keys))
