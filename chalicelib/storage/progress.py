"""The progress of campaigns: what the pacer and the settler write to them.

Head and cursors have a version, `pacing_version`. A pacer reserves slots on the condition that it has read the latest
version, and makes a new one. So of two pacers that read the same campaign, one reserves the slots and the other has
nothing to send.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Campaign, Cursor, Load
from chalicelib.domain.sharding import Work
from chalicelib.storage.campaign_items import cursor_actions, flat, load_actions, shard_of
from chalicelib.storage.database import Database
from chalicelib.storage.writes import Transaction, WriteRefused, conditional, new_nonce


class ProgressStore:
    def __init__(self, database: Database) -> None:
        self._items = database.campaigns

    def work_in(self, shards: Iterable[int], now: datetime) -> dict[int, list[Work]]:
        """For each of the shards, the campaigns with work that don't sleep at `now`."""
        awake = self._items.wakes_at <= now
        return {
            shard: [
                Work(CampaignKey(item.account, int(item.id)), None if item.dialers is None else float(item.dialers))
                for item in self._items.with_work.query(str(shard), awake)
            ]
            for shard in shards
        }

    def reserve(
        self, campaign: Campaign, head: int, cursors: Sequence[Cursor], *, spread: int, dialers: float | None = None
    ) -> Campaign | None:
        """Reserve the slots up to these cursors, and move the head past the numbers that were sent before.

        `spread` is written here, before a slice is sent with it, so that readers know it. `dialers` is how many dialers
        the campaign's calls keep busy; `chalicelib.calling.sharding` groups shards by it. None leaves it as it is.

        Answers the campaign as it is then. None if another pacer was first, or the campaign was started or changed.
        """
        version = new_nonce()
        actions = [
            *cursor_actions(self._items, cursors, version),
            self._items.head.set(head),
            self._items.spread.set(spread),
        ]
        if dialers is not None:
            actions.append(self._items.dialers.set(dialers))
        if not self._update(campaign, actions, self._unpaced(campaign) | (self._items.pacing_version == version)):
            return None
        return replace(campaign, head=head, cursors=tuple(cursors), pacing_version=version, spread=spread)

    def advance_head(self, campaign: Campaign, head: int, load: Load | None = None) -> bool:
        """Move the head past numbers that were sent, even if the campaign was changed. False if the head has moved."""
        actions = [self._items.head.set(head), *([] if load is None else load_actions(self._items, load))]
        return self._update(campaign, actions, self._items.head == campaign.head)

    def settle(self, before: Campaign, after: Campaign) -> bool:
        """Write what a sweep changed: `settled`, the counts, and the like. False if another settler was first."""
        nonce = new_nonce()
        actions = [*self._settling_actions(after), self._items.settled_nonce.set(nonce)]
        return self._update(before, actions, self._settled_as(before) | (self._items.settled_nonce == nonce))

    def count(self, transaction: Transaction, before: Campaign, after: Campaign) -> None:
        """The same, as a part of a transaction."""
        item = self._items(before.account, before.id)
        actions = [*self._settling_actions(after), self._items.settled_nonce.set(new_nonce())]
        if after.corrections_due != before.corrections_due:
            actions.append(self._items.corrections_due.add(after.corrections_due - before.corrections_due))
        transaction.update("campaign", item, actions, self._settled_as(before))

    def add_correction(self, transaction: Transaction, campaign: Campaign, now: datetime) -> None:
        """One correction more isn't in the counts yet, so there is work, and a campaign that sleeps is woken."""
        actions: list[Action] = [
            self._items.corrections_due.add(1),
            self._items.shard.set(shard_of(campaign.key)),
            self._items.wakes_at.set(min(campaign.wakes_at, now)),
        ]
        transaction.update("campaign", self._items(campaign.account, campaign.id), actions)

    def add_withdrawn_list(self, transaction: Transaction, campaign: Campaign, now: datetime) -> None:
        """There is one list of withdrawn numbers more, so there is work, and a campaign that sleeps is woken.

        One that is awake makes up for the slots since it woke, so it isn't woken again.
        """
        actions: list[Action] = [
            self._items.withdrawn_lists.add(1),
            self._items.shard.set(shard_of(campaign.key)),
            self._items.wakes_at.set(min(campaign.wakes_at, now)),
        ]
        transaction.update("campaign", self._items(campaign.account, campaign.id), actions, self._items.id.exists())

    def move_to_front(
        self, transaction: Transaction, campaign: Campaign, left: Sequence[range], *, is_listed: bool
    ) -> None:
        """Numbers were moved to the front. These are left, on the condition that none was moved meanwhile.

        `is_listed` is True if there is one list of withdrawn numbers more.
        """
        actions: list[Action] = [
            *([self._items.withdrawn_lists.add(1)] if is_listed else []),
            self._items.to_front.set(flat(left)) if left else self._items.to_front.remove(),
        ]
        same = self._items.to_front == flat(campaign.to_front)
        transaction.update("campaign", self._items(campaign.account, campaign.id), actions, same)

    def remove_withdrawn_lists(self, transaction: Transaction, campaign: Campaign, number: int) -> None:
        """There are fewer lists, on the condition that their number is as it was read."""
        actions: list[Action] = [self._items.withdrawn_lists.set(campaign.withdrawn_lists - number)]
        same = self._has_same("withdrawn_lists", campaign.withdrawn_lists)
        transaction.update("campaign", self._items(campaign.account, campaign.id), actions, same)

    def clear_work_flag(self, campaign: Campaign) -> None:
        """Record that there is no more work, unless the campaign has changed since it was read."""
        self._update(campaign, [self._items.shard.remove()], self._unchanged(campaign))

    def sleep(self, campaign: Campaign, until: datetime) -> None:
        """Record that there is no work before `until`, unless the campaign has changed since it was read."""
        actions: list[Action] = [self._items.wakes_at.set(until), self._items.dialers.remove()]
        self._update(campaign, actions, self._unchanged(campaign))

    def _update(self, campaign: Campaign, actions: list[Action], condition: Condition) -> bool:
        try:
            with conditional():
                self._items(campaign.account, campaign.id).update(actions, condition)
        except WriteRefused:
            return False
        return True

    def _unchanged(self, campaign: Campaign) -> Condition:
        return cast(
            Condition,
            self._unpaced(campaign)
            & self._settled_as(campaign)
            & (self._items.status == campaign.status)
            & (self._items.tail == campaign.tail)
            & (self._items.deleted == campaign.deleted)
            & (self._items.revision == campaign.revision)
            & self._has_same("corrections_due", campaign.corrections_due)
            & self._has_same("withdrawn_lists", campaign.withdrawn_lists),
        )

    def _unpaced(self, campaign: Campaign) -> Condition:
        """Head and cursors haven't been written since the campaign was read."""
        is_same = self._items.pacing_version == campaign.pacing_version
        return cast(Condition, is_same & (self._items.head == campaign.head))

    def _has_same(self, name: str, number: int) -> Condition:
        """The attribute is as it was read. A missing one was read as 0."""
        attribute = getattr(self._items, name)
        same: Condition = attribute == number
        return same if number else same | attribute.does_not_exist()

    def _settled_as(self, campaign: Campaign) -> Condition:
        """No settler has settled or counted anything since the campaign was read.

        All of these numbers only rise, but for `uncertain`, which falls only when a correction makes another rise. A
        number is added to `reports_ahead` once, and leaves it only when `settled` rises.
        """
        return cast(
            Condition,
            (self._items.settled == campaign.settled)
            & (self._items.completed == campaign.counts.completed)
            & (self._items.failed == campaign.counts.failed)
            & (self._items.uncertain == campaign.counts.uncertain)
            & self._has_same("canceled", campaign.counts.canceled)
            & self._dispatched_as(campaign),
        )

    def _dispatched_as(self, campaign: Campaign) -> Condition:
        """No settler has dispatched a report ahead of `settled` since the campaign was read."""
        if not campaign.reports_ahead:
            return cast(Condition, self._items.reports_ahead.does_not_exist())
        return cast(Condition, self._items.reports_ahead == list(campaign.reports_ahead))

    def _settling_actions(self, campaign: Campaign) -> list[Action]:
        return [
            self._items.settled.set(campaign.settled),
            self._items.completed.set(campaign.counts.completed),
            self._items.failed.set(campaign.counts.failed),
            self._items.uncertain.set(campaign.counts.uncertain),
            self._items.canceled.set(campaign.counts.canceled)
            if campaign.counts.canceled
            else self._items.canceled.remove(),
            self._items.call_time.set(campaign.call_time // timedelta(milliseconds=1)),
            self._items.observed_heads.set([seen.head for seen in campaign.head_observations]),
            self._items.observed_at.set([seen.at for seen in campaign.head_observations]),
            self._items.reports_ahead.set(list(campaign.reports_ahead))
            if campaign.reports_ahead
            else self._items.reports_ahead.remove(),
        ]
