"""The numbers of a campaign that wait, found by one call."""

from datetime import UTC, datetime

from chalicelib.domain.keys import CampaignKey
from chalicelib.storage.tasks import TaskStore

_SOME_DAY = datetime(9999, 1, 1, tzinfo=UTC)


def waiting(tasks: TaskStore, campaign: CampaignKey, *, spread: int) -> list[int]:
    """The sequence numbers that wait to be dialled, due or not, or are leased."""
    alone = [one.task.key.sequence for one in tasks.due_dials(campaign, _SOME_DAY, spread=spread)]
    return [*alone, *tasks.returned_sequences(campaign)]
