"""A model of Lambda's event source for a standard queue, as AWS documents it, with the slowest documented scaling.

It polls with at least five connections, each of which waits up to 20 s for a message. How many invocations run at a
time is in `tests.fake_aws.concurrency`. A provisioned poller runs ten invocations at a time from the beginning.

AWS decides which poller gets which message. That makes no difference here, with one message for each invocation and no
batching window. For the same reason the model has no window, which may last 20 s, whatever its setting: see
`chalicelib.functions.dialer`.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from benchmarks.cost.ledger import Ledger
from infra.template.parameters import DIALERS_PER_POLLER
from tests.fake_aws.clock import SimulatedClock
from tests.fake_aws.concurrency import FIRST, Concurrency
from tests.fake_aws.sqs import SimulatedSQS

#: how many pollers there are at least, and for how many seconds each waits for a message before it polls again
POLLERS, LONG_POLL = 5, 20
#: the least and the most seconds from a message's visibility until a poller has received it
RECEIPT = (0.01, 0.1)

Message = dict[str, Any]


class EventSource:
    def __init__(
        self,
        sqs: SimulatedSQS,
        queue: str,
        clock: SimulatedClock,
        ledger: Ledger,
        invoke: Callable[[Message], Coroutine[Any, Any, bool]],
        *,
        most: int,
        pollers: int = 0,
        random_fraction: random.Random,
    ) -> None:
        """`invoke` runs the function on a message, and returns whether the message is done.

        `most` is how many invocations may run at a time. `pollers` is the number of provisioned pollers.
        """
        self._sqs = sqs
        self._queue = queue
        self._clock = clock
        self._ledger = ledger
        self._invoke = invoke
        self._most = most
        self._random_fraction = random_fraction
        self._concurrency = Concurrency(clock.now, first=max(FIRST, pollers * DIALERS_PER_POLLER))
        self._running = 0
        self._woken = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        #: the most invocations that ever ran at the same time
        self.peak = 0

    def wake(self) -> None:
        """Call this when there may be new messages."""
        self._woken.set()

    async def poll(self) -> None:
        while True:
            visible = self._sqs.next_visible(self._queue)
            if visible is None or visible > self._clock.now():
                await self._wait(visible)
            elif self._concurrency.admits(self._running, self._most):
                self._receive()
            else:
                await self._wait(self._clock.now() + timedelta(seconds=0.1))

    async def finish(self) -> None:
        """Wait for the running invocations."""
        while self._under_way:
            await asyncio.gather(*self._under_way)

    def _receive(self) -> None:
        self._ledger.sqs["ReceiveMessage"] += 1
        for message in self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=1).get("Messages", []):
            self._running += 1
            self.peak = max(self.peak, self._running)
            task = asyncio.get_running_loop().create_task(self._process(message))
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    async def _process(self, message: Message) -> None:
        await self._clock.sleep(self._random_fraction.uniform(*RECEIPT))
        if await self._invoke(message):
            self._ledger.sqs["DeleteMessageBatch"] += 1
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._running -= 1
        self.wake()
        if not task.cancelled():
            task.result()

    async def _wait(self, until: datetime | None) -> None:
        self._woken.clear()
        with suppress(TimeoutError):
            seconds = None if until is None else max(0.0, (until - self._clock.now()).total_seconds())
            async with asyncio.timeout(seconds):
                await self._woken.wait()
