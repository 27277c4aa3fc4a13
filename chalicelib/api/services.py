"""What the endpoints work with."""

from dataclasses import dataclass

from chalicelib.clock import Clock
from chalicelib.storage.accounts import Accounts
from chalicelib.storage.calls import Calls
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.catalog import Profiles, Schedules
from chalicelib.storage.deferred import Slips
from chalicelib.storage.log import Log
from chalicelib.storage.receipts import Receipts
from chalicelib.storage.tables import Database
from chalicelib.storage.tokens import Tokens


@dataclass(frozen=True)
class Services:
    """One deployment's storage, and a clock."""

    accounts: Accounts
    calls: Calls
    campaigns: Campaigns
    clock: Clock
    log: Log
    profiles: Profiles
    receipts: Receipts
    schedules: Schedules
    slips: Slips
    tokens: Tokens

    @classmethod
    def over(cls, database: Database, clock: Clock) -> "Services":
        return cls(
            accounts=Accounts(database),
            calls=Calls(database),
            campaigns=Campaigns(database),
            clock=clock,
            log=Log(database),
            profiles=Profiles(database),
            receipts=Receipts(database),
            schedules=Schedules(database),
            slips=Slips(database),
            tokens=Tokens(database),
        )
