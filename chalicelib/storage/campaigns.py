"""Campaigns as their owners see and change them. `chalicelib.storage.progress` writes what pacer and settler change.

`chalicelib.domain.campaign` decides what a request changes. This module writes the change, on the condition that the
values that it depends on are as they were read. If they aren't, the campaign is read and changed again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain import campaign as transitions
from chalicelib.domain import repeats
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Campaign, Entry, Plan
from chalicelib.domain.upload import Upload
from chalicelib.errors import NotFound, ReferenceGone
from chalicelib.storage.accounts import Kind
from chalicelib.storage.campaign_items import flat, from_item, to_item, transition_actions
from chalicelib.storage.catalog import Catalog, Profiles, Schedules
from chalicelib.storage.database import Database
from chalicelib.storage.log import Log, Staged
from chalicelib.storage.receipts import Receipt, add_receipt, commit_with_receipt
from chalicelib.storage.writes import Transaction, WriteRefused, conditional, retried

_CAMPAIGN = "campaign"


class Campaigns:
    def __init__(self, database: Database, *, log: Log, schedules: Schedules, profiles: Profiles) -> None:
        self._database = database
        self._items = database.campaigns
        self._log = log
        self._schedules = schedules
        self._profiles = profiles

    def get(self, key: CampaignKey) -> Campaign:
        """Raises NotFound, for a deleted campaign too."""
        campaign = self.find(key)
        if campaign is None or campaign.deleted:
            raise NotFound(Kind.CAMPAIGN, key.id)
        return campaign

    def find(self, key: CampaignKey) -> Campaign | None:
        """The campaign, even if it is deleted. None if there is none."""
        try:
            return from_item(self._items.get(key.account, key.id, consistent_read=True))
        except DoesNotExist:
            return None

    def page(self, account: str, *, after: int = 0, limit: int | None = None) -> Iterator[Campaign]:
        """In the order of their ids, from the first one after `after`, without the deleted ones."""
        items = self._items.query(
            account,
            self._items.id > after,
            filter_condition=self._items.deleted == False,  # noqa: E712 # the database evaluates it
            limit=limit,
            consistent_read=True,
        )
        return map(from_item, items)

    def add(self, campaign: Campaign, entries: Sequence[Entry], receipt: Receipt | None, now: datetime) -> None:
        """Raises ReferenceGone if its schedule or a profile was deleted, AlreadyAnswered, Busy."""
        transaction = self._database.transaction()
        staged = self._log.stage(campaign.key, entries, now) if entries else None
        if staged is not None:
            self._log.add(transaction, staged, first=0)
            campaign = replace(campaign, tail=staged.length, has_work=True, has_times=staged.has_times)
        transaction.put(_CAMPAIGN, to_item(self._items, campaign), condition=self._items.id.does_not_exist())
        references = self._change_uses(transaction, campaign.key, before=None, after=campaign.plan)
        add_receipt(transaction, self._database, receipt, now)
        try:
            commit_with_receipt(transaction)
        except WriteRefused as refused:
            raise ReferenceGone(_gone(references, refused)) from refused
        self._seal(staged)

    def append(
        self, key: CampaignKey, entries: Sequence[Entry], receipt: Receipt | None, now: datetime, *, first: bool = False
    ) -> None:
        """Queue the entries after those already queued, all or none. Raises NotFound, AlreadyAnswered, Busy.

        If they are to be `first`, `MovedNumbers` moves them to the front after that.
        """
        self.get(key)
        staged = self._log.stage(key, entries, now)
        retried(lambda: self._append(self.get(key), staged, receipt, now, first=first))
        self._seal(staged)

    def append_unknown(
        self,
        key: CampaignKey,
        upload: Upload,
        receipt_of: Callable[[Upload], Receipt | None],
        now: datetime,
        *,
        first: bool = False,
    ) -> Upload:
        """Queue those entries whose numbers the campaign doesn't have yet, all or none, and answer them.

        `first` is as in `append`. `receipt_of` may be called more than once. The upload has each number once.

        Raises NotFound, TooManyToCompare, AlreadyAnswered, Busy.
        """
        unknown, compared = upload, 0

        def write() -> Staged | None:
            # Nothing is ever taken out of the log. So after another upload came first, only that one is compared.
            nonlocal unknown, compared
            before = self.get(key)
            unknown = self._without_known(before, unknown, compared)
            compared = before.tail
            staged = self._log.stage(key, unknown.entries, now) if unknown.entries else None
            self._append(before, staged, receipt_of(unknown), now, first=first)
            return staged

        self._seal(retried(write))
        return unknown

    def without_known(self, key: CampaignKey, upload: Upload) -> Upload:
        """The upload as `append_unknown` would queue it now. Raises NotFound, TooManyToCompare."""
        return self._without_known(self.get(key), upload, 0)

    def _without_known(self, campaign: Campaign, upload: Upload, compared: int) -> Upload:
        """Leave out what the campaign has. The upload was compared with the numbers before `compared` already."""
        repeats.check_comparable(campaign.tail)
        return repeats.without_known(upload, self._log.uploaded(campaign.key, compared, campaign.tail))

    def _append(
        self, before: Campaign, staged: Staged | None, receipt: Receipt | None, now: datetime, *, first: bool
    ) -> None:
        """Queue what is staged, if anything is, on the condition that the campaign's tail is as it was read."""
        transaction = self._database.transaction()
        if staged is not None:
            after = transitions.appended(before, staged.length, now, has_times=staged.has_times, first=first)
            self._log.add(transaction, staged, first=before.tail)
            guards = (self._items.tail == before.tail, self._unmoved(before, after), self._same_front(before, after))
            self._update(transaction, before, after, *guards)
        elif receipt is None:
            return
        add_receipt(transaction, self._database, receipt, now)
        commit_with_receipt(transaction)

    def change(self, key: CampaignKey, revise: Callable[[Plan], Plan], now: datetime) -> None:
        """Replace the plan by the revised one; `revise` may be called more than once.

        Raises NotFound, ReferenceGone if the new schedule or a new profile was deleted, Busy.
        """

        def write() -> None:
            before = self.get(key)
            after = transitions.changed(before, revise(before.plan), now)
            if after == before:
                return
            transaction = self._database.transaction()
            self._update(transaction, before, after, self._unmoved(before, after))
            references = self._change_uses(transaction, key, before=before.plan, after=after.plan)
            try:
                transaction.commit()
            except WriteRefused as refused:
                if _CAMPAIGN in refused.parts:
                    raise
                raise ReferenceGone(_gone(references, refused)) from refused

        retried(write)

    def start(self, key: CampaignKey, receipt: Receipt | None, now: datetime) -> None:
        """Raises NotFound, AlreadyAnswered, Busy. A running campaign stays as it is."""
        self._turn(key, lambda campaign: transitions.started(campaign, now), receipt, now)

    def stop(self, key: CampaignKey, receipt: Receipt | None, now: datetime) -> None:
        """Raises NotFound, AlreadyAnswered, Busy. A campaign that doesn't run stays as it is."""
        self._turn(key, transitions.stopped, receipt, now)

    def delete(self, key: CampaignKey, now: datetime) -> None:
        """Stop it, and remove it from the users of what it refers to. Raises NotFound, Busy."""

        def write() -> None:
            before = self.get(key)
            transaction = self._database.transaction()
            after = transitions.deleted(before, now)
            self._update(transaction, before, after, self._unturned(before), self._same_front(before, after))
            self._change_uses(transaction, key, before=before.plan, after=None)
            transaction.commit()

        retried(write)

    def wake_users(self, catalog: Catalog[Any], account: str, identifier: int, now: datetime) -> None:
        """Wake the campaigns that use a schedule or profile which was changed.

        They get a new revision. So a settler that read one before the change can't put it to sleep.
        """
        actions: list[Action] = [self._items.wakes_at.set(now), self._items.revision.add(1)]
        for user in catalog.users(account, identifier):
            with suppress(WriteRefused), conditional():
                self._items(account, user).update(actions, self._items.deleted == False)  # noqa: E712

    def _turn(
        self, key: CampaignKey, turn: Callable[[Campaign], Campaign], receipt: Receipt | None, now: datetime
    ) -> None:
        """Start or stop it, on the condition that no other request did so meanwhile."""

        def write() -> None:
            before = self.get(key)
            after = turn(before)
            transaction = self._database.transaction()
            if after != before:
                self._update(transaction, before, after, self._unturned(before))
            elif receipt is None:
                return
            add_receipt(transaction, self._database, receipt, now)
            commit_with_receipt(transaction)

        retried(write)

    def _update(self, transaction: Transaction, before: Campaign, after: Campaign, *guards: Condition | None) -> None:
        """Make the transition a part of the transaction, on the condition of its guards.

        No transition has more guards than it needs: an append must not be refused because the pacer moved the head.
        """
        unchanged = cast(
            Condition,
            (self._items.deleted == before.deleted)
            & (self._items.revision == before.revision)
            & (self._items.wakes_at == before.wakes_at),
        )
        for guard in guards:
            if guard is not None:
                unchanged &= guard
        item = self._items(before.account, before.id)
        transaction.update(_CAMPAIGN, item, transition_actions(self._items, before, after), unchanged)

    def _unturned(self, before: Campaign) -> Condition:
        """The guard of a transition that starts or stops the campaign: nobody else did so meanwhile."""
        is_same = (self._items.status == before.status) & (self._items.generation == before.generation)
        return cast(Condition, is_same)

    def _unmoved(self, before: Campaign, after: Campaign) -> Condition | None:
        """The guard of a transition that moves the cursors: no pacer moved them meanwhile."""
        if after.pacing_version == before.pacing_version:
            return None
        return cast(Condition, self._items.pacing_version == before.pacing_version)

    def _same_front(self, before: Campaign, after: Campaign) -> Condition | None:
        """The guard of a transition that adds to the numbers that are to be first: none was moved meanwhile."""
        if after.to_front == before.to_front:
            return None
        if not before.to_front:
            return cast(Condition, self._items.to_front.does_not_exist())
        return cast(Condition, self._items.to_front == flat(before.to_front))

    def _change_uses(
        self, transaction: Transaction, key: CampaignKey, *, before: Plan | None, after: Plan | None
    ) -> dict[str, str]:
        """Remove the campaign from the users of what it no longer refers to, and add it to those of what it does now.

        Answers the parts of the transaction that are refused if something was deleted, each with the field that
        refers to it.
        """
        old, new = _references(before), _references(after)
        parts: dict[str, str] = {}
        for catalog, field in ((self._schedules, "schedule"), (self._profiles, "profiles")):
            for reference in old.get(catalog.kind, set()) - new.get(catalog.kind, set()):
                catalog.remove_use(transaction, key, reference)
            for reference in new.get(catalog.kind, set()) - old.get(catalog.kind, set()):
                parts[catalog.add_use(transaction, key, reference)] = field
        return parts

    def _seal(self, staged: Staged | None) -> None:
        if staged is not None and staged.only_chunk is None:
            self._log.seal(staged.campaign)


def _references(plan: Plan | None) -> dict[Kind, set[int]]:
    if plan is None:
        return {}
    return {Kind.SCHEDULE: {plan.schedule_id}, Kind.PROFILE: set(plan.profile_ids)}


def _gone(references: dict[str, str], refused: WriteRefused) -> set[str]:
    """The fields that refer to something deleted."""
    return {references[part] for part in refused.parts if part in references}
