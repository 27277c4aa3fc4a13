"""The start_url for Twilio, before a stand-in of Twilio's REST API: it answers and posts what payloads/ has."""

import base64
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from chalicelib.gateway.signing import new_secret, signed_headers
from examples.twilio.start_url import EVENTS, Server
from tests.support.listening import PATIENCE, Answer, Listener, listener, running

PAYLOADS = Path(__file__).parent / "payloads"
ACCOUNT, TOKEN = "AC00000000000000000000000000000000", "not a secret"
SECRET = new_secret()
CREATED = (201, (PAYLOADS / "201.json").read_bytes())


@dataclass
class Callpacer:
    """Stands in for callpacer: it dials the start_url, and takes the events that Twilio posts."""

    start_url: str
    twilio: Listener
    status_url: Listener

    def form(self, **changed: str) -> dict[str, str]:
        """The form of a dial."""
        return {
            "phone_number": "tel:+12223334444",
            "message_reference": "march",
            "call_id": "4294967296",
            "campaign_id": "1",
            "ani": "",
            "attempt": "1",
            "status_url": f"{self.status_url.url}/api/calls/4294967296/events?attempt=1&signature=a%2Bb%3D",
            **changed,
        }

    def dial(self, form: Mapping[str, str], *, secret: str = SECRET, seconds_ago: int = 0) -> int:
        """The status of start_url's answer."""
        body = urlencode(form).encode()
        then = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        return post(self.start_url, body, signed_headers(secret, "4294967296-1", then, body))


@contextmanager
def start_url_with(answer: Answer, **settings: str) -> Iterator[Callpacer]:
    """A start_url whose Twilio answers everything with `answer`."""
    with listener(lambda _: answer) as twilio, listener(lambda _: (200, b"")) as status_url:
        given = {
            "CALLPACER_SECRET": SECRET,
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_FROM": "+15550001111",
            "TWILIO_URL": "https://example.com/hello.xml",
            "TWILIO_API": twilio.url,
            **settings,
        }
        with running(Server(given, 0)) as url:
            yield Callpacer(url, twilio, status_url)


@pytest.fixture
def callpacer() -> Iterator[Callpacer]:
    with start_url_with(CREATED) as callpacer:
        yield callpacer


def test_twilio_is_asked_to_call_the_number_and_to_tell_callpacer_itself(callpacer: Callpacer) -> None:
    form = callpacer.form()
    assert callpacer.dial(form) == 202
    request = callpacer.twilio.next()
    assert request.path == f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
    assert request.headers["authorization"] == "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    assert parse_qs(request.body) == {
        "To": ["+12223334444"],
        "From": ["+15550001111"],
        "Url": ["https://example.com/hello.xml"],
        "StatusCallback": [form["status_url"]],
        "StatusCallbackEvent": list(EVENTS),
    }


def test_the_caller_id_and_the_digits_of_a_number_are_passed_on(callpacer: Callpacer) -> None:
    number = "tel:+12223334444;ani=+19998887777;postd=12#"
    assert callpacer.dial(callpacer.form(phone_number=number, ani="+19998887777")) == 202
    call = dict(parse_qsl(callpacer.twilio.next().body))
    assert (call["To"], call["From"], call["SendDigits"]) == ("+12223334444", "+19998887777", "12#")


def test_machines_are_looked_for_only_if_that_is_set() -> None:
    with start_url_with(CREATED, TWILIO_MACHINE_DETECTION="DetectMessageEnd") as callpacer:
        assert callpacer.dial(callpacer.form()) == 202
        assert parse_qs(callpacer.twilio.next().body)["MachineDetection"] == ["DetectMessageEnd"]


@pytest.mark.parametrize("ending", ["completed", "machine", "busy", "no-answer", "failed"])
def test_what_twilio_posts_reaches_the_url_that_callpacer_gave(callpacer: Callpacer, ending: str) -> None:
    form = callpacer.form()
    assert callpacer.dial(form) == 202
    callback = dict(parse_qsl(callpacer.twilio.next().body))["StatusCallback"]
    recorded = (PAYLOADS / f"{ending}.forms").read_text().splitlines()
    for line in recorded:
        assert post(callback, line.encode(), {"Content-Type": "application/x-www-form-urlencoded"}) == 200
    received = [callpacer.status_url.next() for _ in recorded]
    assert {request.path for request in received} == {form["status_url"].removeprefix(callpacer.status_url.url)}
    statuses = [dict(parse_qsl(request.body))["CallStatus"] for request in received]
    assert statuses[-1] == ("completed" if ending == "machine" else ending)


@pytest.mark.parametrize(("refused", "answered"), [(400, 400), (401, 503), (429, 503), (503, 503), (500, 202)])
def test_a_refusal_is_final_if_it_is_the_calls_own_and_otherwise_for_later(refused: int, answered: int) -> None:
    """After a 500 there may be a call: a second one must not be made."""
    payload = (PAYLOADS / f"{refused}.json").read_bytes()
    assert json.loads(payload)["status"] == refused
    with start_url_with((refused, payload)) as callpacer:
        assert callpacer.dial(callpacer.form()) == answered


def test_a_call_that_twilio_may_have_made_is_in_progress() -> None:
    """Twilio has got the request, and closes the connection: only events tell whether there is a call."""
    with start_url_with(None) as callpacer:
        assert callpacer.dial(callpacer.form()) == 202
        callpacer.twilio.next()


def test_a_call_that_twilio_was_never_asked_for_is_for_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with start_url_with(CREATED, TWILIO_API=f"http://127.0.0.1:{port}") as callpacer:
        assert callpacer.dial(callpacer.form()) == 503


def test_nobody_but_callpacer_has_a_call_made(callpacer: Callpacer) -> None:
    assert callpacer.dial(callpacer.form(), secret=new_secret()) == 401
    assert callpacer.dial(callpacer.form(), seconds_ago=301) == 401
    assert post(callpacer.start_url, urlencode(callpacer.form()).encode(), {}) == 401
    assert callpacer.twilio.has_no_more()


def test_a_dial_without_a_status_url_makes_no_call(callpacer: Callpacer) -> None:
    form = callpacer.form()
    del form["status_url"]
    assert callpacer.dial(form) == 422
    assert callpacer.twilio.has_no_more()


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=PATIENCE)
    try:
        connection.request("POST", f"{parts.path or '/'}?{parts.query}".removesuffix("?"), body, dict(headers))
        return connection.getresponse().status
    finally:
        connection.close()
