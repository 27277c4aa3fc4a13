"""Times that depend on each other, and are defined in different modules, agree."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from app import app
from chalicelib.calling.dialer import CALL_TIME
from chalicelib.calling.reporter import REPORT_TIME
from chalicelib.domain.last_look import KNOWN_FOR
from chalicelib.domain.load import INVOCATION_OVERHEAD, LONGEST_SPAN
from chalicelib.domain.pacing import CLOCKS_DIFFER, HORIZON, TICK
from chalicelib.domain.settling import DISPATCHED_FOR, LOST_AFTER, REPORTING_AFTER_EVENT_FOR
from chalicelib.functions.invocation import SPARE
from chalicelib.storage.tasks import LEASE_TIME
from infra.template.queues import DIALER_TIMEOUT, VISIBILITY_TIMEOUT

SECOND = timedelta(seconds=1)
DIALER_LIVES = DIALER_TIMEOUT * SECOND
MESSAGE_IS_HIDDEN = VISIBILITY_TIMEOUT * SECOND
CONFIG = json.loads((Path(__file__).parents[2] / ".chalice" / "config.json").read_text())
FUNCTIONS = CONFIG["stages"]["prod"]["lambda_functions"]


def test_a_tick_is_the_time_between_two_invocations_by_a_rule() -> None:
    rules = {
        source.name: source.schedule_expression
        for source in app.event_sources
        if hasattr(source, "schedule_expression")
    }
    assert rules == {"pacer": "rate(1 minute)", "settler": "rate(1 minute)"}
    assert timedelta(minutes=1) == TICK


@pytest.mark.parametrize("function", ["pacer", "settler"])
def test_a_tick_ends_before_the_next_one_and_has_time_to_finish(function: str) -> None:
    assert SPARE < FUNCTIONS[function]["lambda_timeout"] * SECOND == TICK


def test_a_dialer_has_time_for_the_last_call_of_the_longest_slice_and_its_report() -> None:
    assert INVOCATION_OVERHEAD + LONGEST_SPAN + CALL_TIME + REPORT_TIME < DIALER_LIVES


def test_a_number_counts_as_lost_only_after_its_message_was_due_and_its_dialer_ended() -> None:
    assert HORIZON + DIALER_LIVES + 2 * CLOCKS_DIFFER < LOST_AFTER


def test_a_lease_lasts_longer_than_a_dialer_that_dies_and_the_next_one_with_its_message() -> None:
    assert HORIZON + MESSAGE_IS_HIDDEN + DIALER_LIVES + 2 * CLOCKS_DIFFER < LEASE_TIME


def test_a_report_after_an_event_is_scheduled_again_only_after_a_settler_and_a_dialer_had_their_time() -> None:
    settler_takes = FUNCTIONS["settler"]["lambda_timeout"] * SECOND
    assert TICK + settler_takes + DIALER_LIVES + 2 * CLOCKS_DIFFER < REPORTING_AFTER_EVENT_FOR


def test_a_report_after_an_event_is_dispatched_by_the_next_tick_or_after_a_dialer_could_have_sent_it() -> None:
    settler_takes = FUNCTIONS["settler"]["lambda_timeout"] * SECOND
    assert TICK + settler_takes <= DISPATCHED_FOR
    assert DIALER_LIVES + 2 * CLOCKS_DIFFER < REPORTING_AFTER_EVENT_FOR - DISPATCHED_FOR


def test_a_snapshot_is_valid_for_less_than_two_seconds() -> None:
    assert KNOWN_FOR < 2 * SECOND
