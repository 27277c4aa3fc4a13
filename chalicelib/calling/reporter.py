"""Telling result_url how a call ended, until it listens or has been told often enough."""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from chalicelib.calling.blocking import RunBlocking, retry_blocking
from chalicelib.domain.call import Call, ReportState
from chalicelib.domain.forms import report_form
from chalicelib.domain.models import CallKey, Campaign
from chalicelib.domain.outcome import Answered, ReportAction, RequestResult, report_decision, report_delay
from chalicelib.gateway.clients import ResultUrlClient, form_body
from chalicelib.gateway.signing import signed_headers
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
SMALLEST_GROUP = 3


class UnknownAccount(Exception):
    """A message of an account that has no secret: nobody ever made a token for it."""


class Signer:
    """The headers that tell a tenant's server who asks, and whether it was asked before."""

    def __init__(self, accounts: Accounts, clock: Clock, run_blocking: RunBlocking) -> None:
        self._accounts = accounts
        self._clock = clock
        self._run_blocking = run_blocking
        self._secrets: dict[str, str] = {}

    async def headers(self, key: CallKey, webhook_id: str, attempt: int, body: bytes) -> dict[str, str]:
        """A webhook's id stays the same however often it is sent; so does its Idempotency-Key."""
        if key.account not in self._secrets:
            secret = await self._run_blocking(self._accounts.secret, key.account)
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
        result_url_client: ResultUrlClient,
        clock: Clock,
        metrics: Metrics,
        run_blocking: RunBlocking,
        random_fraction: Callable[[], float] = random.random,
    ) -> None:
        """`chance` answers a number from 0 to 1, for jitter."""
        self._calls = stores.calls
        self._tasks = stores.tasks
        self._signer = signer
        self._result_url_client = result_url_client
        self._clock = clock
        self._metrics = metrics
        self._run_blocking = run_blocking
        self._random_fraction = random_fraction

    async def report(self, call: Call, campaign: Campaign, ends_at: datetime, told: list[Call] | None = None) -> None:
        """Tell it once, and record what came of it. `ends_at` is when this function is ended.

        If it is taken the first time it is only added to `told`, where that is given: see `note`.
        """
        key = call.key
        url = campaign.plan.result_url
        if url is None:
            await self._run_blocking(self._calls.report_ended, key, ReportState.NONE, call.report_attempts, None)
            return
        if ends_at - self._clock.now() < REPORT_TIME:
            # Not tried, so not counted; the next tick hands it over again.
            now = self._clock.now()
            await self._run_blocking(
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
        request_result = await self._result_url_client.report(url, body, headers)
        await self._record(call, request_result, campaign, told)

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
            if len(told) >= SMALLEST_GROUP:
                await retry_blocking(
                    self._run_blocking,
                    self._clock,
                    self._tasks.add_acknowledgement,
                    account,
                    campaign_id,
                    [call.key.sequence for call in told],
                    self._clock.now(),
                    new_nonce(),
                )
            else:
                for call in told:
                    await self._run_blocking(self._calls.report_ended, call.key, ReportState.DELIVERED, 1, None)
        except Exception:
            logger.exception("told, and not recorded", extra=about_campaign(account, campaign_id))

    async def _record(
        self, call: Call, request_result: RequestResult, campaign: Campaign, told: list[Call] | None
    ) -> None:
        now = self._clock.now()
        answer = report_decision(request_result, now)
        attempts = call.report_attempts + 1
        if answer.verdict is ReportAction.DELIVERED:
            self._metrics.count(Metric.REPORTS_DELIVERED)
            # A number that was passed over lies behind `settled`, where nobody looks for a note.
            if told is not None and attempts == 1 and not call.skipped:
                told.append(call)
                return
            await self._run_blocking(self._calls.report_ended, call.key, ReportState.DELIVERED, attempts, None)
            return
        error = _error_of(request_result)
        self._metrics.count(Metric.REPORTS_FAILED)
        logger.info("report %s failed: %s", attempts, error, extra=about(call.key))
        wait = report_delay(attempts, self._random_fraction(), answer.retry_after)
        if answer.verdict is ReportAction.GONE or wait is None:
            await self._run_blocking(self._calls.report_ended, call.key, ReportState.GIVEN_UP, attempts, error)
            return
        not_before = now + timedelta(seconds=wait)
        await self._run_blocking(self._calls.defer_report, call, attempts, error, not_before, spread=campaign.spread)


def _error_of(request_result: RequestResult) -> str:
    """What went wrong, in a word."""
    return f"http_{request_result.status}" if isinstance(request_result, Answered) else request_result.reason
