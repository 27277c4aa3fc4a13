"""Phone numbers as customers write them, brought into one normal form.

An entry is a number, its parameters and a message reference: `tel:+12223334444; ani=7778889999, marchcampaign`
(reference, Create Campaign, `phone_numbers`; the product's documentation for the bare forms and `postd`). What is
checked is the shape a number must have by E.164, not whether anybody was assigned it. What could mean two numbers is
refused, since the price of a wrong guess is a call to a stranger.
"""

import re
from typing import NoReturn

from chalicelib.domain.models import Entry
from chalicelib.errors import CallpacerError

#: bytes of UTF-8
MAX_REFERENCE_BYTES = 255

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

#: a caller id, with or without its country code: kept as given
_ANI = re.compile(r"\+?[0-9]{1,15}")

#: Digits to send once the call is answered. A menu's path or a calling card's number, not a text: the length keeps an
#: entry small.
_POSTD = re.compile(r"[0-9*#]{1,64}")

#: a piece that is meant as a number, well written or not
_BEGINS_A_NUMBER = re.compile(r"tel:|\+[0-9]|[^;]*;\s*(?:ani|postd)\s*=", re.IGNORECASE)


class InvalidEntry(CallpacerError):
    """An entry that can't be dialled as it stands."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the entry {reason}")
        #: the sentence's predicate: "The phone_numbers.17 entry" goes before it
        self.reason = reason


def parse(text: str) -> Entry:
    """One entry in its normal form: `tel:+12223334444;ani=7778889999`, and what follows the first comma, trimmed.

    Ten digits are taken as North American, and so are eleven that begin with 1; any other number needs its `+`.
    `tel:` may be left out, `;` and `,` may stand between spaces. Parameters may come in any order and case, each once;
    they are kept in the order ani, postd. Raises InvalidEntry.
    """
    destination, _, reference = text.partition(",")
    number, *parameters = destination.split(";")
    return Entry(f"tel:+{_digits(number)}{_parameters(parameters)}", _reference(reference))


def split(element: str) -> list[str]:
    """The entries in one element of a list, which may hold several, separated by commas.

    A piece that looks like a number begins a new entry, anything else belongs to the reference of the one before:
    `+12223334444, +14443332222, march, late` are two entries. Ten digits alone look like a number, so in a list they
    can't be a reference. What was meant as a number but is misspelt also begins an entry, to be refused by `parse`
    rather than kept as a reference and never called.
    """
    entries: list[list[str]] = []
    for piece in element.split(","):
        if not entries or _looks_like_a_number(piece.strip()):
            entries.append([piece])
        else:
            entries[-1].append(piece)
    return [",".join(pieces).strip() for pieces in entries]


def _looks_like_a_number(piece: str) -> bool:
    return _BEGINS_A_NUMBER.match(piece) is not None or _NORTH_AMERICAN.fullmatch(piece) is not None


def _refuse(reason: str) -> NoReturn:
    raise InvalidEntry(reason)


def _digits(number: str) -> str:
    """The number's digits from the country code on."""
    number = number.strip()
    if number[:4].lower() == "tel:":
        number = number[4:].lstrip()
    american = _NORTH_AMERICAN.fullmatch(number)
    if american is not None:
        return "1" + "".join(filter(None, american.groups()))
    international = _INTERNATIONAL.fullmatch(number)
    if international is not None:
        digits = re.sub("[^0-9]", "", international[1])
        if _INTERNATIONAL_DIGITS.fullmatch(digits):
            return digits
    _refuse("is not a valid phone number.")


def _parameters(parameters: list[str]) -> str:
    """The parameters in their normal form, each with the semicolon before it."""
    values: dict[str, str] = {}
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        name, value = name.strip().lower(), value.strip()
        if name not in ("ani", "postd"):
            _refuse("has an unknown parameter: only ani and postd are known.")
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
        _refuse(f"has a message_reference greater than {MAX_REFERENCE_BYTES} bytes.")
    return reference
