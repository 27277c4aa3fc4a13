"""The queue between the pacer and the dialer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from botocore.session import Session

#: messages that SQS takes in one request, and the bytes of all of them together
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
BATCH = 10
LARGEST = 256 * 1024
#: seconds: the longest that SQS holds a message back
LONGEST_DELAY = 900
#: how often what SQS refused of a batch is offered again, and the pause before, in seconds
_TRIES = 4
_PAUSE = 0.1


class SQS(Protocol):
    """What is asked of a client: botocore's own, or a simulated one."""

    def send_message_batch(self, **request: Any) -> dict[str, Any]: ...

    def send_message(self, **request: Any) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Message:
    """One message to be sent: ASCII text."""

    body: str
    #: when it is to be delivered, or up to a second earlier; None: at once
    not_before: datetime | None
    #: whose it is: the queue serves accounts in turn, so that a large one doesn't hold up a small one
    account: str


class CallQueue:
    def __init__(self, client: SQS, url: str, now: Callable[[], datetime], pause: Callable[[float], None]) -> None:
        self._client = client
        self._url = url
        self._now = now
        self._pause = pause

    def send(self, messages: Sequence[Message]) -> int:
        """Send them in order, and answer how many were sent before the first that couldn't be.

        What SQS refuses of a batch is offered to it again; after the first batch of which something stays refused,
        nothing more is sent.
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
        left = set(range(len(messages)))
        for attempt in range(_TRIES):
            if attempt:
                self._pause(_PAUSE * attempt)
            now = self._now()
            answer = self._client.send_message_batch(
                QueueUrl=self._url,
                Entries=[
                    {
                        "Id": str(place),
                        "MessageBody": messages[place].body,
                        "DelaySeconds": _delay(messages[place].not_before, now),
                        "MessageGroupId": messages[place].account,
                    }
                    for place in sorted(left)
                ],
            )
            left -= {int(sent["Id"]) for sent in answer.get("Successful", [])}
            if not left:
                break
        return left


def _first_batch(messages: Sequence[Message]) -> Sequence[Message]:
    """As many of the first ones as SQS takes at once."""
    sizes = accumulate(len(message.body) for message in messages)
    return messages[: max(1, sum(size <= LARGEST for size in sizes))]


def _delay(not_before: datetime | None, now: datetime) -> int:
    """Whole seconds, so up to one too few: whoever receives it waits for the rest."""
    return 0 if not_before is None else max(0, min(int((not_before - now).total_seconds()), LONGEST_DELAY))


class DeadLetters:
    """Where messages go that can't be read: by hand, and at once, since reading them again won't help."""

    def __init__(self, client: SQS, url: str) -> None:
        self._client = client
        self._url = url

    def put(self, body: str) -> None:
        self._client.send_message(QueueUrl=self._url, MessageBody=body)


def connect(session: "Session") -> SQS:
    """The SQS client of a deployed function, in the account, region and endpoint that the environment names."""
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=8, retries={"mode": "standard", "total_max_attempts": 4})
    return cast(SQS, session.create_client("sqs", config=config))
