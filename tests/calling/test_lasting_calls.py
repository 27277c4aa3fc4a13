"""Calls that last: start_url answers 202, and events bring the outcome."""

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.api import calls as calls_api
from chalicelib.api.dispatch import HttpRequest, answer
from chalicelib.api.progress import read_progress
from chalicelib.domain.call import RecordedEvent, ReportState, State
from chalicelib.domain.models import Counts, RetryKind, RetryRule
from chalicelib.domain.outcome import Answered, Outcome, Result
from chalicelib.domain.providers import EventStatus
from chalicelib.domain.settling import BATCH_SIZE
from chalicelib.runtime.metrics import Metric
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.support.campaigns import MINUTE, campaign, numbers, prepare, prepare_running, stop
from tests.support.databases import with_tables
from tests.support.events import post_event
from tests.support.examples import CAMPAIGN, CountingClient, recorded
from tests.support.interruptions import after_first_call, before_first_call
from tests.support.world import EIGHT, HandClock, World

ACCEPTED = Answered(202, {}, b"")
SECOND = timedelta(seconds=1)


@pytest.fixture
def world() -> World:
    """A world over the simulated database: these campaigns run for many minutes."""
    return World(with_tables(SimulatedDynamoDB()), HandClock())


@pytest.fixture
def lasting(world: World) -> World:
    world.tenant.on_call = lambda _: ACCEPTED
    return world


def post(world: World, index: int = -1, **fields: str) -> int:
    """Post an event of the tenant's call with this index. Answers the status."""
    return post_event(world.services, world.tenant.calls[index].form["status_url"], **fields).status


def progress(world: World) -> dict[str, int]:
    done, _ = read_progress(world.services, campaign(world))
    return {name: count for name, count in vars(done).items() if count}


def reported(world: World) -> list[tuple[str, str, str]]:
    return [
        (report.form["result"], report.form["reason"], report.form.get("revision", ""))
        for report in world.tenant.reports
    ]


def test_a_call_is_in_progress_until_its_final_event(lasting: World) -> None:
    prepare_running(lasting, numbers(1))
    lasting.run(minutes=2)
    assert progress(lasting) == {"total": 1, "in_progress": 1}
    assert lasting.tenant.reports == []
    assert post(lasting, CallStatus="ringing") == 200
    assert post(lasting, CallStatus="completed", CallDuration="31", AnsweredBy="human") == 200
    assert progress(lasting) == {"total": 1, "completed": 1}
    lasting.run(minutes=3)
    assert campaign(lasting).counts == Counts(completed=1)
    (report,) = lasting.tenant.reports
    assert {name: report.form[name] for name in ("result", "reason", "callee_type", "duration", "attempts")} == {
        "result": "completed",
        "reason": "completed",
        "callee_type": "voice",
        "duration": "31",
        "attempts": "1",
    }
    assert len(lasting.tenant.calls) == 1


def test_reports_of_calls_that_end_together_are_sent_together_and_once(lasting: World) -> None:
    prepare_running(lasting, numbers(5))
    lasting.run(minutes=1)
    for index in range(5):
        post(lasting, index, status="completed")
    lasting.run(minutes=10)
    assert reported(lasting) == [("completed", "completed", "")] * 5
    assert {recorded(lasting.services.calls, CAMPAIGN.call(place)).report for place in range(5)} == {
        ReportState.PENDING  # their acknowledgements were recorded together
    }
    assert progress(lasting) == {"total": 5, "completed": 5}
    assert not campaign(lasting).has_work


def test_long_calls_do_not_hold_up_the_count_of_others(world: World) -> None:
    first = numbers(3)[0].destination
    world.tenant.on_call = lambda form: ACCEPTED if form["phone_number"] == first else Answered(200, {}, b"")
    prepare_running(world, numbers(3))
    world.run(minutes=2)
    assert (campaign(world).settled, campaign(world).counts) == (3, Counts(completed=2))
    assert progress(world) == {"total": 3, "completed": 2, "in_progress": 1}
    post(world, 0, status="busy")
    assert progress(world) == {"total": 3, "completed": 2, "failed": 1}
    world.run(minutes=3)  # reported first, then counted
    assert campaign(world).counts == Counts(completed=2, failed=1)


