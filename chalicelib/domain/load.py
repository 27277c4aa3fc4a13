"""How much of what is due is handed over, when the dialers can't keep up with it.

What isn't handed over stays in the queue; what is handed over in vain costs a message, an invocation and a write. Two
things tell that it is too much. A slice that comes too late is returned, so what was returned since the last tick was
too much for the dialers there are. And from how long a campaign's calls take follows how many dialers it keeps busy, so
of all that are there each campaign gets its share: one with a slow server leaves the others theirs.
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

#: How much more than was made lately is handed over: the dialers must not run dry, nor be found idle late.
MORE_THAN_MADE = 1.25
#: How many times less a tick hands over than the last one, at most; and how many times more than the limit before, when
#: nothing was returned. What is tried in vain is cheap, and after an outage all is soon as usual.
CUT = GROWTH = 4
#: The least that is handed over to find out whether it is still too much.
LEAST = 5
#: How many new calls weigh as much as all those before, for the time that a call takes.
REMEMBERED_CALLS = 20
#: A campaign that wants more than an equal part of half the dialers may have to be held back, so its newest calls are
#: looked at.
CLOSE = 0.5
#: How many of them are looked at: what one BatchGetItem reads.
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
SAMPLE = 100
#: How many that have ended say how long a call takes now.
ENOUGH = 20
#: Slices of calls that take longer than this have more of them: twice as many for calls of twice the time.
SLOW = timedelta(seconds=2)
#: What an invocation takes beside its calls: it begins, waits for the first call, and reports the last.
BESIDE = timedelta(seconds=1)
#: From the first call of a slice to its last, at most, where calls take long. It leaves the dialer time for the last.
LONGEST_SPAN = timedelta(seconds=20)
#: Slices that are left out are at least so long, so that a thousand calls a second aren't looked through one by one.
SHORTEST_STRETCH = timedelta(seconds=0.1)
#: How much of the dialers is given out to several campaigns. Their slices come together by chance, and one that finds
#: no dialer comes too late. A campaign that is alone is given more than it can have, by MORE_THAN_MADE: what comes back
#: of that tells exactly what its calls' time tells about.
GIVEN_OUT = 0.85
#: By which a part of a campaign's calls is found: an amount of eleven digits has a very small one.
HALVINGS = 60
_SECOND = timedelta(seconds=1)


def judged(load: Load, returned: int) -> Load:
    """The load by what was found at a tick: so many returned calls, those that were left by the last one included.

    What was made is taken from two ticks, since calls of the last quarter of a minute haven't come back yet.
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
    # What wasn't needed was no limit.
    is_needed = load.limited or load.dispatched >= load.most
    return replace(load, made=made, most=load.most * GROWTH if is_needed else None)


def limits(limits: Limits, call_time: timedelta) -> Limits:
    """How large slices may be: a function that waits for slow calls anyway may wait for more of them."""
    most = min(int(call_time / SLOW * limits.most), limits.most_slow)
    return replace(limits, span=max(limits.span, min(call_time / 2, LONGEST_SPAN)), most=max(limits.most, most))


def a_second(paces: Iterable[Pace]) -> float:
    """How many calls are due in a second of a period, at all of these paces together."""
    return sum(pace.amount / pace.period for pace in paces) * (_SECOND / timedelta(microseconds=1))


def dialers(rate: float, limits: Limits, call_time: timedelta) -> float:
    """How many invocations a campaign keeps busy, on average, that makes so many calls a second. It rises with them."""
    if rate <= 0:
        return 0.0
    calls = calls_of_a_slice(rate, limits)
    lasts = (calls - 1) / rate + (call_time + BESIDE) / _SECOND
    return rate / calls * lasts


def calls_of_a_slice(rate: float, limits: Limits) -> float:
    """How many there are, on average, at so many calls a second."""
    calls = min(float(limits.most), max(1.0, rate * (limits.span / _SECOND)))
    due_at_once = 1 - _SECOND / slicing.WORK / rate
    return calls if due_at_once <= 0 else min(calls, slicing.MOST_DIALS / due_at_once)


def cheapest(rate: float, limits: Limits) -> float:
    """The calls a second, up to `rate`, at which a call keeps invocations busy for the shortest time.

    With fewer a function waits longer from one call of its slice to the next. With more it may not have so many calls
    in a slice, since they would be due at once.
    """
    found = min(rate, limits.most / (SHORTEST_STRETCH / _SECOND))
    if limits.most > slicing.MOST_DIALS:
        found = min(found, _SECOND / slicing.WORK / (1 - slicing.MOST_DIALS / limits.most))
    return found


