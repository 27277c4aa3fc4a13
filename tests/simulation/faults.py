"""What goes wrong between a function and AWS, by the throw of a seeded die.

A boundary is where a function and the world touch: before a request is sent, and when its answer is there. At each a
function may die, wait, or find that others were faster.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from botocore.exceptions import ClientError, ReadTimeoutError

from chalicelib.calling.blocking import PAUSES
from chalicelib.runtime.clock import Clock
from tests.fake_aws.greenlets import wait
from tests.support.permissions import Permission, asked_of_dynamodb, asked_of_sqs

R = TypeVar("R")


class Crash(BaseException):
    """The function is gone, in the middle of whatever it did: no handler of errors catches it."""


#: seconds for which the SDK waits for an answer before it asks again, if the connection isn't broken
_READ_TIMEOUT = 8.0


@dataclass
class Invocation:
    """A function at work, or the API at one request."""

    #: its name in the template; the operator's for a program of the operator's
    function: str
    #: as this machine has it
    clock: Clock
    #: dead; what its blocking code still does on its way out reaches nobody
    gone: bool = False
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    #: of each task: its last requests that failed, if they did
    failed_in_a_row: Counter[asyncio.Task[Any] | None] = field(default_factory=Counter)


#: whose work is being done; unset while the story itself looks
INVOCATION: ContextVar[Invocation] = ContextVar("invocation")


@dataclass(frozen=True)
class Odds:
    """How likely it is that something goes wrong, each time that it could."""

    #: at each boundary: the function dies
    crash: float = 0.0
    #: at each request: it is turned away; its answer is lost and the SDK repeats it; it is lost for good; it takes long
    throttle: float = 0.0
    repeated: float = 0.0
    unheard: float = 0.0
    slow: float = 0.0
    #: at each request: a tick, a settler or the owner comes in between
    meanwhile: float = 0.0
    #: of a batch: some of its parts are left undone
    partial: float = 0.0
    #: of a message: SQS refuses it, loses it, delivers it twice
    refused: float = 0.0
    lost: float = 0.0
    doubled: float = 0.0
    #: of a query: the index is behind
    behind: float = 0.0
    #: of a tick: it doesn't come, comes much too late, comes twice; of a minute: the next few ticks don't come
    missed: float = 0.0
    late: float = 0.0
    twice: float = 0.0
    outage: float = 0.0
    #: of a call: its server never answers, and nobody gives it up until the function is ended
    hung: float = 0.0
    #: seconds that clocks differ by at most
    skew: float = 0.0
    #: of a request to the tenant: it fails
    sick: float = 0.0

    @classmethod
    def drawn(cls, dice: random.Random) -> Self:
        """Some weather: much goes wrong in one story what never does in another."""

        def some(*odds: float) -> float:
            return dice.choice(odds)

        return cls(
            crash=some(0.0, 0.002, 0.006),
            throttle=some(0.0, 0.01, 0.04),
            repeated=some(0.0, 0.01, 0.05),
            unheard=some(0.0, 0.002, 0.02),
            slow=some(0.0, 0.0, 0.005),
            meanwhile=some(0.0, 0.01, 0.04),
            partial=some(0.0, 0.1),
            refused=some(0.0, 0.0, 0.02, 0.3),
            lost=some(0.0, 0.01, 0.1),
            doubled=some(0.0, 0.04, 0.2),
            behind=some(0.0, 0.0, 0.5),
            missed=some(0.0, 0.08),
            late=some(0.0, 0.2),
            twice=some(0.0, 0.06),
            outage=some(0.0, 0.0, 0.15),
            hung=some(0.0, 0.0, 0.03),
            skew=some(0.0, 0.2, 1.0),
            sick=some(0.0, 0.3, 0.3, 0.8),
        )


@dataclass
class Faults:
    """The odds, and what came of them. Nothing goes wrong while it is off."""

    dice: random.Random
    odds: Odds
    on: bool = False
    #: crash at this boundary, counted from 0, and at no other
    crash_at: int | None = None
    boundaries: int = 0
    crashes: int = 0
    #: what each function asked AWS for
    asked: defaultdict[str, set[Permission]] = field(default_factory=lambda: defaultdict(set))
    #: reads that may not show what was written before: the simulated database shows all, so they hide what may happen
    stale: set[str] = field(default_factory=set)
    #: begins something else, which goes on whenever the others wait
    meanwhile: Callable[[], None] = lambda: None

    def happens(self, odds: float) -> bool:
        return self.on and odds > 0 and self.dice.random() < odds

    def cross(self) -> None:
        """A boundary. Raises Crash."""
        invocation = INVOCATION.get(None)
        if invocation is None:
            return
        if invocation.gone:
            raise Crash
        if not self.on:
            return
        self.boundaries += 1
        if self.boundaries - 1 == self.crash_at or self.happens(self.odds.crash):
            self.crashes += 1
            invocation.gone = True
            raise Crash

    def hear(self, needed: Iterable[Permission]) -> None:
        """What the function under way is about to ask for."""
        invocation = INVOCATION.get(None)
        if invocation is not None:
            self.asked[invocation.function].update(needed)

    def ask(self, operation: str, request: Callable[[], R]) -> R:
        """One request with the SDK's repetitions. Raises Crash, ClientError, ReadTimeoutError."""
        if INVOCATION.get(None) is None:
            return request()
        self._dawdle()
        self.cross()
        if self._fails(self.odds.throttle):
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "too much at once"}}, operation)
        if self.happens(self.odds.repeated):
            with suppress(ClientError):  # a refusal is lost like any answer
                request()
            self._dawdle()
            if self.happens(0.1):
                self._wait(_READ_TIMEOUT)
        if self._fails(self.odds.unheard):
            with suppress(ClientError):
                request()
            raise ReadTimeoutError(endpoint_url="simulated")
        INVOCATION.get().failed_in_a_row[asyncio.current_task()] = 0
        answer = request()
        self._dawdle()
        self.cross()
        return answer

    def _fails(self, odds: float) -> bool:
        """Not more often in a row than a function that insists will bear."""
        failed = INVOCATION.get().failed_in_a_row
        task = asyncio.current_task()
        if failed[task] == len(PAUSES) or not self.happens(odds):
            return False
        failed[task] += 1
        return True

    def _dawdle(self) -> None:
        if self.happens(self.odds.meanwhile):
            self.meanwhile()
            self._wait(self.dice.uniform(0, 0.3))
        elif self.happens(self.odds.slow):
            self._wait(self.dice.uniform(0.1, 2.0))
        elif self.happens(0.2 if self.odds.meanwhile else 0.0):
            self._wait(0.005)

    def _wait(self, seconds: float) -> None:
        wait(INVOCATION.get().clock.sleep(seconds))

    # what simulated AWS is told to do

    def lag(self) -> int:
        """How many of an index's last changes can't be seen yet."""
        return self.dice.randint(1, 3) if self.happens(self.odds.behind) else 0

    def left_undone(self, parts: int) -> int:
        """How many parts of a batch."""
        return self.dice.randrange(parts) if self.happens(self.odds.partial) else 0

    def refuses(self, _body: str) -> bool:
        return self.happens(self.odds.refused)


