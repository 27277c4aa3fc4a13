"""What the pacer hands to the dialer: one number to dial, or one outcome to report, as a message."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.models import CallKey, Entry


@dataclass(frozen=True)
class Dial:
    """Dial this number, at its own instant."""

    key: CallKey
    #: 1 for the first
    attempt: int
    entry: Entry
    #: the campaign's when it was handed over
    generation: int
    #: not before this instant
    due: datetime
    #: not begun at or after this one
    late: datetime
    #: not sent at or after this one, however long the connection took
    expires: datetime
    #: what storage is to forget once this message is dealt with, if it was deferred before
    slip: str | None = None


@dataclass(frozen=True)
class Report:
    """Report this number's outcome."""

    key: CallKey
    #: 1 for the first time it is told
    attempt: int
    #: what storage is to forget once this message is dealt with
    slip: str


class Unreadable(ValueError):
    """A message that no pacer wrote."""


def begins(dials: Iterable[Dial], now: datetime) -> dict[Dial, datetime]:
    """When each is to be begun: at its instant; or, if they come late together, as far apart as their instants are.

    Otherwise a function that had to be woken would make all the calls at once that it was woken for.
    """
    found: dict[Dial, datetime] = {}
    last: dict[tuple[str, int], Dial] = {}
    for dial in sorted(dials, key=lambda dial: dial.due):
        campaign = (dial.key.account, dial.key.campaign_id)
        before = last.get(campaign)
        begin = now if before is None else found[before] + (dial.due - before.due)
        found[dial] = max(dial.due, begin)
        last[campaign] = dial
    return found


def to_message(handover: Dial | Report) -> str:
    """The handover as the body of a message: one JSON object, ASCII."""
    key = handover.key
    fields: dict[str, str | int | None] = {
        "account": key.account,
        "campaign_id": key.campaign_id,
        "sequence": key.sequence,
        "call_id": key.call_id,
        "attempt": handover.attempt,
        "slip": handover.slip,
    }
    if isinstance(handover, Report):
        return json.dumps({"report": fields})
    fields |= {
        "entry": handover.entry.line,
        "generation": handover.generation,
        "due": handover.due.isoformat(),
        "late": handover.late.isoformat(),
        "expires": handover.expires.isoformat(),
    }
    return json.dumps({"dial": fields})


def from_message(body: str) -> Dial | Report:
    """The reverse of `to_message`. Raises Unreadable."""
    try:
        ((kind, fields),) = json.loads(body).items()
        key = CallKey(str(fields["account"]), int(fields["campaign_id"]), int(fields["sequence"]))
        slip = fields["slip"]
        if kind == "report":
            return Report(key, int(fields["attempt"]), str(slip))
        if kind == "dial":
            return Dial(
                key,
                attempt=int(fields["attempt"]),
                entry=Entry.from_line(str(fields["entry"])),
                generation=int(fields["generation"]),
                due=_instant(fields["due"]),
                late=_instant(fields["late"]),
                expires=_instant(fields["expires"]),
                slip=None if slip is None else str(slip),
            )
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise Unreadable(str(error)) from error
    raise Unreadable(f"neither a dial nor a report: {kind!r}")


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"no time zone: {text}")
    return instant
