"""Events of calls, by the API: who may post them, and what is answered."""

import json
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest

from chalicelib.domain.call import Call, State
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Entry
from chalicelib.gateway.signing import PREFIX, event_signature
from tests.support.customer import Customer
from tests.support.http import Client, Reply
from tests.support.world import EIGHT

SECRET = PREFIX + "c2VjcmV0"


@dataclass
class LastingCall:
    """A customer's call that is in progress, and a provider that knows nothing but its status_url."""

    customer: Customer
    key: CallKey

    @property
    def path(self) -> str:
        return f"/api/calls/{self.key.call_id}/events"

    def query(self, **changes: str) -> str:
        signed = {"account": self.key.account, "attempt": "1", "signature": event_signature(SECRET, self.key, 1)}
        return urlencode(signed | changes)

    def post(self, body: bytes, query: str | None = None, authorization: str | None = None) -> Reply:
        provider = Client(self.customer.app, token=None)
        headers = {} if authorization is None else {"Authorization": authorization}
        return provider.ask("POST", f"{self.path}?{self.query() if query is None else query}", body, headers)

    @property
    def record(self) -> Call:
        call = self.customer.services.calls.get(self.key)
        assert call is not None
        return call


@pytest.fixture
def lasting(customer: Customer) -> LastingCall:
    campaign = customer.any_campaign(phone_numbers=["+12223334444", "+12223335555"])
    services = customer.services
    services.accounts.ensure(customer.account, SECRET)
    key = CampaignKey(customer.account, campaign).call(0)
    claim = services.calls.claim(key, Entry("tel:+12223334444"), 1, EIGHT)
    assert claim is not None
    assert services.calls.begin_progress(claim, EIGHT)
    assert services.progress.advance_head(services.campaigns.get(key.campaign), head=1)
    return LastingCall(customer, key)


@pytest.mark.parametrize(
    "body",
    [
        b"CallSid=CA1&AccountSid=AC1&CallStatus=busy&CallDuration=0&From=%2B12223334444",
        b'{"status": "busy", "reason": "busy", "anything": {"else": [1]}}',
        b"status=busy",
    ],
)
def test_a_provider_ends_a_call_without_a_token(lasting: LastingCall, body: bytes) -> None:
    reply = lasting.post(body)
    assert (reply.status, reply.json) == (200, {"status": "success"})
    assert (lasting.record.state, lasting.record.reason) == (State.FAILED, "busy")


def test_an_event_that_comes_again_is_answered_alike(lasting: LastingCall) -> None:
    assert [lasting.post(b"status=completed").status for _ in range(3)] == [200] * 3
    assert lasting.post(b"status=busy").status == 200
    assert lasting.record.state is State.COMPLETED


#: what each provider posts of a call at which machine detection runs by itself
DETECTED = {
    "vonage": (
        b'{"status": "answered", "conversation_uuid": "CON-1"}',
        b'{"status": "machine", "sub_state": "beep_start", "conversation_uuid": "CON-1"}',
        b'{"status": "completed", "duration": "31", "conversation_uuid": "CON-1"}',
    ),
    "twilio": (
        b"CallSid=CA1&CallStatus=in-progress",
        b"CallSid=CA1&AccountSid=AC1&AnsweredBy=machine_start&MachineDetectionDuration=2400",
        b"CallSid=CA1&CallStatus=completed&CallDuration=31",
    ),
    "twilio, with a status": (
        b"CallSid=CA1&CallStatus=in-progress",
        b"CallSid=CA1&CallStatus=in-progress&AnsweredBy=machine_end_beep",
        b"CallSid=CA1&CallStatus=completed&CallDuration=31",
    ),
    "twilio, undecided at the end": (
        b"CallSid=CA1&CallStatus=in-progress",
        b"CallSid=CA1&AnsweredBy=machine_end_other",
        b"CallSid=CA1&CallStatus=completed&CallDuration=31&AnsweredBy=unknown",
    ),
    "signalwire": (
        b"CallSid=1&CallStatus=in-progress",
        b"CallSid=1&AnsweredBy=machine",
        b"CallSid=1&CallStatus=completed&CallDuration=31",
    ),
    "telnyx": (
        b"CallSid=v3:1&CallStatus=in-progress&CallDuration=15",
        b"CallSid=v3:1&AnsweredBy=machine_end_silence&ConnectionId=1&MachineDetectionDuration=2500",
        b"CallSid=v3:1&CallStatus=completed&CallDuration=31",
    ),
    "plivo": (
        b"CallUUID=1&CallStatus=in-progress",
        b"CallUUID=1&CallStatus=in-progress&Machine=true&Event=MachineDetection",
        b"CallUUID=1&CallStatus=completed&Duration=31",
    ),
    "plivo, without a status": (
        b"CallUUID=1&CallStatus=in-progress",
        b"CallUUID=1&Machine=true&Event=MachineDetection",
        b"CallUUID=1&CallStatus=completed&Duration=31",
    ),
    "own": (
        b"status=answered",
        b"status=answered&callee_type=answeringmachine",
        b"status=completed&duration=31",
    ),
}


