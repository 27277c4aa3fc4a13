"""How a tick's calls are cut into messages, and when those are delivered."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.models import Entry
from chalicelib.domain.slicing import LARGEST, MOST_DIALS, MOST_SLOW_DIALS, SPAN, Limits, delivery_time, dial_slices
from tests.support.slices import NOW, dials


@given(st.lists(st.floats(0, 75), max_size=200).map(sorted))
def test_each_call_is_in_one_slice_in_order(seconds: list[float]) -> None:
    calls = dials(seconds)
    assert [dial for part in dial_slices(calls, Limits()) for dial in part] == calls


@given(st.lists(st.floats(0, 75), max_size=200).map(sorted))
def test_no_slice_is_too_large(seconds: list[float]) -> None:
    for part in dial_slices(dials(seconds), Limits()):
        assert 1 <= len(part) <= MOST_DIALS
        assert part[-1].due - part[0].due < SPAN


def test_a_slice_ends_only_where_it_must() -> None:
    limits = Limits(span=timedelta(seconds=2))
    assert [len(part) for part in dial_slices(dials([0, 1, 1.9, 2, 3.9, 4]), limits)] == [3, 2, 1]
    assert [len(part) for part in dial_slices(dials([0] * 45), Limits())] == [20, 20, 5]


def test_a_slice_has_more_calls_than_usual_only_if_they_are_not_due_at_once() -> None:
    large = Limits(span=timedelta(seconds=20), most=MOST_SLOW_DIALS)
    assert [len(part) for part in dial_slices(dials([0] * 45), large)] == [20, 20, 5]
    assert [len(part) for part in dial_slices(dials([index / 10 for index in range(110)]), large)] == [50, 50, 10]
    assert [len(part) for part in dial_slices(dials([index / 50 for index in range(60)]), large)] == [27, 27, 6]


def test_long_entries_make_short_slices() -> None:
    long = Entry("tel:+12223334444", "x" * 8000)
    parts = dial_slices(dials([0] * 5, long), Limits())
    assert [len(part) for part in parts] == [3, 2]
    assert all(sum(len(dial.entry.line) for dial in part) <= LARGEST for part in parts)
    assert [len(part) for part in dial_slices(dials([0, 0], Entry("tel:+1", "x" * LARGEST)), Limits())] == [1, 1]
    half = Entry("tel:+1", "x" * (LARGEST // 2 - len("tel:+1,")))
    assert [len(part) for part in dial_slices(dials([0] * 4, half), Limits())] == [2, 2]


def test_a_slice_has_calls_of_one_generation_only() -> None:
    restarted = [*dials([0, 1]), *dials([2], generation=2)]
    assert [len(part) for part in dial_slices(restarted, Limits())] == [2, 1]


@pytest.mark.parametrize(
    ("due", "apart", "expected"),
    [(60, 1, 59.8), (60, 4.9, 59.8), (60, 5, 60.5), (60, 600, 60.5)],
    ids=["a second apart", "nearly five", "five: half a second late at most", "ten minutes"],
)
def test_a_slice_is_delivered_right_before_its_first_call(due: float, apart: float, expected: float) -> None:
    found = delivery_time(dials([due, due + 1]), NOW, timedelta(seconds=apart))
    assert found == NOW + expected * timedelta(seconds=1)


def test_a_slice_that_is_due_soon_is_delivered_earlier() -> None:
    second = timedelta(seconds=1)
    assert delivery_time(dials([8]), NOW, second) is None
    assert delivery_time(dials([9]), NOW, second) == NOW + 2 * second
    assert delivery_time(dials([14]), NOW, second) == NOW + 12 * second
    assert delivery_time(dials([17]), NOW, second) == NOW + 16.8 * second
