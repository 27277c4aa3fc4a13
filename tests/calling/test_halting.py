"""The operator halts all dialling at once, and it goes on where it was."""

from datetime import timedelta

from chalicelib.domain.outcome import Answered
from tests.support.campaigns import destinations, numbers, prepare, start
from tests.support.world import World


def turn(world: World, *, on: bool) -> None:
    world.switch.turn(on=on, now=world.clock.now())


def test_while_it_is_halted_nothing_is_handed_over(world: World) -> None:
    prepare(world, numbers(5))
    start(world)
    turn(world, on=False)
    world.tick()
    assert world.handed_over == []


def test_what_was_handed_over_already_is_not_dialled_and_not_lost(world: World) -> None:
    entries = numbers(20)
    prepare(world, entries)
    start(world)
    world.tick()
    turn(world, on=False)
    world.drain(world.clock.now() + timedelta(minutes=1))
    assert world.tenant.calls == []
    turn(world, on=True)
    world.run(minutes=3)
    assert world.tenant.called == destinations(entries)


def test_outcomes_are_still_reported(world: World) -> None:
    prepare(world, numbers(1))
    start(world)
    world.tenant.on_report = lambda _: Answered(500, {}, b"")
    world.run(minutes=1)
    assert len(world.tenant.reports) == 1
    turn(world, on=False)
    world.run(minutes=2)
    assert len(world.tenant.reports) > 1
