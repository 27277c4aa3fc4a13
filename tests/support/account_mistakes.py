"""Mistakes that let an account read, count or change what belongs to another. A test must notice each."""

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
    """The other account's campaign is found every second time only.

    A change reads the campaign again after each refused write. If it found the campaign each time, it would never end.
    """
    get, turns = Campaigns.get, cycle([True, False])

    def found(self: Campaigns, key: CampaignKey) -> Campaign:
        try:
            return get(self, key)
        except NotFound:
            if next(turns):
                return get(self, CampaignKey(the_other(key.account), key.id))
            raise

    patch.setattr(Campaigns, "get", found)


def another_accounts_nickname_is_found(patch: pytest.MonkeyPatch) -> None:
    find = Catalog.find

    def found(self: Catalog[Any], account: str, reference: str) -> Any:
        try:
            return find(self, account, reference)
        except NotFound:
            return find(self, the_other(account), reference)

    patch.setattr(Catalog, "find", found)


def a_list_holds_the_profiles_of_both_accounts(patch: pytest.MonkeyPatch) -> None:
    page = Profiles.page

    def of_both_accounts(self: Profiles, account: str, **part: Any) -> list[Profile]:
        return page(self, account, **part) + page(self, the_other(account), **part)

    patch.setattr(Profiles, "page", of_both_accounts)


def a_queue_is_kept_by_its_campaigns_id_alone(patch: pytest.MonkeyPatch) -> None:
    """A campaign's queue is stored under the text of its key."""
    patch.setattr(CampaignKey, "__str__", lambda key: str(key.id))


def a_queue_is_read_by_its_campaigns_id_alone(patch: pytest.MonkeyPatch) -> None:
    read = Log.read

    def found(self: Log, campaign: CampaignKey, first: int, length: int) -> Iterator[tuple[int, Entry]]:
        others = CampaignKey(the_other(campaign.account), campaign.id)
        return iter([*read(self, others, first, length)] or read(self, campaign, first, length))

    patch.setattr(Log, "read", found)


def a_receipt_is_found_by_another_account(patch: pytest.MonkeyPatch) -> None:
    find = Receipts.find

    def found(self: Receipts, account: str, key: str, now: datetime) -> Receipt | None:
        return find(self, account, key, now) or find(self, the_other(account), key, now)

    patch.setattr(Receipts, "find", found)


def accounts_share_their_ids(patch: pytest.MonkeyPatch) -> None:
    next_id = Accounts.next_id

    def shared(self: Accounts, account: str, kind: Kind) -> int:
        return next_id(self, min(account, the_other(account)), kind)

    patch.setattr(Accounts, "next_id", shared)


MISTAKES: tuple[Mistake, ...] = (
    a_campaign_is_found_by_its_id_alone,
    another_accounts_nickname_is_found,
    a_list_holds_the_profiles_of_both_accounts,
    a_queue_is_kept_by_its_campaigns_id_alone,
    a_queue_is_read_by_its_campaigns_id_alone,
    a_receipt_is_found_by_another_account,
    accounts_share_their_ids,
)