def test_an_event_that_comes_before_start_urls_answer_wins(world: World) -> None:
    def answer_late(form: dict[str, str]) -> Answered:
        assert post_event(world.services, form["status_url"], status="busy").status == 200
        return Answered(200, {}, b"")

    world.tenant.on_call = answer_late
    prepare_running(world, numbers(1))
    world.run(minutes=3)
    assert campaign(world).counts == Counts(failed=1)
    assert reported(world) == [("failed", "busy", "")]


def test_a_busy_number_is_called_again_and_then_reported_once(lasting: World) -> None:
    prepare_running(lasting, numbers(1), max_retries=1)
    lasting.run(minutes=1)
    post(lasting, status="busy")
    assert progress(lasting) == {"total": 1, "deferred": 1}
    lasting.run(minutes=5)
    assert [call.form["attempt"] for call in lasting.tenant.calls] == ["1", "2"]
    assert progress(lasting) == {"total": 1, "in_progress": 1}
    assert post(lasting, 0, status="completed") == 200  # an event of the first attempt
    post(lasting, 1, status="no-answer")
    lasting.run(minutes=3)
    assert campaign(lasting).counts == Counts(failed=1)
    assert reported(lasting) == [("failed", "no_answer", "")]
    assert lasting.tenant.reports[0].form["attempts"] == "2"


def test_busy_and_no_answer_share_one_budget_and_have_gaps_of_their_own(lasting: World) -> None:
    rules = (
        (RetryKind.BUSY, RetryRule(attempts=3, gap=120)),
        (RetryKind.NO_ANSWER, RetryRule(attempts=2, gap=600)),
    )
    prepare_running(lasting, numbers(1), max_retries=2, retries=rules)
    lasting.run(minutes=1)
    post(lasting, status="no-answer")
    lasting.run(minutes=9)
    assert len(lasting.tenant.calls) == 1
    lasting.run(minutes=3)
    post(lasting, status="busy")
    lasting.run(minutes=4)
    assert [call.form["attempt"] for call in lasting.tenant.calls] == ["1", "2", "3"]
    post(lasting, status="no-answer")
    lasting.run(minutes=15)
    assert len(lasting.tenant.calls) == 3
    assert reported(lasting) == [("failed", "no_answer", "")]


def test_a_machine_is_called_again_by_its_rule_though_detection_came_before_the_end(lasting: World) -> None:
    prepare_running(lasting, numbers(1), max_retries=1, retries=((RetryKind.MACHINE, RetryRule(attempts=2, gap=120)),))
    lasting.run(minutes=1)
    post(lasting, CallStatus="in-progress")
    assert post(lasting, AnsweredBy="machine_start") == 200
    post(lasting, CallStatus="completed")
    assert progress(lasting) == {"total": 1, "deferred": 1}
    lasting.run(minutes=4)
    assert [call.form["attempt"] for call in lasting.tenant.calls] == ["1", "2"]
    post(lasting, 0, AnsweredBy="machine_start")  # late, of the first attempt
    post(lasting, 1, CallStatus="completed")
    lasting.run(minutes=2)
    (report,) = lasting.tenant.reports
    assert (report.form["result"], report.form["callee_type"], report.form["attempts"]) == ("completed", "unknown", "2")


def test_what_detection_found_is_reported_of_a_call_that_times_out_and_of_its_correction(lasting: World) -> None:
    prepare_running(lasting, numbers(1), call_timeout=60)
    lasting.run(minutes=1)
    post(lasting, AnsweredBy="fax")
    lasting.run(minutes=9)
    post(lasting, AnsweredBy="machine_end_beep")
    post(lasting, CallStatus="completed")
    lasting.run(minutes=3)
    assert reported(lasting) == [("uncertain", "no_outcome", ""), ("completed", "completed", "1")]
    assert [report.form["callee_type"] for report in lasting.tenant.reports] == ["fax", "answeringmachine"]


def test_who_declines_is_not_called_again(lasting: World) -> None:
    prepare_running(lasting, numbers(1), max_retries=5)
    lasting.run(minutes=1)
    post(lasting, status="rejected")
    lasting.run(minutes=6)
    assert len(lasting.tenant.calls) == 1
    assert reported(lasting) == [("failed", "rejected", "")]


