"""How a write tells that it came second.

Every conditional write carries a fresh nonce and passes if the stored nonce is its own: the SDK repeats a write whose
answer it lost, and without the nonce the repetition would read as somebody else's.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from pynamodb.exceptions import PynamoDBException, TransactWriteError

from chalicelib.errors import Busy

_REFUSED = "ConditionalCheckFailedException"
_CONFLICT = {"TransactionConflictException", "TransactionInProgressException"}
_THROTTLED = {"ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"}


class WriteRefused(Exception):
    """A condition didn't hold: what the caller knew is no longer so."""

    def __init__(self, reasons: tuple[str | None, ...]) -> None:
        super().__init__(", ".join(reason or "-" for reason in reasons))
        #: for each part of a transaction, in its order, why it was refused; a plain write has one part
        self.reasons = reasons

    def refused(self, part: int) -> bool:
        """Was it the condition of this part that didn't hold?"""
        return part < len(self.reasons) and self.reasons[part] == "ConditionalCheckFailed"

    @property
    def only_conflicts(self) -> bool:
        """Did every condition hold, and only another transaction stand in the way?"""
        return not any(reason == "ConditionalCheckFailed" for reason in self.reasons)


def new_nonce() -> str:
    return uuid.uuid4().hex


@contextmanager
def conditional() -> Iterator[None]:
    """Turns the database's refusals into WriteRefused, and its throttling into Busy."""
    try:
        yield
    except TransactWriteError as error:
        if error.cause_response_code == "TransactionCanceledException":
            reasons = tuple(reason.code if reason else None for reason in error.cancellation_reasons)
            raise WriteRefused(reasons) from error
        _raise_if_passing(error)
        raise
    except PynamoDBException as error:
        if error.cause_response_code == _REFUSED:
            raise WriteRefused(("ConditionalCheckFailed",)) from error
        _raise_if_passing(error)
        raise


def _raise_if_passing(error: PynamoDBException) -> None:
    if error.cause_response_code in _CONFLICT:
        raise WriteRefused(("TransactionConflict",)) from error
    if error.cause_response_code in _THROTTLED:
        raise Busy(str(error)) from error
