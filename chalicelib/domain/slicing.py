"""How the calls of a tick are cut into slices. A slice is one message, and the work of one invocation of the dialer.

A wider slice has more calls to share the cost of an invocation. In a narrower slice the function waits less, and fewer
calls wait for its processor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain import pacing
from chalicelib.domain.messages import Dial

#: The longest time from the first call of a slice to its last. By `make cost`, a million calls at 60 a minute cost
#: $6.45 with 4 s, and $7.47 with 2 s.
SPAN = timedelta(seconds=4)
#: About how long a call uses the processor, whose speed comes with the dialer's memory.
PROCESSOR_TIME = timedelta(seconds=0.07)
#: How many calls a slice has at most. When all are due at once, the last ones are more than a second late.
MOST_DIALS = 20
#: How many calls a slice has at most where calls take long: its function waits anyway. Only MOST_DIALS of them are due
#: at once; each further one is due at least PROCESSOR_TIME later.
MOST_SLOW_DIALS = 50
#: How many reports a slice has at most.
MOST_REPORTS = 20
#: How many bytes the entries of a slice have at most. An entry has a few hundred at most.
LARGEST = 24 * 1024
#: The time from a message's visibility to its first claim: a poller receives the message, and the function starts.
LEAD = timedelta(seconds=0.2)
#: Calls with at least this gap between them may come late by LONG_GAP_DELAY, so that no function waits for them.
LONG_GAP = timedelta(seconds=5)
LONG_GAP_DELAY = timedelta(seconds=0.5)

assert LEAD < SPAN
assert MOST_DIALS < MOST_SLOW_DIALS
assert MOST_DIALS * PROCESSOR_TIME < pacing.MISFIRE_GRACE
assert LONG_GAP_DELAY < pacing.MISFIRE_GRACE
assert LEAD < pacing.LEAD


@dataclass(frozen=True)
class Limits:
    """How large a slice of calls may be."""

    span: timedelta = SPAN
    most: int = MOST_DIALS
    #: where calls take long
    most_slow: int = MOST_SLOW_DIALS


def dial_slices(dials: Sequence[Dial], limits: Limits) -> list[tuple[Dial, ...]]:
    """The dials, which are in the order of their instants, cut where a slice is full."""
    slices: list[list[Dial]] = []
    size = 0
    for dial in dials:
        size += len(dial.entry.line)
        if (
            not slices
            or len(slices[-1]) >= min(limits.most, MOST_DIALS + (dial.due - slices[-1][0].due) // PROCESSOR_TIME)
            or size > LARGEST
            or dial.due - slices[-1][0].due >= limits.span
            or dial.generation != slices[-1][0].generation
        ):
            slices.append([])
            size = len(dial.entry.line)
        slices[-1].append(dial)
    return [tuple(one) for one in slices]


def delivery_time(dials: Sequence[Dial], now: datetime, gap: timedelta) -> datetime | None:
    """When the dialer should receive a slice that is sent at `now`; None for at once. The queue may be a second early.

    SQS delays a message by whole seconds, so a function waits up to a second for the first call. If a call is alone,
    that wait is most of its cost. `gap` is the time from one call to the next. Where it is long, the slice is delivered
    half a second late at most, and a function waits half a second at most.

    Calls that are due soon follow a start, or ticks that were missed. Dialers may have to be started for them, which
    takes a while. So these calls are delivered ahead.
    """
    soon = dials[0].due - now - pacing.LEAD
    if soon <= timedelta(0):
        return None
    lead = -LONG_GAP_DELAY if gap >= LONG_GAP else LEAD
    return min(dials[0].due - lead, now + 2 * soon)
