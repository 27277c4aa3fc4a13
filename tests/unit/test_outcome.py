import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.outcome import (
    LONGEST_DURATION,
    LONGEST_RETRY_AFTER,
    REPORT_ATTEMPTS,
    Answered,
    CalleeType,
    NotSent,
    Outcome,
    ReportAction,
    ReportDecision,
    RequestResult,
    Result,
    Unknown,
    outcome_of,
    report_decision,
    report_delay,
    unsent_delay,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def answered(status: int, body: bytes = b"", **headers: str) -> Answered:
    return Answered(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_every_2xx_is_a_completed_call(status: int) -> None:
    assert outcome_of(answered(status)) == Outcome(Result.COMPLETED, f"http_{status}", CalleeType.UNKNOWN, 0)


@pytest.mark.parametrize("status", [101, 199, 300, 302, 307, 400, 404, 410, 429, 500, 503, 999])
def test_every_other_status_is_a_failed_call_redirects_included(status: int) -> None:
    assert outcome_of(answered(status)) == Outcome(Result.FAILED, f"http_{status}")


def test_a_dial_that_was_not_sent_has_failed_and_one_that_nobody_knows_of_is_uncertain() -> None:
    assert outcome_of(NotSent("dns")) == Outcome(Result.FAILED, "dns")
    assert outcome_of(Unknown("timeout")) == Outcome(Result.UNCERTAIN, "timeout")


def test_a_json_answer_names_the_result_the_callee_and_the_seconds() -> None:
    body = b'{"result": "failed", "callee_type": "answeringmachine", "duration": 42}'
    assert outcome_of(answered(200, body)) == Outcome(Result.FAILED, "http_200", CalleeType.ANSWERINGMACHINE, 42)
    assert outcome_of(answered(200, b'{"result": "completed"}')).result is Result.COMPLETED


@pytest.mark.parametrize("callee", list(CalleeType))
def test_each_of_the_four_callees_can_be_named(callee: CalleeType) -> None:
    assert outcome_of(answered(200, json.dumps({"callee_type": callee}).encode())).callee_type is callee


def test_json_in_an_answer_that_is_no_success_says_nothing() -> None:
    body = b'{"result": "completed", "callee_type": "voice", "duration": 42}'
    assert outcome_of(answered(500, body)) == Outcome(Result.FAILED, "http_500")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("result", "uncertain"),
        ("result", ["failed"]),
        ("result", None),
        ("callee_type", "robot"),
        ("callee_type", 1),
        ("callee_type", ["fax"]),
        ("callee_type", {}),
        ("duration", -1),
        ("duration", True),
        ("duration", 3.5),
        ("duration", "3 s"),
        ("duration", "-3"),
        ("duration", "9" * 400),
        ("duration", LONGEST_DURATION + 1),
        ("duration", 10**400),
    ],
)
def test_an_ill_typed_member_is_ignored_and_the_others_still_count(member: str, value: object) -> None:
    told: dict[str, object] = {"result": "failed", "callee_type": "fax", "duration": 7}
    silent = {"result": Result.COMPLETED, "callee_type": CalleeType.UNKNOWN, "duration": 0}
    heard = outcome_of(answered(200, json.dumps(told | {member: value}).encode()))
    assert {name: getattr(heard, name) for name in told} == told | {member: silent[member]}


@pytest.mark.parametrize(
    ("member", "value", "meaning"),
    [
        ("result", "FAILED", Result.FAILED),
        ("result", " Failed ", Result.FAILED),
        ("callee_type", "AnsweringMachine", CalleeType.ANSWERINGMACHINE),
        ("duration", "12", 12),
        ("duration", " 12.0 ", 12),
        ("duration", 3.0, 3),
    ],
)
def test_words_in_capitals_and_durations_as_text_are_read(member: str, value: object, meaning: object) -> None:
    assert getattr(outcome_of(answered(200, json.dumps({member: value}).encode())), member) == meaning


def test_a_body_that_could_not_be_unpacked_leaves_the_call_completed_and_is_told_in_the_reason() -> None:
    assert outcome_of(Answered(200, {}, None)) == Outcome(Result.COMPLETED, "http_200_unread")
    assert outcome_of(Answered(503, {}, None)) == Outcome(Result.FAILED, "http_503")


def test_the_bound_of_a_duration_is_a_day_itself_included() -> None:
    assert outcome_of(answered(200, b'{"duration": 86400}')).duration == 86_400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<vxml version='2.1'/>",
        b'["failed"]',
        b'"failed"',
        b"null",
        b'{"result": "failed"',
        b'{"result": "failed"}}',
        b'{"result": "failed", "note": "\xff"}',
        b'{"a":' * 10_000,
        b"[" * 65_536,
        b'{"result": "failed", "duration": ' + b"9" * 5_000 + b"}",
    ],
)
def test_a_body_that_is_no_json_object_says_nothing(body: bytes) -> None:
    assert outcome_of(answered(200, body)) == Outcome(Result.COMPLETED, "http_200")


