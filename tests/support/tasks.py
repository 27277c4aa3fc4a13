"""What tests want to know of slips at one look."""

from datetime import UTC, datetime

from chalicelib.storage.tasks import TaskStore

_SOME_DAY = datetime(9999, 1, 1, tzinfo=UTC)


def waiting(tasks: TaskStore, account: str, campaign_id: int, *, spread: int) -> list[int]:
    """The sequence numbers that wait to be dialled, due or not, or were handed over again."""
    alone = [
        scheduled.task.key.sequence for scheduled in tasks.due_dials(account, campaign_id, _SOME_DAY, spread=spread)
    ]
    return [*alone, *tasks.returned_sequences(account, campaign_id)]
