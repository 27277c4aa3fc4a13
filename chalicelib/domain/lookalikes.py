"""Whether a text reads as a phone number, though nothing says that it is one.

It follows a number without `tel:`, or stands in a column that isn't the number's. A text reads as a number if any part
of it would be dialled by itself, or has 7 to 15 digits as numbers of any country are written: with separators, or with
a prefix. Dates, times, amounts of money and codes have as many digits, and are recognised by their form.
"""

import re
import unicodedata
from collections.abc import Callable

from chalicelib.domain.dialstring import DIGITS_OF_A_NUMBER, PLAIN
from chalicelib.domain.plain_entry import WORDS_FOR_A_PHONE

#: E.164
_MOST_DIGITS = 15

#: A text without any of these is no number: enough digits without a letter between them, or an exponent.
_MAYBE = re.compile(
    rf"(?:[0-9](?:[^\w,]|_)*+){{{DIGITS_OF_A_NUMBER}}}|[0-9](?:\.[0-9]+E|E\+)[0-9]",
    re.IGNORECASE,
)
#: how many characters a translation remembers
_MOST_REMEMBERED = 4096
#: The characters of the longest text that is examined in detail. A reference is shorter.
_LONGEST_EXAMINED = 1_000
_NO_DIGITS = re.compile("[^0-9]+")
#: Text of ASCII and Latin letters, in which every character stands for itself.
_IN_LATIN = re.compile("[\x00-\x7f\u00c0-\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e]*")

#: a number that a spreadsheet took for an amount: `2.22555E+09`
_SCIENTIFIC = re.compile(r"(?<![\w.])[0-9]+(?:\.[0-9]+E\+?|E\+)(?:0?[6-9]|1[0-4])(?!\w)", re.IGNORECASE)

#: Digits that aren't part of a word, with their separators and with a plus sign that precedes them.
_RUN = re.compile("(?<![0-9A-Za-z])\\+?\\(?[0-9](?:[-. ()/\u2010-\u2015]{0,3}[0-9])+")
#: what is dialled without a plus sign
_DIALLED = re.compile("1?[2-9][0-9]{9}")
_FEWEST_DIALLED = 10

_YEAR, _MONTH, _DAY = "(?:19|20)[0-9]{2}", "(?:0?[1-9]|1[0-2])", "(?:0?[1-9]|[12][0-9]|3[01])"
#: A date. With the time that may follow it, it has as many digits as a number. The day may precede the month.
_DATE = re.compile(rf"(?<![0-9])(?:{_YEAR}([-/.]){_MONTH}\1{_DAY}|{_DAY}([-/.]){_DAY}\2{_YEAR})(?![0-9])")
#: A date with two digits of its year, or a time. Neither has as many digits as what is dialled.
_SHORT_DATE_OR_TIME = re.compile(
    rf"(?<![0-9])(?<![0-9][-/.]){_DAY}([-/.]){_DAY}\1[0-9]{{2}}(?!\1|[0-9])"
    r"|(?<![0-9:])[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?(?![0-9:])"
)
_CURRENCY = r"(?:[$€£¥₹]|(?<![A-Z])(?:USD|EUR|GBP|CHF|CAD|AUD|JPY|INR|SEK|NOK|DKK|PLN)(?![A-Z]))"
_MAYBE_MONEY = re.compile("[$€£¥₹]|USD|EUR|GBP|CHF|CAD|AUD|JPY|INR|SEK|NOK|DKK|PLN")
_SUM = r"(?<![0-9])(?:[1-9][0-9]{0,2}(?:[ .'\u2019][0-9]{3}){1,4}|[0-9]+)(?:\.[0-9]{1,2})?(?![0-9])"
#: an amount of money with its currency
_MONEY = re.compile(rf"{_CURRENCY} ?{_SUM}|{_SUM} ?{_CURRENCY}")

#: A UUID, or a hash or another identifier in hexadecimal digits. Some begin or end with as many digits as a number.
_IDENTIFIER = re.compile(
    r"(?<![\w-])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(?=[0-9]*[a-f])(?:[0-9a-f]{24}|[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}))(?![\w-])",
    re.IGNORECASE,
)
_SHORTEST_IDENTIFIER = 24

#: A code that is one word. It has fewer digits than what is dialled.
_CODE = re.compile("[A-Za-z](?:[-_/#A-Za-z]*[0-9]){7,9}[-_/#A-Za-z]*")

