"""Campaigns: their plans, their state, and how far their queues have come.

Every change is one conditional write on the campaign's item, so what happens at once happens in some order.
"""

import logging
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, cast

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain import pacing
from chalicelib.domain.models import Campaign, Counts, Cursor, Entry, Plan, Status, Window
from chalicelib.errors import InvalidFields, NotFound
from chalicelib.storage.accounts import Kind
from chalicelib.storage.catalog import Profiles, Schedules
from chalicelib.storage.log import Log, Staged
from chalicelib.storage.receipts import Receipt, add_receipt, with_receipt
from chalicelib.storage.tables import CampaignItem, Database, WindowMap
from chalicelib.storage.writes import Transaction, WriteRefused, conditional, new_nonce

logger = logging.getLogger(__name__)

#: How many parts the index of campaigns with work is cut into: each can be looked after by itself.
SHARDS = 16
_CAMPAIGN = "campaign"


def campaign_key(account: str, identifier: int) -> str:
    """What belongs to a campaign in other tables carries this."""
    return f"{account}/{identifier}"


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
            return _campaign(self._items.get(account, identifier, consistent_read=True))
        except DoesNotExist:
            return None

    def page(self, account: str, *, after: int = 0, limit: int | None = None) -> list[Campaign]:
        """In the order of their ids, from the first one after `after`, without the deleted ones."""
        items = self._items.query(
            account,
            self._items.id > after,
            filter_condition=self._items.deleted == False,  # noqa: E712 # a condition of the database's
            limit=limit,
            consistent_read=True,
        )
        return [_campaign(item) for item in items]

    def add(self, campaign: Campaign, entries: Sequence[Entry], receipt: Receipt | None, now: datetime) -> None:
        """Raises InvalidFields if its schedule or a profile is gone by now, AlreadyAnswered, Busy."""
        key = campaign_key(campaign.account, campaign.id)
        transaction = self._database.transaction()
        staged = self._log.stage(key, entries, now) if entries else None
        if staged is not None:
            self._log.add(transaction, staged, first=0)
            campaign = replace(campaign, tail=staged.length)
        item = _item(self._items, campaign)
        if staged is not None:
            item.attention = _shard(key)
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
        while True:
            transaction = self._database.transaction()
            self._log.add(transaction, staged, first=campaign.tail)
            unmoved = (self._items.tail == campaign.tail) & (self._items.deleted == False)  # noqa: E712
            actions = [self._items.tail.set(campaign.tail + staged.length), *self._raise_attention(key)]
            if campaign.head == campaign.tail:
                # While the queue was empty no slot was missed, so there is none to be made up for.
                unmoved &= self._items.head == campaign.head
                actions += self._set_cursors(pacing.fresh(len(campaign.cursors), now, campaign.cursors))
            transaction.update(_CAMPAIGN, self._items(account, identifier), actions, unmoved)
            add_receipt(transaction, self._database, receipt, now)
            try:
                with_receipt(transaction)
            except WriteRefused:
                campaign = self.get(account, identifier)
                continue
            break
        self._seal(staged)

    def change(self, account: str, identifier: int, revise: Callable[[Plan], Plan], now: datetime) -> None:
        """Put the revised plan in the place of the one that stands; `revise` may be asked more than once.

        Raises NotFound, and InvalidFields if the new schedule or a new profile is gone by now.
        """
        while True:
            campaign = self.get(account, identifier)
            plan = revise(campaign.plan)
            if plan == campaign.plan:
                return
            transaction = self._database.transaction()
            actions = [
                *_plan_actions(self._items, plan),
                self._items.revision.set(campaign.revision + 1),
                *self._raise_attention(campaign_key(account, identifier)),
            ]
            if campaign.cursors and plan.windows != campaign.plan.windows:
                actions += self._set_cursors(pacing.fresh(len(plan.windows), now, campaign.cursors))
            transaction.update(_CAMPAIGN, self._items(account, identifier), actions, self._unchanged(campaign))
            parts = self._move_uses(transaction, account, identifier, before=campaign.plan, after=plan)
            try:
                transaction.commit()
            except WriteRefused as refused:
                if _CAMPAIGN in refused.parts:
                    continue
                raise _gone(parts, refused) from refused
            return

    def start(self, account: str, identifier: int, receipt: Receipt | None, now: datetime) -> None:
        """Raises NotFound, AlreadyAnswered. A running campaign stays as it is."""

        def actions(campaign: Campaign) -> list[Action]:
            return [
                self._items.status.set(Status.RUNNING),
                self._items.generation.set(campaign.generation + 1),
                *self._set_cursors(pacing.fresh(len(campaign.plan.windows), now)),
                *self._raise_attention(campaign_key(account, identifier)),
            ]

        self._turn(account, identifier, lambda status: status is not Status.RUNNING, actions, receipt, now)

    def stop(self, account: str, identifier: int, receipt: Receipt | None, now: datetime) -> None:
        """Raises NotFound, AlreadyAnswered. A campaign that doesn't run stays as it is."""

        def actions(_: Campaign) -> list[Action]:
            return [self._items.status.set(Status.STOPPED)]

        self._turn(account, identifier, lambda status: status is Status.RUNNING, actions, receipt, now)

    def delete(self, account: str, identifier: int) -> None:
        """Stop it, and let go of what it refers to. Raises NotFound."""
        while True:
            campaign = self.get(account, identifier)
            transaction = self._database.transaction()
            transaction.update(
                _CAMPAIGN,
                self._items(account, identifier),
                [
                    self._items.deleted.set(True),
                    self._items.status.set(Status.STOPPED),
                    *self._raise_attention(campaign_key(account, identifier)),
                ],
                self._unchanged(campaign),
            )
            self._move_uses(transaction, account, identifier, before=campaign.plan, after=None)
            try:
                transaction.commit()
            except WriteRefused:
                continue
            return

    def with_work(self, shard: int) -> list[tuple[str, int]]:
        """The account and id of each campaign of the shard that there is something to do for."""
        return [(item.account, int(item.id)) for item in self._items.with_work.query(str(shard))]

    def advance(self, campaign: Campaign, head: int, cursors: Sequence[Cursor]) -> Campaign | None:
        """The numbers up to `head` are handed over. Answers the campaign as it is now.

        None if another pacer handed them over first, or if there is no more to be done on these terms: the campaign
        was started anew or changed meanwhile. Even then the head moves, since the dialer has the numbers; but the
        cursors stay those of the new terms.
        """
        nonce = new_nonce()
        item = self._items(campaign.account, campaign.id)
        unmoved = (self._items.head == campaign.head) | (self._items.head_nonce == nonce)
        moves: list[Action] = [self._items.head.set(head), self._items.head_nonce.set(nonce)]
        same_terms = (self._items.generation == campaign.generation) & (self._items.revision == campaign.revision)
        try:
            with conditional():
                item.update([*moves, *self._set_cursors(cursors)], unmoved & same_terms)
            return replace(campaign, head=head, cursors=tuple(cursors))
        except WriteRefused:
            pass
        try:
            with conditional():
                item.update(moves, unmoved)
        except WriteRefused:
            logger.info("campaign %s: handed over by another pacer", campaign_key(campaign.account, campaign.id))
        return None

    def settle(self, before: Campaign, after: Campaign) -> bool:
        """Move `settled`, the counts and the sweep's mark to those of `after`. False if another settler was first."""
        nonce = new_nonce()
        moves = [*self._settled_moves(after), self._items.settled_nonce.set(nonce)]
        try:
            with conditional():
                self._items(before.account, before.id).update(
                    moves, self._settled_as(before) | (self._items.settled_nonce == nonce)
                )
        except WriteRefused:
            return False
        return True

    def count(self, transaction: Transaction, before: Campaign, after: Campaign) -> None:
        """The same as a part of a transaction."""
        item = self._items(before.account, before.id)
        transaction.update(_CAMPAIGN, item, self._settled_moves(after), self._settled_as(before))

    def rest(self, campaign: Campaign) -> None:
        """There is nothing to do for it, unless something has changed since it was read."""
        item = self._items(campaign.account, campaign.id)
        unchanged = (
            (self._items.status == campaign.status)
            & (self._items.generation == campaign.generation)
            & (self._items.tail == campaign.tail)
            & (self._items.head == campaign.head)
            & (self._items.settled == campaign.settled)
            & self._unchanged(campaign)
        )
        try:
            with conditional():
                item.update([self._items.attention.remove()], unchanged)
        except WriteRefused:
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
            except WriteRefused:
                continue
            return

    def _unchanged(self, campaign: Campaign) -> Condition:
        return cast(Condition, (self._items.deleted == campaign.deleted) & (self._items.revision == campaign.revision))

    def _settled_moves(self, campaign: Campaign) -> list[Action]:
        moves: list[Action] = [
            self._items.settled.set(campaign.settled),
            self._items.completed.set(campaign.counts.completed),
            self._items.failed.set(campaign.counts.failed),
            self._items.uncertain.set(campaign.counts.uncertain),
        ]
        if campaign.swept_at is not None:
            moves += [
                self._items.swept_head.set(campaign.swept_head),
                self._items.swept_at.set(campaign.swept_at),
            ]
        return moves

    def _settled_as(self, campaign: Campaign) -> Condition:
        """They only rise, so together they tell one settler's step from another's."""
        return cast(
            Condition,
            (self._items.settled == campaign.settled)
            & (self._items.completed == campaign.counts.completed)
            & (self._items.failed == campaign.counts.failed)
            & (self._items.uncertain == campaign.counts.uncertain),
        )

    def _raise_attention(self, key: str) -> list[Action]:
        return [self._items.attention.set(_shard(key))]

    def _set_cursors(self, cursors: Sequence[Cursor]) -> list[Action]:
        return [
            self._items.paced_until.set([cursor.released for cursor in cursors]),
            self._items.paced_due.set([cursor.due for cursor in cursors]),
        ]

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


