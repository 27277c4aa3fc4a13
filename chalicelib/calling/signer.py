"""Signs the requests to start_url and result_url with the account's secret."""

from urllib.parse import quote_plus

from chalicelib.calling.blocking import RunBlocking
from chalicelib.domain.keys import CallKey
from chalicelib.gateway.signing import event_signature, signed_headers
from chalicelib.runtime.clock import Clock
from chalicelib.storage.accounts import Accounts


class UnknownAccount(Exception):
    """The message names an account without a secret: no token was ever created for it."""


class Signer:
    """Makes the headers by which a tenant's server verifies the sender, and recognises a repeated request."""

    def __init__(self, accounts: Accounts, clock: Clock, run_blocking: RunBlocking, public_url: str) -> None:
        """`public_url` is where the API is for the world, without a slash at its end."""
        self._public_url = public_url
        self._accounts = accounts
        self._clock = clock
        self._run_blocking = run_blocking
        self._secrets: dict[str, str] = {}

    async def headers(self, key: CallKey, webhook_id: str, what: str, body: bytes) -> dict[str, str]:
        """A webhook that is sent again has the same id and the same Idempotency-Key. Raises UnknownAccount.

        The key has the call's id and `what`, such as the attempt.
        """
        secret = await self._secret(key.account)
        return {
            "Idempotency-Key": f"{key.call_id}-{what}",
            **signed_headers(secret, webhook_id, self._clock.now(), body),
        }

    async def status_url(self, key: CallKey, attempt: int) -> str:
        """Where events of this attempt are posted to. Raises UnknownAccount."""
        signature = event_signature(await self._secret(key.account), key, attempt)
        query = f"account={quote_plus(key.account)}&attempt={attempt}&signature={signature}"
        return f"{self._public_url}/api/calls/{key.call_id}/events?{query}"

    async def _secret(self, account: str) -> str:
        if account not in self._secrets:
            secret = await self._run_blocking(self._accounts.secret, account)
            if secret is None:
                raise UnknownAccount(account)
            self._secrets[account] = secret
        return self._secrets[account]
