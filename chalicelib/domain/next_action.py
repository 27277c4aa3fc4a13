"""What is to be done with a number after its dial: a decision, which the dialer then carries out."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.call import Claim
from chalicelib.domain.models import Plan
from chalicelib.domain.outcome import NotSent, Outcome, RequestResult, Result, outcome_of, unsent_delay


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
    """The attempt failed, and its campaign asks for another."""

    outcome: Outcome
    not_before: datetime


def verdict(
    request_result: RequestResult, claim: Claim, plan: Plan, now: datetime, jitter: float
) -> Finish | TryUnsentAgain | Retry:
    """What follows from the exchange. `jitter` from 0 to 1 keeps numbers that failed together from coming together."""
    if isinstance(request_result, NotSent):
        wait = unsent_delay(claim.unsent + 1, jitter)
        if wait is not None:
            return TryUnsentAgain(request_result.reason, now + timedelta(seconds=wait))
    outcome = outcome_of(request_result)
    if outcome.result is Result.FAILED and claim.attempt <= plan.max_retries:
        return Retry(outcome, now + timedelta(seconds=plan.retry_interval))
    return Finish(outcome)