@pytest.mark.parametrize("posted", DETECTED.values(), ids=list(DETECTED))
def test_the_outcome_has_what_machine_detection_found_before_the_end(
    lasting: LastingCall, posted: tuple[bytes, bytes, bytes]
) -> None:
    answered, detected, completed = posted
    for body in (answered, detected, detected):
        assert lasting.post(body).status == 200
        assert lasting.record.state is State.IN_PROGRESS
    assert [one.status for one in lasting.record.events] == ["in_progress", "in_progress"]
    assert lasting.post(completed).status == 200
    assert (lasting.record.state, lasting.record.reason) == (State.COMPLETED, "completed")
    assert (lasting.record.callee_type, lasting.record.duration) == ("answeringmachine", 31)


@pytest.mark.parametrize("posted", DETECTED.values(), ids=list(DETECTED))
def test_what_machine_detection_finds_after_the_end_changes_nothing(
    lasting: LastingCall, posted: tuple[bytes, bytes, bytes]
) -> None:
    lasting.post(b"status=completed&callee_type=voice")
    ended = lasting.record
    assert lasting.post(posted[1]).status == 200
    assert lasting.record == ended


def test_an_event_keeps_no_answer_for_its_idempotency_key(lasting: LastingCall) -> None:
    for body in (b"status=completed", b"status=completed", b"status=busy"):
        reply = lasting.customer.ask("POST", lasting.path, body, {"Idempotency-Key": "k"})
        assert (reply.status, "idempotency-replayed" in reply.headers) == (200, False)
    assert lasting.record.state is State.COMPLETED


def test_a_status_url_is_good_for_its_own_attempt_of_its_own_call_alone(
    lasting: LastingCall, other_customer: Customer
) -> None:
    other_customer.services.accounts.ensure(other_customer.account, PREFIX + "b3RoZXI=")
    second = LastingCall(lasting.customer, CallKey(lasting.key.account, lasting.key.campaign_id, 1))
    wrong = [
        lasting.query(attempt="2"),
        lasting.query(attempt=""),
        lasting.query(attempt="1.0"),
        lasting.query(attempt="9" * 5000),
        lasting.query(account=other_customer.account),
        lasting.query(account="nobody"),
        lasting.query(account=""),
        lasting.query(signature="0" * 64),
        lasting.query(signature=""),
        lasting.query(signature="\u00e9"),
        lasting.query() + "&attempt=1",
        "attempt=1",
        "",
    ]
    for query in wrong:
        reply = lasting.post(b"status=completed", query)
        assert (reply.status, reply.json) == (401, {"status": "error", "error": "Unauthenticated."}), query
    assert second.post(b"status=completed", lasting.query()).status == 401
    assert lasting.record.state is State.IN_PROGRESS


@pytest.mark.parametrize(
    "authorization", ["Bearer eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJWb25hZ2UifQ.c2ln", "Basic dXNlcjpwYXNz", "Bearer", ""]
)
def test_a_signed_status_url_is_good_whatever_else_authorizes_the_provider(
    lasting: LastingCall, authorization: str
) -> None:
    assert lasting.post(b'{"status": "completed"}', authorization=authorization).status == 200
    assert lasting.record.state is State.COMPLETED


