"""The dialer: make each call handed over, once, and report how it ended.

    wait for its instant -> claim -> connect -> last look -> send -> record the outcome -> report it

The claim comes before anything is sent, so a number that is delivered twice is dialled once. The last look comes when
the connection stands and nothing is sent yet: until then the number can be given back as if nothing had happened, from
then on it can't. Whatever happens in between, the claim tells: one without an outcome is an uncertain call.
"""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ParamSpec, Protocol, TypeVar

from chalicelib.clock import Clock
from chalicelib.domain import handover
from chalicelib.domain.call import Call, Claim, ReportState, State
from chalicelib.domain.forms import dial_form, report_form
from chalicelib.domain.last_look import Refusal, refusal
from chalicelib.domain.models import CallKey, Campaign, Schedule
from chalicelib.domain.outcome import Answered, Exchange, Unknown, Verdict, report_delay, report_verdict
from chalicelib.domain.verdict import Finish, Retry, TryUnsentAgain, verdict
from chalicelib.errors import Busy, NotFound
from chalicelib.gateway.queue import DeadLetters
from chalicelib.gateway.signing import signed_headers
from chalicelib.gateway.telephone import ReportDesk, Telephone, form_body
from chalicelib.storage.accounts import Accounts
from chalicelib.storage.calls import Calls
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.catalog import Schedules
from chalicelib.storage.deferred import Slips

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

#: How old the last look's knowledge of a campaign may be: with this no call starts over 2 s after a stop (P4).
FRESH_FOR = timedelta(seconds=1)
#: What a call takes at most, from the last look to its recorded outcome: the gateway's deadline, and some to write.
CALL_TIME = timedelta(seconds=35)
#: What a report takes at most.
REPORT_TIME = timedelta(seconds=15)
#: Seconds between the tries to record what has happened.
PAUSES = (0.2, 0.5, 1.0)


class Offload(Protocol):
    """Runs a function that blocks, without blocking the calls under way."""

    def __call__(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]: ...


@dataclass(frozen=True)
class Delivery:
    """A message as the queue delivers it."""

    id: str
    body: str


class UnknownAccount(Exception):
    """A message of an account that has no secret: nobody ever made a token for it."""


