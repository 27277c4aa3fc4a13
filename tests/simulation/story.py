"""The record of one simulated story: what the owner requested, what happened, and what the tenant received."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from chalicelib.domain import spreading
from chalicelib.domain.slicing import Limits
from tests.fake_aws.clock import BEGIN
from tests.simulation.faults import Faults
from tests.simulation.tenant import SimulatedTenant

MINUTE = timedelta(minutes=1)
#: the profile's period in minutes
PERIOD = 2
#: the most and the fewest calls in a period that the owner ever asks for
AMOUNT, FEWEST = 30, 20

#: calling hours, in minutes from the beginning
Hours = tuple[tuple[int, int], ...]
#: the windows that a campaign may have: one; two with a gap between them; two without
ALL_HOURS: tuple[Hours, ...] = (((0, 180),), ((0, 3), (5, 180)), ((0, 4), (4, 180)))


@dataclass
class Stop:
    """A stretch of time in which the campaign must not call."""

    #: when the stop was answered
    answered: datetime
    #: when the next start was requested
    started: datetime | None = None


@dataclass
class RequestedHours:
    """Calling hours that the owner asked for."""

    hours: Hours
    #: when they were asked for: from then on they may hold
    asked: datetime
    #: when other hours were confirmed; None if these may still hold
    superseded: datetime | None = None

    @property
    def windows(self) -> list[tuple[datetime, datetime]]:
        return [(BEGIN + begin * MINUTE, BEGIN + end * MINUTE) for begin, end in self.hours]


@dataclass(frozen=True)
class Times:
    """When the numbers of an upload may be called, if it says so."""

    not_before: datetime | None = None
    expires: datetime | None = None


@dataclass
class Story:
    seed: int
    tenant: SimulatedTenant
    faults: Faults
    requested_hours: list[RequestedHours]
    #: of the slices that the pacer sends
    limits: Limits = field(default_factory=Limits)
    #: how many dialers may run at the same time
    dialers: int = 50
    max_retries: int = 0
    #: the campaign asks for a report of each attempt
    attempt_reports: bool = False
    #: seconds
    call_timeout: int = 3600
    #: how many calls may be under way at once; None: any number
    lines: int | None = None
    #: how many calls a second may write their tasks to one partition
    calls_per_partition: float = spreading.CALLS_PER_PARTITION
    #: how many numbers were accepted
    uploaded: int = 0
    #: the times that uploads gave to their numbers, by call id
    times: dict[int, Times] = field(default_factory=dict)
    #: how many uploads were accepted in part
    partial_uploads: int = 0
    stops: list[Stop] = field(default_factory=list)
    #: of all campaigns, by the operator
    halts: list[Stop] = field(default_factory=list)
    #: the calls that the owner asked to cancel, and when the API answered first that they are canceled
    named_for_cancel: set[int] = field(default_factory=set)
    canceled: dict[int, datetime] = field(default_factory=dict)
    #: when a call was due, by its id and attempt: one instant for each delivery
    due: dict[tuple[int, int], list[datetime]] = field(default_factory=dict)
    #: calls and reports of slices whose dialer died
    of_dead_dialers: set[int] = field(default_factory=set)
    #: the most calls that a dialer got at once
    largest_slice: int = 0
    #: how many functions were ended because their time was over
    timeouts: int = 0
    #: progress, each time that the API was asked for it alone
    progress_snapshots: list[dict[str, int]] = field(default_factory=list)
    #: progress, and how many numbers were in each state at the same moment
    progress_and_states: list[tuple[dict[str, int], dict[str, int]]] = field(default_factory=list)
    #: The reports that the API showed as delivered, and those that the tenant had acknowledged by then. Each is a call
    #: and a revision.
    report_snapshots: list[tuple[set[tuple[int, int]], set[tuple[int, int]]]] = field(default_factory=list)
    #: the campaign as the API shows it at the end; empty if it is deleted
    final: dict[str, Any] = field(default_factory=dict)
    #: its calls as the API showed them last
    calls: list[dict[str, Any]] = field(default_factory=list)
    dead_letters: int = 0

    @property
    def deleted(self) -> bool:
        return not self.final
