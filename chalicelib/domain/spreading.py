"""Over how many of storage's partitions the tasks of a campaign's numbers are spread.

Each deferred call, each outcome of a skipped number and each failed report is a write. A fast campaign may have more of
these writes than one partition takes.
"""

import math

#: The calls a second whose tasks one partition takes.
CALLS_PER_PARTITION = 125
#: the part of them that it takes if each attempt is reported
_PART_WITH_ATTEMPT_REPORTS = 0.75
#: How many partitions a campaign has at most, since each tick reads each of them. They take 4,000 calls a second.
MOST = 32


def needed(
    rate: float,
    before: int,
    calls_per_partition: float = CALLS_PER_PARTITION,
    *,
    with_attempt_reports: bool = False,
) -> int:
    """How many partitions a campaign needs for `rate` calls a second. `before` is how many it has.

    DynamoDB takes 1,000 write units a second of one partition key:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html

    A task is smaller than a KB. Putting it in a transaction costs 2 units; deleting it costs 1, or 2 in a transaction.
    So a call that is deferred costs 3. A call that ends costs 3 if its report fails, and 4 more if the settler had
    skipped it: 7 at the most, and 875 for 125 calls a second. The rest is left for leases and returned slices, which
    are all in the first partition. A campaign of up to 7,500 calls a minute has only that one.

    With reports of attempts, a call that is deferred costs 3 more for its report, and 3 if that fails: 9 in all.

    The number never falls. So a reader that knows the latest number finds what was written with any earlier one.
    """
    if with_attempt_reports:
        calls_per_partition *= _PART_WITH_ATTEMPT_REPORTS
    return max(before, min(MOST, math.ceil(rate / calls_per_partition)))


def partition(sequence: int, spread: int) -> int:
    """Which of the campaign's `spread` partitions has the tasks of this number, from 0."""
    return sequence % spread
