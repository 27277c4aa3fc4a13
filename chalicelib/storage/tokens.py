"""Bearer tokens. What is kept of one is its SHA-256, so that reading the table opens nothing."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pynamodb.exceptions import DoesNotExist

from chalicelib.errors import CallpacerError
from chalicelib.storage.database import Database
from chalicelib.storage.tables import TokenItem
from chalicelib.storage.writes import WriteRefused, conditional

#: how many characters of a token may be shown, of a long enough one
_LABEL = 8


class TokenTaken(CallpacerError):
    """The token opens another account already."""

    def __init__(self) -> None:
        super().__init__("the token belongs to another account")


class NoSuchToken(CallpacerError):
    """The account has no token that begins like this, or several."""

    def __init__(self, hint: str, labels: Iterable[str]) -> None:
        super().__init__(f"no single token begins with {hint!r}")
        self.hint = hint
        #: of the tokens that do begin with it
        self.labels = tuple(labels)


@dataclass(frozen=True)
class Token:
    """What is known of a token that was given out."""

    account: str
    digest: str
    #: how it begins
    label: str
    created_at: datetime


class Tokens:
    def __init__(self, database: Database) -> None:
        self._items = database.tokens

    def create(self, account: str, token: str, now: datetime) -> Token:
        """Lets this token open the account. Raises TokenTaken if it opens another; nothing changes if it's this one."""
        item = self._items(
            _digest(token),
            account=account,
            created_at=now,
            # of a short one, too much would be given away
            label=token[: min(_LABEL, len(token) // 2)],
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
        """Whom the token was given to; None if to nobody."""
        try:
            return self._items.get(_digest(token), consistent_read=True).account
        except DoesNotExist:
            return None

    def of_account(self, account: str) -> list[Token]:
        """All of the account's tokens, the oldest first."""
        return sorted(map(_token, self._items.of_account.query(account)), key=lambda token: token.created_at)

    def revoke(self, account: str, hint: str) -> Token:
        """Takes away the one token that begins with `hint`, as far as that is known, or is it.

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