def test_a_call_without_a_final_event_becomes_uncertain_and_is_not_dialled_again(lasting: World) -> None:
    prepare_running(lasting, numbers(1), max_retries=3, call_timeout=300)
    lasting.run(minutes=4)
    assert progress(lasting) == {"total": 1, "in_progress": 1}
    lasting.run(minutes=5)
    assert reported(lasting) == [("uncertain", "no_outcome", "")]
    assert campaign(lasting).counts == Counts(uncertain=1)
    assert len(lasting.tenant.calls) == 1


def test_a_late_final_event_corrects_an_uncertain_call_and_is_reported_with_the_same_ids(lasting: World) -> None:
    prepare_running(lasting, numbers(1), call_timeout=60)
    lasting.run(minutes=10)
    assert campaign(lasting).counts == Counts(uncertain=1)
    assert not campaign(lasting).has_work
    assert post(lasting, status="completed", duration="600") == 200
    assert progress(lasting) == {"total": 1, "completed": 1}
    lasting.run(minutes=3)
    assert campaign(lasting).counts == Counts(completed=1)
    assert reported(lasting) == [("uncertain", "no_outcome", ""), ("completed", "completed", "1")]
    assert len({report.headers["webhook-id"] for report in lasting.tenant.reports}) == 1
    assert post(lasting, status="busy") == 200
    assert recorded(lasting.services.calls, CAMPAIGN.call(0)).state is State.COMPLETED
    assert not campaign(lasting).has_work


def test_a_correction_before_the_uncertain_call_is_counted_counts_once(lasting: World) -> None:
    prepare_running(lasting, numbers(2), call_timeout=60)
    lasting.run(minutes=1)
    lasting.clock.turn_to(EIGHT + 3 * MINUTE)
    lasting.settle()  # both become uncertain, and are still open
    post(lasting, 0, status="completed")
    assert progress(lasting) == {"total": 2, "completed": 1, "uncertain": 1}
    lasting.run(minutes=3)
    assert campaign(lasting).counts == Counts(completed=1, uncertain=1)
    assert campaign(lasting).corrections_due == 0


def test_a_report_whose_message_is_lost_is_sent_later(lasting: World) -> None:
    prepare_running(lasting, numbers(1))
    lasting.run(minutes=2)
    post(lasting, status="completed")
    lasting.settle()
    (lost,) = lasting.sqs.take(lasting.clock.now())
    lasting.run(minutes=10)
    assert reported(lasting) == [("completed", "completed", "")]
    lasting.dial([lost.body])
    assert len(lasting.tenant.reports) == 1


def test_a_stopped_campaigns_calls_in_progress_go_on(lasting: World) -> None:
    prepare_running(lasting, numbers(1))
    lasting.run(minutes=1)
    stop(lasting)
    lasting.run(minutes=2)
    post(lasting, status="completed")
    lasting.run(minutes=2)
    assert reported(lasting) == [("completed", "completed", "")]


def test_a_retry_that_ends_before_start_urls_answer_is_reported_with_the_next_tick(world: World) -> None:
    def answer_the_second(form: dict[str, str]) -> Answered:
        if form["attempt"] == "1":
            return Answered(486, {}, b"")
        assert post_event(world.services, form["status_url"], status="completed").status == 200
        return ACCEPTED

    world.tenant.on_call = answer_the_second
    prepare_running(world, numbers(1), max_retries=1)
    world.run(minutes=4)
    assert len(world.tenant.calls) == 2
    world.run(minutes=1)
    assert reported(world) == [("completed", "completed", "")]
    assert campaign(world).counts == Counts(completed=1)
    assert world.metrics.counted[Metric.COMPLETED] == 1


def test_outcomes_that_events_bring_are_in_the_metrics_once(world: World) -> None:
    last = numbers(4)[3].destination
    world.tenant.on_call = lambda form: Answered(200, {}, b"") if form["phone_number"] == last else ACCEPTED
    prepare_running(world, numbers(4), call_timeout=60)
    world.run(minutes=1)
    post(world, 0, status="completed")
    post(world, 1, status="busy")
    world.run(minutes=8)
    assert {
        metric: world.metrics.counted[metric] for metric in (Metric.COMPLETED, Metric.FAILED, Metric.UNCERTAIN)
    } == {
        Metric.COMPLETED: 2,
        Metric.FAILED: 1,
        Metric.UNCERTAIN: 1,
    }


