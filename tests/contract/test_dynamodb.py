"""What storage relies on in DynamoDB, shown on each database that tests use."""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pynamodb.models import Model

from chalicelib.storage.database import Database, DynamoDB

#: an item, or a part of one, in Python's own types
Plain = dict[str, Any]
_NAME = re.compile(r"#(\w+)")


class Table:
    """Low-level operations on one table."""

    def __init__(self, dynamodb: DynamoDB, model: type[Model]) -> None:
        self._dynamodb = dynamodb
        self.name = model.Meta.table_name

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        """In expressions `#key` stands for the attribute `key`, whose name DynamoDB reserves."""
        expressions = " ".join(text for option, text in request.items() if option.endswith("Expression"))
        names = {f"#{name}": name for name in _NAME.findall(expressions)}
        if names:
            request["ExpressionAttributeNames"] = names
        return self._dynamodb._make_api_call(operation, {"TableName": self.name, **request})

    def put(self, item: Plain, **request: Any) -> None:
        self.ask("PutItem", Item=typed(item), **request)

    def get(self, key: Plain) -> Plain | None:
        answer = self.ask("GetItem", Key=typed(key), ConsistentRead=True)
        return plain(answer["Item"]) if "Item" in answer else None

    def update(self, key: Plain, expression: str, values: Plain) -> Plain:
        """The item after the update."""
        request: dict[str, Any] = {"UpdateExpression": expression, "ReturnValues": "ALL_NEW"}
        if values:
            request["ExpressionAttributeValues"] = typed(values)
        return plain(self.ask("UpdateItem", Key=typed(key), **request)["Attributes"])

    def holds(self, key: Plain, condition: str, values: Plain) -> bool:
        """True if an update on this condition is made."""
        try:
            self.ask(
                "UpdateItem",
                Key=typed(key),
                UpdateExpression="SET nonce = :nonce",
                ConditionExpression=condition,
                ExpressionAttributeValues=typed({**values, ":nonce": "mine"}),
            )
        except ClientError as refused:
            if refused.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def pages(self, condition: str, values: Plain, **request: Any) -> Iterator[list[Plain]]:
        """The pages of a query."""
        while True:
            page = self.ask(
                "Query", KeyConditionExpression=condition, ExpressionAttributeValues=typed(values), **request
            )
            yield [plain(item) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def query(self, condition: str, values: Plain, **request: Any) -> list[Plain]:
        return [item for page in self.pages(condition, values, **request) for item in page]

    def batch_put(self, items: list[Plain]) -> None:
        parts = [{"PutRequest": {"Item": typed(item)}} for item in items]
        self._dynamodb._make_api_call("BatchWriteItem", {"RequestItems": {self.name: parts}})

    def batch_get(self, keys: list[Plain]) -> list[Plain]:
        asked = {self.name: {"Keys": [typed(key) for key in keys], "ConsistentRead": True}}
        answer = self._dynamodb._make_api_call("BatchGetItem", {"RequestItems": asked})
        return [plain(item) for item in answer["Responses"][self.name]]

    def transact(self, parts: list[Plain], token: str) -> None:
        named = [{kind: {"TableName": self.name, **body} for kind, body in part.items()} for part in parts]
        self._dynamodb._make_api_call("TransactWriteItems", {"TransactItems": named, "ClientRequestToken": token})


@pytest.fixture
def without_tables(dynamodb: DynamoDB) -> Database:
    """A database whose tables aren't created yet."""
    return Database(f"test-{uuid.uuid4().hex[:8]}", dynamodb)


@pytest.fixture
def catalog(dynamodb: DynamoDB, without_tables: Database) -> Table:
    """Its keys are two strings, `account` and `key`."""
    without_tables.catalog.create_table(billing_mode="PAY_PER_REQUEST")
    return Table(dynamodb, without_tables.catalog)


@pytest.fixture
def campaigns(dynamodb: DynamoDB, without_tables: Database) -> Table:
    """Its keys are a string and a number, `account` and `id`.

    Its index is by `shard` and `wakes_at`, and holds `dialers`.
    """
    without_tables.campaigns.create_table(billing_mode="PAY_PER_REQUEST")
    return Table(dynamodb, without_tables.campaigns)


def typed(item: Plain) -> dict[str, Any]:
    return {name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in item.items()}


def plain(item: dict[str, Any]) -> Plain:
    return {name: int(value["N"]) if "N" in value else value["S"] for name, value in item.items()}


def thing(key: str, **attributes: Any) -> Plain:
    return {"account": "acme", "key": key, **attributes}


def used(condition: str) -> Plain:
    """The values that the condition names."""
    values = {":four": 4, ":five": 5, ":ten": 10}
    return {name: value for name, value in values.items() if name in condition}


def put(key: str, condition: str | None = None) -> Plain:
    """A part of a transaction."""
    return {"Put": {"Item": typed(thing(key)), **({} if condition is None else {"ConditionExpression": condition})}}


def count(key: str) -> Plain:
    """A part of a transaction that adds one to `uses`."""
    return {
        "Update": {
            "Key": typed(thing(key)),
            "UpdateExpression": "ADD uses :one",
            "ExpressionAttributeValues": typed({":one": 1}),
        }
    }


def code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"])


class TestConditions:
    def test_a_condition_that_does_not_hold_refuses_the_write(self, catalog: Table) -> None:
        catalog.put(thing("one", nickname="first"), ConditionExpression="attribute_not_exists(account)")
        with pytest.raises(ClientError) as refused:
            catalog.put(thing("one", nickname="second"), ConditionExpression="attribute_not_exists(account)")
        assert code(refused) == "ConditionalCheckFailedException"
        assert catalog.get(thing("one")) == thing("one", nickname="first")

    @pytest.mark.parametrize(
        ("condition", "holds"),
        [
            ("uses = :five", True),
            ("uses = :ten", False),
            ("uses <= :five AND uses <= :ten", True),
            ("uses <= :four", False),
            ("uses IN (:ten, :five)", True),
            ("uses IN (:ten, :four)", False),
            ("attribute_exists(nickname)", True),
            ("uses = :five OR uses = :ten AND attribute_not_exists(nickname)", True),
            ("(uses = :five OR uses = :ten) AND attribute_not_exists(nickname)", False),
        ],
    )
    def test_a_condition_is_evaluated(self, catalog: Table, condition: str, holds: bool) -> None:
        catalog.put(thing("one", uses=5, nickname="3wkds"))
        assert catalog.holds(thing("one"), condition, used(condition)) is holds

    @pytest.mark.parametrize(
        ("condition", "holds"),
        [
            ("lost = :five", False),
            ("lost <= :five", False),
            ("lost IN (:five, :ten)", False),
            ("attribute_exists(lost)", False),
            ("attribute_not_exists(lost)", True),
        ],
    )
    def test_an_attribute_that_is_missing_equals_nothing_and_has_no_order(
        self, catalog: Table, condition: str, holds: bool
    ) -> None:
        catalog.put(thing("one"))
        assert catalog.holds(thing("one"), condition, used(condition)) is holds

    @pytest.mark.real_database
    @pytest.mark.parametrize("condition", ["nickname <= :ten", "nickname = :ten"])
    def test_values_of_two_types_differ_and_have_no_order(self, catalog: Table, condition: str) -> None:
        catalog.put(thing("one", nickname="10"))
        assert not catalog.holds(thing("one"), condition, used(condition))

    @pytest.mark.real_database
    def test_numbers_are_equal_however_they_are_written(self, catalog: Table) -> None:
        catalog.ask("PutItem", Item={**typed(thing("one")), "uses": {"N": "5.0"}})
        assert catalog.get(thing("one")) == thing("one", uses=5)
        catalog.ask(
            "UpdateItem",
            Key=typed(thing("one")),
            UpdateExpression="REMOVE uses",
            ConditionExpression="uses = :five",
            ExpressionAttributeValues={":five": {"N": "0.5e1"}},
        )
        assert catalog.get(thing("one")) == thing("one")


class TestUpdates:
    def test_an_update_creates_an_item_that_is_missing(self, catalog: Table) -> None:
        assert catalog.update(thing("one"), "SET id = :one REMOVE days ADD uses :one", {":one": 1}) == thing(
            "one", id=1, uses=1
        )

    def test_an_update_returns_the_item_before_it_on_request(self, catalog: Table) -> None:
        request: dict[str, Any] = {
            "Key": typed(thing("one")),
            "UpdateExpression": "SET id = :one",
            "ExpressionAttributeValues": typed({":one": 1}),
        }
        assert "Attributes" not in catalog.ask("UpdateItem", **request, ReturnValues="ALL_OLD")
        catalog.put(thing("one", id=5, uses=5))
        assert plain(catalog.ask("UpdateItem", **request, ReturnValues="ALL_OLD")["Attributes"]) == thing(
            "one", id=5, uses=5
        )
        assert "Attributes" not in catalog.ask("UpdateItem", **request, ReturnValues="NONE")


@pytest.mark.real_database
class TestRefusals:
    @pytest.mark.parametrize("item", [thing("x" * 1025), {"account": "x" * 2049, "key": "one"}])
    def test_a_key_that_is_too_long_is_refused(self, catalog: Table, item: Plain) -> None:
        with pytest.raises(ClientError) as refused:
            catalog.put(item)
        assert code(refused) == "ValidationException"

    def test_an_empty_key_of_an_index_is_refused(self, campaigns: Table) -> None:
        with pytest.raises(ClientError) as refused:
            campaigns.put({"account": "acme", "id": 1, "shard": ""})
        assert code(refused) == "ValidationException"

    def test_a_consistent_read_of_an_index_is_refused(self, campaigns: Table) -> None:
        with pytest.raises(ClientError) as refused:
            campaigns.query("#shard = :shard", {":shard": "3"}, IndexName="work", ConsistentRead=True)
        assert code(refused) == "ValidationException"

    def test_a_request_to_a_missing_table_is_refused(self, catalog: Table) -> None:
        catalog.name += "-lost"
        with pytest.raises(ClientError) as refused:
            catalog.get(thing("one"))
        assert code(refused) == "ResourceNotFoundException"


class TestLimits:
    def test_a_batch_of_25_items_is_written(self, catalog: Table) -> None:
        catalog.batch_put([thing(f"{number:02d}") for number in range(25)])
        assert len(catalog.query("account = :account", {":account": "acme"})) == 25

    @pytest.mark.real_database
    def test_a_batch_of_26_items_is_refused(self, catalog: Table) -> None:
        with pytest.raises(ClientError) as refused:
            catalog.batch_put([thing(f"{number:02d}") for number in range(26)])
        assert code(refused) == "ValidationException"
        assert catalog.query("account = :account", {":account": "acme"}) == []

    def test_100_items_are_read_at_once_and_101_are_refused(self, catalog: Table) -> None:
        catalog.put(thing("000"))
        catalog.put(thing("099"))
        keys = [thing(f"{number:03d}") for number in range(101)]
        assert sorted(item["key"] for item in catalog.batch_get(keys[:100])) == ["000", "099"]
        with pytest.raises(ClientError) as refused:
            catalog.batch_get(keys)
        assert code(refused) == "ValidationException"

    def test_a_batch_that_names_an_item_twice_is_refused(self, catalog: Table) -> None:
        for act in (catalog.batch_put, catalog.batch_get):
            with pytest.raises(ClientError) as refused:
                act([thing("one"), thing("one")])
            assert code(refused) == "ValidationException"

    @pytest.mark.real_database
    def test_an_item_that_is_too_large_is_refused(self, catalog: Table) -> None:
        limit = 400 * 1024
        overhead = len("account" + "acme" + "key" + "one" + "nickname")
        catalog.put(thing("one", nickname="x" * (limit - overhead)))
        with pytest.raises(ClientError) as refused:
            catalog.put(thing("two", nickname="x" * (limit - overhead + 1)))
        assert code(refused) == "ValidationException"
        with pytest.raises(ClientError) as refused:
            catalog.update(thing("one"), "SET id = :one", {":one": 1})
        assert code(refused) == "ValidationException"
        # A letter with an accent is two bytes.
        with pytest.raises(ClientError) as refused:
            catalog.put(thing("two", nickname="é" * (limit // 2)))
        assert code(refused) == "ValidationException"

    def test_an_empty_key_is_refused(self, catalog: Table) -> None:
        for act in (catalog.put, catalog.get):
            with pytest.raises(ClientError) as refused:
                act(thing(""))
            assert code(refused) == "ValidationException"


class TestTransactions:
    def test_a_transaction_is_done_whole_or_not_at_all_and_names_the_refused_part(self, catalog: Table) -> None:
        catalog.put(thing("one"))
        unless_there = "attribute_not_exists(account)"
        parts = [put("two"), put("one", unless_there), count("three"), put("four", unless_there)]
        with pytest.raises(ClientError) as refused:
            catalog.transact(parts, token="first" + catalog.name)
        assert code(refused) == "TransactionCanceledException"
        assert [reason["Code"] for reason in refused.value.response["CancellationReasons"]] == [
            "None",
            "ConditionalCheckFailed",
            "None",
            "None",
        ]
        assert catalog.query("account = :account", {":account": "acme"}) == [thing("one")]
        catalog.ask("DeleteItem", Key=typed(thing("one")))
        catalog.transact(parts, token="second" + catalog.name)
        assert len(catalog.query("account = :account", {":account": "acme"})) == 4

    @pytest.mark.real_database
    def test_a_part_that_makes_its_item_too_large_cancels_a_transaction(self, catalog: Table) -> None:
        overhead = len("account" + "acme" + "key" + "one" + "nickname")
        catalog.put(thing("one", nickname="x" * (400 * 1024 - overhead)))
        with pytest.raises(ClientError) as refused:
            catalog.transact([put("two"), count("one")], token="once" + catalog.name)
        assert code(refused) == "TransactionCanceledException"
        assert [reason["Code"] for reason in refused.value.response["CancellationReasons"]] == [
            "None",
            "ValidationError",
        ]
        assert catalog.get(thing("two")) is None

    def test_a_refused_transaction_may_be_sent_again_with_its_token(self, catalog: Table) -> None:
        catalog.put(thing("one"))
        parts = [count("two"), put("one", "attribute_not_exists(account)")]
        with pytest.raises(ClientError):
            catalog.transact(parts, token="once" + catalog.name)
        catalog.ask("DeleteItem", Key=typed(thing("one")))
        catalog.transact(parts, token="once" + catalog.name)
        assert catalog.get(thing("two")) == thing("two", uses=1)

    @pytest.mark.real_database
    def test_a_transaction_sent_twice_with_one_token_is_done_once(self, catalog: Table) -> None:
        parts = [count("one"), put("two", "attribute_not_exists(account)")]
        catalog.transact(parts, token="once" + catalog.name)
        catalog.transact(parts, token="once" + catalog.name)
        assert catalog.get(thing("one")) == thing("one", uses=1)

    @pytest.mark.real_database
    def test_a_token_is_for_one_transaction(self, catalog: Table) -> None:
        catalog.transact([count("one")], token="once" + catalog.name)
        with pytest.raises(ClientError) as refused:
            catalog.transact([count("two")], token="once" + catalog.name)
        assert code(refused) == "IdempotentParameterMismatchException"
        assert catalog.get(thing("two")) is None

    def test_a_transaction_that_names_an_item_twice_is_refused(self, catalog: Table) -> None:
        with pytest.raises(ClientError) as refused:
            catalog.transact([count("one"), put("one")], token="once" + catalog.name)
        assert code(refused) == "ValidationException"

    def test_100_parts_are_done_at_once_and_101_are_refused(self, catalog: Table) -> None:
        parts = [put(f"{number:03d}") for number in range(101)]
        catalog.transact(parts[:100], token="first" + catalog.name)
        assert len(catalog.query("account = :account", {":account": "acme"})) == 100
        with pytest.raises(ClientError) as refused:
            catalog.transact(parts, token="second" + catalog.name)
        assert code(refused) == "ValidationException"

    @pytest.mark.real_database
    def test_a_transaction_of_more_than_4_mb_is_refused(self, catalog: Table) -> None:
        large = [{"Put": {"Item": typed(thing(f"{number:02d}", nickname="x" * 400_000))}} for number in range(11)]
        catalog.transact(large[:10], token="first" + catalog.name)
        with pytest.raises(ClientError) as refused:
            catalog.transact(large, token="second" + catalog.name)
        assert code(refused) == "ValidationException"
        assert catalog.get(thing("10")) is None


class TestQueries:
    def test_strings_are_sorted_by_their_bytes_in_utf_8(self, catalog: Table) -> None:
        ordered = ["1", "10", "9", "A", "a", "é", "\uff5e", "\U0001f600"]
        for key in reversed(ordered):
            catalog.put(thing(key))
        found = catalog.query("account = :account", {":account": "acme"})
        assert [item["key"] for item in found] == ordered

    def test_a_query_in_descending_order_begins_with_the_last_item(self, catalog: Table) -> None:
        for key in "abc":
            catalog.put(thing(key))
        page = next(catalog.pages("account = :account", {":account": "acme"}, ScanIndexForward=False, Limit=2))
        assert [item["key"] for item in page] == ["c", "b"]

    def test_numbers_are_sorted_by_value(self, campaigns: Table) -> None:
        for number in (10, -1, 9, 100, 0):
            campaigns.put({"account": "acme", "id": number})
        found = campaigns.query("account = :account AND id > :zero", {":account": "acme", ":zero": 0})
        assert [item["id"] for item in found] == [9, 10, 100]

    @pytest.mark.parametrize(
        ("condition", "values", "found"),
        [
            ("#key = :one", {":one": "b"}, "b"),
            ("#key <= :one", {":one": "b"}, "a b"),
            ("#key > :one", {":one": "b"}, "ba bb c"),
            ("#key BETWEEN :one AND :two", {":one": "aa", ":two": "ba"}, "b ba"),
            ("begins_with(#key, :one)", {":one": "b"}, "b ba bb"),
        ],
    )
    def test_a_query_finds_a_part_of_the_range(self, catalog: Table, condition: str, values: Plain, found: str) -> None:
        for key in ("a", "b", "ba", "bb", "c"):
            catalog.put(thing(key))
            catalog.put({"account": "globex", "key": key})
        items = catalog.query(f"account = :account AND {condition}", {":account": "acme", **values})
        assert items == [thing(key) for key in found.split()]

    @pytest.mark.real_database
    def test_a_lower_bound_above_the_upper_one_is_refused(self, catalog: Table) -> None:
        with pytest.raises(ClientError) as refused:
            catalog.query(
                "account = :account AND #key BETWEEN :one AND :two",
                {":account": "acme", ":one": "b", ":two": "a"},
            )
        assert code(refused) == "ValidationException"

    def test_pages_follow_each_other_though_items_are_deleted_between_them(self, catalog: Table) -> None:
        keys = [f"{number:02d}" for number in range(10)]
        for key in keys:
            catalog.put(thing(key))
        seen: list[str] = []
        for page in catalog.pages("account = :account", {":account": "acme"}, Limit=3):
            assert len(page) <= 3
            seen += [item["key"] for item in page]
            for item in page:
                catalog.ask("DeleteItem", Key=typed(thing(item["key"])))
        assert seen == keys

    def test_items_that_do_not_fit_into_one_answer_are_read_in_pages(self, catalog: Table) -> None:
        for number in range(12):
            catalog.put(thing(f"{number:02d}", nickname="x" * 100_000))
        pages = list(catalog.pages("account = :account", {":account": "acme"}))
        assert len(pages) > 1
        assert [item["key"] for page in pages for item in page] == [f"{number:02d}" for number in range(12)]

    def test_a_scan_finds_every_item_once(self, campaigns: Table) -> None:
        stored = [{"account": account, "id": number} for account in ("acme", "globex") for number in range(8)]
        for item in stored:
            campaigns.put(item)
        found: list[Plain] = []
        request: dict[str, Any] = {"Limit": 3}
        while "ExclusiveStartKey" not in request or request["ExclusiveStartKey"]:
            page = campaigns.ask("Scan", **request)
            found += map(plain, page["Items"])
            request["ExclusiveStartKey"] = page.get("LastEvaluatedKey")
        assert sorted(found, key=lambda item: (item["account"], item["id"])) == stored

    def test_items_that_the_filter_drops_count_for_the_limit(self, catalog: Table) -> None:
        for number in range(4):
            catalog.put(thing(str(number), uses=number % 2))
        pages = list(
            catalog.pages(
                "account = :account", {":account": "acme", ":one": 1}, FilterExpression="uses = :one", Limit=2
            )
        )
        assert pages[:2] == [[thing("1", uses=1)], [thing("3", uses=1)]]

    def test_a_query_answers_only_the_attributes_that_it_asks_for(self, catalog: Table) -> None:
        catalog.put(thing("1", nickname="a", uses=1))
        catalog.put(thing("2", uses=2))
        found = catalog.query("account = :account", {":account": "acme"}, ProjectionExpression="nickname, #key")
        assert found == [{"key": "1", "nickname": "a"}, {"key": "2"}]

    def test_pages_follow_each_other_though_their_keys_are_not_asked_for(self, catalog: Table) -> None:
        for number in range(4):
            catalog.put(thing(str(number), **({"uses": number} if number != 2 else {})))
        request = {"ProjectionExpression": "uses", "Limit": 1}
        assert catalog.query("account = :account", {":account": "acme"}, **request) == [
            {"uses": 0},
            {"uses": 1},
            {},
            {"uses": 3},
        ]


class TestIndexes:
    def campaign(self, number: int, **attributes: Any) -> Plain:
        return {"account": "acme", "id": number, "wakes_at": f"2026-01-0{number}", **attributes}

    def with_work(self, campaigns: Table, **request: Any) -> list[Plain]:
        return campaigns.query("#shard = :shard", {":shard": "3"}, IndexName="work", **request)

    def test_an_index_holds_items_with_its_key_and_only_the_projected_attributes(self, campaigns: Table) -> None:
        campaigns.put(self.campaign(1, shard="3", dialers=2, status="running"))
        campaigns.put(self.campaign(2, status="running"))
        campaigns.put(self.campaign(3, shard="4", status="running"))
        assert self.with_work(campaigns) == [self.campaign(1, shard="3", dialers=2)]

    def test_an_index_is_read_in_the_order_of_its_range_key_and_up_to_a_bound(self, campaigns: Table) -> None:
        for number in (3, 1, 2):
            campaigns.put(self.campaign(number, shard="3"))
        until = campaigns.query(
            "#shard = :shard AND wakes_at <= :day", {":shard": "3", ":day": "2026-01-02"}, IndexName="work"
        )
        assert [item["id"] for item in until] == [1, 2]

    def test_an_index_follows_the_changes_of_its_table(self, campaigns: Table) -> None:
        for number in (1, 2, 3):
            campaigns.put(self.campaign(number, shard="3"))
        campaigns.update({"account": "acme", "id": 1}, "REMOVE #shard", {})
        campaigns.update({"account": "acme", "id": 2}, "SET #shard = :other", {":other": "4"})
        campaigns.ask("DeleteItem", Key=typed({"account": "acme", "id": 3}))
        assert self.with_work(campaigns) == []
        campaigns.update({"account": "acme", "id": 2}, "SET #shard = :shard", {":shard": "3"})
        assert self.with_work(campaigns) == [self.campaign(2, shard="3")]

    def test_an_index_is_read_in_pages(self, campaigns: Table) -> None:
        for number in range(9):
            campaigns.put(self.campaign(number, shard="3"))
        assert [item["id"] for item in self.with_work(campaigns, Limit=2)] == list(range(9))
