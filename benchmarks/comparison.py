"""Compares two ways to do the same, in turns, so that a busy machine slows down both."""

import time
from collections.abc import Callable, Iterator
from statistics import median

from benchmarks.coldstart import by_turns

#: how often each of the two is measured
ROUNDS = 9


def compared(
    unit: str, number: int, ours: tuple[str, Callable[[], object]], bare: tuple[str, Callable[[], object]], rounds: int
) -> Iterator[str]:
    """Each way is a name and a function that processes `number` of `unit`. A first turn without timing warms up."""
    measures = {name: _timing(work) for name, work in (ours, bare)}
    by_turns(measures, 1)
    found = by_turns(measures, rounds)
    for name, seconds in found.items():
        yield f"{name:<44} {number / median(seconds):>12,.0f} {unit} a second"
    # One ratio for each turn, since a slow phase of the machine lasts longer than a turn.
    ratios = sorted(one / other for one, other in zip(found[bare[0]], found[ours[0]], strict=True))
    yield f"{'ratio':<44} {median(ratios):>12.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f} in {rounds} turns)"


def _timing(work: Callable[[], object]) -> Callable[[], float]:
    def measure() -> float:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    return measure
