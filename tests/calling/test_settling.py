"""The settler counts outcomes, and finds the calls and reports that a crash left unfinished."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.api.progress import read_progress
from chalicelib.domain.call import ReportState
from chalicelib.domain.models import Counts, Entry
from chalicelib.domain.outcome import Answered, Outcome, Result
from chalicelib.domain.tasks import DialTask
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.support.campaigns import MINUTE, campaign, destinations, numbers, prepare, prepare_running, start, stop
from tests.support.databases import with_tables
from tests.support.examples import CAMPAIGN, CountingClient
from tests.support.interruptions import before_first_call
from tests.support.tasks import waiting
from tests.support.world import EIGHT, HandClock, World


def progress(world: World) -> dict[str, int]:
    """The campaign's progress as the API shows it, without zeros."""
    done, _ = read_progress(world.services, campaign(world))
    return {name: count for name, count in vars(done).items() if count}


def test_a_lost_message_delays_its_numbers_and_loses_none(world: World) -> None:
    prepare_running(world, numbers(9))
    world.tick()
    lost = world.sqs.messages.pop(1)
    world.run(minutes=15)
    assert sorted(world.tenant.called) == destinations(numbers(9))
    assert campaign(world).counts == Counts(completed=9)
    world.dial([lost.body])
    assert len(world.tenant.calls) == 9


def test_a_claim_without_an_outcome_becomes_uncertain_and_is_reported(world: World) -> None:
    prepare_running(world, numbers(3))
    world.services.calls.claim(CAMPAIGN.call(1), numbers(3)[1], 1, EIGHT)
    world.run(minutes=15)
    assert len(world.tenant.calls) == 2
    assert campaign(world).counts == Counts(completed=2, uncertain=1)
    results = {report.form["phone_number"]: report.form["result"] for report in world.tenant.reports}
    assert results[numbers(3)[1].destination] == "uncertain"
    assert len(world.tenant.reports) == 3


def test_a_report_that_a_crash_prevented_is_sent_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(*_: object) -> None:
        raise RuntimeError("crashed")

    prepare_running(world, numbers(1))
    (message,) = world.dispatch()
    with monkeypatch.context() as patch:
        patch.setattr(world.tenant, "report", crash)
        assert world.dial([message.body]) == ["0"]
    world.run(minutes=10)
    assert len(world.tenant.calls) == len(world.tenant.reports) == 1
    assert campaign(world).counts == Counts(completed=1)


def test_numbers_after_a_deferred_number_are_counted_before_its_outcome(world: World) -> None:
    busy = numbers(4)[0].destination
    world.tenant.on_call = lambda form: Answered(486 if form["phone_number"] == busy else 200, {}, b"")
    prepare_running(world, numbers(4), max_retries=1)
    world.run(minutes=1)
    assert campaign(world).settled == 4
    assert progress(world) == {"total": 4, "completed": 3, "deferred": 1}
    world.run(minutes=5)
    assert progress(world) == {"total": 4, "completed": 3, "failed": 1}
    assert campaign(world).counts == Counts(completed=3, failed=1)


def test_an_outcome_from_the_head_on_is_counted_when_the_head_has_passed_it(world: World) -> None:
    """A pacer dies between sending and moving the head. Meanwhile a number that it sent is returned, and called."""
    prepare_running(world, numbers(3))
    calls, (_, returned, _) = world.services.calls, numbers(3)
    assert calls.defer_lost(CAMPAIGN.call(1), returned, spread=1)
    claim = calls.claim(CAMPAIGN.call(1), returned, 1, EIGHT)
    assert claim is not None
    assert calls.finish(claim, Outcome(Result.COMPLETED, "http_200"), EIGHT, ReportState.NONE) is not None
    world.settle()
    assert progress(world) == {"total": 3, "queued": 3}
    world.run(minutes=15)
    assert sorted(world.tenant.called) == destinations([numbers(3)[0], numbers(3)[2]])
    assert progress(world) == {"total": 3, "completed": 3}


