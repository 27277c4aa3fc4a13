"""A request's parameters as typed values, and all of their faults at once (reference)."""

import json
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.api.request import FilePart, Parameters
from chalicelib.api.validation import Form, Page, ProfileChoice
from chalicelib.api.wording import InvalidFields, in_short
from chalicelib.domain.models import Day, Entry
from chalicelib.domain.repeats import Unique
from chalicelib.domain.upload import Upload

WINDOW = {"profile": "MorningPace", "start_time": "08:00", "end_time": "11:00"}


def form_of(**values: object) -> Form:
    return Form(Parameters(values))


def faults(form: Form) -> dict[str, list[str]]:
    with pytest.raises(InvalidFields) as caught:
        form.check()
    return caught.value.faults


def fault(read: Callable[[Form], object], **values: object) -> dict[str, list[str]]:
    """The faults, without the value that each sentence must end with if it is text or a number."""
    form = form_of(**values)
    read(form)
    found = faults(form)
    for name, sentences in found.items():
        value = values.get(name, values.get({"nickname": "name", "schedule": "schedule_id"}.get(name, "")))
        has_value = "required" not in sentences[0] and "credentials" not in sentences[0]
        if isinstance(value, str | int | float) and has_value:
            assert sentences[0].endswith(f" It is {in_short(value)}.")
            found[name] = [sentences[0].removesuffix(f" It is {in_short(value)}.")]
    return found


def test_a_sentence_shortens_the_value_escapes_invisible_characters_and_has_no_password() -> None:
    form = form_of(start_url="\u202ehttp:" + "x" * 2000, result_url="http://me:secret@example.com/")
    form.url("start_url")
    form.url("result_url")
    assert faults(form) == {
        "start_url": [
            "The start_url field must not be greater than 2000 characters. "
            'It is "\\u202ehttp:' + "x" * 34 + '\N{HORIZONTAL ELLIPSIS}".'
        ],
        "result_url": ["The result_url field must not contain credentials."],
    }


def test_all_faults_are_in_one_answer() -> None:
    form = form_of(amount_per_period="many", nickname="n" * 65)
    form.integer("period", minimum=1, required=True)
    form.integer("amount_per_period", minimum=1, required=True)
    form.nickname()
    form.fault("schedule", "The selected schedule is invalid.")
    assert faults(form) == {
        "period": ["The period field is required."],
        "amount_per_period": ['The amount_per_period field must be an integer. It is "many".'],
        "nickname": [f'The nickname field must not be greater than 64 characters. It is "{"n" * 40}\u2026".'],
        "schedule": ["The selected schedule is invalid."],
    }


def test_a_form_without_faults_passes() -> None:
    form = form_of(period="30")
    assert form.integer("period", minimum=1, required=True) == 30
    form.check()


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_required_field_must_have_a_value(blank: object) -> None:
    assert fault(lambda form: form.integer("period", required=True), period=blank) == {
        "period": ["The period field is required."]
    }


def test_a_field_that_is_not_given_or_null_is_none_where_it_is_not_required() -> None:
    form = form_of(period=None)
    assert (form.integer("period"), form.integer("retry_interval"), form.days(), form.profiles()) == (None,) * 4
    assert (form.schedule(), form.url("result_url"), form.phone_numbers()) == (None, None, Upload(()))
    form.check()


def test_an_empty_field_is_given_and_a_missing_one_is_not() -> None:
    form = form_of(nickname="", result_url=None, name="x", schedule_id="6")
    assert [form.given(name) for name in ("nickname", "result_url", "start_url", "schedule")] == [
        True,
        True,
        False,
        True,
    ]


def test_an_update_that_empties_a_required_field_is_refused() -> None:
    form = form_of(days="", period=None)
    form.days(required=form.given("days"))
    form.integer("period", required=form.given("period"))
    form.integer("amount_per_period", required=form.given("amount_per_period"))
    assert faults(form) == {"days": ["The days field is required."], "period": ["The period field is required."]}


