"""What storage takes for granted of DynamoDB, shown of each database that tests use."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pynamodb.models import Model

from chalicelib.storage.database import Database, DynamoDB

#: an item, or a part of one, in Python's own types
Plain = dict[str, Any]


class Table:
    """Low-level operations on one table."""

    def __init__(self, dynamodb: DynamoDB, model: type[Model]) -> None:
        self._dynamodb = dynamodb
        self.name = model.Meta.table_name

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        return self._dynamodb._make_api_call(operation, {"TableName": self.name, **request})

    def put(self, item: Plain, **request: Any) -> None:
        self.ask("PutItem", Item=typed(item), **request)

    def get(self, key: Plain) -> Plain | None:
        answer = self.ask("GetItem", Key=typed(key), ConsistentRead=True)
        return plain(answer["Item"]) if "Item" in answer else None

    def update(self, key: Plain, expression: str, values: Plain) -> Plain:
        request: dict[str, Any] = {"UpdateExpression": expression, "ReturnValues": "ALL_NEW"}
        if values:
            request["ExpressionAttributeValues"] = typed(values)
        return plain(self.ask("UpdateItem", Key=typed(key), **request)["Attributes"])

    def holds(self, key: Plain, condition: str, values: Plain) -> bool:
        """Is an update done on this condition?"""
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
def unmade(dynamodb: DynamoDB) -> Database:
    """Its tables aren't there yet."""
    return Database(f"test-{uuid.uuid4().hex[:8]}", dynamodb)


@pytest.fixture
def catalog(dynamodb: DynamoDB, unmade: Database) -> Table:
    """Its keys are two strings, `account` and `key`."""
    unmade.catalog.create_table(billing_mode="PAY_PER_REQUEST")
    return Table(dynamodb, unmade.catalog)


@pytest.fixture
def campaigns(dynamodb: DynamoDB, unmade: Database) -> Table:
    """Its keys are a string and a number, `account` and `id`.

    Its index is by `shard` and `wakes_at`, and holds `dialers`.
    """
    unmade.campaigns.create_table(billing_mode="PAY_PER_REQUEST")
    return Table(dynamodb, unmade.campaigns)


def typed(item: Plain) -> dict[str, Any]:
    return {name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in item.items()}


def plain(item: dict[str, Any]) -> Plain:
    return {name: int(value["N"]) if "N" in value else value["S"] for name, value in item.items()}


def thing(key: str, **attributes: Any) -> Plain:
    return {"account": "acme", "key": key, **attributes}


def used(condition: str) -> Plain:
    """The values that stand in it."""
    values = {":five": 5, ":ten": 10, ":prefix": "3wk"}
    return {name: value for name, value in values.items() if name in condition}


def put(key: str, condition: str | None = None) -> Plain:
    """As a part of a transaction."""
    return {"Put": {"Item": typed(thing(key)), **({} if condition is None else {"ConditionExpression": condition})}}


