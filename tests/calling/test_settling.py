"""What a crash leaves behind, and what becomes of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.api.progress import read_progress
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Counts, Entry
from chalicelib.domain.outcome import Answered
from chalicelib.domain.tasks import DialTask
from chalicelib.storage.database import Database
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.support.campaigns import MINUTE, campaign, destinations, numbers, prepare, start, stop
from tests.support.databases import create_tables
from tests.support.tasks import waiting
from tests.support.world import EIGHT, HandClock, World


def progress(world: World) -> dict[str, int]:
    """As the API tells it, without what is nought."""
    done, _ = read_progress(world.services, campaign(world))
    return {name: count for name, count in vars(done).items() if count}


def test_a_lost_message_costs_a_delay_not_a_number(world: World) -> None:
    prepare(world, numbers(9))
    start(world)
    world.tick()
    lost = world.sqs.messages.pop(1)
    world.run(minutes=15)
    assert sorted(world.tenant.called) == destinations(numbers(9))
    assert campaign(world).counts == Counts(completed=9)
    world.dial([lost.body])
    assert len(world.tenant.calls) == 9


def test_a_claim_without_an_outcome_becomes_uncertain_and_is_reported(world: World) -> None:
    prepare(world, numbers(3))
    start(world)
    world.services.calls.claim(CallKey("acme", 1, 1), numbers(3)[1], 1, EIGHT)
    world.run(minutes=15)
    assert len(world.tenant.calls) == 2
    assert campaign(world).counts == Counts(completed=2, uncertain=1)
    results = {report.form["phone_number"]: report.form["result"] for report in world.tenant.reports}
    assert results[numbers(3)[1].destination] == "uncertain"
    assert len(world.tenant.reports) == 3


def test_a_report_that_was_never_sent_is_sent_by_and_by(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(world, numbers(1))

    async def crash(*_: object) -> None:
        raise RuntimeError("the lights went out")

    start(world)
    world.tick()
    with monkeypatch.context() as patch:
        patch.setattr(world.dialer._reporter, "report", crash)
        (message,) = world.sqs.take(EIGHT + MINUTE)
        assert world.dial([message.body]) == ["0"]
    world.run(minutes=10)
    assert len(world.tenant.calls) == len(world.tenant.reports) == 1
    assert campaign(world).counts == Counts(completed=1)


def test_a_number_that_waits_for_days_does_not_hold_up_the_counting(world: World) -> None:
    prepare(world, numbers(4), max_retries=1)
    busy = numbers(4)[0].destination
    world.tenant.on_call = lambda form: Answered(486 if form["phone_number"] == busy else 200, {}, b"")
    start(world)
    world.run(minutes=1)
    assert campaign(world).settled == 4
    assert progress(world) == {"total": 4, "completed": 3, "deferred": 1}
    world.run(minutes=5)
    assert progress(world) == {"total": 4, "completed": 3, "failed": 1}
    assert campaign(world).counts == Counts(completed=3, failed=1)


def test_a_retry_that_crashes_becomes_uncertain(world: World) -> None:
    prepare(world, numbers(1), max_retries=3)
    world.tenant.on_call = lambda _: Answered(486, {}, b"")
    start(world)
    world.run(minutes=1)
    world.clock.turn_to(world.clock.now() + timedelta(minutes=3))
    world.tick()
    (message,) = world.sqs.take(world.clock.now() + MINUTE)
    world.services.calls.claim(CallKey("acme", 1, 0), Entry(numbers(1)[0].destination), 2, world.clock.now())
    assert world.dial([message.body]) == []  # a duplicate, while the other is at it
    assert progress(world) == {"total": 1, "dialling": 1}
    world.run(minutes=25)
    assert campaign(world).counts == Counts(uncertain=1)
    assert [report.form["result"] for report in world.tenant.reports] == ["uncertain"]


def test_progress_adds_up_at_every_step_of_a_stopped_and_started_campaign(world: World) -> None:
    prepare(world, numbers(40), max_retries=1)
    world.tenant.on_call = lambda form: Answered(200 if int(form["call_id"]) % 3 else 486, {}, b"")
    start(world)
    for minute in range(8):
        world.tick()
        for message in world.sqs.take(world.clock.now() + MINUTE):
            world.clock.turn_to(message.visible_at)
            world.dial([message.body])
            done = progress(world)
            assert done.pop("total") == sum(done.values()) == 40
            if minute == 0 and len(world.tenant.calls) == 20:
                stop(world)
        world.settle()
        world.clock.turn_to(EIGHT + (minute + 1) * MINUTE)
        start(world)
    assert progress(world) == {"total": 40, "completed": 27, "failed": 13}
    assert campaign(world).counts == Counts(completed=27, failed=13)


def test_a_number_that_was_deferred_twice_is_told_once(world: World) -> None:
    prepare(world, numbers(2))
    key, entry = CallKey("acme", 1, 0), numbers(1)[0]
    start(world)
    claim = world.services.calls.claim(key, entry, 1, EIGHT)
    assert claim is not None
    world.services.calls.give_up(claim, "late")
    (scheduled,) = world.services.tasks.due_dials(CampaignKey("acme", 1), EIGHT, spread=1)
    assert isinstance(scheduled.task, DialTask)
    transaction = world.services.database.transaction()
    world.services.tasks.add(transaction, replace(scheduled.task, not_before=EIGHT + timedelta(hours=1)), spread=1)
    transaction.commit()
    world.run(minutes=3)
    assert waiting(world.services.tasks, CampaignKey("acme", 1), spread=1) == [0]
    assert progress(world) == {"total": 2, "completed": 2}


class CountedDynamoDB(SimulatedDynamoDB):
    requests = 0

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        self.requests += 1
        return super()._make_api_call(operation_name, api_params)


def test_how_far_a_campaign_is_takes_ten_requests_however_many_numbers_wait() -> None:
    client = CountedDynamoDB()
    database = Database("counted", client)
    create_tables(database)
    world = World(database, HandClock())
    waits = prepare(world, numbers(200))
    world.progress.advance_head(waits, head=200)
    for sequence, entry in enumerate(numbers(200)):
        world.services.calls.defer_lost(CallKey("acme", 1, sequence), entry, spread=1)
    world.settle()
    before = campaign(world)
    client.requests = 0
    done, anything_deferred = read_progress(world.services, before)
    assert (done.deferred, done.total, anything_deferred) == (200, 200, True)
    assert client.requests <= 10


def test_how_far_a_campaign_is_takes_no_request_when_all_of_it_is_settled() -> None:
    client = CountedDynamoDB()
    database = Database("counted", client)
    create_tables(database)
    world = World(database, HandClock())
    created = prepare(world, numbers(3))
    world.services.campaigns.start(CampaignKey("acme", 1), None, world.clock.now())
    world.run(minutes=5)
    settled = campaign(world)
    assert not settled.has_work
    for one, completed in ((created, 0), (settled, 3)):
        client.requests = 0
        done, anything_deferred = read_progress(world.services, one)
        assert (done.total, done.completed, anything_deferred) == (3, completed, False)
        assert client.requests == 0


def test_two_settlers_at_once_count_each_number_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(world, numbers(10))
    start(world)
    world.tick()
    world.drain(EIGHT + MINUTE)
    settle = world.progress.settle
    settler = world.settler

    def meanwhile(before, after):  # type: ignore[no-untyped-def] # settle's own signature
        monkeypatch.undo()
        settler.settle(EIGHT + 10 * MINUTE, [CampaignKey("acme", 1)])
        return settle(before, after)

    monkeypatch.setattr(world.services.progress, "settle", meanwhile)
    settler.settle(EIGHT + 10 * MINUTE, [CampaignKey("acme", 1)])
    assert campaign(world).counts == Counts(completed=10)
