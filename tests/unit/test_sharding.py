"""How what is too much for one is divided."""

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.sharding import shares


def test_what_one_can_do_is_one_share() -> None:
    assert shares({0: 3, 1: 0, 2: 2}, most=5) == [(0, 1, 2)]


def test_what_is_too_much_is_divided_in_order() -> None:
    assert shares({0: 3, 1: 3, 2: 1, 3: 4, 4: 1}, most=5) == [(0,), (1, 2), (3, 4)]


def test_a_shard_that_has_too_much_by_itself_is_alone() -> None:
    assert shares({0: 1, 1: 9, 2: 1}, most=5) == [(0,), (1,), (2,)]


def test_what_is_empty_is_no_reason_for_another_share() -> None:
    assert shares({0: 9, 1: 0, 2: 0}, most=5) == [(0, 1, 2)]


def test_nothing_is_no_share() -> None:
    assert shares({}, most=5) == []


@given(st.lists(st.integers(0, 12), max_size=20), st.integers(1, 10))
def test_every_shard_is_in_one_share_and_no_share_is_too_large_or_could_take_the_next(
    sizes: list[int], most: int
) -> None:
    found = shares(dict(enumerate(sizes)), most)
    assert [shard for share in found for shard in share] == list(range(len(sizes)))
    totals = [sum(sizes[shard] for shard in share) for share in found]
    assert all(
        total <= most or total == max(sizes[shard] for shard in share)
        for share, total in zip(found, totals, strict=True)
    )
    assert all(0 < sizes[share[0]] > most - total for share, total in zip(found[1:], totals, strict=False))
