"""A request's parameters as typed values. All of their faults are answered at once.

A handler asks a `Form` for each field it knows and then calls `check`, which raises if any field is wrong, or if there
is a field that the handler didn't ask for. Until then a required field that is missing or wrong has a stand-in of its
type. The stand-in is never used, because `check` raises:

    form = Form(parameters)
    period = form.integer("period", minimum=1, required=True)
    nickname = form.nickname()
    form.check()

Without `required`, a field that is missing or null is None. An update passes `required=form.given("period")`: a missing
field is None, and a given one must have a value. Where an empty value has a meaning, `given` distinguishes it from a
missing one.
"""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from heapq import nsmallest
from typing import Literal, TypeAlias, TypeVar, overload

from chalicelib.api import values
from chalicelib.api.request import FilePart, Parameters
from chalicelib.api.wording import (
    SPACE_FOR_PLUS,
    InvalidFields,
    in_short,
    named,
    quoted,
    sentence_of_part,
    sentences_of,
)
from chalicelib.domain import dialstring, upload
from chalicelib.domain.faults import InvalidEntries, InvalidEntry, UnreadableUpload
from chalicelib.domain.keys import MAX_CALL_ID_DIGITS
from chalicelib.domain.models import (
    LONGEST_RETRY_GAP,
    MOST_RETRIES,
    SHORTEST_RETRY_GAP,
    Day,
    RetryKind,
    RetryRule,
)
from chalicelib.domain.repeats import Unique
from chalicelib.domain.search import STATES, Criteria
from chalicelib.domain.upload import Upload

T = TypeVar("T")
Retries: TypeAlias = tuple[tuple[RetryKind, RetryRule], ...]

#: Windows of one campaign. An update replaces up to 20 profiles by 20 others in one transaction, which may have at most
#: 100 parts.
MAX_PROFILES = 20
#: attempts at one number in all, with the first
MAX_ATTEMPTS = 1 + MOST_RETRIES
#: the most items of a list in one answer
MAX_PAGE = 1000
#: Fields that have a second name in the reference, or in an answer of this API. Faults name a field by its first name.
#: A request may have both if they have the same value.
_OTHER_NAMES = {"nickname": "name", "schedule": "schedule_id", "profile": "profile_id"}
#: An upload's numbers may be called for so long at least. Ticks come once a minute.
_SHORTEST_TIME = timedelta(minutes=1)
#: how many unknown fields are listed
_MAX_UNKNOWN_LISTED = 20


@dataclass(frozen=True)
class ProfileChoice:
    """A profile as a campaign names it, and its hours."""

    #: its nickname, or its id in digits
    profile: str
    #: minutes after midnight, Eastern time, 0 to 1439
    start: int
    #: minutes after midnight, after `start`, up to 1440
    end: int
    #: An answer of this API has it beside the id; None if the request doesn't have it.
    nickname: str | None = None


@dataclass(frozen=True)
class Page:
    """The part of a list that is asked for; without a limit, all of it."""

    limit: int | None
    #: the id after which the part begins
    after: int | None


