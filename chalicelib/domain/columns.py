"""The columns of an uploaded file, as its first line shows them.

A heading names the columns of the number, the caller id, the digits to send and the message reference. A file without a
heading has the format of the reference, Create Campaign: a number, a comma, a message reference.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.domain import ambiguity, column_names, dialstring
from chalicelib.domain.faults import EntryFault, InvalidEntry
from chalicelib.domain.models import Entry

COMMA, TAB = ",", "\t"
#: what may separate columns
DELIMITERS = (COMMA, ";", TAB)

#: the most columns that a heading may have
MOST_COLUMNS = 200
#: the beginning of a cell with an apostrophe that keeps a spreadsheet from running a formula
_KEPT_INERT = re.compile("'+[-=+@\t\r]")
#: the first columns of the list of calls that the API answers...
_LIST_BEGINS = ("call_id", "phone_number", "message_reference")
#: ...and those of its columns that are no part of an entry
_OF_THE_LIST = re.compile(
    "call_id|state|reason|callee_type|attempts|last_attempt_timestamp|duration|report|report_attempts|report_error|revision"
)
#: the fewest characters of a cell that could be a number: `2E+09`
_SHORTEST_NUMBER = 5


@dataclass(frozen=True)
class Columns:
    """Which column holds which part of an entry."""

    #: as the heading has them
    names: Sequence[str]
    #: each part's column, counted from 0
    indexes: dict[str, int]
    #: The only column whose name isn't known. It is the reference if no column is named as such.
    unnamed_reference: int | None = None
    #: the columns that are no named part, but for those of the list of calls
    others: Sequence[int] = ()
    #: those of the others that must be empty, because of their names
    empty: frozenset[int] = frozenset()
    #: True for the list of calls that the API answers. Its references were taken as such before.
    is_list_of_calls: bool = False

    def entry(self, cells: Sequence[str]) -> Entry:
        """The entry in a row. Raises InvalidEntry."""
        if len(cells) != len(self.names):
            if any(cells[len(self.names) :]):
                raise InvalidEntry(EntryFault.TOO_MANY_COLUMNS, columns=len(cells), limit=len(self.names))
            cells = [*cells, *[""] * (len(self.names) - len(cells))]
        for index in self.others:
            if cells[index] and (index in self.empty or not ambiguity.is_words(cells[index])):
                self._refuse_lost(index, cells[index])
        parts = {part: cells[index] for part, index in self.indexes.items()}
        if self.unnamed_reference is not None:
            parts["message_reference"] = cells[self.unnamed_reference]
        reference = parts.get("message_reference", "")
        if not (ambiguity.is_words(reference) or self.is_list_of_calls):
            ambiguity.refuse_parameter(reference)
            if self.unnamed_reference is not None:
                ambiguity.refuse_digits_to_send(reference)
        return dialstring.joined(**parts)

    def _refuse_lost(self, index: int, cell: str) -> None:
        """Raises InvalidEntry for a cell that would be ignored, or taken for a reference, though it may be dialled."""
        name = self.names[index]
        if index in self.empty:
            raise InvalidEntry(EntryFault.COLUMN_NOT_EMPTY, cell=cell, column=name)
        ambiguity.refuse_parameter(cell)
        ambiguity.refuse_extension(cell)
        if len(cell) >= _SHORTEST_NUMBER and ambiguity.could_be_a_number(cell):
            if not name:
                raise InvalidEntry(EntryFault.NUMBER_IN_NAMELESS_COLUMN, cell=cell)
            raise InvalidEntry(EntryFault.NUMBER_IN_ANOTHER_COLUMN, cell=cell, column=name)


def cells_of(line: str, delimiter: str) -> list[str]:
    """A row's cells. Each line is read alone, so that an unclosed quotation mark doesn't swallow the lines after it.

    Raises InvalidEntry.
    """
    if '"' not in line:
        cells = [cell.strip() for cell in line.split(delimiter)]
        return [value(cell) for cell in cells] if "'" in line else cells
    # Most files that have quotation marks have them around each cell, and nowhere else.
    if len(line) > 1 and line[0] == line[-1] == '"':
        cells = line[1:-1].split(f'"{delimiter}"')
        if '"' not in "".join(cells):
            return [value(cell.strip()) for cell in cells]
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
    return any(map(column_names.part_called, cells))


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
        part = column_names.part_called(name)
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
    is_list_of_calls = tuple(names[: len(_LIST_BEGINS)]) == _LIST_BEGINS
    if is_list_of_calls:
        others = [index for index in others if not _OF_THE_LIST.fullmatch(names[index])]
    named = [index for index in others if names[index]]
    empty = frozenset(index for index in named if column_names.means_digits(names[index]))
    if "message_reference" in indexes or not named:
        return Columns(names, indexes, None, others, empty, is_list_of_calls)
    if len(named) > 1:
        raise InvalidEntry(EntryFault.HEADING_WITH_SEVERAL_REFERENCES, columns=[names[index] for index in named])
    return Columns(names, indexes, named[0], others, empty)


def _is_digits(cell: str) -> bool:
    """True for digits without letters, which are no column's name."""
    return sum(map(str.isdecimal, cell)) >= 3 and not any(map(str.isalpha, cell))


def value(cell: str) -> str:
    """The cell's text without the characters that protect it from a spreadsheet program.

    `="2225550142"` keeps the program from reading digits as an amount. An apostrophe keeps it from running a formula,
    as in the list of calls that the API answers.
    """
    if cell.startswith('="') and cell.endswith('"') and len(cell) > 2:
        return cell[2:-1].strip()
    return cell[1:] if _KEPT_INERT.match(cell) else cell
