"""All that one deployment stores."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from chalicelib.storage.accounts import Accounts
from chalicelib.storage.calls import Calls
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.catalog import Profiles, Schedules
from chalicelib.storage.database import Database
from chalicelib.storage.log import Log
from chalicelib.storage.progress import ProgressStore
from chalicelib.storage.receipts import Receipts
from chalicelib.storage.tasks import TaskStore
from chalicelib.storage.tokens import Tokens


@dataclass(frozen=True)
class Stores:
    """Each over the same database."""

    database: Database
    accounts: Accounts
    progress: ProgressStore
    calls: Calls
    campaigns: Campaigns
    log: Log
    profiles: Profiles
    receipts: Receipts
    schedules: Schedules
    tasks: TaskStore
    tokens: Tokens

    @classmethod
    def of(cls, database: Database, retention: timedelta | None = None) -> Self:
        """`retention` is that of `Calls`."""
        return cls(
            database=database,
            accounts=Accounts(database),
            progress=ProgressStore(database),
            calls=Calls(database, retention),
            campaigns=Campaigns(database),
            log=Log(database),
            profiles=Profiles(database),
            receipts=Receipts(database),
            schedules=Schedules(database),
            tasks=TaskStore(database),
            tokens=Tokens(database),
        )
