"""Telling result_url how a call ended, until it listens or has been told often enough."""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from chalicelib.calling.blocking import Offload, insist
from chalicelib.domain.call import Call, ReportState
from chalicelib.domain.forms import report_form
from chalicelib.domain.models import CallKey, Campaign
from chalicelib.domain.outcome import Answered, Exchange, Verdict, report_delay, report_verdict
from chalicelib.gateway.signing import signed_headers
from chalicelib.gateway.telephone import ReportDesk, form_body
from chalicelib.runtime.clock import Clock
from chalicelib.runtime.logs import about, about_campaign
from chalicelib.runtime.metrics import Metric, Metrics
from chalicelib.storage.accounts import Accounts
from chalicelib.storage.stores import Stores
from chalicelib.storage.writes import new_nonce

logger = logging.getLogger(__name__)

#: What a report takes at most, from its first byte to what is recorded of it.
REPORT_TIME = timedelta(seconds=15)
#: From how many calls on it is cheaper to note together that they were told. Such a note is written, and removed again
#: when they are counted; in a call's own record it is one write.
TOLD_TOGETHER = 3


class UnknownAccount(Exception):
    """A message of an account that has no secret: nobody ever made a token for it."""


class Signer:
    """The headers that tell a tenant's server who asks, and whether it was asked before."""

    def __init__(self, accounts: Accounts, clock: Clock, offload: Offload) -> None:
        self._accounts = accounts
        self._clock = clock
        self._offload = offload
        self._secrets: dict[str, str] = {}

    async def headers(self, key: CallKey, webhook_id: str, attempt: int, body: bytes) -> dict[str, str]:
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


class Reporter:
    def __init__(
        self,
        *,
        stores: Stores,
        signer: Signer,
        desk: ReportDesk,
        clock: Clock,
        metrics: Metrics,
        offload: Offload,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`chance` answers a number from 0 to 1, for jitter."""
        self._calls = stores.calls
        self._slips = stores.slips
        self._signer = signer
        self._desk = desk
        self._clock = clock
        self._metrics = metrics
        self._offload = offload
        self._chance = chance

    async def report(self, call: Call, campaign: Campaign, ends_at: datetime, told: list[Call] | None = None) -> None:
        """Tell it once, and record what came of it. `ends_at` is when this function is ended.

        If it is taken the first time it is only added to `told`, where that is given: see `note`.
        """
        key = call.key
        url = campaign.plan.result_url
        if url is None:
            await self._offload(self._calls.report_ended, key, ReportState.NONE, call.report_attempts, None)
            return
        if ends_at - self._clock.now() < REPORT_TIME:
            # Not tried, so not counted; the next tick hands it over again.
            now = self._clock.now()
            await self._offload(
                self._calls.defer_report,
                call,
                call.report_attempts,
                call.report_error,
                now,
                spread=campaign.spread,
            )
            return
        body = form_body(report_form(call))
        headers = await self._signer.headers(key, f"report_{key.call_id}", call.attempt, body)
        exchange = await self._desk.report(url, body, headers)
        await self._record(call, exchange, campaign, told)

    async def note(self, told: Iterable[Call]) -> None:
        """Record that these were told, those of one campaign together.

        What isn't recorded for once is told again, by the same ids.
        """
        of_campaign: dict[tuple[str, int], list[Call]] = defaultdict(list)
        for call in told:
            of_campaign[call.key.account, call.key.campaign_id].append(call)
        await asyncio.gather(*(self._note(*campaign, calls) for campaign, calls in of_campaign.items()))

    async def _note(self, account: str, campaign_id: int, told: Sequence[Call]) -> None:
        try:
            if len(told) >= TOLD_TOGETHER:
                await insist(
                    self._offload,
                    self._clock,
                    self._slips.add_told,
                    account,
                    campaign_id,
                    [call.key.sequence for call in told],
                    self._clock.now(),
                    new_nonce(),
                )
            else:
                for call in told:
                    await self._offload(self._calls.report_ended, call.key, ReportState.DELIVERED, 1, None)
        except Exception:
            logger.exception("told, and not recorded", extra=about_campaign(account, campaign_id))

    async def _record(self, call: Call, exchange: Exchange, campaign: Campaign, told: list[Call] | None) -> None:
        now = self._clock.now()
        answer = report_verdict(exchange, now)
        attempts = call.report_attempts + 1
        if answer.verdict is Verdict.DELIVERED:
            self._metrics.count(Metric.REPORTS_DELIVERED)
            # A number that was passed over lies behind `settled`, where nobody looks for a note.
            if told is not None and attempts == 1 and not call.passed_over:
                told.append(call)
                return
            await self._offload(self._calls.report_ended, call.key, ReportState.DELIVERED, attempts, None)
            return
        error = _error_of(exchange)
        self._metrics.count(Metric.REPORTS_FAILED)
        logger.info("report %s failed: %s", attempts, error, extra=about(call.key))
        wait = report_delay(attempts, self._chance(), answer.retry_after)
        if answer.verdict is Verdict.GONE or wait is None:
            await self._offload(self._calls.report_ended, call.key, ReportState.GIVEN_UP, attempts, error)
            return
        not_before = now + timedelta(seconds=wait)
        await self._offload(self._calls.defer_report, call, attempts, error, not_before, spread=campaign.spread)


def _error_of(exchange: Exchange) -> str:
    """What went wrong, in a word."""
    return f"http_{exchange.status}" if isinstance(exchange, Answered) else exchange.reason