def test_a_retry_whose_dialer_crashes_becomes_uncertain(world: World) -> None:
    world.tenant.on_call = lambda _: Answered(486, {}, b"")
    prepare_running(world, numbers(1), max_retries=3)
    world.run(minutes=1)
    world.clock.turn_to(world.clock.now() + timedelta(minutes=3))
    (message,) = world.dispatch()
    world.services.calls.claim(CAMPAIGN.call(0), Entry(numbers(1)[0].destination), 2, world.clock.now())
    assert world.dial([message.body]) == []  # a duplicate, while another dialer holds the claim
    assert progress(world) == {"total": 1, "dialling": 1}
    world.run(minutes=25)
    assert campaign(world).counts == Counts(uncertain=1)
    assert [report.form["result"] for report in world.tenant.reports] == ["uncertain"]


def test_progress_adds_up_at_every_step_of_a_campaign_that_is_stopped_and_started(world: World) -> None:
    world.tenant.on_call = lambda form: Answered(200 if int(form["call_id"]) % 3 else 486, {}, b"")
    prepare_running(world, numbers(40), max_retries=1)
    for minute in range(8):
        for message in world.dispatch():
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


def test_a_number_with_two_tasks_counts_once(world: World) -> None:
    prepare_running(world, numbers(2))
    claim = world.services.calls.claim(CAMPAIGN.call(0), numbers(1)[0], 1, EIGHT)
    assert claim is not None
    world.services.calls.give_up(claim, "late")
    (scheduled,) = world.services.tasks.due_dials(CAMPAIGN, EIGHT, spread=1)
    assert isinstance(scheduled.task, DialTask)
    transaction = world.services.database.transaction()
    world.services.tasks.add(transaction, replace(scheduled.task, not_before=EIGHT + timedelta(hours=1)), spread=1)
    transaction.commit()
    world.run(minutes=3)
    assert waiting(world.services.tasks, CAMPAIGN, spread=1) == [0]
    assert progress(world) == {"total": 2, "completed": 2}


@pytest.fixture
def client() -> CountingClient:
    return CountingClient(SimulatedDynamoDB())


@pytest.fixture
def counted_world(client: CountingClient) -> World:
    """A world whose requests to the database are counted."""
    return World(with_tables(client), HandClock())


@pytest.mark.parametrize("waiting", [200, 2_000])
def test_progress_takes_ten_requests_however_many_numbers_wait(
    client: CountingClient, counted_world: World, waiting: int
) -> None:
    world = counted_world
    world.progress.advance_head(prepare(world, numbers(waiting)), head=waiting)
    for sequence, entry in enumerate(numbers(waiting)):
        world.services.calls.defer_lost(CAMPAIGN.call(sequence), entry, spread=1)
    world.settle()
    before = campaign(world)
    assert before.settled == waiting
    client.requests = 0
    done, anything_deferred = read_progress(world.services, before)
    assert (done.deferred, done.total, anything_deferred) == (waiting, waiting, True)
    assert client.requests <= 10


def test_progress_with_a_hundred_thousand_waiting_numbers_takes_ten_requests(
    client: CountingClient, counted_world: World
) -> None:
    """The settler has skipped all of them. Only one has a task here; the test before shows that none is read."""
    world, waiting = counted_world, 100_000
    world.progress.advance_head(prepare(world, numbers(waiting)), head=waiting)
    world.services.calls.defer_lost(CAMPAIGN.call(0), numbers(1)[0], spread=1)
    dispatched = campaign(world)
    assert world.progress.settle(dispatched, replace(dispatched, settled=waiting))
    before = campaign(world)
    client.requests = 0
    done, anything_deferred = read_progress(world.services, before)
    assert (done.deferred, done.total, anything_deferred) == (waiting, waiting, True)
    assert client.requests <= 10


def test_progress_of_a_settled_campaign_takes_no_request(client: CountingClient, counted_world: World) -> None:
    world = counted_world
    created = prepare(world, numbers(3))
    start(world)
    world.run(minutes=5)
    settled = campaign(world)
    assert not settled.has_work
    for one, completed in ((created, 0), (settled, 3)):
        client.requests = 0
        done, anything_deferred = read_progress(world.services, one)
        assert (done.total, done.completed, anything_deferred) == (3, completed, False)
        assert client.requests == 0


def test_two_settlers_at_once_count_each_number_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_running(world, numbers(10))
    world.tick()
    world.drain(EIGHT + MINUTE)

    def settle() -> None:
        world.settler.settle(EIGHT + 10 * MINUTE, [CAMPAIGN])

    before_first_call(monkeypatch, world.services.progress, "settle", settle)
    settle()
    assert campaign(world).counts == Counts(completed=10)
