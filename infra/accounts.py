"""Opens accounts, for the operator's commands and the local deployment."""

import uuid
from datetime import UTC, datetime

from chalicelib.gateway.signing import new_secret
from chalicelib.storage.accounts import Accounts
from chalicelib.storage.database import Database
from chalicelib.storage.tokens import Tokens


def open_account(database: Database, account: str, token: str | None = None) -> tuple[str, str]:
    """Give the account a token, and create the account if it doesn't exist. Return the token and the signing secret.

    Without `token` a random one is created. Raises TokenTaken if the token belongs to another account.
    """
    token = token or str(uuid.uuid4())
    secret = Accounts(database).ensure(account, new_secret())
    Tokens(database).create(account, token, datetime.now(UTC))
    return token, secret
