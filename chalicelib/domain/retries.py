"""When what failed is tried again: calls that weren't sent, calls that failed, reports that weren't acknowledged.

Nothing here waits or reads a clock. Instants and random fractions are arguments.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

from chalicelib.domain.call import Claim
from chalicelib.domain.models import LONGEST_RETRY_GAP, Entry, Plan, RetryKind
from chalicelib.domain.outcome import (
    Answered,
    CalleeType,
    NotSent,
    Outcome,
    RequestResult,
    Result,
    Unknown,
    is_success,
    outcome_of,
)
from chalicelib.domain.passing import has_expired
from chalicelib.domain.providers import EventStatus

#: Seconds to wait after a call that wasn't sent: after the first time, the second… Then the call has failed.
UNSENT_GAPS = (30, 60, 120, 240, 480)

#: Seconds to wait after a report that wasn't acknowledged: after the first attempt, the second… They add up to 25
#: hours, so a result_url that is down for a day still gets every outcome (P7).
REPORT_GAPS = (10, 60, 300, 900, 2_700, 7_200, 14_400, 25_200, 39_600)

#: How often a report is sent in all.
REPORT_ATTEMPTS = len(REPORT_GAPS) + 1

#: The longest wait that a Retry-After can cause, in seconds: 12 hours.
LONGEST_RETRY_AFTER = 43_200

#: Reasons, or statuses of events, after which a number is never dialled again: who declined doesn't want the call, and
#: who has no telephone can't get it.
NEVER_AGAIN = frozenset({"rejected", "canceled", "unallocated", "do_not_call"})

#: The status by which start_url says that the call is in progress.
ACCEPTED = 202


@dataclass(frozen=True)
class Finish:
    """The number has its outcome."""

    outcome: Outcome


@dataclass(frozen=True)
class TryUnsentAgain:
    """Nothing left the dialer: the same attempt is made later."""

    reason: str
    not_before: datetime


@dataclass(frozen=True)
class Retry:
    """The attempt failed, and the campaign asks for another."""

    outcome: Outcome
    not_before: datetime


@dataclass(frozen=True)
class AwaitOutcome:
    """The call is in progress, and an event brings its outcome."""


NextAction = Finish | TryUnsentAgain | Retry | AwaitOutcome


def next_action(result: RequestResult, claim: Claim, plan: Plan, now: datetime, jitter: float) -> NextAction:
    """What follows from the request. `jitter` from 0 to 1 spreads numbers that failed at the same time."""
    if isinstance(result, NotSent):
        wait = unsent_delay(claim.unsent + 1, jitter)
        if wait is not None and not has_expired(claim.entry, now + timedelta(seconds=wait)):
            return TryUnsentAgain(result.reason, now + timedelta(seconds=wait))
    if isinstance(result, Answered) and result.status == ACCEPTED:
        return AwaitOutcome()
    return after_outcome(outcome_of(result), claim.entry, claim.attempt, plan, now)


def after_outcome(
    outcome: Outcome, entry: Entry, attempt: int, plan: Plan, now: datetime, status: EventStatus | None = None
) -> Finish | Retry:
    """What follows from the outcome of this attempt. `status` is that of the event that brought it, if one did.

    No attempt is planned for a time at which the entry has expired.

    A number has one budget, whatever mixture of outcomes its attempts have: each rule compares all attempts so far with
    its own limit, and `max_retries` is the limit of all.
    """
    gap = _retry_gap(outcome, attempt, plan, status) if attempt <= plan.max_retries else None
    if gap is None or has_expired(entry, now + timedelta(seconds=gap)):
        return Finish(outcome)
    return Retry(outcome, now + timedelta(seconds=gap))


def _retry_gap(outcome: Outcome, attempt: int, plan: Plan, status: EventStatus | None) -> float | None:
    """Seconds to the next attempt; None if the campaign doesn't try such an outcome again."""
    kind = retry_kind(outcome, status)
    if not plan.retries:
        return plan.retry_interval if kind is not None and outcome.result is Result.FAILED else None
    rule = next((rule for of, rule in plan.retries if of == kind), None)
    if rule is None or attempt >= rule.attempts:
        return None
    return min(rule.gap * rule.growth ** (attempt - 1), LONGEST_RETRY_GAP)


