"""Phone numbers as customers write them, brought into one normal form.

An entry is a number, its parameters and a message reference: `tel:+12223334444; ani=7778889999, marchcampaign`
(reference, Create Campaign, `phone_numbers`; the product's documentation for the bare forms and `postd`). A number must
have the shape that E.164 gives it; whether it is assigned is not checked. Text that could mean two numbers is refused,
because a wrong guess calls a stranger.
"""

import re
from functools import lru_cache

from chalicelib.domain.faults import EntryFault, InvalidEntry
from chalicelib.domain.models import Entry
from chalicelib.domain.plain_entry import parse_plain, plain_destination

#: bytes of UTF-8
MAX_REFERENCE_BYTES = 255
#: bytes of the longest character in UTF-8
_MOST_BYTES = 4

#: Control characters, line separators and halves of surrogate pairs. No text of a customer may hold them: they would
#: break an entry's line in two, or can't be encoded as UTF-8.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

#: E.164: at most 15 digits, and the country code doesn't begin with 0. E.164 sets no minimum: 7 digits are the
#: shortest in use (Niue: +683 and four digits). Numbers with country code 1 must match _NORTH_AMERICAN.
_INTERNATIONAL_DIGITS = re.compile(r"[2-9][0-9]{6,14}")

#: A number with a `+`. The separators of RFC 3966 §3 and spaces may divide its groups of digits, but no hyphen between
#: spaces: behind that stands an extension. A group in parentheses doesn't begin with 0, because the 0 is not dialled in
#: `+44 (0)20…`, but is dialled in `+39 (06)…`. The last group has more than one digit, because a spreadsheet that takes
#: a number for an amount writes `+442071234567.0`.
_INTERNATIONAL = re.compile(
    r"\+([2-9][0-9]*(?:(?: {1,3}|[-.])[0-9]+|(?: {0,3}|[-.])\([1-9][0-9]*\)[0-9]*)*)(?<=[0-9]{2})"
)
#: the same with any separators
_INTERNATIONAL_OR_MORE = re.compile(r"\+([2-9][0-9]*(?:[-. ]{1,3}[0-9]+|[-. ]{0,3}\([1-9][0-9]*\)[0-9]*)*)")
#: How many digits a group has at least behind which a space or period and so many digits are an extension. Other groups
#: of digits are extensions behind eight.
_EXTENDED_BY = {2: 4, 3: 6}
_EXTENDED_BY_MORE = 8
#: digits of a last group that is an extension because another separator stands before it
_LONGEST_EXTENSION = 3

#: Ten digits, or eleven that begin with 1, divided only where North American numbers are divided. Without a country
#: code the area code must begin with 2 to 9: a number that begins with 0 is another country's, written as it is dialled
#: there, and ten digits that begin with 1 have lost a digit.
_NORTH_AMERICAN = re.compile(
    r"(?:\+?1[-. ]{0,3}|(?=\(?[2-9]))(?:\(([0-9]{3})\)|([0-9]{3}))[-. ]{0,3}([0-9]{3})[-. ]{0,3}([0-9]{4})"
)

#: A caller id, with or without its country code. It is kept as given.
_ANI = re.compile(r"\+?[0-9]{1,15}")

#: Digits to send once the call is answered: a path through a menu, or the number of a calling card. The limit keeps an
#: entry small.
_POSTD = re.compile(r"[0-9*#]{1,64}")

#: What follows a number's comma if an address book wrote it: more commas, each a pause, then digits to send. A date
#: after an empty column is none.
_DAY = "(?:0?[1-9]|[12][0-9]|3[01])"
_PAUSES = re.compile(
    rf"\s*,[\s,]*(?![0-9]{{4}}-{_DAY}-{_DAY}\s*\Z|{_DAY}-{_DAY}-[0-9]{{2,4}}\s*\Z)"
    r"(?:[0-9*#][\s,0-9*#]*|[0-9*#]{1,6}(?:\s*-\s*[0-9*#]{1,6})+\s*)"
)

#: digits after a number, such as an extension
_EXTENSION = re.compile(
    r"(?P<number>.*[0-9])\s*(?:(?:ext(?:ension|n)?|x|p|w|#|\*)[.:\s]*|[-/. ]\s*)[0-9*#]{1,8}",
    re.IGNORECASE,
)

