"""Whether the text after a number's comma is its reference or another number.

A number is unmistakable if `tel:` precedes it or a parameter follows it. After an unmistakable number, only another
unmistakable one is a number, and anything else is its reference. After a bare number, text that could be a number or a
reference is refused: a wrong guess calls a stranger, or leaves a number uncalled.
"""

import re

from chalicelib.domain.dialstring import DIGITS_OF_A_NUMBER, INVISIBLE, MAX_REFERENCE_BYTES, PLAIN
from chalicelib.domain.faults import EntryFault, InvalidEntry

#: the beginning of an unmistakable number
_UNMISTAKABLE = re.compile(r"\s*tel:|[^;]*;\s*(?:ani|postd)\s*=", re.IGNORECASE)

#: a parameter without a number before it
_PARAMETER = re.compile(r"\s*(?:ani|postd|ext)\s*=", re.IGNORECASE)
#: an extension, or digits with an asterisk or a number sign, without a number before it
_DIGITS_TO_SEND = re.compile(r"\s*(?:(?:ext(?:ension|n)?|x)[.:\s]*[0-9]+|[0-9*#]*[*#][0-9*#]*)\s*", re.IGNORECASE)

#: Text without any of these has no second number and no parameter.
_MAYBE_MORE = re.compile(r"tel:|[;=*#]|(?:[0-9][^0-9,]*){7}|,\s*(?:ext|x)", re.IGNORECASE)

#: Digits that aren't part of a word, with their separators and with a plus sign that precedes them.
_RUN = re.compile("(?<![0-9A-Za-z])\\+?\\(?[0-9](?:[-. ()/\u2010-\u2015]{0,3}[0-9])+")
#: A date. It has up to eight digits, and with the time that may follow it as many as a number.
_DATE = re.compile(
    r"(?<![0-9])(?:[0-9]{4}([-/.])[0-9]{1,2}\1[0-9]{1,2}|[0-9]{1,2}([-/.])[0-9]{1,2}\2[0-9]{4})(?![0-9])"
)


def split(element: str) -> list[str]:
    """The entries in one element of an array, which may hold several, separated by commas.

    An unmistakable number begins a new entry, anything else belongs to the reference of the entry before it:
    `tel:+12223334444, tel:+14443332222, march, late` are two entries. After a bare number, a piece that could be a
    number is refused. An unmistakable number that is misspelt also begins an entry, so that `parse` refuses it; as a
    reference it would never be called. Raises InvalidEntry.
    """
    comma = element.find(",")
    if comma < 0 or not _MAYBE_MORE.search(element, comma):
        return [element.strip()]
    if not element.isascii():
        element = element.translate(INVISIBLE)
    first, *pieces = element.split(",")
    is_bare = not is_unmistakable(first)
    entries = [[first]]
    length = 0
    for piece in pieces:
        if is_unmistakable(piece):
            entries.append([piece])
            length = 0
            continue
        # A reference of a million pieces is refused early, before all of them are examined.
        length += len(piece.strip())
        if length > MAX_REFERENCE_BYTES:
            raise InvalidEntry(EntryFault.REFERENCE_TOO_LONG, limit=MAX_REFERENCE_BYTES)
        _refuse_if_no_reference(piece, is_bare=is_bare)
        entries[-1].append(piece)
    return [",".join(parts).strip() for parts in entries]


def refuse_second_number(text: str) -> None:
    """Raises InvalidEntry if a line that is one entry has another number after its first."""
    if len(split(text)) > 1:
        raise InvalidEntry(EntryFault.SEVERAL_NUMBERS)


def is_unmistakable(piece: str) -> bool:
    """True for a number that can't be anything else, even if it is misspelt."""
    return _UNMISTAKABLE.match(piece) is not None


def could_be_a_number(piece: str) -> bool:
    """True if any part of it would be dialled by itself, or has a plus sign and the digits of a number."""
    if not _MAYBE_MORE.search(piece):
        return False
    if not piece.isascii():
        piece = piece.translate(PLAIN)
    if is_unmistakable(piece):
        return True
    return any(map(_is_dialled, _RUN.findall(_DATE.sub("", piece))))


def _is_dialled(run: str) -> bool:
    """True if a match of _RUN is a number, or holds one between spaces or slashes."""
    for text in {run, *run.split("/"), *run.split(" ")}:
        digits = re.sub("[^0-9]", "", text)
        if text.startswith("+") and len(digits) >= DIGITS_OF_A_NUMBER:
            return True
        if re.fullmatch("1?[2-9][0-9]{9}", digits):
            return True
    return False


def _refuse_if_no_reference(piece: str, *, is_bare: bool) -> None:
    """Raises InvalidEntry for a parameter; after a bare number, also for digits to send and for a possible number."""
    refuse_parameter(piece)
    if is_bare and _DIGITS_TO_SEND.fullmatch(piece):
        raise InvalidEntry(EntryFault.DIGITS_BEHIND_NUMBER)
    if is_bare and could_be_a_number(piece):
        raise InvalidEntry(EntryFault.NUMBER_OR_REFERENCE, piece=piece)


def refuse_parameter(reference: str) -> None:
    """Raises InvalidEntry if the reference is a parameter."""
    if _PARAMETER.match(reference):
        raise InvalidEntry(EntryFault.PARAMETER_BEHIND_COMMA, piece=reference)
