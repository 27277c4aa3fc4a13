"""A campaign whose slips lie in several partitions."""

import json
from dataclasses import replace

from chalicelib.api.progress import read_progress
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Counts
from chalicelib.domain.outcome import Answered
from chalicelib.domain.slicing import Limits
from tests.support.campaigns import campaign, numbers, prepare, start
from tests.support.world import EIGHT, World


def partitions(world: World, kind: str = "") -> set[str]:
    """Those in which slips lie."""
    items = world.services.database.tasks.scan()
    return {item.campaign for item in items if item.key.startswith(kind)}


def test_a_campaign_is_spread_before_any_slice_says_so(world: World) -> None:
    world.pacer = world.pacer_with(Limits(), calls_per_partition=0.25)  # of one call a second
    prepare(world, numbers(150))
    start(world)
    world.tick()
    assert campaign(world).spread == 4
    assert {json.loads(message.body)["spread"] for message in world.sqs.messages} == {4}


def test_a_campaign_of_a_usual_pace_is_not_spread(world: World) -> None:
    prepare(world, numbers(150))
    start(world)
    world.tick()
    assert campaign(world).spread == 1
    assert {json.loads(message.body).get("spread") for message in world.sqs.messages} == {None}


def test_calls_that_the_dialers_cannot_make_need_no_partitions(world: World) -> None:
    prepare(world, numbers(10), amount=10**11)
    start(world)
    world.pacer._dialers = 1
    world.tick()
    assert campaign(world).spread == 1


def test_all_is_called_and_reported_in_the_end_though_the_spread_grows_meanwhile(world: World) -> None:
    world.pacer = world.pacer_with(Limits(), calls_per_partition=0.5)
    entries = numbers(100)
    prepare(world, entries, max_retries=1)
    world.tenant.on_call = lambda form: Answered(486 if form["attempt"] == "1" else 200, {}, b"")
    world.tenant.on_report = lambda _: Answered(500 if len(world.tenant.reports) <= 100 else 200, {}, b"")
    start(world)
    world.run(minutes=2)
    assert partitions(world, "dial/") == {"acme/1", "acme/1#1"}
    world.run(minutes=2)
    assert partitions(world, "report/") == {"acme/1", "acme/1#1"}
    world.pacer = world.pacer_with(Limits(), calls_per_partition=0.2)
    world.run(minutes=15)
    assert campaign(world).spread == 5
    assert campaign(world).counts == Counts(completed=100)
    assert len(world.tenant.calls) == 200
    assert partitions(world) == set()


def test_a_look_finds_what_was_spread_further_since_the_campaign_was_read(world: World) -> None:
    calls, entries = world.services.calls, numbers(2)
    handed_over = world.progress.reserve(prepare(world, entries), 2, (), spread=1)
    assert handed_over is not None
    for sequence, entry in enumerate(entries):
        assert calls.defer_lost(CallKey("acme", 1, sequence), entry, spread=1)
    assert world.progress.settle(handed_over, replace(handed_over, settled=2))
    claims = [calls.claim(CallKey("acme", 1, sequence), entry, 1, EIGHT) for sequence, entry in enumerate(entries)]
    world.services.tasks.delete(list(world.services.tasks.due_dials(CampaignKey("acme", 1), EIGHT, spread=1)))
    before = campaign(world)

    assert world.progress.reserve(before, 2, (), spread=2)
    for claim in claims:
        assert claim is not None
        assert calls.give_up(replace(claim, spread=2), "late")
    seen, anything_deferred = read_progress(world.services, before)
    assert (seen.deferred, seen.dialling, anything_deferred) == (2, 0, True)
