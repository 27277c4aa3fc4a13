"""A list of phone numbers as it is uploaded: a CSV or TXT file, or an array.

An upload is taken whole or not at all, so every fault is looked for before the first number is queued. A fault is
named by where its entry stands: in a file by its line, counted from 1 as editors do; in an array by its index, counted
from 0 as in `profiles.0`.
"""

import json
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TypeVar

from chalicelib.domain import ambiguity, columns, dialstring, json_text
from chalicelib.domain.columns import Columns
from chalicelib.domain.dialstring import InvalidEntry, parse, quoted
from chalicelib.domain.json_text import NameGivenTwice
from chalicelib.domain.models import Entry
from chalicelib.errors import InvalidFields

#: how many faults are told one by one
MAX_FAULTS = 100

T = TypeVar("T")

_FIELD = "phone_numbers"

_LINE_END = re.compile(r"\r\n|\n|\r")

#: What a spreadsheet writes before all else to tell what is between its columns.
_SEPARATOR = re.compile(r"sep=([,;\t])\s*", re.IGNORECASE)
_END_OF_FILE = "\x1a"
#: the byte order mark, which stands before the lines of files that were joined
_MARK = "\ufeff"
#: what a row of empty columns is made of
_BLANK = ',;"\ufeff' + string.whitespace + "\x1c\x1d\x1e\x1f\x85\xa0\u2028\u2029"

#: the members of an entry that is an object
_PARTS = ("phone_number", "ani", "postd", "message_reference")

_ANI = re.compile(r";ani=[^;]*")


@dataclass(frozen=True)
class Upload:
    """The entries of one upload, in their order."""

    entries: tuple[Entry, ...]
    #: how many were left out as repeats
    dropped: int = 0


def read(value: object, *, unique: bool = False) -> Upload:
    """The entries in `value`: a file's bytes, an array of strings, integers or objects, or text.

    A file or text that begins with `[` is a JSON array; other text is one element of an array, or, if it has several
    lines, read like a file. With `unique`, an entry is left out if one before it has the same number and the same
    `postd`, whatever their caller ids and references: what its owner wants is one call for each callee.

    Raises InvalidFields: about `phone_numbers` as a whole if it can't be read at all or has no entries; else with the
    first 100 faults by line or index, and under `phone_numbers` how many there are.
    """
    if isinstance(value, bytes):
        text = _decode(value)
        if text.lstrip("\ufeff \t\r\n").startswith(("[", "{")):
            return read(_load(text.lstrip("\ufeff \t\r\n")), unique=unique)
        return _gather(*_file(text), unique=unique)
    if isinstance(value, str):
        value = value.removeprefix("\ufeff")
        text = value.strip()
        if text.startswith(("[", "{")):
            return read(_load(text), unique=unique)
        if _LINE_END.search(text):
            return _gather(*_file(value), unique=unique)
        value = [text] if text else []
    if isinstance(value, Sequence):
        return _gather(enumerate(value), _read_element, unique=unique)
    raise InvalidFields({_FIELD: [f"The {_FIELD} field must be an array or a file."]})


def _gather(numbered: Iterable[tuple[int, T]], reader: Callable[[T], list[Entry]], *, unique: bool) -> Upload:
    entries: list[Entry] = []
    faults: dict[str, list[str]] = {}
    invalid = 0
    for number, written in numbered:
        if invalid > MAX_FAULTS and _is_hopeless(written):
            invalid += 1
            continue
        try:
            entries += reader(written)
        except InvalidEntry as fault:
            invalid += 1
            if invalid <= MAX_FAULTS:
                faults[f"{_FIELD}.{number}"] = [_sentence(number, written, fault)]
    if invalid:
        raise InvalidFields({_FIELD: [_summary(invalid)], **faults})
    if not entries:
        raise InvalidFields({_FIELD: [f"The {_FIELD} field is required."]})
    if not unique:
        return Upload(tuple(entries))
    first_of_each: dict[str, Entry] = {}
    for entry in entries:
        first_of_each.setdefault(_ANI.sub("", entry.destination), entry)
    return Upload(tuple(first_of_each.values()), dropped=len(entries) - len(first_of_each))


