"""Repeats of an upload's numbers, in the upload itself and in its campaign."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.models import Entry
from chalicelib.domain.repeats import (
    MOST_COMPARED,
    Unique,
    check_comparable,
    number_of,
    without_known,
    without_repeats,
)
from chalicelib.domain.upload import Upload, read
from chalicelib.errors import TooManyToCompare

FIRST = Entry("tel:+12223334444")
SECOND = Entry("tel:+14443332222")


def test_repeats_are_kept_unless_they_are_to_be_dropped() -> None:
    assert without_repeats(Upload((FIRST, FIRST)), Unique.NOTHING) == Upload((FIRST, FIRST))


@pytest.mark.parametrize("unique", [Unique.UPLOAD, Unique.CAMPAIGN])
def test_later_entries_for_the_same_callee_are_dropped_and_counted(unique: Unique) -> None:
    upload = read(["2223334444, a", "4443332222", "tel:+12223334444;ani=7778889999, b", "(222) 333-4444"])
    assert without_repeats(upload, unique) == Upload((Entry(FIRST.destination, "a"), SECOND), dropped=2)


def test_other_digits_to_send_are_another_callee_of_an_upload() -> None:
    upload = read(["2223334444;postd=1", "2223334444;ani=7;postd=2", "2223334444;postd=2"])
    assert [entry.destination for entry in without_repeats(upload, Unique.UPLOAD).entries] == [
        "tel:+12223334444;postd=1",
        "tel:+12223334444;ani=7;postd=2",
    ]


def test_other_digits_to_send_are_the_same_number_of_a_campaign() -> None:
    upload = read(["2223334444;postd=1", "2223334444;ani=7;postd=2", "2223334444"])
    assert without_repeats(upload, Unique.CAMPAIGN) == Upload((Entry("tel:+12223334444;postd=1"),), dropped=2)


def test_numbers_that_the_campaign_has_are_dropped_whatever_their_parameters_and_references() -> None:
    upload = Upload((Entry("tel:+12223334444;ani=1", "a"), SECOND, Entry("tel:+12223334444;postd=2")), dropped=1)
    known = [Entry("tel:+12223334444;ani=9;postd=9", "z"), Entry("tel:+122233344445")]
    assert without_known(upload, known) == Upload((SECOND,), dropped=3)


def test_a_number_that_begins_with_another_one_is_another_number() -> None:
    upload = Upload((Entry("tel:+441234567"), Entry("tel:+4412345678")))
    assert without_known(upload, [Entry("tel:+44123456"), Entry("tel:+44123456789")]) == upload


numbers = st.sampled_from(["tel:+12223334444", "tel:+12223334445", "tel:+441234567", "tel:+4412345678"])
entries = st.builds(
    lambda number, parameters, reference: Entry(number + parameters, reference),
    numbers,
    st.sampled_from(["", ";ani=1", ";ani=2", ";postd=1", ";ani=1;postd=1"]),
    st.sampled_from(["", "a", "b"]),
)


@given(st.lists(st.lists(entries, max_size=6), max_size=4), st.lists(entries, max_size=8))
def test_after_any_uploads_each_number_is_queued_once_and_every_entry_is_counted(
    uploads: list[list[Entry]], upload: list[Entry]
) -> None:
    """An upload that is compared with one earlier upload after the other loses the same as with all of them."""
    queued = [entry for one in uploads for entry in one]
    once = without_repeats(Upload(tuple(upload)), Unique.CAMPAIGN)
    found = without_known(once, queued)
    one_by_one = once
    for earlier in uploads:
        one_by_one = without_known(one_by_one, earlier)
    assert one_by_one == found
    assert len(found.entries) + found.dropped == len(upload)
    before = [number_of(entry) for entry in (*queued, *upload)]
    assert found.entries == tuple(
        entry for place, entry in enumerate(upload) if number_of(entry) not in before[: len(queued) + place]
    )


def test_a_campaign_may_have_so_many_numbers_and_no_more() -> None:
    check_comparable(MOST_COMPARED)
    with pytest.raises(TooManyToCompare) as refused:
        check_comparable(MOST_COMPARED + 1)
    assert (refused.value.limit, refused.value.numbers) == (200_000, 200_001)


def test_comparing_with_the_largest_campaign_takes_little_time() -> None:
    known = [Entry(f"tel:+1222{number:07};ani=7778889999", f"ref {number}") for number in range(MOST_COMPARED)]
    upload = Upload(tuple(known[: MOST_COMPARED // 2]))
    begun = time.process_time()
    assert without_known(upload, known) == Upload((), dropped=MOST_COMPARED // 2)
    assert time.process_time() - begun < 1.5
