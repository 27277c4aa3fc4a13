"""What the settler does with each number before the head."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.call import Call, ReportState, State
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Entry
from chalicelib.domain.outcome import CalleeType
from chalicelib.domain.settling import still_to_do
from chalicelib.domain.tasks import DialTask, ReportTask, Task

NOW = datetime(2026, 1, 5, 13, tzinfo=UTC)
SECOND = timedelta(seconds=1)
CAMPAIGN, ENTRY = CampaignKey("acme", 1), Entry("tel:+12223334444")
FIRST, SECOND_ATTEMPT = (DialTask(CAMPAIGN.call(0), ENTRY, attempt, None) for attempt in (1, 2))
REPORT = ReportTask(CAMPAIGN.call(0), 1, NOW)


def call(
    state: State,
    report: ReportState = ReportState.NONE,
    *,
    sequence: int = 0,
    at: datetime = NOW,
    skipped: bool = False,
) -> Call:
    """A call that was claimed and answered at `at`."""
    key = CAMPAIGN.call(sequence)
    return Call(key, ENTRY, state, 1, skipped, at, None, CalleeType.UNKNOWN, 0, at, report, 0, None)


@pytest.mark.parametrize(
    ("task", "record", "left"),
    [
        (FIRST, None, True),
        (SECOND_ATTEMPT, call(State.DEFERRED, at=NOW - SECOND), True),
        (SECOND_ATTEMPT, call(State.DEFERRED, at=NOW + 2 * SECOND), True),  # by clocks that differ, it may be older
        (SECOND_ATTEMPT, replace(call(State.DEFERRED), claimed_at=None), True),
        (SECOND_ATTEMPT, call(State.DEFERRED, at=NOW + 3 * SECOND), False),  # it has a task of its own
        (FIRST, call(State.DEFERRED, at=NOW - SECOND), False),
        (SECOND_ATTEMPT, call(State.DIALLING, at=NOW - SECOND), False),
        (REPORT, call(State.FAILED, ReportState.PENDING), True),
        (REPORT, call(State.FAILED, ReportState.DEFERRED), True),
        (REPORT, call(State.FAILED, ReportState.DELIVERED), False),
    ],
)
def test_what_is_left_of_a_task_that_was_leased_now(task: Task, record: Call | None, left: bool) -> None:
    assert still_to_do(task, record, leased_at=NOW) is left
