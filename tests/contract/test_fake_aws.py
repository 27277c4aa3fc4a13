"""What the simulated AWS does on demand, and what neither moto nor the emulator shows."""

import random
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pynamodb.exceptions import GetError

from chalicelib.errors import Busy
from chalicelib.storage.writes import conditional
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.fake_aws.sqs import SimulatedSQS
from tests.support.databases import with_tables
from tests.support.world import HandClock

KEY = {"account": {"S": "acme"}, "key": {"S": "one"}}


def code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"])


class TestDynamoDB:
    def test_an_index_lags_by_as_many_changes_as_asked(self) -> None:
        lag = [0]
        database = with_tables(SimulatedDynamoDB(index_lag=lambda: lag[0]))

        def found() -> list[str]:
            return [item.digest for item in database.tokens.of_account.query("acme")]

        for digest in "abc":
            database.tokens(digest, account="acme", created_at=HandClock().now(), label="").save()
        lag[0] = 2
        assert found() == ["a"]
        database.tokens("a").delete()
        assert found() == ["a", "b"]
        lag[0] = 0
        assert found() == ["b", "c"]

    def test_an_operation_is_refused_with_the_error_asked_for(self) -> None:
        faults: dict[str, str] = {}
        database = with_tables(SimulatedDynamoDB(fault=faults.get))
        faults["GetItem"] = "InternalServerError"
        with pytest.raises(GetError) as refused:
            database.accounts.get("acme")
        assert refused.value.cause_response_code == "InternalServerError"
        faults["PutItem"] = "ProvisionedThroughputExceededException"
        with pytest.raises(Busy), conditional():
            database.accounts("acme").save()
        faults.clear()
        assert not list(database.accounts.query("acme"))

    def test_a_transaction_that_conflicts_with_another_is_tried_again(self) -> None:
        conflicts = ["TransactionConflictException", "ProvisionedThroughputExceededException"]

        def fault(operation: str) -> str | None:
            return conflicts.pop() if conflicts and operation == "TransactWriteItems" else None

        database = with_tables(SimulatedDynamoDB(fault=fault))
        transaction = database.transaction()
        transaction.put("part", database.accounts("acme"))
        transaction.put("part", database.accounts("globex"))
        transaction.commit()
        assert conflicts == []
        assert database.accounts.get("acme")

    def test_the_answer_to_a_batch_has_the_unprocessed_parts(self) -> None:
        left = [3, 0, 0]
        client = SimulatedDynamoDB(unprocessed=lambda _: left.pop(0))
        database = with_tables(client)
        with database.accounts.batch_write() as batch:
            for number in range(10):
                batch.save(database.accounts(str(number)))
        assert left == [0]
        left[:] = [99, 98, 0]
        found = database.accounts.batch_get([str(number) for number in range(10)])
        assert sorted(item.account for item in found) == [str(number) for number in range(10)]

    def test_an_answer_is_a_copy_of_the_item(self) -> None:
        client = SimulatedDynamoDB()
        table = with_tables(client).catalog.Meta.table_name
        item = {**KEY, "days": {"L": [{"M": {"day": {"S": "MON"}}}]}}
        client._make_api_call("PutItem", {"TableName": table, "Item": item})
        for _ in range(2):
            answered = client._make_api_call("GetItem", {"TableName": table, "Key": KEY})["Item"]
            assert answered["days"] == {"L": [{"M": {"day": {"S": "MON"}}}]}
            answered["days"]["L"][0]["M"]["day"]["S"] = "TUE"
            item["days"]["L"][0]["M"].clear()  # type: ignore[index] # mypy doesn't know that it is a list

    def test_an_update_that_changes_an_attribute_twice_is_refused(self) -> None:
        client = SimulatedDynamoDB()
        update = {
            "TableName": with_tables(client).catalog.Meta.table_name,
            "Key": KEY,
            "UpdateExpression": "SET id = :two REMOVE id",
            "ExpressionAttributeValues": {":two": {"N": "2"}},
        }
        with pytest.raises(ClientError) as refused:
            client._make_api_call("UpdateItem", update)
        assert code(refused) == "ValidationException"

    def test_a_placeholder_that_no_expression_uses_is_refused(self) -> None:
        client = SimulatedDynamoDB()
        table = with_tables(client).catalog.Meta.table_name
        for given in ({"ExpressionAttributeValues": {":one": {"N": "1"}}}, {"ExpressionAttributeNames": {"#id": "id"}}):
            with pytest.raises(ClientError) as refused:
                client._make_api_call("PutItem", {"TableName": table, "Item": KEY, **given})
            assert code(refused) == "ValidationException"

    def test_an_update_that_only_removes_creates_no_item(self) -> None:
        client = SimulatedDynamoDB()
        accounts = with_tables(client).accounts
        request = {
            "TableName": accounts.Meta.table_name,
            "Key": {"account": {"S": "acme"}},
            "UpdateExpression": "REMOVE secret",
            "ReturnValues": "ALL_NEW",
        }
        assert client._make_api_call("UpdateItem", request) == {}
        assert not list(accounts.scan())

    @pytest.mark.parametrize(
        ("operation", "request_"),
        [
            ("ExecuteStatement", {}),
            ("GetItem", {"Key": KEY, "ProjectionExpression": "id"}),
            ("Query", {"KeyConditionExpression": "account = :acme", "Select": "COUNT"}),
            ("Query", {"KeyConditionExpression": "account >= :acme"}),
            (
                "Query",
                {"KeyConditionExpression": "account = :acme", "ScanIndexForward": False, "ExclusiveStartKey": KEY},
            ),
            ("PutItem", {"Item": KEY, "ConditionExpression": "account <> :acme"}),
            ("PutItem", {"Item": KEY, "ConditionExpression": "account = :acme AND NOT id = :acme"}),
            ("PutItem", {"Item": KEY, "ConditionExpression": "size(account) = :acme"}),
            ("PutItem", {"Item": {**KEY, "days": {"SS": ["MON"]}}}),
            ("PutItem", {"Item": {**KEY, "id": {"N": "five"}}}),
            ("PutItem", {"Item": {"account": {"S": "acme"}}}),
            ("UpdateItem", {"Key": KEY, "UpdateExpression": "SET days[0] = :acme"}),
            ("UpdateItem", {"Key": KEY, "UpdateExpression": "SET id = id + :acme"}),
            ("UpdateItem", {"Key": KEY, "UpdateExpression": "ADD id :acme"}),
            ("UpdateItem", {"Key": KEY, "UpdateExpression": "SET account = :acme"}),
            ("TransactWriteItems", {"TransactItems": [{"ConditionCheck": {}}]}),
        ],
    )
    def test_what_is_not_implemented_is_named(self, operation: str, request_: dict[str, Any]) -> None:
        client = SimulatedDynamoDB()
        if operation != "TransactWriteItems":
            request_ = {"TableName": with_tables(client).catalog.Meta.table_name, **request_}
        if ":acme" in str(request_):
            request_["ExpressionAttributeValues"] = {":acme": {"S": "acme"}}
        with pytest.raises(NotImplementedError) as refused:
            client._make_api_call(operation, request_)
        assert str(refused.value)


