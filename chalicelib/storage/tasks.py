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

All slips of a campaign lie in one partition, `account/id`, unless it makes so many calls that the slips of single
numbers (`dial`, `report`, `ended`) are too many for one. Then these lie in `spread` partitions, number 17 in
`account/id#1` of four; what lies in the first of them has no such suffix. The campaign knows its `spread`, which only
grows (`chalicelib.domain.spreading`). Whoever writes with one that was true before writes where it is still looked for.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain, islice, zip_longest

from chalicelib.domain.call import Acknowledgement, DialTask, Ended, Lease, ReportTask, ScheduledTask, Task
from chalicelib.storage.campaign_items import campaign_key
from chalicelib.storage.database import Database
from chalicelib.storage.tables import TaskItem
from chalicelib.storage.task_items import (
    AFTER_DIALS,
    DIAL,
    ENDED,
    HANDED,
    REPORT,
    RETURNED,
    TOLD,
    deferred_item,
    due_at,
    due_by,
    ended_item,
    ended_of,
    handed_item,
    handed_of,
    partition_key,
    partition_keys,
    returned_item,
    slip_of,
    slips_of_returned,
    told_item,
    told_of,
)
from chalicelib.storage.writes import Transaction, new_nonce

#: How long a message may take before what it stands for is taken for lost. It is longer than SQS hides one whose dialer
#: has died, which then brings it back by itself.
LEASE_TIME = timedelta(minutes=15)


