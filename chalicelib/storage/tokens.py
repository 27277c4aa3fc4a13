"""Bearer tokens, of which only the SHA-256 is kept: who reads the table can't ask in anybody's name."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from chalicelib.storage.tables import Database, TokenItem

#: How many of a token's first characters are kept to tell it from the account's others.
_LABEL = 8


@dataclass(frozen=True)
class Token:
    """What is known of a token."""

    account: str
    #: its first characters
    label: str
    created_at: datetime
    #: its SHA-256, in hexadecimal
    digest: str


class Tokens:
    def __init__(self, database: Database) -> None:
        self._items = database.tokens

    def account_of(self, token: str) -> str | None:
        """Whose token this is; None if nobody's."""
        try:
            return self._items.get(_digest(token)).account
        except TokenItem.DoesNotExist:
            return None

    def create(self, account: str, token: str, now: datetime) -> None:
        """Let `token` ask in the account's name. One that is the account's already stays as it is."""
        self._items(_digest(token), account=account, created_at=now, label=token[:_LABEL]).save()

    def list_of(self, account: str) -> list[Token]:
        """The oldest first."""
        found = [
            Token(item.account, item.label, item.created_at, item.digest)
            for item in self._items.of_account.query(account)
        ]
        return sorted(found, key=lambda token: token.created_at)

    def revoke(self, token: Token) -> None:
        self._items(token.digest).delete()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
