"""Turning a request's parameters into typed values, with every fault told at once.

A handler asks a `Form` for each field it knows and then calls `check`, which raises if anything was wrong. Until then a
required field that is missing or wrong has a stand-in of its type, which `check` keeps from ever being used:

    form = Form(parameters)
    period = form.integer("period", minimum=1, required=True)
    nickname = form.nickname()
    form.check()

Without `required` a field that isn't given, or null, is None. An update says `required=form.given("period")`: what
isn't given is None, what is given must have a value. Where an empty value means something, `given` tells it from none
at all. The sentences follow the reference's one example: "The nickname has already been taken."
"""

import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeVar, overload
from urllib.parse import urlsplit

from chalicelib.api.request import FilePart, Parameters
from chalicelib.domain import upload
from chalicelib.domain.dialstring import UNPRINTABLE
from chalicelib.domain.models import Day
from chalicelib.domain.upload import Upload
from chalicelib.errors import InvalidFields
from chalicelib.gateway.addresses import LONGEST_URL

T = TypeVar("T")

#: reference, "11 digit maximum"
MAX_DIGITS = 11
#: reference, "64 character maximum"
MAX_NICKNAME_LENGTH = 64
#: Windows of one campaign. An update moves it from up to 20 profiles to 20 others in one transaction, of at most 100
#: parts.
MAX_PROFILES = 20
#: things of a list in one answer
MAX_PAGE = 1000
#: Fields that the reference, or an answer of this API, calls by a second name. The first is what a fault goes by, and
#: wins if a request has both.
_OTHER_NAMES = {"name": "nickname", "schedule_id": "schedule", "profile_id": "profile"}
#: minutes after midnight of the midnight that ends a day
END_OF_DAY = 24 * 60
#: digits of a call's id, which is below 2**53: the longest that a list can go on after
_MAX_ID_DIGITS = 16

