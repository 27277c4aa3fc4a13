"""More calls than the local deployment's dialers can make: how many are made, and how soon the pace recovers.

For some minutes start_url takes seconds, and then it answers at once. A dialer works on one slice at a time. It begins
up to a second before the first call, since the queue's delays are whole seconds, and ends after the last call.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
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
SLOW_MINUTES, FAST_MINUTES = 5, 4
#: seconds until start_url answers, while it is slow
_SLOW = 5.0
#: seconds that the first call may take to come
_SLACK = 180
#: in seconds
_MINUTE = 60


def run() -> Iterator[str]:
    yield f"{PACE:,} a minute are due; {DIALERS} dialers can make {capacity():,.0f} of {_SLOW:.0f} s"
    arrivals, fast_from = measured()
    began = arrivals[0]
    for minute in range(SLOW_MINUTES):
        yield f"slow, minute {minute + 1}: {summary(arrivals, began + minute * _MINUTE)}"
    for minute in range(FAST_MINUTES):
        yield f"at once, minute {minute + 1}: {summary(arrivals, fast_from + minute * _MINUTE)}"


def capacity() -> float:
    """How many slow calls a minute the dialers can make if none of them is ever idle."""
    call_time = timedelta(seconds=_SLOW)
    return PACE * load.part(DIALERS, PACE / _MINUTE, load.limits(Limits(), call_time), call_time)


def measured() -> tuple[list[float], float]:
    """When each call reached the tenant, and when start_url began to answer at once, both in Unix seconds."""
    with (
        tempfile.TemporaryDirectory() as name,
        LocalDeployment(Path(name) / "state") as deployment,
        serve(_SLOW) as tenant,
    ):
        caller = Caller(deployment.url, deployment.token, Path(name))
        calls = PACE * (SLOW_MINUTES + FAST_MINUTES + 1)
        campaign = caller.campaign(tenant, "".join(f"+1222{number:07d}\n" for number in range(calls)), PACE)
        caller.ask("start", campaign)
        wait(lambda: bool(tenant.calls), _SLACK)
        time.sleep(SLOW_MINUTES * _MINUTE)
        tenant.seconds_per_call, fast_from = 0.0, time.time()
        time.sleep(FAST_MINUTES * _MINUTE)
        caller.ask("stop", campaign)
        return sorted(call.at for call in tenant.calls.copy()), fast_from


def summary(arrivals: list[float], begins: float) -> str:
    """The calls of the minute that begins at this time."""
    seconds = Counter(int(at - begins) for at in arrivals if begins <= at < begins + _MINUTE)
    counts = [seconds[second] for second in range(_MINUTE)]
    return f"{sum(counts):,} calls, in a second from {min(counts)} to {max(counts)}"
