"""Groups of shards, by which several invocations divide the work that is too much for one.

The weight of a campaign is what it costs an invocation: one for the campaign itself, and one for each dialer that its
calls keep busy, since a dialer makes some hundreds of calls a minute.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chalicelib.domain.keys import CampaignKey


@dataclass(frozen=True)
class Work:
    """A campaign with work to do."""

    campaign: CampaignKey
    #: how many dialers its calls keep busy; None if it wasn't paced since it last slept
    dialers: float | None


def group_shards(weights: Mapping[int, float], most: float) -> list[tuple[int, ...]]:
    """The shards in their order, in groups that weigh at most `most`.

    `weights` has the weight of each shard. A shard is never divided: one that weighs more than `most` is a group by
    itself, or with empty shards.
    """
    groups: list[tuple[int, ...]] = []
    room = 0.0
    for shard, weight in weights.items():
        if not groups or weight > max(room, 0):
            groups.append(())
            room = most
        groups[-1] += (shard,)
        room -= weight
    return groups


def weight(works: Sequence[Work]) -> float:
    return sum(1 + (work.dialers or 0) for work in works)


def wanted_dialers(works: Mapping[int, Sequence[Work]]) -> dict[int, float]:
    """How many dialers the campaigns of each shard keep busy.

    A campaign whose number isn't known counts as the average of the others, and at least as one dialer.
    """
    known = [work.dialers for each in works.values() for work in each if work.dialers]
    usual = max(1.0, sum(known) / len(known)) if known else 1.0
    return {shard: sum(work.dialers or usual for work in each) for shard, each in works.items()}
