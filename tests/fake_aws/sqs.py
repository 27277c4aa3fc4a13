"""SQS in memory: standard queues, with a given clock. Visible messages come in random order."""

import heapq
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from botocore.exceptions import ClientError

BATCH = 10
#: bytes; of a message, and of all messages of a batch together
LARGEST = 256 * 1024
#: seconds
LONGEST_DELAY = 900


@dataclass
class _Message:
    id: str
    body: str
    #: how often it was received
    received: int = 0

    @property
    def handle(self) -> str:
        """The receipt handle of the latest receipt. Earlier ones delete nothing."""
        return f"{self.id}/{self.received}"


@dataclass
class _Queue:
    url: str
    visibility: int
    #: a message that was received so often goes to the queue `dead_letters`
    most_receipts: int | None
    dead_letters: str | None
    messages: dict[str, _Message] = field(default_factory=dict)
    #: ids of messages that can be received now, and from some instant on; deleted messages aren't removed from these
    visible: list[str] = field(default_factory=list)
    later: list[tuple[datetime, str]] = field(default_factory=list)

    def show(self, now: datetime) -> None:
        while self.later and self.later[0][0] <= now:
            self.visible.append(heapq.heappop(self.later)[1])

    def hide(self, message: _Message, until: datetime) -> None:
        heapq.heappush(self.later, (until, message.id))


