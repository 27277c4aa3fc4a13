"""Which numbers of a campaign a search finds, and how far one request searches.

A campaign's queue has no index by number, reference or state. So a request looks at a part of the queue, up to a fixed
length, and tells where the search goes on.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from chalicelib.domain.call import Call, State
from chalicelib.domain.models import Campaign, Entry
from chalicelib.domain.repeats import number_of

#: how many numbers one request looks at
MOST_EXAMINED = 10_000

#: the states of numbers that have no record
QUEUED: Final = "queued"
EXPIRED: Final = "expired"
#: the states that the API shows
STATES: tuple[str, ...] = (QUEUED, *State, EXPIRED)


@dataclass(frozen=True)
class Criteria:
    """What a number must have to be found. A search without any criterion finds all."""

    #: A number in its normal form. Without parameters it finds the number with any; otherwise only with the same ones.
    destination: str | None = None
    message_reference: str | None = None
    #: the states that it may be in; empty for any
    states: frozenset[str] = frozenset()

    def admit(self, entry: Entry) -> bool:
        """True if the entry meets them. Its state is another matter, for which its record is read."""
        if self.message_reference not in (None, entry.message_reference):
            return False
        return self.destination in (None, entry.destination, number_of(entry))

    def admit_state(self, state: str) -> bool:
        return not self.states or state in self.states


def state_of(sequence: int, call: Call | None, campaign: Campaign, moved: Container[int]) -> str:
    """The state that the API shows. `call` is the number's record, None if it has none, or if it isn't shown.

    The record of a number before `settled`, or of one that was `moved` to the front, is deleted after some time. The
    campaign's counts still have its outcome.
    """
    if call is not None:
        return call.state
    if sequence < campaign.settled or sequence in moved:
        return EXPIRED
    return QUEUED if sequence >= campaign.head else State.DIALLING


def is_shown(sequence: int, call: Call, campaign: Campaign, moved: Container[int]) -> bool:
    """False for what a pacer that died has sent from the head on: it is still queued, unless it is canceled.

    A number that was `moved` to the front isn't in the queue from the head on any more.
    """
    return sequence < campaign.head or call.state is State.CANCELED or sequence in moved


def searched(criteria: Criteria, campaign: Campaign, first: int, moved: Iterable[int]) -> range:
    """The sequence numbers from `first` on that a search must look at.

    From the head on, numbers are queued, unless they are canceled, or were `moved` to the front.
    """
    states = criteria.states or {*STATES}
    beyond = campaign.tail if states & {QUEUED, State.CANCELED} else max([campaign.head - 1, *moved]) + 1
    if states == {QUEUED}:
        first = max(first, campaign.head)
    return range(first, beyond)


def examined(whole: range) -> range:
    """The part of a search that one request makes."""
    return whole[:MOST_EXAMINED]


def next_after(whole: range, found: Sequence[int], limit: int) -> int | None:
    """The sequence number after which the search goes on. None if it is finished.

    `found` are those that the request has found, `limit` at most.
    """
    last = found[-1] if len(found) == limit else examined(whole).stop - 1
    return last if last + 1 < whole.stop else None
