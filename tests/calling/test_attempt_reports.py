"""A campaign with `attempt_reports` reports each attempt, and not only the last one of a number."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.models import Counts, RetryKind, RetryRule
from chalicelib.domain.outcome import Answered
from chalicelib.domain.retries import REPORT_ATTEMPTS
from chalicelib.runtime.metrics import Metric
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.support.campaigns import campaign, numbers, prepare_running, stop
from tests.support.customer import Customer
from tests.support.databases import with_tables
from tests.support.events import post_event
from tests.support.examples import CAMPAIGN
from tests.support.interruptions import after_first_call
from tests.support.world import HandClock, World

FAILED = Answered(500, {}, b"")
GONE = Answered(410, {}, b"")


@pytest.fixture
def world() -> World:
    """A world over the simulated database: these campaigns run for many minutes."""
    return World(with_tables(SimulatedDynamoDB()), HandClock())


@pytest.fixture
def failing(world: World) -> World:
    """Of each number all attempts but the third fail."""
    world.tenant.on_call = lambda form: Answered(200, {}, b"") if form["attempt"] == "3" else FAILED
    return world


def reported(world: World) -> list[tuple[str, str, str, str]]:
    names = ("attempts", "result", "reason", "final")
    first, second, third, fourth = names
    return [
        (form[first], form[second], form[third], form.get(fourth, ""))
        for form in (report.form for report in world.tenant.reports)
    ]


FIRST, SECOND = ("1", "failed", "http_500", "false"), ("2", "failed", "http_500", "false")
LAST = ("3", "completed", "http_200", "")


def test_each_attempt_is_reported(failing: World) -> None:
    prepare_running(failing, numbers(1), max_retries=2, attempt_reports=True)
    failing.run(minutes=10)
    assert reported(failing) == [FIRST, SECOND, LAST]
    assert campaign(failing).counts == Counts(completed=1)
    assert not failing.services.tasks.any(CAMPAIGN, spread=1)


def test_the_report_of_an_attempt_has_the_fields_of_the_last_one(failing: World) -> None:
    failing.tenant.on_call = lambda _: Answered(200, {}, b'{"result": "failed", "reason": "busy", "duration": 4}')
    prepare_running(failing, numbers(1), max_retries=1, attempt_reports=True)
    begun = int(failing.clock.now().timestamp())
    failing.run(minutes=6)
    first, last = (dict(report.form) for report in failing.tenant.reports)
    assert begun <= int(first.pop("last_attempt_timestamp")) < begun + 60 < int(last.pop("last_attempt_timestamp"))
    assert first == last | {"attempts": "1", "final": "false"}
    assert (first["result"], first["reason"], first["duration"]) == ("failed", "busy", "4")


@pytest.mark.parametrize(
    ("attempt_reports", "result_url", "expected"),
    [(False, "http://tenant.example/result", [LAST]), (True, None, [])],
)
def test_no_attempt_is_reported_unless_the_campaign_asks_for_it(
    failing: World, attempt_reports: bool, result_url: str | None, expected: list[tuple[str, str, str, str]]
) -> None:
    prepare_running(failing, numbers(1), max_retries=2, attempt_reports=attempt_reports, result_url=result_url)
    failing.run(minutes=10)
    assert reported(failing) == expected


def test_an_attempt_that_an_event_ends_is_reported(world: World) -> None:
    world.tenant.on_call = lambda _: Answered(202, {}, b"")
    rules = ((RetryKind.MACHINE, RetryRule(attempts=2, gap=60)),)
    prepare_running(world, numbers(1), max_retries=1, retries=rules, attempt_reports=True)
    world.run(minutes=2)
    url = world.tenant.calls[0].form["status_url"]
    assert (
        post_event(world.services, url, CallStatus="completed", AnsweredBy="machine_start", CallDuration="9").status
        == 200
    )
    world.run(minutes=3)
    (report,) = world.tenant.reports
    expected = {"result": "completed", "callee_type": "answeringmachine", "duration": "9", "attempts": "1"}
    assert report.form == report.form | expected | {"final": "false"}
    assert len(world.tenant.calls) == 2


def test_the_report_of_an_attempt_is_sent_again_with_the_same_ids_until_it_is_acknowledged(failing: World) -> None:
    answers = iter([FAILED, FAILED])
    failing.tenant.on_report = lambda form: next(answers, Answered(200, {}, b"")) if "final" in form else FAILED
    prepare_running(failing, numbers(1), max_retries=1, attempt_reports=True)
    failing.run(minutes=8)
    first = [report for report in failing.tenant.reports if "final" in report.form]
    assert len(first) == 3
    assert len({(one.headers["webhook-id"], one.headers["Idempotency-Key"], str(one.form)) for one in first}) == 1
    last = next(report for report in failing.tenant.reports if "final" not in report.form)
    assert last.headers["webhook-id"] != first[0].headers["webhook-id"]
    assert last.headers["Idempotency-Key"] != first[0].headers["Idempotency-Key"]


def test_the_report_of_an_attempt_is_given_up_after_as_many_tries_as_that_of_an_outcome(failing: World) -> None:
    failing.tenant.on_report = lambda form: FAILED if "final" in form else Answered(200, {}, b"")
    prepare_running(failing, numbers(1), max_retries=2, attempt_reports=True)
    failing.run(minutes=60 * 30)
    assert reported(failing).count(FIRST) == reported(failing).count(SECOND) == REPORT_ATTEMPTS
    assert reported(failing).count(LAST) == 1
    assert failing.metrics.counted[Metric.REPORTS_FAILED] == 2 * REPORT_ATTEMPTS
    assert not failing.services.tasks.any(CAMPAIGN, spread=1)


def test_a_result_url_that_is_gone_is_not_told_again(failing: World) -> None:
    failing.tenant.on_report = lambda _: GONE
    prepare_running(failing, numbers(1), max_retries=1, attempt_reports=True)
    failing.run(minutes=60)
    assert [attempts for attempts, *_ in reported(failing)] == ["1", "2"]


def lost_report(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """The dialer dies before it reports the first attempt. Answers the body of the message that has the report."""

    def die() -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        after_first_call(patch, type(world.services.calls), "defer_retry", die)
        prepare_running(world, numbers(1), max_retries=1, attempt_reports=True)
        with pytest.raises(SystemExit):
            world.run(minutes=1)
    world.clock.advance(119)
    assert world.dispatch() == []
    world.clock.advance(2)
    (message,) = (one for one in world.dispatch() if "reports" in one.body)
    assert json.loads(message.body)["version"] == 3
    return message.body


def test_a_report_is_sent_at_once(failing: World) -> None:
    prepare_running(failing, numbers(1), max_retries=1, attempt_reports=True)
    failing.tick()
    failing.drain(failing.clock.now() + timedelta(seconds=5))
    assert reported(failing) == [FIRST]
    assert list(failing.services.tasks.due_reports(CAMPAIGN, failing.clock.now() + timedelta(hours=1), spread=1)) == []


def test_a_report_that_is_sent_leaves_no_task_though_the_campaign_has_more_partitions_by_then() -> None:
    database = with_tables(SimulatedDynamoDB())
    world = World(database, HandClock())
    world.tenant.on_call = lambda _: FAILED
    prepare_running(world, numbers(2), max_retries=1, attempt_reports=True)
    world.tick()
    database.campaigns("acme", 1).update([database.campaigns.spread.set(4)])
    world.drain(world.clock.now() + timedelta(seconds=5))
    assert reported(world) == [FIRST, FIRST]
    assert list(world.services.tasks.due_reports(CAMPAIGN, world.clock.now() + timedelta(hours=1), spread=4)) == []


def test_a_report_whose_dialer_died_is_sent_by_another(failing: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert failing.dial([lost_report(failing, monkeypatch)]) == []
    assert reported(failing) == [FIRST]


def test_a_report_whose_message_is_lost_is_sent_again(failing: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lost_report(failing, monkeypatch)  # and nobody gets the message
    failing.run(minutes=20)
    assert FIRST in reported(failing)
    assert not failing.services.tasks.any(CAMPAIGN, spread=1)


def test_a_report_that_is_delivered_twice_is_deferred_once(failing: World, monkeypatch: pytest.MonkeyPatch) -> None:
    failing.tenant.on_report = lambda _: FAILED
    body = lost_report(failing, monkeypatch)
    assert failing.dial([body, body]) == []
    failing.clock.advance(30)
    assert len(list(failing.services.tasks.due_reports(CAMPAIGN, failing.clock.now(), spread=1))) == 1


def test_a_report_that_there_is_no_time_for_waits_for_the_next_tick(
    failing: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = lost_report(failing, monkeypatch)
    assert failing.dial([body], time_left=timedelta(seconds=1)) == []
    assert reported(failing) == []
    (again,) = (one for one in failing.dispatch() if "reports" in one.body)
    assert failing.dial([again.body]) == []
    assert reported(failing) == [FIRST]


def test_a_report_that_the_dialer_has_no_time_for_is_sent_by_another(failing: World) -> None:
    def answer_late(_: object) -> Answered:
        failing.clock.advance(25)
        return FAILED

    failing.tenant.on_call = answer_late
    prepare_running(failing, numbers(1), max_retries=1, attempt_reports=True)
    (message,) = failing.dispatch()
    failing.clock.turn_to(message.visible_at)
    assert failing.dial([message.body], time_left=timedelta(seconds=38)) == []
    assert (len(failing.tenant.calls), failing.tenant.reports) == (1, [])
    failing.run(minutes=4)
    assert FIRST in reported(failing)


def test_the_report_of_an_outcome_has_other_ids_than_that_of_the_last_attempt(failing: World) -> None:
    """A canceled number's outcome has the number of the attempt before it was canceled."""
    prepare_running(failing, numbers(1), max_retries=1, attempt_reports=True)
    failing.run(minutes=1)
    customer = Customer(failing.services)
    call_id = int(failing.tenant.calls[0].form["call_id"])
    canceled = customer.post("/api/campaigns/cancel-calls", campaign_id=1, call_ids=[call_id])
    assert canceled.json["response"]["canceled"] == 1
    failing.run(minutes=3)
    first, last = failing.tenant.reports
    assert (first.form["final"], last.form["result"]) == ("false", "canceled")
    assert first.form["attempts"] == last.form["attempts"]
    assert first.headers["webhook-id"] != last.headers["webhook-id"]
    assert first.headers["Idempotency-Key"] != last.headers["Idempotency-Key"]


def test_a_stopped_campaign_reports_its_attempts(failing: World) -> None:
    prepare_running(failing, numbers(1), max_retries=1, attempt_reports=True)
    failing.run(minutes=1)
    stop(failing)
    failing.run(minutes=10)
    assert reported(failing) == [FIRST]


def test_no_attempt_is_reported_once_the_campaign_has_no_result_url(
    failing: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = lost_report(failing, monkeypatch)
    failing.services.campaigns.change(CAMPAIGN, lambda plan: replace(plan, result_url=None), failing.clock.now())
    failing.clock.advance(2)
    assert failing.dial([body]) == []
    assert reported(failing) == []
