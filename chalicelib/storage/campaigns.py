"""Campaigns as their owners see and change them. How far they come is written in `chalicelib.storage.progress`.

Every change is conditional on what it was made on, and made again on what it then finds; so what happens at once
happens in some order.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain import pacing
from chalicelib.domain.models import Campaign, Entry, Plan, Status
from chalicelib.errors import InvalidFields, NotFound
from chalicelib.storage.accounts import Kind
from chalicelib.storage.campaign_items import campaign_key, cursor_actions, from_item, plan_actions, to_item
from chalicelib.storage.catalog import Catalog, Profiles, Schedules
from chalicelib.storage.database import Database
from chalicelib.storage.log import Log, Staged
from chalicelib.storage.receipts import Receipt, add_receipt, with_receipt
from chalicelib.storage.writes import Transaction, Tries, WriteRefused, conditional

#: How many parts the index of campaigns with work is cut into: each can be looked after by itself.
SHARDS = 16
_CAMPAIGN = "campaign"


class Campaigns:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._items = database.campaigns
        self._schedules = Schedules(database)
        self._profiles = Profiles(database)
        self._log = Log(database)

    def get(self, account: str, identifier: int) -> Campaign:
        """Raises NotFound, for a deleted campaign too."""
        campaign = self.find(account, identifier)
        if campaign is None or campaign.deleted:
            raise NotFound(Kind.CAMPAIGN, identifier)
        return campaign

    def find(self, account: str, identifier: int) -> Campaign | None:
        """The campaign even if it is deleted, as long as anything of it is kept."""
        try:
            return from_item(self._items.get(account, identifier, consistent_read=True))
        except DoesNotExist:
            return None

    def page(self, account: str, *, after: int = 0, limit: int | None = None) -> Iterator[Campaign]:
        """In the order of their ids, from the first one after `after`, without the deleted ones."""
        items = self._items.query(
            account,
            self._items.id > after,
            filter_condition=self._items.deleted == False,  # noqa: E712 # a condition of the database's
            limit=limit,
            consistent_read=True,
        )
        return map(from_item, items)

    def add(self, campaign: Campaign, entries: Sequence[Entry], receipt: Receipt | None, now: datetime) -> None:
        """Raises InvalidFields if its schedule or a profile is gone by now, AlreadyAnswered, Busy."""
        key = campaign_key(campaign.account, campaign.id)
        transaction = self._database.transaction()
        staged = self._log.stage(key, entries, now) if entries else None
        if staged is not None:
            self._log.add(transaction, staged, first=0)
            campaign = replace(campaign, tail=staged.length)
        item = to_item(self._items, campaign)
        if staged is not None:
            item.work_shard = _shard(key)
        transaction.put(_CAMPAIGN, item, condition=self._items.id.does_not_exist())
        parts = self._move_uses(transaction, campaign.account, campaign.id, before=None, after=campaign.plan)
        add_receipt(transaction, self._database, receipt, now)
        try:
            with_receipt(transaction)
        except WriteRefused as refused:
            raise _gone(parts, refused) from refused
        self._seal(staged)

    def append(
        self, account: str, identifier: int, entries: Sequence[Entry], receipt: Receipt | None, now: datetime
    ) -> None:
        """Queue the entries after those already there, all or none. Raises NotFound, AlreadyAnswered, Busy."""
        key = campaign_key(account, identifier)
        campaign = self.get(account, identifier)
        staged = self._log.stage(key, entries, now)
        tries = Tries()
        while True:
            transaction = self._database.transaction()
            self._log.add(transaction, staged, first=campaign.tail)
            unmoved = (self._items.tail == campaign.tail) & self._unchanged(campaign)
            actions = [self._items.tail.set(campaign.tail + staged.length), *self._flag_work(campaign, now)]
            if campaign.head == campaign.tail:
                # While the queue was empty no slot was missed, so there is none to be made up for.
                unmoved &= self._items.paced == campaign.paced
                actions += cursor_actions(self._items, pacing.fresh(len(campaign.cursors), now, campaign.cursors))
            transaction.update(_CAMPAIGN, self._items(account, identifier), actions, unmoved)
            add_receipt(transaction, self._database, receipt, now)
            try:
                with_receipt(transaction)
            except WriteRefused as refused:
                tries.again(refused)
                campaign = self.get(account, identifier)
                continue
            break
        self._seal(staged)

    def change(self, account: str, identifier: int, revise: Callable[[Plan], Plan], now: datetime) -> None:
        """Put the revised plan in the place of the one that stands; `revise` may be asked more than once.

        Raises NotFound, and InvalidFields if the new schedule or a new profile is gone by now.
        """
        tries = Tries()
        while True:
            campaign = self.get(account, identifier)
            plan = revise(campaign.plan)
            if plan == campaign.plan:
                return
            transaction = self._database.transaction()
            actions = [
                *plan_actions(self._items, plan),
                self._items.revision.set(campaign.revision + 1),
                *self._flag_work(campaign, now),
            ]
            unchanged = self._unchanged(campaign)
            if plan.windows != campaign.plan.windows:
                windows = len(plan.windows) if campaign.cursors else 0
                actions += cursor_actions(self._items, pacing.fresh(windows, now, campaign.cursors))
                unchanged &= self._items.paced == campaign.paced
            transaction.update(_CAMPAIGN, self._items(account, identifier), actions, unchanged)
            parts = self._move_uses(transaction, account, identifier, before=campaign.plan, after=plan)
            try:
                transaction.commit()
            except WriteRefused as refused:
                if _CAMPAIGN in refused.parts:
                    tries.again(refused)
                    continue
                raise _gone(parts, refused) from refused
            return

    def start(self, account: str, identifier: int, receipt: Receipt | None, now: datetime) -> None:
        """Raises NotFound, AlreadyAnswered. A running campaign stays as it is."""

        def actions(campaign: Campaign) -> list[Action]:
            return [
                self._items.status.set(Status.RUNNING),
                self._items.generation.set(campaign.generation + 1),
                *cursor_actions(self._items, pacing.fresh(len(campaign.plan.windows), now)),
                *self._flag_work(campaign, now),
            ]

        self._turn(account, identifier, lambda status: status is not Status.RUNNING, actions, receipt, now)

    def stop(self, account: str, identifier: int, receipt: Receipt | None, now: datetime) -> None:
        """Raises NotFound, AlreadyAnswered. A campaign that doesn't run stays as it is."""

        def actions(_: Campaign) -> list[Action]:
            return [self._items.status.set(Status.STOPPED)]

        self._turn(account, identifier, lambda status: status is Status.RUNNING, actions, receipt, now)

    def delete(self, account: str, identifier: int, now: datetime) -> None:
        """Stop it, and let go of what it refers to. Raises NotFound."""
        tries = Tries()
        while True:
            campaign = self.get(account, identifier)
            transaction = self._database.transaction()
            transaction.update(
                _CAMPAIGN,
                self._items(account, identifier),
                [
                    self._items.deleted.set(True),
                    self._items.status.set(Status.STOPPED),
                    *self._flag_work(campaign, now),
                ],
                self._unchanged(campaign),
            )
            self._move_uses(transaction, account, identifier, before=campaign.plan, after=None)
            try:
                transaction.commit()
            except WriteRefused as refused:
                tries.again(refused)
                continue
            return

    def _turn(
        self,
        account: str,
        identifier: int,
        turns: Callable[[Status], bool],
        actions: Callable[[Campaign], list[Action]],
        receipt: Receipt | None,
        now: datetime,
    ) -> None:
        tries = Tries()
        while True:
            campaign = self.get(account, identifier)
            transaction = self._database.transaction()
            if turns(campaign.status):
                unchanged = (self._items.status == campaign.status) & (self._items.generation == campaign.generation)
                transaction.update(
                    _CAMPAIGN,
                    self._items(account, identifier),
                    actions(campaign),
                    unchanged & self._unchanged(campaign),
                )
            elif receipt is None:
                return
            add_receipt(transaction, self._database, receipt, now)
            try:
                with_receipt(transaction)
            except WriteRefused as refused:
                tries.again(refused)
                continue
            return

    def wake_users(self, catalog: Catalog[Any], account: str, identifier: int, now: datetime) -> None:
        """A schedule or profile was changed, so those that refer to it may have something to do.

        They get another revision: whoever is about to put one to sleep doesn't know of the change yet.
        """
        actions: list[Action] = [self._items.wakes_at.set(now), self._items.revision.add(1)]
        for user in catalog.users(account, identifier):
            with suppress(WriteRefused), conditional():
                self._items(account, user).update(actions, self._items.deleted == False)  # noqa: E712

    def _unchanged(self, campaign: Campaign) -> Condition:
        return cast(
            Condition,
            (self._items.deleted == campaign.deleted)
            & (self._items.revision == campaign.revision)
            & (self._items.wakes_at == campaign.wakes_at),
        )

    def _flag_work(self, campaign: Campaign, now: datetime) -> list[Action]:
        """There is something to do for it. A campaign that sleeps is woken; `_unchanged` tells whether it does."""
        work_shard = self._items.work_shard.set(_shard(campaign_key(campaign.account, campaign.id)))
        return [work_shard, self._items.wakes_at.set(now)] if campaign.wakes_at > now else [work_shard]

    def _move_uses(
        self, transaction: Transaction, account: str, identifier: int, *, before: Plan | None, after: Plan | None
    ) -> dict[str, str]:
        """Count the campaign out of what it no longer refers to, and in on what it now does.

        Answers the transaction's parts that are refused when something is gone, each with the field that named it.
        """
        used, uses = _references(before), _references(after)
        parts: dict[str, str] = {}
        for catalog, field in ((self._schedules, "schedule"), (self._profiles, "profiles")):
            for reference in used.get(catalog.kind, set()) - uses.get(catalog.kind, set()):
                catalog.remove_use(transaction, account, reference, identifier)
            for reference in uses.get(catalog.kind, set()) - used.get(catalog.kind, set()):
                parts[catalog.add_use(transaction, account, reference, identifier)] = field
        return parts

    def _seal(self, staged: Staged | None) -> None:
        if staged is not None and staged.only_chunk is None:
            self._log.seal(staged.campaign)


def _references(plan: Plan | None) -> dict[Kind, set[int]]:
    if plan is None:
        return {}
    return {Kind.SCHEDULE: {plan.schedule_id}, Kind.PROFILE: set(plan.profile_ids)}


def _gone(parts: dict[str, str], refused: WriteRefused) -> InvalidFields:
    fields = {parts[part] for part in refused.parts if part in parts}
    return InvalidFields({field: [f"The selected {field} is invalid."] for field in sorted(fields)})


def _shard(key: str) -> str:
    return str(zlib.crc32(key.encode()) % SHARDS)
