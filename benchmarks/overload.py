"""More calls than the local deployment's dialers can make: how many are made, and how soon the pace recovers.

For some minutes start_url takes seconds, and then it answers at once. A dialer works on one slice at a time. It begins
up to a second before the first call, since the queue's delays are whole seconds, and ends after the last call.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from chalicelib.domain import load
from chalicelib.domain.slicing import Limits
from infra.local.deployment import DIALERS, LocalDeployment
from tests.support.caller import Caller, wait
from tests.support.tenant import serve

#: calls a minute
PACE = 3_000
#: for how many minutes start_url is slow, and for how many it answers at once afterwards
MINUTES = 5, 4
#: seconds until start_url answers, while it is slow
_SLOW = 5.0
#: seconds that the first call may take to come
_SLACK = 180
#: in seconds
_MINUTE = 60


def run(
    minutes: tuple[int, int] = MINUTES,
    minute: int = _MINUTE,
    deployment: Callable[[Path], LocalDeployment] = LocalDeployment,
) -> Iterator[str]:
    """`minute` is how many seconds a minute lasts. `deployment` takes the directory of its state."""
    yield f"{PACE:,} a minute are due; {DIALERS} dialers can make {capacity():,.0f} of {_SLOW:.0f} s"
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        arrivals, fast_from = measured(directory, deployment(directory / "state"), minutes, minute)
    slow, fast = minutes
    for number in range(slow):
        yield f"slow, minute {number + 1}: {summary(arrivals, arrivals[0] + number * minute, minute)}"
    for number in range(fast):
        yield f"at once, minute {number + 1}: {summary(arrivals, fast_from + number * minute, minute)}"


def capacity() -> float:
    """How many slow calls a minute the dialers can make if none of them is ever idle."""
    call_time = timedelta(seconds=_SLOW)
    return PACE * load.part(DIALERS, PACE / _MINUTE, load.limits(Limits(), call_time), call_time)


def measured(
    directory: Path, deployment: LocalDeployment, minutes: tuple[int, int], minute: int
) -> tuple[list[float], float]:
    """When each call reached the tenant, and when start_url began to answer at once, both in Unix seconds."""
    with deployment, serve(_SLOW) as tenant:
        caller = Caller(deployment.url, deployment.token, directory)
        slow, fast = minutes
        calls = PACE * (slow + fast + 1)
        campaign = caller.campaign(tenant, "".join(f"+1222{number:07d}\n" for number in range(calls)), PACE)
        caller.ask("start", campaign)
        wait(lambda: bool(tenant.calls), _SLACK)
        time.sleep(slow * minute)
        tenant.seconds_per_call, fast_from = 0.0, time.time()
        time.sleep(fast * minute)
        caller.ask("stop", campaign)
        return sorted(call.at for call in tenant.calls.copy()), fast_from


def summary(arrivals: list[float], begins: float, minute: int = _MINUTE) -> str:
    """The calls of the minute that begins at this time."""
    seconds = Counter(int(at - begins) for at in arrivals if begins <= at < begins + minute)
    counts = [seconds[second] for second in range(minute)]
    return f"{sum(counts):,} calls, in a second from {min(counts)} to {max(counts)}"