def count(key: str) -> Plain:
    """As a part of a transaction: one more of its `uses`."""
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
            ("uses <> :five", False),
            ("uses < :ten AND uses > :five", False),
            ("uses <= :ten AND uses >= :five", True),
            ("uses BETWEEN :five AND :ten", True),
            ("uses IN (:ten, :five)", True),
            ("NOT (uses = :ten OR nickname = :five)", True),
            ("uses = :five OR uses = :ten AND attribute_not_exists(nickname)", True),
            ("(uses = :five OR uses = :ten) AND attribute_not_exists(nickname)", False),
            ("begins_with(nickname, :prefix) AND contains(nickname, :prefix)", True),
            ("size(nickname) = :five", True),
        ],
    )
    def test_conditions_of_every_kind_are_understood(self, catalog: Table, condition: str, holds: bool) -> None:
        catalog.put(thing("one", uses=5, nickname="3wkds"))
        assert catalog.holds(thing("one"), condition, used(condition)) is holds

    @pytest.mark.parametrize(
        ("condition", "holds"),
        [
            ("lost = :five", False),
            ("lost < :five", False),
            ("lost >= :five", False),
            ("lost BETWEEN :five AND :ten", False),
            ("begins_with(lost, :prefix)", False),
            ("NOT lost = :five", True),
            ("lost <> :five", True),
        ],
    )
    def test_what_is_not_there_differs_from_everything_and_has_no_order(
        self, catalog: Table, condition: str, holds: bool
    ) -> None:
        catalog.put(thing("one"))
        assert catalog.holds(thing("one"), condition, used(condition)) is holds

    @pytest.mark.real_database
    @pytest.mark.parametrize("condition", ["nickname < :ten", "nickname >= :ten", "nickname = :ten"])
    def test_values_of_two_kinds_differ_and_have_no_order(self, catalog: Table, condition: str) -> None:
        catalog.put(thing("one", nickname="10"))
        assert not catalog.holds(thing("one"), condition, used(condition))

    @pytest.mark.real_database
    def test_numbers_are_the_same_however_they_are_written(self, catalog: Table) -> None:
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
    def test_an_update_reads_the_item_as_it_was_before(self, catalog: Table) -> None:
        catalog.put(thing("one", uses=5, id=1))
        changes = "SET id = uses - :one, uses = if_not_exists(uses, :one) + :one, days = if_not_exists(days, :one)"
        assert catalog.update(thing("one"), changes, {":one": 1}) == thing("one", id=4, uses=6, days=1)

    def test_an_update_makes_an_item_that_is_not_there(self, catalog: Table) -> None:
        assert catalog.update(thing("one"), "SET id = :one REMOVE days ADD uses :one", {":one": 1}) == thing(
            "one", id=1, uses=1
        )

    def test_an_update_answers_the_item_as_it_was_if_it_was_there(self, catalog: Table) -> None:
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

    @pytest.mark.parametrize("expression", ["SET id = lost + :one", "ADD nickname :one", "SET #key = :one"])
    def test_an_update_that_makes_no_sense_is_refused(self, catalog: Table, expression: str) -> None:
        catalog.put(thing("one", nickname="first"))
        names = {"ExpressionAttributeNames": {"#key": "key"}} if "#key" in expression else {}
        with pytest.raises(ClientError) as refused:
            catalog.ask(
                "UpdateItem",
                Key=typed(thing("one")),
                UpdateExpression=expression,
                ExpressionAttributeValues=typed({":one": 1}),
                **names,
            )
        assert code(refused) == "ValidationException"
        assert catalog.get(thing("one")) == thing("one", nickname="first")


class TestDocuments:
    """Lists of maps, as a campaign's windows are."""

    KEY = typed({"account": "acme", "id": 1})

    @pytest.fixture
    def campaigns(self, campaigns: Table) -> Table:
        windows = {"L": [{"M": typed({"profile_id": 5, "begins": 480})}, {"M": typed({"profile_id": 6})}]}
        campaigns.ask("PutItem", Item={**self.KEY, "windows": windows, "days": {"SS": ["MON", "TUE"]}})
        return campaigns

    @pytest.mark.parametrize(
        ("condition", "holds"),
        [
            ("windows[0].profile_id = :five", True),
            ("windows[1].profile_id = :five", False),
            ("windows[9].profile_id = :five", False),
            ("attribute_exists(windows[0].begins)", True),
            ("attribute_exists(windows[1].begins)", False),
            ("attribute_not_exists(windows[9])", True),
            ("contains(days, :monday) AND size(windows) = :two", True),
            ("contains(windows, :monday)", False),
            ("attribute_type(windows, :list)", True),
        ],
    )
    def test_conditions_reach_into_them(self, campaigns: Table, condition: str, holds: bool) -> None:
        values = {":five": 5, ":two": 2, ":monday": "MON", ":list": "L"}
        named = {name: value for name, value in values.items() if name in condition}
        assert campaigns.holds({"account": "acme", "id": 1}, condition, named) is holds

    def test_updates_change_a_part_of_them(self, campaigns: Table) -> None:
        changed = campaigns.ask(
            "UpdateItem",
            Key=self.KEY,
            UpdateExpression="SET windows[1].begins = windows[0].begins REMOVE windows[0].begins DELETE days :days",
            ExpressionAttributeValues={":days": {"SS": ["MON"]}},
            ReturnValues="ALL_NEW",
        )["Attributes"]
        assert changed["windows"] == {
            "L": [{"M": typed({"profile_id": 5})}, {"M": typed({"profile_id": 6, "begins": 480})}]
        }
        assert changed["days"] == {"SS": ["TUE"]}

    def test_a_way_that_leads_nowhere_is_refused(self, campaigns: Table) -> None:
        with pytest.raises(ClientError) as refused:
            campaigns.update({"account": "acme", "id": 1}, "SET windows[9].begins = :one", {":one": 1})
        assert code(refused) == "ValidationException"

    def test_only_the_parts_asked_for_are_answered(self, campaigns: Table) -> None:
        answer = campaigns.ask("GetItem", Key=self.KEY, ProjectionExpression="windows[1].profile_id, lost.profile_id")
        assert answer["Item"] == {"windows": {"L": [{"M": typed({"profile_id": 6})}]}}


