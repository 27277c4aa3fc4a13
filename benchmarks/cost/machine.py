"""A Lambda function's machine, on simulated time: how long it works, and how long it waits.

The memory decides the share of a processor, so work takes longer on a small machine. Concurrent calls wait in line for
the processor.
"""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass, field

from chalicelib.runtime.clock import Clock

#: MB with which a function has a whole processor
WHOLE_PROCESSOR = 1769

# Seconds of a whole processor: twice the time that was measured with the real clients on a development machine.
#: for each invocation: the event, the event loop
BEGIN_WORK = 0.010
#: for a request to AWS, by pynamodb and botocore, and for each item in it
REQUEST_WORK, ITEM_WORK = 0.0015, 0.0001
#: for a request to a tenant's server, with its own TLS connection
TENANT_WORK = 0.004

# Seconds of waiting.
#: for the answer of DynamoDB or SQS
REQUEST_WAIT = 0.005
#: for DNS, TCP and TLS to a tenant's server, before the request is sent
CONNECT_WAIT = 0.030


@dataclass
class Machine:
    function: str
    #: in MB
    memory: int
    clock: Clock
    _processor: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def work(self, seconds: float) -> None:
        """Work for so many seconds of a whole processor."""
        async with self._processor:
            await self.clock.sleep(seconds / min(1.0, self.memory / WHOLE_PROCESSOR))

    async def ask(self, items: int) -> None:
        """Send a request to AWS, and wait for the answer."""
        await self.work(REQUEST_WORK + ITEM_WORK * items)
        await self.clock.sleep(REQUEST_WAIT)


#: the machine on which the current code runs; unset for code that isn't billed
MACHINE: ContextVar[Machine] = ContextVar("machine")
