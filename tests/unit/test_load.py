"""How many of the due calls are dispatched."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import load
from chalicelib.domain.call import Call, ReportState, State
from chalicelib.domain.keys import CallKey
from chalicelib.domain.models import Entry, Load
from chalicelib.domain.outcome import CalleeType
from chalicelib.domain.pacing import Pace, Selection
from chalicelib.domain.slicing import MOST_DIALS, MOST_SLOW_DIALS, Limits, dial_slices
from tests.support.slices import dials

SECOND = timedelta(seconds=1)
RATES = st.floats(0.01, 2000)
TIMES = st.floats(0, 60).map(lambda seconds: seconds * SECOND)


def kept_busy(selection: Selection, rate: float, limits: Limits, call_time: timedelta) -> float:
    """How many dialers the slots of a selection keep busy, on average."""
    return selection.part * load.dialers(rate / selection.step, limits, call_time)


BEGUN = datetime(2026, 1, 5, 13, tzinfo=UTC)


def ended(sequence: int, seconds: float, begun: datetime = BEGUN) -> Call:
    """A call that took so many seconds."""
    key, at = CallKey("acme", 1, sequence), begun + seconds * SECOND
    unknown, none = CalleeType.UNKNOWN, ReportState.NONE
    entry = Entry("tel:+12223334444")
    return Call(key, entry, State.COMPLETED, 1, False, begun, None, unknown, 0, at, none, 0, None)


def under_way(sequence: int) -> Call:
    return replace(ended(sequence, 0), state=State.DIALLING, last_attempt_at=None)


class TestLimit:
    def test_all_due_calls_are_dispatched_while_none_is_returned(self) -> None:
        assert load.after_tick(Load(dispatched=100), returned=0) == Load(dispatched=100, made=100)

    def test_when_some_calls_are_returned_somewhat_more_than_were_made_are_dispatched(self) -> None:
        assert load.after_tick(Load(dispatched=300), returned=200).most == 125
        assert load.after_tick(Load(dispatched=300, made=60), returned=200).most == 100

    def test_calls_that_an_earlier_tick_left_returned_set_no_limit(self) -> None:
        assert load.after_tick(Load(dispatched=100, left=50), returned=50).most is None

    def test_when_all_calls_are_returned_a_quarter_of_them_and_never_none_is_dispatched(self) -> None:
        assert load.after_tick(Load(dispatched=3000), returned=3000).most == 750
        assert load.after_tick(Load(dispatched=3), returned=3).most == load.LEAST

    def test_a_limit_grows_while_no_call_is_returned_and_ends_when_it_is_not_reached(self) -> None:
        assert load.after_tick(Load(dispatched=50, most=50), returned=0).most == 200
        assert load.after_tick(Load(dispatched=60, most=100), returned=0).most is None

    def test_a_limit_that_was_applied_grows_though_somewhat_fewer_calls_were_dispatched(self) -> None:
        assert load.after_tick(Load(dispatched=60, most=100, limited=True), returned=0).most == 400

    def test_a_limit_that_was_applied_stays_after_a_tick_that_dispatched_nothing(self) -> None:
        assert load.after_tick(Load(dispatched=0, most=100, limited=True), returned=0).most == 100
        assert load.after_tick(Load(dispatched=0, most=100), returned=0).most is None

    @pytest.mark.parametrize(
        ("before", "returned", "made"),
        [
            (Load(dispatched=300, made=70), 200, 100),
            (Load(dispatched=50, made=70, most=50), 0, 50),
            (Load(dispatched=0, made=70, most=100, limited=True), 0, 0),
            (Load(dispatched=100, left=50), 20, 100),
            (Load(dispatched=3), 5, 0),
        ],
        ids=["some returned", "none returned", "none dispatched", "fewer returned than left", "more than dispatched"],
    )
    def test_the_calls_that_were_made_are_those_dispatched_and_not_returned(
        self, before: Load, returned: int, made: int
    ) -> None:
        assert load.after_tick(before, returned).made == made

    @given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
    def test_a_limit_is_never_below_the_least(self, dispatched: int, left: int, made: int, returned: int) -> None:
        most = load.after_tick(Load(dispatched, left, made), returned).most
        assert most is None or most >= load.LEAST


class TestShares:
    @given(st.dictionaries(st.integers(), st.floats(0, 1000), min_size=1), st.floats(0.1, 1000))
    def test_no_campaign_gets_more_than_it_wants_and_all_get_no_more_than_is_available(
        self, wanted: dict[int, float], available: float
    ) -> None:
        shares = load.shares(wanted, available)
        assert shares.keys() == wanted.keys()
        assert all(0 <= shares[key] <= wanted[key] for key in wanted)
        assert sum(shares.values()) <= available * 1.000001

    @given(st.dictionaries(st.integers(), st.floats(0, 1000), min_size=2), st.floats(0.1, 1000))
    def test_a_campaign_that_gets_less_than_it_wants_has_the_largest_share(
        self, wanted: dict[int, float], available: float
    ) -> None:
        shares = load.shares(wanted, available)
        for key in wanted:
            if shares[key] < wanted[key]:
                assert shares[key] == pytest.approx(max(shares.values()))

    def test_a_campaign_that_wants_much_leaves_the_others_what_they_want(self) -> None:
        assert load.shares({"slow": 90.0, "healthy": 2.0, "small": 0.5}, 10) == {
            "small": 0.5,
            "healthy": 2.0,
            "slow": pytest.approx(10 * load.GIVEN_OUT - 2.5),
        }

    def test_a_single_campaign_gets_all(self) -> None:
        assert load.shares({"alone": 90.0}, 10) == {"alone": 10}


class TestDialers:
    def test_a_dialer_is_busy_for_the_calls_of_a_slice_and_the_overhead_of_its_invocation(self) -> None:
        limits = Limits(span=4 * SECOND, most=20)
        assert load.dialers(1, limits, SECOND) == pytest.approx((3 + 1 + 1) / 4)

    def test_slow_calls_keep_many_dialers_busy(self) -> None:
        limits = Limits(span=4 * SECOND, most=20)
        assert load.dialers(10, limits, 29 * SECOND) == pytest.approx((1.9 + 29 + 1) * 10 / 20)

    def test_slices_of_slow_calls_have_a_longer_span(self) -> None:
        assert load.limits(Limits(), SECOND) == Limits()
        assert load.limits(Limits(), 29 * SECOND).span == 14.5 * SECOND
        assert load.limits(Limits(), 500 * SECOND).span == load.LONGEST_SPAN

    def test_slow_calls_make_larger_slices(self) -> None:
        assert load.limits(Limits(), load.SLOW).most == MOST_DIALS
        assert load.limits(Limits(), 1.5 * load.SLOW).most == 1.5 * MOST_DIALS
        assert load.limits(Limits(), 29 * SECOND).most == MOST_SLOW_DIALS

    def test_slices_of_one_call_stay_so_however_slow_the_calls_are(self) -> None:
        assert load.limits(Limits(most=1, most_slow=1), 29 * SECOND).most == 1

    def test_slices_have_the_size_that_the_number_of_dialers_is_computed_with(self) -> None:
        """The pacer cuts calls at so many a second into slices."""
        for rate in (5, 10, 14, 15, 20, 50, 1000):
            limits = load.limits(Limits(), 29 * SECOND)
            first = len(dial_slices(dials([index / rate for index in range(200)]), limits)[0])
            seconds = (first - 1) / rate + 29 + 1
            assert load.dialers(rate, limits, 29 * SECOND) == pytest.approx(rate / first * seconds, rel=0.05)

    @given(RATES, RATES, TIMES)
    def test_more_calls_keep_more_dialers_busy(self, one: float, other: float, call_time: timedelta) -> None:
        few, many = (load.dialers(rate, Limits(), call_time) for rate in sorted((one, other)))
        assert few <= many * 1.000001

    @given(st.floats(0.001, 100), RATES, TIMES)
    def test_the_part_that_is_made_keeps_as_many_dialers_busy_as_the_share_has(
        self, share: float, rate: float, call_time: timedelta
    ) -> None:
        limits = load.limits(Limits(), call_time)
        part = load.part(share, rate, limits, call_time)
        assert 0 < part <= 1
        busy = kept_busy(load.selection(part, part, rate, limits, 0.5), rate, limits, call_time)
        if part == 1:
            assert busy <= share
        else:
            # the part is rounded to two digits
            assert busy == pytest.approx(share, rel=0.06)

    @given(st.floats(0.001, 100), RATES, TIMES)
    def test_no_other_way_to_leave_calls_out_makes_more(self, share: float, rate: float, call_time: timedelta) -> None:
        """At most by half, if calls are further apart than they last: dialers with single calls would wait less."""
        allowed = 1.15 if rate * (call_time + load.INVOCATION_OVERHEAD) / SECOND >= 1 else 1.6
        limits = load.limits(Limits(), call_time)
        part = load.part(share, rate, limits, call_time)
        for step in (1.0, 1.5, 2.0, 5.0, 20.0):
            stretches = min(1.0, share / load.dialers(rate / step, limits, call_time))
            assert stretches / step <= part * allowed

    def test_a_small_share_is_used_for_full_slices(self) -> None:
        """A fifth of a dialer makes some of 30 calls a minute that take 29 s: seven together, and not one by one."""
        limits = load.limits(Limits(), 29 * SECOND)
        part = load.part(0.2, 0.5, limits, 29 * SECOND)
        selection = load.selection(part, part, 0.5, limits, 0.5)
        assert selection.step == 1
        assert selection.stretch == 14 * SECOND
        # a slice of 7.25 calls lasts 12.5 + 30 seconds, and one begins in 14.5
        assert selection.part == pytest.approx(0.2 / (42.5 / 14.5), rel=0.06)

    def test_an_amount_of_eleven_digits_gets_its_share(self) -> None:
        rate = 99_999_999_999 / 60
        part = load.part(5, rate, Limits(), SECOND)
        selection = load.selection(part, part, rate, Limits(), 0.5)
        assert kept_busy(selection, rate, Limits(), SECOND) == pytest.approx(5, rel=0.06)
        assert selection.stretch >= load.SHORTEST_STRETCH

    def test_calls_of_a_large_rate_are_evenly_spread_as_long_as_slices_stay_full(self) -> None:
        half = load.selection(0.5, 0.5, 2000, Limits(), 0.5)
        assert (half.step, half.part) == (2, 1)

    def test_no_stretch_is_shorter_than_the_shortest_however_large_the_rate(self) -> None:
        assert load.selection(0.9, 0.5, 2000, Limits(), 0.5).stretch == load.SHORTEST_STRETCH

    def test_a_campaign_without_a_rate_leaves_no_slot_out(self) -> None:
        assert load.selection(1.0, 0.5, 0, Limits(), 0.5) == Selection()

    @given(st.floats(0.001, 0.999), RATES, TIMES)
    def test_after_returned_calls_fewer_are_made_evenly_if_the_dialers_could_make_all(
        self, part: float, rate: float, call_time: timedelta
    ) -> None:
        assert load.selection(1.0, part, rate, load.limits(Limits(), call_time), 0.5) == Selection(1 / part)

    @given(st.floats(0.001, 0.999), st.floats(0.001, 1), RATES, TIMES)
    def test_after_returned_calls_slices_stay_full_if_the_dialers_could_not_make_all(
        self, share: float, of_it: float, rate: float, call_time: timedelta
    ) -> None:
        limits = load.limits(Limits(), call_time)
        by_share = load.selection(share, share, rate, limits, 0.5)
        found = load.selection(share, share * of_it, rate, limits, 0.5)
        assert (found.step, found.stretch) == (by_share.step, by_share.stretch)
        assert found.part == pytest.approx(by_share.part * of_it, rel=0.12)

    @given(st.floats(0.001, 0.999), RATES)
    def test_nearly_equal_shares_leave_out_the_same_stretches(self, share: float, rate: float) -> None:
        one, other = (load.selection(part, part, rate, Limits(), 0.5) for part in (share, share * 1.00001))
        assert one.part == pytest.approx(other.part, rel=0.1)
        assert float(f"{one.part:.2g}") == one.part

    def test_a_campaign_that_wants_nothing_leaves_the_other_all(self) -> None:
        assert load.shares({"busy": 90.0, "idle": 0.0}, 10) == {"busy": 10, "idle": 0}

    def test_campaigns_with_neighbouring_ids_have_different_phases(self) -> None:
        phases = sorted(load.phase(campaign) for campaign in range(1, 11))
        assert all(after - before > 0.05 for before, after in pairwise(phases))

    def test_rates_are_those_of_a_period(self) -> None:
        minute = 60_000_000
        assert load.calls_per_second([Pace(minute, 9 * minute, 60), Pace(2 * minute, 0, 60)]) == pytest.approx(1.5)
        assert load.calls_per_second([]) == load.dialers(0, Limits(), SECOND) == 0


class TestCallTime:
    @given(st.integers(0, 10**6), st.integers(0, 10**6))
    def test_the_sample_is_spread_over_the_calls_that_were_dispatched_last(self, head: int, dispatched: int) -> None:
        sample = load.sample(head, dispatched)
        assert len(sample) <= load.SAMPLE
        assert all(max(0, head - dispatched) <= sequence < head for sequence in sample)
        assert len(sample) == min(dispatched, head) or len(sample) >= load.SAMPLE // 2

    def test_the_time_of_a_call_is_that_of_the_newest_calls(self) -> None:
        before, now = [ended(index, 5) for index in range(80)], [ended(index, 0.2) for index in range(80, 100)]
        assert load.newest_call_time(5 * SECOND, [*now, *before], BEGUN) == 0.2 * SECOND
        assert load.newest_call_time(timedelta(0), before, BEGUN) == 5 * SECOND

    def test_a_few_calls_count_little_unless_nothing_is_known(self) -> None:
        few = [ended(index, 0.2) for index in range(load.ENOUGH - 1)]
        assert (
            load.newest_call_time(5 * SECOND, few, BEGUN)
            == load.average_call_time(5 * SECOND, [0.2 * SECOND] * len(few))
            > SECOND
        )
        assert load.newest_call_time(timedelta(0), few, BEGUN) == 0.2 * SECOND

    def test_calls_under_way_alone_change_nothing(self) -> None:
        assert load.newest_call_time(5 * SECOND, [under_way(0)], BEGUN + 60 * SECOND) == 5 * SECOND

    def test_slow_calls_that_are_under_way_count_beside_quick_ones(self) -> None:
        """A call a second. Every other one takes half a minute, so of the newest only the quick ones have ended."""
        now = BEGUN + 75 * SECOND
        calls = []
        for index in range(75):
            takes = 30 if index % 2 else 0.2
            at = BEGUN + index * SECOND
            is_over = at + takes * SECOND <= now
            calls.append(replace(ended(index, takes, at), state=State.COMPLETED if is_over else State.DIALLING))
        assert load.newest_call_time(timedelta(0), calls, now) == pytest.approx(15.1 * SECOND, rel=0.1)

    def test_a_server_that_begins_to_hang_is_noticed_before_the_first_call_has_ended(self) -> None:
        quick = [ended(index, 0.2) for index in range(40)]
        hanging = [under_way(index) for index in range(40, 80)]
        assert load.newest_call_time(0.2 * SECOND, [*quick, *hanging], BEGUN + 20 * SECOND) > 20 * SECOND

    def test_a_claim_by_a_clock_that_is_ahead_counts_as_no_time(self) -> None:
        calls = [ended(0, 2), under_way(1)]
        assert load.newest_call_time(timedelta(0), calls, BEGUN - SECOND) == 2 * SECOND

    def test_calls_that_took_no_time_change_nothing(self) -> None:
        assert load.newest_call_time(5 * SECOND, [ended(index, 0) for index in range(50)], BEGUN) == 5 * SECOND

    def test_the_average_begins_with_the_first_calls(self) -> None:
        assert load.average_call_time(timedelta(0), [3 * SECOND]) == 3 * SECOND

    def test_the_average_follows_new_calls(self) -> None:
        assert load.average_call_time(2 * SECOND, [4 * SECOND] * load.REMEMBERED_CALLS) == 3 * SECOND

    def test_hundreds_of_calls_outweigh_the_earlier_average(self) -> None:
        assert load.average_call_time(5 * SECOND, [timedelta(0)] * 600) < 0.2 * SECOND
        assert load.average_call_time(timedelta(seconds=0.2), [5 * SECOND] * 600) > 4.8 * SECOND

    def test_a_single_call_changes_the_average_little(self) -> None:
        assert load.average_call_time(29 * SECOND, [timedelta(0)]) > 27 * SECOND
