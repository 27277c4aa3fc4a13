"""Phone numbers as customers write them, brought into one normal form.

An entry is a number, its parameters and a message reference: `tel:+12223334444; ani=7778889999, marchcampaign`
(reference, Create Campaign, `phone_numbers`; the product's documentation for the bare forms and `postd`). What is
checked is the shape a number must have by E.164, not whether anybody was assigned it. What could mean two numbers is
refused, since the price of a wrong guess is a call to a stranger.
"""

import re
from functools import lru_cache
from typing import NoReturn

from chalicelib.domain.models import Entry
from chalicelib.errors import CallpacerError

#: bytes of UTF-8
MAX_REFERENCE_BYTES = 255
#: how many characters of a value are told in a sentence about it
_LONGEST_QUOTED = 40

#: Control characters, separators of lines and halves of surrogate pairs: what no text of a customer's may hold, since
#: it would break an entry's line in two or can't be written as UTF-8.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

#: E.164: at most 15 digits, the country code's first one not 0. The plan sets no minimum: 7 is the shortest
#: in use (Niue: +683 and four digits). Country code 1 is left to the North American form below.
_INTERNATIONAL_DIGITS = re.compile(r"[2-9][0-9]{6,14}")

#: A number with a `+`, with the separators of RFC 3966 §3 and spaces between its groups of digits. A group in
#: parentheses doesn't begin with 0, for `+44 (0)20…` and `+39 (06)…` mean opposite things by it. The last group has
#: more than one digit, for `+442071234567.0` is what a spreadsheet makes of a number that it took for an amount.
_INTERNATIONAL = re.compile(r"\+([2-9][0-9]*(?:[-. ]{1,3}[0-9]+|[-. ]{0,3}\([1-9][0-9]*\)[0-9]*)*)(?<=[0-9]{2})")

#: Ten digits, or eleven that begin with 1, divided nowhere but where North American numbers are. Without a country
#: code the area code's first digit is checked: a number that begins with 0 is another country's, written as one dials
#: it there, and one that begins with 1 has lost a digit.
_NORTH_AMERICAN = re.compile(
    r"(?:\+?1[-. ]{0,3}|(?=\(?[2-9]))(?:\(([0-9]{3})\)|([0-9]{3}))[-. ]{0,3}([0-9]{3})[-. ]{0,3}([0-9]{4})"
)

#: What most entries are, and the quicker way to read them: ten digits, and a reference that can't be anything else.
_PLAIN_ENTRY = re.compile(
    r"(?:tel:)?(?:\+?1)?([2-9][0-9]{9})(?:, ?([A-Za-z](?:[A-Za-z0-9 _-]{0,60}[A-Za-z0-9])?|[0-9]{1,6}))?"
)

#: a caller id, with or without its country code: kept as given
_ANI = re.compile(r"\+?[0-9]{1,15}")

#: Digits to send once the call is answered. A menu's path or a calling card's number, not a text: the length keeps an
#: entry small.
_POSTD = re.compile(r"[0-9*#]{1,64}")

#: Two commas and digits: an address book's pauses, after which it sends the digits.
_PAUSES = re.compile(r"\s*,[\s,]*[0-9*#][\s,0-9*#]*")

#: Digits behind a number, as of an extension.
_EXTENSION = re.compile(
    r"(?P<number>.*[0-9])\s*(?:(?:ext(?:ension|n)?|x|p|w|#|\*)[.:\s]*|[-/]\s*)[0-9*#]{1,8}",
    re.IGNORECASE,
)

#: `2.22E+09` and `2223334444.0`: a spreadsheet took a number for an amount.
_AMOUNT = re.compile(r"\+?[0-9](?:[.,][0-9]+)?E\+?[0-9]+|\+?[0-9]{7,15}[.,]0+", re.IGNORECASE)

#: Characters that are not to be seen and say nothing within a number: joiners, marks of the writing direction, byte
#: order marks, soft hyphens. Spreadsheets and address books leave them there.
_MARKS = [0xAD, 0x61C, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)]
#: Spaces that are wider, narrower or don't break.
_SPACES = [0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000]
#: translates them away
INVISIBLE = dict.fromkeys(_MARKS)
#: the same, and makes all spaces plain ones
PLAIN = {**INVISIBLE, **dict.fromkeys(_SPACES, " ")}

#: What a number may be written with.
_STRAY = re.compile("[^0-9+(). -]")
#: characters of a piece that is looked at to say what is wrong with it
_LONGEST_NUMBER = 100
POSTD_WANTED = "has digits behind its number: write ;postd= before digits to be sent once the call is answered."
REFERENCE_TOO_LONG = f"has a message_reference greater than {MAX_REFERENCE_BYTES} bytes."
_NO_NUMBER = "is not a valid phone number."
#: A piece with so many digits is meant as a number.
DIGITS_OF_A_NUMBER = 7


class InvalidEntry(CallpacerError):
    """An entry that can't be dialled as it stands."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self._reason = reason

    @property
    def reason(self) -> str:
        """The sentence's predicate: "The phone_numbers.17 entry" goes before it."""
        return self._reason


class NoNumber(InvalidEntry):
    """What stands where the number does is none. What is wrong with it is looked for only if somebody asks."""

    @property
    def reason(self) -> str:
        return _what_is_wrong(self._reason)


