"""The dialer: make each call handed over, once, and report how it ended.

    wait for its instant -> claim -> connect -> last look -> send -> record the outcome -> report it

The claim comes before anything is sent, so a number that is delivered twice is dialled once. The last look comes when
the connection stands and nothing is sent yet: until then the number can be given back as if nothing had happened, from
then on it can't. Whatever happens in between, the claim tells: one without an outcome is an uncertain call.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.clock import Clock
from chalicelib.domain import handover
from chalicelib.domain.call import Call, Claim, ReportState, State
from chalicelib.domain.forms import dial_form
from chalicelib.domain.last_look import Refusal, hold, refusal
from chalicelib.domain.models import Campaign, Schedule
from chalicelib.domain.outcome import Exchange, Result, Unknown
from chalicelib.domain.verdict import Finish, Retry, TryUnsentAgain, verdict
from chalicelib.gateway.queue import DeadLetters
from chalicelib.gateway.telephone import ReportDesk, Telephone, form_body
from chalicelib.logs import about
from chalicelib.metrics import Metric, Metrics
from chalicelib.offload import Offload, insist
from chalicelib.reporter import Reporter, Signer
from chalicelib.storage.stores import Stores
from chalicelib.storage.switch import Switch
from chalicelib.storage.writes import new_nonce
from chalicelib.views import Views

logger = logging.getLogger(__name__)

#: What a call takes at most, from the last look to its recorded outcome: the gateway's deadline, and some to write.
CALL_TIME = timedelta(seconds=35)


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

    views: Views
    #: when this function is ended, whatever it is doing
    ends_at: datetime
    #: the calls whose outcome was taken as soon as it was told
    told: list[Call]


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
        telephone: Telephone,
        desk: ReportDesk,
        clock: Clock,
        metrics: Metrics,
        offload: Offload,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`chance` answers a number from 0 to 1, for jitter."""
        self._calls = stores.calls
        self._campaigns = stores.campaigns
        self._schedules = stores.schedules
        self._slips = stores.slips
        self._switch = switch
        self._dead_letters = dead_letters
        self._telephone = telephone
        self._clock = clock
        self._metrics = metrics
        self._offload = offload
        self._chance = chance
        self._signer = Signer(stores.accounts, clock, offload)
        self._reporter = Reporter(
            stores=stores,
            signer=self._signer,
            desk=desk,
            clock=clock,
            metrics=metrics,
            offload=offload,
            chance=chance,
        )

    async def deal_with(self, deliveries: Sequence[Delivery], ends_at: datetime) -> list[str]:
        """Make all the calls and reports at once. Answers the ids of the messages that must come again.

        `ends_at` is when this function is ended, whatever it is doing.
        """
        views = Views(self._switch, self._campaigns, self._schedules, self._clock, self._offload)
        batch = Batch(views, ends_at, told=[])
        messages = [_read(delivery) for delivery in deliveries]
        begins = handover.begins(
            [message for message in messages if isinstance(message, handover.Dial)], self._clock.now()
        )
        failures = await asyncio.gather(
            *(
                self._deal_with_one(delivery, message, begins, batch)
                for delivery, message in zip(deliveries, messages, strict=True)
            )
        )
        await self._reporter.note(batch.told)
        return [delivery.id for delivery, failed in zip(deliveries, failures, strict=True) if failed]

    async def _deal_with_one(
        self,
        delivery: Delivery,
        message: handover.Dial | handover.Report | None,
        begins: Mapping[handover.Dial, datetime],
        batch: Batch,
    ) -> bool:
        """Must it come again? Whatever is wrong with one message stays with it."""
        if message is None:
            return not await self._put_away(delivery)
        try:
            if isinstance(message, handover.Dial):
                is_dealt_with = await self._dial(message, begins[message], batch)
            else:
                is_dealt_with = await self._report_again(message, batch)
            if is_dealt_with and message.slip is not None:
                await self._offload(self._slips.forget_name, message.key, message.slip)
        except Exception:
            logger.exception("not dealt with; its message comes again", extra=about(message.key))
            return True
        return False

    async def _put_away(self, delivery: Delivery) -> bool:
        try:
            await self._offload(self._dead_letters.put, delivery.body)
        except Exception:
            logger.exception("message %s can't be put away, and comes again", delivery.id)
            return False
        return True

    async def _dial(self, dial: handover.Dial, begin: datetime, batch: Batch) -> bool:
        """False if somebody else is at the number: who knows whether that will come to an end."""
        early = begin - self._clock.now()
        if timedelta(0) < early < batch.ends_at - self._clock.now() - CALL_TIME:
            await self._clock.sleep(early.total_seconds())
        # A claim that is given and not heard of would hold the number until it counts as uncertain.
        claim = await insist(
            self._offload,
            self._clock,
            self._calls.claim,
            dial.key,
            dial.entry,
            dial.attempt,
            self._clock.now(),
            new_nonce(),
        )
        if claim is None:
            logger.info("the attempt is somebody else's", extra=about(dial.key, dial.entry, dial.attempt))
            call = await self._offload(self._calls.get, dial.key)
            return call is not None and call.state is not State.DIALLING
        try:
            exchange, campaign = await self._place(dial, claim, batch)
        except Refused as refused:
            logger.info("not now: %s", refused.why, extra=about(dial.key, dial.entry, dial.attempt))
            self._metrics.count(Metric.DEFERRED)
            await insist(self._offload, self._clock, self._calls.give_up, claim, refused.why)
            return True
        await self._record(claim, exchange, campaign, batch)
        return True

    async def _place(self, dial: handover.Dial, claim: Claim, batch: Batch) -> tuple[Exchange, Campaign]:
        """Raises Refused, and whatever else kept the call from being sent; then the claim is given up."""
        sending = False

        async def look(*, connected: bool) -> tuple[Campaign, Schedule]:
            view = await batch.views.of(dial.key)
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
            await self._clock.sleep(hold(campaign, schedule, self._clock.now()).total_seconds())
            body = form_body(dial_form(claim))
            headers = await self._signer.headers(
                claim.key, f"dial_{claim.key.call_id}_{claim.attempt}", claim.attempt, body
            )
            url = campaign.plan.start_url
            return await self._telephone.place_call(url, body, headers, last_look=last_look), campaign
        except Refused:
            raise
        except Exception:
            if sending:
                logger.exception("nobody knows whether the call went out", extra=about(claim.key, claim.entry))
                return Unknown("internal_error"), campaign
            await insist(self._offload, self._clock, self._calls.give_up, claim, "internal_error")
            raise

    async def _record(self, claim: Claim, exchange: Exchange, campaign: Campaign, batch: Batch) -> None:
        now = self._clock.now()
        which = about(claim.key, claim.entry, claim.attempt)
        match verdict(exchange, claim, campaign.plan, now, self._chance()):
            case TryUnsentAgain(reason, not_before):
                logger.info("not sent: %s", reason, extra=which)
                self._metrics.count(Metric.DEFERRED)
                await insist(self._offload, self._clock, self._calls.defer_unsent, claim, reason, not_before)
            case Retry(outcome, not_before):
                logger.info("failed, to be tried again: %s", outcome.reason, extra=which)
                self._metrics.count(Metric.DEFERRED)
                await insist(self._offload, self._clock, self._calls.defer_retry, claim, outcome, now, not_before)
            case Finish(outcome):
                logger.info("%s: %s", outcome.result, outcome.reason, extra=which)
                report = ReportState.PENDING if campaign.plan.result_url else ReportState.NONE
                call = await insist(self._offload, self._clock, self._calls.finish, claim, outcome, now, report)
                if call is None:
                    logger.error("its claim was lost before its outcome was recorded", extra=which)
                    return
                self._metrics.count(_COUNTED[outcome.result])
                if report is ReportState.PENDING:
                    await self._reporter.report(call, campaign, batch.ends_at, batch.told)

    async def _report_again(self, report: handover.Report, batch: Batch) -> bool:
        call = await self._offload(self._calls.get, report.key)
        campaign = (await batch.views.of(report.key)).campaign
        if call is not None and campaign is not None and _is_owed(call, report.attempt):
            await self._reporter.report(call, campaign, batch.ends_at)
        return True


def _is_owed(call: Call, attempt: int) -> bool:
    """Is this attempt at telling its outcome still to be made?"""
    return call.report in (ReportState.PENDING, ReportState.DEFERRED) and call.report_attempts == attempt - 1


def _read(delivery: Delivery) -> handover.Dial | handover.Report | None:
    """None for what can't be read."""
    try:
        return handover.from_message(delivery.body)
    except handover.Unreadable as fault:
        logger.error("message %s can't be read and goes to the dead letters: %s", delivery.id, fault)
        return None
