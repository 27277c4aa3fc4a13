"""One value of a request, converted to its type. Each function raises Invalid for any other value.

The sentences follow the reference's one example: "The nickname has already been taken."
"""

import ipaddress
import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

from chalicelib.domain import eastern, json_text
from chalicelib.domain.dialstring import UNPRINTABLE
from chalicelib.domain.models import MAX_NICKNAME_LENGTH
from chalicelib.domain.repeats import Unique
from chalicelib.gateway.addresses import LONGEST_URL

#: reference, "11 digit maximum"
MAX_DIGITS = 11
#: minutes after midnight of the midnight that ends a day
END_OF_DAY = 24 * 60

_INTEGER = re.compile(r"-?[0-9]+")
#: the end of a whole number that is written with a point
_WHOLE = re.compile(r"(?<=[0-9])\.0+\Z")
#: a day, or a day as this API's answers have it
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?: 00:00:00)?")
#: the years in which a campaign may call
_YEARS = range(2000, 2201)
#: seconds since 1970, or a day with a time, and perhaps an offset from UTC
_INSTANT = re.compile(
    r"(?P<seconds>[0-9]{1,12})|(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)"
    r"(?P<fraction>\.[0-9]{1,9})? ?(?P<offset>[Zz]|[+-][0-9]{2}:[0-5][0-9])?"
)
_NO_INSTANT = (
    "The {name} field must be seconds since 1970, or a time like 2026-12-01 09:00 (Eastern) or 2026-12-01T14:00:00Z."
)
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
#: What RFC 3986 allows in a URI. The customer must encode other letters: if two programs encode them differently, one
#: checks another host than the other connects to. A backslash has the same effect.
_URL = re.compile(r"(?i:https?)://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
#: RFC 1123 §2.1, and the underscore, which some names have
_HOST = re.compile(r"(?=.{1,253}\Z)(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")


class Invalid(Exception):
    """A value is invalid. The sentence has `{name}` in place of the field's name."""

    def __init__(self, sentence: str, *, shows_value: bool = True) -> None:
        """`shows_value` is False where the answer must not repeat the value, or where there is none."""
        super().__init__(sentence)
        self.shows_value = shows_value


def is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def integer(value: object, minimum: int, maximum: int | None, digits: int = MAX_DIGITS) -> int:
    """As a number or as text; `30.0` is 30; both bounds are allowed."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        value = _WHOLE.sub("", value.strip())
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        # Too many digits aren't converted, because Python refuses to convert thousands of them.
        value = int(value) if len(value.strip().lstrip("-")) <= digits else 10**digits
    if not isinstance(value, int) or isinstance(value, bool):
        raise Invalid("The {name} field must be an integer.")
    if abs(value) >= 10**digits:
        raise Invalid(f"The {{name}} field must not have more than {digits} digits.")
    if value < minimum:
        raise Invalid(f"The {{name}} field must be at least {minimum}.")
    if maximum is not None and value > maximum:
        raise Invalid(f"The {{name}} field must not be greater than {maximum}.")
    return value


def boolean(value: object) -> bool:
    """true, false, 1 or 0, as such or as text."""
    if isinstance(value, bool | int | str):
        text = str(value).strip().lower()
        if text in ("true", "1"):
            return True
        if text in ("false", "0"):
            return False
    raise Invalid("The {name} field must be true or false.")


def unique(value: object) -> Unique:
    """`campaign`, or a boolean: true stands for the upload alone."""
    if isinstance(value, str) and value.strip().lower() == Unique.CAMPAIGN:
        return Unique.CAMPAIGN
    try:
        return Unique.UPLOAD if boolean(value) else Unique.NOTHING
    except Invalid:
        raise Invalid("The {name} field must be true, false or campaign.") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Invalid("The {name} field must be a string.")
    value = value.strip()
    if UNPRINTABLE.search(value):
        raise Invalid("The {name} field must not contain control characters.")
    return value


def nickname(value: object) -> str:
    """At most 64 characters, in Unicode's NFC, so that nicknames that look the same are the same."""
    text = unicodedata.normalize("NFC", _text(value))
    if len(text) > MAX_NICKNAME_LENGTH:
        raise Invalid(f"The {{name}} field must not be greater than {MAX_NICKNAME_LENGTH} characters.")
    return text


def reference(value: object) -> str:
    """A nickname or an id. The sentence for what can be neither is the same as for an unknown one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**MAX_DIGITS:
        return str(value)
    try:
        named = nickname(value)
    except Invalid:
        named = ""
    if not named:
        raise Invalid("The selected {name} is invalid.")
    return named


def url(value: object) -> str:
    """http or https, with a host, without credentials. The host's address isn't checked."""
    text = _text(value)
    if len(text) > LONGEST_URL:
        raise Invalid(f"The {{name}} field must not be greater than {LONGEST_URL} characters.")
    try:
        parts = urlsplit(text)
        is_valid = _URL.fullmatch(text) is not None and parts.port != 0 and _is_host(parts.netloc, parts.hostname or "")
    except ValueError:
        is_valid = False
    if not is_valid:
        raise Invalid("The {name} field must be a valid http or https URL.")
    if "@" in parts.netloc:
        raise Invalid("The {name} field must not contain credentials.", shows_value=False)
    return text


def _is_host(netloc: str, host: str) -> bool:
    """True for a name or an address. Raises ValueError for brackets around anything but an IPv6 address."""
    if "[" in netloc:
        return ipaddress.IPv6Address(host).scope_id is None
    return _HOST.fullmatch(host) is not None


def day(value: object) -> date:
    """YYYY-MM-DD, from 2000 to 2200."""
    match = _DATE.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        found = date.fromisoformat(match[1]) if match else None
    except ValueError:
        found = None  # the month has no such day
    if found is None:
        raise Invalid("The {name} field must be a date in the format YYYY-MM-DD.")
    if found.year not in _YEARS:
        raise Invalid(f"The {{name}} field must be a date from {_YEARS[0]} to {_YEARS[-1]}.")
    return found


def instant(value: object) -> datetime:
    """Seconds since 1970, or a day with a time. A time without an offset from UTC is Eastern. From 2000 to 2200."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = _INSTANT.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise Invalid(_NO_INSTANT)
    try:
        found = _written_instant(match)
    except (OverflowError, ValueError):
        raise Invalid(_NO_INSTANT) from None
    if found.year not in _YEARS:
        raise Invalid(f"The {{name}} field must be a time from {_YEARS[0]} to {_YEARS[-1]}.")
    return found


def _written_instant(match: re.Match[str]) -> datetime:
    """Raises Invalid, and ValueError or OverflowError for what no clock or calendar has."""
    if match["seconds"] is not None:
        return datetime.fromtimestamp(int(match["seconds"]), UTC)
    local = datetime.fromisoformat(f"{match['day']}T{match['time']}")
    local += timedelta(seconds=float(match["fraction"] or 0))
    if match["offset"] is not None:
        zone = datetime.fromisoformat(f"2000-01-01T00:00{match['offset'].upper()}").tzinfo
        return local.replace(tzinfo=zone).astimezone(UTC)
    found = eastern.instants(local)
    if len(found) == 1:
        return found[0]
    why = "comes twice" if found else "doesn't exist"
    raise Invalid(f"The {{name}} field needs an offset such as -05:00: this Eastern time {why}.")


def start_time(value: object) -> int:
    """HH:MM in minutes after midnight."""
    match = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise Invalid("The {name} field must be a time in the format HH:MM.")
    return int(match[1]) * 60 + int(match[2])


def end_time(value: object) -> int:
    """Minutes after midnight; 24:00 is the midnight that ends the day."""
    return END_OF_DAY if value == "24:00" else start_time(value)


def array(value: object) -> list[object]:
    """An array as such or as JSON text, with at least one item."""
    value = from_json_text(value)
    if not isinstance(value, list):
        raise Invalid("The {name} field must be an array.")
    if not value:
        raise Invalid("The {name} field is required.", shows_value=False)
    return value


def json_object(value: object) -> dict[str, object]:
    """An object as such or as JSON text."""
    value = from_json_text(value)
    if not isinstance(value, dict):
        raise Invalid("The {name} field must be an object.")
    return value


def growth(value: object) -> float:
    """From 1 to 10, as a number or as text."""
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
    except (OverflowError, ValueError):
        number = 0.0
    if not 1 <= number <= 10:
        raise Invalid("The {name} field must be a number between 1 and 10.")
    return number


def are_the_same(one: object, other: object) -> bool:
    """True if both mean the same. A form and a query have text where JSON has a number, an array or an object."""
    if isinstance(one, str) and isinstance(other, str):
        return unicodedata.normalize("NFC", one.strip()) == unicodedata.normalize("NFC", other.strip())
    if is_blank(one) or is_blank(other):
        return is_blank(one) and is_blank(other)
    return from_json_text(one) == from_json_text(other)


def from_json_text(value: object) -> object:
    """The value that JSON text stands for; None if it isn't valid. Any other value is itself."""
    if not isinstance(value, str):
        return value
    try:
        return json_text.load(value)
    except (RecursionError, ValueError):
        return None
