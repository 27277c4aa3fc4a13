"""What a call costs: its requests to AWS, and their price."""

from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchmarks.cost.bill import GOALS, MILLION, Bill, Prices, bill
from benchmarks.cost.clients import CountingDynamoDB
from benchmarks.cost.deployment import Deployment
from benchmarks.cost.ledger import Ledger, Line
from benchmarks.cost.machine import MACHINE, Machine
from benchmarks.cost.world import Conditions, World
from chalicelib.domain.slicing import MOST_DIALS
from tests.fake_aws.clock import SimulatedClock
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.fake_aws.greenlets import blocking

CALLS = 300


@pytest.fixture(scope="module")
def world() -> World:
    world = World(Conditions(calls=CALLS), Deployment.read())
    world.run()
    return world


@pytest.fixture(scope="module")
def billed(world: World) -> Bill:
    return bill(world.ledger, MILLION / CALLS, world.deployment, Prices.read())


def test_a_call_is_two_writes_of_a_kilobyte_at_most(world: World) -> None:
    """The claim and the outcome are nearly half of the cost of a million calls."""
    writes = world.ledger.dynamodb[Line("dialer", "calls", "UpdateItem")]
    assert (writes.requests, writes.writes) == (2 * CALLS, 2 * CALLS)


def test_acknowledgements_are_written_for_many_calls_together(world: World) -> None:
    written = world.ledger.dynamodb[Line("dialer", "tasks", "PutItem")]
    deleted = world.ledger.dynamodb[Line("settler", "tasks", "BatchWriteItem")]
    assert written.writes == deleted.writes <= CALLS / 10
    others = sum(used.writes for line, used in world.ledger.dynamodb.items() if line.function == "dialer")
    assert others == 2 * CALLS + written.writes


def test_many_calls_share_a_read(world: World) -> None:
    read = dict.fromkeys(world.deployment.memory, 0.0)
    for line, used in world.ledger.dynamodb.items():
        read[line.function] += used.reads
    assert read["dialer"] < 0.6 * CALLS
    # Each record is read once. Some are requested before they exist.
    assert CALLS <= read["settler"] < 2.5 * CALLS


def test_ten_slices_are_sent_in_a_request_and_received_one_by_one(world: World) -> None:
    slices = CALLS / MOST_DIALS
    assert world.ledger.sqs["SendMessageBatch"] <= CALLS / MOST_DIALS / 10 + 3
    assert slices <= world.ledger.sqs["DeleteMessageBatch"] <= slices + 3
    assert world.ledger.sqs["ReceiveMessage"] == world.ledger.sqs["DeleteMessageBatch"]


