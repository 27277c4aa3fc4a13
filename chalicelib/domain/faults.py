"""What can be wrong with an entry, with a whole upload, or with a call event: codes and facts, without words.

The sentences that customers read are made by `chalicelib.api.wording`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Self

from chalicelib.errors import CallpacerError


class EntryFault(StrEnum):
    """What is wrong with one entry. The comment above a code names its facts."""

    #: number, if it is known
    NO_NUMBER = auto()
    AMOUNT = auto()
    DIGITS_BEHIND_NUMBER = auto()
    #: character, and before: the text that precedes it
    UNEXPECTED_CHARACTER = auto()
    COMMA_IN_NUMBER = auto()
    UNKNOWN_PARAMETER = auto()
    #: name
    REPEATED_PARAMETER = auto()
    INVALID_ANI = auto()
    INVALID_POSTD = auto()
    CONTROL_CHARACTERS = auto()
    #: limit, in bytes
    REFERENCE_TOO_LONG = auto()

    SEVERAL_NUMBERS = auto()
    #: piece
    NUMBER_OR_REFERENCE = auto()
    #: piece
    PARAMETER_BEHIND_COMMA = auto()

    UNCLOSED_QUOTATION_MARK = auto()
    #: columns and limit: how many the row has, and how many the heading has
    TOO_MANY_COLUMNS = auto()
    #: cell, and column: the name of its column
    NUMBER_IN_ANOTHER_COLUMN = auto()
    #: cell, and column: the name of its column, which may mean a number or digits to send
    COLUMN_NOT_EMPTY = auto()
    #: cell
    NUMBER_IN_NAMELESS_COLUMN = auto()

    #: first and second: names of two columns, and part: what both could be
    HEADING_REPEATS_PART = auto()
    HEADING_WITHOUT_NUMBER = auto()
    #: columns: names of all columns that could be the reference
    HEADING_WITH_SEVERAL_REFERENCES = auto()
    UNKNOWN_HEADING = auto()

    NO_STRING = auto()
    #: name, and known: the names that an entry's members may have
    UNKNOWN_MEMBER = auto()
    #: name
    MEMBER_WITHOUT_TEXT = auto()


class InvalidEntry(CallpacerError):
    """An entry that can't be dialled as it stands."""

    def __init__(self, code: EntryFault, **facts: object) -> None:
        super().__init__(code, facts)
        self.code = code
        self.facts = facts


@dataclass(frozen=True)
class FaultyEntry:
    """One entry of an upload with its fault."""

    #: the line in a file, counted from 1, or the index in an array, counted from 0
    index: int
    #: the line or the element, as the customer wrote it
    written: object
    code: EntryFault
    facts: Mapping[str, object]

    @classmethod
    def of(cls, index: int, written: object, fault: InvalidEntry) -> Self:
        """Without the exception itself, whose traceback would keep alive all that was read."""
        return cls(index, written, fault.code, fault.facts)


class UploadFault(StrEnum):
    """Why no entry can be read from an upload."""

    NO_ENTRIES = auto()
    NO_ARRAY_OR_FILE = auto()
    NO_UTF8 = auto()
    #: the parser's message has the reason
    NO_JSON = auto()
    #: nested too deeply, or with an integer that is too long
    JSON_TOO_LARGE = auto()
    NO_JSON_ARRAY = auto()
    NAME_GIVEN_TWICE = auto()


class UnreadableUpload(CallpacerError):
    """No entry can be read from the upload."""

    def __init__(self, code: UploadFault, parser_message: str = "") -> None:
        super().__init__(code, parser_message)
        self.code = code
        #: only for NO_JSON
        self.parser_message = parser_message


class InvalidEntries(CallpacerError):
    """Some of the upload's entries are invalid."""

    def __init__(self, count: int, listed: Sequence[FaultyEntry], *, are_all_counted: bool = True) -> None:
        super().__init__(f"{count} invalid entries")
        #: how many are invalid, as far as they were counted
        self.count = count
        #: False if there are more
        self.are_all_counted = are_all_counted
        #: the first of them
        self.listed = listed


class EventFault(StrEnum):
    """Why no event can be read from a status callback. The comment above a code names its facts."""

    #: fields: those that could have the status, and known: callpacer's own statuses
    NO_STATUS = auto()
    #: field, status: its value as it was written, which may be of any type, and known: callpacer's own statuses
    UNKNOWN_STATUS = auto()


class UnreadableEvent(CallpacerError):
    """A status callback that doesn't say how the call is going."""

    def __init__(self, code: EventFault, **facts: object) -> None:
        super().__init__(code, facts)
        self.code = code
        self.facts = facts