@pytest.mark.parametrize(
    ("value", "number"),
    [("30", 30), (30, 30), (" 30 ", 30), ("0", 0), ("007", 7), ("99999999999", 99999999999), (30.0, 30), ("30.00", 30)],
)
def test_an_integer_is_1_to_11_digits_as_a_number_or_as_text(value: object, number: int) -> None:
    form = form_of(period=value)
    assert form.integer("period", required=True) == number
    form.check()


@pytest.mark.parametrize(
    "value",
    [
        "thirty",
        "30.5",
        "3e1",
        "+3",
        "--3",
        "1_000",
        "\u0663\u0660",
        30.5,
        True,
        [30],
        "30.",
        ".0",
        "30.0.0",
        float("nan"),
        float("inf"),
        {"a": 1},
        FilePart("", b"3"),
    ],
)
def test_what_is_no_whole_number_is_no_integer(value: object) -> None:
    assert fault(lambda form: form.integer("period"), period=value) == {
        "period": ["The period field must be an integer."]
    }


@pytest.mark.parametrize("value", ["100000000000", "000000000001", 10**11, "9" * 5000, -(10**11), "-" + "1" * 12])
def test_an_integer_of_more_than_11_digits_is_refused(value: object) -> None:
    assert fault(lambda form: form.integer("period"), period=value) == {
        "period": ["The period field must not have more than 11 digits."]
    }


def test_an_integer_has_its_bounds() -> None:
    form = form_of(period="0", time_between_periods="-1", max_retries=11, retry_interval="60")
    form.integer("period", minimum=1)
    form.integer("time_between_periods")
    form.integer("max_retries", maximum=10)
    assert form.integer("retry_interval", minimum=60, maximum=60) == 60
    assert faults(form) == {
        "period": ['The period field must be at least 1. It is "0".'],
        "time_between_periods": ['The time_between_periods field must be at least 0. It is "-1".'],
        "max_retries": ['The max_retries field must not be greater than 10. It is "11".'],
    }


@given(st.integers())
def test_an_integer_means_the_same_as_a_number_and_as_text(number: int) -> None:
    as_number, as_text = form_of(period=number), form_of(period=str(number))
    assert as_number.integer("period", minimum=1) == as_text.integer("period", minimum=1)
    outcomes = []
    for form in (as_number, as_text):
        try:
            form.check()
        except InvalidFields as refused:
            outcomes.append(refused.faults)
        else:
            outcomes.append({})
    assert outcomes[0] == outcomes[1]
    assert bool(outcomes[0]) == (not 1 <= number < 10**11)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [(True, True), (False, False), (1, True), (0, False), ("true", True), ("False", False), ("1", True), ("0", False)],
)
def test_a_boolean_is_true_false_1_or_0(value: object, *, meaning: bool) -> None:
    form = form_of(dry_run=value)
    assert form.boolean("dry_run") is meaning
    form.check()


def test_a_boolean_that_is_not_given_is_false() -> None:
    assert form_of().boolean("dry_run") is False


@pytest.mark.parametrize("value", ["yes", "", 2, 1.0, [], [True]])
def test_anything_else_is_no_boolean(value: object) -> None:
    assert fault(lambda form: form.boolean("dry_run"), dry_run=value) == {
        "dry_run": ["The dry_run field must be true or false."]
    }


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        *((value, Unique.UPLOAD) for value in (True, 1, "true", "1")),
        *((value, Unique.NOTHING) for value in (False, 0, "False", "0", None)),
        *((value, Unique.CAMPAIGN) for value in ("campaign", " Campaign ")),
    ],
)
def test_unique_is_a_boolean_or_campaign(value: object, meaning: Unique) -> None:
    form = form_of(unique=value)
    assert form.unique() is meaning
    form.check()


def test_repeats_are_kept_if_unique_is_not_given() -> None:
    assert form_of().unique() is Unique.NOTHING


@pytest.mark.parametrize("value", ["yes", "", "campaigns", "upload", "nothing", 2, [], ["campaign"]])
def test_any_other_unique_is_refused_with_the_known_ones(value: object) -> None:
    assert fault(Form.unique, unique=value) == {"unique": ["The unique field must be true, false or campaign."]}


