"""How far a campaign's calls are settled, and what is still owed for it: a decision on the records behind head."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain.call import Call, ReportState, State
from chalicelib.domain.models import CallKey, Counts

#: How long the dialer itself may still be at a report that it has not delivered and not deferred.
REPORTING_FOR = timedelta(minutes=5)


@dataclass(frozen=True)
class Walk:
    """What the records from `settled` on came to."""

    #: all numbers before this one have their outcome, and nobody is at its report
    settled: int
    counts: Counts


def walk(settled: int, counts: Counts, calls: Mapping[int, Call]) -> Walk:
    """Step over the finished calls from `settled` on; `calls` are the known ones by their sequence number."""
    while (call := calls.get(settled)) is not None and call.state.is_final and not is_under_way(call):
        counts = _counted(counts, call.state)
        settled += 1
    return Walk(settled, counts)


def is_under_way(call: Call) -> bool:
    """Is the dialer at it, or at its report?"""
    return call.state is State.DIALLING or (call.state.is_final and call.report is ReportState.PENDING)


def owed(calls: Iterable[Call], now: datetime) -> list[CallKey]:
    """The calls whose outcome was recorded long ago, but whose report was neither delivered nor deferred."""
    return [
        call.key
        for call in calls
        if call.report is ReportState.PENDING
        and call.last_attempt_at is not None
        and now - call.last_attempt_at >= REPORTING_FOR
    ]


def _counted(counts: Counts, state: State) -> Counts:
    match state:
        case State.COMPLETED:
            return replace(counts, completed=counts.completed + 1)
        case State.FAILED:
            return replace(counts, failed=counts.failed + 1)
        case _:
            return replace(counts, uncertain=counts.uncertain + 1)