#: A word, with the words that are joined to it: `INV-2024-00123`. With a letter in it, it is a code.
_WORD = re.compile(r"[^\W_]++(?:[-_/.#]+[^\W_]++)*")
_LETTER = re.compile(r"[^\W\d_]")
#: A text has no label if this isn't in it, written in lower case. _LABELS takes longer. As it ignores case, it takes
#: the Turkish letters without and with a dot for an i.
_MAYBE_LABEL = re.compile("tel|ph|mob|cell|handy|fax|gsm|home|work|office|[\u0131\u0307]")
#: words beside a number that say whose it is
_LABELS = re.compile(rf"(?<![^\W\d_])(?:{WORDS_FOR_A_PHONE}|home|work|office)(?![^\W\d_])", re.IGNORECASE)
#: digits at the beginning of a word, unless they are joined to its letters
_DIGITS_BEFORE = re.compile(r"([0-9](?:[-_/.#]*[0-9])*)(?:[/.#]|(?:x|w|p|ext)[0-9])", re.IGNORECASE)

#: as many digits as a number has, after a word that says so
_LABELLED = re.compile(
    rf"(?<![^\W\d_])(?:{WORDS_FOR_A_PHONE})(?![^\W\d_])[\W_]{{0,3}}(?:(?:number|no|nr|num)(?![^\W\d_])[\W_]{{0,3}})?"
    rf"(?:[0-9](?:[^\w,]|_){{0,3}}){{{DIGITS_OF_A_NUMBER}}}",
    re.IGNORECASE,
)

#: digits with anything between them but letters and commas
_WIDE_RUN = re.compile(r"(?<![^\W_])[0-9](?:(?:[^\w,]|_)*+[0-9])*")
#: what divides two numbers
_BETWEEN = re.compile(r" *[/;|&\\\n]+ *| +[-\u2010-\u2015\u2212] +| {2,}")
#: runs that are no numbers: an amount without its currency, a year and a number, a day and a number or a time, and a
#: ZIP+4 code
_NO_NUMBER = re.compile(
    r"[1-9][0-9]{0,8}\.[0-9]{1,2}|(?:19[5-9]|20[0-4])[0-9][-/][0-9]{1,7}"
    r"|(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[-_/. ][0-9]{1,6}|[1-9][0-9]{4}-[0-9]{4}"
)
#: A number in digits alone that needs no plus sign: it has the prefix of another city or another country.
_PREFIXED = re.compile("0(?!00)[0-9]{6,14}")
#: a day in digits alone that begins with 0: 05012024
_DAY_IN_DIGITS = re.compile(r"0[1-9](?:0[1-9]|[12][0-9]|3[01])(?:19[5-9]|20[0-4])[0-9]")


def reads_as_a_number(text: str) -> bool:
    """True if any part of the text could be a phone number."""
    plain = plainly(text)
    is_decimal = plain.isdecimal()
    if not is_decimal and not _MAYBE.search(plain):
        return False
    in_ascii = is_latin(text) or shadow(text) == text
    if is_decimal:
        return _is_number(plain, in_ascii=in_ascii)
    # Many references are codes, and the search below takes longer.
    may_have_labels = _MAYBE_LABEL.search(plain.lower()) is not None
    if len(plain) <= _LONGEST_EXAMINED and not may_have_labels and _CODE.fullmatch(plain):
        return False
    without_dates = _without_dates_and_identifiers(plain)
    if without_dates != plain and not _MAYBE.search(without_dates):
        return False
    if len(plain) > _LONGEST_EXAMINED:
        return True
    plain, labels = _LABELS.subn(" ", without_dates) if may_have_labels else (without_dates, 0)
    if _SCIENTIFIC.search(plain) or (_has_digits_to_dial(plain) and any(map(_is_dialled, _RUN.findall(plain)))):
        return True
    if labels and _LABELLED.search(without_dates):
        return True
    if not any(_is_suspicious(plain, run, in_ascii=in_ascii) for run in _WIDE_RUN.finditer(plain)):
        return False
    plain = _WORD.sub(_without_code, _without_money(_SHORT_DATE_OR_TIME.sub("t", plain)))
    return any(_is_number_within(plain, run, in_ascii=in_ascii) for run in _WIDE_RUN.finditer(plain))


def is_number_in_digits(digits: str) -> bool:
    """What `reads_as_a_number` answers for ASCII digits alone."""
    return _is_number(digits, in_ascii=True)


def _without_dates_and_identifiers(text: str) -> str:
    """A letter takes the place of each thing that is no number, so that the digits around it aren't joined."""
    without_dates = _DATE.sub("d", text)
    return without_dates if len(text) < _SHORTEST_IDENTIFIER else _IDENTIFIER.sub("a", without_dates)


def _without_money(text: str) -> str:
    return _MONEY.sub("a", text) if _MAYBE_MONEY.search(text) else text


def is_latin(text: str) -> bool:
    """True for text of ASCII and Latin letters, in which no character only looks like another."""
    return text.isascii() or _IN_LATIN.fullmatch(text) is not None