def parse(text: str) -> Entry:
    """One entry in its normal form: `tel:+12223334444;ani=7778889999`, and what follows the first comma, trimmed.

    Ten digits are taken as North American, and so are eleven that begin with 1; any other number needs its `+`.
    `tel:` may be left out, `;` and `,` may stand between spaces. Parameters may come in any order and case, each once;
    they are kept in the order ani, postd. Raises InvalidEntry.
    """
    plain = _PLAIN_ENTRY.fullmatch(text)
    if plain is not None:
        return Entry(f"tel:+1{plain[1]}", plain[2] or "")
    destination, _, reference = text.partition(",")
    if not destination.isascii():
        destination = destination.translate(PLAIN)
    number, *parameters = destination.split(";")
    digits = _digits(number)
    if _PAUSES.fullmatch(reference):
        _refuse(POSTD_WANTED)
    return Entry(f"tel:+{digits}{_parameters(parameters)}", _reference(reference))


def joined(phone_number: str, ani: str = "", postd: str = "", message_reference: str = "") -> Entry:
    """An entry whose parts are given apart; all but the number may be empty. Raises InvalidEntry."""
    if "," in phone_number:
        _refuse("has a comma in its phone number.")
    destination, _, before = parse(phone_number).destination.partition(";")
    if ani or postd or before:
        destination += _joined_parameters(before, ani, postd)
    return Entry(destination, _reference(message_reference))


# A column of caller ids mostly holds the same one.
@lru_cache(maxsize=256)
def _joined_parameters(before: str, ani: str, postd: str) -> str:
    parameters = before.split(";") if before else []
    if ani:
        parameters.append(f"ani={_caller_id(ani.translate(PLAIN).strip())}")
    if postd:
        parameters.append(f"postd={postd}")
    return _parameters(parameters)


def _caller_id(written: str) -> str:
    """Digits as they are; what is written as a column of numbers may be, without its separators.

    A date is digits with separators, too, but no number is divided like that.
    """
    is_number = _NORTH_AMERICAN.fullmatch(written) or _INTERNATIONAL.fullmatch(written)
    return re.sub("[-. ()]", "", written) if is_number else written


def _refuse(reason: str) -> NoReturn:
    raise InvalidEntry(reason)


def quoted(text: str) -> str:
    """The text as it may stand in a sentence: not too long, and with nothing that isn't to be seen."""
    text = text.strip()
    if len(text) > _LONGEST_QUOTED:
        text = text[:_LONGEST_QUOTED] + "\N{HORIZONTAL ELLIPSIS}"
    return '"' + "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text) + '"'


def _digits(number: str) -> str:
    """The number's digits from the country code on."""
    number = number.strip()
    if number[:4].lower() == "tel:":
        number = number[4:].lstrip()
    digits = _digits_of(number)
    if digits is None:
        raise NoNumber(number)
    return digits


def _digits_of(number: str) -> str | None:
    american = _NORTH_AMERICAN.fullmatch(number)
    if american is not None:
        return "1" + "".join(filter(None, american.groups()))
    international = _INTERNATIONAL.fullmatch(number)
    if international is not None and not _AMOUNT.fullmatch(number):
        digits = re.sub("[^0-9]", "", international[1])
        if _INTERNATIONAL_DIGITS.fullmatch(digits):
            return digits
    return None


def _what_is_wrong(number: str) -> str:
    if len(number) > _LONGEST_NUMBER:
        return _NO_NUMBER
    if _AMOUNT.fullmatch(number):
        return "reads like an amount that a spreadsheet made of a number: format the column as text."
    extended = _EXTENSION.fullmatch(number)
    if extended is not None and _digits_of(extended["number"].strip()) is not None:
        return POSTD_WANTED
    stray = _STRAY.search(number)
    if stray is not None and sum(map(str.isdecimal, number)) >= DIGITS_OF_A_NUMBER:
        character = stray[0]
        named = f'"{character}"' if character.isascii() and character.isprintable() else f"U+{ord(character):04X}"
        before = number[: stray.start()].strip()
        where = f"after {quoted(before)}" if before else "at its beginning"
        return f"has an unexpected character {named} {where}."
    return _NO_NUMBER


def _parameters(parameters: list[str]) -> str:
    """The parameters in their normal form, each with the semicolon before it."""
    values: dict[str, str] = {}
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        name, value = name.strip().lower(), value.strip()
        if name not in ("ani", "postd"):
            if name == "ext":
                _refuse(POSTD_WANTED)
            _refuse("has an unknown parameter: only ani and postd are known, and columns are separated by commas.")
        if name in values:
            _refuse(f"has more than one {name}.")
        values[name] = value
    ani, postd = values.get("ani"), values.get("postd")
    if ani is not None and not _ANI.fullmatch(ani):
        _refuse("has an invalid ani: it must be 1 to 15 digits, with or without a plus sign.")
    if postd is not None and not _POSTD.fullmatch(postd):
        _refuse("has an invalid postd: it must be 1 to 64 digits, asterisks or number signs.")
    return "".join(f";{name}={values[name]}" for name in ("ani", "postd") if name in values)


def _reference(reference: str) -> str:
    reference = reference.strip()
    if UNPRINTABLE.search(reference):
        _refuse("has control characters in its message_reference.")
    if len(reference.encode()) > MAX_REFERENCE_BYTES:
        _refuse(REFERENCE_TOO_LONG)
    return reference
