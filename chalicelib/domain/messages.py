"""Messages from the pacer to the dialer: each is a slice of one campaign's calls, or of its reports, or a refill.

A slice is the work of one invocation, so nothing depends on which messages the queue delivers together. In version 1 a
message had one call or one report. Reports of attempts came with version 3, and entries with times of their own with
version 4. Only messages that have one are written in these. A message of a newer version stays in the queue for code
that knows the version.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.domain.call import EndedAttempt
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Entry
from chalicelib.domain.pacing import MISFIRE_GRACE

#: the newest version of a message that this code reads
VERSION = 4
#: the versions with which these came
_ENTRY_TIMES, _ENDED_ATTEMPTS = 4, 3
#: the version of all other messages
_PLAIN = 2


@dataclass(frozen=True)
class Dial:
    """Dial this number, at its own instant."""

    key: CallKey
    #: 1 for the first
    attempt: int
    entry: Entry
    #: the campaign's when it was dispatched
    generation: int
    #: not before this instant
    due: datetime
    #: not begun at or after this instant
    start_deadline: datetime
    #: not sent at or after this instant, however long the connection took
    expires: datetime


@dataclass(frozen=True)
class Report:
    """Report this number's outcome, or how an attempt ended that wasn't its last one."""

    key: CallKey
    #: 1 for the first
    attempt: int
    #: None: the number's outcome, which its record has
    ended: EndedAttempt | None = None


@dataclass(frozen=True)
class Slice:
    """Calls to be made, or outcomes to be reported, all of one campaign and of one generation of it."""

    campaign: CampaignKey
    #: soonest first
    dials: tuple[Dial, ...] = ()
    reports: tuple[Report, ...] = ()
    #: the lease to delete when the slice is done; None if no part of it was a task
    lease: str | None = None
    #: the campaign's, so that the dialer adds tasks without reading the campaign
    spread: int = 1


@dataclass(frozen=True)
class Refill:
    """Dispatch calls of a campaign that are due up to `until`, as many as it has free lines."""

    campaign: CampaignKey
    until: datetime
    #: how much of its calls, from 0 to 1, the dialers can make
    part: float = 1.0


class Unreadable(ValueError):
    """The message isn't one that a pacer writes."""


class Newer(Unreadable):
    """The message has a version that this code doesn't know, as happens while a deployment is under way."""


def begins(dials: Iterable[Dial], now: datetime) -> dict[Dial, datetime]:
    """When each call begins: at its instant, or later if a call before it is late.

    The gaps between late calls are those between their instants. Otherwise a function that took long to start would
    make all of its calls at once.
    """
    begin_times: dict[Dial, datetime] = {}
    before: Dial | None = None
    for dial in sorted(dials, key=lambda dial: dial.due):
        begin = now if before is None else begin_times[before] + (dial.due - before.due)
        begin_times[dial] = max(dial.due, begin)
        before = dial
    return begin_times


def to_message(message: Slice | Refill) -> str:
    """The body of a message: one JSON object, ASCII."""
    campaign = message.campaign
    fields: dict[str, Any] = {"version": _version(message), "account": campaign.account, "campaign_id": campaign.id}
    if isinstance(message, Refill):
        # An older dialer takes it for a slice without calls, so that the stretch's slots stay free. Ticks send others.
        fields["refill"] = {"until": message.until.isoformat(), "part": message.part}
    else:
        fields |= _fields_of_slice(message)
    return json.dumps(fields)


def _version(message: Slice | Refill) -> int:
    """The oldest version that has all of it.

    An older dialer would take an entry's times for a part of its reference, and the report of an attempt for that of
    the number's outcome.
    """
    if isinstance(message, Refill):
        return _PLAIN
    if any(dial.entry.has_times for dial in message.dials):
        return _ENTRY_TIMES
    return _ENDED_ATTEMPTS if any(one.ended is not None for one in message.reports) else _PLAIN