def plainly(text: str) -> str:
    """The text without invisible characters, with ASCII in place of each character that only looks different.

    Digits of all scripts are digits (Unicode's NFKC, and decimal values).
    """
    text = text.strip()
    return text if is_latin(text) else text.translate(_PLAINLY)


def shadow(text: str) -> str:
    """A text of the same length with ASCII digits in place of all others, for a search by position."""
    return text if is_latin(text) else text.translate(_SHADOW)


def _plain_character(one: str) -> str:
    if ord(one) in PLAIN:
        return PLAIN[ord(one)] or ""
    if one.isdecimal():
        return str(unicodedata.decimal(one))
    plain = unicodedata.normalize("NFKC", one)
    return plain if plain.isascii() else one


def _shadow_character(one: str) -> str:
    return "0" if not one.isascii() and any(map(str.isdecimal, _plain_character(one))) else one


class _Translation(dict[int, str]):
    """For `str.translate`: remembers what the characters of earlier texts became."""

    def __init__(self, translate: Callable[[str], str]) -> None:
        self._translate = translate

    def __missing__(self, code: int) -> str:
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        self[code] = translated = self._translate(chr(code))
        return translated


_PLAINLY, _SHADOW = _Translation(_plain_character), _Translation(_shadow_character)


def _has_digits_to_dial(text: str) -> bool:
    """True if a text has a plus sign, or as many digits as what is dialled without one."""
    return "+" in text or len(_NO_DIGITS.sub("", text)) >= _FEWEST_DIALLED


def _is_dialled(run: str) -> bool:
    """True if a match of _RUN is a number, or holds one between spaces or slashes."""
    parts = {run, *run.split("/"), *run.split(" ")} if "/" in run or " " in run else (run,)
    for text in parts:
        digits = text if text.isdecimal() else _NO_DIGITS.sub("", text)
        if text.startswith("+") and len(digits) >= DIGITS_OF_A_NUMBER:
            return True
        if _DIALLED.fullmatch(digits):
            return True
    return False


def _is_suspicious(text: str, run: re.Match[str], *, in_ascii: bool) -> bool:
    """True unless digits in a text are surely no number, whatever they are."""
    digits = run[0] if run[0].isdecimal() else _NO_DIGITS.sub("", run[0])
    if len(digits) < DIGITS_OF_A_NUMBER:
        return False
    is_bare = digits == run[0] and in_ascii and not _has_plus(text, run)
    return not is_bare or _is_number_without_separators(digits)


def _without_code(word: re.Match[str]) -> str:
    """The word if it has no letters, or the digits before them if they aren't part of a code; otherwise a letter."""
    if not _LETTER.search(word[0]):
        return word[0]
    digits = _DIGITS_BEFORE.match(word[0])
    return f"{digits[1]} a" if digits else "a"


def _has_plus(text: str, run: re.Match[str]) -> bool:
    """True if a plus sign stands before digits in a text."""
    return text[max(0, run.start() - 3) : run.start()].rstrip(" ([").endswith("+")


def _is_number_within(text: str, run: re.Match[str], *, in_ascii: bool) -> bool:
    """True if digits in a text are a number, or have a plus sign before them."""
    if _has_plus(text, run):
        return len(_NO_DIGITS.sub("", run[0])) >= DIGITS_OF_A_NUMBER
    return _is_number(run[0], in_ascii=in_ascii)


def _is_number(run: str, *, in_ascii: bool) -> bool:
    """True if digits, with what divides them, are a number or hold one.

    `in_ascii` is False if some of them were written in another script, which no code is.
    """
    digits = run if run.isdecimal() else _NO_DIGITS.sub("", run)
    if len(digits) < DIGITS_OF_A_NUMBER:
        return False
    if digits == run:
        return len(digits) <= _MOST_DIGITS and (not in_ascii or _is_number_without_separators(digits))
    if len(digits) <= _MOST_DIGITS:
        return not _NO_NUMBER.fullmatch(run)
    parts = _BETWEEN.split(run)
    if len(parts) > 1:
        return any(_is_number(part, in_ascii=in_ascii) for part in parts)
    return _has_prefixed_groups(_NO_DIGITS.split(run))


def _is_number_without_separators(digits: str) -> bool:
    if _DIALLED.fullmatch(digits):
        return True
    return _PREFIXED.fullmatch(digits) is not None and not _DAY_IN_DIGITS.fullmatch(digits)


def _has_prefixed_groups(groups: list[str]) -> bool:
    """True if some groups of digits, of which the first has a prefix, have as many digits as a number."""
    for index, group in enumerate(groups):
        if not group.startswith("0") or group.startswith("000"):
            continue
        length = 0
        for following in groups[index : index + _MOST_DIGITS]:
            length += len(following)
            if DIGITS_OF_A_NUMBER <= length <= _MOST_DIGITS:
                return True
    return False
