"""How a call ended, by the answer of start_url."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.outcome import (
    LONGEST_DURATION,
    LONGEST_REASON,
    Answered,
    CalleeType,
    NotSent,
    Outcome,
    Result,
    Unknown,
    outcome_of,
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


def test_an_unsent_call_has_failed_and_one_that_may_have_been_sent_is_uncertain() -> None:
    assert outcome_of(NotSent("dns")) == Outcome(Result.FAILED, "dns")
    assert outcome_of(Unknown("timeout")) == Outcome(Result.UNCERTAIN, "timeout")


def test_a_json_answer_has_the_result_the_callee_and_the_duration() -> None:
    body = b'{"result": "failed", "callee_type": "answeringmachine", "duration": 42}'
    assert outcome_of(answered(200, body)) == Outcome(Result.FAILED, "http_200", CalleeType.ANSWERINGMACHINE, 42)
    assert outcome_of(answered(200, b'{"result": "completed"}')).result is Result.COMPLETED


@pytest.mark.parametrize("callee", list(CalleeType))
def test_each_of_the_four_callees_can_be_named(callee: CalleeType) -> None:
    assert outcome_of(answered(200, json.dumps({"callee_type": callee}).encode())).callee_type is callee


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("busy", "busy"),
        (" No-Answer ", "no_answer"),
        ("x" * LONGEST_REASON, "x" * LONGEST_REASON),
        ("x" * (LONGEST_REASON + 1), "http_200"),
        ("the line was busy", "http_200"),
        ("", "http_200"),
        (7, "http_200"),
        (["busy"], "http_200"),
    ],
)
def test_a_json_answer_may_give_a_word_as_its_reason(reason: object, expected: str) -> None:
    body = json.dumps({"result": "failed", "reason": reason}).encode()
    assert outcome_of(answered(200, body)) == Outcome(Result.FAILED, expected)


def test_json_in_an_answer_that_is_no_success_is_ignored() -> None:
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
def test_an_invalid_member_is_ignored_and_the_others_are_read(member: str, value: object) -> None:
    sent: dict[str, object] = {"result": "failed", "callee_type": "fax", "duration": 7}
    default = {"result": Result.COMPLETED, "callee_type": CalleeType.UNKNOWN, "duration": 0}
    read = outcome_of(answered(200, json.dumps(sent | {member: value}).encode()))
    assert {name: getattr(read, name) for name in sent} == sent | {member: default[member]}


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


@pytest.mark.parametrize("body", [b"", b"<vxml", b"{", b'{"result": "failed"', b'["failed"]'])
def test_a_body_that_was_not_read_whole_leaves_the_call_completed_and_shows_in_the_reason(body: bytes) -> None:
    assert outcome_of(Answered(200, {}, body, is_whole=False)) == Outcome(Result.COMPLETED, "http_200_unread")
    assert outcome_of(Answered(503, {}, body, is_whole=False)) == Outcome(Result.FAILED, "http_503")


def test_an_object_counts_though_more_of_the_body_was_announced() -> None:
    body = b'{"result": "failed", "reason": "busy"}\r\n'
    assert outcome_of(Answered(200, {}, body, is_whole=False)) == Outcome(Result.FAILED, "busy")


@pytest.mark.parametrize(
    "body",
    [
        b'{"result": "failed"',
        b' \r\n{"result": "failed"',
        b'\xef\xbb\xbf{"result": "failed"',
        b"{'result': 'failed'}",
        b'{"result": "failed"}}',
        b'{"result": "failed"}<br /> Warning: ...',
        b'{"result": "failed", "note": "\xff"}',
        b'{"a":' * 10_000,
        b'{"result": "failed", "duration": ' + b"9" * 5_000 + b"}",
    ],
)
def test_a_body_that_begins_as_an_object_and_is_none_was_not_read(body: bytes) -> None:
    assert outcome_of(answered(200, body)) == Outcome(Result.COMPLETED, "http_200_unread")


def test_a_duration_is_a_day_at_most() -> None:
    assert outcome_of(answered(200, b'{"duration": 86400}')).duration == 86_400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<vxml version='2.1'/>",
        b'["failed"]',
        b'"failed"',
        b"null",
        b"[" * 65_536,
    ],
)
def test_a_body_that_is_no_json_object_is_ignored(body: bytes) -> None:
    assert outcome_of(answered(200, body)) == Outcome(Result.COMPLETED, "http_200")


@given(st.binary(max_size=200))
def test_a_2xx_with_any_body_is_completed_or_failed(body: bytes) -> None:
    assert outcome_of(answered(200, body)).result in {Result.COMPLETED, Result.FAILED}
