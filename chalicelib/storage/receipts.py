"""Answers kept under their Idempotency-Key.

A receipt is written in the transaction that does what the request asked, so there is never one without the other. It
is refused if another request got there first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pynamodb.exceptions import DoesNotExist

from chalicelib.errors import CallpacerError
from chalicelib.storage.database import Database
from chalicelib.storage.writes import Transaction, WriteRefused

#: How long a key is remembered.
KEPT = timedelta(hours=24)
_PART = "receipt"


class AlreadyAnswered(CallpacerError):
    """The same key came before, or at the same moment: its own answer holds, and nothing was done."""


@dataclass(frozen=True)
class Receipt:
    """The answer that a key stands for."""

    account: str
    key: str
    #: the request's SHA-256
    fingerprint: str
    #: the HTTP status
    status: int
    #: the answer as it was sent
    body: str
    #: those of the answer's headers that tell more than its type
    headers: Mapping[str, str]
    expires_at: datetime


class Receipts:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._items = database.receipts

    def find(self, account: str, key: str, now: datetime) -> Receipt | None:
        try:
            item = self._items.get(account, key, consistent_read=True)
        except DoesNotExist:
            return None
        if item.expires_at <= now:  # the database deletes it in its own time
            return None
        return Receipt(account, key, item.fingerprint, int(item.status), item.body, item.headers, item.expires_at)


def add_receipt(transaction: Transaction, database: Database, receipt: Receipt | None, now: datetime) -> None:
    """Make the receipt a part of the transaction, if there is one."""
    if receipt is None:
        return
    items = database.receipts
    transaction.put(
        _PART,
        items(
            receipt.account,
            receipt.key,
            fingerprint=receipt.fingerprint,
            status=receipt.status,
            body=receipt.body,
            headers=dict(receipt.headers),
            expires_at=receipt.expires_at,
        ),
        condition=items.key.does_not_exist() | (items.expires_at <= now),
    )


def with_receipt(transaction: Transaction) -> None:
    """Commit. Raises AlreadyAnswered if it was the receipt that was refused, WriteRefused for anything else."""
    try:
        transaction.commit()
    except WriteRefused as refused:
        if _PART in refused.parts:
            raise AlreadyAnswered from refused
        raise