@pytest.mark.parametrize(
    ("values", "nickname"),
    [
        ({"nickname": "3wkdays"}, "3wkdays"),
        ({"name": "3wkdays"}, "3wkdays"),
        ({"nickname": "3wkdays", "name": "3wkdays"}, "3wkdays"),
        ({"nickname": "3wkdays", "name": " 3wkdays "}, "3wkdays"),
        ({"nickname": "\u00e9", "name": "e\u0301"}, "\u00e9"),
        ({"nickname": None, "name": None}, None),
        ({"nickname": " 3wkdays "}, "3wkdays"),
        ({"nickname": "é" * 64}, "é" * 64),
        ({"nickname": ""}, None),
        ({"nickname": None}, None),
        ({}, None),
    ],
)
def test_a_nickname_is_optional_and_has_two_names(values: dict[str, object], nickname: str | None) -> None:
    form = Form(Parameters(values))
    assert form.nickname() == nickname
    form.check()


READERS: dict[tuple[str, str], Callable[[Form], object]] = {
    ("nickname", "name"): Form.nickname,
    ("schedule", "schedule_id"): Form.schedule,
}


@pytest.mark.parametrize("names", READERS)
@pytest.mark.parametrize(
    ("first", "second"),
    [("7", "8"), ("daily", 8), (8, "daily"), ("a", "A"), ("a", None), (None, "a"), ("", "a"), (["a"], "a")],
)
def test_two_names_of_one_field_with_different_values_are_refused(
    names: tuple[str, str], first: object, second: object
) -> None:
    form = form_of(**dict(zip(names, (first, second), strict=True)))
    READERS[names](form)
    (sentence, *_) = reversed(faults(form)[names[0]])
    assert sentence == (
        f"The {names[0]} and {names[1]} fields are two names for one field, and have different values, "
        f"{in_short(first)} and {in_short(second)}: give one of them."
    )


@pytest.mark.parametrize("value", [7, "7", 7.0, "daily"])
def test_two_names_of_one_field_may_have_the_same_value(value: object) -> None:
    for second in (value, str(value), f" {value} "):
        form = form_of(schedule=value, schedule_id=second)
        assert form.schedule() in ("7", "daily")
        form.check()
        assert form_of(profiles=[WINDOW | {"profile": value, "profile_id": second}]).profiles() is not None


def test_two_names_within_a_profile_are_refused_by_its_index() -> None:
    form = form_of(profiles=[WINDOW, WINDOW | {"profile_id": 17}, WINDOW | {"nickname": "a", "name": "b"}])
    form.profiles()
    found = faults(form)
    assert list(found) == ["profiles.1.profile", "profiles.2.nickname"]
    assert found["profiles.1.profile"][0].startswith("The profiles.1.profile and profiles.1.profile_id fields are two ")


@given(first=st.integers() | st.text() | st.none(), second=st.integers() | st.text() | st.none())
@example("true", "1")
@example("1", "1.0")
@example("", None)
def test_of_two_names_no_value_is_ever_ignored(first: object, second: object) -> None:
    outcomes = []
    for values in ({"nickname": first, "name": second}, {"nickname": second, "name": first}):
        form = form_of(**values)
        nickname = form.nickname()
        try:
            form.check()
        except InvalidFields:
            outcomes.append("refused")
        else:
            outcomes.append(str(nickname))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("n" * 65, "The nickname field must not be greater than 64 characters."),
        (3, "The nickname field must be a string."),
        (["a", "b"], "The nickname field must be a string."),
        ("a\nb", "The nickname field must not contain control characters."),
        ("\x00a", "The nickname field must not contain control characters."),
        ("a\ud800", "The nickname field must not contain control characters."),
    ],
)
def test_a_nickname_is_at_most_64_printable_characters(value: object, sentence: str) -> None:
    assert fault(Form.nickname, name=value) == {"nickname": [sentence]}


@pytest.mark.parametrize(
    "url",
    [
        "http://charles.plumgroup.com/~schan/src/charles/vxml/start.php",
        "HTTPS://example.com:8443/a?b=c&d=%20#e",
        "http://127.0.0.1:9000",
        "http://[2001:db8::1]/",
        "http://my_host.example./",
    ],
)
def test_an_http_or_https_url_with_a_host_is_valid(url: str) -> None:
    form = form_of(start_url=f" {url} ")
    assert form.url("start_url", required=True) == url
    form.check()


