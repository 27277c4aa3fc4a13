"""Whether the text after a number's comma is its reference or another number.

A number is unmistakable if `tel:` precedes it or a parameter follows it. After an unmistakable number, only another
unmistakable one is a number, and anything else is its reference. After a bare number, text that could be a number or a
reference is refused: a wrong guess calls a stranger, or leaves a number uncalled. Digits to send, such as an extension,
are refused after any number, because their place is in `postd`.
"""

import re

from chalicelib.domain import lookalikes
from chalicelib.domain.dialstring import DIGITS_OF_A_NUMBER, INVISIBLE
from chalicelib.domain.faults import EntryFault, InvalidEntry

#: the beginning of an unmistakable number
_UNMISTAKABLE = re.compile(r"\s*tel:|[^;]*+;\s*(?:ani|postd)\s*=", re.IGNORECASE)

#: without one of these, text is neither a number nor digits to send
_DIALLED = re.compile("[0-9*#]")
#: letters, and what stands between the words of a name
_WORDS = re.compile("[A-Za-z .'-]*")

#: a parameter without a number before it
_PARAMETER = re.compile(r"\s*(?:ani|postd|ext)\s*=", re.IGNORECASE)
#: an extension by its name, wherever it stands in a text
_EXTENSION = r"(?<![^\W_])ext(?:ension|n)?[-.:#\s]*(?:(?:no|nr|num|number)[-.:#\s]*)?[0-9]"
_EXTENSION_FIRST = re.compile(_EXTENSION, re.IGNORECASE)
#: Digits to send, without a number before them: an extension, `x12`, a pause and digits (`w12#`, `p12`), or digits with
#: an asterisk or a number sign. A `p` and more than four digits are a code.
_DIGITS_TO_SEND = re.compile(
    rf".*{_EXTENSION}|\s*(?:x[-.:#\s]*[0-9][0-9*#]*\s*\Z|(?-i:x)[0-9]{{1,6}}\s|[-\s0-9*#]*[*#][-\s0-9*#]*\Z"
    r"|[wp]+[.:\s]*(?:[0-9]{1,4}|(?=[0-9]*[*#])[0-9*#]+)(?:[wp]+[0-9*#]+)*\s*\Z)",
    re.IGNORECASE | re.DOTALL,
)

#: Only where it matches, a piece after a comma can be anything but the reference of an unmistakable number.
_NUMBER_OR_DIGITS = (
    r",(?!,)(?:\s*(?:tel:|(?:ani|postd|ext)\s*=|(?:x|[wp]+)[-.:#\s]*[0-9*#])|[-\s0-9]*[*#])"
    rf"|;\s*(?:ani|postd)\s*=|{_EXTENSION}"
)
_MAYBE_MORE = re.compile(_NUMBER_OR_DIGITS, re.IGNORECASE)
#: The same after a bare number: also what could read as a number.
_MAYBE_MORE_AFTER_BARE = re.compile(
    rf"{_NUMBER_OR_DIGITS}|(?:[0-9](?:[^\w,]|_)*+){{{DIGITS_OF_A_NUMBER}}}|[0-9](?:\.[0-9]+E|E\+)[0-9]",
    re.IGNORECASE,
)


def split(element: str) -> list[str]:
    """The entries in one element of an array, which may hold several, separated by commas.

    An unmistakable number begins a new entry, anything else belongs to the reference of the entry before it:
    `tel:+12223334444, tel:+14443332222, march, late` are two entries. After a bare number, a piece that could be a
    number is refused. An unmistakable number that is misspelt also begins an entry, so that `parse` refuses it; as a
    reference it would never be called. Raises InvalidEntry.
    """
    comma = element.find(",")
    if comma < 0:
        return [element.strip()]
    in_latin = lookalikes.is_latin(element)
    if not in_latin:
        element = element.translate(INVISIBLE)
    is_bare = not is_unmistakable(element[:comma])
    maybe_more = _MAYBE_MORE_AFTER_BARE if is_bare else _MAYBE_MORE
    searched = lookalikes.shadow(element)
    entries, begin = [], 0
    # Pieces that are surely a part of a reference aren't examined one by one: there may be millions.
    while (found := maybe_more.search(searched, comma)) is not None:
        piece_begin = element.rfind(",", 0, found.start() + 1) + 1
        comma = element.find(",", piece_begin)
        if comma < 0:
            comma = len(element)
        piece = element[piece_begin:comma]
        if in_latin and (digits := piece.strip()).isdecimal():  # no other examination finds anything in digits alone
            if is_bare and lookalikes.is_number_in_digits(digits):
                raise InvalidEntry(EntryFault.NUMBER_OR_REFERENCE, piece=piece)
            continue
        if _UNMISTAKABLE.match(piece):
            entries.append(element[begin : piece_begin - 1])
            begin = piece_begin
            continue
        refuse_parameter(piece)
        if in_latin and not _DIALLED.search(piece):
            continue
        refuse_digits_to_send(piece)
        if is_bare and (lookalikes.reads_as_a_number(piece) or (not in_latin and _is_unmistakable_in_disguise(piece))):
            raise InvalidEntry(EntryFault.NUMBER_OR_REFERENCE, piece=piece)
    return [entry.strip() for entry in (*entries, element[begin:])]


def refuse_second_number(text: str) -> None:
    """Raises InvalidEntry if a line that is one entry has another number after its first."""
    if len(split(text)) > 1:
        raise InvalidEntry(EntryFault.SEVERAL_NUMBERS)


def is_unmistakable(piece: str) -> bool:
    """True for a number that can't be anything else, even if it is misspelt."""
    return _UNMISTAKABLE.match(piece) is not None


def could_be_a_number(piece: str) -> bool:
    """True for an unmistakable number, and for text that reads as a number."""
    return is_unmistakable(piece) or _is_unmistakable_in_disguise(piece) or lookalikes.reads_as_a_number(piece)


def _is_unmistakable_in_disguise(piece: str) -> bool:
    """True if it is unmistakable once each character that only looks like another is replaced."""
    return not lookalikes.is_latin(piece) and is_unmistakable(lookalikes.plainly(piece))


def is_words(cell: str) -> bool:
    """True for text that is surely neither a number nor a parameter nor digits to send, because it has no digits."""
    return _WORDS.fullmatch(cell) is not None


def refuse_parameter(reference: str) -> None:
    """Raises InvalidEntry if the reference is a parameter."""
    if _PARAMETER.match(reference):
        raise InvalidEntry(EntryFault.PARAMETER_BEHIND_COMMA, piece=reference)


def refuse_digits_to_send(reference: str) -> None:
    """Raises InvalidEntry if the reference tells what to dial after the number."""
    if _DIGITS_TO_SEND.match(reference):
        raise InvalidEntry(EntryFault.DIGITS_BEHIND_NUMBER)


def refuse_extension(cell: str) -> None:
    """Raises InvalidEntry if a cell that would be ignored begins with an extension by its name."""
    if _EXTENSION_FIRST.match(cell):
        raise InvalidEntry(EntryFault.DIGITS_BEHIND_NUMBER)