def _fields_of_slice(slice_: Slice) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if slice_.dials:
        fields["generation"] = slice_.dials[0].generation
        fields["dials"] = [
            {
                "sequence": dial.key.sequence,
                "attempt": dial.attempt,
                "entry": dial.entry.line,
                "due": dial.due.isoformat(),
                "late": dial.start_deadline.isoformat(),
                "expires": dial.expires.isoformat(),
            }
            for dial in slice_.dials
        ]
    if slice_.reports:
        fields["reports"] = [
            {"sequence": one.key.sequence, "attempt": one.attempt}
            | ({} if one.ended is None else {"ended": one.ended.line})
            for one in slice_.reports
        ]
    if slice_.lease is not None:
        fields["lease"] = slice_.lease
    if slice_.spread > 1:
        fields["spread"] = slice_.spread
    return fields


def from_message(body: str) -> Slice | Refill:
    """The reverse of `to_message`, for every version there ever was. Raises Unreadable, and Newer.

    A missing field has its default, and an unknown one is ignored. So a field that is only added needs no new version.
    """
    try:
        fields = json.loads(body)
        if "version" not in fields:
            return _from_version_1(fields)
        if int(fields["version"]) > VERSION:
            raise Newer(f"it has version {fields['version']}, and this code knows {VERSION}")
        campaign = _campaign(fields)
        if "refill" in fields:
            refill = fields["refill"]
            return Refill(campaign, _instant(refill["until"]), _part(refill.get("part", 1.0)))
        return Slice(
            campaign,
            dials=tuple(_dial(campaign, one, fields["generation"]) for one in fields.get("dials", ())),
            reports=tuple(_report(campaign, one) for one in fields.get("reports", ())),
            # Messages used to call it `slip`.
            lease=_text_or_none(fields.get("lease", fields.get("slip"))),
            spread=_spread(fields.get("spread", 1)),
        )
    except Newer:
        raise
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise Unreadable(str(error)) from error


def _from_version_1(fields: Mapping[str, Any]) -> Slice:
    """`{"dial": {…}}` or `{"report": {…}}`. The earliest messages have no `late` and no `slip`."""
    ((kind, one),) = fields.items()
    campaign, lease = _campaign(one), _text_or_none(one.get("slip"))
    if kind == "report":
        return Slice(campaign, reports=(_report(campaign, one),), lease=lease)
    if kind == "dial":
        return Slice(campaign, dials=(_dial(campaign, one, one["generation"]),), lease=lease)
    raise ValueError(f"neither a dial nor a report: {kind!r}")


def _campaign(fields: Mapping[str, Any]) -> CampaignKey:
    return CampaignKey(str(fields["account"]), int(fields["campaign_id"]))


def _dial(campaign: CampaignKey, fields: Mapping[str, Any], generation: Any) -> Dial:
    due, expires = _instant(fields["due"]), _instant(fields["expires"])
    return Dial(
        campaign.call(int(fields["sequence"])),
        attempt=int(fields.get("attempt", 1)),
        entry=Entry.from_line(str(fields["entry"])),
        generation=int(generation),
        due=due,
        start_deadline=_instant(fields["late"]) if "late" in fields else min(due + MISFIRE_GRACE, expires),
        expires=expires,
    )


def _report(campaign: CampaignKey, fields: Mapping[str, Any]) -> Report:
    ended = fields.get("ended")
    return Report(
        campaign.call(int(fields["sequence"])),
        int(fields.get("attempt", 1)),
        None if ended is None else EndedAttempt.from_line(ended),
    )


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)


def _spread(number: Any) -> int:
    spread = int(number)
    if spread < 1:
        raise ValueError(f"no partition to write to: {number}")
    return spread


def _part(number: Any) -> float:
    part = float(number)
    if not 0 <= part <= 1:
        raise ValueError(f"no part: {number}")
    return part


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"no time zone: {text}")
    return instant
