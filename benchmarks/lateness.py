"""How late calls start on the local deployment, and how evenly, at the pace of a busy campaign and of a very busy one.

The functions are those of the package. Each invocation is a process on this machine, beside the emulator, the API and
the tenant's server. So from some pace on, the machine itself is the limit.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from chalicelib.runtime.metrics import Metric
from infra.local.deployment import LocalDeployment
from tests.support.caller import Caller, wait
from tests.support.tenant import serve

#: calls a minute
PACES = (600, 3_000)
MINUTES = 2
#: seconds allowed beyond the planned time, for the first tick and for calls that are late
_SLACK = 180
#: seconds until start_url answers
_LATENCY = 0.2


def run(
    paces: Sequence[int] = PACES,
    minutes: int = MINUTES,
    deployment: Callable[[Path], LocalDeployment] = LocalDeployment,
) -> Iterator[str]:
    """`deployment` takes the directory of its state."""
    for pace in paces:
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            patience = minutes * 60 + _SLACK
            arrivals, lags = measured(directory, deployment(directory / "state"), pace, pace * minutes, patience)
        yield f"{pace:>5,} a minute: {summary(arrivals, lags)}"


def measured(
    directory: Path, deployment: LocalDeployment, pace: int, calls: int, patience: float
) -> tuple[list[float], list[float]]:
    """When each call reached the tenant, in Unix seconds, and how late each was sent, in seconds.

    If the deployment doesn't keep up, the campaign is stopped after `patience` seconds.
    """
    with deployment, serve(_LATENCY) as tenant:
        caller = Caller(deployment.url, deployment.token, directory)
        campaign = caller.campaign(tenant, "".join(f"+1222{number:07d}\n" for number in range(calls)), pace)
        caller.ask("start", campaign)
        try:
            wait(lambda: len(tenant.reports) >= calls, patience)
        except AssertionError:
            caller.ask("stop", campaign)
        arrivals = sorted(call.at for call in tenant.calls.copy())
    # Now the functions have ended, and have written their metrics.
    return arrivals, sorted(lags_in(deployment.functions_log.read_text().splitlines()))


def lags_in(log: Iterable[str]) -> Iterator[float]:
    """Seconds from each call's instant until it was sent, as the dialer measures them."""
    for line in log:
        _, begins, rest = line.partition('{"_aws"')
        if begins:
            yield from json.loads(begins + rest).get(Metric.PACE_LAG, [])


def summary(arrivals: Sequence[float], lags: Sequence[float]) -> str:
    """Both are sorted."""
    if not arrivals or not lags:
        return "no calls"
    fewest, most = per_second(arrivals)
    return (
        f"late by {percentile(lags, 50):.3f} s (p50), {percentile(lags, 99):.3f} s (p99); in a second from {fewest} to "
        f"{most} calls; {len(arrivals):,} calls in {arrivals[-1] - arrivals[0]:.0f} s"
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """The least of the sorted values that this percentage of them doesn't exceed."""
    return values[max(0, -(-len(values) * percent // 100) - 1)]


def per_second(arrivals: Sequence[float]) -> tuple[int, int]:
    """The fewest and the most calls in one second, of the whole seconds between the first call and the last."""
    counts = Counter(int(at) for at in arrivals)
    whole = range(int(arrivals[0]) + 1, int(arrivals[-1]))
    found = [counts[second] for second in whole] or list(counts.values())
    return min(found), max(found)
