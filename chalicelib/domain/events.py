"""Call events: what a telephone provider, or the customer, says of a call that is under way.

An event has callpacer's own fields (`status`, `callee_type`, `duration`, `reason`), or it is a provider's status
callback as it is. Nobody has to say which provider's. The tables of `chalicelib.domain.providers` agree on most words,
and where they don't, the fields of the body tell. When it happened isn't read: what counts is when the event came.

Unlike in the rest of the API, unknown fields are ignored: providers send dozens, and more each year. So is a value that
can't be read, as in an answer of start_url, because the end of a call must not be lost over its duration. Without a
status that is known, there is no event, unless it is what a provider's machine detection has found.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from chalicelib.domain.faults import EventFault, UnreadableEvent
from chalicelib.domain.outcome import CalleeType, Outcome, Result, reason_word, whole_seconds
from chalicelib.domain.providers import (
    OWN,
    OWN_REASON,
    OWN_STATUSES,
    PRECISE_REASONS,
    PROVIDERS,
    EventStatus,
    Vocabulary,
    spelling,
)

T = TypeVar("T")

#: Only of these does a provider's cause say why. After a call that was answered, a cause is about its end.
_WITHOUT_SUCCESS = frozenset({EventStatus.BUSY, EventStatus.NO_ANSWER, EventStatus.FAILED, EventStatus.REJECTED})
_VOCABULARIES = (OWN, *PROVIDERS)
_STATUS_FIELDS = tuple(dict.fromkeys(one.status for one in _VOCABULARIES))

#: reasons that are recorded in one spelling, so that they can be counted
_KNOWN_REASONS = {spelling(reason): str(reason) for reason in (*EventStatus, *PRECISE_REASONS)}

#: No number in a provider's tables is as large.
_NO_CODE = 1_000_000


@dataclass(frozen=True)
class CallEvent:
    """What is known of a call since this event. None is for what the event doesn't say."""

    status: EventStatus
    #: one word, which is recorded and shown as it is
    reason: str | None = None
    callee_type: CalleeType = CalleeType.UNKNOWN
    #: seconds
    duration: int | None = None


def read_event(fields: Mapping[str, object]) -> CallEvent:
    """The event that a form or a JSON object tells. Raises UnreadableEvent, and nothing else."""
    spoken = _spoken(fields)
    status, reason = _status(fields, spoken)
    if status in _WITHOUT_SUCCESS:
        reason = _cause(fields, spoken) or reason
    return CallEvent(
        status,
        reason=_own_reason(fields.get(OWN_REASON)) or reason,
        callee_type=_callee_type(fields, spoken),
        duration=_first(whole_seconds(fields.get(one.duration)) for one in spoken),
    )


def outcome_of_event(event: CallEvent, heard: CalleeType = CalleeType.UNKNOWN) -> Outcome:
    """The call's outcome by a final event, where an earlier one has told that `heard` picked up.

    Without a reason of its own, the status is the reason. Reason and duration are always those of the final event: what
    an earlier one calls the duration is often how long it rang.
    """
    if not event.status.is_final:
        raise ValueError(f"the call isn't over: {event.status}")
    return Outcome(
        Result.COMPLETED if event.status is EventStatus.COMPLETED else Result.FAILED,
        reason=event.reason or event.status.value,
        callee_type=heard if event.callee_type is CalleeType.UNKNOWN else event.callee_type,
        duration=event.duration or 0,
    )


def _spoken(fields: Mapping[str, object]) -> Sequence[Vocabulary]:
    """The vocabularies in which the fields are read, callpacer's own first.

    A mark that is there excludes the providers with other marks. A customer who passes on only some of a provider's
    fields may leave out the mark. Then it can be any provider.
    """
    marked = tuple(one for one in PROVIDERS if one.mark in fields)
    return (OWN, *(marked or PROVIDERS))


def _status(fields: Mapping[str, object], spoken: Sequence[Vocabulary]) -> tuple[EventStatus, str | None]:
    """The status, and the reason that its word gives."""
    name = next((one.status for one in spoken if not _is_blank(fields.get(one.status))), None)
    if name is None:
        # The result of machine detection comes alone, and only of a call that is answered. The customer's own
        # `callee_type` isn't taken for such a result: rather, the name of its `status` is misspelt.
        if any(not _is_blank(fields.get(one.callee)) for one in spoken if one is not OWN):
            return EventStatus.IN_PROGRESS, None
        raise UnreadableEvent(EventFault.NO_STATUS, fields=_STATUS_FIELDS, known=tuple(OWN_STATUSES))
    written = fields[name]
    word = _spelling(written)
    of_this_field = [one for one in spoken if one.status == name]
    for one in (*of_this_field, *spoken, *_VOCABULARIES):
        if word in one.statuses:
            return one.statuses[word], one.reasons.get(word)
    raise UnreadableEvent(EventFault.UNKNOWN_STATUS, field=name, status=written, known=tuple(OWN_STATUSES))


def _callee_type(fields: Mapping[str, object], spoken: Iterable[Vocabulary]) -> CalleeType:
    said = _first(one.callees.get(_spelling(fields.get(one.callee))) for one in spoken)
    return said or CalleeType.UNKNOWN


def _cause(fields: Mapping[str, object], spoken: Iterable[Vocabulary]) -> str | None:
    """Why the call had no success, by the first field that says so precisely, or else by the first that says so."""
    said = [
        reasons[word]
        for one in spoken
        for name, reasons in one.causes.items()
        if (word := _spelling(fields.get(name))) in reasons
    ]
    return next((reason for reason in said if reason in PRECISE_REASONS), next(iter(said), None))


def _own_reason(value: object) -> str | None:
    """The word that the customer gives, in the spelling in which it is recorded."""
    word = reason_word(value)
    return None if word is None else _KNOWN_REASONS.get(spelling(word), word)


def _spelling(value: object) -> str:
    """The word, or the number, by which a table is asked; empty for what is neither."""
    if isinstance(value, bool):
        return str(value).lower()
    # Python refuses to write integers with thousands of digits.
    if isinstance(value, int) and 0 <= value < _NO_CODE:
        return str(value)
    return spelling(value) if isinstance(value, str) else ""


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _first(values: Iterable[T | None]) -> T | None:
    return next((value for value in values if value is not None), None)
