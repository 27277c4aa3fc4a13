"""Repeats: the entries of an upload that would call someone a second time.

Who uploads numbers says with `unique` which repeats are dropped. An upload's own are found in the upload alone. Those
of numbers that a campaign has already are found by reading its whole queue, so a campaign may be too large for that.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import StrEnum

from chalicelib.domain.models import Entry
from chalicelib.domain.upload import Upload
from chalicelib.errors import TooManyToCompare

#: the most numbers of a campaign that an upload is compared with
MOST_COMPARED = 200_000

_ANI = re.compile(r";ani=[^;]*")


class Unique(StrEnum):
    """What a customer wants once."""

    #: nothing: repeats are kept
    NOTHING = "nothing"
    #: each callee of the upload: a number with its `postd`, whatever the caller ids and references
    UPLOAD = "upload"
    #: each number of the campaign, whatever its parameters and references
    CAMPAIGN = "campaign"


def number_of(entry: Entry) -> str:
    """The number alone, `tel:+12223334444`, without its parameters."""
    return entry.destination.partition(";")[0]


def _callee_of(entry: Entry) -> str:
    return _ANI.sub("", entry.destination)


_SAME_BY: dict[Unique, Callable[[Entry], str]] = {Unique.UPLOAD: _callee_of, Unique.CAMPAIGN: number_of}


def without_repeats(upload: Upload, unique: Unique) -> Upload:
    """The upload without the entries that repeat an earlier one of it."""
    if unique is Unique.NOTHING:
        return upload
    same = _SAME_BY[unique]
    first_of_each: dict[str, Entry] = {}
    for entry in upload.entries:
        first_of_each.setdefault(same(entry), entry)
    return _reduced(upload, first_of_each.values())


def without_known(upload: Upload, known: Iterable[Entry]) -> Upload:
    """The upload without the entries whose number is among the `known` ones.

    Of those, no more are kept in memory than the upload has.
    """
    numbers = {number_of(entry) for entry in upload.entries}
    repeated = numbers.intersection(map(number_of, known))
    return _reduced(upload, (entry for entry in upload.entries if number_of(entry) not in repeated))


def check_comparable(numbers: int) -> None:
    """Raises TooManyToCompare if a campaign has more numbers than an upload is compared with."""
    if numbers > MOST_COMPARED:
        raise TooManyToCompare(MOST_COMPARED, numbers)


def _reduced(upload: Upload, kept: Iterable[Entry]) -> Upload:
    entries = tuple(kept)
    return replace(upload, entries=entries, dropped=upload.dropped + len(upload.entries) - len(entries))