@pytest.mark.parametrize(
    "url",
    [
        "example.com/start",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://",
        "http:///start",
        "http://:80/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:port/",
        "http://a b/",
        "http://example.com/a b",
        "http://exam\\ple.com/",
        "http://example.com\\@other.com/",
        "http://ex\u00e4mple.com/",
        "http://127\u30020.0.1/",
        "http://a..b/",
        f"http://{'a' * 64}.com/",
        "http://%6cocalhost/",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        "http://[v1.x]/",
        'http://example.com/"',
    ],
)
def test_what_is_no_http_url_with_a_plain_host_is_refused(url: str) -> None:
    assert fault(lambda form: form.url("start_url", required=True), start_url=url) == {
        "start_url": ["The start_url field must be a valid http or https URL."]
    }


@pytest.mark.parametrize("userinfo", ["user:secret@", "user@", "@", ":@"])
def test_a_url_with_credentials_is_refused(userinfo: str) -> None:
    assert fault(lambda form: form.url("result_url"), result_url=f"http://{userinfo}example.com/") == {
        "result_url": ["The result_url field must not contain credentials."]
    }


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("http://example.com/" + "a" * 1982, "The start_url field must not be greater than 2000 characters."),
        (7, "The start_url field must be a string."),
        ("http://example.com/\nX: y", "The start_url field must not contain control characters."),
        ("", "The start_url field is required."),
    ],
)
def test_a_url_is_at_most_2000_printable_characters(value: object, sentence: str) -> None:
    assert fault(lambda form: form.url("start_url", required=True), start_url=value) == {"start_url": [sentence]}


def test_an_optional_url_may_be_empty() -> None:
    form = form_of(result_url=" ")
    assert form.url("result_url") is None
    form.check()


@given(st.text() | st.text(alphabet="http:/[]@.%?#a1-\\").map("http://{}".format))
def test_any_url_is_valid_or_refused(text: str) -> None:
    form = form_of(start_url=text)
    url = form.url("start_url", required=True)
    try:
        form.check()
    except InvalidFields:
        return
    assert url == text.strip()
    assert url.isascii()


def test_dates_are_days_of_the_calendar_and_both_ends_are_included() -> None:
    form = form_of(start_date="2024-02-29", end_date=" 2024-02-29 ")
    assert form.date_range() == (date(2024, 2, 29), date(2024, 2, 29))
    form.check()


@pytest.mark.parametrize(
    "value",
    ["2023-02-29", "2022-1-1", "01/01/2022", "20220101", "2022-01-01T00:00", "2022-W01-1", "0000-01-01", 20220101],
)
def test_what_is_no_day_of_the_calendar_is_refused(value: object) -> None:
    assert fault(Form.date_range, start_date=value, end_date="2030-01-01") == {
        "start_date": ["The start_date field must be a date in the format YYYY-MM-DD."]
    }


def test_dates_are_required_together() -> None:
    assert fault(Form.date_range) == {
        "start_date": ["The start_date field is required."],
        "end_date": ["The end_date field is required."],
    }


def test_an_end_before_the_start_is_refused() -> None:
    assert fault(Form.date_range, start_date="2022-01-02", end_date="2022-01-01") == {
        "end_date": ["The end_date field must be a date after or equal to start_date."]
    }


def test_an_update_of_one_date_is_compared_with_the_other() -> None:
    current = (date(2022, 1, 1), date(2022, 1, 31))
    form = form_of(end_date="2022-02-28")
    assert form.date_range(current) == (date(2022, 1, 1), date(2022, 2, 28))
    form.check()
    assert form_of().date_range(current) == current
    assert fault(lambda form: form.date_range(current), end_date="2021-12-31") == {
        "end_date": ["The end_date field must be a date after or equal to start_date."]
    }
    assert fault(lambda form: form.date_range(current), start_date="2022-02-01") == {
        "start_date": ["The start_date field must be a date before or equal to end_date."]
    }


@pytest.mark.parametrize("value", [["fri", "mon", "mon"], '["fri", "mon", "mon"]', ' ["mon","fri"] '])
def test_days_are_an_array_or_its_json_text_and_kept_once_in_the_weeks_order(value: object) -> None:
    form = form_of(days=value)
    assert form.days(required=True) == (Day.MON, Day.FRI)
    form.check()


