"""A list of phone numbers as it is uploaded: a CSV or TXT file, or an array.

An upload is accepted whole or not at all, so all of it is read before the first number is queued. A fault is located by
its entry: in a file by the line, counted from 1 as editors do; in an array by the index, counted from 0 as in
`profiles.0`.
"""

import json
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import TypeVar

from chalicelib.domain import ambiguity, columns, dialstring, json_text
from chalicelib.domain.columns import Columns
from chalicelib.domain.faults import (
    EntryFault,
    FaultyEntry,
    InvalidEntries,
    InvalidEntry,
    UnreadableUpload,
    UploadFault,
)
from chalicelib.domain.json_text import NameGivenTwice
from chalicelib.domain.models import Entry
from chalicelib.domain.plain_entry import parse_plain

#: how many invalid entries are listed, and how many are counted: the rest of the upload isn't read
MAX_LISTED, MAX_COUNTED = 100, 10_000

T = TypeVar("T")

_LINE_END = re.compile(r"\r\n|\n|\r")

#: the first line by which a spreadsheet program names the separator of its columns
_SEPARATOR = re.compile(r"sep=([,;\t])\s*", re.IGNORECASE)
_END_OF_FILE = "\x1a"
#: the byte order mark; files that were joined have one before some of their lines
_MARK = "\ufeff"
#: the characters of a row of empty columns, which is skipped
_BLANK = ',;"\ufeff' + string.whitespace + "\x1c\x1d\x1e\x1f\x85\xa0\u2028\u2029"

#: the members of an entry that is an object
_MEMBERS = ("phone_number", "ani", "postd", "message_reference")


@dataclass(frozen=True)
class Upload:
    """The entries of one upload, in their order."""

    entries: tuple[Entry, ...]
    #: how many were dropped as repeats
    dropped: int = 0

    def with_times(self, not_before: datetime | None, expires: datetime | None) -> "Upload":
        """The upload whose entries have these times."""
        if not_before is None and expires is None:
            return self
        timed = (entry._replace(not_before=not_before, expires=expires) for entry in self.entries)
        return replace(self, entries=tuple(timed))


def read(value: object) -> Upload:
    """The entries in `value`: a file's bytes, an array of strings, integers or objects, or text.

    A file or text that begins with `[` is a JSON array. Other text is one element of an array, or, if it has several
    lines, a file.

    Raises UnreadableUpload if there are no entries in it, and InvalidEntries if any entry is invalid.
    """
    if isinstance(value, bytes):
        text = _decode(value)
        if text.lstrip("\ufeff \t\r\n").startswith(("[", "{")):
            return read(_load(text.lstrip("\ufeff \t\r\n")))
        return _read_entries(*_file(text))
    if isinstance(value, str):
        value = value.removeprefix("\ufeff")
        text = value.strip()
        if text.startswith(("[", "{")):
            return read(_load(text))
        if _LINE_END.search(text):
            return _read_entries(*_file(value))
        value = [text] if text else []
    if isinstance(value, Sequence):
        return _read_entries(enumerate(value), _read_element)
    raise UnreadableUpload(UploadFault.NO_ARRAY_OR_FILE)


def _read_entries(indexed: Iterable[tuple[int, T]], reader: Callable[[T], list[Entry]]) -> Upload:
    entries: list[Entry] = []
    listed: list[FaultyEntry] = []
    invalid = 0
    for index, written in indexed:
        try:
            entries += reader(written)
        except InvalidEntry as fault:
            invalid += 1
            if invalid > MAX_COUNTED:
                raise InvalidEntries(MAX_COUNTED, listed, are_all_counted=False) from None
            if invalid <= MAX_LISTED:
                listed.append(FaultyEntry.of(index, written, dialstring.diagnosed(fault)))
    if invalid:
        raise InvalidEntries(invalid, listed)
    if not entries:
        raise UnreadableUpload(UploadFault.NO_ENTRIES)
    return Upload(tuple(entries))


