"""Reports outcomes to result_url, until each report is acknowledged or given up."""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

from chalicelib.calling.blocking import RunBlocking, retry_blocking
from chalicelib.calling.signer import Signer
from chalicelib.domain.call import Call, ReportState
from chalicelib.domain.forms import attempt_report_form, report_form
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Campaign
from chalicelib.domain.outcome import Answered, RequestResult
from chalicelib.domain.retries import ReportAction, ReportDecision, report_decision, report_delay
from chalicelib.domain.tasks import AttemptReportTask
from chalicelib.gateway.clients import REPORT_DEADLINE, ResultUrlClient, form_body
from chalicelib.runtime.clock import Clock
from chalicelib.runtime.logs import about, about_campaign
from chalicelib.runtime.metrics import Metric, Metrics
from chalicelib.storage.stores import Stores
from chalicelib.storage.writes import new_nonce

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

#: The longest time from a report's sending to its recorded result: the gateway's deadline, and the time to write.
REPORT_TIME = timedelta(seconds=REPORT_DEADLINE + 5)
#: The smallest group that is recorded in one item. The item takes two writes: it is written, and deleted when its calls
#: are counted. An acknowledgement in a call's own record takes one.
SMALLEST_GROUP = 3


class Reporter:
    def __init__(
        self,
        *,
        stores: Stores,
        signer: Signer,
        client: ResultUrlClient,
        clock: Clock,
        metrics: Metrics,
        run_blocking: RunBlocking,
        random_fraction: Callable[[], float] = random.random,
    ) -> None:
        """`random_fraction` answers a number from 0 to 1, for jitter."""
        self._reports = stores.call_reports
        self._tasks = stores.tasks
        self._signer = signer
        self._client = client
        self._clock = clock
        self._metrics = metrics
        self._run_blocking = run_blocking
        self._random_fraction = random_fraction

    async def report(self, call: Call, campaign: Campaign, deadline: datetime) -> bool:
        """Send the report once, and record what came of it. `deadline` is when this function is ended.

        True if result_url acknowledged it on the first attempt. That isn't recorded yet: see `acknowledge`.
        """
        url = campaign.plan.result_url
        if url is None:
            await self._run_blocking(self._reports.report_ended, call, ReportState.NONE, call.report_attempts, None)
            return False
        if deadline - self._clock.now() < REPORT_TIME:
            # It isn't tried, so it isn't counted. The next tick dispatches it.
            await self._defer(call, campaign, call.report_attempts, call.report_error, self._clock.now())
            return False
        body = form_body(report_form(call))
        headers = await self._signer.headers(call.key, f"report_{call.key.call_id}", str(call.attempt), body)
        return await self._record(call, campaign, await self._client.report(url, body, headers))

    async def report_attempt(
        self, call: Call, report: AttemptReportTask, campaign: Campaign, deadline: datetime, *, spread: int
    ) -> None:
        """Report an attempt that another one follows, whose task waits in case that this dialer dies.

        `spread` is the one with which the task was written.
        """
        if await self._try_attempt(call, report, campaign, deadline):
            await self._retry(self._tasks.delete_attempt_report, report, spread=spread)

    async def report_attempt_again(
        self, call: Call, report: AttemptReportTask, campaign: Campaign, deadline: datetime
    ) -> None:
        """Report an attempt whose task became a message, which ends with this."""
        if not await self._try_attempt(call, report, campaign, deadline):
            # It isn't tried, so it isn't counted. The next tick dispatches it.
            waiting = replace(report, not_before=self._clock.now())
            await self._retry(self._tasks.add_attempt_report, waiting, spread=campaign.spread)

    async def _try_attempt(self, call: Call, report: AttemptReportTask, campaign: Campaign, deadline: datetime) -> bool:
        """Send the report once, and defer the next try if this one fails. False if there is no time for it."""
        url = campaign.plan.result_url
        if url is None:
            return True
        if deadline - self._clock.now() < REPORT_TIME:
            return False
        body = form_body(attempt_report_form(call, report.ended))
        webhook_id = f"report_{call.key.call_id}_{report.ended.attempt}"
        # A canceled number's outcome has the last attempt's number in its key, and this isn't the outcome.
        headers = await self._signer.headers(call.key, webhook_id, f"{report.ended.attempt}-attempt", body)
        result = await self._client.report(url, body, headers)
        now = self._clock.now()
        decision = report_decision(result, now)
        if decision.action is ReportAction.DELIVERED:
            self._metrics.count(Metric.REPORTS_DELIVERED)
            return True
        wait = self._failed(call, report.attempt, _error_of(result), decision, report.ended.attempt)
        if wait is not None:
            again = replace(report, attempt=report.attempt + 1, not_before=now + wait)
            await self._run_blocking(self._reports.defer_attempt_report, again, spread=campaign.spread)
        return True

    async def acknowledge(self, calls: Iterable[Call]) -> None:
        """Record that result_url acknowledged the first reports of these calls, those of one campaign together.

        A report whose acknowledgement can't be recorded is sent again, with the same ids.
        """
        of_campaign: dict[CampaignKey, list[Call]] = defaultdict(list)
        for call in calls:
            of_campaign[call.key.campaign].append(call)
        await asyncio.gather(*(self._acknowledge_group(*group) for group in of_campaign.items()))

    async def _acknowledge_group(self, campaign: CampaignKey, calls: Sequence[Call]) -> None:
        try:
            if len(calls) >= SMALLEST_GROUP:
                sequences = [call.key.sequence for call in calls]
                now = self._clock.now()
                await self._retry(self._tasks.add_acknowledgement, campaign, sequences, now, new_nonce())
            else:
                for call in calls:
                    await self._delivered(call, attempts=1)
        except Exception:
            logger.exception("acknowledgements were not recorded", extra=about_campaign(campaign))

    async def _record(self, call: Call, campaign: Campaign, result: RequestResult) -> bool:
        now = self._clock.now()
        decision = report_decision(result, now)
        attempts = call.report_attempts + 1
        if decision.action is ReportAction.DELIVERED:
            self._metrics.count(Metric.REPORTS_DELIVERED)
            # Acknowledgements are read only for pending reports, and not for numbers that were skipped.
            if attempts == 1 and call.report is ReportState.PENDING and not call.skipped:
                return True
            await self._delivered(call, attempts)
            return False
        error = _error_of(result)
        wait = self._failed(call, attempts, error, decision, call.attempt)
        if wait is None:
            await self._run_blocking(self._reports.report_ended, call, ReportState.GIVEN_UP, attempts, error)
        else:
            await self._defer(call, campaign, attempts, error, now + wait)
        return False

    def _failed(self, call: Call, attempts: int, error: str, decision: ReportDecision, of: int) -> timedelta | None:
        """How long the report, which is of this attempt, waits after so many tries; None if it is given up."""
        self._metrics.count(Metric.REPORTS_FAILED)
        logger.info("report %s failed: %s", attempts, error, extra=about(call.key, attempt=of))
        wait = report_delay(attempts, self._random_fraction(), decision.retry_after)
        if decision.action is ReportAction.GIVE_UP or wait is None:
            return None
        return timedelta(seconds=wait)

    async def _retry(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await retry_blocking(self._run_blocking, self._clock, function, *args, **kwargs)

    async def _delivered(self, call: Call, attempts: int) -> None:
        await self._run_blocking(self._reports.report_ended, call, ReportState.DELIVERED, attempts, None)

    async def _defer(
        self, call: Call, campaign: Campaign, attempts: int, error: str | None, not_before: datetime
    ) -> None:
        await self._run_blocking(self._reports.defer_report, call, attempts, error, not_before, spread=campaign.spread)


def _error_of(result: RequestResult) -> str:
    """What went wrong, in a word."""
    return f"http_{result.status}" if isinstance(result, Answered) else result.reason
