"""How much of what is due is dispatched, when the dialers can't keep up with it.

What isn't dispatched stays in the queue. A call that is dispatched in vain costs a message, an invocation and a write.
Two things show that it is too much. A slice that comes too late is returned, so what was returned since the last tick
was too much for the dialers. And the time that a campaign's calls take says how many dialers they keep busy. So each
campaign gets its share of all dialers, and one with a slow server leaves the others theirs.

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

#: How much more is dispatched than was made lately. So the dialers don't run dry, and it shows soon when they can do
#: more.
MORE_THAN_MADE = 1.25
#: A tick dispatches at least a quarter of what the last one did. While nothing is returned, the limit grows to four
#: times itself. Trying in vain is cheap, and after an outage all is soon as usual.
CUT = GROWTH = 4
#: The least that is dispatched to find out whether it is still too much.
LEAST = 5
#: The time that a call took before weighs as much as so many new calls.
REMEMBERED_CALLS = 20
#: A campaign that wants no more than this part of an equal share of the dialers isn't held back. The newest calls of
#: the others are read.
MODEST = 0.5
#: How many of the newest calls are read: as many as one BatchGetItem reads.
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
SAMPLE = 100
#: So many ended calls say how long a call takes now, whatever was known before.
ENOUGH = 20
#: Slices of calls that take longer than this have more of them: twice as many for calls of twice the time.
SLOW = timedelta(seconds=2)
#: How long an invocation takes beside its calls: it starts, waits for the first call, and reports the last.
INVOCATION_OVERHEAD = timedelta(seconds=1)
#: From the first call of a slice to its last, at most, where calls take long. It leaves the dialer time for the last.
LONGEST_SPAN = timedelta(seconds=20)
#: A stretch lasts at least so long. Otherwise slots at a thousand calls a second would be gone through one by one.
SHORTEST_STRETCH = timedelta(seconds=0.1)
#: How much of the dialers is given to several campaigns together. Their slices come together by chance, and a slice
#: that finds no dialer comes too late. A campaign that is alone gets more than all, by MORE_THAN_MADE: what is returned
#: of that says exactly what the time of its calls says roughly.
GIVEN_OUT = 0.85
#: How often the interval is halved in which a part is looked for: at an amount of eleven digits the part is very small.
HALVINGS = 60
_SECOND = timedelta(seconds=1)


def after_tick(load: Load, returned: int) -> Load:
    """What a tick learns about the last one. It found so many returned calls, with those that the last one left.

    What was made is averaged over two ticks, since calls of the last quarter of a minute haven't been returned yet.
    """
    new = max(0, returned - load.left)
    made = max(0, load.dispatched - new)
    if new:
        lately = (made + load.made) / 2 if load.made else made
        return replace(load, made=made, most=max(LEAST, int(lately * MORE_THAN_MADE), load.dispatched // CUT))
    if load.most is None:
        return replace(load, made=made)
    if not load.dispatched and load.limited:
        return replace(load, made=made)  # nothing was tried
    # A limit that wasn't reached is dropped.
    is_needed = load.limited or load.dispatched >= load.most
    return replace(load, made=made, most=load.most * GROWTH if is_needed else None)


def limits(usual: Limits, call_time: timedelta) -> Limits:
    """How large slices may be: a function that waits for slow calls anyway may wait for more of them."""
    most = min(int(call_time / SLOW * usual.most), usual.most_slow)
    return replace(usual, span=max(usual.span, min(call_time / 2, LONGEST_SPAN)), most=max(usual.most, most))


def calls_per_second(paces: Iterable[Pace]) -> float:
    """How many calls are due in a second of a period, at all of these paces together."""
    return sum(pace.amount / pace.period for pace in paces) * (_SECOND / timedelta(microseconds=1))


def dialers(rate: float, limits: Limits, call_time: timedelta) -> float:
    """How many dialers a campaign keeps busy, on average, that makes `rate` calls a second. It grows with the rate."""
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
    """To two digits, so that it stays the same when hardly anything has changed."""
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
    """Which slots a campaign uses that makes a part of its calls, at `rate` calls a second.

    Its dialers can make the `possible` part, above 0. As long as that leaves slices full, calls are evenly spread;
    beyond that, whole slices are left out. What was returned may allow less than that: `part`, up to `possible`. Then
    calls are evenly spread if the dialers could make all of them, and are in fewer slices if they couldn't.
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
    """From 0 to 1, and far from the phases of campaigns with neighbouring ids: by the golden ratio."""
    return campaign_id * (math.sqrt(5) - 1) / 2 % 1


def shares(wanted: Mapping[K, float], available: float) -> dict[K, float]:
    """Each campaign's share of the available dialers: what it wants, or an equal share of what the others leave."""
    found: dict[K, float] = {}
    left = available * GIVEN_OUT if sum(wants > 0 for wants in wanted.values()) > 1 else available
    for index, key in enumerate(sorted(wanted, key=lambda key: wanted[key])):
        found[key] = min(wanted[key], left / (len(wanted) - index))
        left -= found[key]
    return found


def average_call_time(before: timedelta, taken: Sequence[timedelta]) -> timedelta:
    """The time of a call, after some that took so long; `before` is zero if nothing is known.

    Hundreds of calls count at once: a server that is quick again isn't spared for minutes. A single call that was
    refused says little about the others.
    """
    remembered = REMEMBERED_CALLS if before else 0
    return (before * remembered + sum(taken, timedelta())) / (remembered + len(taken))


def sample(head: int, dispatched: int) -> Sequence[int]:
    """Some of the `dispatched` numbers before `head`, evenly spread."""
    first = max(0, head - dispatched)
    return range(first, head, max(1, math.ceil((head - first) / SAMPLE)))


def newest_call_time(before: timedelta, calls: Iterable[Call], now: datetime) -> timedelta:
    """The time of a call, by the newest of these; `before` is zero if nothing is known.

    If enough of them have ended, `before` doesn't count. Of the newest calls only the quick ones have ended. So the
    time that the others have taken so far counts, too.
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
