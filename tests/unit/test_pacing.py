"""P5: a period has at most its amount of calls. A full one has exactly its amount, evenly spread."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chalicelib.domain import pacing
from chalicelib.domain.models import Cursor, Day, Profile, Window
from chalicelib.domain.pacing import Pace, Selection, Slot
from chalicelib.domain.timetable import Opening, Timetable

EIGHT = datetime(2026, 1, 5, 13, tzinfo=UTC)  # a Monday, 08:00 in New York
ELEVEN = EIGHT + timedelta(hours=3)
#: A tick at this instant dispatches the first 74 seconds from eight o'clock.
JUST_BEFORE = EIGHT - timedelta(seconds=1)
HORIZON = timedelta(seconds=75)
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def pace(period: int = 1, amount: int = 60, rest: int = 0) -> Pace:
    return Pace.of(Profile("acme", 1, None, period=period, amount_per_period=amount, time_between_periods=rest))


def morning(windows: int = 1) -> Timetable:
    return Timetable(date(2026, 1, 5), date(2026, 1, 5), frozenset(Day), (Window(1, 8 * 60, 11 * 60),) * windows)


@dataclass
class Campaign:
    """A campaign that has enough numbers for all of its slots, unless a tick is given fewer."""

    paces: Sequence[Pace]
    timetable: Timetable = field(default_factory=morning)
    started: datetime = EIGHT - timedelta(minutes=1)
    dispatched: list[Slot] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cursors = pacing.fresh(len(self.paces), self.started)

    def tick(self, now: datetime, numbers: int = 100_000) -> list[Slot]:
        slots = list(islice(pacing.slots(self.timetable, self.paces, self.cursors, now, HORIZON), numbers))
        self.cursors = pacing.advance(self.cursors, slots)
        self.dispatched += slots
        return slots


def seconds(*slots: Slot) -> list[float]:
    """When they are due, from eight o'clock."""
    return [(slot.due - EIGHT).total_seconds() for slot in slots]


def each_minute(count: int, since: datetime = EIGHT) -> list[datetime]:
    return [since + timedelta(minutes=minute) for minute in range(count)]


def test_the_calls_of_a_period_are_evenly_spread_over_it() -> None:
    assert seconds(*Campaign([pace(amount=4)]).tick(JUST_BEFORE)) == [0, 15, 30, 45, 60]


def test_calls_further_apart_than_the_ticks_are_due_at_their_own_instants() -> None:
    campaign = Campaign([pace(period=45, amount=2)])
    for now in each_minute(90, JUST_BEFORE):
        campaign.tick(now)
    assert seconds(*campaign.dispatched) == [0, 1350, 2700, 4050, 5400]


def test_no_call_is_due_in_the_rest_after_a_period() -> None:
    campaign = Campaign([pace(period=1, amount=2, rest=1)])
    for now in each_minute(4, JUST_BEFORE):
        campaign.tick(now)
    assert seconds(*campaign.dispatched) == [0, 30, 120, 150, 240]


def test_no_slot_is_dispatched_twice() -> None:
    campaign = Campaign([pace()])
    assert campaign.tick(EIGHT) != []
    assert campaign.tick(EIGHT) == []


def test_nothing_is_due_before_the_window_opens_or_after_it_closes() -> None:
    campaign = Campaign([pace(amount=600)])
    for now in each_minute(200, EIGHT - timedelta(minutes=10)):
        campaign.tick(now)
    assert all(EIGHT <= slot.due < ELEVEN for slot in campaign.dispatched)
    assert len(campaign.dispatched) == 180 * 600


def test_no_call_is_due_at_the_closing_itself() -> None:
    campaign = Campaign([pace(period=60, amount=1)])
    for now in each_minute(181, JUST_BEFORE):
        campaign.tick(now)
    assert seconds(*campaign.dispatched) == [0, 3600, 7200]


def test_overlapping_windows_are_paced_independently() -> None:
    campaign = Campaign([pace(amount=2), pace(amount=3)], morning(windows=2))
    assert seconds(*campaign.tick(JUST_BEFORE)) == [0, 0, 20, 30, 40, 60, 60]


def test_slots_before_the_start_are_not_made_up_for() -> None:
    campaign = Campaign([pace(period=30, amount=30)], started=EIGHT + timedelta(minutes=10))
    assert seconds(*campaign.tick(EIGHT + timedelta(minutes=10))) == [660]


def test_missed_ticks_are_made_up_for_at_twice_the_pace() -> None:
    campaign = Campaign([pace(period=30, amount=30 * 6)])
    campaign.tick(JUST_BEFORE)
    slots = campaign.tick(JUST_BEFORE + timedelta(minutes=3))  # two ticks were missed
    assert seconds(*slots)[:3] == [187, 192, 197]
    assert {b - a for a, b in pairwise(seconds(*slots))} == {5.0}
    caught_up = seconds(*campaign.tick(JUST_BEFORE + timedelta(minutes=4)))
    assert {b - a for a, b in pairwise(caught_up)} == {5.0, 8.0, 10.0}
    assert caught_up[-1] == 310


