"""Work that is too much for one invocation is cut into groups of shards."""

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.sharding import group_shards


def test_work_that_fits_is_one_group() -> None:
    assert group_shards({0: 3, 1: 0, 2: 2}, most=5) == [(0, 1, 2)]


def test_more_work_is_cut_in_the_order_of_the_shards() -> None:
    assert group_shards({0: 3, 1: 3, 2: 1, 3: 4, 4: 1}, most=5) == [(0,), (1, 2), (3, 4)]


def test_a_shard_with_too_much_work_is_a_group_by_itself() -> None:
    assert group_shards({0: 1, 1: 9, 2: 1}, most=5) == [(0,), (1,), (2,)]


def test_empty_shards_make_no_further_group() -> None:
    assert group_shards({0: 9, 1: 0, 2: 0}, most=5) == [(0, 1, 2)]


def test_no_shards_make_no_group() -> None:
    assert group_shards({}, most=5) == []


@given(st.lists(st.integers(0, 12), max_size=20), st.integers(1, 10))
def test_every_shard_is_in_one_group_without_too_much_work_or_room_for_the_next(sizes: list[int], most: int) -> None:
    found = group_shards(dict(enumerate(sizes)), most)
    assert [shard for group in found for shard in group] == list(range(len(sizes)))
    totals = [sum(sizes[shard] for shard in group) for group in found]
    assert all(
        total <= most or total == max(sizes[shard] for shard in group)
        for group, total in zip(found, totals, strict=True)
    )
    assert all(0 < sizes[group[0]] > most - total for group, total in zip(found[1:], totals, strict=False))