def test_a_retry_that_lasts_times_out_too(world: World) -> None:
    answers = iter([Answered(486, {}, b""), ACCEPTED])
    world.tenant.on_call = lambda _: next(answers)
    prepare_running(world, numbers(1), max_retries=1, call_timeout=60)
    world.run(minutes=4)
    assert len(world.tenant.calls) == 2
    assert progress(world) == {"total": 1, "in_progress": 1}
    world.run(minutes=6)
    assert campaign(world).counts == Counts(uncertain=1)
    assert reported(world) == [("uncertain", "no_outcome", "")]


def shown(world: World, call_id: str) -> dict[str, Any]:
    request = HttpRequest("GET", "/api/calls/{id}", {"authorization": "Bearer token"}, {}, b"", call_id)
    found: dict[str, Any] = json.loads(answer(lambda: world.services, request, calls_api.show).body)
    return found


def test_a_call_is_shown_with_its_events(lasting: World) -> None:
    lasting.services.tokens.create("acme", "token", EIGHT)
    prepare_running(lasting, numbers(1))
    lasting.run(minutes=1)
    for status in ("initiated", "ringing", "ringing", "in-progress", "completed"):
        post(lasting, CallStatus=status)
    call = shown(lasting, lasting.tenant.calls[0].form["call_id"])
    assert [event["status"] for event in call["events"]] == ["initiated", "ringing", "in_progress", "completed"]
    assert (call["state"], call["reason"], call["revision"]) == ("completed", "completed", 0)


def test_two_hundred_retried_calls_in_progress_share_a_list() -> None:
    client = CountingClient(SimulatedDynamoDB(page_size=1000))
    world = World(with_tables(client), HandClock())
    world.tenant.on_call = lambda form: ACCEPTED if form["attempt"] == "2" else Answered(486, {}, b"")
    prepare_running(world, numbers(200), amount=200, max_retries=1)
    world.run(minutes=3)
    world.tick()
    world.drain(world.clock.now() + MINUTE)
    assert len(world.services.tasks.open_calls(CAMPAIGN)) == 200
    for _ in range(2):
        client.requests = 0
        world.settler.settle(world.clock.now() + MINUTE, [CAMPAIGN])
        assert client.requests < 25
    assert [len(one.sequences) for one in world.services.tasks.open_calls(CAMPAIGN)] == [200]
    client.requests = 0
    assert progress(world) == {"total": 200, "in_progress": 200}
    assert client.requests <= 10
    for index in range(200, 400):
        post(world, index, status="completed")
    world.run(minutes=3)
    assert campaign(world).counts == Counts(completed=200)
    assert len(world.tenant.reports) == 200


def test_two_settlers_at_once_merge_lists_and_count_each_call_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tenant.on_call = lambda form: ACCEPTED if form["attempt"] == "2" else Answered(486, {}, b"")
    prepare_running(world, numbers(8), max_retries=1, result_url=None)
    world.run(minutes=3)
    world.tick()
    world.drain(world.clock.now() + MINUTE)
    for index in (8, 11):
        post(world, index, status="completed")
    before_first_call(monkeypatch, world.services.tasks, "replace_open", world.settle)
    world.settle()
    assert campaign(world).counts == Counts(completed=2)
    assert [len(one.sequences) for one in world.services.tasks.open_calls(CAMPAIGN)] == [6]
    assert progress(world) == {"total": 8, "in_progress": 6, "completed": 2}


def test_an_event_whose_write_comes_after_the_tick_is_reported_with_the_next_one(lasting: World) -> None:
    prepare_running(lasting, numbers(2))
    lasting.run(minutes=2)
    post(lasting, 0, status="completed")
    lasting.clock.turn_to(EIGHT + 3 * MINUTE)
    came = RecordedEvent(lasting.clock.now() - 2 * SECOND, 1, EventStatus.COMPLETED)
    lasting.settle()
    call = recorded(lasting.services.calls, CAMPAIGN.call(1))
    outcome = Outcome(Result.COMPLETED, "completed")
    lasting.services.call_events.end(call, came, outcome, ReportState.PENDING, spread=1)
    lasting.run(minutes=2)
    assert sorted(report.form["call_id"] for report in lasting.tenant.reports) == [
        call.form["call_id"] for call in lasting.tenant.calls
    ]