class FaultyDynamoDB:
    def __init__(self, client: Any, faults: Faults) -> None:
        self._client = client
        self._faults = faults

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        if not _is_consistent(operation_name, api_params):
            self._faults.stale.add(operation_name)
        self._faults.hear(asked_of_dynamodb(operation_name, api_params))
        return self._faults.ask(operation_name, lambda: self._client._make_api_call(operation_name, api_params))


class FaultySQS:
    """`sent` is told whenever there may be new messages."""

    def __init__(self, client: Any, faults: Faults, sent: Callable[[], None]) -> None:
        self._client = client
        self._faults = faults
        self._sent = sent

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        def send() -> dict[str, Any]:
            answer: dict[str, Any] = self._client.send_message_batch(**request)
            self._sent()
            return answer

        self._faults.hear(asked_of_sqs("SendMessageBatch", request))
        return self._faults.ask("SendMessageBatch", send)

    def send_message(self, **request: Any) -> dict[str, Any]:
        self._faults.hear(asked_of_sqs("SendMessage", request))
        return self._faults.ask("SendMessage", lambda: self._client.send_message(**request))


def _is_consistent(operation: str, request: Mapping[str, Any]) -> bool:
    """Would a read show all that was written before? An index can't."""
    match operation:
        case "GetItem" | "Query":
            return "IndexName" in request or bool(request.get("ConsistentRead"))
        case "BatchGetItem":
            return all(asked.get("ConsistentRead") for asked in request["RequestItems"].values())
    return True
