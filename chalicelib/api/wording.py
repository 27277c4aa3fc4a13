"""The sentences in which the API answers faults. Domain and storage know only codes and facts."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from chalicelib.domain.faults import (
    EntryFault,
    EventFault,
    FaultyEntry,
    InvalidEntries,
    InvalidEntry,
    UnreadableEvent,
    UnreadableUpload,
    UploadFault,
)
from chalicelib.errors import CallpacerError

#: the field of an upload
_FIELD = "phone_numbers"
#: characters of a value that a sentence quotes
_LONGEST_QUOTED = 40
#: a name that needs no quotation marks
_PLAIN_NAME = re.compile(rf"[\w.\[\]-]{{1,{_LONGEST_QUOTED}}}", re.ASCII)
#: columns that a sentence names
_MOST_COLUMNS_NAMED = 5


class InvalidFields(CallpacerError):
    """Parameters that break the contract: for each field's name, its faults as sentences."""

    def __init__(self, faults: Mapping[str, Sequence[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(sentences)}" for name, sentences in faults.items()))
        self.faults = {name: list(sentences) for name, sentences in faults.items()}


def quoted(text: str) -> str:
    """The text in quotation marks, shortened, with its invisible characters escaped."""
    return f'"{_shortened(text.strip())}"'


def in_short(value: object) -> str:
    """A value of a request as a sentence quotes it."""
    return quoted(value) if isinstance(value, str) else quoted(json.dumps(value, default=lambda _: "a file"))


def named(name: object) -> str:
    """A name from a request, as sentences and keys of faults have it: like `quoted`, but a plain word as it is."""
    text = str(name)
    return text if _PLAIN_NAME.fullmatch(text) else f'"{_shortened(text)}"'


def _shortened(text: str) -> str:
    if len(text) > _LONGEST_QUOTED:
        text = text[:_LONGEST_QUOTED] + "\N{HORIZONTAL ELLIPSIS}"
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


#: the predicates of sentences about JSON, of a whole body or of an upload
NO_JSON = "is not valid JSON: {parser_message}."
JSON_TOO_LARGE = "is not valid JSON: nested too deeply or too long."
NAME_GIVEN_TWICE = "has an object with the same name twice."

#: the predicate of sentences about a value in a query
SPACE_FOR_PLUS = "has a space before a number: + is written %2B in a query."

#: the predicates of sentences about a whole upload
_OF_UPLOADS: Mapping[UploadFault, str] = {
    UploadFault.NO_ENTRIES: "is required.",
    UploadFault.NO_ARRAY_OR_FILE: "must be an array or a file.",
    UploadFault.NO_UTF8: "must be a CSV or TXT file in UTF-8: save it as CSV UTF-8.",
    UploadFault.NO_JSON: NO_JSON,
    UploadFault.JSON_TOO_LARGE: JSON_TOO_LARGE,
    UploadFault.NO_JSON_ARRAY: "must be a JSON array, if it is JSON.",
    UploadFault.NAME_GIVEN_TWICE: NAME_GIVEN_TWICE,
}

_KNOWN_COLUMNS = (
    "phone_number (or phone, mobile, telephone, destination and the like), ani, postd and message_reference"
)


def _unexpected_character(character: str, before: str) -> str:
    named = f'"{character}"' if character.isascii() and character.isprintable() else f"U+{ord(character):04X}"
    where = f"after {quoted(before)}" if before else "at its beginning"
    return f"has an unexpected character {named} {where}."


def _several_references(columns: Sequence[str]) -> str:
    which = ", ".join(map(quoted, columns[:_MOST_COLUMNS_NAMED]))
    return f"is a heading in which {which} could be the message_reference: call one of them so."


#: the predicates of sentences about an entry, made from the fault's facts
_OF_ENTRIES: Mapping[EntryFault, Callable[..., str]] = {
    EntryFault.NO_NUMBER: lambda **_: "is not a valid phone number: ten digits, or + and a country code.",
    EntryFault.AMOUNT: "reads like an amount that a spreadsheet made of a number: format the column as text.".format,
    EntryFault.DIGITS_BEHIND_NUMBER: (
        "has digits behind its number: write ;postd= before digits to be sent once the call is answered."
    ).format,
    EntryFault.UNEXPECTED_CHARACTER: _unexpected_character,
    EntryFault.COMMA_IN_NUMBER: "has a comma in its phone number.".format,
    EntryFault.UNKNOWN_PARAMETER: (
        "has an unknown parameter: only ani and postd are known, and columns are separated by commas."
    ).format,
    EntryFault.REPEATED_PARAMETER: "has more than one {name}.".format,
    EntryFault.INVALID_ANI: "has an invalid ani: it must be 1 to 15 digits, with or without a plus sign.".format,
    EntryFault.INVALID_POSTD: "has an invalid postd: it must be 1 to 64 digits, asterisks or number signs.".format,
    EntryFault.CONTROL_CHARACTERS: "has control characters in its message_reference.".format,
    EntryFault.REFERENCE_TOO_LONG: "has a message_reference greater than {limit} bytes.".format,
    EntryFault.SEVERAL_NUMBERS: "has more than one phone number: each needs a line of its own.".format,
    EntryFault.NUMBER_OR_REFERENCE: lambda piece: (
        f"has {quoted(piece)} behind its number, which could be another number or a reference: write tel: before "
        "each number, or give each an entry of its own."
    ),
    EntryFault.PARAMETER_BEHIND_COMMA: lambda piece: (
        f"has {quoted(piece)} behind a comma: a parameter is separated from its number by a semicolon."
    ),
    EntryFault.UNCLOSED_QUOTATION_MARK: "has a quotation mark that is not closed.".format,
    EntryFault.TOO_MANY_COLUMNS: (
        "has {columns} columns where the heading has {limit}: what holds a separator needs quotation marks."
    ).format,
    EntryFault.NUMBER_IN_ANOTHER_COLUMN: lambda cell, column: (
        f"has {quoted(cell)} in the column {quoted(column)}, which could be another number: if it isn't, leave the "
        "column out, or call it message_reference."
    ),
    EntryFault.COLUMN_NOT_EMPTY: lambda cell, column: (
        f"has {quoted(cell)} in the column {quoted(column)}, whose name may mean a number, a caller id or an extension "
        "but isn't known: give it the name of what it has, or leave it out."
    ),
    EntryFault.NUMBER_IN_NAMELESS_COLUMN: lambda cell: f"has {quoted(cell)} in a column without a name.",
    EntryFault.HEADING_REPEATS_PART: lambda first, second, part: (
        f"is a heading in which {quoted(first)} and {quoted(second)} could both be the {part}: only one can be."
    ),
    EntryFault.HEADING_WITHOUT_NUMBER: (
        f"is a heading without a column for the number; known are {_KNOWN_COLUMNS}.".format
    ),
    EntryFault.HEADING_WITH_SEVERAL_REFERENCES: _several_references,
    EntryFault.UNKNOWN_HEADING: (
        f"is neither a phone number nor a heading that is known. Known are {_KNOWN_COLUMNS}.".format
    ),
    EntryFault.NO_STRING: "must be a string.".format,
    EntryFault.UNKNOWN_MEMBER: lambda name, known: (
        f"has an unknown member {quoted(name)}: known are {', '.join(known)}."
    ),
    EntryFault.MEMBER_WITHOUT_TEXT: "has a {name} that is no text.".format,
}


def sentences_of(refused: UnreadableUpload | InvalidEntries) -> dict[str, list[str]]:
    """The faults of an upload as the API answers them: for each field's name, its sentences."""
    if isinstance(refused, UnreadableUpload):
        predicate = _OF_UPLOADS[refused.code].format(parser_message=refused.parser_message)
        return {_FIELD: [f"The {_FIELD} field {predicate}"]}
    listed = {f"{_FIELD}.{faulty.index}": [_sentence(faulty)] for faulty in refused.listed}
    return {_FIELD: [_summary(refused)], **listed}


def sentences_of_event(refused: UnreadableEvent) -> dict[str, list[str]]:
    """Why no event could be read, likewise."""
    known = ", ".join(cast(Sequence[str], refused.facts["known"]))
    if refused.code is EventFault.NO_STATUS:
        return {"status": [f"The status field is required: one of {known}."]}
    name, status = str(refused.facts["field"]), refused.facts["status"]
    value = f" {quoted(str(status))}" if isinstance(status, str | int | float) else ""
    return {name: [f"The {name} field{value} is unknown: one of {known}."]}


def _summary(refused: InvalidEntries) -> str:
    if refused.count == 1:
        return f"The {_FIELD} field has 1 invalid entry."
    listed = len(refused.listed)
    ending = f"; the first {listed} are listed" if listed < refused.count else ""
    count = f"{refused.count}" if refused.are_all_counted else f"more than {refused.count}"
    return f"The {_FIELD} field has {count} invalid entries{ending}."


def _sentence(faulty: FaultyEntry) -> str:
    return _sentence_about(f"{_FIELD}.{faulty.index} entry", faulty.written, faulty)


def sentence_of_part(name: str, written: str, fault: InvalidEntry) -> str:
    """What is wrong with a field that holds a part of an entry."""
    return _sentence_about(f"{name} field", written, fault)


def _sentence_about(subject: str, written: object, fault: FaultyEntry | InvalidEntry) -> str:
    """What is wrong, with the value."""
    predicate = _OF_ENTRIES[fault.code](**fault.facts)
    return f"The {subject} {in_short(written)} {predicate}"