def rounded(number: float) -> float:
    """To two digits, so that it is the same as before when hardly anything has changed."""
    return float(f"{number:.2g}")


def part(share: float, rate: float, limits: Limits, call_time: timedelta) -> float:
    """How much of its calls, from 0 to 1, a campaign may make with its share of the dialers."""
    if dialers(rate, limits, call_time) <= share:
        return 1.0
    cheap = cheapest(rate, limits)
    wanted = dialers(cheap, limits, call_time)
    if wanted >= share:
        return share / wanted * cheap / rate
    little, much = cheap / rate, 1.0
    for _ in range(HALVINGS):
        middle = (little + much) / 2
        if dialers(middle * rate, limits, call_time) <= share:
            little = middle
        else:
            much = middle
    return little


def selection(share: float, part: float, rate: float, limits: Limits, phase: float) -> Selection:
    """Which slots are used of a campaign at `rate` calls a second.

    It may make a `share` of its calls, above 0, by its dialers: calls are evenly spread as long as that leaves slices
    full, and then whole slices are left out. By what came back it makes only a `part`, up to the share: evenly spread
    if the dialers could make all, and in fewer slices if they couldn't.
    """
    if part >= 1 or rate <= 0:
        return pacing.ALL
    if share >= 1:
        return Selection(1 / part)
    step = min(1 / share, rate / cheapest(rate, limits))
    stretch = max(1, int(calls_of_a_slice(rate / step, limits))) * step / rate * _SECOND
    # Rounded, so that the stretches stay the same from tick to tick though what calls take differs by milliseconds.
    return Selection(step, rounded(min(1.0, share * step) * part / share), max(stretch, SHORTEST_STRETCH), phase)


def phase(campaign_id: int) -> float:
    """From 0 to 1, and far from those of the campaigns before and after it: by the golden ratio."""
    return campaign_id * (math.sqrt(5) - 1) / 2 % 1


def shares(wanted: Mapping[K, float], there: float) -> dict[K, float]:
    """Of the dialers that are there, each gets what it wants, or an equal part of what the others leave."""
    found: dict[K, float] = {}
    left = there * GIVEN_OUT if sum(wants > 0 for wants in wanted.values()) > 1 else there
    for place, key in enumerate(sorted(wanted, key=lambda key: wanted[key])):
        found[key] = min(wanted[key], left / (len(wanted) - place))
        left -= found[key]
    return found


def averaged(before: timedelta, taken: Sequence[timedelta]) -> timedelta:
    """The time of a call, after some that took so long; `before` is zero if nothing is known.

    Hundreds of calls are believed at once, or a server that is quick again would be spared for minutes. A single one
    that was refused says little of the others.
    """
    remembered = REMEMBERED_CALLS if before else 0
    return (before * remembered + sum(taken, timedelta())) / (remembered + len(taken))


def sample(head: int, dispatched: int) -> Sequence[int]:
    """Some of the `dispatched` numbers before `head`, evenly spread."""
    first = max(0, head - dispatched)
    return range(first, head, max(1, math.ceil((head - first) / SAMPLE)))


def newest(before: timedelta, calls: Iterable[Call], now: datetime) -> timedelta:
    """The time of a call, by the newest of these; `before` is zero if nothing is known.

    Enough of them are believed, whatever was known before. Of the newest, those that have ended already are the quick
    ones. So the time counts, too, that those under way have taken so far.
    """
    claimed = [call for call in calls if call.state is State.DIALLING or (call.state.is_final and time_taken(call))]
    claimed.sort(key=lambda call: call.key.sequence)
    under_way = [index for index, call in enumerate(claimed) if call.state is State.DIALLING]
    oldest = under_way[0] if under_way else len(claimed)
    newest = claimed[max(0, oldest - ENOUGH) :]
    ended = sum(call.state.is_final for call in newest)
    if not ended:
        return before
    taken = sum((_so_far(call, now) for call in newest), timedelta())
    return averaged(before if ended < ENOUGH else timedelta(), [taken / ended] * ended)


def _so_far(call: Call, now: datetime) -> timedelta:
    if call.state is State.DIALLING and call.claimed_at is not None:
        return max(timedelta(), now - call.claimed_at)
    return time_taken(call)


assert LONGEST_SPAN >= slicing.SPAN
