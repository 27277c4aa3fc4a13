"""The start_url that rings SIP telephones. Where pjsua2 is installed, real telephones ring; the rest needs no wheel."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from chalicelib.gateway.signing import new_secret
from examples.sip import events
from examples.sip.campaign import Campaign, Refused
from examples.sip.ear import Ear
from examples.sip.judging import by_events, by_record
from examples.sip.outcome import FINAL, Event, answered, refused
from examples.sip.scenario import CASES, Case
from examples.sip.sounds import seconds_of, write_tones
from examples.sip.start_url import Call, StartUrl
from examples.sip.stub import Stub
from tests.support.listening import Answer, Listener, ReceivedRequest, listener, running

ROOT = Path(__file__).parents[2]
RINGER = ROOT / ".venv-sip" / "bin" / "python"
NUMBER = "+12223334401"
#: the events of one call
CALL = [Event("ringing"), Event("answered"), Event("completed", "voice", 3)]


def python_with_pjsua2() -> str | None:
    """The Python that has the package: this one, or the one that `make ring` makes."""
    if importlib.util.find_spec("pjsua2") is not None:
        return sys.executable
    return str(RINGER) if (RINGER.parent.parent / "installed").exists() else None


@pytest.mark.skipif(
    python_with_pjsua2() is None, reason="pjsua2 is not installed; `make ring` installs it in .venv-sip"
)
def test_telephones_ring_and_each_call_ends_as_its_number_says(whole: bool) -> None:
    some = [] if whole else ["--only", "01", "02", "05", "06"]
    command = [str(python_with_pjsua2()), "-m", "examples.sip", *some]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("as it should") == (len(CASES) if whole else 4)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("code", "event"),
    [
        (486, Event("busy", duration=0)),
        (600, Event("busy", duration=0)),
        (408, Event("no_answer", duration=0)),
        (480, Event("no_answer", duration=0)),
        (603, Event("rejected", duration=0)),
        (404, Event("failed", duration=0, reason="unallocated")),
        (503, Event("failed", duration=0, reason="congestion")),
        (500, Event("failed", duration=0, reason="sip_500")),
    ],
)
def test_a_call_that_is_not_answered_ends_as_its_sip_status_says(code: int, event: Event) -> None:
    assert refused(code) == event


def test_a_call_that_ends_before_the_prompt_says_who_ended_it() -> None:
    whole = answered(3.4, "voice", heard_all=True, ended_here=True)
    by_callee = answered(0.6, "unknown", heard_all=False, ended_here=False)
    by_caller = answered(0.6, "unknown", heard_all=False, ended_here=True)
    assert whole == Event("completed", "voice", 3)
    assert (by_callee.reason, by_caller.reason) == ("hung_up_early", "ended_early")


def test_an_event_names_only_what_it_knows() -> None:
    assert Event("ringing").form() == {"status": "ringing"}
    assert Event("busy", duration=0).form() == {"status": "busy", "duration": "0"}


@pytest.mark.parametrize(
    ("said", "callee_type", "speaks_at"),
    [
        ([(0.0, 0.4)], "voice", 1.0),
        ([(0.5, 1.0)], "voice", 1.6),
        ([], "unknown", 1.2),
        ([(0.2, 2.7)], "answeringmachine", 3.3),
        ([(0.2, 2.7), (3.0, 3.3)], "answeringmachine", 3.9),
    ],
    ids=["a word", "a late word", "silence", "a greeting", "a greeting and a tone"],
)
def test_who_talks_on_is_a_machine_and_the_prompt_waits_for_a_pause(
    said: list[tuple[float, float]], callee_type: str, speaks_at: float
) -> None:
    ear, now = Ear(0.0), 0.0
    while not ear.may_speak:
        now += 0.02
        assert now < 10
        ear.hear(33 if any(begin <= now < end for begin, end in said) else 0, now)
    assert ear.callee_type == callee_type
    assert now == pytest.approx(speaks_at, abs=0.05)


def test_a_file_of_tones_is_as_long_as_they_are(tmp_path: Path) -> None:
    assert seconds_of(write_tones(tmp_path / "tones.wav", [(440, 0.5), (0, 0.25)])) == 0.75


@contextmanager
def start_url_with(
    call: Call, answer: Callable[[ReceivedRequest], Answer] = lambda _: (200, b"")
) -> Iterator[tuple[Stub, str, Listener]]:
    """A stub, the start_url that it dials, and a listener that can stand in for its status_url."""
    with Stub() as stub, listener(answer) as status_url, running(StartUrl(stub.secret, call)) as url:
        yield stub, f"{url}/start", status_url


def call_that_is_answered(number: str, hear: Callable[[Event], None]) -> bool:
    """A line on which each call has the events of `CALL`, at once."""
    assert number == NUMBER
    for event in CALL:
        hear(event)
    return True


def test_a_dial_is_in_progress_and_its_events_arrive_in_order() -> None:
    with start_url_with(call_that_is_answered) as (stub, start_url, _):
        assert stub.dial(start_url, NUMBER) == 202
        assert [event["status"] for event in stub.events(NUMBER)] == ["ringing", "answered", "completed"]
        assert stub.events(NUMBER)[-1].items() >= {"callee_type": "voice", "duration": "3"}.items()
        assert stub.is_over(NUMBER)


def test_a_dial_is_for_later_while_all_lines_are_busy() -> None:
    with start_url_with(lambda _number, _hear: False) as (stub, start_url, _):
        assert stub.dial(start_url, NUMBER) == 503


def test_nobody_but_callpacer_has_a_telephone_ring() -> None:
    with start_url_with(never_called) as (stub, start_url, _):
        stub.secret = new_secret()
        assert stub.dial(start_url, NUMBER) == 401


def test_a_dial_without_a_status_url_rings_no_telephone() -> None:
    with running(StartUrl(None, never_called)) as url:
        assert post(f"{url}/start", urlencode({"phone_number": f"tel:{NUMBER}"})) == 422


def never_called(_number: str, _hear: Callable[[Event], None]) -> bool:
    raise AssertionError


def test_an_event_is_posted_until_it_is_taken() -> None:
    answers: list[Answer] = [None, (503, b""), (200, b"")]
    with listener(lambda _: answers.pop(0)) as status_url:
        status = events.tell(f"{status_url.url}/events?signature=x", CALL[-1], 1764430000.25, pauses=[0, 0, 0, 0])
        assert status == 200
        received = [status_url.next() for _ in range(3)]
        assert status_url.has_no_more()
    assert {request.path for request in received} == {"/events?signature=x"}
    expected = {"status": "completed", "callee_type": "voice", "duration": "3", "timestamp": "1764430000.250"}
    assert [dict(parse_qsl(request.body)) for request in received] == [expected] * 3


def test_an_event_that_callpacer_refuses_is_not_posted_again() -> None:
    with listener(lambda _: (422, b"")) as status_url:
        assert events.tell(status_url.url, CALL[-1], 0, pauses=[0, 0]) == 422
        status_url.next()
        assert status_url.has_no_more()


def test_the_stub_answers_events_as_callpacer_does() -> None:
    given: list[str] = []

    def take(_number: str, hear: Callable[[Event], None]) -> bool:
        hear(Event("ringing"))
        return True

    def keep(status_url: str, _event: Event, _now: float) -> int:
        given.append(status_url)
        return 200

    with Stub() as stub, running(StartUrl(stub.secret, take, tell=keep)) as url:
        assert stub.dial(f"{url}/start", NUMBER) == 202
        assert post(given[0], "status=ringing") == 200
        assert post(given[0], "status=ringing") == 200
        assert post(given[0], '{"status": "busy", "duration": 0}', "application/json") == 200
        assert post(given[0], "status=whistling") == 422
        assert post(given[0] + "x", "status=ringing") == 401
        assert stub.events(NUMBER) == [{"status": "ringing"}, {"status": "busy", "duration": "0"}]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.story)
def test_a_call_is_judged_alike_by_its_events_and_by_its_record(case: Case) -> None:
    last = {"status": case.status, "callee_type": case.callee_type, "reason": case.reason}
    posted = [*({"status": status} for status in case.events[:-1]), last]
    record = {
        "state": "completed" if case.status == "completed" else "failed",
        "callee_type": case.callee_type,
        "reason": case.reason or case.status,
    }
    assert case.status in FINAL
    assert (by_events(case, posted, 1.5, 1.5).fault, by_record(case, record, 1.5, 1.5).fault) == ("", "")
    assert by_events(case, posted[:-1], 1.5, 1.5).fault
    assert by_record(case, record | {"reason": "http_500"}, 1.5, 1.5).fault
    assert bool(by_events(case, posted, 0.0, 1.5).fault) == case.hears_prompt


def test_a_campaign_leaves_nothing_behind() -> None:
    with listener(the_api) as api:
        with Campaign(f"{api.url}/api", "token", [NUMBER], "http://127.0.0.1:9/start") as campaign:
            campaign.start()
            assert campaign.is_over()
            assert campaign.calls() == [{"phone_number": f"tel:{NUMBER}"}]
        assert requests_to(api, 9) == [
            ("POST", "/api/schedules"),
            ("POST", "/api/profiles"),
            ("POST", "/api/campaigns"),
            ("POST", "/api/campaigns/start"),
            ("GET", "/api/campaigns/7"),
            ("GET", "/api/campaigns/7/calls"),
            ("DELETE", "/api/campaigns/7"),
            ("DELETE", "/api/profiles/7"),
            ("DELETE", "/api/schedules/7"),
        ]


def test_a_campaign_that_is_refused_leaves_nothing_behind() -> None:
    def answer(request: ReceivedRequest) -> Answer:
        return (422, b'{"start_url": ["wrong"]}') if request.path == "/api/campaigns" else the_api(request)

    with listener(answer) as api:
        with pytest.raises(Refused, match=r"POST /campaigns was answered 422: .*wrong"):
            Campaign(f"{api.url}/api", "token", [NUMBER], "http://127.0.0.1:9/start").__enter__()
        assert requests_to(api, 5)[3:] == [("DELETE", "/api/profiles/7"), ("DELETE", "/api/schedules/7")]


def the_api(request: ReceivedRequest) -> Answer:
    """The answers of an API in which everything has the id 7."""
    assert request.headers["authorization"] == "Bearer token"
    answer: object = {"status": "success", "response": {"id": 7}}
    if request.method == "GET":
        answer = [{"phone_number": f"tel:{NUMBER}"}] if request.path.endswith("/calls") else {"status": "completed"}
    return 200, json.dumps(answer).encode()


def requests_to(api: Listener, count: int) -> list[tuple[str, str]]:
    received = [api.next() for _ in range(count)]
    assert api.has_no_more()
    return [(one.method, one.path) for one in received]


def post(url: str, body: str, content_type: str = "application/x-www-form-urlencoded") -> int:
    """The status of the answer."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=5)
    try:
        connection.request(
            "POST", f"{parts.path}?{parts.query}".removesuffix("?"), body, {"Content-Type": content_type}
        )
        return connection.getresponse().status
    finally:
        connection.close()