def test_a_token_does_not_mend_a_wrong_signature_nor_spoil_a_right_one(
    lasting: LastingCall, other_customer: Customer
) -> None:
    def ask(customer: Customer, query: str, body: bytes = b"status=completed") -> int:
        return customer.ask("POST", f"{lasting.path}?{query}", body).status

    for query in (lasting.query(attempt="2"), lasting.query(signature="0" * 64), "signature=", "attempt=1&signature=x"):
        assert ask(lasting.customer, query) == 401, query
    assert lasting.record.state is State.IN_PROGRESS
    assert ask(other_customer, lasting.query(), b"status=ringing") == 200
    assert ask(other_customer, "attempt=1") == 404
    assert ask(lasting.customer, "attempt=1") == 200


def test_a_signature_opens_nothing_but_events(lasting: LastingCall) -> None:
    provider = Client(lasting.customer.app, token=None)
    for target in (f"/api/calls/{lasting.key.call_id}", "/api/campaigns"):
        assert provider.ask("GET", f"{target}?{lasting.query()}").status == 401


def test_with_a_token_an_event_is_about_the_last_attempt(lasting: LastingCall) -> None:
    assert lasting.customer.ask("POST", lasting.path, b'{"status": "ringing"}').status == 200
    assert lasting.customer.ask("POST", f"{lasting.path}?attempt=2", b'{"status": "completed"}').status == 200
    assert lasting.record.state is State.IN_PROGRESS
    assert lasting.customer.ask("POST", lasting.path, b'{"status": "completed", "duration": 12}').status == 200
    assert (lasting.record.state, lasting.record.duration) == (State.COMPLETED, 12)


def test_another_accounts_token_finds_no_call(lasting: LastingCall, other_customer: Customer) -> None:
    assert other_customer.ask("POST", lasting.path, b'{"status": "completed"}').status == 404
    assert other_customer.get(f"/api/calls/{lasting.key.call_id}").status == 404


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"status=gone", 'The status field "gone" is unknown: one of queued, initiated, ringing, '),
        (b"CallStatus=gone", 'The CallStatus field "gone" is unknown: one of '),
        (b'{"status": 7}', 'The status field "7" is unknown: one of '),
        (b'{"duration": 7}', "The status field is required: one of "),
        (b"", "The status field is required: one of "),
    ],
)
def test_an_unknown_status_is_refused_with_the_known_ones(lasting: LastingCall, body: bytes, sentence: str) -> None:
    reply = lasting.post(body)
    assert reply.status == 422
    ((sentences),) = reply.json.values()
    assert sentences[0].startswith(sentence)
    assert "no_answer" in sentences[0]


def test_a_call_is_shown_by_its_id(lasting: LastingCall) -> None:
    lasting.post(b"CallStatus=ringing")
    lasting.post(b"CallStatus=completed&CallDuration=31&AnsweredBy=machine_end_beep")
    shown = lasting.customer.get(f"/api/calls/{lasting.key.call_id}").json
    assert {name: shown[name] for name in ("call_id", "state", "reason", "callee_type", "duration", "revision")} == {
        "call_id": lasting.key.call_id,
        "state": "completed",
        "reason": "completed",
        "callee_type": "answeringmachine",
        "duration": 31,
        "revision": 0,
    }
    assert [(event["status"], event["callee_type"]) for event in shown["events"]] == [
        ("ringing", "unknown"),
        ("completed", "answeringmachine"),
    ]
    (queued,) = [
        call
        for call in json.loads(lasting.customer.get(f"/api/campaigns/{lasting.key.campaign_id}/calls").text)
        if call["call_id"] != lasting.key.call_id
    ]
    alone = lasting.customer.get(f"/api/calls/{queued['call_id']}").json
    assert alone == queued | {"not_before": None, "expires": None, "events": []}


@pytest.mark.parametrize("call_id", ["0", "x", "4294967396", "9" * 17])
def test_an_unknown_call_is_not_found(lasting: LastingCall, call_id: str) -> None:
    assert lasting.customer.get(f"/api/calls/{call_id}").status == 404
    assert lasting.customer.ask("POST", f"/api/calls/{call_id}/events", b"status=busy").status == 404