def test_a_report_is_dispatched_though_more_numbers_are_under_way_than_a_sweep_reads(lasting: World) -> None:
    count = BATCH_SIZE + 20
    lasting.progress.advance_head(prepare(lasting, numbers(count)), head=count)
    calls = lasting.services.calls
    claims = {place: calls.claim(CAMPAIGN.call(place), numbers(1)[0], 1, EIGHT) for place in (3, count - 1)}
    lasting.clock.turn_to(EIGHT + MINUTE)
    ended = RecordedEvent(EIGHT + MINUTE, 1, EventStatus.BUSY)
    for place, claim in claims.items():
        assert claim is not None
        assert calls.begin_progress(claim, EIGHT)
        call, outcome = recorded(calls, CAMPAIGN.call(place)), Outcome(Result.FAILED, "busy")
        lasting.services.call_events.end(call, ended, outcome, ReportState.PENDING, spread=1)
    lasting.settle()
    assert [one["sequence"] for one in lasting.dispatched] == [3]  # before the numbers without a record
    for place in range(count):
        claim = calls.claim(CAMPAIGN.call(place), numbers(1)[0], 1, EIGHT)
        if claim is not None:
            assert calls.finish(claim, Outcome(Result.COMPLETED, "http_200"), EIGHT, ReportState.NONE) is not None
    lasting.clock.turn_to(EIGHT + 2 * MINUTE)
    lasting.settle()
    assert [one["sequence"] for one in lasting.dispatched] == [3, count - 1]
    lasting.settle()
    assert [one["sequence"] for one in lasting.dispatched] == [3, count - 1]


