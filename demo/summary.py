"""Checks, by the requests that a tenant got, that each number was called exactly once and each outcome reported."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

#: how many numbers a fault names
_NAMED = 3


@dataclass(frozen=True)
class Number:
    """A number to be called, as its call has to name it."""

    destination: str
    reference: str

    def __str__(self) -> str:
        return f"{self.destination} ({self.reference})"


@dataclass(frozen=True)
class Outcome:
    """How a call ended, by the fields of a report."""

    result: str
    reason: str
    callee_type: str
    #: seconds
    duration: str


@dataclass(frozen=True)
class Call:
    """A request to start_url."""

    #: Unix seconds
    at: float
    number: Number
    id: str
    #: True if its signature is the account's
    signed: bool
    #: the outcome that follows from the answer
    outcome: Outcome


@dataclass(frozen=True)
class Report:
    """A request to result_url."""

    #: Unix seconds
    at: float
    number: Number
    #: the call's id
    id: str
    signed: bool
    outcome: Outcome


@dataclass(frozen=True)
class Summary:
    numbers: int
    calls: int
    reports: int
    called_twice: int
    never_called: int
    #: the most seconds between two successive calls
    longest_gap: float
    #: the most calls within one second
    fullest_second: int
    #: what is wrong, in sentences
    faults: tuple[str, ...]


def summarize(
    numbers: Sequence[Number], calls: Sequence[Call], reports: Sequence[Report], counted: Mapping[str, int]
) -> Summary:
    """`numbers` are those uploaded, each of them once. `counted` is the number of calls with each result, by the API.

    A repeated report is no fault if its fields are the same: a report is sent again until it is acknowledged.
    """
    uploaded = set(numbers)
    calls_of = Counter(call.number for call in calls)
    twice = [number for number, count in calls_of.items() if count > 1]
    never = [number for number in numbers if number not in calls_of]
    made = {call.id: call for call in calls}
    reported = {report.id for report in reports}
    results = Counter({report.id: report.outcome.result for report in reports}.values())
    faults = [
        _fault("called more than once", twice),
        _fault("never called", never),
        _fault("called, but not uploaded", [number for number in calls_of if number not in uploaded]),
        _fault("called without a report", [call.number for call in made.values() if call.id not in reported]),
        _fault("reported, but not called", [report.number for report in reports if report.id not in made]),
        _fault("reported with a wrong number or outcome", [report.number for report in _wrong(reports, made)]),
        _fault("called without a valid signature", [call.number for call in calls if not call.signed]),
        _fault("reported without a valid signature", [report.number for report in reports if not report.signed]),
        *(
            f"The API counts {count} calls as {result}, but {results[result]} were reported as {result}."
            for result, count in counted.items()
            if count != results[result]
        ),
    ]
    instants = sorted(call.at for call in calls)
    return Summary(
        numbers=len(numbers),
        calls=len(calls),
        reports=len(reports),
        called_twice=len(twice),
        never_called=len(never),
        longest_gap=max((later - earlier for earlier, later in pairwise(instants)), default=0.0),
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


def _wrong(reports: Iterable[Report], made: Mapping[str, Call]) -> list[Report]:
    """The reports whose number or outcome isn't their call's."""
    return [
        report
        for report in reports
        if report.id in made and (report.number, report.outcome) != (made[report.id].number, made[report.id].outcome)
    ]


def _fault(what: str, numbers: Sequence[Number]) -> str:
    if not numbers:
        return ""
    named = ", ".join(map(str, numbers[:_NAMED])) + (", …" if len(numbers) > _NAMED else "")
    return f"{len(numbers)} {'number was' if len(numbers) == 1 else 'numbers were'} {what}: {named}"
