"""How far a campaign is, and what it has come to."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.call import Call, ReportState, State
from chalicelib.domain.models import CallKey, Campaign, Counts, Entry, Plan, Status, Window
from chalicelib.domain.outcome import CalleeType
from chalicelib.domain.progress import progress, status
from chalicelib.domain.settling import REPORTING_FOR, is_under_way, owed, walk

NOW = datetime(2026, 1, 5, 13, tzinfo=UTC)
PLAN = Plan(date(2026, 1, 5), date(2026, 1, 5), 1, (Window(1, 8 * 60, 11 * 60),), "http://tenant.example/", None)
RUNNING = Campaign("acme", 1, PLAN, Status.RUNNING, tail=10, head=6, settled=2, counts=Counts(completed=2))


def call(sequence: int, state: State, report: ReportState = ReportState.NONE, ended: datetime = NOW) -> Call:
    entry, key = Entry("tel:+12223334444"), CallKey("acme", 1, sequence)
    return Call(key, entry, state, 1, NOW, None, CalleeType.UNKNOWN, 0, ended, report, 0, None)


def test_a_released_number_without_a_record_is_on_its_way() -> None:
    done = progress(RUNNING, [State.COMPLETED, State.DEFERRED])
    assert (done.total, done.queued, done.dialling, done.deferred, done.completed) == (10, 4, 2, 1, 3)


@given(tail=st.integers(0, 50), data=st.data())
def test_the_numbers_always_add_up_to_the_total(tail: int, data: st.DataObject) -> None:
    head = data.draw(st.integers(0, tail))
    settled = data.draw(st.integers(0, head))
    failed = data.draw(st.integers(0, settled))
    known = data.draw(st.lists(st.sampled_from(State), max_size=head - settled))
    campaign = replace(
        RUNNING, tail=tail, head=head, settled=settled, counts=Counts(completed=settled - failed, failed=failed)
    )
    done = progress(campaign, known)
    parts = (done.queued, done.dialling, done.deferred, done.completed, done.failed, done.uncertain)
    assert sum(parts) == done.total == tail
    assert min(parts) >= 0


def test_settling_stops_at_the_first_number_without_an_outcome() -> None:
    calls = {2: call(2, State.COMPLETED), 3: call(3, State.FAILED), 5: call(5, State.COMPLETED)}
    assert walk(2, Counts(completed=2), calls).settled == 4
    assert walk(2, Counts(completed=2), calls).counts == Counts(completed=3, failed=1)


def test_settling_stops_at_a_number_to_be_dialled_again_and_at_one_being_reported() -> None:
    assert walk(0, Counts(), {0: call(0, State.DEFERRED)}).settled == 0
    assert walk(0, Counts(), {0: call(0, State.DIALLING)}).settled == 0
    assert walk(0, Counts(), {0: call(0, State.UNCERTAIN, ReportState.PENDING)}).settled == 0
    assert walk(0, Counts(), {0: call(0, State.UNCERTAIN, ReportState.DEFERRED)}).counts == Counts(uncertain=1)


def test_a_report_that_was_begun_long_ago_is_owed() -> None:
    young = call(0, State.COMPLETED, ReportState.PENDING, NOW - REPORTING_FOR + timedelta(seconds=1))
    old = call(1, State.COMPLETED, ReportState.PENDING, NOW - REPORTING_FOR)
    told = call(2, State.COMPLETED, ReportState.DELIVERED, NOW - REPORTING_FOR)
    assert owed([young, old, told], NOW) == [old.key]
    assert [is_under_way(one) for one in (young, told, call(3, State.DIALLING), call(4, State.DEFERRED))] == [
        True,
        False,
        True,
        False,
    ]


def test_a_campaign_is_completed_when_all_is_settled_and_reported() -> None:
    done = replace(RUNNING, head=10, settled=10)
    assert status(done, NOW, reports_outstanding=False) is Status.COMPLETED
    assert status(done, NOW, reports_outstanding=True) is Status.RUNNING
    assert status(replace(done, status=Status.STOPPED), NOW, reports_outstanding=False) is Status.COMPLETED


def test_a_campaign_with_numbers_left_has_ended_the_day_after_its_last() -> None:
    midnight = datetime(2026, 1, 6, 5, tzinfo=UTC)
    assert status(RUNNING, midnight - timedelta(seconds=1), reports_outstanding=False) is Status.RUNNING
    assert status(RUNNING, midnight, reports_outstanding=False) is Status.ENDED
    assert status(replace(RUNNING, status=Status.CREATED), midnight, reports_outstanding=False) is Status.CREATED


def test_an_empty_campaign_is_not_completed() -> None:
    empty = Campaign("acme", 1, PLAN, Status.RUNNING)
    assert status(empty, NOW, reports_outstanding=False) is Status.RUNNING
