"""What a million calls cost on AWS: ten thousand go through the real code, with clients that count.

make cost
make cost LATENCY_MS=2000 CALLS=2000
python -m tests.cost --pace 100 --received 2
python -m tests.cost --calls 2000 --compare    # at other paces, and with fewer messages at once
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from tests.cost import report
from tests.cost.bill import MILLION, Bill, Prices, bill
from tests.cost.deployment import Deployment
from tests.cost.world import Conditions, World

#: thirty days, and how much of them is looked at, in minutes
_MONTH, _LOOKED_AT = 30 * 24 * 60, 10
#: calls a minute, and messages that a poller gets at once
_OTHERS = ((60, 10), (200, 10), (600, 10), (600, 5), (600, 2), (600, 1), (2000, 10))
_OTHER_ARCHITECTURE = {"arm64": "x86_64", "x86_64": "arm64"}


def main() -> None:
    arguments = _arguments()
    conditions = Conditions(
        arguments.calls, arguments.campaigns, arguments.pace, arguments.latency_ms / 1000, arguments.received
    )
    for line in _compared(conditions) if arguments.compare else _told(conditions):
        print(line)  # noqa: T201 # a program for a terminal


def _told(conditions: Conditions) -> Iterator[str]:
    deployment, prices = Deployment.read(), Prices.read()
    world = World(conditions, deployment)
    ledger = world.run()
    scale = MILLION / conditions.calls
    billed = bill(ledger, scale, deployment, prices)
    other = replace(deployment, architecture=_OTHER_ARCHITECTURE[deployment.architecture])
    idle = World(Conditions(calls=0, campaigns=0, minutes=_LOOKED_AT), deployment).run()
    yield from report.headline(conditions, prices)
    yield ""
    yield from report.items(billed)
    yield ""
    yield from report.verdict(conditions, billed.total)
    yield from report.other_architecture(other.architecture, bill(ledger, scale, other, prices).total)
    yield ""
    yield from report.lines(billed)
    yield ""
    yield from report.functions(ledger, deployment)
    yield ""
    yield from report.on_time(world.lateness())
    yield from report.standing(bill(idle, _MONTH / _LOOKED_AT, deployment, prices))
    yield ""
    yield from report.assumed(deployment)


def _compared(conditions: Conditions) -> Iterator[str]:
    others = [replace(conditions, pace=pace, received=received) for pace, received in _OTHERS]
    with ProcessPoolExecutor() as pool:
        yield from report.compared(list(zip(others, pool.map(_billed, others), strict=True)))


def _billed(conditions: Conditions) -> Bill:
    deployment = Deployment.read()
    return bill(World(conditions, deployment).run(), MILLION / conditions.calls, deployment, Prices.read())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.cost", description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=10_000, help="how many calls are made")
    parser.add_argument("--campaigns", type=int, default=1, help="that share them, at the same time")
    parser.add_argument("--pace", type=int, default=600, help="calls a minute, of all campaigns together")
    parser.add_argument("--latency-ms", type=float, default=200, help="until start_url or result_url answers")
    parser.add_argument("--received", type=int, default=10, help="messages that a poller gets at once, at most")
    parser.add_argument("--compare", action="store_true", help="show totals at other paces instead")
    return parser.parse_args()


if __name__ == "__main__":
    main()
