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
from tests.examples.listening import PATIENCE, Answer, Listener, listener, running

PAYLOADS = Path(__file__).parent / "payloads"
ACCOUNT, TOKEN = "AC00000000000000000000000000000000", "not a secret"
SECRET = new_secret()
CREATED = (201, (PAYLOADS / "201.json").read_bytes())


@dataclass
class Told:
    """callpacer, as this start_url sees it: it dials, and hears events."""

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
def start_url_with(answer: Answer, **settings: str) -> Iterator[Told]:
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
            yield Told(url, twilio, status_url)


@pytest.fixture
def told() -> Iterator[Told]:
    with start_url_with(CREATED) as told:
        yield told


def test_twilio_is_asked_to_call_the_number_and_to_tell_callpacer_itself(told: Told) -> None:
    form = told.form()
    assert told.dial(form) == 202
    asked = told.twilio.next()
    assert asked.path == f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    assert parse_qs(asked.body) == {
        "To": ["+12223334444"],
        "From": ["+15550001111"],
        "Url": ["https://example.com/hello.xml"],
        "StatusCallback": [form["status_url"]],
        "StatusCallbackEvent": list(EVENTS),
    }


def test_the_caller_id_and_the_digits_of_a_number_are_passed_on(told: Told) -> None:
    number = "tel:+12223334444;ani=+19998887777;postd=12#"
    assert told.dial(told.form(phone_number=number, ani="+19998887777")) == 202
    call = dict(parse_qsl(told.twilio.next().body))
    assert (call["To"], call["From"], call["SendDigits"]) == ("+12223334444", "+19998887777", "12#")


def test_machines_are_looked_for_only_if_that_is_set() -> None:
    with start_url_with(CREATED, TWILIO_MACHINE_DETECTION="DetectMessageEnd") as told:
        assert told.dial(told.form()) == 202
        assert parse_qs(told.twilio.next().body)["MachineDetection"] == ["DetectMessageEnd"]


@pytest.mark.parametrize("ending", ["completed", "machine", "busy", "no-answer", "failed"])
def test_what_twilio_posts_reaches_the_url_that_callpacer_gave(told: Told, ending: str) -> None:
    form = told.form()
    assert told.dial(form) == 202
    callback = dict(parse_qsl(told.twilio.next().body))["StatusCallback"]
    recorded = (PAYLOADS / f"{ending}.forms").read_text().splitlines()
    for line in recorded:
        assert post(callback, line.encode(), {"Content-Type": "application/x-www-form-urlencoded"}) == 200
    heard = [told.status_url.next() for _ in recorded]
    assert {asked.path for asked in heard} == {form["status_url"].removeprefix(told.status_url.url)}
    statuses = [dict(parse_qsl(asked.body))["CallStatus"] for asked in heard]
    assert statuses[-1] == ("completed" if ending == "machine" else ending)


@pytest.mark.parametrize(("refused", "answered"), [(400, 400), (401, 503), (429, 503), (503, 503), (500, 202)])
def test_a_refusal_is_final_if_it_is_the_calls_own_and_otherwise_for_later(refused: int, answered: int) -> None:
    """After a 500 there may be a call: a second one must not be made."""
    payload = (PAYLOADS / f"{refused}.json").read_bytes()
    assert json.loads(payload)["status"] == refused
    with start_url_with((refused, payload)) as told:
        assert told.dial(told.form()) == answered


def test_a_call_that_twilio_may_have_made_is_in_progress() -> None:
    """Twilio has got the request, and closes the connection: only events tell whether there is a call."""
    with start_url_with(None) as told:
        assert told.dial(told.form()) == 202
        told.twilio.next()


def test_a_call_that_twilio_was_never_asked_for_is_for_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with start_url_with(CREATED, TWILIO_API=f"http://127.0.0.1:{port}") as told:
        assert told.dial(told.form()) == 503


def test_nobody_but_callpacer_has_a_call_made(told: Told) -> None:
    assert told.dial(told.form(), secret=new_secret()) == 401
    assert told.dial(told.form(), seconds_ago=301) == 401
    assert post(told.start_url, urlencode(told.form()).encode(), {}) == 401
    assert told.twilio.was_asked_nothing()


def test_a_dial_without_a_status_url_makes_no_call(told: Told) -> None:
    form = told.form()
    del form["status_url"]
    assert told.dial(form) == 422
    assert told.twilio.was_asked_nothing()


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=PATIENCE)
    try:
        connection.request("POST", f"{parts.path or '/'}?{parts.query}".removesuffix("?"), body, dict(headers))
        return connection.getresponse().status
    finally:
        connection.close()