@given(st.binary(max_size=200))
def test_no_bytes_make_a_2xx_anything_but_completed_or_failed(body: bytes) -> None:
    assert outcome_of(answered(200, body)).result in {Result.COMPLETED, Result.FAILED}


def test_a_call_that_cannot_be_sent_comes_back_five_times_each_time_later() -> None:
    assert [unsent_delay(count, 0.0) for count in range(1, 8)] == [30, 60, 120, 240, 480, None, None]


def test_jitter_spreads_calls_that_failed_together_over_up_to_twice_the_wait() -> None:
    assert [unsent_delay(1, jitter) for jitter in (0.0, 0.5, 1.0)] == [30, 45, 60]


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_report_is_delivered_by_any_2xx(status: int) -> None:
    assert report_decision(answered(status), NOW) == ReportDecision(ReportAction.DELIVERED)


def test_410_ends_a_report_whatever_else_it_says() -> None:
    assert report_decision(answered(410, retry_after="60"), NOW) == ReportDecision(ReportAction.GONE)


@pytest.mark.parametrize(
    "exchange",
    [
        *(answered(status) for status in (302, 400, 401, 404, 429, 500, 503)),
        NotSent("dns"),
        NotSent("address_not_allowed"),
        Unknown("timeout"),
    ],
)
def test_anything_else_is_reported_again(request_result: RequestResult) -> None:
    assert report_decision(request_result, NOW) == ReportDecision(ReportAction.RETRY, 0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("0", 0),
        ("Sun, 01 Mar 2026 12:10:00 GMT", 600),
        ("Sunday, 01-Mar-26 12:10:00 GMT", 600),
        ("Sun Mar  1 12:10:00 2026", 600),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("999999", LONGEST_RETRY_AFTER),
        ("9" * 5_000, LONGEST_RETRY_AFTER),
        ("Sun, 01 Mar 2099 12:00:00 GMT", LONGEST_RETRY_AFTER),
    ],
)
def test_retry_after_is_seconds_or_any_http_date_within_its_bound(value: str, seconds: int) -> None:
    assert report_decision(answered(503, retry_after=value), NOW) == ReportDecision(ReportAction.RETRY, seconds)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "²",
        "١٢",
        "Sun, 31 Feb 2026 12:10:00 GMT",
        "Sun, 01 Mar 2026 12:10:00 +999999999999",
        "Sun, 01 Mar 2026 12:10:00 +" + "9" * 30,
        "1 Jan " + "9" * 30 + " 00:00:00 GMT",
    ],
)
def test_a_retry_after_that_cannot_be_read_asks_for_nothing(value: str) -> None:
    assert report_decision(answered(503, retry_after=value), NOW) == ReportDecision(ReportAction.RETRY, 0)


@given(st.text(max_size=60) | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [+-]?\w+"))
def test_no_retry_after_breaks_the_reader_or_leaves_its_bounds(value: str) -> None:
    assert 0 <= report_decision(answered(503, retry_after=value), NOW).retry_after <= LONGEST_RETRY_AFTER


def test_a_report_is_sent_ten_times_with_growing_gaps_over_at_least_a_day() -> None:
    gaps = [report_delay(attempt, 0.0) for attempt in range(1, 10)]
    waits = [gap for gap in gaps if gap is not None]
    assert len(waits) == REPORT_ATTEMPTS - 1 == 9
    assert all(shorter < longer for shorter, longer in pairwise(waits))
    assert timedelta(seconds=sum(waits)) >= timedelta(hours=24)
    assert report_delay(10, 0.0) is None
    assert report_delay(11, 0.0, retry_after=60) is None


@given(st.integers(1, 9), st.floats(0, 1))
def test_jitter_only_ever_lengthens_a_wait_and_never_past_the_next_one(attempt: int, jitter: float) -> None:
    least, stretched, following = report_delay(attempt, 0), report_delay(attempt, jitter), report_delay(attempt + 1, 0)
    assert least is not None
    assert stretched is not None
    assert least <= stretched
    assert following is None or stretched < following


def test_a_report_waits_as_long_as_its_receiver_asks_and_never_less_than_the_schedule() -> None:
    assert report_delay(1, 0.0, retry_after=3_600) == 3_600
    assert report_delay(8, 0.0, retry_after=1) == report_delay(8, 0.0)


@pytest.mark.parametrize("jitter", [-0.1, 1.1, float("nan")])
def test_a_jitter_out_of_range_is_a_mistake_of_the_caller(jitter: float) -> None:
    with pytest.raises(ValueError, match="jitter"):
        unsent_delay(1, jitter)


@pytest.mark.parametrize("attempt", [0, -1])
def test_attempts_are_counted_from_one(attempt: int) -> None:
    with pytest.raises(ValueError, match="from 1"):
        report_delay(attempt, 0.0)
