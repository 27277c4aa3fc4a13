"""The stores of one deployment."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from chalicelib.storage.accounts import Accounts
from chalicelib.storage.call_events import CallEvents
from chalicelib.storage.call_reports import CallReports
from chalicelib.storage.calls import Calls
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.cancellations import Cancellations
from chalicelib.storage.catalog import Profiles, Schedules
from chalicelib.storage.database import Database
from chalicelib.storage.lines import LinesStore
from chalicelib.storage.log import Log
from chalicelib.storage.moved import MovedNumbers
from chalicelib.storage.passed import PassedNumbers
from chalicelib.storage.progress import ProgressStore
from chalicelib.storage.receipts import Receipts
from chalicelib.storage.tasks import TaskStore
from chalicelib.storage.tokens import Tokens


@dataclass(frozen=True)
class Stores:
    """All of them are over the same database."""

    database: Database
    accounts: Accounts
    calls: Calls
    call_events: CallEvents
    call_reports: CallReports
    campaigns: Campaigns
    cancellations: Cancellations
    lines: LinesStore
    log: Log
    moved: MovedNumbers
    passed: PassedNumbers
    profiles: Profiles
    progress: ProgressStore
    receipts: Receipts
    schedules: Schedules
    tasks: TaskStore
    tokens: Tokens

    @classmethod
    def of(cls, database: Database, retention: timedelta | None = None) -> Self:
        """`retention` is that of `Calls`."""
        log, tasks, progress = Log(database), TaskStore(database), ProgressStore(database)
        schedules, profiles = Schedules(database), Profiles(database)
        calls = Calls(database, tasks=tasks, retention=retention)
        campaigns = Campaigns(database, log=log, schedules=schedules, profiles=profiles)
        return cls(
            database=database,
            accounts=Accounts(database),
            calls=calls,
            call_events=CallEvents(database, tasks=tasks, progress=progress, retention=retention),
            call_reports=CallReports(database, calls=calls, tasks=tasks),
            campaigns=campaigns,
            cancellations=Cancellations(database, tasks=tasks, progress=progress, retention=retention),
            lines=LinesStore(database, calls),
            log=log,
            moved=MovedNumbers(database, calls=calls, campaigns=campaigns, log=log, progress=progress, tasks=tasks),
            passed=PassedNumbers(database, calls=calls, tasks=tasks, retention=retention),
            profiles=profiles,
            progress=progress,
            receipts=Receipts(database),
            schedules=schedules,
            tasks=tasks,
            tokens=Tokens(database),
        )