class Form:
    """The fields of one request, and the faults found in them so far."""

    def __init__(self, parameters: Parameters, prefix: str = "") -> None:
        """`prefix` precedes the fields' names in sentences, such as `profiles.0.`."""
        self._values = dict(parameters.values)
        self._prefix = prefix
        self._faults: dict[str, list[str]] = {}
        #: the fields that the handler asked for
        self._known: set[str] = set()

    def given(self, name: str) -> bool:
        """True if there is such a field, even if it is empty or null."""
        return self._written(name) in self._values

    def value(self, name: str) -> object:
        """The value as the request has it; None if it isn't given."""
        return self._values.get(self._written(name))

    def _written(self, name: str) -> str:
        """The name by which the request has the field."""
        self._known.add(name)
        if name in self._values or name not in _OTHER_NAMES:
            return name
        return _OTHER_NAMES[name]

    def fault(self, name: str, sentence: str) -> None:
        """Record a fault. Handlers record faults that only they can find, such as an unknown schedule."""
        self._faults.setdefault(self._prefix + name, []).append(sentence)

    def _fault_of_value(self, name: str, sentence: str) -> None:
        """Record a fault with the value, if it is text or a number."""
        value = self.value(name)
        shown = f" It is {in_short(value)}." if isinstance(value, str | int | float) else ""
        self.fault(name, sentence + shown)

    def check(self, *, changes: Sequence[str] = ()) -> None:
        """Raises InvalidFields with all faults. If there are `changes`, at least one of these fields must be given."""
        self._check_names()
        if changes and not self._faults and not any(self.given(name) for name in changes):
            self._faults["body"] = [f"The request must give at least one of {', '.join(changes)}."]
        if self._faults:
            raise InvalidFields(self._faults)

    def _check_names(self) -> None:
        """Record a fault for each field that would be ignored, because a client would believe that it is accepted.

        That is a field that the handler didn't ask for, and the second name of a field that has another value by its
        first name.
        """
        other_names = {name: _OTHER_NAMES[name] for name in self._known if name in _OTHER_NAMES}
        self._refuse_unknown(self._values.keys() - self._known - set(other_names.values()), sorted(self._known))
        for name, other in other_names.items():
            self._refuse_if_different(name, other)

    def _refuse_if_different(self, name: str, other: str) -> None:
        if not self._values.keys() >= {name, other}:
            return
        first, second = self._values[name], self._values[other]
        if not values.are_the_same(first, second):
            self.fault(
                name,
                f"The {self._prefix}{name} and {self._prefix}{other} fields are two names for one field, and have "
                f"different values, {in_short(first)} and {in_short(second)}: give one of them.",
            )

    def _refuse_unknown(self, unknown: Set[str], known: Iterable[str], within: str = "") -> None:
        """Record a fault for each unknown name, up to _MAX_UNKNOWN_LISTED. `within` precedes them, like a prefix."""
        for name in nsmallest(_MAX_UNKNOWN_LISTED, unknown):
            shown = within + named(name)
            sentence = f"The {self._prefix}{shown} field is unknown; known here: {', '.join(known) or 'none'}."
            self.fault(shown, sentence)
        if len(unknown) > _MAX_UNKNOWN_LISTED:
            place = (self._prefix + within).rstrip(".")
            subject = f"The {place} field" if place else "The request"
            sentence = f"{subject} has {len(unknown)} unknown fields; the first {_MAX_UNKNOWN_LISTED} are listed."
            self._faults.setdefault(place or "body", []).append(sentence)

    def unchanged(self, name: str, current: object) -> None:
        """Record a fault if a field that no request can change has another value than `current`."""
        if self.given(name) and self.value(name) not in (current, str(current)):
            self.fault(name, f"The {name} field can't be changed. It is {in_short(current)}.")

    @overload
    def integer(self, name: str, *, minimum: int = 0, maximum: int | None = None, required: Literal[True]) -> int: ...
    @overload
    def integer(
        self, name: str, *, minimum: int = 0, maximum: int | None = None, required: bool = False
    ) -> int | None: ...
    def integer(self, name: str, *, minimum: int = 0, maximum: int | None = None, required: bool = False) -> int | None:
        """1 to 11 digits, as a number or as text; both bounds are allowed."""
        return self._read(name, lambda value: values.integer(value, minimum, maximum), minimum, required=required)

    def boolean(self, name: str) -> bool:
        """true, false, 1 or 0, as such or as text; false if not given."""
        return self._read(name, values.boolean, stand_in=False, required=False) or False

    def unique(self) -> Unique:
        """Which repeats are dropped: true, false or `campaign`; false if not given."""
        return self._read("unique", values.unique, Unique.NOTHING, required=False) or Unique.NOTHING

    def nickname(self) -> str | None:
        """`nickname`, which the reference calls `name` in one place. Empty or null means none."""
        if values.is_blank(self.value("nickname")):
            return None
        return self._read("nickname", values.nickname, "", required=False)

    @overload
    def url(self, name: str, *, required: Literal[True]) -> str: ...
    @overload
    def url(self, name: str, *, required: bool = False) -> str | None: ...
    def url(self, name: str, *, required: bool = False) -> str | None:
        """An http or https URL with a host and without credentials. If it isn't required, empty means none.

        The host's address is checked when a connection is made, not here.
        """
        if not required and values.is_blank(self.value(name)):
            return None
        return self._read(name, values.url, "", required=required)

    def date_range(self, current: tuple[date, date] | None = None) -> tuple[date, date]:
        """`start_date` and `end_date`, both included. They are required, unless `current` has them."""
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
        """The `days` in the week's order, each once, even if it is given more often; at least one."""
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

        `profile` is a nickname or an id. It may be called `profile_id`, as in the answers about campaigns.
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

    def phone_numbers(self, *, required: bool = False) -> Upload:
        """The numbers in a file, an array or text. If they aren't required, the array may be empty; a file may not."""
        value = self.value("phone_numbers")
        if not required and (values.is_blank(value) or value == []):
            return Upload(())
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], FilePart):
            (value,) = value  # a browser's form may call the field `phone_numbers[]`
        if isinstance(value, FilePart):
            value = value.content
        try:
            return upload.read([] if value is None else value)
        except (UnreadableUpload, InvalidEntries) as refused:
            for name, sentences in sentences_of(refused).items():
                self._faults.setdefault(name, []).extend(sentences)
            return Upload(())

    def times(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """`not_before` and `expires` of an upload, in whole seconds; both optional. Empty or null means none.

        Rounding makes the time between them shorter, never longer.
        """
        not_before, expires = self._instant("not_before"), self._instant("expires")
        if not_before is not None:
            not_before = not_before.replace(microsecond=0) + timedelta(seconds=not_before.microsecond > 0)
        if expires is not None:
            expires = expires.replace(microsecond=0)
            if expires <= now:
                self._fault_of_value("expires", "The expires field must be a time in the future.")
            elif not_before is not None and expires < not_before + _SHORTEST_TIME:
                self._fault_of_value("expires", "The expires field must be at least a minute after not_before.")
        return not_before, expires

    def _instant(self, name: str) -> datetime | None:
        if values.is_blank(self.value(name)):
            return None
        return self._read(name, values.instant, None, required=False)

    def retries(self) -> Retries | None:
        """The `retries`, each like `"busy": {"attempts": 3, "gap": 300, "growth": 2}`. Empty or null means none."""
        if not self.given("retries"):
            return None
        if values.is_blank(self.value("retries")):
            return ()
        no_rules: dict[str, object] = {}
        rules = self._read("retries", values.json_object, no_rules, required=True)
        known = tuple(RetryKind)
        self._refuse_unknown(rules.keys() - set(known), known, within="retries.")
        return tuple((RetryKind(name), self._retry_rule(name, rule)) for name, rule in rules.items() if name in known)

    def _retry_rule(self, name: str, value: object) -> RetryRule:
        if not isinstance(value, dict):
            self.fault(f"retries.{name}", f"The retries.{name} field must be an object.")
            return RetryRule(1, 1)
        form = Form(Parameters(value), prefix=f"retries.{name}.")
        rule = RetryRule(
            attempts=form.integer("attempts", minimum=1, maximum=MAX_ATTEMPTS, required=True),
            gap=form.integer("gap", minimum=SHORTEST_RETRY_GAP, maximum=LONGEST_RETRY_GAP, required=True),
            growth=form._read("growth", values.growth, 1.0, required=False) or 1.0,
        )
        form._check_names()
        self._faults |= form._faults
        return rule

    def page(self) -> Page:
        """`limit` and `after`, both optional."""
        return Page(
            limit=self.integer("limit", minimum=1, maximum=MAX_PAGE),
            after=self.after(),
        )

    def after(self) -> int | None:
        """The id after which a list goes on."""
        return self._read("after", _call_id, 0, required=False)

    def criteria(self) -> Criteria:
        """`phone_number`, `message_reference` and `state` of a query, by which numbers are found; all optional."""
        return Criteria(
            destination=self._part_of_entry("phone_number", _destination),
            message_reference=self.message_reference(),
            states=self._states(),
        )

    def message_reference(self) -> str | None:
        """A reference as an upload has it."""
        return self._part_of_entry("message_reference", dialstring.reference_of)

    def _part_of_entry(self, name: str, read: Callable[[str], str]) -> str | None:
        """Text that is read as in an upload."""
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.fault(name, f"The {name} field must be a string.")
            return None
        try:
            return read(value)
        except InvalidEntry as fault:
            self.fault(name, sentence_of_part(name, value, dialstring.diagnosed(fault)))
        except values.Invalid as reason:
            self.fault(name, str(reason).format(name=name))
        return None

    def _states(self) -> frozenset[str]:
        """One or several, separated by commas or in an array."""
        value = self.value("state")
        if value is None:
            return frozenset()
        listed = value if isinstance(value, list) else [value]
        words = [
            one.strip() for text in listed for one in (text.split(",") if isinstance(text, str) else [in_short(text)])
        ]
        unknown = next((word for word in words if word not in STATES), None)
        if unknown is not None:
            self.fault("state", f"The selected state {quoted(unknown)} is invalid: one of {', '.join(STATES)}.")
        return frozenset(words)

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
            (self._fault_of_value if reason.shows_value else self.fault)(name, sentence)
            return stand_in

    def _array(self, name: str, *, required: bool) -> list[object] | None:
        stand_in: list[object] = []
        return self._read(name, values.array, stand_in, required=required)

    def _profile(self, name: str, item: object) -> ProfileChoice:
        item = values.from_json_text(item)
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
        form._check_names()
        self._faults |= form._faults
        return ProfileChoice(reference, start, end, nickname)


def _destination(written: str) -> str:
    """A number with its parameters in its normal form. Raises InvalidEntry or Invalid."""
    if written.lower().removeprefix("tel:").startswith(" "):
        raise values.Invalid(f"The {{name}} field {SPACE_FOR_PLUS}")
    return dialstring.joined(written).destination


def _call_id(value: object) -> int:
    """Raises Invalid."""
    return values.integer(value, 0, None, MAX_CALL_ID_DIGITS)


def no_fields(parameters: Parameters) -> None:
    """Raises InvalidFields if there are any fields."""
    Form(parameters).check()


def page_of(parameters: Parameters) -> Page:
    """The part of a list that is asked for. Raises InvalidFields, also for any other field."""
    form = Form(parameters)
    page = form.page()
    form.check()
    return page
