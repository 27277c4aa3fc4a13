"""The tasks of campaigns. `chalicelib.storage.task_items` has a table of their keys.

The pacer leases tasks to the dialer, one lease for each slice. The dialer deletes the lease when the slice is done. A
lost message costs a delay: the settler releases an expired lease, and its tasks wait again. The key of each task ends
in a nonce. So one number may have two tasks, and deleting one keeps the other. The claim refuses the second.

A slice that comes too late is returned whole, with one write. Its numbers have no records, unless they were deferred
before.

All tasks of a campaign are in one partition, `account/id`, unless the campaign makes so many calls that the tasks of
single numbers (`dial`, `report`, `ended`) are too many for it. Then these are in `spread` partitions: number 17 is in
`account/id#1` of four. The campaign's item has its `spread`, which only grows (`chalicelib.domain.spreading`). A writer
with an older `spread` writes to a partition that readers still read.
"""

import heapq
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain, islice, zip_longest
from typing import cast

from pynamodb.expressions.condition import Condition

from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Campaign
from chalicelib.domain.tasks import (
    Acknowledgement,
    AttemptReportTask,
    Correction,
    DialTask,
    Lease,
    OpenCalls,
    ScheduledTask,
    Task,
    UncountedOutcome,
    Withdrawn,
    WithdrawnNumbers,
)
from chalicelib.storage.database import Database
from chalicelib.storage.tables import TaskItem
from chalicelib.storage.task_items import (
    ACKNOWLEDGED,
    AFTER_DIALS,
    ATTEMPT_REPORT,
    CORRECTED,
    DIAL,
    ENDED,
    LEASED,
    OPEN,
    REPORT,
    RETURNED,
    WITHDRAWN,
    acknowledgement_item,
    acknowledgement_of,
    attempt_report_item,
    correction_item,
    correction_of,
    due_at,
    due_by,
    lease_item,
    lease_of,
    open_calls_of,
    open_item,
    open_name,
    outcome_item,
    outcome_of,
    partition_key,
    partition_keys,
    returned_dials,
    returned_item,
    scheduled_task,
    task_item,
    withdrawn_item,
    withdrawn_name,
    withdrawn_of,
)
from chalicelib.storage.writes import Transaction, new_nonce

#: How long a lease lasts. It is longer than SQS hides the message of a dialer that died, which then comes again by
#: itself. A test compares this with the template.
LEASE_TIME = timedelta(minutes=15)