def _plan_actions(items: type[CampaignItem], plan: Plan) -> list[Action]:
    values = _plan_values(plan)
    return [
        getattr(items, name).remove() if value is None else getattr(items, name).set(value)
        for name, value in values.items()
    ]


def _plan_values(plan: Plan) -> dict[str, Any]:
    return {
        "start_date": plan.start_date.isoformat(),
        "end_date": plan.end_date.isoformat(),
        "schedule_id": plan.schedule_id,
        "windows": [_window_map(window) for window in plan.windows],
        "start_url": plan.start_url,
        "result_url": plan.result_url,
        "max_retries": plan.max_retries,
        "retry_interval": plan.retry_interval,
    }


def _window_map(window: Window) -> WindowMap:
    return WindowMap(profile_id=window.profile_id, start=window.start, end=window.end)  # type: ignore[no-untyped-call] # untyped in pynamodb


def _item(items: type[CampaignItem], campaign: Campaign) -> CampaignItem:
    return items(
        campaign.account,
        campaign.id,
        campaign=campaign_key(campaign.account, campaign.id),
        **_plan_values(campaign.plan),
        revision=campaign.revision,
        status=campaign.status,
        deleted=campaign.deleted,
        generation=campaign.generation,
        tail=campaign.tail,
        head=campaign.head,
        settled=campaign.settled,
        completed=campaign.counts.completed,
        failed=campaign.counts.failed,
        uncertain=campaign.counts.uncertain,
        paced_until=[cursor.released for cursor in campaign.cursors],
        paced_due=[cursor.due for cursor in campaign.cursors],
    )


def _campaign(item: CampaignItem) -> Campaign:
    plan = Plan(
        start_date=date.fromisoformat(item.start_date),
        end_date=date.fromisoformat(item.end_date),
        schedule_id=int(item.schedule_id),
        windows=tuple(Window(int(w.profile_id), int(w.start), int(w.end)) for w in item.windows),
        start_url=item.start_url,
        result_url=item.result_url,
        max_retries=int(item.max_retries),
        retry_interval=int(item.retry_interval),
    )
    return Campaign(
        account=item.account,
        id=int(item.id),
        plan=plan,
        revision=int(item.revision),
        status=Status(item.status),
        deleted=bool(item.deleted),
        generation=int(item.generation),
        tail=int(item.tail),
        head=int(item.head),
        settled=int(item.settled),
        counts=Counts(int(item.completed), int(item.failed), int(item.uncertain)),
        swept_head=int(item.swept_head or 0),
        swept_at=item.swept_at,
        cursors=_cursors(item.paced_until, item.paced_due),
    )


def _cursors(released: Iterable[datetime], due: Iterable[datetime]) -> tuple[Cursor, ...]:
    return tuple(Cursor(*pair) for pair in zip(released, due, strict=True))
