"""The faults between a function and AWS, drawn by a seeded random generator.

A boundary is a point before a function sends a request, or after it has got the answer.
At each boundary a function may die, be delayed, or be overtaken by others.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self, TypeAlias, TypeVar

from botocore.exceptions import ClientError, ReadTimeoutError

from chalicelib.calling.blocking import PAUSES
from chalicelib.runtime.clock import Clock
from chalicelib.storage.task_items import WITHDRAWN
from tests.fake_aws.greenlets import wait
from tests.support.permissions import Permission, asked_of_dynamodb, asked_of_sqs

R = TypeVar("R")
JSON: TypeAlias = dict[str, Any]


class Crash(BaseException):
    """The function is dead. It is no Exception, so no error handler of the function catches it."""


#: seconds that the SDK waits for an answer before it sends the request again, if the connection isn't broken
_READ_TIMEOUT = 8.0
#: how often an item is shown as it was before its last write, where that is allowed
OLD = 0.4
#: seconds that a request is delayed at most: when something else happens meanwhile, and when it is slow
_MEANWHILE, _SLOW = 0.3, 2.0
#: seconds that a write which cancels numbers is held up, so that some of them are called meanwhile
_HELD_UP = (0.0, 4.0, 15.0)


@dataclass
class Invocation:
    """One run of a function, or one request to the API."""

    #: its name in the template; Operator for a program of the operator's
    function: str
    #: this machine's clock
    clock: Clock
    #: What its blocking code still does while it unwinds has no effect.
    is_dead: bool = False
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    #: how many requests of a task in a row have failed, up to now
    failed_in_a_row: Counter[asyncio.Task[Any] | None] = field(default_factory=Counter)


#: the invocation that is running; unset while the simulation itself reads the database
INVOCATION: ContextVar[Invocation] = ContextVar("invocation")


@dataclass(frozen=True)
class Odds:
    """How likely each fault is, each time that it may happen."""

    #: at each boundary: the function dies
    crash: float = 0.0
    #: at each request: it is throttled
    throttle: float = 0.0
    #: at each request: its answer is lost, and the SDK sends it again
    repeated: float = 0.0
    #: at each request: its answer is lost, and the SDK gives up
    unanswered: float = 0.0
    #: at each request: it takes up to two seconds
    slow: float = 0.0
    #: at each request: a tick, a settler or a request of the owner's happens in between
    meanwhile: float = 0.0
    #: of a batch: some of its parts are left unprocessed
    unprocessed: float = 0.0
    #: of a message: SQS refuses it, loses it, delivers it twice
    refused: float = 0.0
    lost: float = 0.0
    doubled: float = 0.0
    #: of a query: the index lags behind its table
    index_lag: float = 0.0
    #: of a tick: it is missed, comes up to 40 seconds late, comes twice
    missed: float = 0.0
    late: float = 0.0
    twice: float = 0.0
    #: of a minute: it and the next two have no tick
    outage: float = 0.0
    #: of a call: its server never answers, and the function is ended while it waits
    hung: float = 0.0
    #: of a request to the tenant: it fails
    tenant_error: float = 0.0
    #: seconds that clocks differ by at most
    skew: float = 0.0

    @classmethod
    def drawn(cls, dice: random.Random) -> Self:
        """Odds for one story: faults that are frequent in some stories never happen in others."""

        def one_of(*odds: float) -> float:
            return dice.choice(odds)

        return cls(
            crash=one_of(0.0, 0.002, 0.006),
            throttle=one_of(0.0, 0.01, 0.04),
            repeated=one_of(0.0, 0.01, 0.05),
            unanswered=one_of(0.0, 0.002, 0.02),
            slow=one_of(0.0, 0.0, 0.005),
            meanwhile=one_of(0.0, 0.01, 0.04),
            unprocessed=one_of(0.0, 0.1),
            refused=one_of(0.0, 0.0, 0.02, 0.3),
            lost=one_of(0.0, 0.01, 0.1),
            doubled=one_of(0.0, 0.04, 0.2),
            index_lag=one_of(0.0, 0.0, 0.5),
            missed=one_of(0.0, 0.08),
            late=one_of(0.0, 0.2),
            twice=one_of(0.0, 0.06),
            outage=one_of(0.0, 0.0, 0.15),
            hung=one_of(0.0, 0.0, 0.03),
            skew=one_of(0.0, 0.2, 1.0),
            tenant_error=one_of(0.0, 0.3, 0.3, 0.8),
        )

    @property
    def longest_request(self) -> timedelta:
        """How long one request and its repetition take at most."""
        delay = _SLOW if self.slow else _MEANWHILE if self.meanwhile else 0.0
        repetition = delay + _READ_TIMEOUT if self.repeated else 0.0
        return timedelta(seconds=delay + repetition + delay)


@dataclass
class Faults:
    """The odds, and the faults that happened. There are no faults while it is off."""

    dice: random.Random
    odds: Odds
    on: bool = False
    #: crash at this boundary, counted from 0, and at no other
    crash_at: int | None = None
    boundaries: int = 0
    crashes: int = 0
    #: the permissions that each function needed
    asked: defaultdict[str, set[Permission]] = field(default_factory=lambda: defaultdict(set))
    #: Operations that read eventually consistently, and aren't a BatchGetItem of calls. What they may miss isn't
    #: simulated.
    stale: set[str] = field(default_factory=set)
    #: starts another task, which runs while the others wait
    meanwhile: Callable[[], None] = lambda: None

    def happens(self, odds: float) -> bool:
        return self.on and odds > 0 and self.dice.random() < odds

    def cross_boundary(self) -> None:
        """Raises Crash."""
        invocation = INVOCATION.get(None)
        if invocation is None:
            return
        if invocation.is_dead:
            raise Crash
        if not self.on:
            return
        self.boundaries += 1
        if self.boundaries - 1 == self.crash_at or self.happens(self.odds.crash):
            self.crashes += 1
            invocation.is_dead = True
            raise Crash

    def record_permissions(self, needed: Iterable[Permission]) -> None:
        """The running function is about to send a request that needs these."""
        invocation = INVOCATION.get(None)
        if invocation is not None:
            self.asked[invocation.function].update(needed)

    def ask(self, operation: str, request: Callable[[], R]) -> R:
        """Send one request, and repeat it as the SDK does. Raises Crash, ClientError, ReadTimeoutError."""
        if INVOCATION.get(None) is None:
            return request()
        self._delay()
        self.cross_boundary()
        if self._fails(self.odds.throttle):
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "too many requests"}}, operation)
        if self.happens(self.odds.repeated):
            with suppress(ClientError):  # a refusal is an answer, and lost too
                request()
            self._delay()
            if self.happens(0.1):
                self._wait(_READ_TIMEOUT)
        if self._fails(self.odds.unanswered):
            with suppress(ClientError):
                request()
            raise ReadTimeoutError(endpoint_url="simulated")
        INVOCATION.get().failed_in_a_row[asyncio.current_task()] = 0
        answer = request()
        self._delay()
        self.cross_boundary()
        return answer

    def _fails(self, odds: float) -> bool:
        """True if a request fails: at most as often in a row as the dialer tries again."""
        failed = INVOCATION.get().failed_in_a_row
        task = asyncio.current_task()
        if failed[task] == len(PAUSES) or not self.happens(odds):
            return False
        failed[task] += 1
        return True

    def _delay(self) -> None:
        if self.happens(self.odds.meanwhile):
            self.meanwhile()
            self._wait(self.dice.uniform(0, _MEANWHILE))
        elif self.happens(self.odds.slow):
            self._wait(self.dice.uniform(0.1, _SLOW))
        elif self.happens(0.2 if self.odds.meanwhile else 0.0):
            self._wait(0.005)

    def hold_up(self, seconds: float) -> None:
        """The running function waits, while others go on."""
        if self.on:
            self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        wait(INVOCATION.get().clock.sleep(seconds))

    # functions that the simulated AWS calls

    def index_lag(self) -> int:
        """How many of an index's last changes a query doesn't see."""
        return self.dice.randint(1, 3) if self.happens(self.odds.index_lag) else 0

    def unprocessed(self, parts: int) -> int:
        """How many parts of a batch are left unprocessed."""
        return self.dice.randrange(parts) if self.happens(self.odds.unprocessed) else 0

    def refuses(self, _body: str) -> bool:
        """True if a message of a batch is refused."""
        return self.happens(self.odds.refused)


class FaultyDynamoDB:
    """Where `old_dice` are given, an eventually consistent BatchGetItem answers some items as they were before.

    Where `cancel_dice` are given, a write that cancels numbers takes seconds to reach the database.
    """

    def __init__(
        self, client: Any, faults: Faults, old_dice: random.Random | None, cancel_dice: random.Random | None
    ) -> None:
        self._client = client
        self._faults = faults
        self._old_dice = old_dice
        self._cancel_dice = cancel_dice
        #: each item of the table `calls` before its last write, by its key
        self._before: dict[str, JSON | None] = {}

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        is_consistent = _is_consistent(operation_name, api_params)
        if not is_consistent and not _is_of_calls(api_params):
            self._faults.stale.add(operation_name)
        self._faults.record_permissions(asked_of_dynamodb(operation_name, api_params))
        if self._cancel_dice is not None and _cancels(operation_name, api_params):
            self._faults.hold_up(self._cancel_dice.choice(_HELD_UP))
        answer = self._faults.ask(operation_name, lambda: self._ask(operation_name, api_params))
        return answer if is_consistent else self._with_old_items(answer)

    def _ask(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        for write in _writes(operation, request) if self._old_dice else ():
            key = write.get("Key") or {"call": write["Item"]["call"]}
            found = self._client._make_api_call("GetItem", {"TableName": write["TableName"], "Key": key})
            self._before[key["call"]["S"]] = found.get("Item")
        answer: dict[str, Any] = self._client._make_api_call(operation, request)
        return answer

    def _with_old_items(self, answer: dict[str, Any]) -> dict[str, Any]:
        if self._old_dice is None or "Responses" not in answer:
            return answer
        return {
            **answer,
            "Responses": {table: list(self._some_old(items)) for table, items in answer["Responses"].items()},
        }

    def _some_old(self, items: list[JSON]) -> Iterator[JSON]:
        for item in items:
            key = item.get("call", {}).get("S")
            is_old = key in self._before and self._old_dice is not None and self._old_dice.random() < OLD
            shown = self._before[key] if is_old else item
            if shown is not None:
                yield shown


class FaultySQS:
    """`sent` is called whenever there may be new messages."""

    def __init__(self, client: Any, faults: Faults, sent: Callable[[], None]) -> None:
        self._client = client
        self._faults = faults
        self._sent = sent

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        def send() -> dict[str, Any]:
            answer: dict[str, Any] = self._client.send_message_batch(**request)
            self._sent()
            return answer

        self._faults.record_permissions(asked_of_sqs("SendMessageBatch", request))
        return self._faults.ask("SendMessageBatch", send)

    def send_message(self, **request: Any) -> dict[str, Any]:
        self._faults.record_permissions(asked_of_sqs("SendMessage", request))
        return self._faults.ask("SendMessage", lambda: self._client.send_message(**request))


def _writes(operation: str, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The parts of the request that write to the table `calls`."""
    parts = [request]
    if operation == "TransactWriteItems":
        parts = [part for action in request["TransactItems"] for part in action.values()]
    elif operation not in ("UpdateItem", "PutItem", "DeleteItem"):
        return
    yield from (part for part in parts if part["TableName"].endswith("-calls"))


def _cancels(operation: str, request: Mapping[str, Any]) -> bool:
    if operation != "TransactWriteItems":
        return False
    put = [part["Put"]["Item"].get("key", {}).get("S", "") for part in request["TransactItems"] if "Put" in part]
    return any(key.startswith(f"{WITHDRAWN}/") for key in put)


def _is_of_calls(request: Mapping[str, Any]) -> bool:
    return all(table.endswith("-calls") for table in request.get("RequestItems", ["another"]))


def _is_consistent(operation: str, request: Mapping[str, Any]) -> bool:
    """False for a read that may miss an earlier write, unless it is of an index, which has no other kind."""
    match operation:
        case "GetItem" | "Query":
            return "IndexName" in request or bool(request.get("ConsistentRead"))
        case "BatchGetItem":
            return all(asked.get("ConsistentRead") for asked in request["RequestItems"].values())
    return True
