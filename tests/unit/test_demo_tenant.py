"""The demo's web server, asked over HTTP, as the dialer asks it."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

import pytest

from chalicelib.domain.outcome import Answered, outcome_of
from chalicelib.gateway.signing import new_secret, signed_headers
from demo.judge import Number, Outcome
from demo.tenant import ANSWERS, Answer, Tenant, answer_to, is_signed, seconds_until_answer

#: The example that the Standard Webhooks libraries test themselves against.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
SENT = 1_614_265_330
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(SENT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


@pytest.fixture
def tenant() -> Iterator[Tenant]:
    with Tenant(new_secret()) as tenant:
        yield tenant


def ask(url: str, secret: str, form: dict[str, str]) -> tuple[int, bytes]:
    body = urlencode(form).encode()
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("POST", urlsplit(url).path, body, signed_headers(secret, "1", datetime.now(UTC), body))
    answer = connection.getresponse()
    said = answer.status, answer.read()
    connection.close()
    return said


CALL = {"phone_number": "tel:+12223334444;ani=7778889999", "message_reference": "Doe, Jane", "call_id": "17"}
REPORT = {**CALL, "result": "failed", "reason": "http_486", "callee_type": "unknown", "duration": "0"}


def test_a_call_is_written_down_and_answered_after_a_while(tenant: Tenant) -> None:
    before = time.time()
    assert ask(tenant.start_url, tenant.secret, CALL) == (answer_to(0).status, answer_to(0).body)
    assert time.time() - before >= seconds_until_answer(0)
    (call,) = tenant.calls
    assert (call.number, call.id) == (Number("tel:+12223334444;ani=7778889999", "Doe, Jane"), "17")
    assert (call.signed, call.outcome) == (True, answer_to(0).outcome)
    assert before <= call.at <= time.time() - seconds_until_answer(0)


def test_a_report_is_written_down(tenant: Tenant) -> None:
    assert ask(tenant.result_url, tenant.secret, REPORT) == (200, b"")
    (report,) = tenant.reports
    assert (report.number, report.id) == (Number("tel:+12223334444;ani=7778889999", "Doe, Jane"), "17")
    assert (report.signed, report.outcome) == (True, Outcome("failed", "http_486", "unknown", "0"))


def test_who_signs_with_another_secret_is_found_out(tenant: Tenant) -> None:
    ask(tenant.start_url, new_secret(), CALL)
    ask(tenant.result_url, new_secret(), REPORT)
    assert (tenant.calls[0].signed, tenant.reports[0].signed) == (False, False)


def test_a_form_with_nothing_in_it_is_written_down_too(tenant: Tenant) -> None:
    assert ask(tenant.start_url, tenant.secret, {})[0] == 200
    assert (tenant.calls[0].number, tenant.calls[0].id) == (Number("", ""), "")


def test_another_path_is_nobodys(tenant: Tenant) -> None:
    assert ask(tenant.start_url + "/other", tenant.secret, CALL) == (404, b"")
    assert (tenant.calls, tenant.reports) == ([], [])


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_comes_to_what_its_report_is_expected_to_say(answer: Answer) -> None:
    outcome = outcome_of(Answered(answer.status, {}, answer.body))
    assert Outcome(outcome.result, outcome.reason, outcome.callee_type, str(outcome.duration)) == answer.outcome


def test_outcomes_differ_and_most_calls_are_completed() -> None:
    given = [answer_to(place) for place in range(300)]
    assert set(given) == set(ANSWERS)
    assert 200 < sum(answer.outcome.result == "completed" for answer in given) < 270


def test_an_answer_takes_from_100_to_400_milliseconds() -> None:
    waits = [seconds_until_answer(place) for place in range(300)]
    assert min(waits) == pytest.approx(0.1)
    assert max(waits) == pytest.approx(0.4)


def test_the_published_example_is_signed() -> None:
    assert is_signed(SECRET, HEADERS, BODY, SENT)


def test_one_of_several_signatures_is_enough() -> None:
    several = {**HEADERS, "webhook-signature": "v1,AAAA v1a,BBBB " + HEADERS["webhook-signature"]}
    assert is_signed(SECRET, several, BODY, SENT)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {name: value for name, value in HEADERS.items() if name != "webhook-signature"},
        {**HEADERS, "webhook-id": "msg_other"},
        {**HEADERS, "webhook-timestamp": str(SENT + 1)},
        {**HEADERS, "webhook-timestamp": "soon"},
        {**HEADERS, "webhook-signature": "v1,é"},
        {**HEADERS, "webhook-signature": "v2" + HEADERS["webhook-signature"][2:]},
    ],
)
def test_headers_that_are_not_the_senders_are_no_signature(headers: dict[str, str]) -> None:
    assert not is_signed(SECRET, headers, BODY, SENT)


def test_another_body_and_another_secret_are_not_signed() -> None:
    assert not is_signed(SECRET, HEADERS, BODY + b" ", SENT)
    assert not is_signed(new_secret(), HEADERS, BODY, SENT)


@pytest.mark.parametrize(("late", "signed"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_a_message_is_signed_for_five_minutes(late: int, signed: bool) -> None:
    assert is_signed(SECRET, HEADERS, BODY, SENT + late) is signed
