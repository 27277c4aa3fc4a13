"""What becomes of listed open calls: which lists are merged, and what is written of them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.call import Call, ReportState, State
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Campaign, Counts, Entry, Plan, Status, Window
from chalicelib.domain.open_calls import (
    MOST_LISTED,
    MOST_MERGED,
    MOST_WRITES,
    GroupChanges,
    changes_of,
    groups,
    is_to_be_written,
)
from chalicelib.domain.outcome import CalleeType
from chalicelib.domain.settling import SettlingAction
from chalicelib.domain.tasks import OpenCalls

NOW = datetime(2026, 1, 5, 13, tzinfo=UTC)
CAMPAIGN, ENTRY = CampaignKey("acme", 1), Entry("tel:+12223334444")
PLAN = Plan(date(2026, 1, 5), date(2026, 1, 5), 1, (Window(1, 8 * 60, 11 * 60),), "http://tenant.example/", None)
RUNNING = Campaign("acme", 1, PLAN, Status.RUNNING, tail=1000, head=900, settled=800)


def listed(*sequences: int) -> OpenCalls:
    return OpenCalls(frozenset(sequences), f"list of {sequences[0]}")


def call(sequence: int, state: State, report: ReportState = ReportState.NONE, at: datetime = NOW) -> Call:
    """A listed call that was claimed and answered at `at`."""
    key = CAMPAIGN.call(sequence)
    known = Call(key, ENTRY, state, 1, False, at, None, CalleeType.UNKNOWN, 0, at, report, 0, None)
    return replace(known, listed=True)


def changes(group: Sequence[OpenCalls], *calls: Call) -> GroupChanges:
    return changes_of(RUNNING, group, {one.key.sequence: one for one in calls}, now=NOW, read_at=NOW)


@given(st.lists(st.integers(1, MOST_LISTED), max_size=300))
def test_groups_have_each_list_once_and_fit_into_one_list(sizes: list[int]) -> None:
    lists = [listed(*range(place * MOST_LISTED, place * MOST_LISTED + size)) for place, size in enumerate(sizes)]
    found = groups(lists)
    assert [one for group in found for one in group] == lists
    assert all(0 < len(group) <= MOST_MERGED for group in found)
    assert all(sum(len(one.sequences) for one in group) <= MOST_LISTED for group in found)


def test_single_numbers_share_a_group() -> None:
    assert [len(group) for group in groups(listed(place) for place in range(200))] == [MOST_MERGED, MOST_MERGED, 20]
    assert [len(group) for group in groups([listed(*range(MOST_LISTED)), listed(501), listed(502)])] == [1, 2]


def test_what_has_ended_and_is_reported_is_counted_and_leaves_its_list() -> None:
    ended = [call(1, State.COMPLETED), call(4, State.UNCERTAIN, ReportState.DELIVERED)]
    found = changes([listed(1, 2), listed(3, 4)], *ended, call(2, State.IN_PROGRESS), call(3, State.DIALLING))
    assert [one.key.sequence for one in found.counted] == [1, 4]
    assert found.left == {2, 3}
    assert found.campaign == replace(RUNNING, counts=Counts(completed=1, uncertain=1))
    assert (found.skipped, found.mended) == ([], [])


def test_a_listed_number_without_a_record_stays_listed() -> None:
    assert changes([listed(1)]).left == {1}


def test_a_number_from_the_head_on_stays_listed() -> None:
    found = changes([listed(899, 900)], call(899, State.COMPLETED), call(900, State.COMPLETED))
    assert [one.key.sequence for one in found.counted] == [899]
    assert found.left == {900}


def test_what_is_overdue_is_mended_and_stays_listed() -> None:
    old = NOW - timedelta(hours=2)
    pending = replace(call(2, State.COMPLETED, ReportState.PENDING, at=old), ended_at=old)
    found = changes([listed(1, 2, 3)], call(1, State.IN_PROGRESS, at=old), pending, call(3, State.IN_PROGRESS))
    assert [(one.sequence, one.action) for one in found.mended] == [
        (1, SettlingAction.EXPIRE),
        (2, SettlingAction.DEFER_REPORT),
    ]
    assert found.left == {1, 2, 3}


def test_as_many_deferred_calls_are_skipped_as_one_transaction_writes() -> None:
    many = [call(sequence, State.DEFERRED) for sequence in range(200)]
    alone = changes([listed(*range(200))], *many)
    assert len(alone.skipped) == MOST_WRITES - 2
    assert alone.left == frozenset(range(MOST_WRITES - 2, 200))
    merged = changes([listed(one.key.sequence) for one in many[:MOST_MERGED]], *many)
    assert 0 < len(merged.skipped) == MOST_WRITES - 1 - MOST_MERGED


def test_a_first_report_is_dispatched_once() -> None:
    ended = [
        replace(call(sequence, State.FAILED, ReportState.PENDING), ended_at=NOW - timedelta(seconds=1))
        for sequence in range(4)
    ]
    group = [replace(listed(0, 1), dispatched=frozenset({0})), replace(listed(2, 3, 4), dispatched=frozenset({3, 4}))]
    found = changes(group, *ended, call(4, State.FAILED, ReportState.DELIVERED))
    assert [one.key.sequence for one in found.reports] == [1, 2]
    assert (found.left, found.dispatched) == (frozenset(range(4)), frozenset(range(4)))
    alone = [listed(0)]
    assert is_to_be_written(alone, changes(alone, ended[0]))
    known = [replace(listed(0), dispatched=frozenset({0}))]
    assert not is_to_be_written(known, changes(known, ended[0]))


def test_lists_are_written_if_they_change_or_become_one() -> None:
    alone, several = [listed(1)], [listed(1), listed(2)]
    assert not is_to_be_written(alone, changes(alone, call(1, State.IN_PROGRESS)))
    assert is_to_be_written(alone, changes(alone, call(1, State.COMPLETED)))
    assert is_to_be_written(several, changes(several))
