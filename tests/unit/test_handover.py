"""Messages between the pacer and the dialer."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.handover import Dial, Report, Unreadable, begins, from_message, to_message
from chalicelib.domain.models import CallKey, Entry

KEYS = st.builds(CallKey, st.text(), st.integers(1, 10**6), st.integers(0, 2**32 - 1))
#: entries as they are stored: a reference has neither line ends nor outer spaces
ENTRIES = st.builds(Entry, st.just("tel:+12223334444;ani=7778889999"), st.text("ab,;é🎉 ", max_size=20))
INSTANTS = st.datetimes(timezones=st.just(UTC))


@given(
    st.builds(
        Dial, KEYS, st.integers(1, 11), ENTRIES, st.integers(0), INSTANTS, INSTANTS, INSTANTS, st.none() | st.text()
    )
)
def test_a_dial_is_read_back_as_it_was_written(dial: Dial) -> None:
    assert from_message(to_message(dial)) == dial


@given(st.builds(Report, KEYS, st.integers(1, 10), st.text()))
def test_a_report_is_read_back_as_it_was_written(report: Report) -> None:
    assert from_message(to_message(report)) == report


NOW = datetime(2026, 1, 5, 13, tzinfo=UTC)
GOOD = to_message(Dial(CallKey("acme", 1, 0), 1, Entry("tel:+12223334444"), 1, NOW, NOW, NOW))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "rubbish",
        "null",
        "[]",
        "{}",
        '{"dial": 1}',
        '{"fax": {}}',
        GOOD.replace("due", "dew"),
        GOOD.replace("+00:00", ""),
        GOOD.replace('"attempt": 1', '"attempt": Infinity'),
        "[" * 100_000,
    ],
)
def test_what_no_pacer_wrote_is_unreadable(body: str) -> None:
    with pytest.raises(Unreadable):
        from_message(body)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(str))
def test_no_message_can_do_worse_than_be_unreadable(body: str) -> None:
    with pytest.raises(Unreadable):
        from_message(body)


def dials(*seconds: float, campaign: int = 1) -> list[Dial]:
    dues = [NOW + timedelta(seconds=second) for second in seconds]
    return [
        Dial(CallKey("acme", campaign, place), 1, Entry("tel:+12223334444"), 1, due, due, due)
        for place, due in enumerate(dues)
    ]


def test_calls_on_time_are_begun_at_their_instants() -> None:
    early = dials(1, 2, 3)
    assert begins(early, NOW) == {dial: dial.due for dial in early}


def test_calls_that_come_late_together_are_begun_as_far_apart_as_they_were_meant_to_be() -> None:
    late = dials(-2, -1.5, 0, 5)
    begun = [(begin - NOW).total_seconds() for begin in begins(reversed(late), NOW).values()]
    assert begun == [0, 0.5, 2, 5 + 2]


def test_one_campaign_does_not_hold_up_another() -> None:
    begun = begins([*dials(-2, -1), *dials(-2, campaign=2)], NOW)
    assert [(begin - NOW).total_seconds() for begin in begun.values()] == [0, 0, 1]
