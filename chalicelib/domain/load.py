"""How many of the due calls are dispatched when the dialers can't make all of them.

The other calls stay in the queue. A call that is dispatched in vain costs a message, an invocation and a write. Two
measurements show that too many calls are dispatched. First, a slice that comes too late is returned, so the calls that
were returned since the last tick were too many for the dialers. Second, the time of a campaign's calls shows how many
dialers they keep busy. So each campaign gets its share of all dialers, and a campaign with a slow server doesn't take
the shares of the others.

A *share* is a number of dialers. A *part* is how much of its calls a campaign makes, from 0 to 1.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from chalicelib.domain import pacing, slicing
from chalicelib.domain.call import Call, State, time_taken
from chalicelib.domain.models import Load
from chalicelib.domain.pacing import Pace, Selection
from chalicelib.domain.slicing import Limits

K = TypeVar("K")

#: A tick dispatches this many times the calls that were made lately. So the dialers always have work, and the pacer
#: notices soon when they can make more.
MORE_THAN_MADE = 1.25
#: A tick dispatches at least a quarter of what the last tick dispatched. While nothing is returned, each tick raises
#: the limit to four times its value. A call that is dispatched in vain is cheap, and after an outage the limit is soon
#: gone.
CUT = GROWTH = 4
#: The lowest limit: so few calls are enough to find out whether the dialers can make more.
LEAST = 5
#: The average time of the earlier calls weighs as much as so many new calls.
REMEMBERED_CALLS = 20
#: A campaign that needs at most this part of an equal share of the dialers always gets what it needs. The newest calls
#: of the other campaigns are read, to measure what they need.
MODEST = 0.5
#: How many of the newest calls are read: as many as one BatchGetItem reads.
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
SAMPLE = 100
#: So many ended calls show how long a call takes now, without the earlier average.
ENOUGH = 20
#: If calls take longer than this, slices have more of them: twice as many calls if each takes twice as long.
SLOW = timedelta(seconds=2)
#: How long an invocation takes besides its calls: it starts, waits for the first call, and reports the last.
INVOCATION_OVERHEAD = timedelta(seconds=1)
#: The longest time from the first call of a slice to its last, where calls take long. The dialer still has time for the
#: last call.
LONGEST_SPAN = timedelta(seconds=20)
#: The shortest stretch. At a thousand calls a second, shorter ones would make the pacer test each slot by itself.
SHORTEST_STRETCH = timedelta(seconds=0.1)
#: The part of the dialers that several campaigns share. Slices of different campaigns may come at the same time by
#: chance, and a slice that finds no dialer comes too late. A campaign that is alone gets MORE_THAN_MADE times all
#: dialers: the time of its calls shows only roughly how many calls they can make, and the returned calls show it
#: exactly.
GIVEN_OUT = 0.85
#: How often `part` halves the interval that it searches: at an amount of eleven digits the part is very small.
HALVINGS = 60
_SECOND = timedelta(seconds=1)


def after_tick(load: Load, returned: int) -> Load:
    """The load after the last tick, now that its result is known: this tick finds `returned` calls that wait again.

    `returned` includes the calls that the last tick left. The calls that were made are averaged over two ticks, since
    calls of the last quarter of a minute can't be returned yet.
    """
    new = max(0, returned - load.left)
    made = max(0, load.dispatched - new)
    if new:
        lately = (made + load.made) / 2 if load.made else made
        return replace(load, made=made, most=max(LEAST, int(lately * MORE_THAN_MADE), load.dispatched // CUT))
    if load.most is None:
        return replace(load, made=made)
    if not load.dispatched and load.limited:
        return replace(load, made=made)  # nothing was dispatched, so the limit wasn't tested
    # A limit that wasn't reached is dropped.
    is_needed = load.limited or load.dispatched >= load.most
    return replace(load, made=made, most=load.most * GROWTH if is_needed else None)


def limits(usual: Limits, call_time: timedelta) -> Limits:
    """How large slices may be: where calls take long, a function waits anyway, so its slice may have more calls."""
    most = min(int(call_time / SLOW * usual.most), usual.most_slow)
    return replace(usual, span=max(usual.span, min(call_time / 2, LONGEST_SPAN)), most=max(usual.most, most))


def calls_per_second(paces: Iterable[Pace]) -> float:
    """How many calls are due in a second of a period, at all of these paces together."""
    return sum(pace.amount / pace.period for pace in paces) * (_SECOND / timedelta(microseconds=1))


def dialers(rate: float, limits: Limits, call_time: timedelta) -> float:
    """How many dialers a campaign with `rate` calls a second keeps busy, on average. It grows with the rate."""
    if rate <= 0:
        return 0.0
    calls = calls_per_slice(rate, limits)
    seconds = (calls - 1) / rate + (call_time + INVOCATION_OVERHEAD) / _SECOND
    return rate / calls * seconds


def calls_per_slice(rate: float, limits: Limits) -> float:
    """How many calls a slice has, on average, at `rate` calls a second."""
    calls = min(float(limits.most), max(1.0, rate * (limits.span / _SECOND)))
    due_at_once = 1 - _SECOND / slicing.PROCESSOR_TIME / rate
    return calls if due_at_once <= 0 else min(calls, slicing.MOST_DIALS / due_at_once)


def efficient_rate(rate: float, limits: Limits) -> float:
    """The calls a second, up to `rate`, at which a call keeps dialers busy for the shortest time.

    With fewer calls a second a function waits longer from one call of its slice to the next. With more, a slice has
    fewer calls, since too many of them would be due at once.
    """
    found = min(rate, limits.most / (SHORTEST_STRETCH / _SECOND))
    if limits.most > slicing.MOST_DIALS:
        found = min(found, _SECOND / slicing.PROCESSOR_TIME / (1 - slicing.MOST_DIALS / limits.most))
    return found


def rounded(number: float) -> float:
    """The number rounded to two digits, so that a small change doesn't change it."""
    return float(f"{number:.2g}")


