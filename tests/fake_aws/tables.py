"""Tables and their indexes: items by their keys, in the order of their range keys.

An index is told of each change of its table, and may be read as it was some changes ago.
"""

import zlib
from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fake_aws.values import Item, Value, invalid, kind_of, place_of

#: bytes
LONGEST_HASH_KEY = 2048
LONGEST_RANGE_KEY = 1024
#: Where an item stands among those with its hash key: its range key; in an index, then its key in the table.
Place = tuple[Any, ...]


@dataclass(frozen=True)
class Schema:
    """The attributes of a key, each with its kind."""

    #: the hash key's attribute, then the range key's if there is one
    attributes: tuple[tuple[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.attributes)

    def key_of(self, item: Mapping[str, Value]) -> tuple[Any, ...]:
        """Raises Refused unless the item has a whole and proper key."""
        return tuple(self.part(place, item.get(name)) for place, (name, _) in enumerate(self.attributes))

    def part(self, place: int, value: Value | None) -> Any:
        """What the key attribute at this place, 0 or 1, is found and sorted by. Raises Refused."""
        name, kind = self.attributes[place]
        if value is None:
            raise invalid(f"One of the required keys was not given a value: Missing the key {name} in the item")
        if kind_of(value) != kind:
            raise invalid(f"One or more parameter values were invalid: Type mismatch for key {name}")
        if kind == "N":
            return place_of(value)
        content = value[kind]
        if not content:
            raise invalid(f"One or more parameter values are not valid: The key {name} cannot be an empty value")
        if len(content.encode() if kind == "S" else content) > (LONGEST_RANGE_KEY if place else LONGEST_HASH_KEY):
            raise invalid(f"One or more parameter values were invalid: The key {name} is too long")
        return content


@dataclass
class Partition:
    """The items that share a hash key."""

    #: sorted
    places: list[Place] = field(default_factory=list)
    items: dict[Place, Item] = field(default_factory=dict)

    def put(self, place: Place, item: Item) -> None:
        if place not in self.items:
            insort(self.places, place)
        self.items[place] = item

    def remove(self, place: Place) -> None:
        if self.items.pop(place, None) is not None:
            del self.places[bisect_left(self.places, place)]


class Partitions(ABC):
    """What can be queried: a table, or an index of one."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._partitions: dict[Any, Partition] = {}

    @abstractmethod
    def place(self, item: Mapping[str, Value]) -> Place:
        """Where the item stands in its partition, by its keys alone. Raises Refused."""

    def partition(self, hash_key: Any) -> Partition:
        """An empty one if there is nothing under this hash key."""
        return self._partitions.get(hash_key) or Partition()

    def all(self) -> Iterator[tuple[Any, Partition]]:
        """In an order that always is the same, and isn't that of their hash keys."""
        return iter(sorted(self._partitions.items(), key=lambda each: spread(each[0])))

    def _put(self, hash_key: Any, place: Place, item: Item) -> None:
        self._partitions.setdefault(hash_key, Partition()).put(place, item)

    def _remove(self, hash_key: Any, place: Place) -> None:
        partition = self._partitions.get(hash_key)
        if partition is not None:
            partition.remove(place)
            if not partition.items:
                del self._partitions[hash_key]


def spread(hash_key: Any) -> tuple[int, Any]:
    """What a scan goes by."""
    return zlib.crc32(str(hash_key).encode()), hash_key


#: of an index: the hash key, the place and what is kept there
_Entry = tuple[Any, Place, Item]


class Index(Partitions):
    """Only what has both of its key's attributes stands in it."""

    def __init__(self, schema: Schema, table: Schema, projects: frozenset[str] | None) -> None:
        super().__init__(schema)
        self._table = table
        #: the attributes it holds; None for all
        self._projects = None if projects is None else projects | {*schema.names, *table.names}
        #: what it doesn't show yet: each change's entries before and after
        self._coming: deque[tuple[_Entry | None, _Entry | None]] = deque()

    def note(self, before: Item | None, after: Item | None) -> None:
        change = self._entry(before), self._entry(after)
        if change[0] != change[1]:
            self._coming.append(change)

    def catch_up(self, lag: int) -> None:
        """Show all changes but the last `lag` of them."""
        while len(self._coming) > lag:
            before, after = self._coming.popleft()
            if before is not None:
                self._remove(*before[:2])
            if after is not None:
                self._put(*after)

    def place(self, item: Mapping[str, Value]) -> Place:
        return (*self.schema.key_of(item)[1:], *self._table.key_of(item))

    def _entry(self, item: Item | None) -> _Entry | None:
        if item is None or any(name not in item for name in self.schema.names):
            return None
        shown = item if self._projects is None else {name: item[name] for name in self._projects if name in item}
        return self.schema.key_of(item)[0], self.place(item), shown


class Table(Partitions):
    def __init__(self, name: str, schema: Schema, indexes: Mapping[str, Index]) -> None:
        super().__init__(schema)
        self.name = name
        self.indexes = indexes

    def key_of(self, key: Mapping[str, Value]) -> tuple[Any, ...]:
        """Of a key by itself, which must have nothing else. Raises Refused."""
        if len(key) != len(self.schema.attributes):
            raise invalid("The provided key element does not match the schema")
        return self.schema.key_of(key)

    def place(self, item: Mapping[str, Value]) -> Place:
        return self.schema.key_of(item)[1:]

    def check(self, item: Item) -> None:
        """Raises Refused if it doesn't fit the table, or an index."""
        self.schema.key_of(item)
        for index in self.indexes.values():
            for place, name in enumerate(index.schema.names):
                if name in item:
                    index.schema.part(place, item[name])

    def get(self, key: tuple[Any, ...]) -> Item | None:
        return self.partition(key[0]).items.get(key[1:])

    def set(self, key: tuple[Any, ...], item: Item | None) -> None:
        """None takes it away."""
        before = self.get(key)
        if item is None:
            self._remove(key[0], key[1:])
        else:
            self._put(key[0], key[1:], item)
        for index in self.indexes.values():
            index.note(before, item)