def test_two_settlers_at_once_dispatch_a_report_once(lasting: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_running(lasting, numbers(3))
    lasting.run(minutes=2)
    post(lasting, 1, status="completed")
    before_first_call(monkeypatch, lasting.services.progress, "count", lasting.settle)
    before_first_call(monkeypatch, lasting.services.progress, "settle", lasting.settle)
    lasting.settle()
    assert [one["sequence"] for one in lasting.dispatched] == [1]


def test_a_number_that_a_dialer_has_listed_before_the_sweep_reached_it_is_reported_once(world: World) -> None:
    prepare_running(world, numbers(2))
    calls, entry = world.services.calls, numbers(2)[1]
    world.progress.advance_head(campaign(world), head=2)
    assert calls.defer_lost(CAMPAIGN.call(1), entry, spread=1)
    claim = calls.claim(CAMPAIGN.call(1), entry, 1, EIGHT)
    assert claim is not None
    assert calls.begin_progress(claim, EIGHT)
    ended = RecordedEvent(EIGHT, 1, EventStatus.BUSY)
    call, outcome = recorded(calls, CAMPAIGN.call(1)), Outcome(Result.FAILED, "busy")
    world.services.call_events.end(call, ended, outcome, ReportState.PENDING, spread=1)
    world.settle()
    assert [one["sequence"] for one in world.dispatched] == [1]


def test_a_report_that_waits_is_not_dispatched_again(world: World) -> None:
    """Neither while a number before it is under way, nor when the sweep has passed that number."""
    first = numbers(2)[0].destination
    world.tenant.on_call = lambda form: ACCEPTED if form["phone_number"] != first else Answered(200, {}, b"")
    prepare_running(world, numbers(2), amount=10)
    _, second = world.dispatch()
    world.clock.turn_to(second.visible_at)
    world.dial([second.body])
    post(world, status="completed")
    for _ in range(3):
        world.settle()
        assert [one["sequence"] for one in world.dispatched] == [1]
    claim = world.services.calls.claim(CAMPAIGN.call(0), numbers(1)[0], 1, world.clock.now())
    assert claim is not None
    outcome = Outcome(Result.COMPLETED, "http_200")
    assert world.services.calls.finish(claim, outcome, world.clock.now(), ReportState.NONE) is not None
    for _ in range(3):
        world.settle()
        assert campaign(world).settled == 2
        assert [one["sequence"] for one in world.dispatched] == [1]


def test_reports_that_a_tick_has_no_time_for_are_dispatched_by_the_next_one(
    lasting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_running(lasting, numbers(2), amount=1)
    lasting.run(minutes=1)
    lasting.tick()
    lasting.drain(lasting.clock.now() + MINUTE)  # the second call isn't listed yet
    for index in range(2):
        post(lasting, index, status="completed")
    with monkeypatch.context() as patch:
        later = lasting.clock.now() + MINUTE
        after_first_call(patch, lasting.services.tasks, "open_calls", lambda: lasting.clock.turn_to(later))
        lasting.settler.settle(later, [CAMPAIGN])
    assert lasting.dispatched == []
    with monkeypatch.context() as patch:
        later = lasting.clock.now() + 5 * SECOND
        after_first_call(patch, lasting.services.calls, "among", lambda: lasting.clock.turn_to(later))
        lasting.settler.settle(later, [CAMPAIGN])
    assert [one["sequence"] for one in lasting.dispatched] == [0]
    lasting.settle()
    assert [one["sequence"] for one in lasting.dispatched] == [0, 1]


def test_a_report_that_a_crash_kept_from_the_queue_is_sent_later_and_once(
    lasting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(**_: object) -> None:
        raise RuntimeError("killed")

    prepare_running(lasting, numbers(1))
    lasting.run(minutes=2)
    post(lasting, status="completed")
    with monkeypatch.context() as patch:
        patch.setattr(lasting.sqs, "send_message_batch", die)
        with pytest.raises(ExceptionGroup):
            lasting.settle()
    lasting.run(minutes=3)
    assert lasting.tenant.reports == []
    lasting.run(minutes=4)
    assert reported(lasting) == [("completed", "completed", "")]


def test_a_report_that_is_owed_soon_is_not_dispatched_before(lasting: World) -> None:
    """It would be scheduled again while its message is under way."""
    prepare_running(lasting, numbers(1))
    lasting.run(minutes=2)
    post(lasting, status="completed")
    lasting.clock.turn_to(lasting.clock.now() + 3 * MINUTE)
    lasting.settle()
    assert lasting.dispatched == []
    lasting.run(minutes=3)
    assert reported(lasting) == [("completed", "completed", "")]


class WriteUnits:
    """A client that counts the writes of calls and of tasks as DynamoDB bills them: in a transaction, each as two."""

    def __init__(self) -> None:
        self._client = SimulatedDynamoDB(page_size=1000)
        self.count = 0

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        if operation_name in ("UpdateItem", "PutItem", "DeleteItem"):
            self._add(api_params["TableName"], 1)
        for table, writes in api_params.get("RequestItems", {}).items():
            self._add(table, len(writes) if operation_name == "BatchWriteItem" else 0)
        for step in api_params.get("TransactItems", ()):
            ((_, write),) = step.items()
            self._add(write["TableName"], 2)
        return self._client._make_api_call(operation_name, api_params)

    def _add(self, table: str, units: int) -> None:
        if table.endswith(("-calls", "-tasks")):
            self.count += units


def units_a_call(last_answer: Answered, retries: int) -> float:
    """The write units of a call whose last attempt has this answer."""
    client, calls = WriteUnits(), 50
    world = World(with_tables(client), HandClock())
    world.tenant.on_call = lambda form: last_answer if int(form["attempt"]) > retries else Answered(486, {}, b"")
    prepare_running(world, numbers(calls), max_retries=retries, result_url=None)
    client.count = 0
    world.run(minutes=2 + 3 * retries)
    for index in range(calls * retries, calls * (retries + 1)):
        post(world, index, status="completed")
    world.run(minutes=5)
    assert campaign(world).counts == Counts(completed=calls)
    return client.count / calls


@pytest.mark.parametrize("retries", [0, 1])
def test_a_call_that_lasts_costs_one_write_more(retries: int) -> None:
    more = units_a_call(ACCEPTED, retries) - units_a_call(Answered(200, {}, b""), retries)
    assert 1 <= more < 1.3
