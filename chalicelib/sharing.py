"""Which campaigns an invocation looks after itself, when there are more than one can see to within its minute.

Campaigns with work stand in shards of an index. Whoever finds too many keeps the first shards, and hands the others to
further invocations of the same function. Those look again, and may hand on; each hands on fewer shards than it was
given, so it comes to an end. If a shard is looked after twice, storage sees to it that nothing happens twice.

A shard may still have more than can be done in a minute. So each time another campaign comes first, and it isn't always
the same ones that are left over.
"""

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from chalicelib.domain.shares import shares
from chalicelib.storage.advances import Advances

logger = logging.getLogger(__name__)

#: How many campaigns one invocation looks after. It asks AWS some ten things for each, which is a dozen milliseconds of
#: its processor: a few seconds for all, so that the first calls of a minute aren't late.
CAMPAIGNS_AT_ONCE = 200


A = TypeVar("A")
R = TypeVar("R")


class Each(Protocol):
    """Applies a function to each of some things, like `map`; all at once, or one after the other."""

    def __call__(self, function: Callable[[A], R], things: Iterable[A], /) -> Iterable[R]: ...


@dataclass(frozen=True)
class Own:
    """What an invocation looks after itself: campaigns, each by its account and id."""

    campaigns: list[tuple[str, int]]
    #: how much of what the deployment has it may use for them, from 0 to 1
    part: float


def campaigns_to_look_after(
    advances: Advances,
    shards: Iterable[int],
    hand_over: Callable[[Sequence[int], float], None],
    part: float = 1.0,
    most: int = CAMPAIGNS_AT_ONCE,
    chance: Callable[[], float] = random.random,
) -> Own:
    """The campaigns that are this invocation's; the shards of the others are handed over.

    `part` is how much of what the deployment has is there for all of these shards; each invocation gets as much of it
    as it has campaigns. What can't be handed over is its own after all. When that has happened once it isn't tried
    again: there is no time to lose. `chance` answers a number from 0 to below 1, for the place where to begin.
    """
    found = {shard: advances.with_work(shard) for shard in shards}
    own, *others = shares({shard: len(campaigns) for shard, campaigns in found.items()}, most) or [()]
    total = max(1, sum(map(len, found.values())))
    for place, share in enumerate(others):
        try:
            hand_over(share, part * sum(len(found[shard]) for shard in share) / total)
        except Exception:
            logger.exception("shards from %s on were not handed over", share[0])
            own += tuple(shard for left in others[place:] for shard in left)
            break
    campaigns = [campaign for shard in own for campaign in found[shard]]
    first = int(chance() * len(campaigns))
    return Own(campaigns[first:] + campaigns[:first], part * len(campaigns) / total)
