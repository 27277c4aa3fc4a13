"""Slips: what the pacer is to hand over before the log, and what the settler is to count beside it.

| slip | is |
|---|---|
| `dial/0/000000000017/…` | number 17 is to be dialled at once |
| `dial/2026-11-23T18:00:00/000000000017/…` | number 17 is to be dialled at six |
| `dial-late/000000000017/…` | number 17, and some after it, came too late and wait for other slots |
| `report/2026-11-23T18:00:00/000000000017/…` | its outcome is to be reported at six |
| `handed-dial/2026-11-23T18:15:00/000000000017/…` | a slice is handed over, and lost if not dealt with by then |
| `handed-report/…` | likewise, of reports |
| `ended/000000000017` | number 17, which the settler had passed over, has its outcome |
| `told/2026-11-23T18:00:00/…` | how its numbers ended was told by six, and taken; their records don't say so |

What is handed over has a slip, one for each slice, until the dialer has dealt with it. So a lost message costs a delay.
Each slip ends in a mark of its own: there may be two for one number, and forgetting one must not lose the other.
Storage's claims see to it that the second comes to nothing.

A slice that comes too late is returned whole, with one write. Its numbers have no records, unless they were deferred
before.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, zip_longest

from chalicelib.domain.call import Deferred, DeferredDial, DeferredReport, Ended, Handed, Slip, State, Told
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
_RETURNED = "dial-late"
_ENDED = "ended"
_TOLD = "told"
_HANDED = "handed-"
#: sorts before every date
_AT_ONCE = "0"
#: sorts after every slip of a number that waits to be dialled, and before all others
_AFTER_DIALS = "dial0"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


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

    def add_returned(self, dials: Sequence[DeferredDial], nonce: str) -> None:
        """These, which are of one campaign, are due at once, before all others.

        Whoever doesn't hear the answer may ask again with the same `nonce`, one of their own.
        """
        self._returned_item(dials, nonce).save()

    def due_dials(self, account: str, campaign_id: int, now: datetime) -> Iterator[Slip]:
        """Those that are due at once in the order of the queue, then the others by the time they were due."""
        for item in self._due(_DIAL, account, campaign_id, now):
            yield Slip(_deferred(account, campaign_id, item), item.key)

    def returned_dials(self, account: str, campaign_id: int) -> Iterator[Slip]:
        """Those that came too late, each by itself, in the order of the queue. They are due before all others."""
        for item in self._of_kind(_RETURNED, account, campaign_id):
            numbers = [one for one in _numbers(account, campaign_id, item) if isinstance(one, DeferredDial)]
            mark = item.key.rpartition("/")[2]
            for place, deferred in enumerate(numbers):
                name = item.key if place == 0 else _returned_key(deferred, mark)
                yield Slip(deferred, name, rest=tuple(numbers[place + 1 :]), mark=mark)

    def due_reports(self, account: str, campaign_id: int, now: datetime) -> Iterator[Slip]:
        """By the time they were due."""
        for item in self._due(_REPORT, account, campaign_id, now):
            yield Slip(_deferred(account, campaign_id, item), item.key)

    def lapsed(self, account: str, campaign_id: int, now: datetime) -> Iterator[Handed]:
        """What was handed over and not dealt with in time."""
        for kind in (_DIAL, _REPORT):
            for item in self._due(_HANDED + kind, account, campaign_id, now):
                yield Handed(_numbers(account, campaign_id, item), item.key)

    def handed(self, account: str, campaign_id: int) -> set[int]:
        """The sequence numbers of what was handed over again, after it had waited, and isn't dealt with yet."""
        return self._sequences(_HANDED + _DIAL, account, campaign_id)

    def returned(self, account: str, campaign_id: int) -> set[int]:
        """The sequence numbers of what came too late, and of what was handed over again: they may have no record."""
        return self._sequences(_RETURNED, account, campaign_id) | self.handed(account, campaign_id)

    def count_dials(self, account: str, campaign_id: int, most: int) -> int:
        """How many numbers wait to be dialled, due or not; of many, the first `most`."""
        returned = sum(len(one.numbers) for one in self.returned_slices(account, campaign_id))
        return min(most, returned + self._count(_DIAL, account, campaign_id, most))

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
        return self._first(account, campaign_id, after=" ", before=_TOLD) is not None

    def any_at_work(self, account: str, campaign_id: int) -> bool:
        """Is anything handed over, or to be counted?"""
        return self._first(account, campaign_id, after=_AFTER_DIALS, before=f"{_REPORT}/") is not None

    def first_dial(self, account: str, campaign_id: int) -> datetime | None:
        """When the first of the numbers that wait may be dialled, long ago for one that is due at once."""
        item = self._first(account, campaign_id, after=_DIAL, before=_AFTER_DIALS)
        return None if item is None else _not_before(item.key) or _LONG_AGO

    def first_report(self, account: str, campaign_id: int) -> datetime | None:
        """When the first of the reports that wait is due."""
        item = self._first(account, campaign_id, after=f"{_REPORT}/", before=_TOLD)
        return None if item is None else _not_before(item.key)

    def hand_over(self, slips: Sequence[Slip], now: datetime) -> str:
        """Put one slip, which says so, in the place of these, all numbers or all reports of one campaign.

        Answers its name. Whatever fails, each of them has one of the two. Of those that were returned together, the
        first ones are handed over first; those that are left over keep a slip.
        """
        handed = self._handed_item([slip.deferred for slip in slips], now + HANDED_OVER_FOR)
        done: list[Slip] = []
        with self._items.batch_write() as batch:
            batch.save(handed)
            for slip, following in zip_longest(slips, slips[1:]):
                if slip.rest and (following is None or following.deferred != slip.rest[0]):
                    batch.save(self._returned_item(slip.rest, slip.mark))
                if not any(slip.deferred in before.rest for before in done[-1:]):
                    done.append(slip)
        self.forget(done)
        return handed.key

    def take_back(self, handed: Handed, now: datetime, deferred: Iterable[Deferred]) -> None:
        """What was handed over waits again, and is due at once: `deferred`, which is what is left of it."""
        dials = [one for one in deferred if isinstance(one, DeferredDial)]
        reports = [one for one in deferred if isinstance(one, DeferredReport)]
        if dials:
            self.add_returned(dials, new_nonce())
        with self._items.batch_write() as batch:
            for one in reports:
                batch.save(self._item(replace(one, not_before=now)))
        self._forget(handed)

    def scatter(self, returned: Handed, dials: Iterable[Deferred]) -> None:
        """Put a slip for each of these, which have records, in the place of the one for all that were returned."""
        with self._items.batch_write() as batch:
            for one in dials:
                batch.save(self._item(one))
        self._forget(returned)

    def forget(self, slips: Sequence[Slip]) -> None:
        with self._items.batch_write() as batch:
            for slip in slips:
                key = slip.deferred.key
                batch.delete(self._items(campaign_key(key.account, key.campaign_id), slip.name))

    def forget_name(self, account: str, campaign_id: int, name: str) -> None:
        """Forget the slip of this name, which stood for something of this campaign."""
        self._items(campaign_key(account, campaign_id), name).delete()

    def returned_slices(self, account: str, campaign_id: int) -> Iterator[Handed]:
        """What came too late, as it was returned."""
        for item in self._of_kind(_RETURNED, account, campaign_id):
            yield Handed(_numbers(account, campaign_id, item), item.key)

    def _due(self, kind: str, account: str, campaign_id: int, now: datetime) -> Iterator[DeferredItem]:
        return iter(
            self._items.query(
                campaign_key(account, campaign_id),
                self._items.key.between(f"{kind}/", f"{kind}/{_text(now)}/~"),
                consistent_read=True,
            )
        )

    def _forget(self, handed: Handed) -> None:
        with self._items.batch_write() as batch:
            batch.delete(self._items(campaign_key(*handed.campaign), handed.name))

    def _of_kind(self, kind: str, account: str, campaign_id: int) -> Iterator[DeferredItem]:
        return iter(
            self._items.query(
                campaign_key(account, campaign_id), self._items.key.startswith(f"{kind}/"), consistent_read=True
            )
        )

    def _sequences(self, kind: str, account: str, campaign_id: int) -> set[int]:
        return {
            deferred.key.sequence
            for item in self._of_kind(kind, account, campaign_id)
            for deferred in _numbers(account, campaign_id, item)
        }

    def _count(self, kind: str, account: str, campaign_id: int, most: int) -> int:
        return sum(1 for _ in islice(self._of_kind(kind, account, campaign_id), most))

    def _first(self, account: str, campaign_id: int, after: str, before: str) -> DeferredItem | None:
        found = self._items.query(
            campaign_key(account, campaign_id), self._items.key.between(after, before), limit=1, consistent_read=True
        )
        return next(iter(found), None)

    def _item(self, deferred: Deferred) -> DeferredItem:
        key, instant = deferred.key, deferred.not_before
        place = f"{_AT_ONCE if instant is None else _text(instant)}/{padded(key.sequence)}/{new_nonce()}"
        hash_key = campaign_key(key.account, key.campaign_id)
        if isinstance(deferred, DeferredReport):
            return self._items(hash_key, f"{_REPORT}/{place}", sequence=key.sequence, attempt=deferred.attempt)
        return self._items(
            hash_key,
            f"{_DIAL}/{place}",
            sequence=key.sequence,
            attempt=deferred.attempt,
            entry=deferred.entry.line,
        )

    def _handed_item(self, deferred: Sequence[Deferred], lapses: datetime) -> DeferredItem:
        first = deferred[0].key
        kind = _DIAL if isinstance(deferred[0], DeferredDial) else _REPORT
        name = f"{_HANDED}{kind}/{_text(lapses)}/{padded(first.sequence)}/{new_nonce()}"
        return self._items(
            campaign_key(first.account, first.campaign_id), name, numbers=[_line(one) for one in deferred]
        )

    def _returned_item(self, dials: Sequence[DeferredDial], mark: str) -> DeferredItem:
        """Each number once, by its latest attempt: what is left when the first is handed over has a key of its own."""
        latest = {dial.key: dial for dial in sorted(dials, key=lambda dial: dial.attempt)}
        dials = [latest[key] for key in dict.fromkeys(dial.key for dial in dials)]
        key = dials[0].key
        return self._items(
            campaign_key(key.account, key.campaign_id),
            _returned_key(dials[0], mark),
            numbers=[_line(dial) for dial in dials],
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
    not_before = _not_before(item.key)
    if item.key.split("/")[0].endswith(_DIAL):
        return DeferredDial(key, Entry.from_line(item.entry), int(item.attempt), not_before)
    return DeferredReport(key, int(item.attempt), not_before or _LONG_AGO)


def _numbers(account: str, campaign_id: int, item: DeferredItem) -> tuple[Deferred, ...]:
    if item.numbers is None:  # written before slips were for slices
        return (_deferred(account, campaign_id, item),)
    kind, instant, *_ = item.key.split("/")
    found: list[Deferred] = []
    for line in item.numbers:
        sequence, attempt, entry = line.split(" ", 2)
        key = CallKey(account, campaign_id, int(sequence))
        if kind.endswith(_REPORT):
            found.append(DeferredReport(key, int(attempt), _instant(instant)))
        else:
            found.append(DeferredDial(key, Entry.from_line(entry), int(attempt), None))
    return tuple(found)


def _line(deferred: Deferred) -> str:
    """`sequence attempt entry`, without the entry for a report."""
    entry = deferred.entry.line if isinstance(deferred, DeferredDial) else ""
    return f"{deferred.key.sequence} {deferred.attempt} {entry}"


def _returned_key(first: DeferredDial, mark: str) -> str:
    return f"{_RETURNED}/{padded(first.key.sequence)}/{mark}"


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _not_before(name: str) -> datetime | None:
    """When what a slip of this name stands for is due; None: at once."""
    kind, not_before, *_ = name.split("/")
    return None if kind == _RETURNED or not_before == _AT_ONCE else _instant(not_before)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
