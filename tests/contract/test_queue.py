"""What is taken for granted of SQS, shown of each queue that tests use."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from botocore.session import get_session
from moto import mock_aws

from chalicelib.gateway.queue import BATCH, CallQueue, Message
from chalicelib.runtime.clock import SystemClock
from tests.fake_aws.sqs import SimulatedSQS
from tests.support.world import FakeSQS, HandClock

#: bodies of all messages that are visible by now
Receive = Callable[[], list[str]]
Wait = Callable[[float], None]
Now = Callable[[], datetime]


class Engine:
    """SQS itself, by a client for it, and how time passes there."""

    def __init__(self, client: Any, wait: Wait, now: Now) -> None:
        self.client = client
        self.wait = wait
        self.now = now

    def create(self, **attributes: str) -> str:
        """A new queue, known by its URL."""
        name = f"contract-{uuid.uuid4().hex}"
        return str(self.client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    def arn(self, url: str) -> str:
        asked = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(asked["Attributes"]["QueueArn"])

    def send(self, url: str, *bodies: str) -> dict[str, Any]:
        entries = [{"Id": str(place), "MessageBody": body} for place, body in enumerate(bodies)]
        return cast(dict[str, Any], self.client.send_message_batch(QueueUrl=url, Entries=entries))

    def receive(self, url: str, most: int = 10) -> list[dict[str, Any]]:
        asked = self.client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=most, MessageSystemAttributeNames=["ApproximateReceiveCount"]
        )
        return cast(list[dict[str, Any]], asked.get("Messages", []))

    def receive_all(self, url: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while some := self.receive(url):
            found += some
        return found


class Queue:
    """A queue to send to, and what came of it."""

    def __init__(self, client: Any, url: str, receive: Receive, wait: Wait, now: Now) -> None:
        self.calls = CallQueue(client, url, now, pause=lambda _: None)
        self.receive = receive
        self.wait = wait
        self.now = now


def of(engine: Engine) -> Queue:
    url = engine.create()
    return Queue(
        engine.client,
        url,
        lambda: [message["Body"] for message in engine.receive_all(url)],
        engine.wait,
        engine.now,
    )


def simulated() -> Engine:
    clock = HandClock()
    return Engine(SimulatedSQS(clock.now), waiting(clock), clock.now)


def fake() -> Queue:
    clock = HandClock()
    client = FakeSQS(clock)
    return Queue(
        client, "calls", lambda: [message.body for message in client.take(clock.now())], waiting(clock), clock.now
    )


def waiting(clock: HandClock) -> Wait:
    return lambda seconds: clock.turn_to(clock.now() + timedelta(seconds=seconds))


@pytest.fixture
def moto() -> Iterator[Engine]:
    with mock_aws():
        session = get_session()
        session.set_credentials("test", "test")
        yield Engine(session.create_client("sqs", region_name="us-east-1"), time.sleep, SystemClock().now)


def named(name: str, request: pytest.FixtureRequest) -> Engine:
    if name == "simulated":
        return simulated()
    if name == "moto":
        return cast(Engine, request.getfixturevalue("moto"))
    return Engine(request.getfixturevalue("emulator").client("sqs"), time.sleep, SystemClock().now)


@pytest.fixture(params=["moto", "emulator", "simulated"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return named(request.param, request)


@pytest.fixture(params=["fake", "moto", "emulator", "simulated"])
def queue(request: pytest.FixtureRequest) -> Queue:
    return fake() if request.param == "fake" else of(named(request.param, request))


def messages(count: int, not_before: datetime | None = None) -> list[Message]:
    return [Message(f"message {place}", not_before, "acme") for place in range(count)]


def test_more_messages_than_a_batch_holds_all_arrive(queue: Queue) -> None:
    assert queue.calls.send(messages(2 * BATCH + 3)) == 2 * BATCH + 3
    assert sorted(queue.receive()) == sorted(message.body for message in messages(2 * BATCH + 3))


def test_a_delayed_message_comes_when_its_delay_is_over(queue: Queue) -> None:
    queue.calls.send(messages(1, queue.now() + timedelta(seconds=2.9)))
    queue.wait(1)
    assert queue.receive() == []
    queue.wait(1.5)
    assert queue.receive() == ["message 0"]


def test_sending_nothing_asks_nothing(queue: Queue) -> None:
    assert queue.calls.send([]) == 0
    assert queue.receive() == []


def code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"]).rsplit(".", 1)[-1]


class TestEngine:
    def test_what_is_received_comes_again_unless_it_is_deleted_in_time(self, engine: Engine) -> None:
        url = engine.create(VisibilityTimeout="1")
        engine.send(url, "dealt with", "left")
        for message in engine.receive_all(url):
            assert message["Attributes"]["ApproximateReceiveCount"] == "1"
            if message["Body"] == "dealt with":
                engine.client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        assert engine.receive_all(url) == []
        engine.wait(1.2)
        (again,) = engine.receive_all(url)
        assert again["Body"] == "left"
        assert again["Attributes"]["ApproximateReceiveCount"] == "2"

    def test_what_is_received_too_often_goes_to_the_dead_letters(self, engine: Engine) -> None:
        dead = engine.create()
        redrive = {"deadLetterTargetArn": engine.arn(dead), "maxReceiveCount": 2}
        url = engine.create(VisibilityTimeout="1", RedrivePolicy=json.dumps(redrive))
        engine.send(url, "poison")
        for _ in range(2):
            assert len(engine.receive(url)) == 1
            assert engine.receive(dead) == []
            engine.wait(1.2)
        assert engine.receive(url) == []
        assert [message["Body"] for message in engine.receive(dead)] == ["poison"]

    def test_ten_messages_are_sent_at_once_and_eleven_are_not(self, engine: Engine) -> None:
        url = engine.create()
        assert len(engine.send(url, *map(str, range(10)))["Successful"]) == 10
        with pytest.raises(ClientError) as refused:
            engine.send(url, *map(str, range(11)))
        assert code(refused) == "TooManyEntriesInBatchRequest"
        assert len(engine.receive_all(url)) == 10

    def test_ten_messages_are_received_at_once_and_eleven_are_not(self, engine: Engine) -> None:
        url = engine.create()
        for _ in range(2):
            engine.send(url, *map(str, range(10)))
        assert 1 <= len(engine.receive(url)) <= 10
        with pytest.raises(ClientError) as refused:
            engine.receive(url, most=11)
        assert code(refused) in ("InvalidParameterValue", "ReadCountOutOfRange")

    def test_a_batch_that_is_too_large_is_refused(self, engine: Engine) -> None:
        url = engine.create()
        with pytest.raises(ClientError) as refused:
            engine.send(url, *("x" * 120_000 for _ in range(10)))
        assert code(refused) == "BatchRequestTooLong"
        assert engine.receive_all(url) == []

    def test_there_is_no_batch_of_nothing_and_no_id_twice(self, engine: Engine) -> None:
        url = engine.create()
        with pytest.raises(ClientError) as refused:
            engine.send(url)
        assert code(refused) == "EmptyBatchRequest"
        with pytest.raises(ClientError) as refused:
            engine.client.send_message_batch(QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "one"}] * 2)
        assert code(refused) == "BatchEntryIdsNotDistinct"
