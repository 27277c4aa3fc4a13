"""The bill as it is printed, with its assumptions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.cost import event_source, machine, world
from benchmarks.cost.bill import GOALS, Bill, Prices
from benchmarks.cost.deployment import Deployment
from benchmarks.cost.ledger import Ledger, Line
from benchmarks.cost.world import Conditions

#: how many kinds of requests to DynamoDB are shown
_SHOWN = 12
#: the goal holds for this latency, in seconds
_GOAL_LATENCY = 0.2


def headline(conditions: Conditions, prices: Prices) -> Iterator[str]:
    campaigns = "one campaign" if conditions.campaigns == 1 else f"{conditions.campaigns} campaigns"
    yield (
        f"A million calls on AWS, from {conditions.calls:,} made on simulated time: {conditions.pace:,} a minute, "
        f"{campaigns}, answered in {_ms(conditions.latency)}"
    )
    yield f"(prices of {prices.region}, as listed on {prices.as_of}, without free tiers)"


def items(bill: Bill) -> Iterator[str]:
    for item in bill.items:
        yield f"  {item.component:<32} {item.amount:>14,.0f} {item.unit:<12} {item.dollars:>8.3f}"
    yield f"  {'total':<32} {'':>14} {'':<12} {bill.total:>8.3f}"


def goal(conditions: Conditions, total: float) -> Iterator[str]:
    dollars = GOALS.get((conditions.pace, conditions.campaigns))
    if dollars is not None and conditions.latency <= _GOAL_LATENCY:
        is_met = "met" if total < dollars else "NOT MET"
        yield f"The goal, under ${dollars:.2f} at {_ms(_GOAL_LATENCY)}, is {is_met}."


def other_architecture(architecture: str, total: float) -> Iterator[str]:
    yield f"With functions on {architecture} it would be ${total:.2f}."


def lines(bill: Bill) -> Iterator[str]:
    yield "What DynamoDB's units are used for:"
    yield ""
    heads = Line("function", "table", "operation")
    yield f"{_line(heads)} {'requests':>10} {'reads':>10} {'writes':>10} {'dollars':>8}"
    for line, used, dollars in bill.lines[:_SHOWN]:
        yield f"{_line(line)} {used.requests:>10,} {used.reads:>10,.0f} {used.writes:>10,} {dollars:>8.3f}"
    rest = bill.lines[_SHOWN:]
    if rest:
        others = Line("", "", f"{len(rest)} others")
        yield f"{_line(others)} {'':>32} {sum(dollars for _, _, dollars in rest):>8.3f}"


def functions(ledger: Ledger, deployment: Deployment) -> Iterator[str]:
    yield f"  {'function':<12} {'invocations':>11} {'each, on average':>17} {'memory':>8}"
    for function, runs in sorted(ledger.runs.items()):
        average = runs.milliseconds / runs.number
        yield f"  {function:<12} {runs.number:>11,} {average:>14,.0f} ms {deployment.memory[function]:>5} MB"


def on_time(lateness: Sequence[float]) -> Iterator[str]:
    """`lateness` is sorted."""
    half, most = lateness[len(lateness) // 2], lateness[len(lateness) * 99 // 100]
    yield (
        f"Calls were sent after their instants by at most {half:.2f} s (half of them), {most:.2f} s (99 %), "
        f"{lateness[-1]:.2f} s (all)."
    )


def idle(bill: Bill) -> Iterator[str]:
    yield f"With nothing to do, the ticks and polling the queue cost ${bill.total:.2f} in thirty days."


def assumptions(deployment: Deployment) -> Iterator[str]:
    begin, request, item, tenant = map(
        _ms, (machine.BEGIN_WORK, machine.REQUEST_WORK, machine.ITEM_WORK, machine.TENANT_WORK)
    )
    yield f"""\
Assumed, and not measured on AWS:
  The functions run on {deployment.architecture}. Memory decides the share of a processor, and \
{machine.WHOLE_PROCESSOR} MB are a whole one. An
  invocation takes {begin} of a whole one, a request to AWS {request} and {item} for each item, an HTTPS request \
{tenant}: about
  twice what was measured with the real clients elsewhere. Concurrent work waits in line. A new environment takes
  {_ms(world.COLD_START_WORK)} of a whole one to start, which is billed.
  DynamoDB and SQS answer in {_ms(machine.REQUEST_WAIT)}. A tenant's server is connected to in \
{_ms(machine.CONNECT_WAIT)}; result_url takes as long as
  start_url to answer, and both answer 200.
  A message reaches a poller up to {_ms(event_source.RECEIPT[1])} after its delay is over, and is one invocation.
  {event_source.POLLERS} pollers also poll without a message every {event_source.LONG_POLL} s.
  Logs are counted as they are written, with Lambda's own three lines for each invocation.
Left out: storage ($0.25 for a GB and month; a call stores about half a KB), traffic to tenants' servers ($0.09 for a GB
after the first hundred in a month; a call sends a few KB), and alarms, custom metrics and the dashboard, whose cost
doesn't depend on the number of calls."""


@dataclass(frozen=True)
class Row:
    """The result of one pace."""

    conditions: Conditions
    bill: Bill
    #: seconds, sorted
    lateness: Sequence[float]


def table(rows: Sequence[Row]) -> Iterator[str]:
    yield "A million calls at other paces, in dollars, and how late 99 of 100 calls are at most:"
    yield ""
    parts = ("DynamoDB", "Lambda", "SQS")
    heads = " ".join(f"{part:>9}" for part in parts)
    yield f"  {'calls a minute':>14} {'campaigns':>10} {heads} {'total':>9} {'p99':>8}"
    for row in rows:
        dollars = (sum(item.dollars for item in row.bill.items if item.component.startswith(part)) for part in parts)
        yield (
            f"  {row.conditions.pace:>14,} {row.conditions.campaigns:>10} {' '.join(f'{one:>9.2f}' for one in dollars)}"
            f" {row.bill.total:>9.2f} {row.lateness[len(row.lateness) * 99 // 100]:>6.2f} s"
        )


def _line(line: Line) -> str:
    return f"  {line.function:<12} {line.table:<10} {line.operation:<19}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:g} ms"
