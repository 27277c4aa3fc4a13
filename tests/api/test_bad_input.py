"""The answer to an invalid request names its faults, and nothing changes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.api.request import MAX_BODY_BYTES
from chalicelib.api.routes import ENDPOINTS
from chalicelib.api.services import Services
from tests.support.customer import Customer, campaign_fields, new_customer
from tests.support.http import multipart

WITH_ID = [(method, path) for path, endpoints in ENDPOINTS.items() if "{id}" in path for method in endpoints]
WITH_BODY = [(method, path) for path, endpoints in ENDPOINTS.items() for method in endpoints if method[0] == "P"]
POSTS = [path for path, endpoints in ENDPOINTS.items() if "POST" in endpoints and "{id}" not in path]

#: percent-encoded, for a path
ODD_IDS = [
    *("abc", "-1", "0", "1.0", "1e3", "+1", "%201", "1%20", "9" * 12, "9" * 30, "9" * 5000, "1" + "0" * 11),
    *("%00", "1%00", "%F0%9F%92%A9", "%D9%A3", "%C2%B2", "%EF%BC%91", "1%2F2", "..%2F..", "null", "1;drop", "%FF"),
]


@pytest.fixture(scope="module")
def prepared(services: Services) -> Customer:
    """A customer with a schedule, a profile and a campaign, each with the id 1."""
    customer = new_customer(services)
    customer.campaign(
        customer.schedule("weekdays"), customer.profile("pace"), phone_numbers=["+12223334444", "+13334445555"]
    )
    return customer


@pytest.fixture(scope="module")
def everything_before(prepared: Customer) -> list[Any]:
    return prepared.everything()


@pytest.fixture
def unchanged(prepared: Customer, everything_before: list[Any]) -> Iterator[Customer]:
    """The same customer. A test must leave everything unchanged."""
    yield prepared
    assert prepared.everything() == everything_before


def window(**fields: object) -> dict[str, object]:
    return campaign_fields(profiles=[{"profile": "pace", "start_time": "08:00", "end_time": "11:00"} | fields])


def required(*names: str) -> dict[str, list[str]]:
    return {name: [f"The {name} field is required."] for name in names}


def only(name: str, predicate: str) -> dict[str, list[str]]:
    return {name: [f"The {name} field {predicate}"]}


INTEGER = "must be an integer."
DIGITS = "must not have more than 11 digits."
ARRAY = "must be an array."
DATE = "must be a date in the format YYYY-MM-DD."
TIME = "must be a time in the format HH:MM."
URL = "must be a valid http or https URL."
NO_DAY = "is invalid: one of mon, tue, wed, thu, fri, sat, sun."
NOT_UTF_8 = "must be a CSV or TXT file in UTF-8: save it as CSV UTF-8."
LONG_REFERENCE = (
    f'The phone_numbers.0 entry "+12223334444, {"é" * 26}\u2026" has a message_reference greater than 255 bytes.'
)
CONTROL = "must not contain control characters."
LONG = "must not be greater than 64 characters."
PACE: dict[str, object] = {"period": 1, "amount_per_period": 1, "time_between_periods": 0}
NUMBERS = "/api/campaigns/add-calls"
#: Words of the sentences that don't end with the value. All others do.
WITHOUT_VALUE = (" entry ", "one of", "required", "credentials", "invalid entr", "a file", "20 items", "an object")
OTHER_NAMES = {"nickname": "name", "schedule": "schedule_id"}

REFUSED: list[tuple[str, str, dict[str, object], dict[str, list[str]]]] = [
    ("POST", "/api/schedules", {}, required("days")),
    ("POST", "/api/schedules", {"days": None}, required("days")),
    ("POST", "/api/schedules", {"days": []}, required("days")),
    ("POST", "/api/schedules", {"days": ""}, required("days")),
    ("POST", "/api/schedules", {"days": "mon"}, only("days", ARRAY)),
    ("POST", "/api/schedules", {"days": 5}, only("days", ARRAY)),
    ("POST", "/api/schedules", {"days": {"mon": True}}, only("days", ARRAY)),
    ("POST", "/api/schedules", {"days": '["mon"'}, only("days", ARRAY)),
    ("POST", "/api/schedules", {"days": ["monday"]}, only("days.0", f'"monday" {NO_DAY}')),
    ("POST", "/api/schedules", {"days": ["mon", "MON"]}, only("days.1", f'"MON" {NO_DAY}')),
    (
        "POST",
        "/api/schedules",
        {"days": [["mon"], {}]},
        only("days.0", f'"["mon"]" {NO_DAY}') | only("days.1", f'"{{}}" {NO_DAY}'),
    ),
    ("POST", "/api/schedules", {"days": ["mon"] * 8}, only("days", "must not have more than 7 items.")),
    ("POST", "/api/schedules", {"days": ["mon"], "nickname": "n" * 65}, only("nickname", LONG)),
    ("POST", "/api/schedules", {"days": ["mon"], "nickname": 7}, only("nickname", "must be a string.")),
    ("POST", "/api/schedules", {"days": ["mon"], "nickname": ["a"]}, only("nickname", "must be a string.")),
    ("POST", "/api/schedules", {"days": ["mon"], "nickname": "a\0b"}, only("nickname", CONTROL)),
    ("POST", "/api/schedules", {"days": ["mon"], "nickname": "a\ud800"}, only("nickname", CONTROL)),
    ("POST", "/api/schedules", {"nickname": "n" * 65}, required("days") | only("nickname", LONG)),
    ("PATCH", "/api/schedules/1", {"days": []}, required("days")),
    ("PATCH", "/api/schedules/1", {"days": None}, required("days")),
    ("PATCH", "/api/schedules/1", {"name": "n" * 65}, only("nickname", LONG)),
    (
        "PUT",
        "/api/schedules/1",
        {"days": "mon", "nickname": 7},
        only("days", ARRAY) | only("nickname", "must be a string."),
    ),
    ("POST", "/api/profiles", {}, required("period", "amount_per_period", "time_between_periods")),
    ("POST", "/api/profiles", PACE | {"period": 0}, only("period", "must be at least 1.")),
    ("POST", "/api/profiles", PACE | {"period": -1}, only("period", "must be at least 1.")),
    ("POST", "/api/profiles", PACE | {"amount_per_period": "0"}, only("amount_per_period", "must be at least 1.")),
    ("POST", "/api/profiles", PACE | {"time_between_periods": -1}, only("time_between_periods", "must be at least 0.")),
    ("POST", "/api/profiles", PACE | {"period": 10**11}, only("period", DIGITS)),
    ("POST", "/api/profiles", PACE | {"period": 10**30}, only("period", DIGITS)),
    ("POST", "/api/profiles", PACE | {"period": "9" * 5000}, only("period", DIGITS)),
    ("POST", "/api/profiles", PACE | {"period": 1.5}, only("period", INTEGER)),
    ("POST", "/api/profiles", PACE | {"period": 1e300}, only("period", DIGITS)),
    ("POST", "/api/profiles", PACE | {"period": float("nan")}, only("period", INTEGER)),
    ("POST", "/api/profiles", PACE | {"period": True}, only("period", INTEGER)),
    ("POST", "/api/profiles", PACE | {"period": [1]}, only("period", INTEGER)),
    ("POST", "/api/profiles", PACE | {"period": "0x1F"}, only("period", INTEGER)),
    ("POST", "/api/profiles", PACE | {"period": "1_000"}, only("period", INTEGER)),
    ("POST", "/api/profiles", PACE | {"period": "٣"}, only("period", INTEGER)),
    ("PATCH", "/api/profiles/1", {"period": None}, required("period")),
    ("PATCH", "/api/profiles/1", {"period": ""}, required("period")),
    ("PUT", "/api/profiles/1", {"amount_per_period": "many"}, only("amount_per_period", INTEGER)),
    ("POST", "/api/campaigns", {}, required("start_date", "end_date", "schedule", "profiles", "start_url")),
    ("POST", "/api/campaigns", campaign_fields(start_date="01/05/2026"), only("start_date", DATE)),
    ("POST", "/api/campaigns", campaign_fields(start_date="2026-02-30"), only("start_date", DATE)),
    ("POST", "/api/campaigns", campaign_fields(end_date=20260109), only("end_date", DATE)),
    ("POST", "/api/campaigns", campaign_fields(end_date="0000-00-00"), only("end_date", DATE)),
    (
        "POST",
        "/api/campaigns",
        campaign_fields(end_date="2026-01-04"),
        only("end_date", "must be a date after or equal to start_date."),
    ),
    ("POST", "/api/campaigns", campaign_fields(schedule="2"), {"schedule": ["The selected schedule is invalid."]}),
    ("POST", "/api/campaigns", campaign_fields(schedule="pace"), {"schedule": ["The selected schedule is invalid."]}),
    ("POST", "/api/campaigns", campaign_fields(schedule=-1), {"schedule": ["The selected schedule is invalid."]}),
    ("POST", "/api/campaigns", campaign_fields(schedule="9" * 65), {"schedule": ["The selected schedule is invalid."]}),
    ("POST", "/api/campaigns", campaign_fields(schedule=[1]), {"schedule": ["The selected schedule is invalid."]}),
    ("POST", "/api/campaigns", campaign_fields(schedule="\0"), {"schedule": ["The selected schedule is invalid."]}),
    ("POST", "/api/campaigns", campaign_fields(profiles="pace"), only("profiles", ARRAY)),
    ("POST", "/api/campaigns", campaign_fields(profiles=[]), required("profiles")),
    ("POST", "/api/campaigns", campaign_fields(profiles=["pace"]), only("profiles.0", "must be an object.")),
    (
        "POST",
        "/api/campaigns",
        campaign_fields(profiles=[{}]),
        required("profiles.0.profile", "profiles.0.start_time", "profiles.0.end_time"),
    ),
    (
        "POST",
        "/api/campaigns",
        campaign_fields(profiles=[{}] * 21),
        only("profiles", "must not have more than 20 items."),
    ),
    (
        "POST",
        "/api/campaigns",
        window(profile="weekdays"),
        {"profiles.0.profile": ["The selected profiles.0.profile is invalid."]},
    ),
    ("POST", "/api/campaigns", window(start_time="8:00"), only("profiles.0.start_time", TIME)),
    ("POST", "/api/campaigns", window(start_time="24:00"), only("profiles.0.start_time", TIME)),
    ("POST", "/api/campaigns", window(end_time="24:01"), only("profiles.0.end_time", TIME)),
    ("POST", "/api/campaigns", window(end_time=1100), only("profiles.0.end_time", TIME)),
    (
        "POST",
        "/api/campaigns",
        window(end_time="08:00"),
        only("profiles.0.end_time", "must be a time after start_time."),
    ),
    (
        "POST",
        "/api/campaigns",
        window(start_time="22:00", end_time="06:00"),
        only("profiles.0.end_time", "must be a time after start_time."),
    ),
    ("POST", "/api/campaigns", campaign_fields(start_url=""), required("start_url")),
    ("POST", "/api/campaigns", campaign_fields(start_url="ftp://a.example/"), only("start_url", URL)),
    ("POST", "/api/campaigns", campaign_fields(start_url="javascript:alert(1)"), only("start_url", URL)),
    ("POST", "/api/campaigns", campaign_fields(start_url="http://ünïcode.example/"), only("start_url", URL)),
    (
        "POST",
        "/api/campaigns",
        campaign_fields(start_url=["http://a.example/"]),
        only("start_url", "must be a string."),
    ),
    (
        "POST",
        "/api/campaigns",
        campaign_fields(result_url="http://me:secret@a.example/"),
        only("result_url", "must not contain credentials."),
    ),
    ("POST", "/api/campaigns", campaign_fields(max_retries=11), only("max_retries", "must not be greater than 10.")),
    ("POST", "/api/campaigns", campaign_fields(retry_interval=59), only("retry_interval", "must be at least 60.")),
    ("POST", "/api/campaigns", campaign_fields(unique="maybe"), only("unique", "must be true, false or campaign.")),
    ("POST", "/api/campaigns", campaign_fields(phone_numbers=7), only("phone_numbers", "must be an array or a file.")),
    (
        "POST",
        "/api/campaigns",
        campaign_fields(phone_numbers=["+12223334444", "112"]),
        only("phone_numbers", "has 1 invalid entry.")
        | {
            "phone_numbers.1": [
                'The phone_numbers.1 entry "112" is not a valid phone number: ten digits, or + and a country code.'
            ]
        },
    ),
    ("PATCH", "/api/campaigns/1", {"end_date": "soon"}, only("end_date", DATE)),
    (
        "PATCH",
        "/api/campaigns/1",
        {"end_date": "2021-12-31"},
        only("end_date", "must be a date after or equal to start_date."),
    ),
    (
        "PATCH",
        "/api/campaigns/1",
        {"start_date": "2022-01-06"},
        only("start_date", "must be a date before or equal to end_date."),
    ),
    ("PATCH", "/api/campaigns/1", {"start_url": ""}, required("start_url")),
    ("PATCH", "/api/campaigns/1", {"schedule": None}, required("schedule")),
    ("PATCH", "/api/campaigns/1", {"schedule_id": 9}, {"schedule": ["The selected schedule is invalid."]}),
    ("PATCH", "/api/campaigns/1", {"profiles": []}, required("profiles")),
    (
        "PUT",
        "/api/campaigns/1",
        {"profiles": [{"profile": 9, "start_time": "1", "end_time": "11:00"}], "max_retries": "x"},
        only("profiles.0.start_time", TIME)
        | only("max_retries", INTEGER)
        | {"profiles.0.profile": ["The selected profiles.0.profile is invalid."]},
    ),
    ("POST", "/api/campaigns/start", {}, required("campaign_id")),
    ("POST", "/api/campaigns/start", {"campaign_id": "abc"}, only("campaign_id", INTEGER)),
    ("POST", "/api/campaigns/start", {"campaign_id": 0}, only("campaign_id", "must be at least 1.")),
    ("POST", "/api/campaigns/stop", {"campaign_id": "9" * 30}, only("campaign_id", DIGITS)),
    ("POST", "/api/campaigns/stop", {"campaign_id": [1]}, only("campaign_id", INTEGER)),
    ("POST", NUMBERS, {}, required("campaign_id", "phone_numbers")),
    ("POST", NUMBERS, {"campaign_id": 1, "phone_numbers": []}, required("phone_numbers")),
    ("POST", NUMBERS, {"campaign_id": 1, "phone_numbers": ""}, required("phone_numbers")),
    ("POST", NUMBERS, {"campaign_id": 1, "phone_numbers": {}}, only("phone_numbers", "must be an array or a file.")),
    (
        "POST",
        NUMBERS,
        {"campaign_id": 1, "phone_numbers": ["+12223334444", None]},
        only("phone_numbers", "has 1 invalid entry.")
        | {"phone_numbers.1": ['The phone_numbers.1 entry "null" must be a string.']},
    ),
    (
        "POST",
        NUMBERS,
        {"campaign_id": 1, "phone_numbers": ["+12223334444, " + "é" * 128]},
        only("phone_numbers", "has 1 invalid entry.") | {"phone_numbers.0": [LONG_REFERENCE]},
    ),
]


@pytest.mark.parametrize(("method", "target", "fields", "faults"), REFUSED)
def test_a_fault_is_named_by_its_field(
    unchanged: Customer, method: str, target: str, fields: dict[str, object], faults: dict[str, list[str]]
) -> None:
    reply = unchanged.ask(method, target, json.dumps(fields).encode())
    assert (reply.status, reply.json) == (422, with_values(faults, fields))


def with_values(faults: dict[str, list[str]], fields: dict[str, object]) -> dict[str, list[str]]:
    """The same faults, each sentence followed by the value that it is about, if the answer has it."""
    return {name: [sentence + shown_value(name, sentence, fields)] for name, (sentence,) in faults.items()}


def shown_value(name: str, sentence: str, fields: dict[str, object]) -> str:
    if any(words in sentence for words in WITHOUT_VALUE):
        return ""
    value: Any = fields
    for key in name.split("."):
        value = value[int(key)] if key.isdecimal() else value.get(key, value.get(OTHER_NAMES.get(key, "")))
    if not isinstance(value, str | int | float):
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    shown = text[:40] + "\u2026" if len(text) > 40 else text
    return ' It is "' + "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in shown) + '".'


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=-1", "limit=abc", "limit=", "limit=%00", "limit=1&limit=2"]
)
@pytest.mark.parametrize("path", ["/api/schedules", "/api/profiles", "/api/campaigns", "/api/campaigns/1/calls"])
def test_a_limit_is_1_to_1000(unchanged: Customer, path: str, query: str) -> None:
    reply = unchanged.get(f"{path}?{query}")
    assert (reply.status, list(reply.json)) == (422, ["limit"])


@pytest.mark.parametrize("after", ["-1", "abc", "9" * 17, "1.5", "%00", "%D9%A3"])
@pytest.mark.parametrize("path", ["/api/schedules", "/api/profiles", "/api/campaigns", "/api/campaigns/1/calls"])
def test_a_list_continues_only_after_an_id(unchanged: Customer, path: str, after: str) -> None:
    reply = unchanged.get(f"{path}?after={after}")
    assert (reply.status, list(reply.json)) == (422, ["after"])


@pytest.mark.parametrize("identifier", ODD_IDS)
def test_a_text_that_is_no_id_is_not_found(unchanged: Customer, identifier: str) -> None:
    for method, path in WITH_ID:
        reply = unchanged.ask(method, path.replace("{id}", identifier))
        assert (reply.status, reply.json["status"]) == (404, "error"), (method, path)


@pytest.mark.parametrize(("method", "path"), WITH_ID)
def test_an_unknown_id_is_not_found(unchanged: Customer, method: str, path: str) -> None:
    kind = path.split("/")[2].removesuffix("s").capitalize()
    reply = unchanged.ask(method, path.replace("{id}", "2"))
    assert (reply.status, reply.json) == (404, {"status": "error", "error": f"{kind} 2 does not exist."})


@pytest.mark.parametrize("action", ["start", "stop", "add-calls"])
def test_an_unknown_campaign_is_not_found(unchanged: Customer, action: str) -> None:
    numbers: dict[str, Any] = {"phone_numbers": ["+12223334444"]} if action == "add-calls" else {}
    reply = unchanged.post(f"/api/campaigns/{action}", campaign_id=2, **numbers)
    assert (reply.status, reply.json) == (404, {"status": "error", "error": "Campaign 2 does not exist."})


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"days": ["mon"', "The body is not valid JSON: "),
        (b"{'days': ['mon']}", "The body is not valid JSON: "),
        (b'{"days":' * 100_000, "The body is not valid JSON: nested too deeply or too long."),
        (b'["mon"]', "The body must be a JSON object."),
        (b"null", "The body must be a JSON object."),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "The body is not valid UTF-8."),
        (b'{"nickname": "\xff"}', "The body is not valid UTF-8."),
        (b"nickname=%FF", "The body is not valid UTF-8."),
        (b"\x00", "The body is not valid JSON: "),
        (b"--B\r\nContent-Disposition: form-data", "The body is not valid multipart"),
        (b"--B\r\n\r\nnameless\r\n--B--", "The body is not valid multipart"),
        (b"&".join([b"a=1"] * 1001), "The body must not have more than 1000 fields."),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_everywhere(unchanged: Customer, body: bytes, sentence: str) -> None:
    for method, path in WITH_BODY:
        reply = unchanged.ask(method, path.replace("{id}", "1"), body)
        assert (reply.status, list(reply.json)) == (422, ["body"]), (method, path)
        assert reply.json["body"][0].startswith(sentence)


@pytest.mark.parametrize("path", POSTS)
def test_the_answer_to_an_empty_post_names_all_required_fields(unchanged: Customer, path: str) -> None:
    replies = [unchanged.ask("POST", path, body) for body in (b"", b"{}", b"\r\n", multipart())]
    assert [reply.status for reply in replies] == [422] * 4
    asked_for = (" field is required.", "must have one of call_ids, phone_numbers, message_reference.")
    assert all(sentence.endswith(asked_for) for reply in replies for (sentence,) in reply.json.values())


@pytest.mark.parametrize("kind", ["schedules", "profiles", "campaigns"])
def test_an_empty_update_is_refused(unchanged: Customer, kind: str) -> None:
    for method in ("PATCH", "PUT"):
        for body in (b"", b"{}", multipart()):
            reply = unchanged.ask(method, f"/api/{kind}/1", body)
            assert (reply.status, list(reply.json)) == (422, ["body"])
            assert reply.json["body"][0].startswith("The request must give at least one of ")


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 10_000_000])
def test_a_body_over_the_limit_is_refused_and_the_answer_names_the_limit(
    unchanged: Customer, method: str, path: str, size: int
) -> None:
    body = b'{"days": "' + b"x" * (size - 12) + b'"}'
    reply = unchanged.ask(method, path.replace("{id}", "1"), body)
    assert (reply.status, reply.json) == (
        413,
        {"status": "error", "error": "The request body is larger than the limit of 4500000 bytes."},
    )


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        (b"", required("phone_numbers")),
        (b"\r\n\r\n", required("phone_numbers")),
        (b"destination\r\n", required("phone_numbers")),
        (bytes(range(256)) * 40, only("phone_numbers", NOT_UTF_8)),
        (b"PK\x03\x04\x14\x00\x06\x00", only("phone_numbers", NOT_UTF_8)),
        ("+12223334444".encode("utf-16"), only("phone_numbers", NOT_UTF_8)),
    ],
)
def test_a_file_that_is_no_list_of_numbers_is_refused(
    unchanged: Customer, content: bytes, faults: dict[str, list[str]]
) -> None:
    fields: dict[str, Any] = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in campaign_fields().items()
    }
    added = unchanged.ask("POST", NUMBERS, multipart(campaign_id="1", phone_numbers=content))
    made = unchanged.ask("POST", "/api/campaigns", multipart(**fields, phone_numbers=content))
    assert [(reply.status, reply.json) for reply in (added, made)] == [(422, faults)] * 2


def test_a_refused_request_uses_no_id(customer: Customer) -> None:
    schedule, profile = customer.schedule("taken"), customer.profile("taken")
    for path in ("/api/schedules", "/api/profiles", "/api/campaigns"):
        assert customer.post(path, nickname="n" * 65).status == 422
    assert [customer.schedule(), customer.profile(), customer.campaign(schedule, profile)] == [2, 2, 1]