def retry_kind(outcome: Outcome, status: EventStatus | None = None) -> RetryKind | None:
    """Which rule holds for an attempt that ended like this; None if it is never tried again.

    An event may give a reason of its own. Then its status tells what the reason doesn't.
    """
    if outcome.result is Result.UNCERTAIN or NEVER_AGAIN & {outcome.reason, status}:
        return None
    if outcome.callee_type is CalleeType.ANSWERINGMACHINE or outcome.reason == RetryKind.MACHINE:
        return RetryKind.MACHINE
    if outcome.result is Result.COMPLETED:
        return None
    words = {outcome.reason, status}
    return next((kind for kind in (RetryKind.BUSY, RetryKind.NO_ANSWER) if kind in words), RetryKind.FAILED)


def unsent_delay(count: int, jitter: float) -> int | None:
    """The seconds to wait after a call wasn't sent for the `count`-th time in a row; None if it has failed.

    `jitter` from 0 to 1 stretches the wait up to twice, so that numbers which failed together when a server went down
    don't come back together. Raises ValueError for a count below 1 or a jitter out of range.
    """
    gap = _gap(UNSENT_GAPS, count)
    return None if gap is None else _stretched(gap, jitter, up_to=2.0)


class ReportAction(StrEnum):
    """What happens to a report after an attempt to deliver it."""

    DELIVERED = "delivered"
    #: result_url answered 410
    GIVE_UP = "give_up"
    RETRY = "retry"


@dataclass(frozen=True)
class ReportDecision:
    """What happens to a report, and the least wait, in seconds, that the receiver asked for."""

    action: ReportAction
    #: only of a retry
    retry_after: int = 0


def report_decision(result: RequestResult, now: datetime) -> ReportDecision:
    """A 2xx delivers the report, 410 ends it, after anything else it is sent again.

    By Standard Webhooks, 410 means that the receiver is gone and wants no more messages. Only a 2xx acknowledges the
    report: a receiver that gets it twice recognises it by its ids, and one that never gets it loses an outcome (P7).
    """
    match result:
        case Answered(status) if is_success(status):
            return ReportDecision(ReportAction.DELIVERED)
        case Answered(410):
            return ReportDecision(ReportAction.GIVE_UP)
        case Answered(_, headers):
            return ReportDecision(ReportAction.RETRY, _retry_after(headers.get("retry-after", ""), now))
        case NotSent() | Unknown():
            return ReportDecision(ReportAction.RETRY)


def report_delay(attempt: int, jitter: float, retry_after: int = 0) -> int | None:
    """The seconds to wait after attempt `attempt` at a report failed, from 1; None if the report is given up.

    `jitter` from 0 to 1 stretches the wait by up to a fifth. The receiver's `retry_after` can only make it longer.
    Raises ValueError for an attempt below 1 or a jitter out of range.
    """
    gap = _gap(REPORT_GAPS, attempt)
    return None if gap is None else max(_stretched(gap, jitter, up_to=1.2), retry_after)


def _gap(gaps: tuple[int, ...], count: int) -> int | None:
    if count < 1:
        raise ValueError(f"attempts are counted from 1, not {count}")
    return gaps[count - 1] if count <= len(gaps) else None


def _stretched(gap: int, jitter: float, up_to: float) -> int:
    if not 0 <= jitter <= 1:
        raise ValueError(f"a jitter is between 0 and 1, unlike {jitter}")
    return math.ceil(gap * (1 + (up_to - 1) * jitter))


def _retry_after(value: str, now: datetime) -> int:
    """The seconds a Retry-After asks for, from 0 to LONGEST_RETRY_AFTER; 0 if it can't be read.

    RFC 9110, section 10.2.3: either a number of seconds or an HTTP-date. A date has one of the three forms of section
    5.6.7, which are all UTC; the last of them doesn't name it.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        # Ten digits are three centuries, and int() refuses thousands of digits.
        seconds = int(value) if len(value) <= 10 else LONGEST_RETRY_AFTER
    else:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return 0
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        seconds = math.ceil((date - now).total_seconds())
    return max(0, min(seconds, LONGEST_RETRY_AFTER))