class SimulatedSQS:
    """A client with queues of its own. `refuses` decides by its body whether a message of a batch is refused."""

    def __init__(
        self,
        now: Callable[[], datetime],
        generator: random.Random | None = None,
        *,
        refuses: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._now = now
        self._generator = generator or random.Random(0)  # noqa: S311 # no secret
        self._refuses = refuses
        self._queues: dict[str, _Queue] = {}
        self._ids = count()

    def create_queue(self, *, QueueName: str, Attributes: Mapping[str, str] | None = None) -> dict[str, Any]:  # noqa: N803 # botocore's
        attributes = dict(Attributes or {})
        visibility = int(attributes.pop("VisibilityTimeout", 30))
        redrive = json.loads(attributes.pop("RedrivePolicy", "{}"))
        if attributes:
            raise NotImplementedError(", ".join(sorted(attributes)))
        most, target = redrive.get("maxReceiveCount"), redrive.get("deadLetterTargetArn")
        url = f"simulated/{QueueName}"
        self._queues[url] = _Queue(url, visibility, most and int(most), target and _url(target))
        return {"QueueUrl": url}

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:  # noqa: N803 # botocore's
        if AttributeNames != ["QueueArn"]:
            raise NotImplementedError(", ".join(AttributeNames))
        name = self._queue("GetQueueAttributes", QueueUrl).url.removeprefix("simulated/")
        return {"Attributes": {"QueueArn": f"arn:aws:sqs:us-east-1:000000000000:{name}"}}

    def send_message(self, **request: Any) -> dict[str, Any]:
        operation = "SendMessage"
        queue = self._queue(operation, request["QueueUrl"])
        if not 1 <= _size(request) <= LARGEST:
            raise _refused(operation, "InvalidParameterValue", "The message must have 1 to 262144 bytes")
        if not _delay_is_valid(request):
            raise _refused(operation, "InvalidParameterValue", "DelaySeconds must be between 0 and 900")
        return {"MessageId": self._enqueue(queue, request)}

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        operation = "SendMessageBatch"
        queue = self._queue(operation, request["QueueUrl"])
        entries = request["Entries"]
        _check_batch(operation, entries)
        if sum(map(_size, entries)) > LARGEST:
            raise _refused(operation, "AWS.SimpleQueueService.BatchRequestTooLong", "More than 262144 bytes")
        answer: dict[str, Any] = {"Successful": [], "Failed": []}
        for entry in entries:
            if not _size(entry) or not _delay_is_valid(entry):
                failure = {"Id": entry["Id"], "Code": "InvalidParameterValue", "SenderFault": True}
                answer["Failed"].append(failure)
            elif self._refuses(entry["MessageBody"]):
                answer["Failed"].append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
            else:
                answer["Successful"].append({"Id": entry["Id"], "MessageId": self._enqueue(queue, entry)})
        return {kind: entries for kind, entries in answer.items() if entries}

    def receive_message(self, **request: Any) -> dict[str, Any]:
        operation = "ReceiveMessage"
        queue = self._queue(operation, request["QueueUrl"])
        most = request.get("MaxNumberOfMessages", 1)
        if not 1 <= most <= BATCH:
            raise _refused(operation, "InvalidParameterValue", "MaxNumberOfMessages must be between 1 and 10")
        until = self._now() + timedelta(seconds=request.get("VisibilityTimeout", queue.visibility))
        queue.show(self._now())
        found: list[dict[str, Any]] = []
        while queue.visible and len(found) < most:
            message = self._any(queue)
            if message is None:
                continue
            message.received += 1
            queue.hide(message, until)
            found.append(
                {
                    "MessageId": message.id,
                    "ReceiptHandle": message.handle,
                    "Body": message.body,
                    "Attributes": {"ApproximateReceiveCount": str(message.received)},
                }
            )
        return {"Messages": found} if found else {}

    def delete_message(self, **request: Any) -> dict[str, Any]:
        queue = self._queue("DeleteMessage", request["QueueUrl"])
        message = queue.messages.get(request["ReceiptHandle"].split("/")[0])
        if message is not None and message.handle == request["ReceiptHandle"]:
            del queue.messages[message.id]
        return {}

    def next_visible(self, url: str) -> datetime | None:
        """When the first message can be received; None if the queue is empty."""
        queue = self._queue("ReceiveMessage", url)
        queue.show(self._now())
        if any(identifier in queue.messages for identifier in queue.visible):
            return self._now()
        return min((instant for instant, identifier in queue.later if identifier in queue.messages), default=None)

    def _any(self, queue: _Queue) -> _Message | None:
        """Take a random visible message; None if that one is deleted, or has become a dead letter."""
        index = self._generator.randrange(len(queue.visible))
        queue.visible[index], queue.visible[-1] = queue.visible[-1], queue.visible[index]
        message = queue.messages.get(queue.visible.pop())
        if message is None or queue.dead_letters is None or message.received < (queue.most_receipts or 0):
            return message
        del queue.messages[message.id]
        dead = self._queues[queue.dead_letters]
        dead.messages[message.id] = message
        dead.visible.append(message.id)
        return None

    def _enqueue(self, queue: _Queue, request: Mapping[str, Any]) -> str:
        message = _Message(f"{next(self._ids):012d}", request["MessageBody"])
        queue.messages[message.id] = message
        queue.hide(message, self._now() + timedelta(seconds=request.get("DelaySeconds", 0)))
        return message.id

    def _queue(self, operation: str, url: str) -> _Queue:
        if url not in self._queues:
            raise _refused(operation, "AWS.SimpleQueueService.NonExistentQueue", f"There is no queue {url}")
        return self._queues[url]


def _check_batch(operation: str, entries: list[Mapping[str, Any]]) -> None:
    if not entries:
        raise _refused(operation, "AWS.SimpleQueueService.EmptyBatchRequest", "There is no entry")
    if len(entries) > BATCH:
        raise _refused(operation, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "More than 10 entries")
    if len({entry["Id"] for entry in entries}) < len(entries):
        raise _refused(operation, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Two entries have one id")


def _size(request: Mapping[str, Any]) -> int:
    return len(request["MessageBody"].encode())


def _delay_is_valid(request: Mapping[str, Any]) -> bool:
    return int(request.get("DelaySeconds", 0)) in range(LONGEST_DELAY + 1)


def _url(arn: str) -> str:
    return f"simulated/{arn.rsplit(':', 1)[-1]}"


def _refused(operation: str, code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)
