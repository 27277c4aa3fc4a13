"""Which campaigns an invocation works on itself, when there are more than one can do within its minute.

Campaigns with work are in the shards of an index. An invocation that finds too many keeps the first shards, and hands
the others to further invocations of the same function. These may fan out in turn. Each passes fewer shards than it
was given, so the fan-out ends. Two invocations that work on one shard do no harm: storage refuses the second write.

A shard may still have more work than fits into a minute. So each tick begins with a random campaign, and different
campaigns are left over each time.
"""

import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.sharding import Work, group_shards, wanted_dialers, weight

logger = logging.getLogger(__name__)

#: The weight of the work that one invocation keeps (`chalicelib.domain.sharding`). A campaign takes some ten requests,
#: a dozen milliseconds of processor, and as much again for three hundred calls. So the work takes a few seconds, and
#: the first calls of a minute aren't late.
WEIGHT_PER_INVOCATION = 200.0


A = TypeVar("A")
R = TypeVar("R")


class ForEach(Protocol):
    """Applies a function to each of some things, like `map`: all at once, or one after the other."""

    def __call__(self, function: Callable[[A], R], things: Iterable[A], /) -> Iterable[R]: ...


@dataclass(frozen=True)
class OwnWork:
    """What an invocation works on itself."""

    campaigns: list[CampaignKey]
    #: how much of the deployment's dialers it may use for them, from 0 to 1
    part: float


def select_own_work(
    found: Mapping[int, Sequence[Work]],
    fan_out: Callable[[Sequence[int], float], None],
    part: float = 1.0,
    most: float = WEIGHT_PER_INVOCATION,
    random_fraction: Callable[[], float] = random.random,
) -> OwnWork:
    """The campaigns that are this invocation's. The shards of the others are handed to `fan_out`.

    `found` has the work in each shard. `part` is how much of the dialers these shards may use, from 0 to 1; each
    invocation gets as much of it as its campaigns need. If a fan-out fails, this invocation keeps the rest of the
    shards, and doesn't try again, since time is short. `random_fraction` answers a number from 0 to below 1.
    """
    own, *others = group_shards({shard: weight(works) for shard, works in found.items()}, most) or [()]
    dialers = wanted_dialers(found)
    total = sum(dialers.values()) or 1.0
    for index, group in enumerate(others):
        try:
            fan_out(group, part * sum(dialers[shard] for shard in group) / total)
        except Exception:
            logger.exception("shards from %s on were not handed to another invocation", group[0])
            own += tuple(shard for left in others[index:] for shard in left)
            break
    campaigns = [work.campaign for shard in own for work in found[shard]]
    first = int(random_fraction() * len(campaigns))
    return OwnWork(campaigns[first:] + campaigns[:first], part * sum(dialers[shard] for shard in own) / total)