def part(share: float, rate: float, limits: Limits, call_time: timedelta) -> float:
    """How much of its calls, from 0 to 1, a campaign can make with its share of the dialers."""
    if dialers(rate, limits, call_time) <= share:
        return 1.0
    efficient = efficient_rate(rate, limits)
    wanted = dialers(efficient, limits, call_time)
    if wanted >= share:
        return share / wanted * efficient / rate
    low, high = efficient / rate, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if dialers(middle * rate, limits, call_time) <= share:
            low = middle
        else:
            high = middle
    return low


def selection(possible: float, part: float, rate: float, limits: Limits, phase: float) -> Selection:
    """The slots of a campaign that makes only a part of its calls. `rate` is all of its calls a second.

    `possible` is the part that its dialers can make, above 0. Calls are evenly spread as long as slices stay full; with
    a smaller part, whole slices are left out. `part`, up to `possible`, is the part that the returned calls allow. If
    it is smaller than `possible`, calls are evenly spread if the dialers could make all of them, or else are in fewer
    slices.
    """
    if part >= 1 or rate <= 0:
        return pacing.ALL
    if possible >= 1:
        return Selection(1 / part)
    step = min(1 / possible, rate / efficient_rate(rate, limits))
    stretch = max(1, int(calls_per_slice(rate / step, limits))) * step / rate * _SECOND
    # Rounded: the stretches stay the same from tick to tick, though the time of a call changes by milliseconds.
    of_stretches = rounded(min(1.0, possible * step) * part / possible)
    return Selection(step, of_stretches, max(stretch, SHORTEST_STRETCH), phase)


def phase(campaign_id: int) -> float:
    """A number from 0 to 1. By the golden ratio, campaigns with neighbouring ids have phases far from each other."""
    return campaign_id * (math.sqrt(5) - 1) / 2 % 1


def shares(wanted: Mapping[K, float], available: float) -> dict[K, float]:
    """Each campaign's share of the available dialers: what it needs, or an equal share of what the others leave."""
    found: dict[K, float] = {}
    left = available * GIVEN_OUT if sum(wants > 0 for wants in wanted.values()) > 1 else available
    for index, key in enumerate(sorted(wanted, key=lambda key: wanted[key])):
        found[key] = min(wanted[key], left / (len(wanted) - index))
        left -= found[key]
    return found


def average_call_time(before: timedelta, taken: Sequence[timedelta]) -> timedelta:
    """The average time of a call, with the calls that took the times `taken`. `before` is the average before them.

    `before` is zero if nothing is known. Hundreds of calls outweigh it: a server that is fast again soon gets all of
    its calls. A single call hardly changes it: it may have been refused, unlike the others.
    """
    remembered = REMEMBERED_CALLS if before else 0
    return (before * remembered + sum(taken, timedelta())) / (remembered + len(taken))


def sample(head: int, dispatched: int) -> Sequence[int]:
    """Some of the `dispatched` numbers before `head`, evenly spread."""
    first = max(0, head - dispatched)
    return range(first, head, max(1, math.ceil((head - first) / SAMPLE)))


def newest_call_time(before: timedelta, calls: Iterable[Call], now: datetime) -> timedelta:
    """The average time of a call, by the newest of `calls`. `before` is the earlier average; zero if nothing is known.

    If enough of them have ended, `before` doesn't count. Of the newest calls only the fast ones have ended. So the time
    that the calls under way have taken so far counts, too.
    """
    claimed = [call for call in calls if call.state is State.DIALLING or (call.state.is_final and time_taken(call))]
    claimed.sort(key=lambda call: call.key.sequence)
    under_way = [index for index, call in enumerate(claimed) if call.state is State.DIALLING]
    oldest = under_way[0] if under_way else len(claimed)
    newest = claimed[max(0, oldest - ENOUGH) :]
    ended = sum(call.state.is_final for call in newest)
    if not ended:
        return before
    taken = sum((_time_so_far(call, now) for call in newest), timedelta())
    return average_call_time(before if ended < ENOUGH else timedelta(), [taken / ended] * ended)


def _time_so_far(call: Call, now: datetime) -> timedelta:
    if call.state is State.DIALLING and call.claimed_at is not None:
        return max(timedelta(), now - call.claimed_at)
    return time_taken(call)


assert LONGEST_SPAN >= slicing.SPAN
