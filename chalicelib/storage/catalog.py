"""Schedules and profiles, to which campaigns refer by id or nickname.

A nickname is taken once, and nothing in use is deleted, whatever requests come at the same time. This holds because
each nickname is an item of its own, and the transaction that creates a campaign counts it in the items of its schedule
and profiles.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import MAX_NICKNAME_LENGTH, Day, Profile, Schedule
from chalicelib.errors import InUse, NicknameTaken, NotFound
from chalicelib.storage.accounts import Kind
from chalicelib.storage.database import Database
from chalicelib.storage.receipts import Receipt, add_receipt, commit_with_receipt
from chalicelib.storage.tables import CatalogItem
from chalicelib.storage.writes import Transaction, WriteRefused, retried

T = TypeVar("T", Schedule, Profile)

#: how many digits of a number are in a key
_DIGITS = 12
_HIGHEST_ID = 10**_DIGITS - 1
_THING = "thing"
_NICKNAME = "nickname"


def padded(number: int) -> str:
    """The number as text that sorts as the number does."""
    return f"{number:0{_DIGITS}d}"


class Catalog(ABC, Generic[T]):
    """One account's schedules, or its profiles."""

    #: schedules, or profiles
    kind: Kind

    def __init__(self, database: Database) -> None:
        self._database = database
        self._items = database.catalog

    def get(self, account: str, identifier: int) -> T:
        """Raises NotFound."""
        return self._thing(self._get(account, self._key(identifier), identifier))

    def find(self, account: str, reference: str) -> T:
        """By id or nickname. If `reference` is one's id and another one's nickname, the id wins. Raises NotFound."""
        if len(reference) > MAX_NICKNAME_LENGTH:
            raise NotFound(self.kind, reference)
        if reference.isascii() and reference.isdigit():
            try:
                return self.get(account, int(reference))
            except NotFound:
                pass
        return self.get(account, int(self._get(account, self._nickname_key(reference), reference).id))

    def page(self, account: str, *, after: int = 0, limit: int | None = None) -> list[T]:
        """In the order of their ids, from the first one after `after`."""
        if after >= _HIGHEST_ID:
            return []  # DynamoDB refuses a lower bound above the upper one
        items: Iterator[CatalogItem] = self._items.query(
            account,
            self._items.key.between(self._key(after + 1), self._key(_HIGHEST_ID)),
            limit=limit,
            consistent_read=True,
        )
        return [self._thing(item) for item in items]

    def add(self, thing: T, receipt: Receipt | None, now: datetime) -> None:
        """Raises NicknameTaken, AlreadyAnswered."""
        transaction = self._database.transaction()
        transaction.put(_THING, self._item(thing), condition=self._items.key.does_not_exist())
        self._take_nickname(transaction, thing)
        add_receipt(transaction, self._database, receipt, now)
        try:
            commit_with_receipt(transaction)
        except WriteRefused as refused:
            raise NicknameTaken from refused

    def change(self, account: str, identifier: int, changes: Mapping[str, Any]) -> T:
        """Change these fields, and answer the changed schedule or profile. A nickname may become None.

        Raises NotFound, NicknameTaken.
        """

        def write() -> T:
            before = self.get(account, identifier)
            after = replace(before, **changes)
            changed = [name for name in changes if getattr(before, name) != getattr(after, name)]
            if not changed:
                return after
            transaction = self._database.transaction()
            kept: Condition = self._items.key.exists()
            if "nickname" in changed:
                kept &= self._has_nickname(before)
                self._take_nickname(transaction, after)
                self._free_nickname(transaction, before)
            actions = [self._set(name, self._stored(after, name)) for name in changed]
            transaction.update(_THING, self._items(account, self._key(identifier)), actions, kept)
            try:
                transaction.commit()
            except WriteRefused as refused:
                if _THING in refused.parts:
                    raise  # another request renamed or deleted it meanwhile
                raise NicknameTaken from refused
            return after

        return retried(write)

    def delete(self, account: str, identifier: int) -> None:
        """Raises NotFound, InUse."""

        def write() -> None:
            thing = self.get(account, identifier)
            item = self._items(account, self._key(identifier))
            transaction = self._database.transaction()
            self._free_nickname(transaction, thing)
            transaction.delete(_THING, item, (self._items.uses == 0) & self._has_nickname(thing))
            try:
                transaction.commit()
            except WriteRefused:
                user = self._highest_user(account, identifier)
                if user is not None:
                    raise InUse(self.kind, identifier, thing.nickname, user) from None
                raise  # it was renamed or deleted, or lost its last user, meanwhile

        retried(write)

    def users(self, account: str, identifier: int) -> Iterator[int]:
        """The ids of the campaigns that refer to this schedule or profile."""
        uses = f"use/{self._key(identifier)}/"
        for item in self._items.query(account, self._items.key.startswith(uses), consistent_read=True):
            yield int(item.id)

    def add_use(self, transaction: Transaction, campaign: CampaignKey, identifier: int) -> str:
        """Make the campaign a user of this schedule or profile, as a part of the transaction.

        Answers the name of the part that is refused if the schedule or profile is deleted.
        """
        part = f"{self.kind}/{identifier}"
        transaction.update(
            part,
            self._items(campaign.account, self._key(identifier)),
            [self._items.uses.add(1)],
            self._items.key.exists(),
        )
        transaction.put(f"{part}/use", self._use_item(campaign, identifier))
        return part

    def remove_use(self, transaction: Transaction, campaign: CampaignKey, identifier: int) -> None:
        part = f"{self.kind}/{identifier}"
        transaction.update(
            part,
            self._items(campaign.account, self._key(identifier)),
            [self._items.uses.add(-1)],
            self._items.key.exists(),
        )
        transaction.delete(f"{part}/use", self._use_item(campaign, identifier))

    def _get(self, account: str, key: str, reference: object) -> CatalogItem:
        try:
            return self._items.get(account, key, consistent_read=True)
        except DoesNotExist:
            raise NotFound(self.kind, reference) from None

    def _key(self, identifier: int) -> str:
        return f"{self.kind}/{padded(identifier)}"

    def _nickname_key(self, nickname: str) -> str:
        return f"nickname/{self.kind}/{nickname}"

    def _nickname_item(self, thing: T, nickname: str) -> CatalogItem:
        return self._items(thing.account, self._nickname_key(nickname), id=thing.id)

    def _use_item(self, campaign: CampaignKey, identifier: int) -> CatalogItem:
        key = f"use/{self._key(identifier)}/{padded(campaign.id)}"
        return self._items(campaign.account, key, id=campaign.id)

    def _take_nickname(self, transaction: Transaction, thing: T) -> None:
        if thing.nickname is not None:
            transaction.put(
                _NICKNAME, self._nickname_item(thing, thing.nickname), condition=self._items.key.does_not_exist()
            )

    def _free_nickname(self, transaction: Transaction, thing: T) -> None:
        if thing.nickname is not None:
            transaction.delete("old nickname", self._nickname_item(thing, thing.nickname))

    def _has_nickname(self, thing: T) -> Condition:
        held = self._items.nickname
        return held.does_not_exist() if thing.nickname is None else cast(Condition, held == thing.nickname)

    def _highest_user(self, account: str, identifier: int) -> int | None:
        users = self._items.query(
            account,
            self._items.key.startswith(f"use/{self._key(identifier)}/"),
            scan_index_forward=False,
            limit=1,
            consistent_read=True,
        )
        return next((int(user.id) for user in users), None)

    @abstractmethod
    def _thing(self, item: CatalogItem) -> T: ...

    def _item(self, thing: T) -> CatalogItem:
        item = self._items(thing.account, self._key(thing.id), id=thing.id, uses=0)
        for field in fields(thing):
            if field.name not in ("account", "id"):
                setattr(item, field.name, self._stored(thing, field.name))
        return item

    def _set(self, name: str, value: object) -> Action:
        attribute = getattr(self._items, name)
        return cast(Action, attribute.remove() if value is None else attribute.set(value))

    @staticmethod
    def _stored(thing: T, name: str) -> Any:
        value = getattr(thing, name)
        return list(value) if isinstance(value, tuple) else value


class Schedules(Catalog[Schedule]):
    kind = Kind.SCHEDULE

    def _thing(self, item: CatalogItem) -> Schedule:
        return Schedule(item.account, int(item.id), item.nickname, tuple(Day(str(day)) for day in item.days))


class Profiles(Catalog[Profile]):
    kind = Kind.PROFILE

    def _thing(self, item: CatalogItem) -> Profile:
        return Profile(
            item.account,
            int(item.id),
            item.nickname,
            period=int(item.period),
            amount_per_period=int(item.amount_per_period),
            time_between_periods=int(item.time_between_periods),
        )
