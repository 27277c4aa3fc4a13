"""Tasks: dials and reports that wait outside the log until the pacer dispatches them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.call import EndedAttempt, State
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Entry


@dataclass(frozen=True)
class DialTask:
    """A number to be dialled, before the numbers of the log."""

    key: CallKey
    entry: Entry
    #: the attempt to be made, 1 for the first
    attempt: int
    #: None: at once, in the order of the queue
    not_before: datetime | None


@dataclass(frozen=True)
class ReportTask:
    """An outcome to be reported."""

    key: CallKey
    #: the attempt to be made, 1 for the first; one that was made isn't made again
    attempt: int
    not_before: datetime


@dataclass(frozen=True)
class AttemptReportTask:
    """How an attempt ended, after which the number is dialled again, is to be reported."""

    key: CallKey
    #: which try to report it, 1 for the first
    attempt: int
    not_before: datetime
    ended: EndedAttempt


Task = DialTask | ReportTask | AttemptReportTask


@dataclass(frozen=True)
class ScheduledTask:
    """A task as storage holds it."""

    task: Task
    #: the range key of its item
    name: str
    #: the dials that were returned together with it, come after it, and share its item
    following: tuple[DialTask, ...] = ()
    #: the same for all dials that were returned together; empty for a task with an item of its own
    mark: str = ""
    #: which of the campaign's partitions holds the item, from 0
    partition: int = 0


@dataclass(frozen=True)
class Lease:
    """Tasks that were sent to the dialer as one slice. An expired lease is released: its tasks wait again."""

    tasks: tuple[Task, ...]
    #: the range key of its item
    name: str
    #: None for a returned slice
    expires: datetime | None = None

    @property
    def campaign(self) -> CampaignKey:
        return self.tasks[0].key.campaign


@dataclass(frozen=True)
class Acknowledgement:
    """Calls whose first report result_url acknowledged. Their own records don't have it."""

    sequences: frozenset[int]
    #: the range key of its item
    name: str


def acknowledged_sequences(acknowledgements: Iterable[Acknowledgement]) -> frozenset[int]:
    """The sequence numbers in any of them."""
    return frozenset().union(*(one.sequences for one in acknowledgements))


@dataclass(frozen=True)
class OpenCalls:
    """Numbers before `settled` that aren't counted yet, since their calls were in progress when the settler swept them.

    A number is in one of these at most, and then it isn't skipped.
    """

    sequences: frozenset[int]
    #: the range key of its item
    name: str
    #: those of the numbers whose first report is dispatched
    dispatched: frozenset[int] = frozenset()


def open_sequences(open_calls: Iterable[OpenCalls]) -> frozenset[int]:
    """The sequence numbers in any of them."""
    return frozenset().union(*(one.sequences for one in open_calls))


@dataclass(frozen=True)
class WithdrawnNumbers:
    """Numbers that were taken out of the log's order together. The list is kept until the settler has passed them."""

    sequences: frozenset[int]
    #: the range key of its item
    name: str
    #: They were moved to the front of the queue. Otherwise they were canceled.
    moved: bool = False


@dataclass(frozen=True)
class Withdrawn:
    """The numbers that the pacer passes when it reads the log, and that the settler hasn't passed yet."""

    canceled: frozenset[int] = frozenset()
    #: A number that was moved to the front may be canceled after that. Then it is among both.
    moved: frozenset[int] = frozenset()

    @classmethod
    def of(cls, lists: Sequence[WithdrawnNumbers]) -> "Withdrawn":
        return cls(*(_sequences(one for one in lists if one.moved is moved) for moved in (False, True)))

    def __contains__(self, sequence: object) -> bool:
        return sequence in self.canceled or sequence in self.moved


def _sequences(lists: Iterable[WithdrawnNumbers]) -> frozenset[int]:
    return frozenset().union(*(one.sequences for one in lists))


@dataclass(frozen=True)
class Correction:
    """A late event's outcome of a number that was uncertain. It isn't in the campaign's counts yet."""

    key: CallKey
    state: State


@dataclass(frozen=True)
class UncountedOutcome:
    """The outcome of a number that the settler had skipped. It isn't in the campaign's counts yet."""

    key: CallKey
    state: State
    #: which of the campaign's partitions holds the item, from 0
    partition: int = 0
