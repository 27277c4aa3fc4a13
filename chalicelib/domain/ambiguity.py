"""What stands behind a number's comma: its reference, or another number?

A number is unmistakable if it has `tel:` before it or a parameter behind it. Behind an unmistakable number, only
another unmistakable one is a number, and anything else is its reference. Behind a bare number, what could be a number
or a reference is refused, since the price of a wrong guess is a call to a stranger, or to nobody.
"""

import re

from chalicelib.domain.dialstring import (
    DIGITS_OF_A_NUMBER,
    INVISIBLE,
    MAX_REFERENCE_BYTES,
    PLAIN,
    POSTD_WANTED,
    REFERENCE_TOO_LONG,
    InvalidEntry,
    quoted,
)

#: What begins a number and can't begin anything else.
_UNMISTAKABLE = re.compile(r"\s*tel:|[^;]*;\s*(?:ani|postd)\s*=", re.IGNORECASE)

#: A parameter, where there is no number before it.
_PARAMETER = re.compile(r"\s*(?:ani|postd|ext)\s*=", re.IGNORECASE)
#: An extension, or digits with an asterisk or a number sign, where there is no number before it.
_DIGITS_TO_SEND = re.compile(r"\s*(?:(?:ext(?:ension|n)?|x)[.:\s]*[0-9]+|[0-9*#]*[*#][0-9*#]*)\s*", re.IGNORECASE)

#: Without any of these there is no other number, and no parameter.
_MAYBE_MORE = re.compile(r"tel:|[;=*#]|(?:[0-9][^0-9,]*){7}|,\s*(?:ext|x)", re.IGNORECASE)

#: Digits with what may divide them, and a plus sign before them, if they aren't part of a word.
_RUN = re.compile("(?<![0-9A-Za-z])\\+?\\(?[0-9](?:[-. ()/\u2010-\u2015]{0,3}[0-9])+")
#: A date, which has eight digits, and may have a time behind it.
_DATE = re.compile(
    r"(?<![0-9])(?:[0-9]{4}([-/.])[0-9]{1,2}\1[0-9]{1,2}|[0-9]{1,2}([-/.])[0-9]{1,2}\2[0-9]{4})(?![0-9])"
)


def split(element: str) -> list[str]:
    """The entries in one element of a list, which may hold several, separated by commas.

    An unmistakable number begins a new entry, anything else belongs to the reference of the one before:
    `tel:+12223334444, tel:+14443332222, march, late` are two entries. Behind a bare number, a piece that could be a
    number is refused. What is meant as a number but is misspelt also begins an entry, to be refused by `parse` rather
    than kept as a reference and never called. Raises InvalidEntry.
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
        # A reference of a million pieces isn't looked through to its end.
        length += len(piece.strip())
        if length > MAX_REFERENCE_BYTES:
            raise InvalidEntry(REFERENCE_TOO_LONG)
        _refuse_if_no_reference(piece, is_bare=is_bare)
        entries[-1].append(piece)
    return [",".join(parts).strip() for parts in entries]


def refuse_second_number(text: str) -> None:
    """Raises InvalidEntry if one entry's text has another number behind its first."""
    if len(split(text)) > 1:
        raise InvalidEntry("has more than one phone number: each needs a line of its own.")


def is_unmistakable(piece: str) -> bool:
    """Is it a number, well written or not, and can't be anything else?"""
    return _UNMISTAKABLE.match(piece) is not None


def could_be_a_number(piece: str) -> bool:
    """Is there anything in it that would be dialled if it stood by itself, or a number with a plus sign, misspelt?"""
    if not _MAYBE_MORE.search(piece):
        return False
    if not piece.isascii():
        piece = piece.translate(PLAIN)
    if is_unmistakable(piece):
        return True
    return any(map(_is_dialled, _RUN.findall(_DATE.sub("", piece))))


def _is_dialled(run: str) -> bool:
    """Is it a number, or several with a space or a slash between them? `run` is as _RUN finds it."""
    for text in {run, *run.split("/"), *run.split(" ")}:
        digits = re.sub("[^0-9]", "", text)
        if text.startswith("+") and len(digits) >= DIGITS_OF_A_NUMBER:
            return True
        if re.fullmatch("1?[2-9][0-9]{9}", digits):
            return True
    return False


def _refuse_if_no_reference(piece: str, *, is_bare: bool) -> None:
    """What stands behind a number's comma: a parameter does by mistake, and so may a number behind a bare one."""
    refuse_parameter(piece)
    if is_bare and _DIGITS_TO_SEND.fullmatch(piece):
        raise InvalidEntry(POSTD_WANTED)
    if is_bare and could_be_a_number(piece):
        raise InvalidEntry(
            f"has {quoted(piece)} behind its number, which could be another number or a reference: write tel: before "
            "each number, or give each an entry of its own."
        )


def refuse_parameter(reference: str) -> None:
    """Raises InvalidEntry for a parameter where the reference stands."""
    if _PARAMETER.match(reference):
        raise InvalidEntry(
            f"has {quoted(reference)} behind a comma: a parameter is separated from its number by a semicolon."
        )
