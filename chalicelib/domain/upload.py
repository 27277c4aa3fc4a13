"""A list of phone numbers as it is uploaded: a CSV or TXT file, or an array.

An upload is taken whole or not at all, so every fault is looked for before the first number is queued. A fault is
named by where its entry stands: in a file by its line, counted from 1 as editors do; in an array by its index, counted
from 0 as in `profiles.0`.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from chalicelib.domain.dialstring import InvalidEntry, parse, split
from chalicelib.domain.models import Entry
from chalicelib.errors import InvalidFields

#: how many faults are told one by one
MAX_FAULTS = 100

T = TypeVar("T")

_FIELD = "phone_numbers"

#: What the first column of a heading may be called, in lower case without spaces, underscores and hyphens. Only these:
#: any other first line that isn't a number is a fault, not a heading.
_HEADINGS = frozenset(
    {"callee", "cell", "cellphone", "destination", "mobile", "mobilenumber", "mobilephone", "msisdn", "number"}
    | {"numbers", "phone", "phoneno", "phonenumber", "phonenumbers", "phones", "tel", "telephone", "telephonenumber"}
)

_LINE_END = re.compile(r"\r\n|\n|\r")

#: a reference never begins like this; a second number on the line does
_SECOND_NUMBER = re.compile(r"(?:^|,)\s*tel:", re.IGNORECASE)

_ANI = re.compile(r";ani=[^;]*")


@dataclass(frozen=True)
class Upload:
    """The entries of one upload, in their order."""

    entries: tuple[Entry, ...]
    #: how many were left out as repeats
    dropped: int = 0


def read(value: object, *, unique: bool = False) -> Upload:
    """The entries in `value`: a file's bytes, an array of strings, or text.

    Text that begins with `[` is a JSON array; other text is one element of an array, or, if it has several lines, read
    like a file. With `unique`, an entry is left out if one before it has the same number and the same `postd`, whatever
    their caller ids and references: what its owner wants is one call for each callee.

    Raises InvalidFields: about `phone_numbers` as a whole if it can't be read at all or has no entries; else with the
    first 100 faults by line or index, and under `phone_numbers` how many there are.
    """
    if isinstance(value, bytes):
        return _gather(_lines(_decode(value)), _read_line, unique=unique)
    if isinstance(value, str):
        value = value.removeprefix("\ufeff")
        text = value.strip()
        if text.startswith("["):
            return read(_load(text), unique=unique)
        if _LINE_END.search(text):
            return _gather(_lines(value), _read_line, unique=unique)
        value = [text] if text else []
    if isinstance(value, Sequence):
        return _gather(enumerate(value), _read_element, unique=unique)
    raise InvalidFields({_FIELD: [f"The {_FIELD} field must be an array or a file."]})


def _gather(numbered: Iterable[tuple[int, T]], reader: Callable[[T], list[Entry]], *, unique: bool) -> Upload:
    entries: list[Entry] = []
    faults: dict[str, list[str]] = {}
    invalid = 0
    for number, written in numbered:
        try:
            entries += reader(written)
        except InvalidEntry as fault:
            invalid += 1
            if invalid <= MAX_FAULTS:
                faults[f"{_FIELD}.{number}"] = [f"The {_FIELD}.{number} entry {fault.reason}"]
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
        raise InvalidFields({_FIELD: [f"The {_FIELD} field must be a CSV or TXT file in UTF-8."]})
    return text


def _load(text: str) -> list[object]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidFields({_FIELD: [f"The {_FIELD} field is not valid JSON: {error}."]}) from None
    except (RecursionError, ValueError):
        # arrays within arrays, or an integer that Python won't convert
        raise InvalidFields(
            {_FIELD: [f"The {_FIELD} field is not valid JSON: nested too deeply or too long."]}
        ) from None
    return list(value)


def _lines(text: str) -> Iterable[tuple[int, str]]:
    """The lines with their numbers, without blank ones and a heading."""
    heading_possible = True
    for number, line in enumerate(_LINE_END.split(text), start=1):
        if not line.replace('"', "").replace(",", "").strip():
            continue
        if heading_possible:
            heading_possible = False
            if _is_heading(line):
                continue
        yield number, line


def _is_heading(line: str) -> bool:
    first, _, _ = line.partition(",")
    return re.sub('[" _-]', "", first).lower() in _HEADINGS


def _read_line(line: str) -> list[Entry]:
    """A row's first column is the number, the second its reference; further ones belong to the reference.

    A line that is quoted as a whole is read as what it quotes. Columns left empty at the end of a row say nothing.
    """
    if '"' in line:
        line = ",".join(_unquote(line))
    entry = parse(line.rstrip(", \t"))
    if _SECOND_NUMBER.search(entry.message_reference):
        raise InvalidEntry("has more than one phone number: each needs a line of its own.")
    return [entry]


def _unquote(line: str) -> list[str]:
    """A row's columns. Each line is read alone: an unclosed quote must not swallow the numbers after it."""
    try:
        (columns,) = csv.reader([line], strict=True, skipinitialspace=True)
    except csv.Error:
        raise InvalidEntry("has a quotation mark that is not closed.") from None
    return columns


def _read_element(element: object) -> list[Entry]:
    """An array's element: text, which may hold several numbers, or an integer, which is its digits."""
    if isinstance(element, int) and not isinstance(element, bool):
        if not 0 <= element < 10**15:
            raise InvalidEntry("is not a valid phone number.")
        element = str(element)
    if not isinstance(element, str):
        raise InvalidEntry("must be a string.")
    return [parse(entry) for entry in split(element)]
