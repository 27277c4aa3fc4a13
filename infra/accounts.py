"""Accounts as an operator opens them."""

import uuid
from datetime import UTC, datetime

from chalicelib.gateway.signing import new_secret
from chalicelib.storage.accounts import Accounts
from chalicelib.storage.database import Database
from chalicelib.storage.tokens import Tokens


def open_account(database: Database, account: str, token: str | None = None) -> tuple[str, str]:
    """Gives the account a token, a new one unless one is named. Returns it and the account's signing secret.

    Raises TokenTaken if the named token is another account's.
    """
    token = token or str(uuid.uuid4())
    secret = Accounts(database).ensure(account, new_secret())
    Tokens(database).create(account, token, datetime.now(UTC))
    return token, secret
