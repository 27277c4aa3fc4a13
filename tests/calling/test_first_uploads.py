"""Numbers that are uploaded with `first=true`: they are called before all others, in their order."""

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.calling import mending, settler
from chalicelib.domain.call import State
from chalicelib.domain.campaign import MOST_TO_FRONT
from chalicelib.domain.models import Entry, Status
from chalicelib.domain.outcome import Answered
from chalicelib.errors import Busy
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.cancellations import Cancellations
from chalicelib.storage.moved import MOVED_AT_ONCE, MovedNumbers
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
from tests.support.interruptions import before_first_call
from tests.support.world import EIGHT, HandClock, World

#: more than one transaction moves
MANY = MOVED_AT_ONCE + 10


@pytest.fixture
def world() -> World:
    return World(with_tables(SimulatedDynamoDB()), HandClock())


@pytest.fixture
def acme(world: World) -> Customer:
    return Customer(world.services, "acme")


def add_first(acme: Customer, entries: list[Entry], **fields: Any) -> Any:
    answer = acme.post(
        "/api/campaigns/add-calls",
        campaign_id=1,
        phone_numbers=[entry.line for entry in entries],
        first=True,
        **fields,
    )
    assert answer.status == 200, answer.json
    return answer


def add_unmoved(acme: Customer, entries: list[Entry]) -> None:
    """The request has no time to move any of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MovedNumbers, "move", lambda *_: None)
        add_first(acme, entries)


def states(acme: Customer) -> list[str]:
    return [row["state"] for row in acme.get("/api/campaigns/1/calls").json]


def test_first_numbers_are_called_before_all_others_in_their_order(world: World, acme: Customer) -> None:
    entries, urgent, more_urgent = numbers(4), numbers(3, first=4), numbers(1, first=7)
    prepare_running(world, entries, amount=2)
    world.run(minutes=1)
    add_first(acme, urgent)
    add_first(acme, more_urgent)
    world.run(minutes=5)
    assert world.tenant.called == destinations([*entries[:2], *urgent, *more_urgent, *entries[2:]])
    assert progress(world) == {"total": 8, "completed": 8}
    assert shown_status(world) is Status.COMPLETED
    assert (campaign(world).withdrawn_lists, world.services.tasks.withdrawn(CAMPAIGN)) == (0, [])


def test_their_outcomes_are_counted_reported_and_shown_before_their_turn_in_the_queue(
    world: World, acme: Customer
) -> None:
    prepare_running(world, numbers(6), amount=2)
    add_first(acme, numbers(2, first=6))
    assert states(acme) == ["queued"] * 6 + ["deferred"] * 2
    assert progress(world) == {"total": 8, "queued": 6, "deferred": 2}
    world.run(minutes=1)
    assert states(acme) == ["queued"] * 6 + ["completed"] * 2
    assert progress(world) == {"total": 8, "queued": 6, "completed": 2}
    world.settle()
    assert campaign(world).counts.completed == 2
    assert progress(world) == {"total": 8, "queued": 6, "completed": 2}
    assert [report.form["call_id"] for report in world.tenant.reports] == [
        str(CAMPAIGN.call(sequence).call_id) for sequence in (6, 7)
    ]
    assert acme.get(f"/api/calls/{CAMPAIGN.call(7).call_id}").json["state"] == "completed"
    assert len(acme.get("/api/campaigns/1/calls?state=completed").json) == 2
    assert acme.get("/api/campaigns/1/forecast").json["queued"] == 6


@pytest.mark.parametrize("is_started", [True, False])
def test_a_stopped_or_new_campaign_calls_them_first_after_its_start(
    world: World, acme: Customer, is_started: bool
) -> None:
    entries, urgent = numbers(2), numbers(2, first=2)
    prepare(world, entries)
    if is_started:
        start(world)
        stop(world)
    add_first(acme, urgent)
    world.run(minutes=2)
    assert world.tenant.called == []
    start(world)
    world.run(minutes=2)
    assert world.tenant.called == destinations([*urgent, *entries])


def test_the_first_numbers_of_an_empty_campaign_are_called_in_order(world: World, acme: Customer) -> None:
    prepare_running(world, [])
    add_first(acme, numbers(3))
    world.run(minutes=3)
    assert world.tenant.called == destinations(numbers(3))
    assert shown_status(world) is Status.COMPLETED


def test_what_a_request_has_not_moved_is_moved_by_the_settler_before_the_log_goes_on(
    world: World, acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, urgent = numbers(3), numbers(MANY, first=3)
    prepare_running(world, entries, amount=MANY)

    def die() -> None:
        raise ConnectionError

    before_first_call(monkeypatch, MovedNumbers, "_move_some", die)
    add_first(acme, urgent)
    assert campaign(world).to_front == (range(3, 3 + MANY),)
    world.tick()
    assert (campaign(world).head, world.sqs.messages) == (0, [])
    assert progress(world) == {"total": 3 + MANY, "queued": 3 + MANY}
    world.run(minutes=3)
    assert world.tenant.called == destinations([*urgent, *entries])
    assert progress(world) == {"total": 3 + MANY, "completed": 3 + MANY}


def test_the_settler_moves_only_for_some_time(world: World, acme: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_running(world, [])
    add_unmoved(acme, numbers(2 * MANY))
    monkeypatch.setattr(settler, "MOVING_TIME", timedelta(0))
    world.settle()
    assert campaign(world).to_front == (range(2 * MANY),)


def test_a_campaign_with_numbers_to_be_moved_does_not_sleep(
    world: World, acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_running(world, numbers(2))
    world.clock.turn_to(EIGHT + timedelta(hours=4))
    monkeypatch.setattr(settler, "MOVING_TIME", timedelta(0))
    add_unmoved(acme, numbers(1, first=2))
    world.settle()
    assert campaign(world).wakes_at <= world.clock.now()


def test_a_number_that_is_canceled_before_it_is_moved_is_not_moved(world: World, acme: Customer) -> None:
    prepare_running(world, numbers(2))
    add_unmoved(acme, numbers(3, first=2))
    acme.post("/api/campaigns/cancel-calls", campaign_id=1, call_ids=[CAMPAIGN.call(3).call_id])
    assert progress(world) == {"total": 5, "queued": 4, "canceled": 1}
    world.run(minutes=4)
    assert sorted(world.tenant.called) == destinations([*numbers(3), *numbers(1, first=4)])
    assert progress(world) == {"total": 5, "completed": 4, "canceled": 1}
    assert shown_status(world) is Status.COMPLETED


def test_a_number_that_is_canceled_while_it_is_moved_is_not_called(
    world: World, acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_running(world, numbers(1))

    def cancel() -> None:
        acme.post("/api/campaigns/cancel-calls", campaign_id=1, call_ids=[CAMPAIGN.call(1).call_id])

    before_first_call(monkeypatch, MovedNumbers, "_move", cancel)
    add_first(acme, numbers(2, first=1))
    world.run(minutes=3)
    assert sorted(world.tenant.called) == ["tel:+12220000000", "tel:+12220000002"]
    assert progress(world) == {"total": 3, "completed": 2, "canceled": 1}


def test_a_number_that_was_moved_is_moved_back_to_nowhere_when_it_is_canceled(world: World, acme: Customer) -> None:
    prepare_running(world, numbers(4), amount=1)
    add_first(acme, numbers(2, first=4))
    answer = acme.post("/api/campaigns/cancel-calls", campaign_id=1, call_ids=[CAMPAIGN.call(4).call_id])
    assert answer.json["response"]["calls"][0]["state"] == "canceled"
    assert progress(world) == {"total": 6, "queued": 4, "deferred": 1, "canceled": 1}
    world.run(minutes=2)
    assert progress(world) == {"total": 6, "queued": 3, "completed": 2, "canceled": 1}
    world.run(minutes=5)
    assert (len(world.tenant.calls), progress(world)) == (5, {"total": 6, "completed": 5, "canceled": 1})
    assert shown_status(world) is Status.COMPLETED


def test_what_was_called_first_is_too_late_to_cancel_even_if_its_record_is_gone(world: World, acme: Customer) -> None:
    prepare_running(world, numbers(2), amount=1)
    add_first(acme, numbers(1, first=2))
    world.run(minutes=1)
    world.settle()
    world.services.database.calls(f"{CAMPAIGN}/2").delete()
    assert states(acme) == ["queued", "queued", "expired"]
    answer = acme.post("/api/campaigns/cancel-calls", campaign_id=1, call_ids=[CAMPAIGN.call(2).call_id])
    assert answer.json["response"]["canceled"] == 0
    assert answer.json["response"]["calls"][0]["state"] == "expired"
    world.run(minutes=15)
    assert (len(world.tenant.calls), progress(world)) == (3, {"total": 3, "completed": 3})
    assert shown_status(world) is Status.COMPLETED


def test_a_first_number_that_fails_is_tried_again_as_any_other(world: World, acme: Customer) -> None:
    world.tenant.on_call = lambda form: Answered(500 if form["attempt"] == "1" else 200, {}, b"")
    prepare_running(world, numbers(3), amount=1, max_retries=1)
    add_first(acme, numbers(1, first=3))
    world.run(minutes=1)
    assert (call(world, 3).state, progress(world)) == (State.DEFERRED, {"total": 4, "queued": 3, "deferred": 1})
    world.run(minutes=14)
    assert progress(world) == {"total": 4, "completed": 4}


def test_a_first_call_that_lasts_is_in_progress_and_counted_when_it_ends(world: World, acme: Customer) -> None:
    world.tenant.on_call = lambda _: Answered(202, {}, b"")
    prepare_running(world, numbers(5), amount=1, call_timeout=120)
    add_first(acme, numbers(1, first=5))
    world.run(minutes=1)
    assert progress(world) == {"total": 6, "queued": 5, "in_progress": 1}
    world.run(minutes=1)
    acme.post(f"/api/calls/{CAMPAIGN.call(5).call_id}/events", attempt=1, status="completed")
    assert progress(world)["completed"] == 1
    world.run(minutes=2)
    assert (campaign(world).head < 5, campaign(world).counts.completed) == (True, 1)


def test_a_first_call_without_an_end_is_uncertain_and_corrected_later(world: World, acme: Customer) -> None:
    world.tenant.on_call = lambda _: Answered(202, {}, b"")
    prepare_running(world, numbers(5), amount=1, period=10, call_timeout=60)
    add_first(acme, numbers(1, first=5))
    world.run(minutes=15)
    assert progress(world) == {"total": 6, "queued": 5, "uncertain": 1}
    acme.post(f"/api/calls/{CAMPAIGN.call(5).call_id}/events", attempt=1, status="completed")
    assert progress(world)["completed"] == 1
    world.settle()
    assert (campaign(world).counts.completed, campaign(world).counts.uncertain) == (1, 0)
    assert campaign(world).head < 5


def test_a_first_number_is_not_called_before_its_time(world: World, acme: Customer) -> None:
    entries, urgent = numbers(5), numbers(1, first=5)
    prepare_running(world, entries, amount=1)
    add_first(acme, urgent, not_before=int((EIGHT + 2 * MINUTE).timestamp()))
    world.run(minutes=7)
    assert world.tenant.called == destinations([*entries[:3], *urgent, *entries[3:]])
    assert world.tenant.calls[3].at >= EIGHT + 2 * MINUTE


def test_a_limited_campaign_calls_them_first_too(world: World, acme: Customer) -> None:
    entries, urgent = numbers(3), numbers(2, first=3)
    prepare_running(world, entries, amount=2, max_concurrent_calls=1)
    add_first(acme, urgent)
    world.run(minutes=4)
    assert world.tenant.called == destinations([*urgent, *entries])


def test_uploads_that_follow_each_other_are_one_range_and_there_are_only_so_many(world: World, acme: Customer) -> None:
    prepare_running(world, [])
    add_unmoved(acme, numbers(2))
    add_unmoved(acme, numbers(1, first=2))
    assert campaign(world).to_front == (range(3),)
    for _ in range(MOST_TO_FRONT - 1):
        acme.post("/api/campaigns/add-calls", campaign_id=1, phone_numbers=["2225550100"])
        add_unmoved(acme, numbers(1))
    acme.post("/api/campaigns/add-calls", campaign_id=1, phone_numbers=["2225550100"])
    refused = acme.post("/api/campaigns/add-calls", campaign_id=1, phone_numbers=["2225550100"], first=True)
    assert refused.status == 429
    tail = campaign(world).tail
    world.run(minutes=6)
    assert (len(world.tenant.calls), campaign(world).tail) == (tail, tail)


def test_an_upload_does_not_undo_what_is_moved_meanwhile(
    world: World, acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_running(world, numbers(1))
    add_unmoved(acme, numbers(2, first=1))
    before_first_call(monkeypatch, Campaigns, "_append", lambda: world.services.moved.move(CAMPAIGN, lambda: True))
    world.services.campaigns.append(CAMPAIGN, numbers(1, first=3), None, world.clock.now(), first=True)
    assert campaign(world).to_front == (range(3, 4),)


def test_the_numbers_of_a_deleted_campaign_are_not_moved(world: World, acme: Customer) -> None:
    prepare_running(world, numbers(1))
    add_unmoved(acme, numbers(1, first=1))
    acme.delete("/api/campaigns/1")
    world.run(minutes=2)
    assert world.services.calls.get(CAMPAIGN.call(1)) is None
    assert (campaign(world).to_front, campaign(world).has_work) == ((), False)


def test_a_stopped_queue_stays_queued_if_numbers_are_moved_while_the_settler_looks_at_it(
    world: World, acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_running(world, numbers(20))
    stop(world)
    add_unmoved(acme, numbers(2, first=20))
    before_first_call(monkeypatch, mending, "may_be_sent", lambda: world.services.moved.move(CAMPAIGN, lambda: True))
    world.settle()
    assert campaign(world).head == 0
    assert progress(world) == {"total": 22, "queued": 20, "deferred": 2}


def test_a_failure_to_move_holds_up_no_settling(world: World, acme: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_running(world, numbers(3))
    world.tick()
    world.drain(world.clock.now() + MINUTE)

    def busy(*_: object) -> None:
        raise Busy("throttled")

    monkeypatch.setattr(MovedNumbers, "move", busy)
    add_first(acme, numbers(1, first=3))
    with pytest.raises(ExceptionGroup):
        world.settle()
    assert campaign(world).settled == 3


def test_an_upload_of_too_many_first_numbers_is_refused(acme: Customer, world: World) -> None:
    prepare_running(world, [])
    many = [f"222{index:07}" for index in range(10_001)]
    refused = acme.post("/api/campaigns/add-calls", campaign_id=1, phone_numbers=many, first=True)
    assert (refused.status, campaign(world).tail) == (422, 0)
    assert refused.json == {"first": ["The first field is for up to 10,000 numbers. The upload has more."]}


def test_a_repeated_request_moves_nothing_again(world: World, acme: Customer) -> None:
    prepare_running(world, numbers(1))
    for _ in range(2):
        add_first(acme, numbers(1, first=1), unique="campaign")
    world.run(minutes=2)
    assert world.tenant.called == ["tel:+12220000001", "tel:+12220000000"]


def test_progress_adds_up_at_every_moment(world: World, acme: Customer) -> None:
    """Also between the steps of the settler, and while first numbers are called, retried and canceled."""
    world.tenant.on_call = lambda form: Answered(500 if form["attempt"] == "1" else 200, {}, b"")
    prepare_running(world, numbers(10), amount=3, max_retries=1)
    for minute in range(12):
        if minute < 4:
            add_first(acme, numbers(2, first=10 + 2 * minute))
        if minute == 2:
            acme.post("/api/campaigns/cancel-calls", campaign_id=1, call_ids=[CAMPAIGN.call(15).call_id])
        world.tick()
        progress(world)
        world.drain(world.clock.now() + MINUTE)
        progress(world)
        world.clock.turn_to(EIGHT + (minute + 1) * MINUTE)
        world.settle()
        progress(world)
    assert progress(world)["total"] == 18


def test_a_cancel_waits_for_no_move(world: World, acme: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A move between the read and the write of a cancel makes it read again."""
    prepare_running(world, numbers(1))
    add_unmoved(acme, numbers(1, first=1))
    before_first_call(monkeypatch, Cancellations, "cancel", lambda: world.services.moved.move(CAMPAIGN, lambda: True))
    answer = acme.post("/api/campaigns/cancel-calls", campaign_id=1, call_ids=[CAMPAIGN.call(1).call_id])
    assert answer.json["response"]["canceled"] == 1
    assert progress(world) == {"total": 2, "queued": 1, "canceled": 1}
    world.run(minutes=3)
    assert progress(world) == {"total": 2, "completed": 1, "canceled": 1}