def test_each_invalid_day_is_named() -> None:
    assert fault(Form.days, days=["mon", "monday", 3, ["tue"]]) == {
        "days.1": ['The days.1 field "monday" is invalid: one of mon, tue, wed, thu, fri, sat, sun.'],
        "days.2": ['The days.2 field "3" is invalid: one of mon, tue, wed, thu, fri, sat, sun.'],
        "days.3": ['The days.3 field "["tue"]" is invalid: one of mon, tue, wed, thu, fri, sat, sun.'],
    }


@pytest.mark.parametrize(
    "value", ["mon", "mon,tue", '"mon"', '["mon"', "[" * 100_000, {"0": "mon"}, 3, FilePart("", b"")]
)
def test_what_is_no_array_is_refused(value: object) -> None:
    assert fault(Form.days, days=value) == {"days": ["The days field must be an array."]}


@pytest.mark.parametrize("value", [[], "[]"])
def test_an_empty_array_is_like_a_missing_one(value: object) -> None:
    assert fault(Form.days, days=value) == {"days": ["The days field is required."]}


def test_a_week_has_7_days() -> None:
    assert fault(Form.days, days=["mon"] * 8) == {"days": ["The days field must not have more than 7 items."]}


def test_profiles_are_read_with_their_hours_in_minutes() -> None:
    listed = [WINDOW, {"profile": 17, "start_time": "12:30", "end_time": "24:00"}]
    expected = (ProfileChoice("MorningPace", 480, 660), ProfileChoice("17", 750, 1440))
    for value in (listed, json.dumps(listed)):
        form = form_of(profiles=value)
        assert form.profiles(required=True) == expected
        form.check()


def test_profiles_are_read_as_the_answer_about_a_campaign_has_them() -> None:
    form = form_of(profiles=[{"profile_id": 5, "nickname": "MorningPace", "start_time": "00:00", "end_time": "23:59"}])
    assert form.profiles() == (ProfileChoice("5", 0, 1439, "MorningPace"),)
    form.check()


def test_a_fault_in_a_profile_is_named_by_its_index() -> None:
    listed = [
        WINDOW,
        "MorningPace",
        {},
        WINDOW | {"start_time": "8:00", "end_time": "25:00"},
        WINDOW | {"profile": True, "end_time": "08:00"},
        WINDOW | {"start_time": "24:00", "end_time": 900},
    ]
    assert fault(Form.profiles, profiles=listed) == {
        "profiles.1": ["The profiles.1 field must be an object."],
        "profiles.2.profile": ["The profiles.2.profile field is required."],
        "profiles.2.start_time": ["The profiles.2.start_time field is required."],
        "profiles.2.end_time": ["The profiles.2.end_time field is required."],
        "profiles.3.start_time": ['The profiles.3.start_time field must be a time in the format HH:MM. It is "8:00".'],
        "profiles.3.end_time": ['The profiles.3.end_time field must be a time in the format HH:MM. It is "25:00".'],
        "profiles.4.profile": ['The selected profiles.4.profile is invalid. It is "true".'],
        "profiles.4.end_time": ['The profiles.4.end_time field must be a time after start_time. It is "08:00".'],
        "profiles.5.start_time": ['The profiles.5.start_time field must be a time in the format HH:MM. It is "24:00".'],
        "profiles.5.end_time": ['The profiles.5.end_time field must be a time in the format HH:MM. It is "900".'],
    }


def test_a_campaign_has_1_to_20_profiles() -> None:
    assert len(form_of(profiles=[WINDOW] * 20).profiles(required=True)) == 20
    assert fault(Form.profiles, profiles=[WINDOW] * 21) == {
        "profiles": ["The profiles field must not have more than 20 items."]
    }
    assert fault(Form.profiles, profiles=[]) == {"profiles": ["The profiles field is required."]}


