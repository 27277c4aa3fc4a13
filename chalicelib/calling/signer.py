"""Signs the requests to start_url and result_url with the account's secret."""

from chalicelib.calling.blocking import RunBlocking
from chalicelib.domain.keys import CallKey
from chalicelib.gateway.signing import signed_headers
from chalicelib.runtime.clock import Clock
from chalicelib.storage.accounts import Accounts


class UnknownAccount(Exception):
    """The message names an account without a secret: no token was ever created for it."""


class Signer:
    """Makes the headers by which a tenant's server verifies the sender, and recognises a repeated request."""

    def __init__(self, accounts: Accounts, clock: Clock, run_blocking: RunBlocking) -> None:
        self._accounts = accounts
        self._clock = clock
        self._run_blocking = run_blocking
        self._secrets: dict[str, str] = {}

    async def headers(self, key: CallKey, webhook_id: str, attempt: int, body: bytes) -> dict[str, str]:
        """A webhook that is sent again has the same id and the same Idempotency-Key. Raises UnknownAccount."""
        if key.account not in self._secrets:
            secret = await self._run_blocking(self._accounts.secret, key.account)
            if secret is None:
                raise UnknownAccount(key.account)
            self._secrets[key.account] = secret
        return {
            "Idempotency-Key": f"{key.call_id}-{attempt}",
            **signed_headers(self._secrets[key.account], webhook_id, self._clock.now(), body),
        }
