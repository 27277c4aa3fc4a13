"""Bearer tokens. Only their SHA-256 is stored, so a reader of the table gets no token."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pynamodb.exceptions import DoesNotExist

from chalicelib.errors import CallpacerError
from chalicelib.storage.database import Database
from chalicelib.storage.tables import TokenItem
from chalicelib.storage.writes import WriteRefused, conditional

#: how many characters of a token are shown, if it is long enough
_LABEL_LENGTH = 8


class TokenTaken(CallpacerError):
    """The token belongs to another account already."""

    def __init__(self) -> None:
        super().__init__("the token belongs to another account")


class NoSuchToken(CallpacerError):
    """The account has no token that begins like this, or several."""

    def __init__(self, hint: str, labels: Iterable[str]) -> None:
        super().__init__(f"no single token begins with {hint!r}")
        self.hint = hint
        #: those of the tokens that begin like this
        self.labels = tuple(labels)


@dataclass(frozen=True)
class Token:
    """What is stored of a token."""

    account: str
    digest: str
    #: its first characters
    label: str
    created_at: datetime


class Tokens:
    def __init__(self, database: Database) -> None:
        self._items = database.tokens

    def create(self, account: str, token: str, now: datetime) -> Token:
        """Give the token to the account. Nothing changes if the account has it. Raises TokenTaken if another has it."""
        item = self._items(
            _digest(token),
            account=account,
            created_at=now,
            # At most half of a short token is shown.
            label=token[: min(_LABEL_LENGTH, len(token) // 2)],
        )
        try:
            with conditional():
                item.save(condition=self._items.digest.does_not_exist())
        except WriteRefused:
            item.refresh(consistent_read=True)
            if item.account != account:
                raise TokenTaken from None
        return _token(item)

    def account_of(self, token: str) -> str | None:
        """The account that the token belongs to; None if there is none."""
        try:
            return self._items.get(_digest(token), consistent_read=True).account
        except DoesNotExist:
            return None

    def of_account(self, account: str) -> list[Token]:
        """All of the account's tokens, the oldest first."""
        return sorted(map(_token, self._items.of_account.query(account)), key=lambda token: token.created_at)

    def revoke(self, account: str, hint: str) -> Token:
        """Delete the one token that is `hint`, or whose label or digest begins with it.

        Raises NoSuchToken if there is none, or more than one.
        """
        whole = _digest(hint)
        found = [
            token
            for token in self.of_account(account)
            if token.digest == whole or (hint and (token.label.startswith(hint) or token.digest.startswith(hint)))
        ]
        exact = [token for token in found if token.digest == whole]
        if len(exact or found) != 1:
            raise NoSuchToken(hint, (token.label for token in found))
        (token,) = exact or found
        self._items(token.digest).delete()
        return token


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _token(item: TokenItem) -> Token:
    return Token(item.account, item.digest, item.label, item.created_at)
