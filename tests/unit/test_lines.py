"""Who may take a line, when it is free again, and how often refills come."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import lines
from chalicelib.domain.call import Call, RecordedEvent, ReportState, State
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.lines import LONGEST_GAP, SHORTEST_GAP, HeldLine, LineLimits, Lines
from chalicelib.domain.models import Day, Entry, Plan, Profile, Schedule, Window
from chalicelib.domain.outcome import CalleeType
from chalicelib.domain.pacing import HORIZON, TICK, Pace, fresh, slots
from chalicelib.domain.providers import EventStatus
from chalicelib.domain.timetable import Timetable
from tests.support.examples import CAMPAIGN
from tests.support.world import EIGHT

SECOND = timedelta(seconds=1)
PLAN = Plan(date(2026, 1, 5), date(2026, 1, 9), 1, (Window(1, 8 * 60, 11 * 60),), "http://tenant.example/start", None)
UNTIL = EIGHT + 90 * SECOND


def held(sequence: int, attempt: int = 1, campaign: CampaignKey = CAMPAIGN) -> HeldLine:
    return HeldLine(campaign.call(sequence), attempt, UNTIL)


def call(state: State, attempt: int, **known: object) -> Call:
    fields: dict[str, object] = {
        "skipped": False,
        "claimed_at": EIGHT,
        "reason": None,
        "callee_type": CalleeType.UNKNOWN,
        "duration": 0,
        "last_attempt_at": None,
        "report": ReportState.NONE,
        "report_attempts": 0,
        "report_error": None,
        **known,
    }
    return Call(CAMPAIGN.call(1), Entry("tel:+12223334444"), state, attempt, **fields)  # type: ignore[arg-type] # known by name


class TestALineIsFreeAgain:
    @pytest.mark.parametrize(
        ("found", "is_over"),
        [
            (call(State.DIALLING, 2), False),
            (call(State.IN_PROGRESS, 2), False),
            (call(State.COMPLETED, 2), True),
            (call(State.FAILED, 2), True),
            (call(State.UNCERTAIN, 2), True),
            (call(State.DEFERRED, 2), True),  # it failed, and is tried again
            (call(State.DIALLING, 3), True),  # a later attempt has a line of its own
        ],
    )
    def test_when_the_record_shows_that_the_attempt_is_over(self, found: Call, is_over: bool) -> None:
        for now in (EIGHT, UNTIL, UNTIL + timedelta(days=1)):
            assert lines.is_over(held(1, attempt=2), found, now) == is_over

    @pytest.mark.parametrize("found", [None, call(State.DEFERRED, 0)])
    def test_when_no_message_can_claim_the_attempt_any_more(self, found: Call | None) -> None:
        assert lines.is_unclaimed(held(1), found)
        assert not lines.is_over(held(1), found, UNTIL - SECOND)
        assert lines.is_over(held(1), found, UNTIL)


class TestFreeLines:
    HELD = Lines((held(1), held(2), held(1, campaign=CampaignKey("acme", 7))))

    @pytest.mark.parametrize(
        ("of_campaign", "of_account", "free"),
        [(3, None, 1), (2, None, 0), (1, None, 0), (None, 5, 2), (9, 5, 2), (3, 5, 1), (9, 2, 0)],
    )
    def test_both_limits_hold(self, of_campaign: int | None, of_account: int | None, free: int) -> None:
        assert self.HELD.free(CAMPAIGN.id, LineLimits(of_campaign, of_account)) == free

    def test_an_attempt_that_is_dispatched_again_keeps_its_line(self) -> None:
        again = HeldLine(CAMPAIGN.call(1), 1, UNTIL + 10 * SECOND)
        assert set(self.HELD.with_held([again]).held) == {again, *self.HELD.held[1:]}

    def test_only_the_line_that_was_found_over_becomes_free(self) -> None:
        """Another refill may have dispatched the same attempt again since."""
        again = HeldLine(CAMPAIGN.call(1), 1, UNTIL + 10 * SECOND)
        assert self.HELD.with_held([again]).without({held(1): None}).held[0] == again

    def test_the_average_time_of_a_line_is_that_of_the_calls_that_ended(self) -> None:
        first = self.HELD.without({held(1): 40 * SECOND, held(2): None, held(9): 1000 * SECOND})
        assert (len(first.held), first.time_held) == (1, 40 * SECOND)
        assert first.without({}).time_held == 40 * SECOND

    def test_an_accounts_campaigns_share_their_lines_only_if_the_account_has_a_limit(self) -> None:
        assert lines.scope(CAMPAIGN, LineLimits(5, None)) == "acme/1"
        assert lines.scope(CAMPAIGN, LineLimits(5, 10)) == lines.scope(CampaignKey("acme", 7), LineLimits(None, 10))

    @pytest.mark.parametrize(("limits", "lowest"), [((5, None), 5), ((None, 7), 7), ((9, 7), 7)])
    def test_the_lowest_limit_counts(self, limits: tuple[int | None, int | None], lowest: int) -> None:
        assert LineLimits(*limits).lowest == lowest
        assert LineLimits(*limits).are_set
        assert not LineLimits(None, None).are_set


def test_a_line_is_held_from_the_claim_to_the_last_that_is_known_of_the_attempt() -> None:
    answered = call(State.COMPLETED, 1, last_attempt_at=EIGHT + SECOND)
    assert lines.time_held(held(1), answered) == SECOND
    assert lines.time_held(held(1), call(State.COMPLETED, 1, ended_at=EIGHT + 40 * SECOND)) == 40 * SECOND
    events = tuple(RecordedEvent(EIGHT + 30 * SECOND, attempt, EventStatus.BUSY) for attempt in (1, 2))
    assert lines.time_held(held(1), call(State.DEFERRED, 1, events=events[:1])) == 30 * SECOND
    assert lines.time_held(held(1), call(State.DEFERRED, 1, events=events[1:])) is None
    assert lines.time_held(held(1), call(State.DIALLING, 2, last_attempt_at=EIGHT)) is None
    assert lines.time_held(held(1), None) is None
    canceled_later = call(State.CANCELED, 1, last_attempt_at=EIGHT + SECOND, ended_at=EIGHT + 7200 * SECOND)
    assert lines.time_held(held(1), canceled_later) == SECOND


class TestRefills:
    TIMETABLE = Timetable.of(PLAN, Schedule("acme", 1, None, tuple(Day)))

    def found(self, amount: int, length: timedelta) -> list[lines.Stretch]:
        paces = [Pace.of(Profile("acme", 1, None, 1, amount, 0))]
        return list(lines.stretches(self.TIMETABLE, paces, fresh(1, EIGHT), EIGHT, length))

    @pytest.mark.parametrize(
        ("free", "rate", "time_held", "expected"),
        [
            (10, 1.0, 45.0, 2.75),  # scarce: a twelfth of a call's time, without the time to the next slot
            (10, 10.0, 45.0, 3.65),
            (500, 10.0, 45.0, 3.65),  # to spare, but for 5 seconds only
            (600, 10.0, 45.0, 7.4),  # to spare: when half of them are in use
            (10_000, 10.0, 45.0, 15.0),
            (10, 10.0, 0.2, 1.0),
            (1, 0.0, 45.0, 15.0),
        ],
    )
    def test_come_often_where_lines_are_scarce(self, free: int, rate: float, time_held: float, expected: float) -> None:
        assert lines.gap(free, rate, time_held * SECOND).total_seconds() == pytest.approx(expected, abs=0.01)

    @given(st.integers(1, 10_000), st.floats(0.001, 2_000), st.floats(0, 14_400))
    def test_come_within_their_bounds(self, free: int, rate: float, time_held: float) -> None:
        assert SHORTEST_GAP <= lines.gap(free, rate, time_held * SECOND) <= LONGEST_GAP

    @pytest.mark.parametrize("amount", [1, 6, 60, 600])
    @pytest.mark.parametrize("length", [1.0, 3.7, 15.0])
    def test_cover_each_slot_up_to_past_the_next_tick_and_begin_before_it(self, amount: int, length: float) -> None:
        stretches = self.found(amount, length * SECOND)
        paces = [Pace.of(Profile("acme", 1, None, 1, amount, 0))]
        for slot in slots(self.TIMETABLE, paces, fresh(1, EIGHT), EIGHT, TICK + lines.OVERLAP):
            stretch = next(one for one in stretches if slot.due <= one.until)
            assert stretch.begin <= slot.due
        assert all(one.until < other.until for one, other in pairwise(stretches))
        assert len(stretches) <= min(HORIZON / (length * SECOND), amount * 1.25) + 2
