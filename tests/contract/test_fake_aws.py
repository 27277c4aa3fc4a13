"""What the simulated AWS does when it is told to, and what no other engine shows."""

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

VALUES = {":two": {"N": "2"}, ":list": {"L": [{"N": "4"}]}}


def code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"])


class TestDynamoDB:
    def test_an_index_is_as_far_behind_as_it_is_told(self) -> None:
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

    def test_an_operation_is_refused_with_the_error_it_is_told(self) -> None:
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

    def test_a_transaction_in_the_way_of_another_is_tried_again(self) -> None:
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

    def test_what_is_left_of_a_batch_is_told(self) -> None:
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

    def test_what_is_answered_is_a_copy(self) -> None:
        client = SimulatedDynamoDB()
        table = with_tables(client).catalog.Meta.table_name
        item = {"account": {"S": "acme"}, "key": {"S": "one"}, "days": {"L": [{"M": {"day": {"S": "MON"}}}]}}
        client._make_api_call("PutItem", {"TableName": table, "Item": item})
        asked: dict[str, Any] = {"TableName": table, "Key": {"account": {"S": "acme"}, "key": {"S": "one"}}}
        for _ in range(2):
            answered = client._make_api_call("GetItem", asked)["Item"]
            assert answered["days"] == {"L": [{"M": {"day": {"S": "MON"}}}]}
            answered["days"]["L"][0]["M"]["day"]["S"] = "TUE"
            item["days"]["L"][0]["M"].clear()  # type: ignore[index] # a list, which mypy can't know

    @pytest.mark.parametrize(
        ("expression", "after"),
        [
            ("SET days[1] = :two", {"L": [{"N": "1"}, {"N": "2"}, {"N": "3"}]}),
            ("SET days[9] = :two", {"L": [{"N": "1"}, {"N": "9"}, {"N": "3"}, {"N": "2"}]}),
            ("REMOVE days[0], days[1]", {"L": [{"N": "3"}]}),
            ("SET days = list_append(days, :list)", {"L": [{"N": "1"}, {"N": "9"}, {"N": "3"}, {"N": "4"}]}),
            ("SET days[2].hour = :two", None),
            ("SET days = :two REMOVE days[0]", None),
            ("SET nickname = nickname + :two", None),
            ("SET days = :two SET id = :two", None),
            ("SET days = ", None),
        ],
    )
    def test_updates_reach_into_lists_and_refuse_what_makes_no_sense(self, expression: str, after: Any) -> None:
        client = SimulatedDynamoDB()
        table = with_tables(client).catalog.Meta.table_name
        key = {"account": {"S": "acme"}, "key": {"S": "one"}}
        days = {"L": [{"N": "1"}, {"N": "9"}, {"N": "3"}]}
        client._make_api_call("PutItem", {"TableName": table, "Item": {**key, "days": days, "nickname": {"S": "x"}}})
        values = {name: value for name, value in VALUES.items() if name in expression}
        update = {"TableName": table, "Key": key, "UpdateExpression": expression, "ReturnValues": "ALL_NEW"}
        if values:
            update["ExpressionAttributeValues"] = values
        if after is not None:
            assert client._make_api_call("UpdateItem", update)["Attributes"]["days"] == after
            return
        with pytest.raises(ClientError) as refused:
            client._make_api_call("UpdateItem", update)
        assert code(refused) == "ValidationException"

    def test_sets_are_joined_and_taken_from(self) -> None:
        client = SimulatedDynamoDB()
        table = with_tables(client).catalog.Meta.table_name
        update: dict[str, Any] = {
            "TableName": table,
            "Key": {"account": {"S": "acme"}, "key": {"S": "one"}},
            "ReturnValues": "ALL_NEW",
        }
        for expression, members, after in (
            ("ADD days :days", ["MON", "TUE"], ["MON", "TUE"]),
            ("ADD days :days", ["WED", "TUE"], ["MON", "TUE", "WED"]),
            ("DELETE days :days", ["MON", "SUN"], ["TUE", "WED"]),
            ("DELETE days :days", ["TUE", "WED"], None),
        ):
            values = {":days": {"SS": members}}
            request = {**update, "UpdateExpression": expression, "ExpressionAttributeValues": values}
            item = client._make_api_call("UpdateItem", request)["Attributes"]
            assert item.get("days") == (after and {"SS": after})

    def test_a_placeholder_that_stands_nowhere_is_refused(self) -> None:
        client = SimulatedDynamoDB()
        table = with_tables(client).catalog.Meta.table_name
        key = {"account": {"S": "acme"}, "key": {"S": "one"}}
        for given in ({"ExpressionAttributeValues": {":one": {"N": "1"}}}, {"ExpressionAttributeNames": {"#id": "id"}}):
            with pytest.raises(ClientError) as refused:
                client._make_api_call("PutItem", {"TableName": table, "Item": key, **given})
            assert code(refused) == "ValidationException"

    @pytest.mark.parametrize(
        ("condition", "more"),
        [
            ("account = :value", {"Limit": 0}),
            ("account = :value", {"FilterExpression": "#key = :value"}),
            ("account = :value AND #key <> :value", {}),
            ("account ? :value", {}),
            ("account = :value AND begins_with(#key, account)", {}),
        ],
    )
    def test_a_query_that_makes_no_sense_is_refused(self, condition: str, more: dict[str, Any]) -> None:
        client = SimulatedDynamoDB()
        request = {
            "TableName": with_tables(client).catalog.Meta.table_name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": {":value": {"S": "acme"}},
            **more,
        }
        if "#key" in f"{request}":
            request["ExpressionAttributeNames"] = {"#key": "key"}
        with pytest.raises(ClientError) as refused:
            client._make_api_call("Query", request)
        assert code(refused) == "ValidationException"

    def test_what_is_only_taken_away_makes_no_item(self) -> None:
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
        [("ExecuteStatement", {}), ("GetItem", {"AttributesToGet": ["id"]}), ("Query", {"Select": "COUNT"})],
    )
    def test_what_it_does_not_know_it_does_not_pass_over(self, operation: str, request_: dict[str, Any]) -> None:
        with pytest.raises(NotImplementedError):
            SimulatedDynamoDB()._make_api_call(operation, {"TableName": "any", **request_})


