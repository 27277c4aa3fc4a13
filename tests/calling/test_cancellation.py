"""Numbers that their owner cancels: they aren't called, their slots go to others, and they are reported."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.call import ReportState, State
from chalicelib.domain.cancellation import Candidate, may_be_sent
from chalicelib.domain.models import MOST_SENT, Entry, Status
from chalicelib.domain.outcome import Answered
from chalicelib.storage.cancellations import Cancellations
from chalicelib.storage.tasks import TaskStore
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.support.campaigns import (
    MINUTE,
    call,
    campaign,
    destinations,
    numbers,
    prepare,
    prepare_running,
    progress,
    shown_status,
    start,
    stop,
)
from tests.support.customer import Customer
from tests.support.databases import with_tables
from tests.support.examples import CAMPAIGN
from tests.support.interruptions import after_first_call, before_first_call
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


def reported(world: World) -> list[tuple[str, str]]:
    return sorted((report.form["phone_number"], report.form["result"]) for report in world.tenant.reports)


def test_a_canceled_number_is_not_called_and_its_slot_goes_to_the_next_number(world: World, acme: Customer) -> None:
    entries = numbers(6)
    prepare_running(world, entries, amount=3)
    assert states(cancel(acme, 1, 2)) == ["canceled", "canceled"]
    assert progress(world) == {"total": 6, "queued": 4, "canceled": 2}
    world.run(minutes=1)
    assert world.tenant.called == destinations([entries[0], entries[3], entries[4]])
    assert campaign(world).head == 5
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
    assert (campaign(world).withdrawn_lists, world.services.tasks.withdrawn(CAMPAIGN)) == (0, [])


def test_a_campaign_whose_last_numbers_are_canceled_completes_outside_its_hours(world: World, acme: Customer) -> None:
    prepare_running(world, numbers(3), amount=1, result_url=None)
    world.run(minutes=1)
    world.clock.turn_to(world.clock.now() + timedelta(hours=5))
    world.run(minutes=2)
    cancel(acme, 1, 2)
    world.settle()  # before the pacer, which passes the numbers
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
    with monkeypatch.context() as dying:
        dying.setattr(TaskStore, "delete_dials", lambda *_, **__: None)
        cancel(acme, 0)
    world.run(minutes=5)
    assert len(world.tenant.calls) == 1
    assert progress(world) == {"total": 1, "canceled": 1}
    assert shown_status(world) is Status.COMPLETED


@pytest.mark.parametrize("by_request", [True, False])
def test_a_task_that_is_left_does_not_keep_a_stopped_campaign_from_its_end(
    world: World, acme: Customer, monkeypatch: pytest.MonkeyPatch, by_request: bool
) -> None:
    """A repeated request deletes it, and so does the settler when it has passed the number."""
    world.tenant.on_call = lambda _: Answered(500, {}, b"")
    prepare_running(world, numbers(1), max_retries=1)
    world.run(minutes=1)
    stop(world)
    with monkeypatch.context() as dying:
        dying.setattr(TaskStore, "delete_dials", lambda *_, **__: None)
        cancel(acme, 0)
    if by_request:
        assert states(cancel(acme, 0)) == ["canceled"]
        assert list(world.services.tasks.waiting_dials(CAMPAIGN, spread=1)) == []
    world.run(minutes=3)
    assert list(world.services.tasks.waiting_dials(CAMPAIGN, spread=1)) == []
    assert shown_status(world) is Status.COMPLETED


def forget(world: World, *sequences: int) -> None:
    """The records expire."""
    for sequence in sequences:
        world.services.database.calls(f"{CAMPAIGN}/{sequence}").delete()


def test_a_number_that_was_called_long_ago_is_not_canceled(world: World, acme: Customer) -> None:
    prepare_running(world, numbers(3), amount=1)
    world.run(minutes=2)
    forget(world, 0)
    found = cancel(acme, 0, 1, 2)
    assert states(found) == ["expired", "completed", "canceled"]
    assert (found["canceled"], found["too_late"]) == (1, 2)


def test_a_canceled_number_whose_record_has_expired_is_still_not_called(world: World, acme: Customer) -> None:
    prepare(world, numbers(3))
    cancel(acme, 1)
    world.run(minutes=1)
    forget(world, 1)
    start(world)
    world.run(minutes=15)
    assert world.tenant.called == ["tel:+12220000000", "tel:+12220000002"]
    assert progress(world) == {"total": 3, "completed": 2, "canceled": 1}
    assert [result for _, result in reported(world)].count("canceled") == 1


def test_canceling_drops_no_slots_of_a_campaign_that_is_awake(world: World, acme: Customer) -> None:
    prepare_running(world, numbers(60))
    world.clock.turn_to(world.clock.now() + timedelta(seconds=45))
    cancel(acme, 59)
    world.clock.turn_to(world.clock.now() + timedelta(seconds=5))
    world.tick()
    assert len([one for one in world.dispatched if "entry" in one]) == 59


def test_the_number_of_lists_is_corrected_after_a_restore(world: World, acme: Customer) -> None:
    """The tables aren't restored to one instant, so the lists may be older than the campaign."""
    prepare_running(world, numbers(2))
    cancel(acme, 1)
    (listed,) = world.services.tasks.withdrawn(CAMPAIGN)
    world.services.database.tasks(str(CAMPAIGN), listed.name).delete()
    world.run(minutes=4)
    assert campaign(world).withdrawn_lists == 0
    assert shown_status(world) is Status.COMPLETED


