"""The bill: what was used, in dollars."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.cost import units
from benchmarks.cost.deployment import Deployment
from benchmarks.cost.ledger import Ledger, Line, Used

MILLION = 1_000_000
#: dollars for a million calls, without telephony, at 200 ms and 600 calls a minute
GOAL = 3.0
#: the same at other paces: calls a minute, and the campaigns that share them
GOALS = {(6, 1): 11.0, (60, 1): 7.0, (600, 1): GOAL, (6000, 1): GOAL, (600, 50): 8.0}
_PRICES = Path(__file__).parent / "prices.json"


@dataclass(frozen=True)
class Prices:
    region: str
    #: the day of the price list
    as_of: str
    #: the price of one unit, by its name in prices.json
    dollars: dict[str, float]

    @classmethod
    def read(cls, path: Path = _PRICES) -> Self:
        listed = json.loads(path.read_text())
        dollars = {name: price["dollars"] / price["per"] for name, price in listed["prices"].items()}
        return cls(listed["region"], listed["as_of"], dollars)


@dataclass(frozen=True)
class Item:
    component: str
    amount: float
    unit: str
    dollars: float


@dataclass(frozen=True)
class Bill:
    items: tuple[Item, ...]
    #: the kinds of requests to DynamoDB, with the dollars for each, the most expensive first
    lines: tuple[tuple[Line, Used, float], ...]

    @property
    def total(self) -> float:
        return sum(item.dollars for item in self.items)


def bill(ledger: Ledger, scale: float, deployment: Deployment, prices: Prices) -> Bill:
    """The bill for `scale` times as much as was used."""
    items: list[Item] = []

    def add(component: str, amount: float, unit: str, price: str) -> None:
        items.append(Item(component, amount * scale, unit, amount * scale * prices.dollars[price]))

    used = ledger.dynamodb.values()
    add("DynamoDB, writes", sum(one.writes for one in used), "write units", "dynamodb_write")
    add("DynamoDB, reads", sum(one.reads for one in used), "read units", "dynamodb_read")
    for what, requests in ledger.sqs.items():
        add(f"SQS, {what}", requests, "requests", "sqs_request")
    for function, runs in sorted(ledger.runs.items()):
        gigabytes = units.gb_seconds(runs.milliseconds, deployment.memory[function])
        add(f"Lambda, {function}", gigabytes, "GB-seconds", f"lambda_{deployment.architecture}")
    add("Lambda, invocations", sum(runs.number for runs in ledger.runs.values()), "requests", "lambda_request")
    add("CloudWatch Logs", ledger.log_bytes, "bytes", "log_ingestion")
    add("API Gateway", ledger.api_requests, "requests", "api_request")
    add("EventBridge", ledger.scheduled_events, "events", "scheduled_event")

    lines = []
    for line, one in ledger.dynamodb.items():
        scaled = Used(round(one.requests * scale), one.reads * scale, round(one.writes * scale))
        dollars = scaled.reads * prices.dollars["dynamodb_read"] + scaled.writes * prices.dollars["dynamodb_write"]
        lines.append((line, scaled, dollars))
    return Bill(tuple(items), tuple(sorted(lines, key=lambda each: (-each[2], each[0]))))
