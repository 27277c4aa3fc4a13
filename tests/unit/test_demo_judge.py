"""That the demo's verdict finds what is wrong."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from demo.judge import Call, Number, Outcome, Report, Summary, fullest_second, judge

NUMBERS = [Number(f"tel:+1222333000{place}", f"ref {place}") for place in range(4)]
PERSON = Outcome("completed", "http_200", "voice", "42")
BUSY = Outcome("failed", "http_486", "unknown", "0")
OUTCOMES = [PERSON, BUSY, PERSON, PERSON]
CALLS = [
    Call(100.0 + place, number, f"id {place}", True, outcome)
    for place, (number, outcome) in enumerate(zip(NUMBERS, OUTCOMES, strict=True))
]
REPORTS = [Report(call.at + 0.4, call.number, call.id, True, call.outcome) for call in CALLS]
COUNTED = {"completed": 3, "failed": 1, "uncertain": 0}


def judged(calls: list[Call] = CALLS, reports: list[Report] = REPORTS, counted: dict[str, int] = COUNTED) -> Summary:
    return judge(NUMBERS, calls, reports, counted)


def test_each_called_once_and_reported_is_right() -> None:
    assert judged() == Summary(
        numbers=4,
        calls=4,
        reports=4,
        called_twice=0,
        never_called=0,
        longest_gap=1.0,
        fullest_second=1,
        faults=(),
    )


def test_order_does_not_matter() -> None:
    assert judged(CALLS[::-1], REPORTS[::-1]) == judged()


def test_a_number_called_twice_is_a_fault_even_under_the_same_id() -> None:
    summary = judged([*CALLS, replace(CALLS[2], at=110.0)])
    assert (summary.calls, summary.called_twice, summary.never_called) == (5, 1, 0)
    assert summary.faults == ("1 number was called more than once: tel:+12223330002 (ref 2)",)


def test_a_number_never_called_is_a_fault() -> None:
    summary = judged(CALLS[1:], REPORTS[1:], {"completed": 2, "failed": 1, "uncertain": 0})
    assert (summary.calls, summary.called_twice, summary.never_called) == (3, 0, 1)
    assert summary.faults == ("1 number was never called: tel:+12223330000 (ref 0)",)


def test_nothing_called_is_a_fault_that_names_a_few() -> None:
    summary = judged([], [], dict.fromkeys(COUNTED, 0))
    assert (summary.longest_gap, summary.fullest_second) == (0.0, 0)
    (fault,) = summary.faults
    assert fault.startswith("4 numbers were never called: tel:+12223330000 (ref 0), ")
    assert fault.endswith(" (ref 2), …")


def test_one_called_instead_of_another_does_not_even_out() -> None:
    stranger = Number("tel:+12223330000", "another reference")
    calls = [replace(CALLS[0], number=stranger), *CALLS[1:]]
    reports = [replace(REPORTS[0], number=stranger), *REPORTS[1:]]
    assert judged(calls, reports).faults == (
        "1 number was never called: tel:+12223330000 (ref 0)",
        "1 number was called, but never asked for: tel:+12223330000 (another reference)",
    )


def test_a_missing_report_is_a_fault() -> None:
    summary = judged(reports=REPORTS[:-1], counted={"completed": 2, "failed": 1, "uncertain": 0})
    assert summary.reports == 3
    assert summary.faults == ("1 number was called without a report: tel:+12223330003 (ref 3)",)


def test_a_report_that_comes_again_is_none() -> None:
    summary = judged(reports=[*REPORTS, REPORTS[0]])
    assert (summary.reports, summary.faults) == (5, ())


WRONG: list[tuple[Callable[[Report], Report], str]] = [
    (lambda report: replace(report, outcome=replace(PERSON, duration="43")), "reported otherwise than the call ended"),
    (lambda report: replace(report, outcome=replace(PERSON, callee_type="fax")), "reported otherwise than the call"),
    (lambda report: replace(report, number=NUMBERS[1]), "reported otherwise than the call ended"),
    (lambda report: replace(report, signed=False), "reported without a valid signature"),
]


@pytest.mark.parametrize(("change", "fault"), WRONG)
def test_a_report_that_is_not_true_or_not_signed_is_a_fault(change: Callable[[Report], Report], fault: str) -> None:
    (found,) = judged(reports=[change(REPORTS[0]), *REPORTS[1:]]).faults
    assert found.startswith(f"1 number was {fault}")


def test_a_report_of_no_call_is_a_fault() -> None:
    faults = judged(reports=[replace(REPORTS[0], id="id 9"), *REPORTS[1:]]).faults
    assert [fault.partition(":")[0] for fault in faults] == [
        "1 number was called without a report",
        "1 number was reported, but not called",
    ]


def test_a_call_without_a_valid_signature_is_a_fault() -> None:
    (fault,) = judged([replace(CALLS[0], signed=False), *CALLS[1:]]).faults
    assert fault == "1 number was called without a valid signature: tel:+12223330000 (ref 0)"


def test_an_api_that_counts_otherwise_is_a_fault() -> None:
    assert judged(counted={"completed": 2, "failed": 1, "uncertain": 1}).faults == (
        "The API counts 2 calls as completed, and 3 were reported so.",
        "The API counts 1 calls as uncertain, and 0 were reported so.",
    )


def test_the_longest_gap_and_the_fullest_second_are_of_the_calls() -> None:
    calls = [replace(call, at=at) for call, at in zip(CALLS, (10.0, 10.9, 10.2, 14.0), strict=True)]
    summary = judged(calls)
    assert summary.longest_gap == pytest.approx(3.1)
    assert summary.fullest_second == 3


@pytest.mark.parametrize(
    ("instants", "most"), [([], 0), ([5.0], 1), ([5.0, 6.0], 1), ([5.0, 5.5, 5.99, 6.2, 6.3], 4), ([1.0] * 3, 3)]
)
def test_a_second_ends_before_the_next_begins(instants: list[float], most: int) -> None:
    assert fullest_second(instants) == most