def _is_hopeless(written: object) -> bool:
    """Is it surely no entry? What is told one by one is enough, so the others are counted at little cost."""
    match written:
        case str():
            return len(written) < dialstring.DIGITS_OF_A_NUMBER
        case bool():
            return True
        case int():
            # ten digits, or eleven of which the first is 1, and an area code that begins with 2 to 9
            return not (written % 10**10 >= 2 * 10**9 and written // 10**10 in (0, 1))
        case dict():
            return "phone_number" not in written
        case _:
            return True


def _sentence(number: int, written: object, fault: InvalidEntry) -> str:
    """The fault, and the value that it is about where that can be told in short."""
    value = f" {quoted(str(written))}" if isinstance(written, str | int | float) else ""
    return f"The {_FIELD}.{number} entry{value} {fault.reason}"


def _summary(invalid: int) -> str:
    if invalid == 1:
        return f"The {_FIELD} field has 1 invalid entry."
    listed = f"; the first {MAX_FAULTS} are listed" if invalid > MAX_FAULTS else ""
    return f"The {_FIELD} field has {invalid} invalid entries{listed}."


def _decode(content: bytes) -> str:
    """A file's text. UTF-16 and spreadsheet programs' own formats have NUL bytes, which no list of numbers has."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InvalidFields({_FIELD: [f"The {_FIELD} field must be a CSV or TXT file in UTF-8: save it as CSV UTF-8."]})
    return text


def _load(text: str) -> list[object]:
    try:
        value = json_text.load(text)
    except json.JSONDecodeError as error:
        raise InvalidFields({_FIELD: [f"The {_FIELD} field is not valid JSON: {error}."]}) from None
    except NameGivenTwice:
        raise InvalidFields({_FIELD: [f"The {_FIELD} field has an object with the same name twice."]}) from None
    except (RecursionError, ValueError):
        # arrays within arrays, or an integer that Python won't convert
        raise InvalidFields(
            {_FIELD: [f"The {_FIELD} field is not valid JSON: nested too deeply or too long."]}
        ) from None
    if not isinstance(value, list):
        raise InvalidFields({_FIELD: [f"The {_FIELD} field must be a JSON array, if it is JSON."]})
    return value


def _file(text: str) -> tuple[Iterable[tuple[int, str]], Callable[[str], list[Entry]]]:
    """The lines that are entries, each with its number, and how one of them is read.

    Raises InvalidFields for a heading that can't be understood.
    """
    lines: Iterator[tuple[int, str]] = ((number, line) for number, line in _numbered(text) if not _is_blank(line))
    number, line = next(lines, (0, ""))
    delimiter = _SEPARATOR.fullmatch(line)
    if delimiter is not None:
        between = delimiter[1]
        number, line = next(lines, (0, ""))
    else:
        between = columns.delimiter_of(line)
    cells = _cells(line, between)
    is_heading = columns.is_heading(cells)
    try:
        meaning = columns.columns_of(cells) if is_heading else None
    except InvalidEntry as fault:
        sentence = _sentence(number, line, fault)
        raise InvalidFields({_FIELD: [_summary(1)], f"{_FIELD}.{number}": [sentence]}) from None
    if not is_heading and number:
        first = _NoHeading(line) if columns.reads_as_text(cells) else line
        lines = chain([(number, first)], lines)
    return lines, partial(_read_line, delimiter=between, meaning=meaning)


def _cells(line: str, delimiter: str) -> list[str]:
    """A line's columns; the line itself if its quotation marks aren't closed, which is told when it is read."""
    try:
        return columns.cells_of(line, delimiter)
    except InvalidEntry:
        return [line]


class _NoHeading(str):
    """A file's first line, if it is neither a number nor a heading that is known."""

    __slots__ = ()


def _numbered(text: str) -> Iterable[tuple[int, str]]:
    """The lines, counted from 1. Programs of old end a file with 0x1A."""
    text = text.rstrip()
    if text.endswith(_END_OF_FILE):
        text = text.rstrip(_END_OF_FILE + " \t\r\n")
    if _MARK in text:
        text = re.sub(f"(^|[\r\n]){_MARK}+", r"\1", text)
    return enumerate(_LINE_END.split(text), start=1)


def _is_blank(line: str) -> bool:
    """Has it nothing but empty columns?"""
    return not line.strip(_BLANK)


def _read_line(line: str, delimiter: str, meaning: Columns | None) -> list[Entry]:
    """A row by its heading. Without one the first column is the number, and all others are its reference.

    A line that is quoted as a whole is read as what it quotes. Columns left empty at the end of a row say nothing.
    """
    if type(line) is _NoHeading:
        raise InvalidEntry(f"is neither a phone number nor a heading that is known. Known are {columns.KNOWN}.")
    if meaning is not None:
        return [meaning.entry(columns.cells_of(line, delimiter))]
    if '"' in line or delimiter != columns.COMMA:
        line = ",".join(columns.cells_of(line, delimiter))
    line = columns.value(line.rstrip(", \t"))
    if "," in line:
        ambiguity.refuse_second_number(line)
    return [parse(line)]


def _read_element(element: object) -> list[Entry]:
    """An array's element: an object, text, which may hold several numbers, or an integer, which is its digits."""
    if isinstance(element, dict):
        return [_read_object(element)]
    text = _text(element)
    return [parse(entry) for entry in ambiguity.split(text)]


def _read_object(parts: Mapping[object, object]) -> Entry:
    """`{"phone_number": "2223334444", "ani": "7778889999", "postd": "1", "message_reference": "march"}`."""
    for name in parts:
        if name not in _PARTS:
            raise InvalidEntry(f"has an unknown member {quoted(str(name))}: known are {', '.join(_PARTS)}.")
    given = {str(name): _member(str(name), value) for name, value in parts.items() if value is not None}
    return dialstring.joined(**({"phone_number": ""} | given))


def _member(name: str, value: object) -> str:
    """Text, or an integer's digits. Raises InvalidEntry."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    raise InvalidEntry(f"has a {name} that is no text.")


def _text(value: object) -> str:
    """Text, or an integer's digits. Raises InvalidEntry."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value < 10**15:
            raise InvalidEntry("is not a valid phone number.")
        return str(value)
    if not isinstance(value, str):
        raise InvalidEntry("must be a string.")
    return value
