"""Entries in their usual forms, each read by one expression.

`chalicelib.domain.dialstring` and `chalicelib.domain.ambiguity` read every form, and examine what stands behind a
number from all sides. That takes several times as long, and a file may have 400,000 lines. So the forms that most lines
have are recognised first. Whatever is read here, the whole examination reads in the same way.
"""

import re
from functools import cache

from chalicelib.domain.models import Entry

#: The usual forms of a number, whose digits can't be misread. Groups between single spaces end with an extension only
#: if the last group is much shorter than the one before it; groups between hyphens don't.
_NUMBER = (
    r"(?:tel:)?(?:(?:\+?1[-. ]?)?(?P<american>[2-9][0-9]{2}[-. ]?[0-9]{3}[-. ]?[0-9]{4})|\+(?P<foreign>[2-9][0-9]{6,14}"
    r"|(?=(?:[ -]?[0-9]){7,15}(?:,|\Z))[2-9][0-9]{0,2}"
    r"(?:(?: [0-9]{1,4})* [0-9]{3,4}|(?: [0-9]{1,3})* [0-9]{2}|(?:-[0-9]++)*(?<=[0-9]{2}))))"
)
#: Latin letters, which the signs for multiplication and division stand between
_LETTERS = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
_LETTER = f"[{_LETTERS}]"
#: words for a phone
WORDS_FOR_A_PHONE = "tele(?:ph|f)one?|phone|ph|tel|mobile?|mob|cell|handy|fax|gsm"
_CURRENCY = "(?:USD|EUR|GBP|CHF|CAD|AUD|[$\u20ac\u00a3])"
#: A word follows that neither says that a number or an amount comes next, nor names digits to send.
_HARMLESS = (
    rf"(?!{_CURRENCY} ?[0-9]|(?i:ext|(?:x|[wp]+)[-_./:# ]*[0-9]"
    rf"|(?:{WORDS_FOR_A_PHONE}|home|work|office)(?!{_LETTER})))"
)
#: Punctuation may surround it, and apostrophes and hyphens divide it.
_WORD = rf"[(\u2018\u201c]?{_HARMLESS}{_LETTER}++(?:['\u2019-]{_HARMLESS}{_LETTER}++)*+[).:!?\u2019\u201d]?"
_NO_DIGITS_TO_SEND = r"(?!(?i:x|[wp]+)[-_/ ]*[0-9])(?!.*(?i:ext))"
_SUM = r"(?!(?:[^0-9]*[0-9]){10})[1-9](?:[0-9]{0,2}(?: [0-9]{3}){1,2}|[0-9]{0,6})(?:\.[0-9]{2})?"
_DAY_OF_MONTH = "(?:0[1-9]|[12][0-9]|3[01])"
_DATE = f"(?:19|20)[0-9]{{2}}-(?:0[1-9]|1[0-2])-{_DAY_OF_MONTH}"
_TIME = "[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9])?"
#: What has digits, stands between words or alone, and can't be a number: an integer of up to nine digits, or of twelve
#: to fifteen, a code that begins with a letter, a UUID, a ZIP+4 code, a day with a time or with another day, a time, an
#: amount of money.
_DIGITS = "|".join(
    [
        rf"{_CURRENCY} ?{_SUM}(?![^, ])|{_SUM} ?{_CURRENCY}(?![^, ])",
        "[1-9](?:[0-9]{0,8}|[0-9]{11,14})(?![^, ])",
        rf"{_HARMLESS}[A-Za-z]++(?:[0-9]++|(?:[-_/]?[0-9]){{1,9}})(?![^, ])",
        "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![^, ])",
        "[1-9][0-9]{4}-[0-9]{4}(?![^, ])",
        rf"{_DATE}(?:[ T]{_TIME}| ?[-\u2013] ?{_DATE})?(?![^, ])",
        rf"{_DAY_OF_MONTH}(?:\.{_DAY_OF_MONTH}\.|/{_DAY_OF_MONTH}/)(?:19|20)[0-9]{{2}}(?![^, ])",
        rf"{_TIME}(?![^, ])",
    ]
)
#: It is atomic, and its parts are possessive: trying all ways to read a long text takes seconds.
_PIECE = rf"(?>(?:{_WORD} )*+(?:{_DIGITS}|{_WORD})(?: {_WORD})*+)"
_FEW_DIGITS = "(?:[0-9][ _-]*+){0,6}+"
#: The usual forms of a reference, which can't be anything else: text with at most six digits before the first letter,
#: between two letters, and after the last one; or pieces between commas, each of words with one group of digits between
#: them.
_REFERENCE = (
    rf"(?=.{{1,64}}\Z)(?:{_NO_DIGITS_TO_SEND}{_FEW_DIGITS}(?:{_LETTER}++[ _-]*+{_FEW_DIGITS})*+(?<! )"
    rf"|{_PIECE}(?:, ?{_PIECE})*+)"
)
_SEPARATORS = re.compile("[^0-9]+")


@cache
def _entry() -> re.Pattern[str]:
    """The expression. It is made for the first upload, since that takes longer than the rest of most requests."""
    return re.compile(rf"{_NUMBER}(?:, ?(?P<reference>{_REFERENCE}))?")


def parse_plain(text: str) -> Entry | None:
    """What `parse` answers for an entry in its most usual forms; None for any other text.

    The text after its comma is surely a reference, so nobody need examine whether it could be another number.
    """
    plain = _entry().fullmatch(text)
    if plain is None:
        return None
    american, foreign, reference = plain.groups()
    return Entry(_destination(american, foreign), reference or "")


def plain_destination(number: str) -> str | None:
    """The same for a number alone: its normal form."""
    plain = _entry().fullmatch(number)
    return None if plain is None else _destination(*plain.groups()[:2])


def _destination(american: str | None, foreign: str) -> str:
    if american is None:
        return f"tel:+{_without_separators(foreign)}"
    return f"tel:+1{_without_separators(american)}"


def _without_separators(number: str) -> str:
    return number if number.isdecimal() else _SEPARATORS.sub("", number)
