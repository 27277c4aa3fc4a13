"""What AWS counts of a request: units, from sizes. Pure arithmetic; what a unit costs stands in prices.json.

The rules are those of the DynamoDB, SQS and Lambda developer guides. Sizes are in bytes, and of DynamoDB's items as it
counts them: names and values, without the hundred bytes that only storage is billed for.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

READ_BLOCK = 4 * 1024
WRITE_BLOCK = 1024
#: of an SQS request's payload, each of which is billed as a request
SQS_CHUNK = 64 * 1024
#: a transaction prepares each item, and then commits it
TRANSACTIONAL = 2
#: what Lambda calls a GB, in its MB
GB = 1024


def read_units(size: int, *, consistent: bool) -> float:
    """Of one item, by GetItem; 0 bytes for one that isn't there, which costs as much as a small one."""
    return _blocks(size, READ_BLOCK) * _share(consistent)


def batch_read_units(sizes: Iterable[int], *, consistent: bool) -> float:
    """BatchGetItem counts each item by itself."""
    return sum(read_units(size, consistent=consistent) for size in sizes)


def query_units(sizes: Iterable[int], *, consistent: bool) -> float:
    """Query and Scan add up all the items they look at, those that a filter drops too, and round up once."""
    return _blocks(sum(sizes), READ_BLOCK) * _share(consistent)


def write_units(before: int, after: int, *, transactional: bool = False) -> int:
    """Of one item, which had `before` bytes and has `after`; 0 where there is none. A refused write is a write, too."""
    return _blocks(max(before, after), WRITE_BLOCK) * (TRANSACTIONAL if transactional else 1)


@dataclass(frozen=True)
class Entry:
    """An item as it stands in an index."""

    #: its key in the index
    key: tuple[str, ...]
    #: all that the index holds of it
    content: str
    size: int


def index_units(before: Entry | None, after: Entry | None) -> int:
    """What a write of an item makes an index write. An entry moves by being deleted here and put there."""
    if before == after:
        return 0
    if before is not None and after is not None and before.key != after.key:
        return index_units(before, None) + index_units(None, after)
    return _blocks(max(entry.size for entry in (before, after) if entry is not None), WRITE_BLOCK)


def sqs_requests(payload: int) -> int:
    """How many requests one is billed as."""
    return _blocks(payload, SQS_CHUNK)


def billed_milliseconds(seconds: float) -> int:
    """Of an invocation of Lambda; the microseconds' worth that clocks are wrong by don't begin another."""
    return max(1, math.ceil(round(seconds * 1000, 3)))


def gb_seconds(milliseconds: int, memory: int) -> float:
    """`memory` is what the function is given, in MB."""
    return milliseconds / 1000 * memory / GB


def _blocks(size: int, block: int) -> int:
    return max(1, -(-size // block))


def _share(consistent: bool) -> float:
    return 1.0 if consistent else 0.5
