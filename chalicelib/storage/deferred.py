"""Slips: what the pacer is to hand over before the log, and what the settler is to count beside it.

| slip | is |
|---|---|
| `dial/0/000000000017/…` | number 17 is to be dialled at once |
| `dial/2026-11-23T18:00:00/000000000017/…` | number 17 is to be dialled at six |
| `report/2026-11-23T18:00:00/000000000017/…` | its outcome is to be reported at six |
| `handed-dial/2026-11-23T18:15:00/000000000017/…` | it is handed over, and lost if not dealt with by then |
| `handed-report/…` | likewise |
| `ended/000000000017` | number 17, which the settler had passed over, has its outcome |
| `told/2026-11-23T18:00:00/…` | how its numbers ended was told by six, and taken; their records don't say so |

What is handed over has a slip until the dialer has dealt with it, so a message that is lost costs a delay. Each slip
ends in a mark of its own: there may be two for one number, and forgetting one must not lose the other. Storage's claims
see to it that the second comes to nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from chalicelib.domain.call import Deferred, DeferredDial, DeferredReport, Ended, Slip, State, Told
from chalicelib.domain.models import CallKey, Entry
from chalicelib.storage.campaign_items import campaign_key
from chalicelib.storage.catalog import padded
from chalicelib.storage.database import Database
from chalicelib.storage.tables import DeferredItem
from chalicelib.storage.writes import Transaction, new_nonce

#: How long a message may take before what it stands for is taken for lost. It is longer than SQS hides one whose dialer
#: has died, which then brings it back by itself.
HANDED_OVER_FOR = timedelta(minutes=15)
_DIAL = "dial"
_REPORT = "report"
_ENDED = "ended"
_TOLD = "told"
_HANDED = "handed-"
#: sorts before every date
_AT_ONCE = "0"
#: sorts after every slip of a number that waits to be dialled, and before all others
_AFTER_DIALS = "dial0"


class Slips:
    def __init__(self, database: Database) -> None:
        self._items = database.deferred

    def add(self, transaction: Transaction, deferred: Deferred) -> None:
        transaction.put("deferred", self._item(deferred))

    def add_ended(self, transaction: Transaction, ended: Ended) -> None:
        transaction.put("ended", self._ended_item(ended))

    def remove_ended(self, transaction: Transaction, ended: Ended) -> None:
        item = self._ended_item(ended)
        transaction.delete(item.key, item, condition=self._items.key.exists())

    def due_dials(self, account: str, campaign_id: int, now: datetime) -> Iterator[Slip]:
        """Those that are due at once in the order of the queue, then the others by the time they were due."""
        return self._due(_DIAL, account, campaign_id, now)

    def due_reports(self, account: str, campaign_id: int, now: datetime) -> Iterator[Slip]:
        """By the time they were due."""
        return self._due(_REPORT, account, campaign_id, now)

    def lapsed(self, account: str, campaign_id: int, now: datetime) -> Iterator[Slip]:
        """What was handed over and not dealt with in time."""
        yield from self._due(_HANDED + _DIAL, account, campaign_id, now)
        yield from self._due(_HANDED + _REPORT, account, campaign_id, now)

    def waiting(self, account: str, campaign_id: int) -> Iterator[int]:
        """The sequence numbers of the numbers that wait to be dialled, due or not, or were handed over again."""
        for kind in (_DIAL, _HANDED + _DIAL):
            for item in self._of_kind(kind, account, campaign_id):
                yield int(item.sequence)

    def count_dials(self, account: str, campaign_id: int, most: int) -> int:
        """How many slips of numbers that wait to be dialled there are, due or not; of many, the first `most`."""
        return self._count(_DIAL, account, campaign_id, most)

    def count_reports(self, account: str, campaign_id: int, most: int) -> int:
        """How many reports wait to be sent again, due or not; of many, the first `most`."""
        return self._count(_REPORT, account, campaign_id, most)

    def ended(self, account: str, campaign_id: int) -> Iterator[Ended]:
        for item in self._of_kind(_ENDED, account, campaign_id):
            yield Ended(CallKey(account, campaign_id, int(item.sequence)), State(item.state))

    def add_told(self, account: str, campaign_id: int, sequences: Iterable[int], now: datetime, nonce: str) -> None:
        """Whoever doesn't hear the answer may ask again with the same `nonce`, one of their own."""
        key = f"{_TOLD}/{_text(now)}/{nonce}"
        self._items(campaign_key(account, campaign_id), key, sequences=sorted(sequences)).save()

    def told(self, account: str, campaign_id: int) -> list[Told]:
        return [
            Told(frozenset(int(sequence) for sequence in item.sequences), item.key)
            for item in self._of_kind(_TOLD, account, campaign_id)
        ]

    def forget_told(self, account: str, campaign_id: int, told: Iterable[Told]) -> None:
        with self._items.batch_write() as batch:
            for one in told:
                batch.delete(self._items(campaign_key(account, campaign_id), one.name))

    def any_but_told(self, account: str, campaign_id: int) -> bool:
        """Is any number waiting, being counted, or to be reported?

        What was told needs nothing more. A write of it that comes late may even lie there when all is over.
        """
        return self._any(account, campaign_id, after=" ", before=_TOLD)

    def any_but_dials_waiting(self, account: str, campaign_id: int) -> bool:
        """Is anything to be done even if no number may be dialled?"""
        return self._any(account, campaign_id, after=_AFTER_DIALS)

    def hand_over(self, slips: Sequence[Slip], now: datetime) -> list[Slip]:
        """Put a slip that says so in the place of each. There is one of the two at any moment, whatever fails."""
        handed = [(slip.deferred, self._item(slip.deferred, _HANDED, now + HANDED_OVER_FOR)) for slip in slips]
        with self._items.batch_write() as batch:
            for _, item in handed:
                batch.save(item)
        self.forget(slips)
        return [Slip(deferred, item.key) for deferred, item in handed]

    def take_back(self, slip: Slip, now: datetime, attempt: int | None = None) -> None:
        """What was handed over waits again, and is due at once; a number for this attempt, if it is another by now."""
        deferred = slip.deferred
        if isinstance(deferred, DeferredDial):
            self._item(DeferredDial(deferred.key, deferred.entry, attempt or deferred.attempt, None)).save()
        else:
            self._item(DeferredReport(deferred.key, deferred.attempt, now)).save()
        self.forget([slip])

    def forget(self, slips: Sequence[Slip]) -> None:
        with self._items.batch_write() as batch:
            for slip in slips:
                key = slip.deferred.key
                batch.delete(self._items(campaign_key(key.account, key.campaign_id), slip.name))

    def forget_name(self, key: CallKey, name: str) -> None:
        """Forget the slip of this name, which stood for something of this call."""
        self._items(campaign_key(key.account, key.campaign_id), name).delete()

    def _due(self, kind: str, account: str, campaign_id: int, now: datetime) -> Iterator[Slip]:
        found = self._items.query(
            campaign_key(account, campaign_id),
            self._items.key.between(f"{kind}/", f"{kind}/{_text(now)}/~"),
            consistent_read=True,
        )
        for item in found:
            yield Slip(_deferred(account, campaign_id, item), item.key)

    def _of_kind(self, kind: str, account: str, campaign_id: int) -> Iterator[DeferredItem]:
        return iter(
            self._items.query(
                campaign_key(account, campaign_id), self._items.key.startswith(f"{kind}/"), consistent_read=True
            )
        )

    def _count(self, kind: str, account: str, campaign_id: int, most: int) -> int:
        return sum(1 for _ in islice(self._of_kind(kind, account, campaign_id), most))

    def _any(self, account: str, campaign_id: int, after: str, before: str = "~") -> bool:
        found = self._items.query(
            campaign_key(account, campaign_id), self._items.key.between(after, before), limit=1, consistent_read=True
        )
        return next(iter(found), None) is not None

    def _item(self, deferred: Deferred, prefix: str = "", instant: datetime | None = None) -> DeferredItem:
        key = deferred.key
        instant = instant or deferred.not_before
        place = f"{_AT_ONCE if instant is None else _text(instant)}/{padded(key.sequence)}/{new_nonce()}"
        hash_key = campaign_key(key.account, key.campaign_id)
        if isinstance(deferred, DeferredReport):
            return self._items(hash_key, f"{prefix}{_REPORT}/{place}", sequence=key.sequence, attempt=deferred.attempt)
        return self._items(
            hash_key,
            f"{prefix}{_DIAL}/{place}",
            sequence=key.sequence,
            attempt=deferred.attempt,
            entry=deferred.entry.line,
        )

    def _ended_item(self, ended: Ended) -> DeferredItem:
        key = ended.key
        return self._items(
            campaign_key(key.account, key.campaign_id),
            f"{_ENDED}/{padded(key.sequence)}",
            sequence=key.sequence,
            state=ended.state,
        )


def _deferred(account: str, campaign_id: int, item: DeferredItem) -> Deferred:
    key = CallKey(account, campaign_id, int(item.sequence))
    kind, not_before, *_ = item.key.split("/")
    if kind.endswith(_DIAL):
        instant = None if not_before == _AT_ONCE else _instant(not_before)
        return DeferredDial(key, Entry.from_line(item.entry), int(item.attempt), instant)
    return DeferredReport(key, int(item.attempt), _instant(not_before))


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
