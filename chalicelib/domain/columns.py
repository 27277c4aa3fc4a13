"""The columns of an uploaded file, as its first line shows them.

A heading names the columns of the number, the caller id, the digits to send and the message reference. A file without a
heading has the format of the reference, Create Campaign: a number, a comma, a message reference.
"""

import csv
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.domain import ambiguity, dialstring
from chalicelib.domain.faults import EntryFault, InvalidEntry
from chalicelib.domain.models import Entry

COMMA, TAB = ",", "\t"
#: what may separate columns
DELIMITERS = (COMMA, ";", TAB)

#: the most columns that a heading may have
MOST_COLUMNS = 200
#: the most characters that a known name may have
_LONGEST_NAME = 64
#: The known names of each part of an entry: lower case, letters only, without accents.
_NAMES = {
    "phone_number": re.compile(r"numbers?|msisdn|callee|destination|telefonnummer|cellphone|mobilephone|phonenumbers?"),
    "ani": re.compile(r"ani|callerid|calleridnumber|cli|fromnumber"),
    "postd": re.compile(r"postd|postdial|senddigits|dtmf|(?:phone)?ext(?:ension)?"),
    "message_reference": re.compile(r"messagereference|messageref|reference|ref"),
}
#: the beginning of a cell with an apostrophe that keeps a spreadsheet from running a formula
_KEPT_INERT = ("'=", "'+", "'-", "'@", "'\t", "'\r")
#: A word in a name that makes it a column of numbers, as in `Business Phone` or `Phone 1 - Value`...
_PHONE = re.compile(r"(?:tele)?phones?|telefono?|tel|mobile|cell")
#: ...unless another word shows that the column only describes the number, as in `Phone Type`.
_ABOUT = re.compile(
    r"type|label|ext|extension|carrier|provider|country|valid|verified|status|time|date|best|notes?|plan"
)


@dataclass(frozen=True)
class Columns:
    """Which column holds which part of an entry."""

    #: as the heading has them
    names: Sequence[str]
    #: each part's column, counted from 0
    indexes: dict[str, int]
    #: The only column whose name isn't known. It is the reference if no column is named as such.
    unnamed_reference: int | None = None
    #: columns without a name
    nameless: Sequence[int] = ()

    def entry(self, cells: Sequence[str]) -> Entry:
        """The entry in a row. Raises InvalidEntry."""
        if any(cells[len(self.names) :]):
            raise InvalidEntry(EntryFault.TOO_MANY_COLUMNS, columns=len(cells), limit=len(self.names))
        if len(cells) < len(self.names):
            cells = [*cells, *[""] * (len(self.names) - len(cells))]
        self._refuse_misplaced(cells)
        reference = self.unnamed_reference
        if reference is None:
            return dialstring.joined(**{part: cells[index] for part, index in self.indexes.items()})
        if ambiguity.could_be_a_number(cells[reference]):
            raise InvalidEntry(EntryFault.NUMBER_IN_ANOTHER_COLUMN, cell=cells[reference], column=self.names[reference])
        parts = {part: cells[index] for part, index in self.indexes.items()}
        return dialstring.joined(message_reference=cells[reference], **parts)

    def _refuse_misplaced(self, cells: Sequence[str]) -> None:
        """Raises InvalidEntry for a number in a column without a name, and for a parameter in the reference's."""
        for index in self.nameless:
            if ambiguity.could_be_a_number(cells[index]):
                raise InvalidEntry(EntryFault.NUMBER_IN_NAMELESS_COLUMN, cell=cells[index])
        reference = self.indexes.get("message_reference", self.unnamed_reference)
        if reference is not None:
            ambiguity.refuse_parameter(cells[reference])


def cells_of(line: str, delimiter: str) -> list[str]:
    """A row's cells. Each line is read alone, so that an unclosed quotation mark doesn't swallow the lines after it.

    Raises InvalidEntry.
    """
    if '"' not in line:
        cells = [cell.strip() for cell in line.split(delimiter)]
        return [value(cell) for cell in cells] if "'" in line else cells
    try:
        (cells,) = csv.reader([line], strict=True, skipinitialspace=True, delimiter=delimiter)
    except csv.Error:
        raise InvalidEntry(EntryFault.UNCLOSED_QUOTATION_MARK) from None
    return [value(cell.strip()) for cell in cells]


def delimiter_of(line: str) -> str:
    """What separates the columns, if a file's first line shows it without doubt; otherwise a comma.

    A heading shows it, and so does a tab, because no number has one.
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
    """True for a row of names of which at least one is known."""
    if len(cells) > MOST_COLUMNS or any(map(_is_digits, cells)) or not reads_as_text(cells):
        return False
    return any(map(_part_called, cells))


def reads_as_text(cells: Sequence[str]) -> bool:
    """True if no cell has as many digits as a number."""
    return all(sum(map(str.isdecimal, cell)) < dialstring.DIGITS_OF_A_NUMBER for cell in cells)


def columns_of(heading: Sequence[str]) -> Columns | None:
    """The columns that a heading names. None for a single column: its rows may have further columns, without names.

    Raises InvalidEntry if two columns could be the same part, or none is the number.
    """
    names = list(heading)
    while names and not names[-1]:
        names.pop()
    indexes: dict[str, int] = {}
    others = []
    for index, name in enumerate(names):
        part = _part_called(name)
        if part is None:
            others.append(index)
        elif part in indexes:
            first = names[indexes[part]]
            raise InvalidEntry(EntryFault.HEADING_REPEATS_PART, first=first, second=name, part=part)
        else:
            indexes[part] = index
    if "phone_number" not in indexes:
        raise InvalidEntry(EntryFault.HEADING_WITHOUT_NUMBER)
    if len(names) == 1:
        return None
    nameless = [index for index in others if not names[index]]
    others = [index for index in others if names[index]]
    if "message_reference" in indexes or not others:
        return Columns(names, indexes, nameless=nameless)
    if len(others) > 1:
        raise InvalidEntry(EntryFault.HEADING_WITH_SEVERAL_REFERENCES, columns=[names[index] for index in others])
    return Columns(names, indexes, others[0], nameless)


def _is_digits(cell: str) -> bool:
    """True for digits without letters, which are no column's name."""
    return sum(map(str.isdecimal, cell)) >= 3 and not any(map(str.isalpha, cell))


def _part_called(name: str) -> str | None:
    """The part of an entry that a column of this name holds; None if the name isn't known."""
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
    """The cell's text without the characters that protect it from a spreadsheet program.

    `="2225550142"` keeps the program from reading digits as an amount. An apostrophe keeps it from running a formula,
    as in the list of calls that the API answers.
    """
    if cell.startswith('="') and cell.endswith('"') and len(cell) > 2:
        return cell[2:-1].strip()
    return cell[1:] if cell.startswith(_KEPT_INERT) else cell
