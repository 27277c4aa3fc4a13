"""What the pacer is to hand over before the log: numbers to dial after all, outcomes to report again.

Each is a slip of its own, which sorts by the time it is due. A slip that is handed over isn't thrown away: it is put
forward by a while, and forgotten when the dialer has dealt with the message. So a message that is lost costs a delay.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from chalicelib.domain.call import Deferred, DeferredDial, DeferredReport, Waiting
from chalicelib.domain.models import CallKey, Entry
from chalicelib.storage.campaigns import campaign_key
from chalicelib.storage.catalog import padded
from chalicelib.storage.tables import Database, DeferredItem
from chalicelib.storage.writes import Transaction

#: how long a message may take before what it stands for is handed over again
HANDED_OVER_FOR = timedelta(minutes=15)
#: sorts before every date
_AT_ONCE = "0"


class DeferredSlips:
    def __init__(self, database: Database) -> None:
        self._items = database.deferred

    def add(self, transaction: Transaction, deferred: Deferred) -> None:
        transaction.put("deferred", self._item(deferred))

    def due_dials(self, account: str, campaign_id: int, now: datetime) -> Iterator[Waiting]:
        """Those that are due at once in the order of the queue, then the others by the time they were due."""
        return self._due("dial", account, campaign_id, now)

    def due_reports(self, account: str, campaign_id: int, now: datetime) -> Iterator[Waiting]:
        """By the time they were due."""
        return self._due("report", account, campaign_id, now)

    def any_dial(self, account: str, campaign_id: int) -> bool:
        """Is a number deferred, due or not, or handed over and not dealt with?"""
        return self._any("dial", account, campaign_id)

    def any_report(self, account: str, campaign_id: int) -> bool:
        """Is a report deferred, due or not, or handed over and not dealt with?"""
        return self._any("report", account, campaign_id)

    def put_forward(self, waiting: Sequence[Waiting], now: datetime) -> list[Waiting]:
        """Leave a slip for each that is due again in a while; the old ones stay until `forget`."""
        later = [(one.deferred, self._item(one.deferred, _instant(now + HANDED_OVER_FOR))) for one in waiting]
        with self._items.batch_write() as batch:
            for _, item in later:
                batch.save(item)
        return [Waiting(deferred, item.key) for deferred, item in later]

    def forget(self, account: str, campaign_id: int, slips: Sequence[str]) -> None:
        with self._items.batch_write() as batch:
            for slip in slips:
                batch.delete(self._items(campaign_key(account, campaign_id), slip))

    def _due(self, kind: str, account: str, campaign_id: int, now: datetime) -> Iterator[Waiting]:
        found = self._items.query(
            campaign_key(account, campaign_id),
            self._items.key.between(f"{kind}/", f"{kind}/{_instant(now)}/~"),
            consistent_read=True,
        )
        for item in found:
            yield Waiting(self._deferred(kind, account, campaign_id, item), item.key)

    def _any(self, kind: str, account: str, campaign_id: int) -> bool:
        found = self._items.query(
            campaign_key(account, campaign_id),
            self._items.key.startswith(f"{kind}/"),
            limit=1,
            consistent_read=True,
        )
        return next(iter(found), None) is not None

    def _item(self, deferred: Deferred, instant: str | None = None) -> DeferredItem:
        key = deferred.key
        not_before = instant or (_AT_ONCE if deferred.not_before is None else _instant(deferred.not_before))
        slip = f"{not_before}/{padded(key.sequence)}"
        hash_key = campaign_key(key.account, key.campaign_id)
        if isinstance(deferred, DeferredReport):
            return self._items(hash_key, f"report/{slip}", sequence=key.sequence)
        return self._items(
            hash_key,
            f"dial/{slip}",
            sequence=key.sequence,
            attempt=deferred.attempt,
            entry=deferred.entry.line,
        )

    def _deferred(self, kind: str, account: str, campaign_id: int, item: DeferredItem) -> Deferred:
        key = CallKey(account, campaign_id, int(item.sequence))
        _, not_before, _ = item.key.split("/")
        instant = None if not_before == _AT_ONCE else datetime.fromisoformat(not_before).replace(tzinfo=UTC)
        if kind == "report":
            assert instant is not None  # noqa: S101 # for the type checker: reports always have a time
            return DeferredReport(key, instant)
        return DeferredDial(key, Entry.from_line(item.entry), int(item.attempt), instant)


def _instant(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
