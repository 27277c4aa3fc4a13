"""How the calls of a tick are cut into slices, each of which is one message and one function's work.

A slice is wide enough that a function isn't paid for one call alone, and narrow enough that it isn't paid for waiting,
and that its calls don't stand in line for its processor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain import pacing
from chalicelib.domain.messages import Dial

#: From the first call of a slice to its last, at most. At 60 calls a minute `make cost` sees a million calls for $6.45
#: with 4 s, and for $7.47 with 2 s.
SPAN = timedelta(seconds=4)
#: What a call takes of the processor that the dialer's memory buys, about.
WORK = timedelta(seconds=0.07)
#: How many calls a slice has at most. When all are due at once, the last ones are more than a second late.
MOST_DIALS = 20
#: How many a slice has at most where calls take long: its function waits anyway. More than MOST_DIALS aren't due at
#: once, but one for each WORK after the first.
MOST_SLOW_DIALS = 50
#: How many reports a slice has at most.
MOST_REPORTS = 20
#: Bytes of a slice's entries at most. The longest that there can be are a few hundred bytes each.
LARGEST = 24 * 1024
#: From visible in the queue to the first call's claim: a poller receives the message, and the function begins.
LEAD = timedelta(seconds=0.2)
#: Calls that are so far apart may come up to half a second late, rather than have a function wait for them.
FAR_APART = timedelta(seconds=5)
HALF_A_SECOND = timedelta(seconds=0.5)

assert LEAD < SPAN
assert MOST_DIALS < MOST_SLOW_DIALS
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
    found: list[list[Dial]] = []
    size = 0
    for dial in dials:
        size += len(dial.entry.line)
        if (
            not found
            or len(found[-1]) >= min(limits.most, MOST_DIALS + (dial.due - found[-1][0].due) // WORK)
            or size > LARGEST
            or dial.due - found[-1][0].due >= limits.span
            or dial.generation != found[-1][0].generation
        ):
            found.append([])
            size = len(dial.entry.line)
        found[-1].append(dial)
    return [tuple(one) for one in found]


def wanted_at(dials: Sequence[Dial], now: datetime, apart: timedelta) -> datetime | None:
    """When the dialer is to have a slice that is sent at `now`; None for at once. The queue may be a second early.

    The queue knows whole seconds only, so a function waits up to a second for the first call, which is what a call
    costs most for when it is alone. `apart` is the time from one call to the next: where it is long, the slice comes
    half a second late at most, and is waited with for half a second at most.

    What is due soon comes after a start, or after ticks that were missed. Functions may have to be woken for it, which
    takes a while, so it is delivered ahead.
    """
    soon = dials[0].due - now - pacing.LEAD
    if soon <= timedelta(0):
        return None
    lead = -HALF_A_SECOND if apart >= FAR_APART else LEAD
    return min(dials[0].due - lead, now + 2 * soon)
