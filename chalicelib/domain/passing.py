"""Numbers that get no slot when it is their turn: the pacer passes them, and the next number gets the slot.

An upload may say before which instant its numbers aren't called, and from which instant on. The pacer finds these times
when it reads the numbers. A canceled number is listed instead (`chalicelib.domain.cancellation`).
"""

from datetime import datetime

from chalicelib.domain.models import Entry
from chalicelib.domain.pacing import CLOCKS_DIFFER

#: the reason of a number whose time was over before it was called
EXPIRED = "expired"


def has_expired(entry: Entry, now: datetime) -> bool:
    """True if a call that begins now might be too late, by a clock that differs."""
    return entry.expires is not None and now > entry.expires - CLOCKS_DIFFER


def waits_until(entry: Entry) -> datetime | None:
    """When the pacer may dispatch it, so that its call isn't too early by a clock that differs."""
    return None if entry.not_before is None else entry.not_before + CLOCKS_DIFFER


def is_passed(entry: Entry, now: datetime) -> bool:
    """True if the entry gets no slot now."""
    until = waits_until(entry)
    return has_expired(entry, now) or (until is not None and now < until)
