"""What a million calls cost on AWS: the real code makes some thousand calls, with clients that count requests.

make cost                                      # one campaign at 600 a minute, and a table of paces
make cost LATENCY_MS=2000 CALLS=2000
python -m benchmarks.cost --pace 100 --no-table
python -m benchmarks.cost --lasts 45 --lines 500 --no-table
"""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from benchmarks.cost import report
from benchmarks.cost.bill import MILLION, Prices, bill
from benchmarks.cost.deployment import Deployment
from benchmarks.cost.report import Row
from benchmarks.cost.world import Conditions, World

#: in minutes: thirty days, and how much of them is simulated
_MONTH, _IDLE_MINUTES = 30 * 24 * 60, 10
_OTHER_ARCHITECTURE = {"arm64": "x86_64", "x86_64": "arm64"}
#: the rows of the table: calls a minute, and the campaigns that share them
PACES = ((2, 1), (6, 1), (20, 1), (60, 1), (600, 1), (6000, 1), (600, 50))
#: how many calls are made for a row: ten minutes' worth, within these bounds
_ROW_CALLS = (300, 30_000)


def main() -> None:
    arguments = _arguments()
    conditions = Conditions(
        arguments.calls,
        arguments.campaigns,
        arguments.pace,
        arguments.latency_ms / 1000,
        lasts=arguments.lasts,
        lines=arguments.lines,
    )
    for line in _report(conditions, () if arguments.no_table else PACES):
        print(line)


def _report(conditions: Conditions, paces: Sequence[tuple[int, int]]) -> Iterator[str]:
    deployment, prices = Deployment.read(), Prices.read()
    world = World(conditions, deployment)
    ledger = world.run()
    scale = MILLION / conditions.calls
    billed = bill(ledger, scale, deployment, prices)
    other = replace(deployment, architecture=_OTHER_ARCHITECTURE[deployment.architecture])
    idle = World(Conditions(calls=0, campaigns=0, minutes=_IDLE_MINUTES), deployment).run()
    yield from report.headline(conditions, prices)
    yield ""
    yield from report.items(billed)
    yield ""
    yield from report.goal(conditions, billed.total)
    yield from report.other_architecture(other.architecture, bill(ledger, scale, other, prices).total)
    yield ""
    yield from report.lines(billed)
    yield ""
    yield from report.functions(ledger, deployment)
    yield ""
    yield from report.on_time(world.lateness())
    yield from report.idle(bill(idle, _MONTH / _IDLE_MINUTES, deployment, prices))
    if paces:
        yield ""
        with ProcessPoolExecutor() as pool:
            others = [row_conditions(conditions.latency, *pace) for pace in paces]
            yield from report.table(list(pool.map(row, others)))
    yield ""
    yield from report.assumptions(deployment)


def row_conditions(latency: float, pace: int, campaigns: int) -> Conditions:
    least, most = _ROW_CALLS
    return Conditions(min(max(10 * pace, least), most), campaigns, pace, latency)


def row(conditions: Conditions) -> Row:
    deployment = Deployment.read()
    world = World(conditions, deployment)
    billed = bill(world.run(), MILLION / conditions.calls, deployment, Prices.read())
    return Row(conditions, billed, world.lateness())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=10_000, help="how many calls are made")
    parser.add_argument("--campaigns", type=int, default=1, help="how many campaigns share the calls, at the same time")
    parser.add_argument("--pace", type=int, default=600, help="calls a minute, of all campaigns together")
    parser.add_argument(
        "--latency-ms", type=float, default=200, help="how long start_url and result_url take to answer"
    )
    parser.add_argument("--lasts", type=float, default=0.0, help="seconds that a call lasts; start_url answers 202")
    parser.add_argument("--lines", type=int, help="how many calls of a campaign may be under way at once")
    parser.add_argument("--no-table", action="store_true", help="leave out the table of paces")
    return parser.parse_args()


if __name__ == "__main__":
    main()