class TestSQS:
    @pytest.fixture
    def clock(self) -> HandClock:
        return HandClock()

    def test_what_is_refused_of_a_batch_is_told(self, clock: HandClock) -> None:
        sqs = SimulatedSQS(clock.now, refuses="bad".__eq__)
        url = sqs.create_queue(QueueName="calls")["QueueUrl"]
        entries = [{"Id": str(place), "MessageBody": body} for place, body in enumerate(["good", "bad", "good"])]
        answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
        assert [sent["Id"] for sent in answer["Successful"]] == ["0", "2"]
        assert [failed["Id"] for failed in answer["Failed"]] == ["1"]
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        assert [message["Body"] for message in received] == ["good", "good"]

    def test_messages_come_in_an_order_of_chance(self, clock: HandClock) -> None:
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

    def test_it_tells_when_the_next_message_can_be_received(self, clock: HandClock) -> None:
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

    def test_only_who_received_it_last_can_delete_a_message(self, clock: HandClock) -> None:
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

    def test_a_quarter_of_an_hour_is_the_longest_delay(self, clock: HandClock) -> None:
        sqs = SimulatedSQS(clock.now)
        url = sqs.create_queue(QueueName="calls")["QueueUrl"]
        entries = [{"Id": str(delay), "MessageBody": "late", "DelaySeconds": delay} for delay in (-1, 900, 901)]
        answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
        assert [sent["Id"] for sent in answer["Successful"]] == ["900"]
        with pytest.raises(ClientError) as refused:
            sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=901)
        assert code(refused) == "InvalidParameterValue"