class TaskStore:
    """Where `spread` is asked for, it is the campaign's."""

    def __init__(self, database: Database) -> None:
        self._items = database.tasks

    def add(self, transaction: Transaction, deferred: Task, *, spread: int) -> None:
        transaction.put("deferred", deferred_item(self._items, deferred, spread))

    def add_ended(self, transaction: Transaction, ended: Ended) -> None:
        transaction.put("ended", ended_item(self._items, ended))

    def remove_ended(self, transaction: Transaction, ended: Ended) -> None:
        item = ended_item(self._items, ended)
        transaction.delete(item.key, item, condition=self._items.key.exists())

    def add_returned(self, dials: Sequence[DialTask], nonce: str) -> None:
        """These, which are of one campaign, are due at once, before all others.

        Whoever doesn't hear the answer may ask again with the same `nonce`, one of their own.
        """
        returned_item(self._items, dials, nonce).save()

    def due_dials(self, account: str, campaign_id: int, now: datetime, *, spread: int) -> Iterator[ScheduledTask]:
        """Those that are due at once in the order of the queue, then the others by the time they were due."""
        for item in self._due(DIAL, partition_keys(account, campaign_id, spread), now):
            yield slip_of(account, campaign_id, item)

    def returned_dials(self, account: str, campaign_id: int) -> Iterator[ScheduledTask]:
        """Those that came too late, each by itself, in the order of the queue. They are due before all others."""
        for item in self._of_slices(RETURNED, account, campaign_id):
            yield from slips_of_returned(account, campaign_id, item)

    def due_reports(self, account: str, campaign_id: int, now: datetime, *, spread: int) -> Iterator[ScheduledTask]:
        """By the time they were due."""
        for item in self._due(REPORT, partition_keys(account, campaign_id, spread), now):
            yield slip_of(account, campaign_id, item)

    def expired_leases(self, account: str, campaign_id: int, now: datetime) -> Iterator[Lease]:
        """What was handed over and not dealt with in time."""
        for kind in (DIAL, REPORT):
            for item in self._due(HANDED + kind, [campaign_key(account, campaign_id)], now):
                yield handed_of(account, campaign_id, item)

    def leased_sequences(self, account: str, campaign_id: int) -> set[int]:
        """The sequence numbers of what was handed over again, after it had waited, and isn't dealt with yet."""
        return self._sequences(HANDED + DIAL, account, campaign_id)

    def returned_sequences(self, account: str, campaign_id: int) -> set[int]:
        """The sequence numbers of what came too late, and of what was handed over again: they may have no record."""
        return self._sequences(RETURNED, account, campaign_id) | self.leased_sequences(account, campaign_id)

    def count_dials(self, account: str, campaign_id: int, most: int, *, spread: int) -> int:
        """How many numbers wait to be dialled, due or not; of many, the first `most`."""
        returned = sum(len(one.numbers) for one in self.returned_slices(account, campaign_id))
        return min(most, returned + self._count(DIAL, account, campaign_id, spread, most))

    def count_reports(self, account: str, campaign_id: int, most: int, *, spread: int) -> int:
        """How many reports wait to be sent again, due or not; of many, the first `most`."""
        return self._count(REPORT, account, campaign_id, spread, most)

    def ended(self, account: str, campaign_id: int, *, spread: int) -> Iterator[Ended]:
        for item in self._of_numbers(ENDED, account, campaign_id, spread):
            yield ended_of(account, campaign_id, item)

    def add_acknowledgement(
        self, account: str, campaign_id: int, sequences: Iterable[int], now: datetime, nonce: str
    ) -> None:
        """Whoever doesn't hear the answer may ask again with the same `nonce`, one of their own."""
        told_item(self._items, account, campaign_id, sequences, now, nonce).save()

    def acknowledgements(self, account: str, campaign_id: int) -> list[Acknowledgement]:
        return [told_of(item) for item in self._of_slices(TOLD, account, campaign_id)]

    def delete_acknowledgements(self, account: str, campaign_id: int, told: Iterable[Acknowledgement]) -> None:
        with self._items.batch_write() as batch:
            for one in told:
                batch.delete(self._items(campaign_key(account, campaign_id), one.name))

    def any(self, account: str, campaign_id: int, *, spread: int) -> bool:
        """Is there any slip of it?"""
        return any(self._first_ones(account, campaign_id, spread, after=" ", before="~"))

    def any_unfinished(self, account: str, campaign_id: int, *, spread: int) -> bool:
        """Is any number waiting, being counted, or to be reported?

        What was told needs nothing more. A write of it that comes late may even lie there when all is over.
        """
        return any(self._first_ones(account, campaign_id, spread, after=" ", before=TOLD))

    def any_in_progress(self, account: str, campaign_id: int, *, spread: int) -> bool:
        """Is anything handed over, or to be counted?"""
        return any(self._first_ones(account, campaign_id, spread, after=AFTER_DIALS, before=f"{REPORT}/"))

    def first_dial(self, account: str, campaign_id: int, *, spread: int) -> datetime | None:
        """When the first of the numbers that wait may be dialled, long ago for one that is due at once."""
        return min(
            map(due_at, self._first_ones(account, campaign_id, spread, after=DIAL, before=AFTER_DIALS)), default=None
        )

    def first_report(self, account: str, campaign_id: int, *, spread: int) -> datetime | None:
        """When the first of the reports that wait is due."""
        first = self._first_ones(account, campaign_id, spread, after=f"{REPORT}/", before=TOLD)
        return min(map(due_at, first), default=None)

    def lease(self, tasks: Sequence[ScheduledTask], now: datetime) -> str:
        """Put one slip, which says so, in the place of these, all numbers or all reports of one campaign.

        Answers its name. Whatever fails, each of them has one of the two. Of those that were returned together, the
        first ones are handed over first; those that are left over keep a slip.
        """
        handed = handed_item(self._items, [scheduled.task for scheduled in tasks], now + LEASE_TIME)
        done: list[ScheduledTask] = []
        with self._items.batch_write() as batch:
            batch.save(handed)
            for scheduled, following in zip_longest(tasks, tasks[1:]):
                if scheduled.following and (following is None or following.task != scheduled.following[0]):
                    batch.save(returned_item(self._items, scheduled.following, scheduled.mark))
                if not any(scheduled.task in before.following for before in done[-1:]):
                    done.append(scheduled)
        self.delete(done)
        return handed.key

    def release(self, handed: Lease, now: datetime, deferred: Iterable[Task], *, spread: int) -> None:
        """What was handed over waits again, and is due at once: `deferred`, which is what is left of it."""
        dials = [one for one in deferred if isinstance(one, DialTask)]
        reports = [one for one in deferred if isinstance(one, ReportTask)]
        if dials:
            self.add_returned(dials, new_nonce())
        with self._items.batch_write() as batch:
            for one in reports:
                batch.save(deferred_item(self._items, replace(one, not_before=now), spread))
        self._forget(handed)

    def replace_returned(self, returned: Lease, dials: Iterable[Task], *, spread: int) -> None:
        """Put a slip for each of these, which have records, in the place of the one for all that were returned."""
        with self._items.batch_write() as batch:
            for one in dials:
                batch.save(deferred_item(self._items, one, spread))
        self._forget(returned)

    def delete(self, tasks: Sequence[ScheduledTask]) -> None:
        with self._items.batch_write() as batch:
            for scheduled in tasks:
                key = scheduled.task.key
                batch.delete(
                    self._items(partition_key(key.account, key.campaign_id, scheduled.partition), scheduled.name)
                )

    def delete_lease(self, account: str, campaign_id: int, name: str) -> None:
        """Forget the slip of this name, which stood for a slice of this campaign."""
        self._items(campaign_key(account, campaign_id), name).delete()

    def returned_slices(self, account: str, campaign_id: int) -> Iterator[Lease]:
        """What came too late, as it was returned."""
        for item in self._of_slices(RETURNED, account, campaign_id):
            yield handed_of(account, campaign_id, item)

    def _forget(self, handed: Lease) -> None:
        with self._items.batch_write() as batch:
            batch.delete(self._items(campaign_key(*handed.campaign), handed.name))

    def _due(self, kind: str, partitions: Sequence[str], now: datetime) -> Iterator[TaskItem]:
        """In one order, whichever of the partitions they lie in. Each is read only as far as it is wanted."""
        due = self._items.key.between(*due_by(kind, now))
        found = [self._items.query(one, due, consistent_read=True) for one in partitions]
        return heapq.merge(*found, key=lambda item: item.key)

    def _of_slices(self, kind: str, account: str, campaign_id: int) -> Iterator[TaskItem]:
        """Those of a kind that isn't spread."""
        return self._of_kind(kind, campaign_key(account, campaign_id))

    def _of_numbers(self, kind: str, account: str, campaign_id: int, spread: int) -> Iterator[TaskItem]:
        """Those of a kind that is."""
        partitions = partition_keys(account, campaign_id, spread)
        return chain.from_iterable(self._of_kind(kind, one) for one in partitions)

    def _of_kind(self, kind: str, partition: str) -> Iterator[TaskItem]:
        return iter(self._items.query(partition, self._items.key.startswith(f"{kind}/"), consistent_read=True))

    def _count(self, kind: str, account: str, campaign_id: int, spread: int, most: int) -> int:
        return sum(1 for _ in islice(self._of_numbers(kind, account, campaign_id, spread), most))

    def _sequences(self, kind: str, account: str, campaign_id: int) -> set[int]:
        return {
            deferred.key.sequence
            for item in self._of_slices(kind, account, campaign_id)
            for deferred in handed_of(account, campaign_id, item).numbers
        }

    def _first_ones(
        self, account: str, campaign_id: int, spread: int, *, after: str, before: str
    ) -> Iterator[TaskItem]:
        """The first one in each of the partitions. The slips of slices, which lie in the first, come first."""
        asked = self._items.key.between(after, before)
        for one in partition_keys(account, campaign_id, spread):
            yield from self._items.query(one, asked, limit=1, consistent_read=True)
