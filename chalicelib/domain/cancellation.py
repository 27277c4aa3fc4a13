"""Numbers that their owner cancels: which still can be, and how the queue goes on without them.

A canceled number has a record from then on, so no dialer can claim it. Its sequence number is also in a list, by which
the pacer passes it without reading records: its slot goes to the next number.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from chalicelib.domain.call import Call, State
from chalicelib.domain.keys import CallKey
from chalicelib.domain.models import MOST_SENT_PAST_HEAD, Campaign, Entry
from chalicelib.domain.repeats import number_of

#: how many numbers one request cancels, and how many it looks at
MOST_CANCELED, MOST_NAMED = 1_000, 10_000
#: the reason that a canceled number's record has
REASON = "on_request"


@dataclass(frozen=True)
class Candidate:
    """A number that a request names."""

    key: CallKey
    entry: Entry
    #: None if it has no record
    call: Call | None

    @property
    def can_be_canceled(self) -> bool:
        """True unless it is being dialled, was dialled, or has its outcome. A number that waits to be retried can be.

        A number that was sent to a dialer and isn't claimed yet has no record. It can be canceled, too.
        """
        return self.call is None or self.call.state is State.DEFERRED

    @property
    def is_canceled(self) -> bool:
        return self.call is not None and self.call.state is State.CANCELED


@dataclass(frozen=True)
class Selection:
    """Which numbers of a campaign a request names. It has one of the three."""

    sequences: frozenset[int] | None = None
    #: numbers and references; an empty reference stands for any
    entries: frozenset[tuple[str, str]] | None = None
    message_reference: str | None = None

    @classmethod
    def of_entries(cls, entries: Iterable[Entry]) -> "Selection":
        """Numbers without parameters stand for those with any, and entries without a reference for those with any."""
        return cls(entries=frozenset((entry.destination, entry.message_reference) for entry in entries))

    def admits(self, sequence: int, entry: Entry) -> bool:
        if self.sequences is not None:
            return sequence in self.sequences
        if self.entries is None:
            return entry.message_reference == self.message_reference
        return any(
            (destination, reference) in self.entries
            for destination in {entry.destination, number_of(entry)}
            for reference in {"", entry.message_reference}
        )


def needed_until(campaign: Campaign, now: datetime) -> datetime:
    """When a canceled number's record isn't needed any more to keep the number from being called.

    The head passes it when the numbers before it have been called, on the campaign's last day at the latest.
    """
    day_after = campaign.plan.end_date + timedelta(days=2)
    return max(now, datetime.combine(day_after, time(), tzinfo=UTC))


def may_be_sent(campaign: Campaign, canceled: Iterable[int]) -> range:
    """The numbers from the head on that a pacer may have sent, which died before it moved the head.

    It passed those that were canceled, so it may have come further by as many.
    """
    passed = sum(sequence >= campaign.head for sequence in canceled)
    return range(campaign.head, min(campaign.head + MOST_SENT_PAST_HEAD + passed, campaign.tail))


def head_past(campaign: Campaign, canceled: Container[int]) -> int:
    """The first number from the head on that isn't canceled."""
    head = campaign.head
    while head < campaign.tail and head in canceled:
        head += 1
    return head
