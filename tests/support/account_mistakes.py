"""Mistakes by which accounts could come to see, count or change what isn't theirs: for a test that must notice each."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import cycle
from typing import Any

import pytest

from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Campaign, Entry, Profile
from chalicelib.errors import NotFound
from chalicelib.storage.accounts import Accounts, Kind
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.catalog import Catalog, Profiles
from chalicelib.storage.log import Log, Staged
from chalicelib.storage.receipts import Receipt, Receipts
from tests.support.two_accounts import the_other

Mistake = Callable[[pytest.MonkeyPatch], None]


def a_campaign_is_found_by_its_id_alone(patch: pytest.MonkeyPatch) -> None:
    """Every second time: a change of what is always found, but never there, would be tried for ever."""
    get, turns = Campaigns.get, cycle([True, False])

    def found(self: Campaigns, key: CampaignKey) -> Campaign:
        try:
            return get(self, key)
        except NotFound:
            if next(turns):
                return get(self, CampaignKey(the_other(key.account), key.id))
            raise

    patch.setattr(Campaigns, "get", found)


def another_accounts_nickname_can_be_chosen(patch: pytest.MonkeyPatch) -> None:
    find = Catalog.find

    def found(self: Catalog[Any], account: str, reference: str) -> Any:
        try:
            return find(self, account, reference)
        except NotFound:
            return find(self, the_other(account), reference)

    patch.setattr(Catalog, "find", found)


def a_list_holds_everybodys_profiles(patch: pytest.MonkeyPatch) -> None:
    page = Profiles.page

    def everybodys(self: Profiles, account: str, **part: Any) -> list[Profile]:
        return page(self, account, **part) + page(self, the_other(account), **part)

    patch.setattr(Profiles, "page", everybodys)


def a_queue_is_kept_by_its_campaigns_id_alone(patch: pytest.MonkeyPatch) -> None:
    def key(campaign: str, _: str, number: int) -> str:
        return f"{campaign.rpartition('/')[2]}/{number}"

    patch.setattr("chalicelib.storage.log._chunk_key", key)
    patch.setattr("chalicelib.storage.log.INLINE_BYTES", 0)  # so that small uploads have chunks, too


def a_key_is_everybodys(patch: pytest.MonkeyPatch) -> None:
    find = Receipts.find

    def found(self: Receipts, account: str, key: str, now: datetime) -> Receipt | None:
        return find(self, account, key, now) or find(self, the_other(account), key, now)

    patch.setattr(Receipts, "find", found)


def accounts_count_together(patch: pytest.MonkeyPatch) -> None:
    next_id = Accounts.next_id

    def together(self: Accounts, account: str, kind: Kind) -> int:
        return next_id(self, min(account, the_other(account)), kind)

    patch.setattr(Accounts, "next_id", together)


def a_deleted_profiles_id_is_used_again(patch: pytest.MonkeyPatch) -> None:
    delete = Profiles.delete

    def forgotten(self: Profiles, account: str, identifier: int) -> None:
        delete(self, account, identifier)
        highest = max((profile.id for profile in self.page(account)), default=0)
        accounts = self._database.accounts
        accounts(account).update(actions=[accounts.last_profile.set(highest)])

    patch.setattr(Profiles, "delete", forgotten)


def a_deleted_campaign_is_shown(patch: pytest.MonkeyPatch) -> None:
    def found(self: Campaigns, key: CampaignKey) -> Campaign:
        campaign = self.find(key)
        if campaign is None:
            raise NotFound(Kind.CAMPAIGN, key.id)
        return campaign

    patch.setattr(Campaigns, "get", found)


def the_first_campaign_that_uses_it_is_told(patch: pytest.MonkeyPatch) -> None:
    def lowest(self: Catalog[Any], account: str, identifier: int) -> int | None:
        users = self._items.query(account, self._items.key.startswith(f"use/{self._key(identifier)}/"))
        return next((int(user.id) for user in users), None)

    patch.setattr(Catalog, "_highest_user", lowest)


def an_upload_is_queued_backwards(patch: pytest.MonkeyPatch) -> None:
    stage = Log.stage

    def backwards(self: Log, campaign: CampaignKey, entries: Sequence[Entry], now: datetime) -> Staged:
        return stage(self, campaign, entries[::-1], now)

    patch.setattr(Log, "stage", backwards)


#: those that show within some steps
PLAIN_MISTAKES: tuple[Mistake, ...] = (
    a_campaign_is_found_by_its_id_alone,
    a_list_holds_everybodys_profiles,
    a_queue_is_kept_by_its_campaigns_id_alone,
    a_key_is_everybodys,
    accounts_count_together,
    a_deleted_profiles_id_is_used_again,
    a_deleted_campaign_is_shown,
    an_upload_is_queued_backwards,
)
#: and those that show only if the right things happen
EVERY_MISTAKE = (*PLAIN_MISTAKES, another_accounts_nickname_can_be_chosen, the_first_campaign_that_uses_it_is_told)
