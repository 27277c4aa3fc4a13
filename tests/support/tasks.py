"""What tests want to know of slips at one look."""

from datetime import UTC, datetime

from chalicelib.storage.tasks import Slips

_SOME_DAY = datetime(9999, 1, 1, tzinfo=UTC)


def waiting(slips: Slips, account: str, campaign_id: int, *, spread: int) -> list[int]:
    """The sequence numbers that wait to be dialled, due or not, or were handed over again."""
    alone = [slip.deferred.key.sequence for slip in slips.due_dials(account, campaign_id, _SOME_DAY, spread=spread)]
    return [*alone, *slips.returned(account, campaign_id)]
