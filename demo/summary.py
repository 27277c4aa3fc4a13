"""Checks, by the requests that a tenant got, that each number was called as often as it has to be, and reported."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from demo.record import GAP, Call, Event, Number, Report, ends, last_calls

#: how many numbers a fault names
_NAMED = 3


@dataclass(frozen=True)
class Summary:
    numbers: int
    calls: int
    #: the calls that are not the first at their number
    retries: int
    reports: int
    #: how many numbers were called twice in an attempt
    called_twice: int
    never_called: int
    #: the most seconds between two successive calls, retries left out
    longest_gap: float
    #: the most calls within one second
    fullest_second: int
    #: what is wrong, in sentences
    faults: tuple[str, ...]


def summarize(
    numbers: Sequence[Number],
    calls: Sequence[Call],
    events: Sequence[Event],
    reports: Sequence[Report],
    counted: Mapping[str, int],
) -> Summary:
    """`numbers` are those uploaded, each of them once. `counted` is how many numbers are in each state, by the API.

    A repeated report is no fault if its fields are the same: a report is sent again until it is acknowledged.
    """
    called = {call.number for call in calls}
    twice, never = _called_twice(calls), [number for number in numbers if number not in called]
    faults = [
        _fault("called twice in an attempt", twice),
        _fault("never called", never),
        *_faults_of_calls(numbers, calls, events),
        *_faults_of_reports(calls, reports),
        *_faults_of_counts(reports, counted),
    ]
    instants = sorted(call.at for call in calls)
    firsts = sorted(call.at for call in calls if call.attempt == 1)
    return Summary(
        numbers=len(numbers),
        calls=len(calls),
        retries=len(calls) - len(firsts),
        reports=len(reports),
        called_twice=len(twice),
        never_called=len(never),
        longest_gap=max((later - earlier for earlier, later in pairwise(firsts)), default=0.0),
        fullest_second=fullest_second(instants),
        faults=tuple(fault for fault in faults if fault),
    )


def fullest_second(instants: Sequence[float]) -> int:
    """The most of these instants, in ascending order, that lie within one second."""
    most = first = 0
    for last, instant in enumerate(instants):
        while instant - instants[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def _called_twice(calls: Iterable[Call]) -> list[Number]:
    """The numbers that were called twice in an attempt."""
    attempts = Counter((call.number, call.attempt) for call in calls)
    return list(dict.fromkeys(number for (number, _), count in attempts.items() if count > 1))


def _faults_of_calls(numbers: Iterable[Number], calls: Sequence[Call], events: Sequence[Event]) -> Iterator[str]:
    uploaded = set(numbers)
    asked = {(call.id, call.attempt + 1) for call in calls if call.is_retried}
    ended = ends(calls, events)
    refused = {(event.id, event.attempt) for event in events if event.answer != 200}
    retries = [call for call in calls if call.attempt != 1]
    too_often = [call.number for call in retries if (call.id, call.attempt) not in asked]
    too_seldom = [call.number for call in last_calls(calls).values() if call.is_retried]
    too_soon = [call.number for call in retries if call.at - ended.get((call.id, call.attempt - 1), 0.0) < GAP]
    yield _fault("called more often than asked", too_often)
    yield _fault("called less often than asked", too_seldom)
    yield _fault(f"called again within {GAP} seconds", too_soon)
    yield _fault("called, but not uploaded", [call.number for call in calls if call.number not in uploaded])
    yield _fault("called without a valid signature", [call.number for call in calls if not call.signed])
    yield _fault("called, and an event refused", [call.number for call in calls if (call.id, call.attempt) in refused])


def _faults_of_reports(calls: Iterable[Call], reports: Sequence[Report]) -> Iterator[str]:
    last = last_calls(calls)
    reported = {report.id for report in reports}
    wrong = "reported with a wrong number, outcome or count of attempts"
    yield _fault("called without a report", [call.number for call in last.values() if call.id not in reported])
    yield _fault("reported, but not called", [report.number for report in reports if report.id not in last])
    yield _fault(wrong, [report.number for report in reports if report.id in last and report.is_wrong(last[report.id])])
    yield _fault("reported without a valid signature", [report.number for report in reports if not report.signed])


def _faults_of_counts(reports: Iterable[Report], counted: Mapping[str, int]) -> Iterator[str]:
    results = Counter({report.id: report.outcome.result for report in reports}.values())
    for state, count in counted.items():
        if count != results[state]:
            yield f"The API counts {count} numbers as {state}, but {results[state]} were reported as {state}."


def _fault(what: str, numbers: Iterable[Number]) -> str:
    """A sentence about these numbers; empty if there are none."""
    found = list(dict.fromkeys(numbers))
    if not found:
        return ""
    named = ", ".join(map(str, found[:_NAMED])) + (", …" if len(found) > _NAMED else "")
    return f"{len(found)} {'number was' if len(found) == 1 else 'numbers were'} {what}: {named}"
