"""Numbers that their owner cancels: which still can be, and how the queue goes on without them.

A canceled number has a record from then on, so no dialer can claim it. Its sequence number is also in a list, by which
the pacer passes it without reading records: its slot goes to the next number.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from itertools import islice

from chalicelib.domain.call import Call, State
from chalicelib.domain.keys import CallKey
from chalicelib.domain.models import MOST_PASSED, MOST_SENT, Campaign, Entry
from chalicelib.domain.repeats import number_of

#: how many calls one request cancels at most, so that its answer fits into a receipt
MOST_CANCELED = 500
#: how many phone numbers may name them
MOST_NUMBERS = 10_000
#: the reason that a canceled number's record has
REASON = "on_request"


@dataclass(frozen=True)
class Candidate:
    """A number that a request names."""

    key: CallKey
    entry: Entry
    #: None if it has no record
    call: Call | None
    #: The settler has passed it, or it was moved to the front. If it has no record, it was called long ago, and its
    #: record has expired.
    is_settled: bool = False

    @property
    def can_be_canceled(self) -> bool:
        """True unless it is being dialled, was dialled, or has its outcome. A number that waits to be retried can be.

        A number that was sent to a dialer and isn't claimed yet has no record. It can be canceled, too.
        """
        return not self.is_settled if self.call is None else self.call.state is State.DEFERRED

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

    def admits(self, entry: Entry) -> bool:
        """True if the number or the reference is named. An entry isn't asked for by its place."""
        if self.entries is None:
            return entry.message_reference == self.message_reference
        return any(
            (destination, reference) in self.entries
            for destination in {entry.destination, number_of(entry)}
            for reference in {"", entry.message_reference}
        )


def may_be_sent(campaign: Campaign, withdrawn: Container[int]) -> list[int]:
    """The numbers from the head on that may have been sent, or passed, by a pacer that died before it moved the head.

    It passed those that are withdrawn, so it may have come further by as many.
    """
    most = MOST_SENT + (MOST_PASSED if campaign.has_times else 0)
    waiting = (sequence for sequence in range(campaign.head, campaign.tail) if sequence not in withdrawn)
    return list(islice(waiting, most))


def is_passed_by_head(call: Call) -> bool:
    """True if the record of a number from the head on shows that a pacer has sent or passed it, and died after that.

    A number that is withdrawn has a record, too, and may have been withdrawn after the lists were read.
    """
    is_moved = call.state is State.DEFERRED and call.skipped and call.attempt == 0
    return not is_moved and call.state is not State.CANCELED


def head_past(campaign: Campaign, withdrawn: Container[int]) -> int:
    """The first number from the head on that isn't withdrawn."""
    head = campaign.head
    while head < campaign.tail and head in withdrawn:
        head += 1
    return head
