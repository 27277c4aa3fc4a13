"""What the columns of an uploaded file are, by its first line.

A heading says which column is the number, the caller id, the digits to send and the reference. Without one the format
is the reference's own: a number, a comma, a message reference.
"""

import csv
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.domain import ambiguity, dialstring
from chalicelib.domain.dialstring import InvalidEntry, quoted
from chalicelib.domain.models import Entry

COMMA, TAB = ",", "\t"
#: what may be between two columns
DELIMITERS = (COMMA, ";", TAB)

#: Columns in a heading, at most.
MOST_COLUMNS = 200
#: How many columns a fault names.
_NAMED = 5
#: characters of a name
_LONGEST_NAME = 64
#: What a column may be called, in lower case and without accents and all that is no letter or digit. Only these: what
#: else is in a heading says nothing of the column.
_NAMES = {
    "phone_number": re.compile(r"numbers?|msisdn|callee|destination|telefonnummer|cellphone|mobilephone|phonenumbers?"),
    "ani": re.compile(r"ani|callerid|calleridnumber|cli|fromnumber"),
    "postd": re.compile(r"postd|postdial|senddigits|dtmf|(?:phone)?ext(?:ension)?"),
    "message_reference": re.compile(r"messagereference|messageref|reference|ref"),
}
#: what stands before a formula that is not to be run
_KEPT_INERT = ("'=", "'+", "'-", "'@", "'\t", "'\r")
#: A word in a name that makes it a column of numbers, as in `Business Phone` or `Phone 1 - Value`...
_PHONE = re.compile(r"(?:tele)?phones?|telefono?|tel|mobile|cell")
#: ...unless another word says that it is about the number.
_ABOUT = re.compile(
    r"type|label|ext|extension|carrier|provider|country|valid|verified|status|time|date|best|notes?|plan"
)
#: what a fault tells of them
KNOWN = "phone_number (or phone, mobile, telephone, destination and the like), ani, postd and message_reference"


@dataclass(frozen=True)
class Columns:
    """Where the parts of an entry stand."""

    #: what the heading calls them
    names: Sequence[str]
    #: by the name of the part, counted from 0
    places: dict[str, int]
    #: The column that is called nothing known, if no other is the reference.
    unnamed_reference: int | None = None
    #: columns that have no name
    nameless: Sequence[int] = ()

    def entry(self, cells: Sequence[str]) -> Entry:
        """Raises InvalidEntry."""
        if any(cells[len(self.names) :]):
            raise InvalidEntry(
                f"has {len(cells)} columns where the heading has {len(self.names)}: what holds a separator needs "
                "quotation marks."
            )
        if len(cells) < len(self.names):
            cells = [*cells, *[""] * (len(self.names) - len(cells))]
        self._look_at(cells)
        place = self.unnamed_reference
        if place is None:
            return dialstring.joined(**{part: cells[column] for part, column in self.places.items()})
        if ambiguity.could_be_a_number(cells[place]):
            raise InvalidEntry(
                f"has {quoted(cells[place])} in the column {quoted(self.names[place])}, which could be another "
                "number: call the column message_reference if it isn't."
            )
        parts = {part: cells[column] for part, column in self.places.items()}
        return dialstring.joined(message_reference=cells[place], **parts)

    def _look_at(self, cells: Sequence[str]) -> None:
        """Raises InvalidEntry for a number in a column without a name, and a parameter where the reference is."""
        for place in self.nameless:
            if ambiguity.could_be_a_number(cells[place]):
                raise InvalidEntry(f"has {quoted(cells[place])} in a column without a name.")
        reference = self.places.get("message_reference", self.unnamed_reference)
        if reference is not None:
            ambiguity.refuse_parameter(cells[reference])


def cells_of(line: str, delimiter: str) -> list[str]:
    """A row's columns. Each line is read alone: an unclosed quote must not swallow the numbers after it.

    Raises InvalidEntry.
    """
    if '"' not in line:
        cells = [cell.strip() for cell in line.split(delimiter)]
        return [value(cell) for cell in cells] if "'" in line else cells
    try:
        (cells,) = csv.reader([line], strict=True, skipinitialspace=True, delimiter=delimiter)
    except csv.Error:
        raise InvalidEntry("has a quotation mark that is not closed.") from None
    return [value(cell.strip()) for cell in cells]


def delimiter_of(line: str) -> str:
    """What is between the columns, if a file's first line tells so without doubt; otherwise a comma.

    A heading tells it, and so does a tab, which nothing else is written with.
    """
    for delimiter in DELIMITERS:
        try:
            cells = cells_of(line, delimiter)
        except InvalidEntry:
            continue
        if len(cells) > 1 and is_heading(cells):
            return delimiter
    first, tab, _ = line.strip().partition(TAB)
    return TAB if tab and COMMA not in first else COMMA


def is_heading(cells: Sequence[str]) -> bool:
    """Is it a row of names, one of which is known?"""
    if len(cells) > MOST_COLUMNS or any(map(_is_digits, cells)) or not reads_as_text(cells):
        return False
    return any(map(_part_called, cells))


def reads_as_text(cells: Sequence[str]) -> bool:
    """Has none of the columns as many digits as a number has?"""
    return all(sum(map(str.isdecimal, cell)) < dialstring.DIGITS_OF_A_NUMBER for cell in cells)


def columns_of(heading: Sequence[str]) -> Columns | None:
    """What the columns are; None for a heading of a single column, which says nothing of others.

    Raises InvalidEntry if two could be the same, or none is the number.
    """
    names = list(heading)
    while names and not names[-1]:
        names.pop()
    places: dict[str, int] = {}
    others = []
    for place, name in enumerate(names):
        part = _part_called(name)
        if part is None:
            others.append(place)
        elif part in places:
            both = f"{quoted(names[places[part]])} and {quoted(name)}"
            raise InvalidEntry(f"is a heading in which {both} could both be the {part}: only one can be.")
        else:
            places[part] = place
    if "phone_number" not in places:
        raise InvalidEntry(f"is a heading without a column for the number; known are {KNOWN}.")
    if len(names) == 1:
        return None
    nameless = [place for place in others if not names[place]]
    others = [place for place in others if names[place]]
    if "message_reference" in places or not others:
        return Columns(names, places, nameless=nameless)
    if len(others) > 1:
        which = ", ".join(quoted(names[place]) for place in others[:_NAMED])
        raise InvalidEntry(f"is a heading in which {which} could be the message_reference: call one of them so.")
    return Columns(names, places, others[0], nameless)


def _is_digits(cell: str) -> bool:
    """Is it a number of any kind, rather than a name?"""
    return sum(map(str.isdecimal, cell)) >= 3 and not any(map(str.isalpha, cell))


def _part_called(name: str) -> str | None:
    """The part of an entry that a column of this name is."""
    if not name or len(name) > _LONGEST_NAME:
        return None
    without_accents = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    words = re.findall("[a-z]+", without_accents.replace("'s", ""))
    plain = "".join(words)
    part = next((part for part, pattern in _NAMES.items() if pattern.fullmatch(plain)), None)
    if part is None and any(map(_PHONE.fullmatch, words)) and not any(map(_ABOUT.fullmatch, words)):
        return "phone_number"
    return part


def value(cell: str) -> str:
    """What a cell says.

    `="2225550142"` is how a spreadsheet is kept from taking digits for an amount, and an apostrophe how it is kept from
    running a formula, as in the list of calls that the API answers.
    """
    if cell.startswith('="') and cell.endswith('"') and len(cell) > 2:
        return cell[2:-1].strip()
    return cell[1:] if cell.startswith(_KEPT_INERT) else cell
