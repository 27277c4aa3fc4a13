"""Records of numbers that get their outcome without a call, or wait for one outside the log.

Storage writes such a record on the condition that no dialer has claimed the number since it was read.
"""

from datetime import datetime, timedelta
from typing import cast

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain.call import Call, ReportState, State
from chalicelib.domain.models import Entry
from chalicelib.storage.tables import CallItem
from chalicelib.storage.writes import new_nonce


def unchanged(items: type[CallItem], call: Call | None) -> Condition:
    """The number is as it was read: without a record, or deferred after the same attempt."""
    if call is None:
        return cast(Condition, items.call.does_not_exist())
    same_skipped = items.skipped == True if call.skipped else items.skipped.does_not_exist()  # noqa: E712 # the database evaluates it
    is_deferred = (items.state == State.DEFERRED) & (items.attempt == call.attempt)
    return cast(Condition, is_deferred & same_skipped)


def never_called(items: type[CallItem], entry: Entry) -> list[Action]:
    """The first attributes of the record of a number that was never called."""
    actions: list[Action] = [items.destination.set(entry.destination), items.attempt.set(0)]
    if entry.message_reference:
        actions.append(items.message_reference.set(entry.message_reference))
    if entry.expires is not None:
        actions.append(items.call_before.set(entry.expires))
    return actions


def ended(
    items: type[CallItem], state: State, reason: str, now: datetime, report: ReportState, retention: timedelta | None
) -> list[Action]:
    """The number has this outcome without another call. `retention` is that of `Calls`."""
    return [
        items.state.set(state),
        items.reason.set(reason),
        items.ended_at.set(now),
        items.report.set(report),
        items.nonce.set(new_nonce()),
        *([] if retention is None else [items.expires_at.set(now + retention)]),
    ]
