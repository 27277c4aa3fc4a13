"""Turning a request's parameters into typed values, with every fault told at once.

A handler asks a `Form` for each field it knows and then calls `check`, which raises if anything was wrong, or if there
is a field that it wasn't asked for. Until then a required field that is missing or wrong has a stand-in of its type,
which `check` keeps from ever being used:

    form = Form(parameters)
    period = form.integer("period", minimum=1, required=True)
    nickname = form.nickname()
    form.check()

Without `required` a field that isn't given, or null, is None. An update says `required=form.given("period")`: what
isn't given is None, what is given must have a value. Where an empty value means something, `given` tells it from none
at all.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeVar, overload

from chalicelib.api import values
from chalicelib.api.request import FilePart, Parameters
from chalicelib.domain import json_text, upload
from chalicelib.domain.dialstring import quoted
from chalicelib.domain.models import Day
from chalicelib.domain.upload import Upload
from chalicelib.errors import InvalidFields

T = TypeVar("T")

#: Windows of one campaign. An update moves it from up to 20 profiles to 20 others in one transaction, of at most 100
#: parts.
MAX_PROFILES = 20
#: things of a list in one answer
MAX_PAGE = 1000
#: Fields that the reference, or an answer of this API, calls by a second name. The first is what a fault goes by, and
#: wins if a request has both.
_OTHER_NAMES = {"nickname": "name", "schedule": "schedule_id", "profile": "profile_id"}
#: how many unknown fields are told one by one
_UNKNOWN_TOLD = 20
#: digits of a call's id, which is below 2**53: the longest that a list can go on after
_MAX_ID_DIGITS = 16


@dataclass(frozen=True)
class ProfileChoice:
    """A profile as a campaign names it, and the hours it is for."""

    #: its nickname, or its id in digits
    profile: str
    #: minutes after midnight, Eastern time, 0 to 1439
    start: int
    #: minutes after midnight, after `start`, up to 1440
    end: int
    #: As an answer of this API tells it beside the id; None if it isn't told.
    nickname: str | None = None


@dataclass(frozen=True)
class Page:
    """Which part of a list is asked for; without a limit, all of it."""

    limit: int | None
    #: the id after which the part begins
    after: int | None


class Form:
    """The fields of one request, and the faults found in them so far."""

    def __init__(self, parameters: Parameters, prefix: str = "") -> None:
        """`prefix` is where the fields stand within the request, such as `profiles.0.`."""
        self._values = dict(parameters.values)
        self._prefix = prefix
        self._faults: dict[str, list[str]] = {}
        #: those that were asked for
        self._known: set[str] = set()

    def given(self, name: str) -> bool:
        """Is there such a field, empty or null perhaps?"""
        return self._written(name) in self._values

    def value(self, name: str) -> object:
        """As it came; None if it isn't given."""
        return self._values.get(self._written(name))

    def _written(self, name: str) -> str:
        """What the request calls the field."""
        self._known.add(name)
        if name in self._values or name not in _OTHER_NAMES:
            return name
        return _OTHER_NAMES[name]

    def fault(self, name: str, sentence: str) -> None:
        """Record a fault that only the handler can find, such as "The selected schedule is invalid."."""
        self._faults.setdefault(self._prefix + name, []).append(sentence)

    def _fault_of_value(self, name: str, sentence: str) -> None:
        """A fault that tells the value, where that can be told in short."""
        value = self.value(name)
        told = f" It is {in_short(value)}." if isinstance(value, str | int | float) else ""
        self.fault(name, sentence + told)

    def check(self, *, changes: Sequence[str] = ()) -> None:
        """Raises InvalidFields with all the faults there are. Of `changes`, if there are any, one must be given."""
        self._look_for_unknown()
        if changes and not self._faults and not any(self.given(name) for name in changes):
            self._faults["body"] = [f"The request must give at least one of {', '.join(changes)}."]
        if self._faults:
            raise InvalidFields(self._faults)

    def _look_for_unknown(self) -> None:
        """A fault for each field that nobody has asked for: what is passed over in silence is taken for done."""
        others = {_OTHER_NAMES[name] for name in self._known if name in _OTHER_NAMES}
        known = ", ".join(sorted(self._known)) or "none"
        unknown = sorted(self._values.keys() - self._known - others)
        for name in (quoted(name)[1:-1] for name in unknown[:_UNKNOWN_TOLD]):
            self.fault(name, f"The {self._prefix}{name} field is unknown; known here: {known}.")

    def unchanged(self, name: str, current: object) -> None:
        """A member of an answer that no request can change. It may be sent back as it is at this moment."""
        if self.given(name) and self.value(name) not in (current, str(current)):
            self.fault(name, f"The {name} field can't be changed. It is {in_short(current)}.")

    @overload
    def integer(self, name: str, *, minimum: int = 0, maximum: int | None = None, required: Literal[True]) -> int: ...
    @overload
    def integer(
        self, name: str, *, minimum: int = 0, maximum: int | None = None, required: bool = False
    ) -> int | None: ...
    def integer(self, name: str, *, minimum: int = 0, maximum: int | None = None, required: bool = False) -> int | None:
        """1 to 11 digits, as a number or as text; both bounds count."""
        return self._read(name, lambda value: values.integer(value, minimum, maximum), minimum, required=required)

    def boolean(self, name: str) -> bool:
        """true, false, 1 or 0, as such or as text; false if not given."""
        return self._read(name, values.boolean, stand_in=False, required=False) or False

    def nickname(self) -> str | None:
        """`nickname`, or `name` as the reference calls it in one place. Empty or null means none."""
        if values.is_blank(self.value("nickname")):
            return None
        return self._read("nickname", values.nickname, "", required=False)

    @overload
    def url(self, name: str, *, required: Literal[True]) -> str: ...
    @overload
    def url(self, name: str, *, required: bool = False) -> str | None: ...
    def url(self, name: str, *, required: bool = False) -> str | None:
        """An http or https URL with a host and without credentials.

        Not required, it may be empty, which means none. Where it leads is not looked at: that is for whoever connects
        to it.
        """
        if not required and values.is_blank(self.value(name)):
            return None
        return self._read(name, values.url, "", required=required)

    def date_range(self, current: tuple[date, date] | None = None) -> tuple[date, date]:
        """`start_date` and `end_date`, both of which count. What isn't given stays as in `current`, or is required."""
        earliest, latest = current or (date.min, date.max)
        first = self._read("start_date", values.day, date.min, required=current is None) or earliest
        last = self._read("end_date", values.day, date.max, required=current is None) or latest
        if last < first and self.given("end_date"):
            self._fault_of_value("end_date", "The end_date field must be a date after or equal to start_date.")
        elif last < first:
            self._fault_of_value("start_date", "The start_date field must be a date before or equal to end_date.")
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
                self.fault(
                    f"days.{index}", f"The days.{index} field {in_short(day)} is invalid: one of {', '.join(Day)}."
                )
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
        return self._read("schedule", values.reference, "", required=required)

    def phone_numbers(self, *, unique: bool, required: bool = False) -> Upload:
        """The numbers in a file, an array or text. Not required, the array may be empty; a file may not."""
        value = self.value("phone_numbers")
        if not required and (values.is_blank(value) or value == []):
            return Upload(())
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], FilePart):
            (value,) = value  # `phone_numbers[]`, as a browser's form may call it
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
            after=self._read("after", lambda value: values.integer(value, 0, None, _MAX_ID_DIGITS), 0, required=False),
        )

    @overload
    def _read(self, name: str, convert: Callable[[object], T], stand_in: T, *, required: Literal[True]) -> T: ...
    @overload
    def _read(self, name: str, convert: Callable[[object], T], stand_in: T, *, required: bool) -> T | None: ...
    def _read(self, name: str, convert: Callable[[object], T], stand_in: T, *, required: bool) -> T | None:
        """A field's value, None if it isn't given, or `stand_in` if it is wrong or missing though required."""
        value = self.value(name)
        if required and values.is_blank(value):
            self.fault(name, f"The {self._prefix}{name} field is required.")
            return stand_in
        if value is None:
            return None
        try:
            return convert(value)
        except values.Invalid as reason:
            sentence = str(reason).format(name=self._prefix + name)
            (self._fault_of_value if reason.is_told else self.fault)(name, sentence)
            return stand_in

    def _array(self, name: str, *, required: bool) -> list[object] | None:
        stand_in: list[object] = []
        return self._read(name, values.array, stand_in, required=required)

    def _profile(self, name: str, item: object) -> ProfileChoice:
        if isinstance(item, str):
            try:
                item = json_text.load(item)
            except (RecursionError, ValueError):
                item = None
        if not isinstance(item, dict):
            self.fault(name, f"The {name} field must be an object.")
            return ProfileChoice("", 0, 0)
        form = Form(Parameters(item), prefix=f"{name}.")
        reference = form._read("profile", values.reference, "", required=True)
        start = form._read("start_time", values.start_time, 0, required=True)
        end = form._read("end_time", values.end_time, values.END_OF_DAY, required=True)
        if end <= start:
            form._fault_of_value("end_time", f"The {name}.end_time field must be a time after start_time.")
        nickname = form.nickname()
        form._look_for_unknown()
        self._faults |= form._faults
        return ProfileChoice(reference, start, end, nickname)


def in_short(value: object) -> str:
    """A value of a request as a sentence about it has it."""
    return quoted(value) if isinstance(value, str) else quoted(json.dumps(value, default=lambda _: "a file"))


def no_fields(parameters: Parameters) -> None:
    """Raises InvalidFields if there are any."""
    Form(parameters).check()


def page_of(parameters: Parameters) -> Page:
    """The part of a list that is asked for, where nothing else can be. Raises InvalidFields."""
    form = Form(parameters)
    page = form.page()
    form.check()
    return page
