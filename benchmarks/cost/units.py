"""The units for which AWS bills a request, by its size. The price of a unit is in prices.json.

The rules are those of the DynamoDB, SQS and Lambda developer guides. Sizes are in bytes. The size of an item is that of
its names and values, without the hundred bytes that are billed as storage only.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

READ_BLOCK = 4 * 1024
WRITE_BLOCK = 1024
#: each chunk of an SQS request's payload is billed as one request
SQS_CHUNK = 64 * 1024
#: how many writes an item in a transaction counts as: it is prepared, then committed
TRANSACTIONAL = 2
#: MB in a GB, as Lambda bills them
GB = 1024


def read_units(size: int, *, consistent: bool) -> float:
    """For one item, by GetItem. An item that doesn't exist has 0 bytes, and costs as much as a small one."""
    return _blocks(size, READ_BLOCK) * _share(consistent)


def batch_read_units(sizes: Iterable[int], *, consistent: bool) -> float:
    """BatchGetItem counts each item by itself."""
    return sum(read_units(size, consistent=consistent) for size in sizes)


def query_units(sizes: Iterable[int], *, consistent: bool) -> float:
    """Query and Scan add up all items that they read, with those that a filter drops, and round up once."""
    return _blocks(sum(sizes), READ_BLOCK) * _share(consistent)


def write_units(before: int, after: int, *, transactional: bool = False) -> int:
    """For one item, whose size was `before` and is `after`; 0 if there is none. A refused write counts as a write."""
    return _blocks(max(before, after), WRITE_BLOCK) * (TRANSACTIONAL if transactional else 1)


@dataclass(frozen=True)
class Entry:
    """An item as it stands in an index."""

    #: its key in the index
    key: tuple[str, ...]
    #: the attributes that the index holds
    content: str
    size: int


def index_units(before: Entry | None, after: Entry | None) -> int:
    """For the write to an index that follows a write of an item. A change of the key is a delete and a put."""
    if before == after:
        return 0
    if before is not None and after is not None and before.key != after.key:
        return index_units(before, None) + index_units(None, after)
    return _blocks(max(entry.size for entry in (before, after) if entry is not None), WRITE_BLOCK)


def sqs_requests(payload: int) -> int:
    """How many requests AWS bills for one request."""
    return _blocks(payload, SQS_CHUNK)


def billed_milliseconds(seconds: float) -> int:
    """For an invocation, rounded up. Fractions of a microsecond don't begin another millisecond."""
    return max(1, math.ceil(round(seconds * 1000, 3)))


def gb_seconds(milliseconds: int, memory: int) -> float:
    """`memory` is the function's, in MB."""
    return milliseconds / 1000 * memory / GB


def _blocks(size: int, block: int) -> int:
    return max(1, -(-size // block))


def _share(consistent: bool) -> float:
    return 1.0 if consistent else 0.5
