"""Receipts: answers that are kept for their `Idempotency-Key`.

A receipt is written in the transaction that does what the request asked, so there is never one without the other. The
transaction is refused if another request with the same key came first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pynamodb.exceptions import DoesNotExist

from chalicelib.errors import CallpacerError
from chalicelib.storage.database import Database
from chalicelib.storage.writes import Transaction, WriteRefused

#: How long a receipt is kept.
KEPT = timedelta(hours=24)
_PART = "receipt"


class AlreadyAnswered(CallpacerError):
    """A request with the same key came before, or at the same moment. Its answer holds, and nothing was done."""


@dataclass(frozen=True)
class Receipt:
    """An answer, and the key that it is kept for."""

    account: str
    key: str
    #: the request's SHA-256
    fingerprint: str
    #: the HTTP status
    status: int
    #: the answer as it was sent
    body: str
    #: the answer's headers, without its content type
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
        if item.expires_at <= now:  # the database deletes it later
            return None
        return Receipt(account, key, item.fingerprint, int(item.status), item.body, item.headers, item.expires_at)

    def keep(self, receipt: Receipt | None, now: datetime) -> None:
        """Keep the answer to a request that has no transaction of its own, if it has a key.

        Raises AlreadyAnswered and Busy.
        """
        if receipt is not None:
            transaction = self._database.transaction()
            add_receipt(transaction, self._database, receipt, now)
            commit_with_receipt(transaction)


def add_receipt(transaction: Transaction, database: Database, receipt: Receipt | None, now: datetime) -> None:
    """Make the receipt, if there is one, a part of the transaction."""
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


def commit_with_receipt(transaction: Transaction) -> None:
    """Raises AlreadyAnswered if the receipt was refused, WriteRefused if any other part was, and Busy."""
    try:
        transaction.commit()
    except WriteRefused as refused:
        if _PART in refused.parts:
            raise AlreadyAnswered from refused
        raise
