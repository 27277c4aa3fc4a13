"""Conditional writes and transactions, which fail if another write came first.

The SDK repeats a write whose answer it lost. So a plain conditional write has a nonce, and succeeds if the stored nonce
is its own. Without the nonce, its own repetition would look like another caller's write. A transaction has a client
token instead, by which DynamoDB recognises a repetition for ten minutes.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from pynamodb.connection import Connection
from pynamodb.exceptions import PynamoDBException, TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from chalicelib.errors import Busy

R = TypeVar("R")

_REFUSED = "ConditionalCheckFailedException"
#: DynamoDB's codes for too many requests.
THROTTLED = {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"}
#: DynamoDB's code for an item that another transaction is writing.
CONFLICT = "TransactionConflictException"
_CONFLICTS = {"TransactionCanceledException", CONFLICT, "TransactionInProgressException"}
_REFUSED_PART = "ConditionalCheckFailed"
#: How often a request is made that conflicts with another transaction, and the longest pause, in seconds.
_TRIES = 12
_LONGEST_PAUSE = 0.2
#: How often a change is tried, if another write comes in between each time.
CHANGES_TRIED = 100


class WriteRefused(Exception):
    """A condition didn't hold: something was changed after the caller read it."""

    def __init__(self, parts: frozenset[str] = frozenset()) -> None:
        super().__init__(", ".join(sorted(parts)))
        #: the names of the transaction's parts whose conditions didn't hold
        self.parts = parts


def retried(change: Callable[[], R]) -> R:
    """Make a change, which reads what it depends on. Repeat it if another write came in between.

    Raises Busy after so many tries: on inconsistent data a change would never succeed.
    """
    for _ in range(CHANGES_TRIED - 1):
        with suppress(WriteRefused):
            return change()
    try:
        return change()
    except WriteRefused as refused:
        raise Busy(f"refused {CHANGES_TRIED} times: {refused}") from refused


@dataclass(frozen=True)
class Backoff:
    """The pauses between tries: each longer, with jitter, so that many callers don't try again at the same time."""

    #: waits so many seconds
    pause: Callable[[float], None]
    #: answers a number from 0 to 1
    random_fraction: Callable[[], float]

    def tries(self) -> Iterator[bool]:
        """One item for each try: whether it is the last one. Waits before each but the first."""
        yield False
        for attempt in range(1, _TRIES):
            self.pause(self.random_fraction() * min(_LONGEST_PAUSE, 0.01 * 2**attempt))
            yield attempt == _TRIES - 1


def new_nonce() -> str:
    return uuid.uuid4().hex


@contextmanager
def conditional() -> Iterator[None]:
    """Turn the refusal of a plain conditional write into WriteRefused, and a conflict into Busy."""
    try:
        yield
    except PynamoDBException as error:
        if error.cause_response_code == _REFUSED:
            raise WriteRefused from error
        if error.cause_response_code in _CONFLICTS:
            raise Busy(str(error)) from error
        raise


class Transaction:
    """Writes that happen together or not at all. Each part has a name. WriteRefused names the refused parts."""

    def __init__(self, connection: Connection, backoff: Backoff) -> None:
        self._connection = connection
        self._backoff = backoff
        self._token = new_nonce()
        self._steps: list[Callable[[TransactWrite], None]] = []
        # DynamoDB names refused parts by their index, and pynamodb sends the parts sorted by what they do.
        self._names: dict[str, list[str]] = {"delete": [], "put": [], "update": []}

    def delete(self, name: str, item: Model, condition: Condition | None = None) -> None:
        self._names["delete"].append(name)
        self._steps.append(lambda write: write.delete(item, condition=condition))

    def put(self, name: str, item: Model, condition: Condition | None = None) -> None:
        self._names["put"].append(name)
        self._steps.append(lambda write: write.save(item, condition=condition))

    def update(self, name: str, item: Model, actions: Sequence[Action], condition: Condition | None = None) -> None:
        self._names["update"].append(name)
        self._steps.append(lambda write: write.update(item, actions=list(actions), condition=condition))

    def commit(self) -> None:
        """Raises WriteRefused, with the refused parts, or Busy if the transaction keeps conflicting with others."""
        for is_last in self._backoff.tries():
            try:
                with TransactWrite(connection=self._connection, client_request_token=self._token) as write:
                    for step in self._steps:
                        step(write)
                return
            except TransactWriteError as error:
                refused = self._refused(error)
                if refused:
                    raise WriteRefused(refused) from error
                if error.cause_response_code not in _CONFLICTS:
                    raise
                if is_last:
                    raise Busy(str(error)) from error

    def is_committed(self) -> bool:
        """Commit. False if a condition didn't hold. Raises Busy."""
        try:
            self.commit()
        except WriteRefused:
            return False
        return True

    def _refused(self, error: TransactWriteError) -> frozenset[str]:
        names = [name for kind in ("delete", "put", "update") for name in self._names[kind]]
        reasons = error.cancellation_reasons
        return frozenset(
            name for name, reason in zip(names, reasons, strict=False) if reason and reason.code == _REFUSED_PART
        )