def test_the_first_overdue_call_leaves_the_dialer_eight_seconds_to_start() -> None:
    campaign = Campaign([pace(amount=60)], started=EIGHT)
    assert seconds(*campaign.tick(EIGHT + timedelta(seconds=10)))[:4] == [18, 18.5, 19, 19.5]


def test_slots_of_an_earlier_period_are_not_made_up_for() -> None:
    campaign = Campaign([pace(period=1, amount=60)])
    campaign.tick(EIGHT)
    slots = campaign.tick(EIGHT + timedelta(minutes=5, seconds=-1))
    assert seconds(*slots[:3]) == [300, 301, 302]


def test_new_windows_do_not_repeat_slots_that_are_reserved_already() -> None:
    before = (Cursor(EIGHT + timedelta(seconds=75), EIGHT + timedelta(seconds=75)),)
    assert pacing.fresh(2, EIGHT, before) == before * 2


def test_an_amount_of_eleven_digits_costs_no_more_than_a_small_one() -> None:
    campaign = Campaign([pace(period=10**11 - 1, amount=10**11 - 1)])
    assert seconds(*campaign.tick(JUST_BEFORE, numbers=2)) == [0, 60]
    crowded = Campaign([pace(period=1, amount=10**11 - 1)])
    crowded.tick(EIGHT, numbers=5)
    assert pacing.count(Opening(EIGHT, ELEVEN), crowded.paces[0], EIGHT - MICROSECOND, ELEVEN) == 180 * (10**11 - 1)
    assert len(crowded.tick(EIGHT + timedelta(minutes=90), numbers=5)) == 5


def test_a_call_expires_with_its_period_or_its_window() -> None:
    campaign = Campaign([pace(period=100, amount=1)])
    for now in each_minute(180, JUST_BEFORE):
        campaign.tick(now)
    assert [slot.due for slot in campaign.dispatched] == [EIGHT, EIGHT + timedelta(minutes=100)]
    assert [slot.expires for slot in campaign.dispatched] == [EIGHT + timedelta(minutes=100), ELEVEN]


@pytest.mark.parametrize(
    ("period", "amount", "grace"),
    [(1, 60, 2), (1, 20, 2), (1, 15, 2), (1, 12, 2.5), (1, 1, 30), (45, 2, 675)],
    ids=["a second apart", "3 seconds", "4 seconds", "5 seconds", "a minute", "22.5 minutes"],
)
def test_a_call_is_late_by_at_most_two_seconds_or_half_the_gap_to_the_next(
    period: int, amount: int, grace: float
) -> None:
    slot, *_ = Campaign([pace(period, amount)]).tick(JUST_BEFORE)
    assert slot.start_deadline - slot.due == timedelta(seconds=grace)


def test_the_start_deadline_of_an_overdue_call_counts_from_when_it_is_made_up_for() -> None:
    slots = Campaign([pace(amount=60)], started=EIGHT).tick(EIGHT + timedelta(seconds=10))[:3]
    assert seconds(*slots) == [18, 18.5, 19]
    assert [slot.start_deadline - EIGHT for slot in slots] == [timedelta(seconds=at) for at in (20, 20.5, 21)]


def test_no_call_begins_after_its_period() -> None:
    slots = Campaign([pace(amount=60)], started=EIGHT + timedelta(seconds=40)).tick(EIGHT + timedelta(seconds=40))
    last = [slot for slot in slots if slot.expires == EIGHT + timedelta(minutes=1)][-3:]
    assert seconds(*last) == [57, 58, 59]
    assert [slot.start_deadline - EIGHT for slot in last] == [timedelta(seconds=at) for at in (59, 60, 60)]


PACES = st.builds(pace, period=st.integers(1, 45), amount=st.integers(1, 500), rest=st.integers(0, 20))


@given(pace=PACES, elapsed=st.integers(-10, 10**11))
def test_the_number_of_calls_due_agrees_with_their_instants(pace: Pace, elapsed: int) -> None:
    due = pace.due_by(elapsed)
    assert due == 0 or pace.due(due - 1) <= elapsed
    assert pace.due(due) > elapsed


