"""A campaign whose tasks are in several partitions."""

import json
from dataclasses import replace

from chalicelib.api.progress import read_progress
from chalicelib.domain.models import Counts
from chalicelib.domain.outcome import Answered
from tests.support.campaigns import campaign, numbers, prepare, prepare_running
from tests.support.examples import CAMPAIGN
from tests.support.world import EIGHT, World


def partitions(world: World, kind: str = "") -> set[str]:
    """The partitions that hold tasks of this kind."""
    items = world.services.database.tasks.scan()
    return {item.campaign for item in items if item.key.startswith(kind)}


def test_the_spread_is_recorded_before_a_slice_names_it(world: World) -> None:
    world.pacer = world.pacer_with(calls_per_partition=0.25)  # of one call a second
    prepare_running(world, numbers(150))
    world.tick()
    assert campaign(world).spread == 4
    assert {json.loads(message.body)["spread"] for message in world.sqs.messages} == {4}


def test_a_campaign_of_a_usual_pace_is_not_spread(world: World) -> None:
    prepare_running(world, numbers(150))
    world.tick()
    assert campaign(world).spread == 1
    assert {json.loads(message.body).get("spread") for message in world.sqs.messages} == {None}


def test_a_campaign_that_reports_its_attempts_is_spread_at_a_lower_pace(world: World) -> None:
    world.pacer = world.pacer_with(calls_per_partition=1)  # of one call a second
    prepare_running(world, numbers(10), attempt_reports=True)
    prepare_running(world, numbers(10), account="globex")
    world.tick()
    spreads = {
        json.loads(message.body)["account"]: json.loads(message.body).get("spread") for message in world.sqs.messages
    }
    assert spreads == {"acme": 2, "globex": None}


def test_calls_that_the_dialers_cannot_make_need_no_partitions(world: World) -> None:
    world.pacer = world.pacer_with(dialers=1)
    prepare_running(world, numbers(10), amount=10**11)
    world.tick()
    assert campaign(world).spread == 1


def test_every_number_is_called_and_reported_though_the_spread_grows(world: World) -> None:
    world.pacer = world.pacer_with(calls_per_partition=0.5)
    world.tenant.on_call = lambda form: Answered(486 if form["attempt"] == "1" else 200, {}, b"")
    world.tenant.on_report = lambda _: Answered(500 if len(world.tenant.reports) <= 100 else 200, {}, b"")
    prepare_running(world, numbers(100), max_retries=1)
    world.run(minutes=2)
    assert partitions(world, "dial/") == {"acme/1", "acme/1#1"}
    world.run(minutes=2)
    assert partitions(world, "report/") == {"acme/1", "acme/1#1"}
    world.pacer = world.pacer_with(calls_per_partition=0.2)
    world.run(minutes=15)
    assert campaign(world).spread == 5
    assert campaign(world).counts == Counts(completed=100)
    assert len(world.tenant.calls) == 200
    assert partitions(world) == set()


def test_progress_finds_tasks_that_were_spread_further_after_the_campaign_was_read(world: World) -> None:
    calls, entries = world.services.calls, numbers(2)
    dispatched = world.progress.reserve(prepare(world, entries), 2, (), spread=1)
    assert dispatched is not None
    for sequence, entry in enumerate(entries):
        assert calls.defer_lost(CAMPAIGN.call(sequence), entry, spread=1)
    assert world.progress.settle(dispatched, replace(dispatched, settled=2))
    claims = [calls.claim(CAMPAIGN.call(sequence), entry, 1, EIGHT) for sequence, entry in enumerate(entries)]
    world.services.tasks.delete(list(world.services.tasks.due_dials(CAMPAIGN, EIGHT, spread=1)))
    before = campaign(world)

    assert world.progress.reserve(before, 2, (), spread=2)
    for claim in claims:
        assert claim is not None
        assert calls.give_up(replace(claim, spread=2), "late")
    done, anything_deferred = read_progress(world.services, before)
    assert (done.deferred, done.dialling, anything_deferred) == (2, 0, True)