def test_calls_are_made_on_time_though_they_share_a_processor(world: World) -> None:
    assert world.lateness()[0] >= 0
    assert world.lateness()[len(world.lateness()) * 99 // 100] < 1


def test_the_bill_is_what_was_used_times_its_price(world: World, billed: Bill) -> None:
    prices = Prices.read()
    writes = sum(used.writes for used in world.ledger.dynamodb.values())
    found = {item.component: item.dollars for item in billed.items}
    assert found["DynamoDB, writes"] == pytest.approx(writes / CALLS * 0.625)
    assert found["DynamoDB, writes"] + found["DynamoDB, reads"] == pytest.approx(
        sum(dollars for _, _, dollars in billed.lines), abs=0.001
    )
    assert billed.total == pytest.approx(sum(found.values()))
    assert prices.dollars["lambda_arm64"] < prices.dollars["lambda_x86_64"]


@pytest.mark.parametrize(("pace", "campaigns", "calls"), [(6, 1, 300), (60, 1, 600), (600, 1, 3000), (600, 50, 6000)])
def test_a_million_calls_cost_less_than_the_goal(pace: int, campaigns: int, calls: int) -> None:
    """`make cost` runs more calls, and prints the items of the bill."""
    conditions = Conditions(calls, campaigns, pace)
    world = World(conditions, Deployment.read())
    assert bill(world.run(), MILLION / calls, world.deployment, Prices.read()).total < GOALS[pace, campaigns]
    assert world.lateness()[calls * 99 // 100] < 1


@pytest.mark.parametrize("pace", [2, 20])
@pytest.mark.parametrize("seed", range(3))
def test_no_call_is_late_at_a_slow_pace(pace: int, seed: int) -> None:
    """Only the first call may be late: a function starts for it."""
    conditions = Conditions(calls=40, pace=pace, seed=seed)
    world = World(conditions, Deployment.read())
    world.run()
    assert world.lateness()[-2] < 1


def test_a_minute_of_a_hundred_calls_a_second_is_on_time() -> None:
    calls = 6000
    world = World(Conditions(calls, pace=6000), Deployment.read())
    world.run()
    assert world.lateness()[calls * 99 // 100] < 1


def test_a_slower_start_url_costs_more_time_and_no_more_requests(billed: Bill) -> None:
    conditions = Conditions(calls=CALLS, latency=2.0)
    slow = bill(World(conditions, Deployment.read()).run(), MILLION / CALLS, Deployment.read(), Prices.read())
    cost, slow_cost = ({item.component: item.dollars for item in one.items} for one in (billed, slow))
    assert slow_cost["Lambda, dialer"] > cost["Lambda, dialer"] + 0.4
    assert slow_cost["DynamoDB, writes"] == pytest.approx(cost["DynamoDB, writes"], rel=0.02)


class TestCounting:
    """The units of single requests, as the counting client counts them."""

    KEY = {"account": {"S": "acme"}, "id": {"N": "1"}}  # noqa: RUF012 # read only

    def asked(self, *requests: tuple[str, dict[str, Any]]) -> Ledger:
        ledger, clock = Ledger(), SimulatedClock()
        client = CountingDynamoDB(SimulatedDynamoDB(), ledger, "x")
        client._make_api_call(
            "CreateTable",
            {
                "TableName": "x-t",
                "AttributeDefinitions": [
                    {"AttributeName": name, "AttributeType": kind}
                    for name, kind in (("account", "S"), ("id", "N"), ("shard", "S"))
                ],
                "KeySchema": [
                    {"AttributeName": "account", "KeyType": "HASH"},
                    {"AttributeName": "id", "KeyType": "RANGE"},
                ],
                "GlobalSecondaryIndexes": [
                    {
                        "IndexName": "work",
                        "KeySchema": [{"AttributeName": "shard", "KeyType": "HASH"}],
                        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["dialers"]},
                    }
                ],
            },
        )

        def ask() -> None:
            for operation, request in requests:
                table = {} if operation == "TransactWriteItems" else {"TableName": "x-t"}
                with suppress(ClientError):  # a refused write is counted too
                    client._make_api_call(operation, {**table, **request})

        async def main() -> None:
            MACHINE.set(Machine("f", 1769, clock))
            await blocking(ask)

        clock.run(main())
        return ledger

    def put(self, bytes_more: int, **attributes: Any) -> tuple[str, dict[str, Any]]:
        return "PutItem", {"Item": {**self.KEY, "text": {"S": "x" * bytes_more}, **attributes}}

    def writes(self, ledger: Ledger) -> dict[str, int]:
        return {line.operation: used.writes for line, used in ledger.dynamodb.items()}

    def test_an_update_counts_the_larger_item_and_a_delete_the_deleted_one(self) -> None:
        shorten = {
            "Key": self.KEY,
            "UpdateExpression": "SET #t = :t",
            "ExpressionAttributeNames": {"#t": "text"},
            "ExpressionAttributeValues": {":t": {"S": ""}},
        }
        assert self.writes(self.asked(self.put(3000), ("UpdateItem", shorten))) == {"PutItem": 3, "UpdateItem": 3}
        assert self.writes(self.asked(self.put(3000), ("DeleteItem", {"Key": self.KEY})))["DeleteItem"] == 3

    def test_a_refused_write_counts_the_item_that_is_there(self) -> None:
        refused = {
            "Key": self.KEY,
            "ConditionExpression": "attribute_not_exists(#a)",
            "ExpressionAttributeNames": {"#a": "account"},
        }
        assert self.writes(self.asked(self.put(3000), ("DeleteItem", refused)))["DeleteItem"] == 3

    def test_an_index_is_written_only_when_its_entry_changes(self) -> None:
        shown = {"shard": {"S": "3"}}
        assert self.writes(self.asked(self.put(10)))["PutItem"] == 1
        assert self.writes(self.asked(self.put(10, **shown)))["PutItem"] == 2
        assert self.writes(self.asked(self.put(10, **shown), self.put(20, **shown)))["PutItem"] == 2 + 1
        moved = self.put(10, shard={"S": "4"})
        assert self.writes(self.asked(self.put(10, **shown), moved))["PutItem"] == 2 + 3

    def test_a_transaction_counts_twice_in_the_table_and_once_in_the_index(self) -> None:
        put = {"Put": {"TableName": "x-t", "Item": {**self.KEY, "shard": {"S": "3"}}}}
        ledger = self.asked(("TransactWriteItems", {"TransactItems": [put]}))
        assert self.writes(ledger) == {"TransactWriteItems": 2 + 1}

    def test_a_read_counts_the_size_of_the_items_that_it_finds(self) -> None:
        get = ("GetItem", {"Key": self.KEY, "ConsistentRead": True})
        (line,) = self.asked(get).dynamodb.values()
        assert line.reads == 1
        query = {
            "KeyConditionExpression": "#a = :a",
            "ExpressionAttributeNames": {"#a": "account"},
            "ExpressionAttributeValues": {":a": {"S": "acme"}},
        }
        found = self.asked(self.put(5000), get, ("Query", query)).dynamodb
        assert {line.operation: used.reads for line, used in found.items()} == {"PutItem": 0, "GetItem": 2, "Query": 1}
