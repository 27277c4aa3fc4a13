"""The demo: what it uploads, how its calls go, which faults it finds, what it shows, and when it ends."""

import io
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from rich.console import Console

from chalicelib.domain.events import outcome_of_event, read_event
from chalicelib.domain.outcome import Answered, outcome_of
from chalicelib.domain.outcome import Outcome as CallpacersOutcome
from chalicelib.domain.retries import ACCEPTED, retry_kind
from chalicelib.domain.upload import read
from chalicelib.gateway.signing import new_secret, signed_headers
from demo.__main__ import is_over, main, time_limit
from demo.numbers import MAX_NUMBERS, numbers, numbers_file
from demo.record import RETRIED, Call, Event, Number, Outcome, Report, State, states
from demo.screen import TICK, View, columns, line, screen, summary_text
from demo.summary import Summary, summarize
from demo.telephone import Answer, answer_to
from demo.tenant import Dial, Tenant, is_signed
from tests.support.tenant import serve

STARTED = 1000.0
PERSON = Outcome("completed", "completed", "voice", "42")
BUSY = Outcome("failed", "busy", "unknown", "0")
NOT_FOUND = Outcome("failed", "http_404", "unknown", "0")
NUMBERS = [Number(f"tel:+1222333000{index}", f"ref {index}") for index in range(4)]


def calls_at(*seconds: float) -> list[Call]:
    """A call at each of these seconds after the start, with its outcome in the answer. Every second one fails."""
    return [
        Call(STARTED + second, NUMBERS[index % 4], f"id {index}", 1, True, NOT_FOUND if index % 2 else PERSON, False)
        for index, second in enumerate(seconds)
    ]


def events_of(call: Call, *statuses: str) -> list[Event]:
    """Events of a call that lasts, one a second."""
    return [
        Event(call.at + second, call.id, call.attempt, status, 200) for second, status in enumerate(statuses, start=1)
    ]


def reports_of(calls: list[Call]) -> list[Report]:
    return [Report(call.at + 0.2, call.number, call.id, call.attempt, True, call.outcome) for call in calls]


CALLS = calls_at(60, 60.5, 61, 61.5)
REPORTS = reports_of(CALLS)
COUNTED = {"queued": 0, "completed": 2, "failed": 2, "uncertain": 0}
#: a call that lasts and is busy, and the attempt that has to follow
RINGS = replace(CALLS[0], outcome=BUSY, lasts=True)
IS_BUSY = events_of(RINGS, "busy")
AGAIN = replace(CALLS[0], at=RINGS.at + 61, attempt=2)
CALLED_AGAIN = [RINGS, *CALLS[1:], AGAIN]


def test_the_api_reads_each_expected_number_from_the_file_once() -> None:
    entries = read(numbers_file(300)).entries
    assert [Number(entry.destination, entry.message_reference) for entry in entries] == numbers(300)
    assert len(set(numbers(MAX_NUMBERS))) == MAX_NUMBERS


def summarized(
    calls: list[Call] = CALLS, reports: list[Report] = REPORTS, events: list[Event] = IS_BUSY, **counted: int
) -> Summary:
    return summarize(NUMBERS, calls, events, reports, COUNTED | counted)


def test_each_number_called_once_and_reported_is_no_fault_in_any_order() -> None:
    right = Summary(
        numbers=4,
        calls=4,
        retries=0,
        reports=4,
        called_twice=0,
        never_called=0,
        longest_gap=0.5,
        fullest_second=2,
        faults=(),
    )
    assert summarized() == summarized(CALLS[::-1], REPORTS[::-1]) == right


def test_a_busy_number_called_again_after_a_minute_and_reported_after_that_is_no_fault() -> None:
    summary = summarized(CALLED_AGAIN, reports_of([*CALLS[1:], AGAIN]))
    assert (summary.calls, summary.retries, summary.longest_gap, summary.faults) == (5, 1, 0.5, ())


def test_a_repeated_report_is_no_fault() -> None:
    assert summarized(reports=[*REPORTS, REPORTS[0]]).faults == ()


def test_a_number_called_twice_in_an_attempt_is_a_fault_even_under_the_same_id() -> None:
    summary = summarized([*CALLS, replace(CALLS[2], at=STARTED + 70)])
    assert (summary.calls, summary.called_twice, summary.longest_gap) == (5, 1, 8.5)
    assert summary.faults == ("1 number was called twice in an attempt: tel:+12223330002 (ref 2)",)