@settings(deadline=None)
@given(
    period=st.integers(1, 45),
    amount=st.integers(1, 500),
    rest=st.integers(0, 20),
    gaps=st.lists(st.integers(1, 400), min_size=1, max_size=20),
)
def test_the_start_deadline_follows_from_the_pace_however_the_ticks_come(
    period: int, amount: int, rest: int, gaps: list[int]
) -> None:
    campaign, now = Campaign([pace(period, amount, rest)]), JUST_BEFORE
    for gap in gaps:
        campaign.tick(now)
        now += timedelta(seconds=gap)
    grace = max(timedelta(seconds=2), timedelta(minutes=period) / amount / 2)
    for slot in campaign.dispatched:
        cycle = (slot.due - EIGHT) // timedelta(minutes=period + rest)
        period_ends = EIGHT + cycle * timedelta(minutes=period + rest) + timedelta(minutes=period)
        assert slot.expires == min(period_ends, ELEVEN)
        # Half a gap is rounded down to the microsecond.
        assert timedelta(0) <= min(slot.expires, slot.due + grace) - slot.start_deadline <= MICROSECOND


@settings(deadline=None)
@given(
    paces=st.lists(PACES, min_size=1, max_size=2),
    gaps=st.lists(st.integers(1, 400), min_size=5, max_size=40),
    late=st.integers(0, 3600),
    numbers=st.lists(st.integers(0, 900), min_size=40, max_size=40),
)
def test_no_period_has_more_than_its_amount_however_the_ticks_come(
    paces: list[Pace], gaps: list[int], late: int, numbers: list[int]
) -> None:
    campaign = Campaign(paces, morning(len(paces)))
    now = EIGHT + timedelta(seconds=late - 60)
    for gap, enough in zip(gaps, numbers, strict=False):
        campaign.tick(now, enough)
        now += timedelta(seconds=gap)
    assert len(set(campaign.dispatched)) == len(campaign.dispatched)
    for index, one in enumerate(paces):
        mine = [slot for slot in campaign.dispatched if slot.window == index]
        assert max(Counter(period_of(slot.due, one) for slot in mine).values(), default=0) <= one.amount
        assert all(EIGHT <= slot.due < slot.expires <= ELEVEN for slot in mine)
        assert all(period_of(slot.due, one) == period_of(slot.instant, one) for slot in mine)
        half = one.period // one.amount // 2
        for a, b in pairwise(mine):
            same_period = period_of(a.due, one) == period_of(b.due, one)
            assert not same_period or (b.due - a.due) // MICROSECOND >= half - 1


@settings(deadline=None)
@example(pace=pace(period=45, amount=2), jitter=[0] * 181)
@given(pace=PACES, jitter=st.lists(st.integers(-7, 7), min_size=181, max_size=181))
def test_a_full_period_has_exactly_its_amount_though_ticks_are_early_or_late(pace: Pace, jitter: list[int]) -> None:
    campaign = Campaign([pace])
    for now, late in zip(each_minute(181, EIGHT - timedelta(seconds=30)), jitter, strict=True):
        campaign.tick(now + timedelta(seconds=late))
    in_period = Counter(period_of(slot.due, pace) for slot in campaign.dispatched)
    full = (ELEVEN - EIGHT) // MICROSECOND // pace.cycle
    assert [in_period[period] for period in range(full)] == [pace.amount] * full


