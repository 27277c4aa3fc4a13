"""Over how many partitions a campaign's tasks are spread."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.spreading import MOST, needed, partition

RATES = st.floats(0, 10**9)
SPREADS = st.integers(1, MOST)


@pytest.mark.parametrize(
    ("calls_a_minute", "spread"),
    [(0, 1), (60, 1), (7_500, 1), (7_501, 2), (60_000, 8), (100_000, 14), (240_000, 32), (10**11, 32)],
)
def test_a_campaign_has_as_many_partitions_as_its_pace_needs(calls_a_minute: int, spread: int) -> None:
    assert needed(calls_a_minute / 60, before=1) == spread


def test_a_partition_that_takes_fewer_calls_makes_more_partitions_necessary() -> None:
    assert needed(10, before=1, calls_per_partition=3) == 4


@pytest.mark.parametrize(("calls_a_minute", "spread"), [(5_625, 1), (5_626, 2), (180_000, 32), (10**11, 32)])
def test_reports_of_attempts_make_more_partitions_necessary(calls_a_minute: int, spread: int) -> None:
    assert needed(calls_a_minute / 60, before=1, with_attempt_reports=True) == spread


@given(RATES, SPREADS)
def test_the_number_of_partitions_never_falls(rate: float, before: int) -> None:
    assert needed(rate, before) >= before
    assert needed(0, before) == before


@given(st.integers(0, 2**32 - 1), SPREADS, RATES)
def test_a_partition_of_an_earlier_spread_is_one_of_the_later_spread(sequence: int, before: int, rate: float) -> None:
    assert partition(sequence, before) in range(before)
    assert set(range(before)) <= set(range(needed(rate, before)))


def test_numbers_that_follow_each_other_are_in_different_partitions() -> None:
    assert {partition(sequence, 5) for sequence in range(100, 105)} == set(range(5))