@pytest.mark.parametrize(
    "calls",
    [
        [*CALLS, AGAIN],
        [*CALLED_AGAIN[:-1], replace(AGAIN, outcome=BUSY), replace(AGAIN, at=AGAIN.at + 61, attempt=3)],
        [*CALLS[1:], replace(AGAIN, attempt=0)],
    ],
    ids=["after success", "a third time", "without an attempt"],
)
def test_a_number_called_more_often_than_asked_is_a_fault(calls: list[Call]) -> None:
    assert summarized(calls).faults[0] == "1 number was called more often than asked: tel:+12223330000 (ref 0)"


def test_a_busy_number_that_is_not_called_again_is_a_fault() -> None:
    calls = CALLED_AGAIN[:-1]
    faults = summarized(calls, reports_of(calls), completed=1, failed=3).faults
    assert faults == ("1 number was called less often than asked: tel:+12223330000 (ref 0)",)


def test_a_retry_before_a_minute_is_over_is_a_fault() -> None:
    soon = replace(AGAIN, at=IS_BUSY[0].at + 59.9)
    faults = summarized([*CALLED_AGAIN[:-1], soon], reports_of([*CALLS[1:], soon])).faults
    assert faults == ("1 number was called again within 60 seconds: tel:+12223330000 (ref 0)",)


def test_a_refused_event_is_a_fault() -> None:
    faults = summarized(CALLED_AGAIN, reports_of([*CALLS[1:], AGAIN]), [replace(IS_BUSY[0], answer=500)]).faults
    assert faults == ("1 number was called, and an event refused: tel:+12223330000 (ref 0)",)


def test_a_number_never_called_is_a_fault_although_another_was_called_instead() -> None:
    unknown = replace(CALLS[0], number=Number("tel:+12223330000", "another reference"))
    summary = summarized([unknown, *CALLS[1:]], reports_of([unknown, *CALLS[1:]]))
    assert (summary.calls, summary.never_called) == (4, 1)
    assert summary.faults == (
        "1 number was never called: tel:+12223330000 (ref 0)",
        "1 number was called, but not uploaded: tel:+12223330000 (another reference)",
    )


def test_a_call_without_a_report_is_a_fault() -> None:
    assert summarized(reports=REPORTS[1:], completed=1).faults == (
        "1 number was called without a report: tel:+12223330000 (ref 0)",
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"outcome": replace(PERSON, duration="43")}, "reported with a wrong number, outcome or count of attempts"),
        ({"number": NUMBERS[1]}, "reported with a wrong number, outcome or count of attempts"),
        ({"attempts": 2}, "reported with a wrong number, outcome or count of attempts"),
        ({"signed": False}, "reported without a valid signature"),
        ({"id": "id 9"}, "reported, but not called"),
    ],
)
def test_a_report_that_is_wrong_unsigned_or_of_no_call_is_a_fault(change: dict[str, Any], fault: str) -> None:
    faults = summarized(reports=[replace(REPORTS[0], **change), *REPORTS[1:]]).faults
    assert faults[-1].startswith(f"1 number was {fault}: tel:+1222333000")


def test_an_unsigned_call_is_a_fault() -> None:
    assert summarized([replace(CALLS[0], signed=False), *CALLS[1:]]).faults == (
        "1 number was called without a valid signature: tel:+12223330000 (ref 0)",
    )


def test_other_counts_of_the_api_are_a_fault() -> None:
    assert summarized(completed=1, queued=1).faults == (
        "The API counts 1 numbers as queued, but 0 were reported as queued.",
        "The API counts 1 numbers as completed, but 2 were reported as completed.",
    )


@pytest.mark.parametrize(("seconds", "most"), [((), 0), ((5, 6), 1), ((5, 5.5, 5.99, 6.2, 6.3), 4), ((1, 1, 1), 3)])
def test_the_fullest_second_does_not_include_its_end(seconds: tuple[float, ...], most: int) -> None:
    assert summarized(calls_at(*seconds)).fullest_second == most


CALL = {
    "phone_number": "tel:+12223334444;ani=7778889999",
    "message_reference": "Doe, Jane",
    "call_id": "17",
    "attempt": "1",
}
REPORT = {**CALL, "attempts": "2", "result": "failed", "reason": "busy", "callee_type": "unknown", "duration": "0"}


@pytest.fixture
def waited() -> list[float]:
    """How many seconds the tenant has waited, each time."""
    return []


@pytest.fixture
def tenant(waited: list[float]) -> Iterator[Tenant]:
    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return False

    with Tenant(new_secret(), wait) as tenant:
        yield tenant