class TestSQS:
    @pytest.fixture
    def clock(self) -> HandClock:
        return HandClock()

    def test_the_answer_to_a_batch_names_the_refused_messages(self, clock: HandClock) -> None:
        sqs = SimulatedSQS(clock.now, refuses="bad".__eq__)
        url = sqs.create_queue(QueueName="calls")["QueueUrl"]
        entries = [{"Id": str(place), "MessageBody": body} for place, body in enumerate(["good", "bad", "good"])]
        answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
        assert [sent["Id"] for sent in answer["Successful"]] == ["0", "2"]
        assert [failed["Id"] for failed in answer["Failed"]] == ["1"]
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        assert [message["Body"] for message in received] == ["good", "good"]

    def test_messages_come_in_random_order(self, clock: HandClock) -> None:
        def order(seed: int) -> list[str]:
            sqs = SimulatedSQS(clock.now, random.Random(seed))  # noqa: S311 # no secret
            url = sqs.create_queue(QueueName="calls")["QueueUrl"]
            for body in "abcdef":
                sqs.send_message(QueueUrl=url, MessageBody=body)
            received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
            return [message["Body"] for message in received]

        assert order(1) == order(1)
        assert len({tuple(order(seed)) for seed in range(5)}) > 1
        assert sorted(order(1)) == list("abcdef")

    def test_next_visible_is_when_the_next_message_can_be_received(self, clock: HandClock) -> None:
        sqs = SimulatedSQS(clock.now)
        url = sqs.create_queue(QueueName="calls", Attributes={"VisibilityTimeout": "30"})["QueueUrl"]
        assert sqs.next_visible(url) is None
        sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=9)
        assert sqs.next_visible(url) == clock.now() + timedelta(seconds=9)
        clock.turn_to(clock.now() + timedelta(seconds=10))
        assert sqs.next_visible(url) == clock.now()
        (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
        assert sqs.next_visible(url) == clock.now() + timedelta(seconds=30)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        assert sqs.next_visible(url) is None

    def test_only_the_latest_receiver_can_delete_a_message(self, clock: HandClock) -> None:
        sqs = SimulatedSQS(clock.now)
        url = sqs.create_queue(QueueName="calls", Attributes={"VisibilityTimeout": "30"})["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="one")
        (first,) = sqs.receive_message(QueueUrl=url)["Messages"]
        clock.turn_to(clock.now() + timedelta(seconds=30))
        (second,) = sqs.receive_message(QueueUrl=url)["Messages"]
        sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
        assert sqs.next_visible(url) is not None
        sqs.delete_message(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"])
        assert sqs.next_visible(url) is None

    def test_a_delay_is_a_quarter_of_an_hour_at_most(self, clock: HandClock) -> None:
        sqs = SimulatedSQS(clock.now)
        url = sqs.create_queue(QueueName="calls")["QueueUrl"]
        entries = [{"Id": str(delay), "MessageBody": "late", "DelaySeconds": delay} for delay in (-1, 900, 901)]
        answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
        assert [sent["Id"] for sent in answer["Successful"]] == ["900"]
        with pytest.raises(ClientError) as refused:
            sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=901)
        assert code(refused) == "InvalidParameterValue"
