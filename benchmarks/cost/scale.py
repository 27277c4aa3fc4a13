"""How much one deployment can do: at large paces, and with many campaigns that have nothing to do yet.

make scale
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise

from benchmarks.cost.deployment import Deployment
from benchmarks.cost.world import Conditions, World
from infra.template.parameters import DIALERS_PER_POLLER, MOST_POLLERS

_TICKS = ("pacer", "settler")


def at_pace(pace: int, campaigns: int, minutes: int) -> Conditions:
    """With as many dialers as a deployment may have, and enough provisioned pollers for all of them.

    It runs a minute longer than there are calls, since their outcomes are counted in that minute.
    """
    return Conditions(
        pace * minutes,
        campaigns,
        pace,
        at_most=minutes + 1,
        dialers=MOST_POLLERS * DIALERS_PER_POLLER,
        pollers=MOST_POLLERS,
    )


#: for each run a line is printed for each minute
RUNS = (
    at_pace(100_000, 1, minutes=3),
    at_pace(1_000_000, 20, minutes=1),
    # The campaigns open in twelve hours. After the first minutes, each wakes about once an hour.
    Conditions(10_000, 10_000, 10_000, at_most=40, opens="20:00"),
)


def main() -> None:
    with ProcessPoolExecutor() as pool:
        for lines in pool.map(report_lines, RUNS):
            print("\n".join(lines), flush=True)


def report_lines(conditions: Conditions) -> list[str]:
    world = World(conditions, Deployment.read())
    spent: list[list[int]] = []
    world.each_minute = lambda _: spent.append([world.ledger.runs[function].milliseconds for function in _TICKS])
    world.run()
    world.each_minute(conditions.at_most or 0)
    return [*_headline(conditions, world), *_minutes(world, spent)]


def _headline(conditions: Conditions, world: World) -> Iterator[str]:
    yield ""
    yield f"{conditions.pace:,} calls a minute, {conditions.campaigns:,} campaigns, which open at {conditions.opens}"
    late = world.lateness()
    if late:
        yield f"late by {late[len(late) // 2]:.2f} s (half), {late[len(late) * 99 // 100]:.2f} s (99 %)"
    yield f"dialers at a time: {world.event_source.peak:,} at most"


def _minutes(world: World, spent: list[list[int]]) -> Iterator[str]:
    yield f"  {'minute':>6} {'calls':>9} {'pacer':>9} {'settler':>9}"
    made = world.made_by_minute()
    for minute, (before, after) in enumerate(pairwise(spent)):
        pacer, settler = (f"{(now - then) / 1000:.1f} s" for then, now in zip(before, after, strict=True))
        yield f"  {minute:>6} {made[minute]:>9,} {pacer:>9} {settler:>9}"


if __name__ == "__main__":
    main()