#: `2.22E+09` and `2223334444.0`: a spreadsheet took the number for an amount.
_AMOUNT = re.compile(r"\+?[0-9](?:[.,][0-9]+)?E\+?[0-9]+|\+?[0-9]{7,15}[.,]0+", re.IGNORECASE)

#: Invisible characters without a meaning in a number: joiners, marks of the writing direction, byte order marks, soft
#: hyphens. Spreadsheets and address books leave them there.
_MARKS = [0xAD, 0x61C, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)]
#: wider, narrower and no-break spaces
_SPACES = [0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000]
#: for `str.translate`: removes invisible characters
INVISIBLE = dict.fromkeys(_MARKS)
#: for `str.translate`: also makes all spaces plain ones
PLAIN = {**INVISIBLE, **dict.fromkeys(_SPACES, " ")}

#: a character that no number is written with
_STRAY = re.compile("[^0-9+(). -]")
_NO_DIGITS = re.compile("[^0-9]+")
#: characters of the longest number that `diagnosed` examines
_LONGEST_NUMBER = 100
#: A piece with so many digits is meant as a number.
DIGITS_OF_A_NUMBER = 7


def parse(text: str) -> Entry:
    """One entry in its normal form: `tel:+12223334444;ani=7778889999`, and what follows the first comma, trimmed.

    Ten digits are a North American number, and so are eleven that begin with 1; any other number needs its `+`. `tel:`
    may be left out. Spaces may surround `;` and `,`. Parameters may come in any order and case, each once; the normal
    form has ani before postd. Raises InvalidEntry; `diagnosed` finds its exact cause.
    """
    return parse_plain(text) or parse_unusual(text)


def parse_unusual(text: str) -> Entry:
    """What `parse` answers for an entry that `parse_plain` doesn't read. Raises InvalidEntry."""
    destination, _, reference = text.partition(",")
    if not destination.isascii():
        destination = destination.translate(PLAIN)
    number, *parameters = destination.split(";")
    digits = _digits(number)
    if "," in reference and _PAUSES.fullmatch(reference):
        raise InvalidEntry(EntryFault.DIGITS_BEHIND_NUMBER)
    written = _parameters(parameters) if parameters else ""
    return Entry(f"tel:+{digits}{written}", reference_of(reference))


def joined(phone_number: str, ani: str = "", postd: str = "", message_reference: str = "") -> Entry:
    """An entry whose parts are given apart; all but the number may be empty. Raises InvalidEntry."""
    if "," in phone_number:
        raise InvalidEntry(EntryFault.COMMA_IN_NUMBER)
    destination, before = plain_destination(phone_number), ""
    if destination is None:
        destination, _, before = parse_unusual(phone_number).destination.partition(";")
    if ani or postd or before:
        destination += _joined_parameters(before, ani, postd)
    return Entry(destination, reference_of(message_reference))


def diagnosed(fault: InvalidEntry) -> InvalidEntry:
    """The same fault, or a more exact one for a number that `parse` refused.

    `parse` doesn't search for it: an upload may have a million invalid numbers, and few of them are listed.
    """
    number = fault.facts.get("number")
    if fault.code is not EntryFault.NO_NUMBER or not isinstance(number, str) or len(number) > _LONGEST_NUMBER:
        return fault
    if _AMOUNT.fullmatch(number):
        return InvalidEntry(EntryFault.AMOUNT)
    extended = _EXTENSION.fullmatch(number)
    if extended is not None and _digits_of(extended["number"].strip()) is not None:
        return InvalidEntry(EntryFault.DIGITS_BEHIND_NUMBER)
    international = _INTERNATIONAL_OR_MORE.fullmatch(number)
    if international is not None and _INTERNATIONAL_DIGITS.fullmatch(_NO_DIGITS.sub("", international[1])):
        return InvalidEntry(EntryFault.DIGITS_BEHIND_NUMBER)
    stray = _STRAY.search(number)
    if stray is not None and sum(map(str.isdecimal, number)) >= DIGITS_OF_A_NUMBER:
        before = number[: stray.start()].strip()
        return InvalidEntry(EntryFault.UNEXPECTED_CHARACTER, character=stray[0], before=before)
    return fault


