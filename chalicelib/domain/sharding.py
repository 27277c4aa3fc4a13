"""What is too much for one invocation, cut into what several can do at the same time.

A campaign's weight is what an invocation takes to look after it: one for the campaign itself, and one for each dialer
that its calls keep busy, since those are some hundreds of calls a minute.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """A campaign that there is something to do for."""

    account: str
    id: int
    #: how many dialers its calls keep busy; None for one that wasn't paced since it slept, or never
    dialers: float | None


def shares(weights: Mapping[int, float], most: float) -> list[tuple[int, ...]]:
    """The shards in their order, as many together as weigh at most `most`.

    `weights` tells what each shard weighs. One that weighs more than `most` makes a share by itself, or with empty
    ones: a shard isn't cut.
    """
    found: list[tuple[int, ...]] = []
    room = 0.0
    for shard, weight in weights.items():
        if not found or weight > max(room, 0):
            found.append(())
            room = most
        found[-1] += (shard,)
        room -= weight
    return found


def weight(works: Sequence[Work]) -> float:
    return sum(1 + (work.dialers or 0) for work in works)


def wanted(works: Mapping[int, Sequence[Work]]) -> dict[int, float]:
    """How many dialers the campaigns of each shard keep busy.

    One of which it isn't known counts as much as the others do on average, and at least as one dialer.
    """
    known = [work.dialers for each in works.values() for work in each if work.dialers]
    usual = max(1.0, sum(known) / len(known)) if known else 1.0
    return {shard: sum(work.dialers or usual for work in each) for shard, each in works.items()}
