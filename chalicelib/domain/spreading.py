"""Over how many of storage's partitions a campaign's slips are spread.

Whatever is written once for each number, because its call failed, came back or ended late, or its report failed, would
be more than one partition takes where calls are many.
"""

import math

#: How many calls a second one partition is for.
CALLS_A_SECOND = 125
#: How many partitions a campaign has at most, since each is asked at each tick. They take 4,000 calls a second.
MOST = 32


def needed(rate: float, before: int, calls_a_second: float = CALLS_A_SECOND) -> int:
    """How many partitions a campaign is to have that makes `rate` calls a second, and has had `before`.

    DynamoDB takes 1,000 write units a second of one partition key:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html

    A slip is smaller than a KB. It is put in a transaction, which costs 2 units, and deleted for 1, or for 2 in a
    transaction. So a call that is to be made again costs 3. One that ends costs 3 if its report fails, and 4 more if it
    had been passed over: 7 at the most, and 875 for 125 calls a second. The rest is left for the slips of slices, which
    all lie in the first partition. A campaign of up to 7,500 calls a minute has that one alone.

    It never falls, so that whoever knows the latest number finds what was written with any before it.
    """
    return max(before, min(MOST, math.ceil(rate / calls_a_second)))


def partition(sequence: int, spread: int) -> int:
    """In which of so many partitions the slips of this number are written, the first being 0."""
    return sequence % spread
