"""Repeats: the entries of an upload that would call someone a second time.

Those of numbers that a campaign has already are found by reading its whole queue, so a campaign may be too large for
that.
"""

from collections.abc import Iterable
from dataclasses import replace

from chalicelib.domain.models import Entry
from chalicelib.domain.upload import Upload
from chalicelib.errors import TooManyToCompare

#: the most numbers of a campaign that an upload is compared with
MOST_COMPARED = 200_000


def number_of(entry: Entry) -> str:
    """The number alone, `tel:+12223334444`, without its parameters."""
    return entry.destination.partition(";")[0]


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