def post(url: str, secret: str, form: dict[str, str]) -> tuple[int, bytes]:
    body = urlencode(form).encode()
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("POST", urlsplit(url).path, body, signed_headers(secret, "1", datetime.now(UTC), body))
    answer = connection.getresponse()
    received = answer.status, answer.read()
    connection.close()
    return received


def test_the_tenant_records_a_call_and_answers_after_a_while(tenant: Tenant, waited: list[float]) -> None:
    before = time.time()
    assert post(tenant.start_url, tenant.secret, CALL) == (answer_to(0, 1).status, answer_to(0, 1).body)
    assert 0.1 <= waited[0] <= 0.4
    (call,) = tenant.calls
    assert before <= call.at <= time.time()
    number = Number("tel:+12223334444;ani=7778889999", "Doe, Jane")
    assert call == Call(call.at, number, "17", 1, True, answer_to(0, 1).outcome, True)


def test_the_tenant_posts_each_event_of_a_call_at_its_time(tenant: Tenant, waited: list[float]) -> None:
    with serve() as callpacer:
        tenant.go_on(Dial("17", 1, f"{callpacer.url}/events?attempt=1", 0))
    steps = answer_to(0, 1).steps
    assert [request.form for request in callpacer.reports] == [step.fields for step in steps]
    assert [sum(waited[:count]) for count in (1, 2, 3)] == [step.after for step in steps]
    statuses = ("ringing", "answered", "completed")
    assert [replace(event, at=0) for event in tenant.events] == [Event(0, "17", 1, one, 200) for one in statuses]


def test_an_event_that_is_not_taken_is_posted_three_times_more(tenant: Tenant, waited: list[float]) -> None:
    with serve() as callpacer:
        status_url = f"{callpacer.url}/events"
    tenant.go_on(Dial("17", 1, status_url, 4))
    assert [(event.status, event.answer) for event in tenant.events] == [("busy", 0)]
    assert waited[1:] == [0.5, 1.0, 2.0]


def test_the_tenant_records_a_report_and_whether_it_is_signed(tenant: Tenant) -> None:
    for secret in (tenant.secret, new_secret()):
        assert post(tenant.result_url, secret, REPORT) == (200, b"")
    number = Number("tel:+12223334444;ani=7778889999", "Doe, Jane")
    signed, unsigned = tenant.reports
    assert signed == Report(signed.at, number, "17", 2, True, BUSY)
    assert unsigned == Report(unsigned.at, number, "17", 2, False, BUSY)


@pytest.mark.parametrize("attempt", [1, 2])
@pytest.mark.parametrize("index", range(20))
def test_callpacer_reads_the_expected_outcome_in_an_answer_or_in_the_last_event(index: int, attempt: int) -> None:
    answer = answer_to(index, attempt)
    assert (answer.status == ACCEPTED) is bool(answer.steps)
    outcome = expected(answer)
    assert (retry_kind(outcome) in RETRIED) is (answer.outcome.reason in RETRIED)
    assert Outcome(outcome.result, outcome.reason, outcome.callee_type, str(outcome.duration)) == answer.outcome


def expected(answer: Answer) -> CallpacersOutcome:
    if answer.steps:
        return outcome_of_event(read_event(answer.steps[-1].fields))
    return outcome_of(Answered(answer.status, {}, answer.body))


def test_a_telephone_rings_before_it_is_answered_and_all_of_it_takes_seconds() -> None:
    for index in range(1000):
        steps = answer_to(index, 1).steps
        assert [step.after for step in steps] == sorted(step.after for step in steps)
        assert [step.fields["status"] for step in steps] in (
            [],
            ["busy"],
            ["ringing", "no_answer"],
            ["ringing", "answered", "completed"],
        )
        assert not steps or steps[-1].after < 15


def test_some_numbers_are_busy_again_and_none_is_busy_late() -> None:
    """A late one would be called again a minute after the others."""
    assert {answer_to(index, 2).outcome.reason for index in range(20)} == {"busy", "answered"}
    reasons = [answer_to(index, 1).outcome.reason for index in range(1000)]
    assert all(reason in reasons[:20] and reason not in reasons[120:] for reason in ("busy", "no_answer"))


