"""Requests to DynamoDB and SQS for each call, from its dispatch until it is settled, counted by the clients.

The clients are those of `make cost`, which shows what the requests cost. The requests of the API, such as the upload,
are left out.
"""

from collections import Counter
from collections.abc import Iterator

from benchmarks.cost.deployment import Deployment
from benchmarks.cost.world import Conditions, World

CALLS = 3_000
#: calls a minute: at a slow pace a slice holds few calls
PACES = (60, 600, 3_000)
_FUNCTIONS = ("pacer", "dialer", "settler")


def run(calls: int = CALLS, paces: tuple[int, ...] = PACES) -> Iterator[str]:
    for pace in paces:
        # At a slow pace the counts are the same after fewer minutes.
        made = min(calls, 10 * pace)
        ledger = World(Conditions(calls=made, pace=pace), Deployment.read()).run()
        requests: Counter[str] = Counter()
        for line, used in ledger.dynamodb.items():
            requests[line.function] += used.requests
        dynamodb = sum(requests[function] for function in _FUNCTIONS)
        each = ", ".join(f"{function} {requests[function] / made:.2f}" for function in _FUNCTIONS)
        sqs = sum(number for name, number in ledger.sqs.items() if name != "ReceiveMessage, empty")
        yield f"{pace:>5,} a minute: DynamoDB {dynamodb / made:.2f} a call ({each}), SQS {sqs / made:.2f} a call"
