"""What is too much for one invocation, cut into what several can do at the same time."""

from collections.abc import Mapping


def shares(sizes: Mapping[int, int], most: int) -> list[tuple[int, ...]]:
    """The shards in their order, as many together as have at most `most` things to look after.

    `sizes` tells how many each shard has. One that has more than `most` makes a share by itself, or with empty ones: a
    shard isn't cut.
    """
    found: list[tuple[int, ...]] = []
    room = 0
    for shard, size in sizes.items():
        if not found or size > max(room, 0):
            found.append(())
            room = most
        found[-1] += (shard,)
        room -= size
    return found
