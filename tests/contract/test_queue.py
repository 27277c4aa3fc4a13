"""What callpacer relies on in SQS, shown on each queue that tests use."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from chalicelib.gateway.queue import BATCH, CallQueue, Message
from chalicelib.runtime.clock import SystemClock
from tests.fake_aws.sqs import SimulatedSQS
from tests.support.databases import moto_client
from tests.support.world import FakeSQS, HandClock

#: the bodies of all messages that are visible now
Receive = Callable[[], list[str]]
Wait = Callable[[float], None]
Now = Callable[[], datetime]


class Sqs:
    """A client of SQS, and the clock that SQS uses."""

    def __init__(self, client: Any, wait: Wait, now: Now) -> None:
        self.client = client
        self.wait = wait
        self.now = now

    def create(self, **attributes: str) -> str:
        """The URL of a new queue."""
        name = f"contract-{uuid.uuid4().hex}"
        return str(self.client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    def arn(self, url: str) -> str:
        asked = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(asked["Attributes"]["QueueArn"])

    def send(self, url: str, *bodies: str) -> dict[str, Any]:
        entries = [{"Id": str(index), "MessageBody": body} for index, body in enumerate(bodies)]
        return cast(dict[str, Any], self.client.send_message_batch(QueueUrl=url, Entries=entries))

    def receive(self, url: str, most: int = 10) -> list[dict[str, Any]]:
        asked = self.client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=most, MessageSystemAttributeNames=["ApproximateReceiveCount"]
        )
        return cast(list[dict[str, Any]], asked.get("Messages", []))

    def receive_all(self, url: str) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        while some := self.receive(url):
            messages += some
        return messages


class Queue:
    """A queue that callpacer sends to, and how to receive from it."""

    def __init__(self, client: Any, url: str, receive: Receive, wait: Wait, now: Now) -> None:
        self.calls = CallQueue(client, url, now, pause=lambda _: None)
        self.receive = receive
        self.wait = wait
        self.now = now


def queue_in(sqs: Sqs) -> Queue:
    url = sqs.create()
    return Queue(
        sqs.client,
        url,
        lambda: [message["Body"] for message in sqs.receive_all(url)],
        sqs.wait,
        sqs.now,
    )


def simulated() -> Sqs:
    clock = HandClock()
    return Sqs(SimulatedSQS(clock.now), clock.advance, clock.now)


def fake() -> Queue:
    clock = HandClock()
    client = FakeSQS(clock)
    return Queue(
        client, "calls", lambda: [message.body for message in client.take(clock.now())], clock.advance, clock.now
    )


@pytest.fixture
def moto() -> Iterator[Sqs]:
    with moto_client("sqs") as client:
        yield Sqs(client, time.sleep, SystemClock().now)


def named(name: str, request: pytest.FixtureRequest) -> Sqs:
    if name == "simulated":
        return simulated()
    if name == "moto":
        return cast(Sqs, request.getfixturevalue("moto"))
    return Sqs(request.getfixturevalue("emulator").client("sqs"), time.sleep, SystemClock().now)


@pytest.fixture(params=["moto", "emulator", "simulated"])
def sqs(request: pytest.FixtureRequest) -> Sqs:
    return named(request.param, request)


@pytest.fixture(params=["fake", "moto", "emulator", "simulated"])
def queue(request: pytest.FixtureRequest) -> Queue:
    return fake() if request.param == "fake" else queue_in(named(request.param, request))


def messages(count: int, not_before: datetime | None = None) -> list[Message]:
    return [Message(f"message {number}", not_before, "acme") for number in range(count)]


def test_more_messages_than_fit_into_a_batch_all_arrive(queue: Queue) -> None:
    assert queue.calls.send(messages(2 * BATCH + 3)) == 2 * BATCH + 3
    assert sorted(queue.receive()) == sorted(message.body for message in messages(2 * BATCH + 3))


def test_a_message_is_visible_when_its_delay_is_over(queue: Queue) -> None:
    queue.calls.send(messages(1, queue.now() + timedelta(seconds=2.9)))
    queue.wait(1)
    assert queue.receive() == []
    queue.wait(1.5)
    assert queue.receive() == ["message 0"]


def test_no_messages_need_no_request(queue: Queue) -> None:
    assert queue.calls.send([]) == 0
    assert queue.receive() == []


@contextmanager
def refused(*codes: str) -> Iterator[None]:
    """The request must be refused with one of these codes."""
    with pytest.raises(ClientError) as refusal:
        yield
    assert str(refusal.value.response["Error"]["Code"]).rsplit(".", 1)[-1] in codes


class TestSqs:
    def test_a_received_message_comes_again_unless_it_is_deleted_in_time(self, sqs: Sqs) -> None:
        url = sqs.create(VisibilityTimeout="1")
        sqs.send(url, "deleted", "kept")
        for message in sqs.receive_all(url):
            assert message["Attributes"]["ApproximateReceiveCount"] == "1"
            if message["Body"] == "deleted":
                sqs.client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        assert sqs.receive_all(url) == []
        sqs.wait(1.2)
        (again,) = sqs.receive_all(url)
        assert again["Body"] == "kept"
        assert again["Attributes"]["ApproximateReceiveCount"] == "2"

    def test_a_message_that_is_received_too_often_is_dead_lettered(self, sqs: Sqs) -> None:
        dead_letters = sqs.create()
        redrive = {"deadLetterTargetArn": sqs.arn(dead_letters), "maxReceiveCount": 2}
        url = sqs.create(VisibilityTimeout="1", RedrivePolicy=json.dumps(redrive))
        sqs.send(url, "poison")
        for _ in range(2):
            assert len(sqs.receive(url)) == 1
            assert sqs.receive(dead_letters) == []
            sqs.wait(1.2)
        assert sqs.receive(url) == []
        assert [message["Body"] for message in sqs.receive(dead_letters)] == ["poison"]

    def test_a_batch_has_ten_messages_at_most(self, sqs: Sqs) -> None:
        url = sqs.create()
        assert len(sqs.send(url, *map(str, range(10)))["Successful"]) == 10
        with refused("TooManyEntriesInBatchRequest"):
            sqs.send(url, *map(str, range(11)))
        assert len(sqs.receive_all(url)) == 10

    def test_ten_messages_at_most_are_received_at_once(self, sqs: Sqs) -> None:
        url = sqs.create()
        for _ in range(2):
            sqs.send(url, *map(str, range(10)))
        assert 1 <= len(sqs.receive(url)) <= 10
        with refused("InvalidParameterValue", "ReadCountOutOfRange"):
            sqs.receive(url, most=11)

    def test_a_batch_that_is_too_large_is_refused(self, sqs: Sqs) -> None:
        url = sqs.create()
        with refused("BatchRequestTooLong"):
            sqs.send(url, *("x" * 120_000 for _ in range(10)))
        assert sqs.receive_all(url) == []

    def test_a_batch_without_entries_or_with_an_id_twice_is_refused(self, sqs: Sqs) -> None:
        url = sqs.create()
        with refused("EmptyBatchRequest"):
            sqs.send(url)
        with refused("BatchEntryIdsNotDistinct"):
            sqs.client.send_message_batch(QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "one"}] * 2)