def period_of(instant: datetime, pace: Pace) -> int:
    cycle, into = divmod((instant - EIGHT) // MICROSECOND, pace.cycle)
    assert into < pace.period
    return cycle


@given(part=st.floats(0.01, 1), amount=st.integers(1, 300), late=st.floats(0, 50))
def test_a_part_of_the_slots_is_evenly_spread(part: float, amount: int, late: float) -> None:
    cursors = pacing.fresh(1, EIGHT - timedelta(minutes=1))
    now = EIGHT + timedelta(seconds=late)
    every = list(pacing.slots(morning(), [pace(amount=amount)], cursors, now, HORIZON))
    some = list(pacing.slots(morning(), [pace(amount=amount)], cursors, now, HORIZON, Selection(1 / part)))
    assert set(some) <= set(every)
    assert abs(len(some) - part * len(every)) <= 2
    indexes = [every.index(slot) for slot in some]
    gaps = [after - before for before, after in pairwise(indexes)]
    # At the ends of periods, of which there are two at most, gaps may differ.
    assert sum(not int(1 / part) <= gap <= 1 / part + 1 for gap in gaps) <= 2


SELECTIONS = st.builds(
    Selection,
    st.floats(1, 20),
    st.floats(0.01, 1),
    st.floats(0.1, 20).map(lambda length: timedelta(seconds=length)),
    st.floats(0, 0.99),
)


@settings(deadline=None, max_examples=40)
@example(Selection(1, 0.01, timedelta(seconds=4), 15 * 0.618 % 1), (EIGHT - EPOCH) // MICROSECOND)
@given(selection=SELECTIONS, at=st.integers(0, 10**16))
def test_stretches_are_used_whole_and_in_the_selected_part(selection: Selection, at: int) -> None:
    length = selection.stretch // MICROSECOND
    used = selection.next_used(at)
    assert used == at or (used > at and used % length == 0)
    whole = (used - used % length, used - used % length + length - 1)
    assert all(selection.next_used(index) == index for index in whole)
    # Count the used ones of two hundred stretches.
    begins = [at - at % length + stretch * length for stretch in range(200)]
    found = [begin for begin in begins if selection.next_used(begin) == begin]
    assert abs(len(found) - selection.part * 200) <= 1
    assert all(selection.next_used(before + length) == after for before, after in pairwise(found))
    gaps = [(after - before) // length for before, after in pairwise(found)]
    # A gap is one shorter where a fraction falls on a stretch's edge.
    assert all(int(1 / selection.part) - 1 <= gap <= 1 / selection.part + 1 for gap in gaps)


@settings(deadline=None, max_examples=40)
@given(selection=SELECTIONS, amount=st.integers(1, 1000), ticks=st.lists(st.floats(30, 70), max_size=3))
def test_only_slots_in_used_stretches_are_dispatched_however_the_ticks_come(
    selection: Selection, amount: int, ticks: list[float]
) -> None:
    cursors = pacing.fresh(1, EIGHT - timedelta(minutes=1))
    now, found = EIGHT - timedelta(seconds=1), []
    for pause in [0, *ticks]:
        now += timedelta(seconds=pause)
        some = list(pacing.slots(morning(), [pace(amount=amount)], cursors, now, HORIZON, selection))
        cursors = pacing.advance(cursors, some)
        found += some
    instants = [slot.instant for slot in found]
    since_1970 = [(instant - EPOCH) // MICROSECOND for instant in instants]
    assert all(selection.next_used(at) == at for at in since_1970)
    assert instants == sorted(set(instants))
    assert all(slot.instant <= slot.due < slot.start_deadline <= slot.expires for slot in found)
    each = Counter(slot.due.replace(second=0, microsecond=0) for slot in found)
    assert not each or max(each.values()) <= amount


def test_each_of_many_campaigns_with_a_small_part_makes_some_calls() -> None:
    """Sixty campaigns of a call a second may make a hundredth of their calls each."""
    found = Counter[int]()
    for campaign in range(60):
        cursors = pacing.fresh(1, EIGHT - timedelta(minutes=1))
        selection = Selection(1, 0.01, timedelta(seconds=4), campaign * 0.618 % 1)
        for now in each_minute(60, JUST_BEFORE):
            some = list(pacing.slots(morning(), [pace()], cursors, now, HORIZON, selection))
            cursors = pacing.advance(cursors, some)
            found[campaign] += len(some)
    assert all(32 <= found[campaign] <= 40 for campaign in range(60))


def test_waiting_slots_are_counted_without_computing_each() -> None:
    cursors = pacing.fresh(1, EIGHT - timedelta(minutes=1))
    found = [
        pacing.estimate_slots(morning(), [pace(amount=amount)], cursors, EIGHT, HORIZON)
        for amount in (60, 99_999_999_999)
    ]
    assert found[0] == len(list(pacing.slots(morning(), [pace()], cursors, EIGHT, HORIZON)))
    assert found[1] > 10**11


def test_a_small_part_of_an_amount_of_eleven_digits_costs_no_more_than_a_small_amount() -> None:
    cursors = pacing.fresh(1, EIGHT - timedelta(minutes=1))
    paces = [pace(amount=99_999_999_999)]
    some = list(pacing.slots(morning(), paces, cursors, EIGHT, HORIZON, Selection(2e8)))
    assert 600 <= len(some) <= 650
    seconds_of = Counter(int(second) for second in seconds(*some))
    # Nine a second, or twice as many while the first seconds are made up for.
    assert max(seconds_of.values()) <= 2 * 9


def test_slots_left_out_are_not_made_up_for_when_the_used_stretches_change() -> None:
    """The part is about a hundredth of a thousand calls a minute, and differs a little from tick to tick."""
    cursors = pacing.fresh(1, EIGHT - timedelta(minutes=1))
    paces, found = [pace(period=60, amount=60_000)], 0
    for tick, now in enumerate(each_minute(50, JUST_BEFORE)):
        selection = Selection(1, 0.01 * (1 + tick % 7 / 1000), timedelta(seconds=1.2), 0.3)
        some = list(pacing.slots(morning(), paces, pacing.drop_missed(cursors, now), now, HORIZON, selection))
        cursors = pacing.advance(cursors, some)
        found += len(some)
    assert found <= 1.3 * 0.01 * 50 * 1000


def test_slots_beyond_the_horizon_are_not_computed() -> None:
    begun = time.process_time()
    selection = Selection(60, 0.5, timedelta(seconds=1), 0.3)
    paces = [pace(amount=60_000)]
    for now in each_minute(20, JUST_BEFORE):
        list(pacing.slots(morning(), paces, pacing.fresh(1, now), now, HORIZON, selection))
    assert time.process_time() - begun < 2