@pytest.mark.parametrize(
    ("statuses", "outcome", "state"),
    [
        ([], PERSON, State.RINGING),
        (["ringing"], PERSON, State.RINGING),
        (["ringing", "answered"], PERSON, State.TALKING),
        (["ringing", "answered", "completed"], PERSON, State.COMPLETED),
        (["busy"], BUSY, State.BUSY),
        (["ringing", "no_answer"], replace(BUSY, reason="no_answer"), State.NO_ANSWER),
    ],
)
def test_the_last_event_of_a_call_tells_its_state(statuses: list[str], outcome: Outcome, state: State) -> None:
    call = replace(RINGS, outcome=outcome)
    assert states([call], events_of(call, *statuses)) == [(call, state)]


def test_a_number_waits_for_its_retry_once_its_call_is_over() -> None:
    assert [retrying(62, events=events).waiting for events in ([], IS_BUSY)] == [0, 1]
    assert retrying(122, CALLED_AGAIN).waiting == 0


def test_a_number_has_the_state_of_its_last_attempt() -> None:
    for calls in (CALLED_AGAIN, CALLED_AGAIN[::-1]):
        assert (AGAIN, State.COMPLETED) in states(calls, IS_BUSY)
        assert len(states(calls, IS_BUSY)) == 4
    assert [state for _, state in states(CALLS, [])] == [State.COMPLETED, State.FAILED] * 2