def _decode(content: bytes) -> str:
    """A file's text. A NUL byte shows UTF-16, or a spreadsheet program's own format: no list of numbers has one."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UnreadableUpload(UploadFault.NO_UTF8)
    return text


def _load(text: str) -> list[object]:
    try:
        value = json_text.load(text)
    except json.JSONDecodeError as error:
        raise UnreadableUpload(UploadFault.NO_JSON, str(error)) from None
    except NameGivenTwice:
        raise UnreadableUpload(UploadFault.NAME_GIVEN_TWICE) from None
    except (RecursionError, ValueError):
        # nested arrays, or an integer that Python doesn't convert
        raise UnreadableUpload(UploadFault.JSON_TOO_LARGE) from None
    if not isinstance(value, list):
        raise UnreadableUpload(UploadFault.NO_JSON_ARRAY)
    return value


def _file(text: str) -> tuple[Iterable[tuple[int, str]], Callable[[str], list[Entry]]]:
    """The lines that are entries, each with its number, and the function that reads one of them.

    Raises InvalidEntries for a heading that can't be understood.
    """
    lines: Iterator[tuple[int, str]] = ((number, line) for number, line in _numbered(text) if line.strip(_BLANK))
    number, line = next(lines, (0, ""))
    separator = _SEPARATOR.fullmatch(line)
    if separator is not None:
        delimiter = separator[1]
        number, line = next(lines, (0, ""))
    else:
        delimiter = columns.delimiter_of(line)
    cells = _cells(line, delimiter)
    is_heading = columns.is_heading(cells)
    try:
        meaning = columns.columns_of(cells) if is_heading else None
    except InvalidEntry as fault:
        raise InvalidEntries(1, [FaultyEntry.of(number, line, fault)]) from None
    if not is_heading and number:
        first = _NoHeading(line) if columns.reads_as_text(cells) else line
        lines = chain([(number, first)], lines)
    return lines, partial(_read_line, delimiter=delimiter, meaning=meaning)


def _cells(line: str, delimiter: str) -> list[str]:
    """A line's cells, or the line itself if a quotation mark isn't closed: that is refused when the line is read."""
    try:
        return columns.cells_of(line, delimiter)
    except InvalidEntry:
        return [line]


class _NoHeading(str):
    """A file's first line, if it is neither a number nor a known heading."""

    __slots__ = ()


def _numbered(text: str) -> Iterable[tuple[int, str]]:
    """The lines, counted from 1. Old programs end a file with 0x1A."""
    text = text.rstrip()
    if text.endswith(_END_OF_FILE):
        text = text.rstrip(_END_OF_FILE + " \t\r\n")
    if _MARK in text:
        text = re.sub(f"(^|[\r\n]){_MARK}+", r"\1", text)
    return enumerate(_LINE_END.split(text), start=1)


def _read_line(line: str, delimiter: str, meaning: Columns | None) -> list[Entry]:
    """A row by its heading. Without one the first column is the number, and all others are its reference.

    A line that is quoted as a whole is read as the text in its quotation marks. Empty columns at its end are ignored.
    """
    if meaning is not None:
        return [meaning.entry(columns.cells_of(line, delimiter))]
    plain = parse_plain(_without_quotation_marks(line, delimiter))
    if plain is not None:
        return [plain]
    if type(line) is _NoHeading:
        raise InvalidEntry(EntryFault.UNKNOWN_HEADING)
    text = line
    if '"' in line or delimiter != columns.COMMA:
        text = columns.COMMA.join(columns.cells_of(line, delimiter))
    text = columns.value(text.rstrip(", \t"))
    plain = parse_plain(text) if text != line else None
    if plain is not None:
        return [plain]
    if "," in text:
        ambiguity.refuse_second_number(text)
    return [dialstring.parse_unusual(text)]


def _without_quotation_marks(line: str, delimiter: str) -> str:
    """A row with commas between its cells, if it has one of the usual forms; otherwise the row as it is.

    Spaces around a cell aren't part of it, so a row that has any is left to `columns.cells_of`.
    """
    if delimiter != columns.COMMA:
        return line if '"' in line or _has_spaces(line, delimiter) else line.replace(delimiter, columns.COMMA)
    if not line.endswith('"'):
        return line
    if line.startswith('"'):
        return line if _has_spaces(line, '","') else line[1:-1].replace('","', columns.COMMA)
    # Many programs quote only cells that have a comma.
    before, _, cell = line[:-1].partition(',"')
    has_spaces = cell != cell.strip() or ", " in before or " ," in before
    return line if has_spaces else f"{before},{cell}"


def _has_spaces(line: str, between: str) -> bool:
    """True if a space is before or after what is between two cells."""
    return f"{between} " in line or f" {between}" in line


def _read_element(element: object) -> list[Entry]:
    """An array's element: an object, text, which may hold several numbers, or an integer, whose digits are a number."""
    if isinstance(element, dict):
        return [_read_object(element)]
    text = _text(element)
    plain = parse_plain(text)
    if plain is not None:
        return [plain]
    return [dialstring.parse(entry) for entry in ambiguity.split(text)]


def _read_object(members: Mapping[object, object]) -> Entry:
    """`{"phone_number": "2223334444", "ani": "7778889999", "postd": "1", "message_reference": "march"}`."""
    for name in members:
        if name not in _MEMBERS:
            raise InvalidEntry(EntryFault.UNKNOWN_MEMBER, name=str(name), known=_MEMBERS)
    given = {str(name): _member(str(name), value) for name, value in members.items() if value is not None}
    return dialstring.joined(**({"phone_number": ""} | given))


def _member(name: str, value: object) -> str:
    """Text, or an integer's digits. Raises InvalidEntry."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    raise InvalidEntry(EntryFault.MEMBER_WITHOUT_TEXT, name=name)


def _text(value: object) -> str:
    """Text, or an integer's digits. Raises InvalidEntry."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value < 10**15:
            raise InvalidEntry(EntryFault.NO_NUMBER)
        return str(value)
    if not isinstance(value, str):
        raise InvalidEntry(EntryFault.NO_STRING)
    return value
