"""Repeats of an upload's numbers in its campaign."""

import time

import pytest

from chalicelib.domain.models import Entry
from chalicelib.domain.repeats import MOST_COMPARED, check_comparable, without_known
from chalicelib.domain.upload import Upload
from chalicelib.errors import TooManyToCompare

SECOND = Entry("tel:+14443332222")


def test_numbers_that_the_campaign_has_are_dropped_whatever_their_parameters_and_references() -> None:
    upload = Upload((Entry("tel:+12223334444;ani=1", "a"), SECOND, Entry("tel:+12223334444;postd=2")), dropped=1)
    known = [Entry("tel:+12223334444;ani=9;postd=9", "z"), Entry("tel:+122233344445")]
    assert without_known(upload, known) == Upload((SECOND,), dropped=3)


def test_a_number_that_begins_with_another_one_is_another_number() -> None:
    upload = Upload((Entry("tel:+441234567"), Entry("tel:+4412345678")))
    assert without_known(upload, [Entry("tel:+44123456"), Entry("tel:+44123456789")]) == upload


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
