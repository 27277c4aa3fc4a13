"""Numbers that their owner cancels: they aren't called, their slots go to others, and they are reported."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.api.progress import read_progress
from chalicelib.domain.call import Call, ReportState, State
from chalicelib.domain.cancellation import Candidate, may_be_sent
from chalicelib.domain.models import MOST_SENT_PAST_HEAD, Entry, Status
from chalicelib.domain.outcome import Answered
from chalicelib.domain.progress import status
from chalicelib.storage.cancellations import Cancellations
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.support.campaigns import MINUTE, campaign, destinations, numbers, prepare, prepare_running, start, stop
from tests.support.customer import Customer
from tests.support.databases import with_tables
from tests.support.examples import CAMPAIGN, recorded
from tests.support.interruptions import before_first_call
from tests.support.world import HandClock, World


@pytest.fixture
def world() -> World:
    return World(with_tables(SimulatedDynamoDB()), HandClock())


@pytest.fixture
def acme(world: World) -> Customer:
    return Customer(world.services, "acme")


def cancel(acme: Customer, *sequences: int) -> dict[str, Any]:
    ids = [CAMPAIGN.call(sequence).call_id for sequence in sequences]
    answer: dict[str, Any] = acme.post("/api/campaigns/cancel-calls", campaign_id=1, call_ids=ids).json["response"]
    return answer


def states(answer: dict[str, Any]) -> list[str]:
    return [row["state"] for row in answer["calls"]]


def call(world: World, sequence: int) -> Call:
    return recorded(world.services.calls, CAMPAIGN.call(sequence))


def progress(world: World) -> dict[str, int]:
    done, _ = read_progress(world.services, campaign(world))
    assert done.total == sum(vars(done).values()) - done.total
    return {name: count for name, count in vars(done).items() if count}


def shown_status(world: World) -> Status:
    _, anything_deferred = read_progress(world.services, campaign(world))
    return status(campaign(world), world.clock.now(), anything_deferred=anything_deferred)


def reported(world: World) -> list[tuple[str, str]]:
    return sorted((report.form["phone_number"], report.form["result"]) for report in world.tenant.reports)


def test_a_canceled_number_is_not_called_and_its_slot_goes_to_the_next_number(world: World, acme: Customer) -> None:
    entries = numbers(6)
    prepare_running(world, entries, amount=3)
    assert states(cancel(acme, 1, 2)) == ["canceled", "canceled"]
    assert progress(world) == {"total": 6, "queued": 4, "canceled": 2}
    world.run(minutes=1)
    assert world.tenant.called == destinations([entries[0], entries[3], entries[4]])
    world.run(minutes=3)
    assert world.tenant.called == destinations([entries[0], *entries[3:]])
    assert progress(world) == {"total": 6, "completed": 4, "canceled": 2}
    assert shown_status(world) is Status.COMPLETED


def test_a_canceled_number_is_reported_once_as_canceled(world: World, acme: Customer) -> None:
    prepare_running(world, numbers(2))
    cancel(acme, 1)
    world.run(minutes=3)
    assert reported(world) == [("tel:+12220000000", "completed"), ("tel:+12220000001", "canceled")]
    (report,) = [one.form for one in world.tenant.reports if one.form["result"] == "canceled"]
    assert (report["reason"], report["attempts"], report["duration"]) == ("on_request", "0", "0")
    assert (report["last_attempt_timestamp"], report["message_reference"]) == ("", "ref 1")


def test_a_campaign_without_result_url_reports_nothing(world: World, acme: Customer) -> None:
    prepare_running(world, numbers(2), result_url=None)
    cancel(acme, 0, 1)
    world.run(minutes=3)
    assert (reported(world), call(world, 0).report) == ([], ReportState.NONE)
    assert shown_status(world) is Status.COMPLETED


@pytest.mark.parametrize("is_started", [True, False])
def test_a_stopped_or_new_campaign_counts_and_reports_what_is_canceled(
    world: World, acme: Customer, is_started: bool
) -> None:
    prepare(world, numbers(4))
    if is_started:
        start(world)
        stop(world)
    cancel(acme, 0, 1, 3)
    world.run(minutes=2)
    assert progress(world) == {"total": 4, "queued": 1, "canceled": 3}
    assert [result for _, result in reported(world)] == ["canceled"] * 3
    assert (campaign(world).head, campaign(world).counts.canceled) == (2, 2)
    start(world)
    world.run(minutes=3)
    assert world.tenant.called == ["tel:+12220000002"]
    assert progress(world) == {"total": 4, "completed": 1, "canceled": 3}
    assert (campaign(world).canceled_lists, world.services.tasks.canceled(CAMPAIGN)) == (0, [])


def test_a_campaign_whose_last_numbers_are_canceled_completes_outside_its_hours(world: World, acme: Customer) -> None:
    prepare_running(world, numbers(3), amount=1)
    world.run(minutes=1)
    world.clock.turn_to(world.clock.now() + timedelta(hours=5))
    world.run(minutes=2)
    cancel(acme, 1, 2)
    world.run(minutes=3)
    assert shown_status(world) is Status.COMPLETED
    assert progress(world) == {"total": 3, "completed": 1, "canceled": 2}


def test_a_number_that_is_dispatched_and_not_claimed_is_canceled_in_time(world: World, acme: Customer) -> None:
    prepare_running(world, numbers(3))
    messages = world.dispatch()
    assert states(cancel(acme, 1)) == ["canceled"]
    assert progress(world) == {"total": 3, "dialling": 2, "canceled": 1}
    world.clock.turn_to(world.clock.now() + MINUTE)
    world.dial([message.body for message in messages])
    world.run(minutes=4)
    assert "tel:+12220000001" not in world.tenant.called
    assert progress(world) == {"total": 3, "completed": 2, "canceled": 1}


@pytest.mark.parametrize("is_skipped", [True, False])
def test_a_number_that_waits_for_its_retry_is_canceled(world: World, acme: Customer, is_skipped: bool) -> None:
    world.tenant.on_call = lambda _: Answered(500, {}, b"")
    prepare_running(world, numbers(2), max_retries=1)
    world.tick()
    world.drain(world.clock.now() + MINUTE)
    if is_skipped:
        world.settle()
    assert call(world, 0).skipped is is_skipped
    assert progress(world) == {"total": 2, "deferred": 2}
    assert states(cancel(acme, 0)) == ["canceled"]
    assert progress(world) == {"total": 2, "deferred": 1, "canceled": 1}
    assert len(list(world.services.tasks.waiting_dials(CAMPAIGN, spread=1))) == 1
    world.run(minutes=6)
    assert world.tenant.called == ["tel:+12220000000", "tel:+12220000001", "tel:+12220000001"]
    assert progress(world) == {"total": 2, "failed": 1, "canceled": 1}
    assert reported(world) == [("tel:+12220000000", "canceled"), ("tel:+12220000001", "failed")]
    (report,) = [one.form for one in world.tenant.reports if one.form["result"] == "canceled"]
    assert report["attempts"] == "1"
    assert shown_status(world) is Status.COMPLETED


def test_a_task_that_is_left_of_a_canceled_number_calls_nobody(
    world: World, acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tenant.on_call = lambda _: Answered(500, {}, b"")
    prepare_running(world, numbers(1), max_retries=1)
    world.run(minutes=1)
    monkeypatch.setattr(Cancellations, "delete_tasks", lambda *_: None)
    cancel(acme, 0)
    world.run(minutes=5)
    assert len(world.tenant.calls) == 1
    assert progress(world) == {"total": 1, "canceled": 1}
    assert shown_status(world) is Status.COMPLETED


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answered(200, {}, b""), "completed"),
        (Answered(500, {}, b""), "failed"),
        (Answered(202, {}, b""), "in_progress"),
    ],
)
def test_what_was_dialled_is_answered_as_too_late(world: World, acme: Customer, answer: Answered, state: str) -> None:
    world.tenant.on_call = lambda _: answer
    prepare_running(world, numbers(2), amount=1)
    world.run(minutes=1)
    found = cancel(acme, 0, 1)
    assert states(found) == [state, "canceled"]
    assert (found["canceled"], found["too_late"], found["left"], found["unknown"]) == (1, 1, 0, [])
    assert call(world, 0).state == state


def test_a_number_that_is_being_dialled_is_too_late(world: World, acme: Customer) -> None:
    found: list[dict[str, Any]] = []

    def cancel_during_the_call(_: dict[str, str]) -> Answered:
        found.append(cancel(acme, 0))
        return Answered(200, {}, b"")

    world.tenant.on_call = cancel_during_the_call
    prepare_running(world, numbers(1))
    world.run(minutes=1)
    assert states(found[0]) == ["dialling"]
    assert progress(world) == {"total": 1, "completed": 1}


def test_a_repeated_request_finds_its_numbers_canceled(world: World, acme: Customer) -> None:
    prepare_running(world, numbers(3))
    assert cancel(acme, 0, 1)["canceled"] == 2
    again = cancel(acme, 0, 1, 2)
    assert (again["canceled"], again["too_late"], states(again)) == (1, 0, ["canceled"] * 3)
    world.run(minutes=3)
    assert reported(world) == [(one.destination, "canceled") for one in numbers(3)]
    assert progress(world) == {"total": 3, "canceled": 3}


def claimed(world: World) -> None:
    world.services.calls.claim(CAMPAIGN.call(1), numbers(2)[1], 1, world.clock.now())


def lost(world: World) -> None:
    world.services.calls.defer_lost(CAMPAIGN.call(1), numbers(2)[1], spread=1)


@pytest.mark.parametrize(("meanwhile", "expected"), [(claimed, "dialling"), (lost, "canceled")])
def test_a_number_that_changes_meanwhile_is_looked_at_again(
    world: World, acme: Customer, meanwhile: Callable[[World], None], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_running(world, numbers(3))
    before_first_call(monkeypatch, Cancellations, "cancel", lambda: meanwhile(world))
    assert states(cancel(acme, 0, 1, 2)) == ["canceled", expected, "canceled"]


def test_numbers_are_canceled_all_or_none(world: World) -> None:
    prepare_running(world, numbers(2))
    claimed(world)
    candidates = [Candidate(CAMPAIGN.call(index), entry, None) for index, entry in enumerate(numbers(2))]
    assert not world.services.cancellations.cancel(campaign(world), candidates, world.clock.now())
    assert list(world.services.calls.between(CAMPAIGN, 0, 1)) == []
    assert campaign(world).canceled_lists == 0


def test_numbers_that_a_dead_pacer_sent_are_passed_and_canceled_ones_before_them_too(
    world: World, acme: Customer
) -> None:
    prepare_running(world, numbers(6))
    cancel(acme, 0, 4)
    key = CAMPAIGN.call(2)
    claim = world.services.calls.claim(key, numbers(6)[2], 1, world.clock.now())
    assert claim is not None
    stop(world)
    world.settle()
    assert campaign(world).head == 3
    assert progress(world) == {"total": 6, "queued": 2, "dialling": 2, "canceled": 2}


@pytest.mark.parametrize("canceled", [0, 5])
def test_a_dead_pacer_has_come_further_by_the_numbers_that_it_passed(
    world: World, acme: Customer, canceled: int
) -> None:
    prepare_running(world, numbers(MOST_SENT_PAST_HEAD + 10))
    if canceled:
        cancel(acme, *range(1, 1 + canceled))
    last = MOST_SENT_PAST_HEAD - 1 + canceled
    assert may_be_sent(campaign(world), range(1, 1 + canceled)) == range(last + 1)
    assert world.services.calls.claim(CAMPAIGN.call(last), numbers(1)[0], 1, world.clock.now()) is not None
    stop(world)
    world.settle()
    assert campaign(world).head == last + 1


def test_the_average_call_time_does_not_count_canceled_numbers(world: World, acme: Customer) -> None:
    prepare_running(world, numbers(3), amount=1)
    world.run(minutes=1)
    before = campaign(world).call_time
    cancel(acme, 1, 2)
    world.run(minutes=2)
    assert campaign(world).call_time == before


def test_a_list_of_calls_shows_what_is_canceled_and_finds_it(world: World, acme: Customer) -> None:
    prepare_running(world, numbers(3))
    cancel(acme, 2)
    rows = acme.get("/api/campaigns/1/calls").json
    assert [row["state"] for row in rows] == ["queued", "queued", "canceled"]
    found = acme.get("/api/campaigns/1/calls?state=canceled").json
    assert [(row["phone_number"], row["reason"], row["attempts"]) for row in found] == [
        ("tel:+12220000002", "on_request", 0)
    ]
    assert acme.get(f"/api/calls/{CAMPAIGN.call(2).call_id}").json["state"] == "canceled"
    assert acme.get("/api/campaigns/1/forecast").json["queued"] == 2
    assert acme.get("/api/campaigns/1").json["progress"]["canceled"] == 1


def test_a_canceled_number_is_not_called_however_long_the_campaign_goes_on(world: World, acme: Customer) -> None:
    """The head passes it later, and it has a record until then. A number without one would count as lost."""
    prepare(world, numbers(3))
    cancel(acme, 1)
    world.clock.turn_to(world.clock.now() + timedelta(days=2))
    start(world)
    world.run(minutes=12)
    assert world.tenant.called == ["tel:+12220000000", "tel:+12220000002"]
    assert call(world, 1).state is State.CANCELED


def entries_of(*written: tuple[str, str]) -> list[Entry]:
    return [Entry(f"tel:+1222000000{number}", reference) for number, reference in written]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"message_reference": "a"}, [0, 3]),
        ({"message_reference": " a "}, [0, 3]),
        ({"phone_numbers": ["2220000001"]}, [0, 1, 2]),
        ({"phone_numbers": ["2220000001, b"]}, [1, 2]),
        ({"phone_numbers": ["2220000001;ani=777"]}, [2]),
        ({"phone_numbers": "2220000001\n2220000002"}, [0, 1, 2, 3]),
        ({"phone_numbers": [{"phone_number": "2220000002", "message_reference": "a"}]}, [3]),
        ({"call_ids": [2**32 + 1, str(2**32 + 3)]}, [1, 3]),
        ({"call_ids": f"{2**32}, {2**32 + 2}"}, [0, 2]),
        ({"call_ids": 2**32 + 4}, [4]),
    ],
)
def test_numbers_are_named_by_id_number_or_reference(
    world: World, acme: Customer, fields: dict[str, Any], expected: list[int]
) -> None:
    prepare(world, entries_of(("1", "a"), ("1", "b"), ("1;ani=777", "b"), ("2", "a"), ("3", "")))
    found = acme.post("/api/campaigns/cancel-calls", campaign_id=1, **fields).json["response"]
    assert [row["call_id"] - 2**32 for row in found["calls"]] == expected
    assert found["canceled"] == len(expected)


def test_ids_of_other_campaigns_and_of_no_call_are_unknown(world: World, acme: Customer) -> None:
    prepare(world, numbers(2))
    ids = [2**32, 2**32 + 2, 2 * 2**32, 5]
    found = acme.post("/api/campaigns/cancel-calls", campaign_id=1, call_ids=ids).json["response"]
    assert (found["canceled"], found["unknown"]) == (1, [2 * 2**32, 5, 2**32 + 2])
    assert found["calls"][0]["call_id"] == 2**32


@pytest.mark.parametrize(
    ("fields", "faulty"),
    [
        ({}, "body"),
        ({"call_ids": [1], "message_reference": "a"}, "body"),
        ({"call_ids": []}, "call_ids"),
        ({"call_ids": ["x"]}, "call_ids.0"),
        ({"call_ids": [1, True]}, "call_ids.1"),
        ({"phone_numbers": ["12"]}, "phone_numbers.0"),
        ({"message_reference": ""}, "message_reference"),
        ({"message_reference": 5}, "message_reference"),
        ({"call_ids": [1], "reason": "x"}, "reason"),
    ],
)
def test_a_request_that_names_nothing_or_too_much_is_refused(
    world: World, acme: Customer, fields: dict[str, Any], faulty: str
) -> None:
    prepare(world, numbers(1))
    reply = acme.post("/api/campaigns/cancel-calls", campaign_id=1, **fields)
    assert (reply.status, faulty in reply.json) == (422, True), reply.text
    assert progress(world) == {"total": 1, "queued": 1}


def test_another_accounts_campaign_does_not_exist(world: World) -> None:
    prepare(world, numbers(1))
    globex = Customer(world.services, "globex", token="b" * 36)
    assert globex.post("/api/campaigns/cancel-calls", campaign_id=1, message_reference="ref 0").status == 404
    assert progress(world) == {"total": 1, "queued": 1}


def test_one_request_cancels_a_thousand_numbers_and_says_how_many_are_left(world: World, acme: Customer) -> None:
    prepare(world, [Entry(f"tel:+1222{index:07d}", "a") for index in range(1_100)])
    first = acme.post("/api/campaigns/cancel-calls", campaign_id=1, message_reference="a").json["response"]
    assert (first["canceled"], first["left"]) == (1_024, 76)
    second = acme.post("/api/campaigns/cancel-calls", campaign_id=1, message_reference="a").json["response"]
    assert (second["canceled"], second["left"], len(second["calls"])) == (76, 0, 1_100)
    world.run(minutes=1)
    assert progress(world) == {"total": 1_100, "canceled": 1_100}


def test_a_request_that_names_more_calls_than_it_looks_at_is_refused(world: World, acme: Customer) -> None:
    prepare(world, [Entry("tel:+12223334444", "a")] * 10_001)
    reply = acme.post("/api/campaigns/cancel-calls", campaign_id=1, message_reference="a")
    assert reply.status == 422
    assert reply.json["body"] == ["The request names more than 10000 calls. Name fewer at once, by call_ids."]