#: The example with which the Standard Webhooks libraries test themselves.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
SENT = 1_614_265_330
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
HEADERS = {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": str(SENT), "webhook-signature": SIGNATURE}


@pytest.mark.parametrize(
    ("change", "signed"),
    [
        ({}, True),
        ({"webhook-signature": f"v1,AAAA v1a,BBBB {SIGNATURE}"}, True),
        ({"webhook-signature": ""}, False),
        ({"webhook-signature": "v1,é"}, False),
        ({"webhook-signature": "v2" + SIGNATURE[2:]}, False),
        ({"webhook-id": "msg_other"}, False),
        ({"webhook-timestamp": str(SENT + 1)}, False),
        ({"webhook-timestamp": "soon"}, False),
    ],
)
def test_the_published_example_is_signed_and_a_changed_one_is_not(change: dict[str, str], signed: bool) -> None:
    assert is_signed(SECRET, HEADERS | change, BODY, SENT) is signed


def test_missing_headers_another_body_and_another_secret_are_not_signed() -> None:
    assert not is_signed(SECRET, {}, BODY, SENT)
    assert not is_signed(SECRET, HEADERS, BODY + b" ", SENT)
    assert not is_signed(new_secret(), HEADERS, BODY, SENT)


@pytest.mark.parametrize(("late", "signed"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_a_signature_is_valid_for_five_minutes(late: int, signed: bool) -> None:
    assert is_signed(SECRET, HEADERS, BODY, SENT + late) is signed


def view(now: float, *at: float, reported: int | None = None) -> View:
    """A campaign of four numbers, at two calls a second; times are seconds after its start."""
    calls = calls_at(*at)
    return View(STARTED + now, STARTED, STARTED + 150, 7, 4, 2.0, calls, [], reports_of(calls)[:reported])


def retrying(now: float, calls: list[Call] = CALLED_AGAIN[:-1], events: list[Event] = IS_BUSY) -> View:
    """All four numbers are called, and the first was busy."""
    return replace(view(now), calls=calls, events=events, reports=reports_of(CALLS[1:]))


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        (view(0), f"waiting for the pacer's next tick: within 1:{TICK - 60}"),
        (view(75), "waiting for the pacer's next tick: any moment"),
        (view(61, 60, 60.5), "calling"),
        (replace(view(61, *(60 + tenth / 10 for tenth in range(10))), numbers=20), "calling, faster to catch up"),
        (view(66, 60, 60.5, 61), "waiting for the pacer's next tick: some calls were deferred"),
        (retrying(62, events=[]), "all numbers are called; some calls are still under way"),
        (retrying(90), "waiting for the retries: a minute after each call, and then for a tick"),
        (
            retrying(122, [*CALLED_AGAIN[:-1], replace(AGAIN, id="id 8", outcome=BUSY)]),
            "calling the busy and unanswered numbers again",
        ),
        (retrying(122, CALLED_AGAIN), "all calls are over; waiting for the last reports"),
        (view(62, 60, 60.5, 61, 61.5), "all outcomes are reported; checking that no number is called again"),
    ],
)
def test_the_status_shows_what_the_demo_waits_for(moment: View, status: str) -> None:
    assert line(moment).endswith(status)


def test_each_of_the_last_whole_seconds_is_a_column_of_half_height_at_the_planned_pace() -> None:
    assert columns(view(65.9, 61.0, 61.5, 63.2, 64.1, 64.2, 64.3, 64.9, 65.0)).endswith(" ▄ ▂█")
    assert len(columns(view(65))) == len(columns(view(0)))


def test_a_terminal_shows_all_figures_and_the_reported_outcomes() -> None:
    output = io.StringIO()
    console = Console(file=output, width=100, height=50, force_terminal=True, color_system=None, _environ={})
    moment = view(62, 60, 60.5, 61, reported=2)
    uncertain = Report(STARTED + 61, NUMBERS[3], "id 3", 1, True, Outcome("uncertain", "timeout", "unknown", "0"))
    with screen(console) as show:
        show(replace(moment, reports=[*moment.reports, uncertain, uncertain]))
    for shown in ("campaign 7", "3 of 4", "(2.0 planned)", "tel:+12223330001", "http_404", "timeout", "by 2:30"):
        assert shown in output.getvalue()
    assert "tel:+12223330002" not in output.getvalue(), "it isn't reported yet"


def test_a_terminal_shows_how_many_calls_are_in_each_state_and_wait_for_a_retry() -> None:
    output = io.StringIO()
    console = Console(file=output, width=100, height=50, force_terminal=True, color_system=None, _environ={})
    talking = replace(RINGS, id="id 9", outcome=PERSON)
    with screen(console) as show:
        show(retrying(62, [*CALLED_AGAIN[:-1], talking], [*IS_BUSY, *events_of(talking, "ringing", "answered")]))
    for shown in ("talking           1", "busy              1  ■■■■■■■■  1 wait for a retry", "called again", "0 of 1"):
        assert shown in output.getvalue()


def test_without_a_terminal_a_line_is_printed_every_five_seconds() -> None:
    output = io.StringIO()
    with screen(Console(file=output, width=40)) as show:
        for tenths in range(0, 120, 2):
            show(view(tenths / 10))
        show(view(62, 60, 60.5, 61, reported=2))
    *waiting, last = output.getvalue().splitlines()
    assert [row.split()[0] for row in waiting] == ["0:00", "0:05", "0:10"]
    assert last == "1:02  called 3 of 4, 1.0 a second (2.0 planned): 2 completed, 1 failed, 2 reported; calling"


def printed(summary: Summary) -> list[str]:
    console = Console(width=100, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(summary_text(summary, 2.0), soft_wrap=True)
    return capture.get().splitlines()


def test_the_summary_has_the_figures_and_every_fault() -> None:
    summary = replace(summarized(), longest_gap=0.523, fullest_second=3)
    figures = [
        "",
        "  numbers                4",
        "  calls                  4  0 of them retries",
        "  called twice           0  in one attempt",
        "  never called           0",
        "  reports                4",
        "  longest gap         0.52  seconds; 0.50 planned",
        "  fullest second         3  calls; 2.0 planned, twice that to catch up",
        "",
    ]
    right = "✓ Every number was called once, the busy and unanswered ones again, and every outcome reported."
    assert printed(summary) == ["", right, *figures]
    assert printed(replace(summary, faults=("One.", "Two."))) == ["", "✗ One.", "✗ Two.", *figures]


def test_the_demo_ends_three_seconds_after_the_last_of_all_calls_and_reports() -> None:
    done = (60, 60.5, 61, 61.5)
    assert not is_over(view(90, *done[:3]))
    assert not is_over(replace(view(90, *done), calls=calls_at(*done[:3])))
    assert not is_over(view(90, *done, reported=3))
    assert not is_over(view(64.6, *done))
    assert is_over(view(64.8, *done))
    assert not is_over(view(64.8, *done, 64, reported=4)), "a surplus call has come"
    assert not is_over(replace(view(64.8, *done), calls=CALLED_AGAIN[:-1], events=IS_BUSY)), (
        "a number waits for a retry"
    )


@pytest.mark.parametrize(("count", "per_minute", "seconds"), [(240, 180, 300), (10, 600, 290), (1000, 250, 460)])
def test_the_demo_has_time_for_a_tick_all_calls_or_another_tick_the_gap_and_the_tick_of_the_retries(
    count: int, per_minute: int, seconds: int
) -> None:
    assert time_limit(count, per_minute) == seconds


@pytest.mark.parametrize("value", ["0", "-1", "10001", "1.5", "many", "²"])
def test_an_option_out_of_range_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--numbers", "--per-minute"):
        with pytest.raises(SystemExit, match="2"):
            main([f"{option}={value}"])
        assert "a whole number from 1 to 10000" in capsys.readouterr().err