def test_a_campaign_with_lines_passes_what_is_canceled(world: World, acme: Customer) -> None:
    entries = numbers(6)
    prepare_running(world, entries, max_concurrent_calls=1)
    cancel(acme, 0, 1, 3, 5)
    world.run(minutes=3)
    assert world.tenant.called == destinations([entries[2], entries[4]])
    world.run(minutes=2)
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
    assert (found["canceled"], found["too_late"], found["next"], found["unknown"]) == (1, 1, None, [])
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
    assert campaign(world).withdrawn_lists == 0


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
    prepare_running(world, numbers(MOST_SENT + 10))
    if canceled:
        cancel(acme, *range(1, 1 + canceled))
    last = MOST_SENT - 1 + canceled
    expected = [0, *range(1 + canceled, last + 1)]
    assert may_be_sent(campaign(world), range(1, 1 + canceled)) == expected
    assert world.services.calls.claim(CAMPAIGN.call(last), numbers(1)[0], 1, world.clock.now()) is not None
    stop(world)
    world.settle()
    assert campaign(world).head == last + 1


def test_progress_is_read_again_if_an_outcome_is_counted_meanwhile(
    world: World, acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tenant.on_call = lambda _: Answered(500, {}, b"")
    prepare_running(world, numbers(1), max_retries=1)
    world.run(minutes=1)
    cancel(acme, 0)
    after_first_call(monkeypatch, TaskStore, "leased_sequences", world.settle)
    assert progress(world) == {"total": 1, "canceled": 1}
    assert campaign(world).counts.canceled == 1


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
        ({"message_reference": None}, "message_reference"),
        ({"call_ids": [1], "after": "x"}, "after"),
        ({"call_ids": [1], "after": 1}, "after"),
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


def test_a_request_cancels_500_calls_and_tells_where_the_next_one_goes_on(world: World, acme: Customer) -> None:
    prepare(world, [Entry(f"tel:+1222{index:07d}", "a" if index % 2 else "b") for index in range(1_100)])
    after, found = 0, []
    while after is not None:
        reply = acme.post("/api/campaigns/cancel-calls", campaign_id=1, message_reference="a", after=after)
        answer = reply.json["response"]
        found.append(answer["canceled"])
        after = answer["next"]
    assert found == [500, 50]
    world.run(minutes=1)
    assert progress(world) == {"total": 1_100, "queued": 550, "canceled": 550}


def test_a_request_looks_at_a_part_of_a_long_queue(world: World, acme: Customer) -> None:
    prepare(world, [*[Entry("tel:+12223334444", "a")] * 10_000, Entry("tel:+12223334444", "b")])
    first = acme.post("/api/campaigns/cancel-calls", campaign_id=1, message_reference="b").json["response"]
    assert (first["canceled"], first["next"]) == (0, 2**32 + 9_999)
    second = acme.post("/api/campaigns/cancel-calls", campaign_id=1, message_reference="b", after=first["next"])
    assert (second.json["response"]["canceled"], second.json["response"]["next"]) == (1, None)


def test_a_repeated_key_gets_the_first_answer_and_cancels_nothing_more(world: World, acme: Customer) -> None:
    prepare(world, [Entry("tel:+12223334444", "a")])
    asked: dict[str, Any] = {"campaign_id": 1, "message_reference": "a"}
    first = acme.post("/api/campaigns/cancel-calls", key="k", **asked)
    world.services.campaigns.append(CAMPAIGN, [Entry("tel:+14443332222", "a")], None, world.clock.now())
    again = acme.post("/api/campaigns/cancel-calls", key="k", **asked)
    assert (again.text, again.headers["idempotency-replayed"]) == (first.text, "true")
    assert progress(world) == {"total": 2, "queued": 1, "canceled": 1}
    other = acme.post("/api/campaigns/cancel-calls", key="k", campaign_id=1, message_reference="b")
    assert other.status == 409


def test_ids_far_apart_are_found(world: World, acme: Customer) -> None:
    prepare(world, [Entry("tel:+12223334444", "a")] * 5_000)
    assert states(cancel(acme, 4_999, 0, 2, 2_500)) == ["canceled"] * 4