# Cached, because most cells of a column of caller ids are the same.
@lru_cache(maxsize=256)
def _joined_parameters(before: str, ani: str, postd: str) -> str:
    parameters = before.split(";") if before else []
    if ani:
        parameters.append(f"ani={_caller_id(ani.translate(PLAIN).strip())}")
    if postd:
        parameters.append(f"postd={postd}")
    return _parameters(parameters)


def _caller_id(written: str) -> str:
    """Without its separators if it is written like a number; otherwise unchanged.

    A date has digits and separators, too, but no number is divided like one.
    """
    is_number = _NORTH_AMERICAN.fullmatch(written) or (
        _INTERNATIONAL.fullmatch(written) and not _has_extension(written)
    )
    return re.sub("[-. ()]", "", written) if is_number else written


def _digits(number: str) -> str:
    """The number's digits from the country code on."""
    number = number.strip()
    if number[:4].lower() == "tel:":
        number = number[4:].lstrip()
    digits = _digits_of(number)
    if digits is None:
        raise InvalidEntry(EntryFault.NO_NUMBER, number=number)
    return digits


def _digits_of(number: str) -> str | None:
    american = _NORTH_AMERICAN.fullmatch(number)
    if american is not None:
        return "1" + "".join(filter(None, american.groups()))
    international = _INTERNATIONAL.fullmatch(number)
    if international is not None and not (_is_amount(number) or _has_extension(number)):
        digits = _NO_DIGITS.sub("", international[1])
        if _INTERNATIONAL_DIGITS.fullmatch(digits):
            return digits
    return None


def _is_amount(number: str) -> bool:
    """True if a number with a `+` has the form of an amount. It has no exponent."""
    return "." in number and _AMOUNT.fullmatch(number) is not None


def _has_extension(number: str) -> bool:
    """True if the last group of a number with a `+` is no part of it, if all is written in one way.

    `+33 1 23 45 67 89` and `+46 8 123 456 78` end like their other groups, but `+44 20 7123 4567 12` doesn't, nor does
    `+33 1 23 45 67 89.50`.
    """
    *before, last = re.findall("[0-9]+", number)
    digits_before = sum(map(len, before))
    if not number.removesuffix(last).endswith((" ", ".")) or digits_before < DIGITS_OF_A_NUMBER:
        return False
    # The first group has the country code.
    length_before = len(before[-1]) - (2 if len(before) == 1 else 0)
    if length_before >= _EXTENDED_BY.get(len(last), _EXTENDED_BY_MORE):
        return True
    if len(last) > _LONGEST_EXTENSION:
        return False
    *others, separator = (some[0] for some in re.findall("[-. ]+", number))
    # `+46-920-123 45` is common in Sweden.
    is_common = separator == " " and len(before[-1]) == 3 and digits_before < 10
    return others != [] and separator not in others and not is_common


def _parameters(parameters: list[str]) -> str:
    """The parameters in their normal form, each with the semicolon before it."""
    values: dict[str, str] = {}
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        name, value = name.strip().lower(), value.strip()
        if name == "ext":
            raise InvalidEntry(EntryFault.DIGITS_BEHIND_NUMBER)
        if name not in ("ani", "postd"):
            raise InvalidEntry(EntryFault.UNKNOWN_PARAMETER)
        if name in values:
            raise InvalidEntry(EntryFault.REPEATED_PARAMETER, name=name)
        values[name] = value
    ani, postd = values.get("ani"), values.get("postd")
    if ani is not None and not _ANI.fullmatch(ani):
        raise InvalidEntry(EntryFault.INVALID_ANI)
    if postd is not None and not _POSTD.fullmatch(postd):
        raise InvalidEntry(EntryFault.INVALID_POSTD)
    return "".join(f";{name}={values[name]}" for name in ("ani", "postd") if name in values)


def reference_of(reference: str) -> str:
    """A message reference without the spaces around it. Raises InvalidEntry."""
    reference = reference.strip()
    if UNPRINTABLE.search(reference):
        raise InvalidEntry(EntryFault.CONTROL_CHARACTERS)
    if len(reference) > MAX_REFERENCE_BYTES // _MOST_BYTES and len(reference.encode()) > MAX_REFERENCE_BYTES:
        raise InvalidEntry(EntryFault.REFERENCE_TOO_LONG, limit=MAX_REFERENCE_BYTES)
    return reference
