"""The operator's switch: may this deployment dial at all?

It is off unless it was turned on for this very deployment. So a deployment whose tables were restored from a backup
doesn't dial until the operator has checked it. The backup lacks the claims that were given after it was made, so it
doesn't show which numbers were called since.
"""

from datetime import datetime

from pynamodb.exceptions import DoesNotExist

from chalicelib.storage.database import Database

_NAME = "dialling"


class Switch:
    def __init__(self, database: Database, deployment: str) -> None:
        """`deployment` is unique to this deployment, such as the id of its CloudFormation stack."""
        self._items = database.operator
        self._deployment = deployment

    def is_on(self) -> bool:
        try:
            item = self._items.get(_NAME, consistent_read=True)
        except DoesNotExist:
            return False
        return bool(item.on) and item.deployment == self._deployment

    def is_set(self) -> bool:
        """True if it was last turned, on or off, for this deployment."""
        try:
            return bool(self._items.get(_NAME, consistent_read=True).deployment == self._deployment)
        except DoesNotExist:
            return False

    def turn(self, *, on: bool, now: datetime) -> None:
        """It takes effect for all calls within 2 seconds."""
        self._items(_NAME, on=on, deployment=self._deployment, changed_at=now).save()
