"""What is told of one seed: what its owner asked for, what became of it, and what the tenant saw."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from chalicelib.domain import spreading
from chalicelib.domain.slicing import Limits
from tests.fake_aws.clock import BEGIN
from tests.simulation.faults import Faults
from tests.simulation.tenant import SimulatedTenant

MINUTE = timedelta(minutes=1)
#: of the profile: minutes, and the most calls in them that its owner ever asks for
PERIOD, AMOUNT = 2, 30

#: calling hours, as minutes from the beginning
Hours = tuple[tuple[int, int], ...]
#: the windows a campaign may have: one; two with a gap between them; two that touch
ALL_HOURS: tuple[Hours, ...] = (((0, 180),), ((0, 3), (5, 180)), ((0, 4), (4, 180)))


@dataclass
class Stop:
    """From when to when the campaign was told not to call."""

    answered: datetime
    started: datetime | None = None


@dataclass
class Wish:
    """Calling hours that its owner asked for."""

    hours: Hours
    #: from then on they may hold
    asked: datetime
    #: when it was answered that others hold; None: they still may
    superseded: datetime | None = None

    @property
    def windows(self) -> list[tuple[datetime, datetime]]:
        return [(BEGIN + begin * MINUTE, BEGIN + end * MINUTE) for begin, end in self.hours]


@dataclass
class Story:
    seed: int
    tenant: SimulatedTenant
    faults: Faults
    wishes: list[Wish]
    #: of the slices that the pacer sends
    limits: Limits = field(default_factory=Limits)
    #: how many dialers there may be at the same time
    dialers: int = 50
    max_retries: int = 0
    #: how many calls a second write their slips to one partition
    calls_per_partition: float = spreading.CALLS_PER_PARTITION
    uploaded: int = 0
    #: of which a part was accepted
    torn_uploads: int = 0
    stops: list[Stop] = field(default_factory=list)
    #: by the operator, of all campaigns
    halts: list[Stop] = field(default_factory=list)
    #: calls that were a dying dialer's to make
    caught: set[int] = field(default_factory=set)
    #: how many calls a dialer had to make at most
    most_at_once: int = 0
    #: dialers ended by the clock
    timeouts: int = 0
    #: progress as the API told it, whenever it was asked
    looks: list[dict[str, int]] = field(default_factory=list)
    #: progress, and the states of all numbers at the same moment
    twin_looks: list[tuple[dict[str, int], dict[str, int]]] = field(default_factory=list)
    #: the calls whose reports the API showed as delivered, and those whose reports had been taken by then
    report_looks: list[tuple[set[int], set[int]]] = field(default_factory=list)
    #: the campaign as the API shows it at the end, {} if it is deleted, and its calls when they were last shown
    final: dict[str, Any] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)
    dead_letters: int = 0

    @property
    def deleted(self) -> bool:
        return not self.final
