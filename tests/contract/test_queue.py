"""What is taken for granted of SQS, shown of each queue that tests use."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.session import get_session
from moto import mock_aws

from chalicelib.clock import SystemClock
from chalicelib.gateway.queue import BATCH, CallQueue, Message
from tests.functional.world import FakeSQS, HandClock

#: bodies of all messages that are visible by now
Receive = Callable[[], list[str]]


class Queue:
    """A queue to send to, and what came of it."""

    def __init__(
        self, client: Any, url: str, receive: Receive, wait: Callable[[float], None], now: Callable[[], datetime]
    ) -> None:
        self.calls = CallQueue(client, url, now, pause=lambda _: None)
        self.receive = receive
        self.wait = wait
        self.now = now


def real(client: Any) -> Queue:
    url = client.create_queue(QueueName=f"contract-{time.time_ns()}")["QueueUrl"]

    def receive() -> list[str]:
        bodies: list[str] = []
        while found := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            bodies += [message["Body"] for message in found]
        return bodies

    return Queue(client, url, receive, time.sleep, SystemClock().now)


def fake() -> Queue:
    clock = HandClock()
    client = FakeSQS(clock)

    def wait(seconds: float) -> None:
        clock.turn_to(clock.now() + timedelta(seconds=seconds))

    return Queue(client, "calls", lambda: [message.body for message in client.take(clock.now())], wait, clock.now)


@pytest.fixture(params=["fake", "moto", "emulator"])
def queue(request: pytest.FixtureRequest) -> Iterator[Queue]:
    if request.param == "fake":
        yield fake()
    elif request.param == "emulator":
        yield real(request.getfixturevalue("emulator").client("sqs"))
    else:
        with mock_aws():
            session = get_session()
            session.set_credentials("test", "test")
            yield real(session.create_client("sqs", region_name="us-east-1"))


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