class TaskStore:
    """`spread` is the campaign's, in all of the methods."""

    def __init__(self, database: Database) -> None:
        self._items = database.tasks

    def add(self, transaction: Transaction, task: Task, *, spread: int) -> None:
        transaction.put("task", task_item(self._items, task, spread))

    def add_attempt_report(self, report: AttemptReportTask, *, spread: int) -> None:
        attempt_report_item(self._items, report, spread).save()

    def delete_attempt_report(self, report: AttemptReportTask, *, spread: int) -> None:
        attempt_report_item(self._items, report, spread).delete()

    def add_outcome(self, transaction: Transaction, outcome: UncountedOutcome) -> None:
        transaction.put("outcome", outcome_item(self._items, outcome))

    def delete_outcome(self, transaction: Transaction, outcome: UncountedOutcome) -> None:
        item = outcome_item(self._items, outcome)
        transaction.delete(item.key, item, condition=self._items.key.exists())

    def add_open(
        self,
        transaction: Transaction,
        campaign: CampaignKey,
        sequences: Iterable[int],
        dispatched: Iterable[int] = (),
    ) -> None:
        """List these numbers among the open calls. They must be in no other list.

        `dispatched` are those whose first report is dispatched.
        """
        numbers = frozenset(sequences)
        listed = OpenCalls(numbers, open_name(numbers, new_nonce()), frozenset(dispatched))
        transaction.put("open calls", open_item(self._items, campaign, listed))

    def replace_open(
        self,
        transaction: Transaction,
        campaign: CampaignKey,
        group: Sequence[OpenCalls],
        left: frozenset[int],
        dispatched: frozenset[int] = frozenset(),
    ) -> None:
        """Leave only these numbers of the lists, all in the last one, on the condition that each is as it was read.

        The lists are in the order of their keys, in which they are read. So a reader that comes in between finds a
        number in both lists rather than in none.
        """
        for before in group:
            item = open_item(self._items, campaign, OpenCalls(left, before.name, dispatched))
            if left and before is group[-1]:
                transaction.put("open calls", item, self._listed_as(before))
            else:
                transaction.delete("open calls", item, self._listed_as(before))

    def open_calls(self, campaign: CampaignKey) -> list[OpenCalls]:
        """In the order of their keys."""
        return [open_calls_of(item) for item in self._of_slices(OPEN, campaign)]

    def add_correction(self, transaction: Transaction, correction: Correction) -> None:
        transaction.put("correction", correction_item(self._items, correction))

    def delete_correction(self, transaction: Transaction, correction: Correction) -> None:
        item = correction_item(self._items, correction)
        transaction.delete(item.key, item, condition=self._items.key.exists())

    def corrections(self, campaign: CampaignKey) -> list[Correction]:
        return [correction_of(campaign, item) for item in self._of_slices(CORRECTED, campaign)]

    def add_withdrawn(
        self, transaction: Transaction, campaign: CampaignKey, sequences: Iterable[int], *, moved: bool = False
    ) -> None:
        """List these numbers as taken out of the log's order together."""
        numbers = frozenset(sequences)
        listed = WithdrawnNumbers(numbers, withdrawn_name(numbers, new_nonce()), moved)
        transaction.put("withdrawn numbers", withdrawn_item(self._items, campaign, listed))

    def withdrawn(self, campaign: CampaignKey) -> list[WithdrawnNumbers]:
        return [withdrawn_of(item) for item in self._of_slices(WITHDRAWN, campaign)]

    def withdrawn_numbers(self, campaign: Campaign) -> Withdrawn:
        """Most campaigns cost no request."""
        return Withdrawn.of(self.withdrawn(campaign.key)) if campaign.withdrawn_lists else Withdrawn()

    def delete_withdrawn(self, transaction: Transaction, campaign: CampaignKey, withdrawn: WithdrawnNumbers) -> None:
        item = withdrawn_item(self._items, campaign, withdrawn)
        transaction.delete(item.key, item, condition=self._items.key.exists())

    def waiting_dials(self, campaign: CampaignKey, *, spread: int) -> Iterator[ScheduledTask]:
        """The dials with an item of their own, due or not."""
        for item in self._of_numbers(DIAL, campaign, spread):
            yield scheduled_task(campaign, item)

    def delete_dials(self, campaign: CampaignKey, sequences: Container[int], *, spread: int) -> None:
        """Delete what waits to be dialled of these numbers, each in an item of its own."""
        waiting = self.waiting_dials(campaign, spread=spread)
        self.delete([one for one in waiting if one.task.key.sequence in sequences])

    def add_returned(self, dials: Sequence[DialTask], nonce: str) -> None:
        """These dials of one campaign are due at once, before all others.

        After a time-out, retry with the same `nonce`.
        """
        returned_item(self._items, dials, nonce).save()

    def due_dials(self, campaign: CampaignKey, now: datetime, *, spread: int) -> Iterator[ScheduledTask]:
        """The dials that are due at once, in the order of the queue. Then the others, in the order of due times."""
        for item in self._due(DIAL, partition_keys(campaign, spread), now):
            yield scheduled_task(campaign, item)

    def returned_dials(self, campaign: CampaignKey) -> Iterator[ScheduledTask]:
        """The dials that came too late, one by one, in the order of the queue. They are due before all others."""
        for item in self._of_slices(RETURNED, campaign):
            yield from returned_dials(campaign, item)

    def due_reports(self, campaign: CampaignKey, now: datetime, *, spread: int) -> Iterator[ScheduledTask]:
        """Those of outcomes, then those of attempts that others follow, each in the order of due times."""
        found = [self._due_reports(partition, now) for partition in partition_keys(campaign, spread)]
        for item in heapq.merge(*found, key=lambda item: item.key):
            yield scheduled_task(campaign, item)

    def expired_leases(self, campaign: CampaignKey, now: datetime) -> Iterator[Lease]:
        for kind in (DIAL, REPORT, ATTEMPT_REPORT):
            for item in self._due(LEASED + kind, [str(campaign)], now):
                yield lease_of(campaign, item)

    def leased_sequences(self, campaign: CampaignKey) -> set[int]:
        """The sequence numbers of the dials that are leased."""
        return self._sequences(LEASED + DIAL, campaign)

    def returned_sequences(self, campaign: CampaignKey) -> set[int]:
        """The sequence numbers of dials that came too late or are leased. They may have no record."""
        return self._sequences(RETURNED, campaign) | self.leased_sequences(campaign)

    def count_dials(self, campaign: CampaignKey, most: int, *, spread: int) -> int:
        """How many numbers wait to be dialled, due or not. Counts up to `most`."""
        returned = sum(len(one.tasks) for one in self.returned_slices(campaign))
        return min(most, returned + self._count(DIAL, campaign, spread, most))

    def count_reports(self, campaign: CampaignKey, most: int, *, spread: int) -> int:
        """How many reports wait to be sent, due or not. Counts up to `most`."""
        waiting = self._between((f"{REPORT}/", ACKNOWLEDGED), partition_keys(campaign, spread))
        return sum(1 for _ in islice(waiting, most))

    def uncounted_outcomes(self, campaign: CampaignKey, *, spread: int) -> Iterator[UncountedOutcome]:
        for item in self._of_numbers(ENDED, campaign, spread):
            yield outcome_of(campaign, item)

    def add_acknowledgement(self, campaign: CampaignKey, sequences: Iterable[int], now: datetime, nonce: str) -> None:
        """After a time-out, retry with the same `nonce`."""
        acknowledgement_item(self._items, campaign, sequences, now, nonce).save()

    def acknowledgements(self, campaign: CampaignKey) -> list[Acknowledgement]:
        return [acknowledgement_of(item) for item in self._of_slices(ACKNOWLEDGED, campaign)]

    def delete_acknowledgements(self, campaign: CampaignKey, acknowledgements: Iterable[Acknowledgement]) -> None:
        with self._items.batch_write() as batch:
            for one in acknowledgements:
                batch.delete(self._items(str(campaign), one.name))

    def any(self, campaign: CampaignKey, *, spread: int) -> bool:
        """True if the campaign has any item here."""
        return any(self._first_ones(campaign, spread, after=" ", before="~"))

    def any_unfinished(self, campaign: CampaignKey, *, spread: int) -> bool:
        """True if a number waits, is leased, is to be counted, or is to be reported.

        Acknowledgements need no work. One that is written late may never be deleted.
        """
        return any(self._first_ones(campaign, spread, after=" ", before=ACKNOWLEDGED))

    def any_in_progress(self, campaign: CampaignKey, *, spread: int) -> bool:
        """True if anything is leased, or is to be counted."""
        return any(self._first_ones(campaign, spread, after=AFTER_DIALS, before=f"{REPORT}/"))

    def first_dial(self, campaign: CampaignKey, *, spread: int) -> datetime | None:
        """When the first waiting number may be dialled; long ago if it is due at once. None if there is none."""
        first = self._first_ones(campaign, spread, after=DIAL, before=AFTER_DIALS)
        return min(map(due_at, first), default=None)

    def first_report(self, campaign: CampaignKey, *, spread: int) -> datetime | None:
        """When the first waiting report is due. None if there is none."""
        between = (f"{REPORT}/", ATTEMPT_REPORT), (ATTEMPT_REPORT, ACKNOWLEDGED)
        first = (
            item for after, before in between for item in self._first_ones(campaign, spread, after=after, before=before)
        )
        return min(map(due_at, first), default=None)

    def lease(self, scheduled: Sequence[ScheduledTask], now: datetime) -> str:
        """Replace these tasks, all dials or all reports of one campaign, by one lease. Answers its name.

        The lease is written first, so no failure loses a task. Of dials that were returned together, the first ones are
        leased, and the others are kept in an item of their own.
        """
        lease = lease_item(self._items, [one.task for one in scheduled], now + LEASE_TIME)
        replaced: list[ScheduledTask] = []
        with self._items.batch_write() as batch:
            batch.save(lease)
            for one, next_one in zip_longest(scheduled, scheduled[1:]):
                if one.following and (next_one is None or next_one.task != one.following[0]):
                    batch.save(returned_item(self._items, one.following, one.mark))
                if not any(one.task in before.following for before in replaced[-1:]):
                    replaced.append(one)
        self.delete(replaced)
        return lease.key

    def release(self, lease: Lease, now: datetime, left: Iterable[Task], *, spread: int) -> None:
        """End the lease. The tasks that are `left` of it wait again, and are due at once."""
        tasks = list(left)
        dials = [task for task in tasks if isinstance(task, DialTask)]
        if dials:
            self.add_returned(dials, new_nonce())
        with self._items.batch_write() as batch:
            for task in tasks:
                if not isinstance(task, DialTask):
                    batch.save(task_item(self._items, replace(task, not_before=now), spread))
        self.delete_lease(lease.campaign, lease.name)

    def replace_returned(self, returned: Lease, dials: Iterable[Task], *, spread: int) -> None:
        """Put an item for each of these dials, which have records, in the place of the returned slice."""
        with self._items.batch_write() as batch:
            for dial in dials:
                batch.save(task_item(self._items, dial, spread))
        self.delete_lease(returned.campaign, returned.name)

    def delete(self, scheduled: Sequence[ScheduledTask]) -> None:
        with self._items.batch_write() as batch:
            for one in scheduled:
                batch.delete(self._items(partition_key(one.task.key.campaign, one.partition), one.name))

    def delete_lease(self, campaign: CampaignKey, name: str) -> None:
        """Delete the lease, or returned slice, of this name."""
        self._items(str(campaign), name).delete()

    def returned_slices(self, campaign: CampaignKey) -> Iterator[Lease]:
        """The dials that came too late, as they were returned together."""
        for item in self._of_slices(RETURNED, campaign):
            yield lease_of(campaign, item)

    def _listed_as(self, listed: OpenCalls) -> Condition:
        """The list is as it was read."""
        same: Condition = self._items.sequences == sorted(listed.sequences)
        if listed.dispatched:
            return cast(Condition, same & (self._items.dispatched == sorted(listed.dispatched)))
        return cast(Condition, same & self._items.dispatched.does_not_exist())

    def _due(self, kind: str, partitions: Sequence[str], now: datetime) -> Iterator[TaskItem]:
        """The partitions' items in one order. Each partition is read only as far as it is needed."""
        return self._between(due_by(kind, now), partitions)

    def _due_reports(self, partition: str, now: datetime) -> Iterator[TaskItem]:
        """One request reads both kinds, unless the report of an outcome waits for its time between them."""
        of_attempts = due_by(ATTEMPT_REPORT, now)
        for item in self._between((due_by(REPORT, now)[0], of_attempts[1]), [partition]):
            if due_at(item) > now:
                yield from self._between(of_attempts, [partition])
                return
            yield item

    def _between(self, keys: tuple[str, str], partitions: Sequence[str]) -> Iterator[TaskItem]:
        between = self._items.key.between(*keys)
        found = [self._items.query(partition, between, consistent_read=True) for partition in partitions]
        return heapq.merge(*found, key=lambda item: item.key)

    def _of_slices(self, kind: str, campaign: CampaignKey) -> Iterator[TaskItem]:
        """The items of a kind that isn't spread."""
        return self._of_kind(kind, str(campaign))

    def _of_numbers(self, kind: str, campaign: CampaignKey, spread: int) -> Iterator[TaskItem]:
        """The items of a kind that is spread."""
        return chain.from_iterable(self._of_kind(kind, partition) for partition in partition_keys(campaign, spread))

    def _of_kind(self, kind: str, partition: str) -> Iterator[TaskItem]:
        return iter(self._items.query(partition, self._items.key.startswith(f"{kind}/"), consistent_read=True))

    def _count(self, kind: str, campaign: CampaignKey, spread: int, most: int) -> int:
        return sum(1 for _ in islice(self._of_numbers(kind, campaign, spread), most))

    def _sequences(self, kind: str, campaign: CampaignKey) -> set[int]:
        return {
            task.key.sequence for item in self._of_slices(kind, campaign) for task in lease_of(campaign, item).tasks
        }

    def _first_ones(self, campaign: CampaignKey, spread: int, *, after: str, before: str) -> Iterator[TaskItem]:
        """The first item of each partition between two keys. Slices, which are in the first partition, come first."""
        between = self._items.key.between(after, before)
        for partition in partition_keys(campaign, spread):
            yield from self._items.query(partition, between, limit=1, consistent_read=True)
