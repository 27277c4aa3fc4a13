"""Mistakes by which accounts could come to see, count or change what isn't theirs: for a test that must notice each."""

from collections.abc import Callable, Iterator
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
from chalicelib.storage.log import Log
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
    """The text of a campaign's key is what its queue is stored under."""
    patch.setattr(CampaignKey, "__str__", lambda key: str(key.id))


def a_queue_is_read_by_its_campaigns_id_alone(patch: pytest.MonkeyPatch) -> None:
    read = Log.read

    def found(self: Log, campaign: CampaignKey, first: int, length: int) -> Iterator[tuple[int, Entry]]:
        others = CampaignKey(the_other(campaign.account), campaign.id)
        return iter([*read(self, others, first, length)] or read(self, campaign, first, length))

    patch.setattr(Log, "read", found)


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


MISTAKES: tuple[Mistake, ...] = (
    a_campaign_is_found_by_its_id_alone,
    another_accounts_nickname_can_be_chosen,
    a_list_holds_everybodys_profiles,
    a_queue_is_kept_by_its_campaigns_id_alone,
    a_queue_is_read_by_its_campaigns_id_alone,
    a_key_is_everybodys,
    accounts_count_together,
)
