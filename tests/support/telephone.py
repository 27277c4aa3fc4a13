"""A telephone network for a world: the calls that start_url accepts last for a while, and then end."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chalicelib.domain.outcome import Answered
from tests.support.events import post_event
from tests.support.world import ReceivedRequest, World

#: how exactly a call ends when its time comes
STEP = timedelta(seconds=0.25)
MINUTE = timedelta(minutes=1)


@dataclass
class Line:
    """A call as the tenant's own log has it."""

    campaign: str
    begun: datetime
    ends: datetime
    status_url: str
    ended: bool = False


@dataclass
class Telephones:
    """Every call of the world's tenant is answered with 202, and lasts as long as `lasts` says."""

    world: World
    #: seconds, for each call
    lasts: Callable[[], float] = lambda: 45.0
    lines: list[Line] = field(default_factory=list)
    #: the most calls at once, of all campaigns and of each
    most: int = 0
    most_of: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.world.tenant.on_call = lambda _: Answered(202, {}, b"")

    def run(self, minutes: int) -> None:
        """Run the world's functions, and end calls when their time comes."""
        world = self.world
        for _ in range(minutes):
            world.tick()
            for _ in range(MINUTE // STEP):
                next_step = world.clock.now() + STEP
                world.drain(next_step)
                world.clock.turn_to(next_step)
                self._take_new_calls()
                self._end_calls()
            world.settle()

    def seconds_in_use(self, since: datetime, until: datetime) -> float:
        """How many seconds all calls together lasted between these instants."""
        overlaps = (min(line.ends, until) - max(line.begun, since) for line in self.lines)
        return sum(max(0.0, overlap.total_seconds()) for overlap in overlaps)

    def _take_new_calls(self) -> None:
        for call in self.world.tenant.calls[len(self.lines) :]:
            self.lines.append(self._line(call))
            campaign = self.lines[-1].campaign
            open_now = [line for line in self.lines if line.begun <= call.at < line.ends or not line.ended]
            self.most = max(self.most, len(open_now))
            self.most_of[campaign] = max(self.most_of[campaign], sum(line.campaign == campaign for line in open_now))

    def _line(self, call: ReceivedRequest) -> Line:
        ends = call.at + timedelta(seconds=self.lasts())
        return Line(call.form["campaign_id"], call.at, ends, call.form["status_url"])

    def _end_calls(self) -> None:
        for line in self.lines:
            if not line.ended and line.ends <= self.world.clock.now():
                assert post_event(self.world.services, line.status_url, status="completed").status == 200
                line.ended = True


def about(seconds: float, seed: int = 1) -> Callable[[], float]:
    """Times that are `seconds` on average, as calls' times are: many short ones, some long ones."""
    dice = random.Random(seed)  # noqa: S311 # no secret
    return lambda: min(4 * seconds, dice.expovariate(1 / seconds)) + 1
