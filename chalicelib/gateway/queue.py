"""The queue between the pacer and the dialer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from botocore.session import Session

#: How many messages SQS takes in one request, and how many bytes they may have together.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
BATCH = 10
MAX_BATCH_BYTES = 256 * 1024
#: Seconds. The longest delay of a message in SQS.
LONGEST_DELAY = 900
#: How often a batch is sent until SQS has taken all of it, and by how many seconds each pause is longer than the last.
_TRIES = 4
_PAUSE = 0.1


class SQS(Protocol):
    """The part of an SQS client that is used: botocore's, or a simulated one."""

    def send_message_batch(self, **request: Any) -> dict[str, Any]: ...

    def send_message(self, **request: Any) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Message:
    """A message to be sent."""

    #: ASCII text
    body: str
    #: it is delivered then, or up to a second earlier; None: at once
    not_before: datetime | None
    #: The queue serves accounts in turn, so that a large one doesn't hold up a small one.
    account: str


class CallQueue:
    def __init__(self, client: SQS, url: str, now: Callable[[], datetime], pause: Callable[[float], None]) -> None:
        self._client = client
        self._url = url
        self._now = now
        self._pause = pause

    def send(self, messages: Sequence[Message]) -> int:
        """Send the messages in order. Answers how many were sent before the first one that SQS refused.

        Refused messages of a batch are sent again. If some stay refused, no further batch is sent.
        """
        sent = 0
        while sent < len(messages):
            batch = _first_batch(messages[sent : sent + BATCH])
            refused = self._send_batch(batch)
            if refused:
                return sent + min(refused)
            sent += len(batch)
        return sent

    def _send_batch(self, messages: Sequence[Message]) -> set[int]:
        """The indices of the messages that SQS refused."""
        unsent = set(range(len(messages)))
        for attempt in range(_TRIES):
            if attempt:
                self._pause(_PAUSE * attempt)
            now = self._now()
            answer = self._client.send_message_batch(
                QueueUrl=self._url,
                Entries=[
                    {
                        "Id": str(index),
                        "MessageBody": messages[index].body,
                        "DelaySeconds": _delay(messages[index].not_before, now),
                        "MessageGroupId": messages[index].account,
                    }
                    for index in sorted(unsent)
                ],
            )
            unsent -= {int(sent["Id"]) for sent in answer.get("Successful", [])}
            if not unsent:
                break
        return unsent


def _first_batch(messages: Sequence[Message]) -> Sequence[Message]:
    """The first messages, as many as SQS takes in one request."""
    sizes = accumulate(len(message.body) for message in messages)
    return messages[: max(1, sum(size <= MAX_BATCH_BYTES for size in sizes))]


def _delay(not_before: datetime | None, now: datetime) -> int:
    """Whole seconds, rounded down. The dialer waits for the rest."""
    return 0 if not_before is None else max(0, min(int((not_before - now).total_seconds()), LONGEST_DELAY))


class DeadLetters:
    """The dead-letter queue. The dialer puts unreadable messages there itself: to receive them again wouldn't help."""

    def __init__(self, client: SQS, url: str) -> None:
        self._client = client
        self._url = url

    def put(self, body: str) -> None:
        self._client.send_message(QueueUrl=self._url, MessageBody=body)


def connect(session: "Session") -> SQS:
    """The SQS client of a function, with the credentials, region and endpoint of its environment."""
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=8, retries={"mode": "standard", "total_max_attempts": 4})
    return cast(SQS, session.create_client("sqs", config=config))
