"""The ids that an account has given out, and its signing secret."""

from enum import StrEnum

from pynamodb.exceptions import DoesNotExist

from chalicelib.storage.database import Database
from chalicelib.storage.writes import WriteRefused, conditional


class Kind(StrEnum):
    """What has an id. Each kind has ids of its own."""

    SCHEDULE = "schedule"
    PROFILE = "profile"
    CAMPAIGN = "campaign"


class Accounts:
    def __init__(self, database: Database) -> None:
        self._items = database.accounts

    def next_id(self, account: str, kind: Kind) -> int:
        """An id that was never given out for this kind and account before. Ids rise, and may have gaps."""
        counter = {
            Kind.SCHEDULE: self._items.last_schedule,
            Kind.PROFILE: self._items.last_profile,
            Kind.CAMPAIGN: self._items.last_campaign,
        }[kind]
        item = self._items(account)
        with conditional():
            item.update(actions=[counter.add(1)])
        return int(getattr(item, f"last_{kind}"))

    def secret(self, account: str) -> str | None:
        """The secret that signs the account's webhooks; None if no token was ever created for the account."""
        try:
            return self._items.get(account, consistent_read=True).secret
        except DoesNotExist:
            return None

    def ensure(self, account: str, new_secret: str) -> str:
        """The account's secret, which becomes `new_secret` if it had none."""
        item = self._items(account)
        try:
            with conditional():
                item.update(actions=[self._items.secret.set(new_secret)], condition=self._items.secret.does_not_exist())
        except WriteRefused:
            item.refresh(consistent_read=True)
        return item.secret or new_secret

    def max_concurrent_calls(self, account: str) -> int | None:
        """How many calls of the account may be under way at once; None if there is no limit."""
        try:
            limit = self._items.get(account, consistent_read=True).max_concurrent_calls
        except DoesNotExist:
            return None
        return None if limit is None else int(limit)

    def limit_concurrent_calls(self, account: str, limit: int | None) -> None:
        """None removes the limit."""
        limited = self._items.max_concurrent_calls
        self._items(account).update(actions=[limited.remove() if limit is None else limited.set(limit)])
