"""Which campaigns an invocation looks after itself, when there are more than one can see to within its minute.

Campaigns with work stand in shards of an index. Whoever finds too many keeps the first shards, and hands the others to
further invocations of the same function. Those look again, and may hand on; each hands on fewer shards than it was
given, so it comes to an end. If a shard is looked after twice, storage sees to it that nothing happens twice.

A shard may still have more than can be done in a minute. So each time another campaign comes first, and it isn't always
the same ones that are left over.
"""

import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from chalicelib.domain.sharding import Work, shares, wanted, weight

logger = logging.getLogger(__name__)

#: The weight of the work that one invocation keeps (`chalicelib.domain.sharding`). A campaign takes some ten requests,
#: a dozen milliseconds of processor, and as much again for three hundred calls. So the work takes a few seconds, and
#: the first calls of a minute aren't late.
WEIGHT_PER_INVOCATION = 200.0


A = TypeVar("A")
R = TypeVar("R")


class ForEach(Protocol):
    """Applies a function to each of some things, like `map`; all at once, or one after the other."""

    def __call__(self, function: Callable[[A], R], things: Iterable[A], /) -> Iterable[R]: ...


@dataclass(frozen=True)
class OwnWork:
    """What an invocation looks after itself: campaigns, each by its account and id."""

    campaigns: list[tuple[str, int]]
    #: how much of what the deployment has it may use for them, from 0 to 1
    part: float


def select_own_work(
    found: Mapping[int, Sequence[Work]],
    hand_over: Callable[[Sequence[int], float], None],
    part: float = 1.0,
    most: float = WEIGHT_PER_INVOCATION,
    random_fraction: Callable[[], float] = random.random,
) -> OwnWork:
    """The campaigns that are this invocation's; the shards of the others are handed over.

    `found` is what there is to do in each shard. `part` is how much of what the deployment has is there for all of
    these shards; each invocation gets as much of it as its campaigns use. What can't be handed over is its own after
    all. When that has happened once it isn't tried again: there is no time to lose. `chance` answers a number from 0 to
    below 1, for the place where to begin.
    """
    own, *others = shares({shard: weight(works) for shard, works in found.items()}, most) or [()]
    dialers = wanted(found)
    total = sum(dialers.values()) or 1.0
    for place, share in enumerate(others):
        try:
            hand_over(share, part * sum(dialers[shard] for shard in share) / total)
        except Exception:
            logger.exception("shards from %s on were not handed over", share[0])
            own += tuple(shard for left in others[place:] for shard in left)
            break
    campaigns = [(work.account, work.id) for shard in own for work in found[shard]]
    first = int(random_fraction() * len(campaigns))
    return OwnWork(campaigns[first:] + campaigns[:first], part * sum(dialers[shard] for shard in own) / total)
