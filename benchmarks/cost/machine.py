"""A Lambda function's machine, on simulated time: what it waits for, and what it has to do itself.

Memory buys a share of a processor, so work takes longer on a small machine, and what a batch of calls has to do at the
same time waits in line for it.
"""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass, field

from chalicelib.runtime.clock import Clock

#: MB with which a function has a whole processor
WHOLE_PROCESSOR = 1769

# Seconds of a whole processor, twice what was measured with the real clients, sending nothing, or to this machine.
#: each invocation: the event, the event loop
BEGIN_WORK = 0.010
#: a request to AWS, by pynamodb and botocore, and each item more that it carries
REQUEST_WORK, ITEM_WORK = 0.0015, 0.0001
#: a request to a tenant's server, with a TLS connection of its own
TENANT_WORK = 0.004

# Seconds of waiting.
#: for the answer of DynamoDB or SQS
REQUEST_WAIT = 0.005
#: for a tenant's name, TCP and TLS, before the request is sent
CONNECT_WAIT = 0.030


@dataclass
class Machine:
    function: str
    #: MB
    memory: int
    clock: Clock
    _processor: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def work(self, seconds: float) -> None:
        """So much of a whole processor."""
        async with self._processor:
            await self.clock.sleep(seconds / min(1.0, self.memory / WHOLE_PROCESSOR))

    async def ask(self, items: int) -> None:
        """A request to AWS, and its answer."""
        await self.work(REQUEST_WORK + ITEM_WORK * items)
        await self.clock.sleep(REQUEST_WAIT)


#: on which the code under way runs; unset for what nobody is billed for
MACHINE: ContextVar[Machine] = ContextVar("machine")