class Refused(Exception):
    """The last look said no."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why)
        self.why = why


class Dialer:
    def __init__(
        self,
        *,
        calls: Calls,
        campaigns: Campaigns,
        schedules: Schedules,
        accounts: Accounts,
        slips: Slips,
        dead_letters: DeadLetters,
        telephone: Telephone,
        desk: ReportDesk,
        clock: Clock,
        offload: Offload,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`chance` answers a number from 0 to 1, for jitter."""
        self._calls = calls
        self._campaigns = campaigns
        self._schedules = schedules
        self._accounts = accounts
        self._slips = slips
        self._dead_letters = dead_letters
        self._telephone = telephone
        self._desk = desk
        self._clock = clock
        self._offload = offload
        self._chance = chance
        self._secrets: dict[str, str] = {}

    async def deal_with(self, deliveries: Sequence[Delivery], ends_at: datetime) -> list[str]:
        """Make all the calls and reports at once. Answers the ids of the messages that must come again.

        `ends_at` is when this function is ended, whatever it is doing.
        """
        views = _Views(self._campaigns, self._schedules, self._clock, self._offload)
        failures = await asyncio.gather(*(self._deal_with_one(delivery, views, ends_at) for delivery in deliveries))
        return [delivery.id for delivery, failed in zip(deliveries, failures, strict=True) if failed]

    async def _deal_with_one(self, delivery: Delivery, views: "_Views", ends_at: datetime) -> bool:
        try:
            message = handover.from_message(delivery.body)
        except handover.Unreadable as fault:
            logger.error("a message can't be read and goes to the dead letters: %s", fault)
            return not await self._put_away(delivery)
        try:
            if isinstance(message, handover.Dial):
                is_dealt_with = await self._dial(message, views, ends_at)
            else:
                is_dealt_with = await self._report_again(message.key, views, ends_at)
            if is_dealt_with and message.slip is not None:
                await self._offload(self._slips.forget_name, message.key, message.slip)
        except Exception:
            logger.exception("call %s: not dealt with, its message comes again", message.key.call_id)
            return True
        return False

    async def _put_away(self, delivery: Delivery) -> bool:
        try:
            await self._offload(self._dead_letters.put, delivery.body)
        except Exception:
            logger.exception("message %s can't be put away, and comes again", delivery.id)
            return False
        return True

    async def _dial(self, dial: handover.Dial, views: "_Views", ends_at: datetime) -> bool:
        """False if somebody else is at the number: who knows whether that will come to an end."""
        early = dial.due - self._clock.now()
        if timedelta(0) < early < ends_at - self._clock.now() - CALL_TIME:
            await self._clock.sleep(early.total_seconds())
        claim = await self._offload(self._calls.claim, dial.key, dial.entry, dial.attempt, self._clock.now())
        if claim is None:
            logger.info("call %s: attempt %s is somebody else's", dial.key.call_id, dial.attempt)
            call = await self._offload(self._calls.get, dial.key)
            return call is not None and call.state is not State.DIALLING

        try:
            exchange, campaign = await self._place(dial, claim, views, ends_at)
        except Refused as refused:
            logger.info("call %s: not now: %s", dial.key.call_id, refused.why)
            await self._insist(self._calls.give_up, claim)
            return True
        await self._record(claim, exchange, campaign, ends_at)
        return True

    async def _place(
        self, dial: handover.Dial, claim: Claim, views: "_Views", ends_at: datetime
    ) -> tuple[Exchange, Campaign]:
        """Raises Refused, and whatever else kept the call from being sent; then the claim is given up."""
        sending = False

        async def look() -> Campaign:
            view = await views.of(dial.key)
            now = self._clock.now()
            why = refusal(dial, view.campaign, view.schedule, now, time_left=ends_at - now, time_needed=CALL_TIME)
            if why is not None or view.campaign is None:
                raise Refused(why or Refusal.STOPPED)
            return view.campaign

        async def last_look() -> None:
            nonlocal sending
            await look()
            sending = True

        try:
            campaign = await look()  # what is refused already needs no connection
            body = form_body(dial_form(claim))
            headers = await self._headers(claim.key, f"dial_{claim.key.call_id}_{claim.attempt}", claim.attempt, body)
            url = campaign.plan.start_url
            return await self._telephone.place_call(url, body, headers, last_look=last_look), campaign
        except Refused:
            raise
        except Exception:
            if sending:
                logger.exception("call %s: nobody knows whether it went out", claim.key.call_id)
                return Unknown("internal_error"), campaign
            await self._offload(self._calls.give_up, claim)
            raise

    async def _record(self, claim: Claim, exchange: Exchange, campaign: Campaign, ends_at: datetime) -> None:
        now = self._clock.now()
        call_id = claim.key.call_id
        match verdict(exchange, claim, campaign.plan, now, self._chance()):
            case TryUnsentAgain(reason, not_before):
                logger.info("call %s: not sent: %s", call_id, reason)
                await self._insist(self._calls.defer_unsent, claim, reason, not_before)
            case Retry(outcome, not_before):
                logger.info("call %s: attempt %s failed: %s", call_id, claim.attempt, outcome.reason)
                await self._insist(self._calls.defer_retry, claim, outcome, now, not_before)
            case Finish(outcome):
                logger.info("call %s: %s: %s", call_id, outcome.result, outcome.reason)
                report = ReportState.PENDING if campaign.plan.result_url else ReportState.NONE
                call = await self._insist(self._calls.finish, claim, outcome, now, report)
                if call is None:
                    logger.error("call %s: its claim was lost before its outcome was recorded", call_id)
                elif report is ReportState.PENDING:
                    await self._report(call, campaign, ends_at)

    async def _insist(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """What has happened can't be found out again, so a database that is busy is asked again."""
        for pause in PAUSES:
            try:
                return await self._offload(function, *args, **kwargs)
            except Busy:
                await self._clock.sleep(pause)
        return await self._offload(function, *args, **kwargs)

    async def _report_again(self, key: CallKey, views: "_Views", ends_at: datetime) -> bool:
        call = await self._offload(self._calls.get, key)
        campaign = (await views.of(key)).campaign
        if call is not None and campaign is not None and call.report in (ReportState.PENDING, ReportState.DEFERRED):
            await self._report(call, campaign, ends_at)
        return True

    async def _report(self, call: Call, campaign: Campaign, ends_at: datetime) -> None:
        key = call.key
        url = campaign.plan.result_url
        if url is None:
            await self._offload(self._calls.report_ended, key, ReportState.NONE, call.report_attempts, None)
            return
        if ends_at - self._clock.now() < REPORT_TIME:
            # Not tried, so not counted; the next tick hands it over again.
            await self._offload(
                self._calls.defer_report, key, call.report_attempts, call.report_error, self._clock.now()
            )
            return
        body = form_body(report_form(call))
        headers = await self._headers(key, f"report_{key.call_id}", call.attempt, body)
        exchange = await self._desk.report(url, body, headers)
        now = self._clock.now()
        answer = report_verdict(exchange, now)
        attempts = call.report_attempts + 1
        if answer.verdict is Verdict.DELIVERED:
            await self._offload(self._calls.report_ended, key, ReportState.DELIVERED, attempts, None)
            return
        error = _error_of(exchange)
        wait = report_delay(attempts, self._chance(), answer.retry_after)
        logger.info("call %s: report %s failed: %s", key.call_id, attempts, error)
        if answer.verdict is Verdict.GONE or wait is None:
            await self._offload(self._calls.report_ended, key, ReportState.GIVEN_UP, attempts, error)
            return
        await self._offload(self._calls.defer_report, key, attempts, error, now + timedelta(seconds=wait))

    async def _headers(self, key: CallKey, webhook_id: str, attempt: int, body: bytes) -> dict[str, str]:
        """A webhook's id stays the same however often it is sent; so does its Idempotency-Key."""
        if key.account not in self._secrets:
            secret = await self._offload(self._accounts.secret, key.account)
            if secret is None:
                raise UnknownAccount(key.account)
            self._secrets[key.account] = secret
        return {
            "Idempotency-Key": f"{key.call_id}-{attempt}",
            **signed_headers(self._secrets[key.account], webhook_id, self._clock.now(), body),
        }


@dataclass(frozen=True)
class _View:
    """What the last look sees."""

    campaign: Campaign | None
    schedule: Schedule | None
    #: when it was asked for, which is before it was read
    asked_at: datetime


class _Views:
    """Campaigns as they are now, or were FRESH_FOR ago; the calls of a batch share what one of them has read."""

    def __init__(self, campaigns: Campaigns, schedules: Schedules, clock: Clock, offload: Offload) -> None:
        self._campaigns = campaigns
        self._schedules = schedules
        self._clock = clock
        self._offload = offload
        self._locks: dict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._views: dict[tuple[str, int], _View] = {}

    async def of(self, key: CallKey) -> _View:
        campaign = (key.account, key.campaign_id)
        async with self._locks[campaign]:
            view = self._views.get(campaign)
            now = self._clock.now()
            if view is None or now - view.asked_at > FRESH_FOR:
                view = self._views[campaign] = _View(*await self._offload(self._read, *campaign), asked_at=now)
            return view

    def _read(self, account: str, identifier: int) -> tuple[Campaign | None, Schedule | None]:
        campaign = self._campaigns.find(account, identifier)
        if campaign is None:
            return None, None
        try:
            return campaign, self._schedules.get(account, campaign.plan.schedule_id)
        except NotFound:
            return campaign, None


def _error_of(exchange: Exchange) -> str:
    """What went wrong with a report, in a word."""
    return f"http_{exchange.status}" if isinstance(exchange, Answered) else exchange.reason
