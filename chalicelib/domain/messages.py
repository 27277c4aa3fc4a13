"""What the pacer hands to the dialer: a slice of one campaign's calls, or of its reports, as one message.

A slice holds what one function deals with by itself, so nothing depends on which messages the queue happens to hand out
together. Version 1 had one call or one report to a message. A version that is newer than this code is left for the code
that knows it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.domain.models import CallKey, Entry

#: of the messages that are written
VERSION = 2


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


@dataclass(frozen=True)
class Report:
    """Report this number's outcome."""

    key: CallKey
    #: 1 for the first time it is told
    attempt: int


@dataclass(frozen=True)
class Slice:
    """Calls to be made and outcomes to be reported, all of one campaign, and of one generation of it."""

    account: str
    campaign_id: int
    #: soonest first
    dials: tuple[Dial, ...] = ()
    reports: tuple[Report, ...] = ()
    #: what storage is to forget once the slice is dealt with, if any of it was deferred before
    scheduled: str | None = None
    #: the campaign's: the dialer writes slips without a look at the campaign
    spread: int = 1


class Unreadable(ValueError):
    """A message that no pacer wrote."""


class Newer(Unreadable):
    """A message of a version that this code doesn't know, as there are some while a deployment is under way."""


def begins(dials: Iterable[Dial], now: datetime) -> dict[Dial, datetime]:
    """When each is to be begun: at its instant; or, if they come late together, as far apart as their instants are.

    Otherwise a function that had to be woken would make all the calls at once that it was woken for.
    """
    found: dict[Dial, datetime] = {}
    before: Dial | None = None
    for dial in sorted(dials, key=lambda dial: dial.due):
        begin = now if before is None else found[before] + (dial.due - before.due)
        found[dial] = max(dial.due, begin)
        before = dial
    return found


def to_message(handed: Slice) -> str:
    """The slice as the body of a message: one JSON object, ASCII."""
    fields: dict[str, Any] = {"version": VERSION, "account": handed.account, "campaign_id": handed.campaign_id}
    if handed.dials:
        fields["generation"] = handed.dials[0].generation
        fields["dials"] = [
            {
                "sequence": dial.key.sequence,
                "attempt": dial.attempt,
                "entry": dial.entry.line,
                "due": dial.due.isoformat(),
                "late": dial.late.isoformat(),
                "expires": dial.expires.isoformat(),
            }
            for dial in handed.dials
        ]
    if handed.reports:
        fields["reports"] = [{"sequence": one.key.sequence, "attempt": one.attempt} for one in handed.reports]
    if handed.scheduled is not None:
        fields["slip"] = handed.scheduled
    if handed.spread > 1:
        fields["spread"] = handed.spread
    return json.dumps(fields)


def from_message(body: str) -> Slice:
    """The reverse of `to_message`, for every version there ever was. Raises Unreadable, and Newer.

    A field that is missing has its default, and one that isn't known is left alone: so what is only added to a message
    needs no new version.
    """
    try:
        fields = json.loads(body)
        if "version" not in fields:
            return _from_version_1(fields)
        if int(fields["version"]) > VERSION:
            raise Newer(f"version {fields['version']}, and this code knows {VERSION}")
        account, campaign_id = str(fields["account"]), int(fields["campaign_id"])
        scheduled = fields.get("slip")
        return Slice(
            account,
            campaign_id,
            dials=tuple(_dial(account, campaign_id, one, fields["generation"]) for one in fields.get("dials", ())),
            reports=tuple(_report(account, campaign_id, one) for one in fields.get("reports", ())),
            scheduled=None if scheduled is None else str(scheduled),
            spread=_spread(fields.get("spread", 1)),
        )
    except Newer:
        raise
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise Unreadable(str(error)) from error


def _from_version_1(fields: Mapping[str, Any]) -> Slice:
    """`{"dial": {…}}` or `{"report": {…}}`."""
    ((kind, one),) = fields.items()
    account, campaign_id = str(one["account"]), int(one["campaign_id"])
    scheduled = one["slip"]
    if kind == "report":
        return Slice(account, campaign_id, reports=(_report(account, campaign_id, one),), scheduled=str(scheduled))
    if kind == "dial":
        dial = _dial(account, campaign_id, one, one["generation"])
        return Slice(account, campaign_id, dials=(dial,), scheduled=None if scheduled is None else str(scheduled))
    raise ValueError(f"neither a dial nor a report: {kind!r}")


def _dial(account: str, campaign_id: int, fields: Mapping[str, Any], generation: Any) -> Dial:
    return Dial(
        CallKey(account, campaign_id, int(fields["sequence"])),
        attempt=int(fields.get("attempt", 1)),
        entry=Entry.from_line(str(fields["entry"])),
        generation=int(generation),
        due=_instant(fields["due"]),
        late=_instant(fields["late"]),
        expires=_instant(fields["expires"]),
    )


def _report(account: str, campaign_id: int, fields: Mapping[str, Any]) -> Report:
    return Report(CallKey(account, campaign_id, int(fields["sequence"])), int(fields.get("attempt", 1)))


def _spread(number: Any) -> int:
    spread = int(number)
    if spread < 1:
        raise ValueError(f"no partition to write to: {number}")
    return spread


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"no time zone: {text}")
    return instant
