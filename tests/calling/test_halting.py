"""The operator halts all dialling at once. When the halt ends, dialling continues where it stopped."""

from datetime import timedelta

from chalicelib.domain.outcome import Answered
from tests.support.campaigns import destinations, numbers, prepare_running
from tests.support.world import World


def turn(world: World, *, on: bool) -> None:
    world.switch.turn(on=on, now=world.clock.now())


def test_nothing_is_dispatched_during_a_halt(world: World) -> None:
    prepare_running(world, numbers(5))
    turn(world, on=False)
    world.tick()
    assert world.dispatched == []


def test_calls_dispatched_before_a_halt_are_dialled_after_it(world: World) -> None:
    entries = numbers(20)
    prepare_running(world, entries)
    world.tick()
    turn(world, on=False)
    world.drain(world.clock.now() + timedelta(minutes=1))
    assert world.tenant.calls == []
    turn(world, on=True)
    world.run(minutes=3)
    assert world.tenant.called == destinations(entries)


def test_outcomes_are_reported_during_a_halt(world: World) -> None:
    prepare_running(world, numbers(1))
    world.tenant.on_report = lambda _: Answered(500, {}, b"")
    world.run(minutes=1)
    assert len(world.tenant.reports) == 1
    turn(world, on=False)
    world.run(minutes=2)
    assert len(world.tenant.reports) > 1
