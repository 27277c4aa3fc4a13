"""Tasks of a campaign: adding them, and finding the numbers that wait."""

from collections.abc import Iterable
from datetime import UTC, datetime

from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.tasks import ScheduledTask, Task
from chalicelib.storage.database import Database
from chalicelib.storage.tasks import TaskStore

_FAR_FUTURE = datetime(9999, 1, 1, tzinfo=UTC)


def add_tasks(database: Database, *tasks: Task, spread: int = 1) -> None:
    for task in tasks:
        transaction = database.transaction()
        TaskStore(database).add(transaction, task, spread=spread)
        transaction.commit()


def waiting(tasks: TaskStore, campaign: CampaignKey, *, spread: int) -> list[int]:
    """The sequence numbers that wait to be dialled, due or not, or are returned or leased."""
    deferred = [one.task.key.sequence for one in tasks.due_dials(campaign, _FAR_FUTURE, spread=spread)]
    return [*deferred, *tasks.returned_sequences(campaign)]


def tasks_of(scheduled: Iterable[ScheduledTask]) -> list[Task]:
    return [one.task for one in scheduled]