_INTEGER = re.compile(r"-?[0-9]+")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
#: What RFC 3986 allows in a URI. Other letters must be encoded by whoever writes the URL: two programs that encode them
#: differently would look at one host and connect to another. A backslash has the same effect.
_URL = re.compile(r"(?i:https?)://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
#: RFC 1123 §2.1, with the underscore that names in use have
_HOST = re.compile(r"(?=.{1,253}\Z)(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")


@dataclass(frozen=True)
class ProfileChoice:
    """A profile as a campaign names it, and the hours it is for."""

    #: its nickname, or its id in digits
    profile: str
    #: minutes after midnight, Eastern time, 0 to 1439
    start: int
    #: minutes after midnight, after `start`, up to 1440
    end: int


@dataclass(frozen=True)
class Page:
    """Which part of a list is asked for; without a limit, all of it."""

    limit: int | None
    #: the id after which the part begins
    after: int | None


class _Invalid(Exception):
    """What is wrong with a value: a sentence in which `{name}` stands for the field's name."""


class Form:
    """The fields of one request, and the faults found in them so far."""

    def __init__(self, parameters: Parameters, prefix: str = "") -> None:
        """`prefix` is where the fields stand within the request, such as `profiles.0.`."""
        self._values = dict(parameters.values)
        for other, name in _OTHER_NAMES.items():
            if other in self._values:
                self._values.setdefault(name, self._values[other])
        self._prefix = prefix
        self._faults: dict[str, list[str]] = {}

    def given(self, name: str) -> bool:
        """Is there such a field, empty or null perhaps?"""
        return name in self._values

    def fault(self, name: str, sentence: str) -> None:
        """Record a fault that only the handler can find, such as "The selected schedule is invalid."."""
        self._faults.setdefault(self._prefix + name, []).append(sentence)

    def check(self) -> None:
        """Raises InvalidFields with all the faults there are."""
        if self._faults:
            raise InvalidFields(self._faults)

    @overload
    def integer(self, name: str, *, minimum: int = 0, maximum: int | None = None, required: Literal[True]) -> int: ...
    @overload
    def integer(
        self, name: str, *, minimum: int = 0, maximum: int | None = None, required: bool = False
    ) -> int | None: ...
    def integer(self, name: str, *, minimum: int = 0, maximum: int | None = None, required: bool = False) -> int | None:
        """1 to 11 digits, as a number or as text; both bounds count."""
        return self._read(name, lambda value: _integer(value, minimum, maximum), minimum, required=required)

    def boolean(self, name: str) -> bool:
        """true, false, 1 or 0, as such or as text; false if not given."""
        return self._read(name, _boolean, stand_in=False, required=False) or False

    def nickname(self) -> str | None:
        """`nickname`, or `name` as the reference calls it in one place. Empty or null means none."""
        if _is_blank(self._values.get("nickname")):
            return None
        return self._read("nickname", _nickname, "", required=False)

    @overload
    def url(self, name: str, *, required: Literal[True]) -> str: ...
    @overload
    def url(self, name: str, *, required: bool = False) -> str | None: ...
    def url(self, name: str, *, required: bool = False) -> str | None:
        """An http or https URL with a host and without credentials.

        Not required, it may be empty, which means none. Where it leads is not looked at: that is for whoever connects
        to it.
        """
        if not required and _is_blank(self._values.get(name)):
            return None
        return self._read(name, _url, "", required=required)

    def date_range(self, current: tuple[date, date] | None = None) -> tuple[date, date]:
        """`start_date` and `end_date`, both of which count. What isn't given stays as in `current`, or is required."""
        earliest, latest = current or (date.min, date.max)
        first = self._read("start_date", _date, date.min, required=current is None) or earliest
        last = self._read("end_date", _date, date.max, required=current is None) or latest
        if last < first and self.given("end_date"):
            self.fault("end_date", "The end_date field must be a date after or equal to start_date.")
        elif last < first:
            self.fault("start_date", "The start_date field must be a date before or equal to end_date.")
        return first, last

    @overload
    def days(self, *, required: Literal[True]) -> tuple[Day, ...]: ...
    @overload
    def days(self, *, required: bool = False) -> tuple[Day, ...] | None: ...
    def days(self, *, required: bool = False) -> tuple[Day, ...] | None:
        """The `days` in the week's order, each once however often it is given; at least one."""
        listed = self._array("days", required=required)
        if listed is None:
            return None
        if len(listed) > len(Day):
            self.fault("days", f"The days field must not have more than {len(Day)} items.")
            return ()
        for index, day in enumerate(listed):
            if day not in tuple(Day):
                self.fault(f"days.{index}", f"The days.{index} field is invalid.")
        return tuple(day for day in Day if day in listed)

    @overload
    def profiles(self, *, required: Literal[True]) -> tuple[ProfileChoice, ...]: ...
    @overload
    def profiles(self, *, required: bool = False) -> tuple[ProfileChoice, ...] | None: ...
    def profiles(self, *, required: bool = False) -> tuple[ProfileChoice, ...] | None:
        """The `profiles`, each like `{"profile": "MorningPace", "start_time": "08:00", "end_time": "11:00"}`.

        `profile` is a nickname or an id; `profile_id` is taken for it, since campaigns are answered with that.
        """
        listed = self._array("profiles", required=required)
        if listed is None:
            return None
        if len(listed) > MAX_PROFILES:
            self.fault("profiles", f"The profiles field must not have more than {MAX_PROFILES} items.")
            return ()
        return tuple(self._profile(f"profiles.{index}", item) for index, item in enumerate(listed))

    @overload
    def schedule(self, *, required: Literal[True]) -> str: ...
    @overload
    def schedule(self, *, required: bool = False) -> str | None: ...
    def schedule(self, *, required: bool = False) -> str | None:
        """`schedule` or `schedule_id`: a schedule's nickname, or its id in digits."""
        return self._read("schedule", _reference, "", required=required)

    @overload
    def phone_numbers(self, *, unique: bool, required: Literal[True]) -> Upload: ...
    @overload
    def phone_numbers(self, *, unique: bool, required: bool = False) -> Upload | None: ...
    def phone_numbers(self, *, unique: bool, required: bool = False) -> Upload | None:
        """The numbers in a file, an array or text. Not required, the array may be empty; a file may not."""
        value = self._values.get("phone_numbers")
        if not required and (_is_blank(value) or value == []):
            return None
        if isinstance(value, FilePart):
            value = value.content
        try:
            return upload.read([] if value is None else value, unique=unique)
        except InvalidFields as refused:
            for name, sentences in refused.faults.items():
                self._faults.setdefault(name, []).extend(sentences)
            return Upload(())

    def page(self) -> Page:
        """`limit` and `after`, both optional."""
        return Page(
            limit=self.integer("limit", minimum=1, maximum=MAX_PAGE),
            after=self._read("after", lambda value: _integer(value, 0, None, _MAX_ID_DIGITS), 0, required=False),
        )

    @overload
    def _read(self, name: str, convert: Callable[[object], T], stand_in: T, *, required: Literal[True]) -> T: ...
    @overload
    def _read(self, name: str, convert: Callable[[object], T], stand_in: T, *, required: bool) -> T | None: ...
    def _read(self, name: str, convert: Callable[[object], T], stand_in: T, *, required: bool) -> T | None:
        """A field's value, None if it isn't given, or `stand_in` if it is wrong or missing though required."""
        value = self._values.get(name)
        if required and _is_blank(value):
            self.fault(name, f"The {self._prefix}{name} field is required.")
            return stand_in
        if value is None:
            return None
        try:
            return convert(value)
        except _Invalid as reason:
            self.fault(name, str(reason).format(name=self._prefix + name))
            return stand_in

    def _array(self, name: str, *, required: bool) -> list[object] | None:
        stand_in: list[object] = []
        return self._read(name, _items, stand_in, required=required)

    def _profile(self, name: str, item: object) -> ProfileChoice:
        if not isinstance(item, dict):
            self.fault(name, f"The {name} field must be an object.")
            return ProfileChoice("", 0, 0)
        form = Form(Parameters(item), prefix=f"{name}.")
        reference = form._read("profile", _reference, "", required=True)
        start = form._read("start_time", _start_time, 0, required=True)
        end = form._read("end_time", _end_time, END_OF_DAY, required=True)
        if end <= start:
            form.fault("end_time", f"The {name}.end_time field must be a time after start_time.")
        self._faults |= form._faults
        return ProfileChoice(reference, start, end)


def page_of(parameters: Parameters) -> Page:
    """The part of a list that is asked for, where nothing else can be. Raises InvalidFields."""
    form = Form(parameters)
    page = form.page()
    form.check()
    return page


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _integer(value: object, minimum: int, maximum: int | None, digits: int = MAX_DIGITS) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        # too many digits aren't converted: Python refuses thousands of them
        value = int(value) if len(value.strip().lstrip("-")) <= digits else 10**digits
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Invalid("The {name} field must be an integer.")
    if abs(value) >= 10**digits:
        raise _Invalid(f"The {{name}} field must not have more than {digits} digits.")
    if value < minimum:
        raise _Invalid(f"The {{name}} field must be at least {minimum}.")
    if maximum is not None and value > maximum:
        raise _Invalid(f"The {{name}} field must not be greater than {maximum}.")
    return value


def _boolean(value: object) -> bool:
    if isinstance(value, bool | int | str):
        text = str(value).strip().lower()
        if text in ("true", "1"):
            return True
        if text in ("false", "0"):
            return False
    raise _Invalid("The {name} field must be true or false.")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Invalid("The {name} field must be a string.")
    value = value.strip()
    if UNPRINTABLE.search(value):
        raise _Invalid("The {name} field must not contain control characters.")
    return value


def _nickname(value: object) -> str:
    nickname = _text(value)
    if len(nickname) > MAX_NICKNAME_LENGTH:
        raise _Invalid(f"The {{name}} field must not be greater than {MAX_NICKNAME_LENGTH} characters.")
    return nickname


def _reference(value: object) -> str:
    """A nickname or an id. What can be neither is told like one that isn't there."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**MAX_DIGITS:
        return str(value)
    try:
        reference = _nickname(value)
    except _Invalid:
        reference = ""
    if not reference:
        raise _Invalid("The selected {name} is invalid.")
    return reference


def _url(value: object) -> str:
    url = _text(value)
    if len(url) > LONGEST_URL:
        raise _Invalid(f"The {{name}} field must not be greater than {LONGEST_URL} characters.")
    try:
        parts = urlsplit(url)
        is_valid = _URL.fullmatch(url) is not None and parts.port != 0 and _is_host(parts.netloc, parts.hostname or "")
    except ValueError:
        is_valid = False
    if not is_valid:
        raise _Invalid("The {name} field must be a valid http or https URL.")
    if "@" in parts.netloc:
        raise _Invalid("The {name} field must not contain credentials.")
    return url


def _is_host(netloc: str, host: str) -> bool:
    """Is this a name or an address? Raises ValueError for brackets around something else."""
    if "[" in netloc:
        return ipaddress.IPv6Address(host).scope_id is None
    return _HOST.fullmatch(host) is not None


def _date(value: object) -> date:
    try:
        if isinstance(value, str) and _DATE.fullmatch(value.strip()):
            return date.fromisoformat(value.strip())
    except ValueError:
        # a day that its month doesn't have
        pass
    raise _Invalid("The {name} field must be a date in the format YYYY-MM-DD.")


def _start_time(value: object) -> int:
    """Minutes after midnight."""
    match = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise _Invalid("The {name} field must be a time in the format HH:MM.")
    return int(match[1]) * 60 + int(match[2])


def _end_time(value: object) -> int:
    """Minutes after midnight; 24:00 is the midnight that ends the day."""
    return END_OF_DAY if value == "24:00" else _start_time(value)


def _items(value: object) -> list[object]:
    """An array as such or as JSON text, with at least one item."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (RecursionError, ValueError):
            value = None
    if not isinstance(value, list):
        raise _Invalid("The {name} field must be an array.")
    if not value:
        raise _Invalid("The {name} field is required.")
    return value