@pytest.mark.parametrize(
    ("values", "reference"),
    [
        ({"schedule": "3wkdays"}, "3wkdays"),
        ({"schedule_id": "6"}, "6"),
        ({"schedule_id": 6}, "6"),
        ({"schedule_id": 6.0}, "6"),
        ({"schedule": "6", "schedule_id": 6}, "6"),
    ],
)
def test_a_schedule_is_named_by_nickname_or_id_under_either_name(values: dict[str, object], reference: str) -> None:
    form = Form(Parameters(values))
    assert form.schedule(required=True) == reference
    form.check()


@pytest.mark.parametrize("value", [True, 6.5, -6, 10**11, ["6"], {"id": 6}, "n" * 65, "a\ud800"])
def test_a_value_that_names_no_schedule_is_answered_like_an_unknown_schedule(value: object) -> None:
    assert fault(Form.schedule, schedule_id=value) == {"schedule": ["The selected schedule is invalid."]}


def test_a_missing_schedule_is_required() -> None:
    assert fault(lambda form: form.schedule(required=True)) == {"schedule": ["The schedule field is required."]}


@pytest.mark.parametrize("value", [FilePart("n.csv", b"phone\r\n2223334444\r\n"), ["2223334444"], '["2223334444"]'])
def test_phone_numbers_come_in_a_file_an_array_or_text(value: object) -> None:
    form = form_of(phone_numbers=value)
    assert form.phone_numbers(required=True).entries == (Entry("tel:+12223334444"),)
    form.check()


def test_faults_of_phone_numbers_are_listed_with_the_others() -> None:
    form = form_of(phone_numbers=["x"])
    form.integer("campaign_id", required=True)
    form.phone_numbers(required=True)
    assert faults(form) == {
        "campaign_id": ["The campaign_id field is required."],
        "phone_numbers": ["The phone_numbers field has 1 invalid entry."],
        "phone_numbers.0": [
            'The phone_numbers.0 entry "x" is not a valid phone number: ten digits, or + and a country code.'
        ],
    }


@pytest.mark.parametrize("value", [None, "", []])
def test_phone_numbers_may_be_left_out_only_where_they_are_not_required(value: object) -> None:
    form = form_of(phone_numbers=value)
    assert form.phone_numbers() == Upload(())
    form.check()
    form.phone_numbers(required=True)
    assert faults(form) == {"phone_numbers": ["The phone_numbers field is required."]}


def test_an_empty_file_is_refused_also_where_numbers_are_not_required() -> None:
    assert fault(lambda form: form.phone_numbers(), phone_numbers=FilePart("n.csv", b"")) == {
        "phone_numbers": ["The phone_numbers field is required."]
    }


def test_a_page_has_an_optional_limit_and_beginning() -> None:
    assert form_of().page() == Page(limit=None, after=None)
    form = form_of(limit="1000", after=str(2**53 - 1))
    assert form.page() == Page(limit=1000, after=2**53 - 1)
    form.check()


def test_a_page_has_its_bounds() -> None:
    assert fault(Form.page, limit=0, after="-1") == {
        "limit": ["The limit field must be at least 1."],
        "after": ["The after field must be at least 0."],
    }
    assert fault(Form.page, limit=1001, after="x") == {
        "limit": ["The limit field must not be greater than 1000."],
        "after": ["The after field must be an integer."],
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
names = ["period", "nickname", "days", "profiles", "schedule", "start_url", "start_date", "end_date", "phone_numbers"]


@given(
    st.dictionaries(
        st.sampled_from([*names, "unique", "limit", "after"]),
        json_values
        | st.lists(st.dictionaries(st.sampled_from(["profile", "start_time", "end_time"]), json_values), min_size=1),
    )
)
def test_any_json_is_read_or_refused_with_sentences(values: dict[str, object]) -> None:
    form = Form(Parameters(values))
    form.integer("period", required=True)
    form.nickname()
    form.days(required=True)
    form.profiles(required=True)
    form.schedule(required=True)
    form.url("start_url", required=True)
    form.date_range()
    form.unique()
    form.phone_numbers(required=True)
    form.page()
    try:
        form.check()
    except InvalidFields as refused:
        sentences = [sentence for field in refused.faults.values() for sentence in field]
    else:
        sentences = []
    assert all(sentence.startswith("The ") and sentence.endswith(".") for sentence in sentences)
