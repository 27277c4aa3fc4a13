"""Which numbers a search finds, and where it goes on."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import product

import pytest

from chalicelib.domain import search
from chalicelib.domain.call import Claim, ReportState, State, finished
from chalicelib.domain.models import Campaign, Entry, Plan, Status
from chalicelib.domain.search import EXPIRED, MOST_EXAMINED, QUEUED, STATES, Criteria
from tests.support.examples import ENTRY, KEY, NOW, OUTCOME

CALL = finished(Claim(KEY, ENTRY, 1, 0, False, "", NOW), OUTCOME, NOW, ReportState.NONE)
PLAN = Plan(date(2026, 1, 5), date(2026, 1, 9), 1, (), "http://tenant.example/", None)


def campaign(settled: int, head: int, tail: int) -> Campaign:
    return Campaign("acme", 1, PLAN, Status.RUNNING, settled=settled, head=head, tail=tail)


@pytest.mark.parametrize(
    ("sought", "found"),
    [
        ("tel:+12223334444", ["", ";ani=7", ";ani=7;postd=1", ";postd=1"]),
        ("tel:+12223334444;ani=7", [";ani=7"]),
        ("tel:+12223334444;postd=1", [";postd=1"]),
        ("tel:+1222333444", []),
        ("tel:+122233344445", ["5", "5;ani=7"]),
    ],
)
def test_a_number_is_found_with_any_parameters_and_one_with_parameters_only_with_the_same(
    sought: str, found: list[str]
) -> None:
    criteria = Criteria(destination=sought)
    tails = ["", ";ani=7", ";ani=7;postd=1", ";postd=1", "5", "5;ani=7"]
    assert [tail for tail in tails if criteria.admit(Entry(f"tel:+12223334444{tail}", "a"))] == found


def test_a_reference_is_found_only_whole() -> None:
    references = ["", "a", "A", "ab", "a b"]
    for sought in references:
        criteria = Criteria(message_reference=sought)
        assert [one for one in references if criteria.admit(Entry("tel:+12223334444", one))] == [sought]


def test_every_criterion_must_be_met() -> None:
    criteria = Criteria("tel:+12223334444", "a")
    entries = [Entry(number, one) for number, one in product(("tel:+12223334444", "tel:+14443332222"), ("a", "b"))]
    assert [criteria.admit(entry) for entry in entries] == [True, False, False, False]
    assert all(Criteria().admit(entry) for entry in entries)


def test_a_number_from_the_head_on_is_queued_even_if_it_has_a_record() -> None:
    assert search.state_of(5, None, campaign(2, 5, 9), ()) == QUEUED
    assert not search.is_shown(5, CALL, campaign(2, 5, 9), moved=())


def test_a_canceled_number_is_shown_as_such_wherever_it_is() -> None:
    canceled = replace(CALL, state=State.CANCELED)
    assert [search.state_of(sequence, canceled, campaign(2, 5, 9), ()) for sequence in (1, 4, 5, 8)] == ["canceled"] * 4


def test_a_number_before_the_head_has_the_state_of_its_record() -> None:
    assert search.state_of(4, CALL, campaign(2, 5, 9), ()) == State.COMPLETED
    assert search.state_of(1, CALL, campaign(2, 5, 9), ()) == State.COMPLETED


def test_a_number_without_a_record_is_dialling_until_it_is_settled() -> None:
    assert [search.state_of(sequence, None, campaign(2, 5, 9), ()) for sequence in (1, 2, 4)] == [
        EXPIRED,
        *[State.DIALLING] * 2,
    ]


def test_only_queued_numbers_are_from_the_head_on_and_only_others_before_it() -> None:
    now = campaign(2, 5, 9)

    def searched(first: int, *states: str, moved: Sequence[int] = ()) -> range:
        return search.searched(Criteria(states=frozenset(states)), now, first, moved)

    assert searched(0) == searched(0, QUEUED, State.FAILED) == searched(0, *STATES) == range(9)
    assert searched(0, QUEUED) == range(5, 9)
    assert searched(7, QUEUED) == range(7, 9)
    assert searched(0, State.CANCELED) == range(9)
    for state in {*STATES} - {QUEUED, State.CANCELED}:
        assert searched(0, state) == range(5)
        assert not searched(6, state)
    assert searched(0, State.COMPLETED, moved=[6, 7]) == range(8)
    assert not searched(9)
    assert not searched(2**32)


@pytest.mark.parametrize("length", [0, 1, MOST_EXAMINED - 1, MOST_EXAMINED, MOST_EXAMINED + 1, 10 * MOST_EXAMINED])
def test_a_request_looks_at_a_bounded_part(length: int) -> None:
    whole = range(7, 7 + length)
    part = search.examined(whole)
    assert (part.start, len(part)) == (7, min(length, 10_000))
    assert search.next_after(whole, [], limit=5) == (part.stop - 1 if length > 10_000 else None)


def test_a_search_goes_on_after_the_last_number_that_fits_the_page() -> None:
    whole = range(100)
    assert search.next_after(whole, [3, 8], limit=2) == 8
    assert search.next_after(whole, [3, 8], limit=3) is None
    assert search.next_after(whole, [3, 99], limit=2) is None


@pytest.mark.parametrize("most", [1, 2, 3, 5, 20])
def test_whatever_matches_each_number_is_found_once(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """For every set of matches among eight numbers, every limit, and every beginning."""
    monkeypatch.setattr(search, "MOST_EXAMINED", most)
    now = campaign(0, 0, 8)
    for matches, limit, begin in product(range(2**8), range(1, 9), range(9)):
        found: list[int] = []
        after: int | None = begin - 1
        while after is not None:
            whole = search.searched(Criteria(), now, after + 1, moved=())
            page = [sequence for sequence in search.examined(whole) if matches >> sequence & 1][:limit]
            found += page
            after = search.next_after(whole, page, limit)
        assert found == [sequence for sequence in range(begin, 8) if matches >> sequence & 1]