@pytest.mark.real_database
class TestRefusals:
    """What is wrong with a request is said, and nothing is done."""

    @pytest.mark.parametrize(
        "attributes",
        [
            {"key": {"N": "1"}},
            {"key": {"S": "x" * 1025}},
            {"account": {"S": "x" * 2049}},
            {"uses": {"N": "five"}},
            {"uses": {"N": "1" * 39}},
            {"uses": {"N": "1e126"}},
            {"days": {"SS": []}},
            {"days": {"SS": ["MON", "MON"]}},
        ],
    )
    def test_an_item_that_cannot_be_kept(self, catalog: Table, attributes: dict[str, Any]) -> None:
        with pytest.raises(ClientError) as refused:
            catalog.ask("PutItem", Item={**typed(thing("one")), **attributes})
        assert code(refused) == "ValidationException"
        assert catalog.get(thing("one")) is None

    @pytest.mark.parametrize("shard", [{"N": "1"}, {"S": ""}])
    def test_an_item_that_does_not_fit_an_index(self, campaigns: Table, shard: dict[str, Any]) -> None:
        with pytest.raises(ClientError) as refused:
            campaigns.ask("PutItem", Item={**typed({"account": "acme", "id": 1}), "shard": shard})
        assert code(refused) == "ValidationException"

    def test_half_a_key(self, catalog: Table) -> None:
        for act in (catalog.get, catalog.put):
            with pytest.raises(ClientError) as refused:
                act({"account": "acme"})
            assert code(refused) == "ValidationException"

    @pytest.mark.parametrize(
        "condition",
        ["", "uses", "uses =", "uses = :five)", "(uses = :five", "#uses = :five", "5 = :five"],
    )
    def test_a_condition_that_cannot_be_read(self, catalog: Table, condition: str) -> None:
        with pytest.raises(ClientError) as refused:
            catalog.holds(thing("one"), condition, {":five": 5})
        assert code(refused) == "ValidationException"

    @pytest.mark.parametrize(
        ("condition", "request_"),
        [
            ("shard = :value", {"IndexName": "lost"}),
            ("shard = :value", {"IndexName": "work", "ConsistentRead": True}),
            ("wakes_at = :value", {"IndexName": "work"}),
            ("shard > :value", {"IndexName": "work"}),
            ("shard = :value AND lost = :value", {"IndexName": "work"}),
        ],
    )
    def test_a_query_that_makes_no_sense(self, campaigns: Table, condition: str, request_: dict[str, Any]) -> None:
        with pytest.raises(ClientError) as refused:
            campaigns.query(condition, {":value": "3"}, **request_)
        assert code(refused) == "ValidationException"

    def test_a_table_that_is_not_there(self, catalog: Table) -> None:
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

    def test_100_items_are_read_at_once_and_101_are_not(self, catalog: Table) -> None:
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
    def test_an_item_too_large_is_refused(self, catalog: Table) -> None:
        limit = 400 * 1024
        overhead = len("account" + "acme" + "key" + "one" + "nickname")
        catalog.put(thing("one", nickname="x" * (limit - overhead)))
        with pytest.raises(ClientError) as refused:
            catalog.put(thing("two", nickname="x" * (limit - overhead + 1)))
        assert code(refused) == "ValidationException"
        with pytest.raises(ClientError) as refused:
            catalog.update(thing("one"), "SET id = :one", {":one": 1})
        assert code(refused) == "ValidationException"
        # in UTF-8
        with pytest.raises(ClientError) as refused:
            catalog.put(thing("two", nickname="é" * (limit // 2)))
        assert code(refused) == "ValidationException"

    def test_an_empty_key_is_refused(self, catalog: Table) -> None:
        for act in (catalog.put, catalog.get):
            with pytest.raises(ClientError) as refused:
                act(thing(""))
            assert code(refused) == "ValidationException"


class TestTransactions:
    def test_a_transaction_is_done_as_a_whole_or_not_at_all_and_names_what_was_refused(self, catalog: Table) -> None:
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

    def test_a_transaction_may_only_look_at_an_item(self, catalog: Table) -> None:
        check = {"ConditionCheck": {"Key": typed(thing("one")), "ConditionExpression": "attribute_exists(account)"}}
        with pytest.raises(ClientError) as refused:
            catalog.transact([check, put("two")], token="first" + catalog.name)
        assert code(refused) == "TransactionCanceledException"
        catalog.put(thing("one", uses=5))
        catalog.transact([check, put("two")], token="second" + catalog.name)
        assert catalog.get(thing("one")) == thing("one", uses=5)

    @pytest.mark.real_database
    def test_a_part_that_makes_no_sense_cancels_a_transaction(self, catalog: Table) -> None:
        catalog.ask("PutItem", Item={**typed(thing("one")), "uses": {"S": "five"}})
        with pytest.raises(ClientError) as refused:
            catalog.transact([put("two"), count("one")], token="once" + catalog.name)
        assert code(refused) == "TransactionCanceledException"
        assert [reason["Code"] for reason in refused.value.response["CancellationReasons"]] == [
            "None",
            "ValidationError",
        ]
        assert catalog.get(thing("two")) is None

    def test_a_refused_transaction_can_be_tried_again_with_its_token(self, catalog: Table) -> None:
        catalog.put(thing("one"))
        parts = [count("two"), put("one", "attribute_not_exists(account)")]
        with pytest.raises(ClientError):
            catalog.transact(parts, token="once" + catalog.name)
        catalog.ask("DeleteItem", Key=typed(thing("one")))
        catalog.transact(parts, token="once" + catalog.name)
        assert catalog.get(thing("two")) == thing("two", uses=1)

    @pytest.mark.real_database
    def test_a_transaction_repeated_with_its_token_is_done_once(self, catalog: Table) -> None:
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

    def test_100_parts_are_done_at_once_and_101_are_not(self, catalog: Table) -> None:
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
    def test_strings_are_in_the_order_of_their_bytes_in_utf_8(self, catalog: Table) -> None:
        ordered = ["1", "10", "9", "A", "a", "é", "\uff5e", "\U0001f600"]
        for key in reversed(ordered):
            catalog.put(thing(key))
        found = catalog.query("account = :account", {":account": "acme"})
        assert [item["key"] for item in found] == ordered
        backwards = catalog.query("account = :account", {":account": "acme"}, ScanIndexForward=False)
        assert backwards == found[::-1]

    def test_numbers_are_in_the_order_of_numbers(self, campaigns: Table) -> None:
        for number in (10, -1, 9, 100, 0):
            campaigns.put({"account": "acme", "id": number})
        found = campaigns.query("account = :account AND id > :zero", {":account": "acme", ":zero": 0})
        assert [item["id"] for item in found] == [9, 10, 100]

    @pytest.mark.parametrize(
        ("condition", "values", "found"),
        [
            ("#key = :one", {":one": "b"}, "b"),
            ("#key < :one", {":one": "b"}, "a"),
            ("#key <= :one", {":one": "b"}, "a b"),
            ("#key > :one", {":one": "b"}, "ba bb c"),
            ("#key >= :one", {":one": "b"}, "b ba bb c"),
            ("#key BETWEEN :one AND :two", {":one": "aa", ":two": "ba"}, "b ba"),
            ("begins_with(#key, :one)", {":one": "b"}, "b ba bb"),
        ],
    )
    def test_a_part_of_the_range_is_found(self, catalog: Table, condition: str, values: Plain, found: str) -> None:
        for key in ("a", "b", "ba", "bb", "c"):
            catalog.put(thing(key))
            catalog.put({"account": "globex", "key": key})
        items = catalog.query(
            f"account = :account AND {condition}",
            {":account": "acme", **values},
            ExpressionAttributeNames={"#key": "key"},
        )
        assert items == [thing(key) for key in found.split()]

    @pytest.mark.real_database
    def test_bounds_the_wrong_way_round_are_refused(self, catalog: Table) -> None:
        with pytest.raises(ClientError) as refused:
            catalog.query(
                "account = :account AND #key BETWEEN :one AND :two",
                {":account": "acme", ":one": "b", ":two": "a"},
                ExpressionAttributeNames={"#key": "key"},
            )
        assert code(refused) == "ValidationException"

    def test_pages_follow_each_other_whatever_is_deleted_between_them(self, catalog: Table) -> None:
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

    def test_pages_backwards_follow_each_other(self, catalog: Table) -> None:
        keys = [f"{number:02d}" for number in range(10)]
        for key in keys:
            catalog.put(thing(key))
        pages = catalog.pages("account = :account", {":account": "acme"}, Limit=4, ScanIndexForward=False)
        assert [item["key"] for page in pages for item in page] == keys[::-1]

    def test_what_does_not_fit_one_answer_comes_in_pages(self, catalog: Table) -> None:
        for number in range(12):
            catalog.put(thing(f"{number:02d}", nickname="x" * 100_000))
        pages = list(catalog.pages("account = :account", {":account": "acme"}))
        assert len(pages) > 1
        assert [item["key"] for page in pages for item in page] == [f"{number:02d}" for number in range(12)]

    def test_a_scan_meets_every_item_once(self, campaigns: Table) -> None:
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

    def test_the_filter_drops_what_the_limit_has_counted(self, catalog: Table) -> None:
        for number in range(4):
            catalog.put(thing(str(number), uses=number % 2))
        pages = list(
            catalog.pages(
                "account = :account", {":account": "acme", ":one": 1}, FilterExpression="uses = :one", Limit=2
            )
        )
        assert pages[:2] == [[thing("1", uses=1)], [thing("3", uses=1)]]

    def test_only_the_attributes_asked_for_are_answered(self, catalog: Table) -> None:
        catalog.put(thing("one", nickname="first", uses=1))
        found = catalog.query("account = :account", {":account": "acme"}, ProjectionExpression="nickname, lost")
        assert found == [{"nickname": "first"}]


class TestIndexes:
    def campaign(self, number: int, **attributes: Any) -> Plain:
        return {"account": "acme", "id": number, "wakes_at": f"2026-01-0{number}", **attributes}

    def with_work(self, campaigns: Table, **request: Any) -> list[Plain]:
        return campaigns.query("shard = :shard", {":shard": "3"}, IndexName="work", **request)

    def test_an_index_has_what_carries_its_attributes_and_nothing_else_of_it(self, campaigns: Table) -> None:
        campaigns.put(self.campaign(1, shard="3", dialers=2, status="running"))
        campaigns.put(self.campaign(2, status="running"))
        campaigns.put(self.campaign(3, shard="4", status="running"))
        assert self.with_work(campaigns) == [self.campaign(1, shard="3", dialers=2)]

    def test_an_index_is_read_in_the_order_of_its_range_key_and_up_to_one(self, campaigns: Table) -> None:
        for number in (3, 1, 2):
            campaigns.put(self.campaign(number, shard="3"))
        until = campaigns.query(
            "shard = :shard AND wakes_at <= :day", {":shard": "3", ":day": "2026-01-02"}, IndexName="work"
        )
        assert [item["id"] for item in until] == [1, 2]

    def test_an_index_follows_its_table(self, campaigns: Table) -> None:
        for number in (1, 2, 3):
            campaigns.put(self.campaign(number, shard="3"))
        campaigns.update({"account": "acme", "id": 1}, "REMOVE shard", {})
        campaigns.update({"account": "acme", "id": 2}, "SET shard = :other", {":other": "4"})
        campaigns.ask("DeleteItem", Key=typed({"account": "acme", "id": 3}))
        assert self.with_work(campaigns) == []
        campaigns.update({"account": "acme", "id": 2}, "SET shard = :shard", {":shard": "3"})
        assert self.with_work(campaigns) == [self.campaign(2, shard="3")]

    def test_an_index_is_read_in_pages_too(self, campaigns: Table) -> None:
        for number in range(9):
            campaigns.put(self.campaign(number, shard="3"))
        assert [item["id"] for item in self.with_work(campaigns, Limit=2)] == list(range(9))
