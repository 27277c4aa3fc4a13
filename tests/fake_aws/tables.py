"""Tables and their indexes: items by their keys, in the order of their range keys.

An index gets each change of its table, and may be read as it was some changes ago.
"""

import zlib
from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fake_aws.values import Item, Value, invalid, kind_of, sortable

#: bytes
LONGEST_HASH_KEY = 2048
LONGEST_RANGE_KEY = 1024
#: What the items of a partition are sorted by: an item's range key; in an index, then its key in the table.
SortKey = tuple[Any, ...]


@dataclass(frozen=True)
class Schema:
    """The attributes of a key."""

    #: the hash key's name and type, then the range key's if there is one
    attributes: tuple[tuple[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.attributes)

    def key_of(self, item: Mapping[str, Value]) -> tuple[Any, ...]:
        """Raises Refused for an empty key, or one that is too long."""
        return tuple(self.part(index, item.get(name)) for index, (name, _) in enumerate(self.attributes))

    def part(self, index: int, value: Value | None) -> Any:
        """The value of the hash key, 0, or of the range key, 1, for sorting. Raises Refused like `key_of`."""
        name, kind = self.attributes[index]
        if value is None or kind_of(value) != kind:
            raise NotImplementedError(f"a key whose {name} is {value}")
        if kind == "S":
            length = len(value[kind].encode())
            if not length:
                raise invalid(f"One or more parameter values are not valid: The key {name} cannot be an empty value")
            if length > (LONGEST_RANGE_KEY if index else LONGEST_HASH_KEY):
                raise invalid(f"One or more parameter values were invalid: The key {name} is too long")
        return sortable(value)


@dataclass
class Partition:
    """The items that share a hash key."""

    #: in their order
    sort_keys: list[SortKey] = field(default_factory=list)
    items: dict[SortKey, Item] = field(default_factory=dict)

    def put(self, sort_key: SortKey, item: Item) -> None:
        if sort_key not in self.items:
            insort(self.sort_keys, sort_key)
        self.items[sort_key] = item

    def remove(self, sort_key: SortKey) -> None:
        if self.items.pop(sort_key, None) is not None:
            del self.sort_keys[bisect_left(self.sort_keys, sort_key)]


class Partitions(ABC):
    """What can be queried: a table, or an index."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._partitions: dict[Any, Partition] = {}

    @abstractmethod
    def sort_key(self, item: Mapping[str, Value]) -> SortKey:
        """By the item's keys alone."""

    def partition(self, hash_key: Any) -> Partition:
        """An empty one if nothing has this hash key."""
        return self._partitions.get(hash_key) or Partition()

    def all(self) -> Iterator[tuple[Any, Partition]]:
        """In an order that is always the same, and differs from that of the hash keys."""
        return iter(sorted(self._partitions.items(), key=lambda each: spread(each[0])))

    def _put(self, hash_key: Any, sort_key: SortKey, item: Item) -> None:
        self._partitions.setdefault(hash_key, Partition()).put(sort_key, item)

    def _remove(self, hash_key: Any, sort_key: SortKey) -> None:
        partition = self._partitions.get(hash_key)
        if partition is not None:
            partition.remove(sort_key)
            if not partition.items:
                del self._partitions[hash_key]


def spread(hash_key: Any) -> tuple[int, Any]:
    """What a scan sorts partitions by."""
    return zlib.crc32(str(hash_key).encode()), hash_key


#: of an index: the hash key, the sort key and the item
_Entry = tuple[Any, SortKey, Item]


class Index(Partitions):
    """It holds only items that have all attributes of its key."""

    def __init__(self, schema: Schema, table: Schema, projects: frozenset[str] | None) -> None:
        super().__init__(schema)
        self._table = table
        #: the attributes it holds; None for all
        self._projects = None if projects is None else projects | {*schema.names, *table.names}
        #: changes that it doesn't show yet: the entry before and after
        self._pending: deque[tuple[_Entry | None, _Entry | None]] = deque()

    def add_change(self, before: Item | None, after: Item | None) -> None:
        """Add a change of the table, which isn't shown yet."""
        change = self._entry(before), self._entry(after)
        if change[0] != change[1]:
            self._pending.append(change)

    def catch_up(self, lag: int) -> None:
        """Show all changes but the last `lag` of them."""
        while len(self._pending) > lag:
            before, after = self._pending.popleft()
            if before is not None:
                self._remove(*before[:2])
            if after is not None:
                self._put(*after)

    def sort_key(self, item: Mapping[str, Value]) -> SortKey:
        return (*self.schema.key_of(item)[1:], *self._table.key_of(item))

    def _entry(self, item: Item | None) -> _Entry | None:
        if item is None or any(name not in item for name in self.schema.names):
            return None
        shown = item if self._projects is None else {name: item[name] for name in self._projects if name in item}
        return self.schema.key_of(item)[0], self.sort_key(item), shown


class Table(Partitions):
    def __init__(self, name: str, schema: Schema, indexes: Mapping[str, Index]) -> None:
        super().__init__(schema)
        self.name = name
        self.indexes = indexes

    def key_of(self, key: Mapping[str, Value]) -> tuple[Any, ...]:
        """Of an item's key by itself. Raises Refused like `Schema.key_of`."""
        if len(key) != len(self.schema.attributes):
            raise NotImplementedError(f"a key with the attributes {sorted(key)}")
        return self.schema.key_of(key)

    def sort_key(self, item: Mapping[str, Value]) -> SortKey:
        return self.schema.key_of(item)[1:]

    def check(self, item: Item) -> None:
        """Raises Refused if its key, or its key in an index, is empty or too long."""
        self.schema.key_of(item)
        for index in self.indexes.values():
            for part, name in enumerate(index.schema.names):
                if name in item:
                    index.schema.part(part, item[name])

    def get(self, key: tuple[Any, ...]) -> Item | None:
        return self.partition(key[0]).items.get(key[1:])

    def set(self, key: tuple[Any, ...], item: Item | None) -> None:
        """Put the item there; None deletes what is there."""
        before = self.get(key)
        if item is None:
            self._remove(key[0], key[1:])
        else:
            self._put(key[0], key[1:], item)
        for index in self.indexes.values():
            index.add_change(before, item)
