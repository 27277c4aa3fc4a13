"""The forms in which different clients send requests are read. What isn't understood is refused."""

import csv
import io
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.customer import Customer, campaign_fields
from tests.support.http import Reply, multipart

ADD = "/api/campaigns/add-calls"
#: each endpoint with what it needs
KNOWN: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/api/schedules", {}),
    ("POST", "/api/schedules", {"days": ["mon"]}),
    ("GET", "/api/schedules/1", {}),
    ("PATCH", "/api/schedules/1", {"days": ["sun"]}),
    ("PUT", "/api/schedules/1", {"days": ["sun"]}),
    ("DELETE", "/api/schedules/1", {}),
    ("GET", "/api/profiles", {}),
    ("POST", "/api/profiles", {"period": 1, "amount_per_period": 1, "time_between_periods": 0}),
    ("GET", "/api/profiles/1", {}),
    ("PATCH", "/api/profiles/1", {"period": 2}),
    ("DELETE", "/api/profiles/1", {}),
    ("GET", "/api/campaigns", {}),
    ("POST", "/api/campaigns", campaign_fields()),
    ("PATCH", "/api/campaigns", {}),
    ("GET", "/api/campaigns/1", {}),
    ("PATCH", "/api/campaigns/1", {"max_retries": 5}),
    ("DELETE", "/api/campaigns/1", {}),
    ("POST", "/api/campaigns/start", {"campaign_id": 1}),
    ("POST", "/api/campaigns/stop", {"campaign_id": 1}),
    ("POST", ADD, {"campaign_id": 1, "phone_numbers": ["+12223334444"]}),
    ("GET", "/api/campaigns/1/calls", {}),
    ("GET", "/api/campaigns/1/forecast", {}),
]


@pytest.fixture
def ready(customer: Customer) -> Customer:
    """A customer with a schedule `weekdays`, a profile `pace` and a campaign, each with the id 1."""
    customer.campaign(customer.schedule("weekdays"), customer.profile("pace"), phone_numbers=["+12223334444"])
    return customer


@pytest.mark.parametrize(("method", "path", "fields"), KNOWN, ids=[f"{method} {path}" for method, path, _ in KNOWN])
def test_an_unknown_field_is_refused_everywhere_and_nothing_is_done(
    ready: Customer, method: str, path: str, fields: dict[str, Any]
) -> None:
    before = ready.everything()
    for name in ("phone", "timezone", "stat", "Days"):
        replies = [ready.ask(method, f"{path}?{name}=x", json.dumps(fields).encode())]
        if method in ("POST", "PATCH", "PUT"):
            replies.append(ready.ask(method, path, json.dumps(fields | {name: "x"}).encode()))
            replies.append(ready.ask(method, f"{path}?{name}[0][a]=x", json.dumps(fields).encode()))
        for reply in replies:
            assert (reply.status, list(reply.json)) == (422, [name])
            assert reply.json[name][0].startswith(f"The {name} field is unknown; known here: ")
    assert ready.everything() == before


def ask_for(customer: Customer, **fields: object) -> Reply:
    """Send a request for a campaign that is valid except for the given fields."""
    return customer.ask("POST", "/api/campaigns", json.dumps(campaign_fields(**fields)).encode())


def test_an_unknown_member_of_a_profile_is_refused(ready: Customer) -> None:
    window = {"profile": "pace", "start_time": "08:00", "end_time": "11:00", "timezone": "America/Los_Angeles"}
    reply = ask_for(ready, profiles=[window])
    assert (reply.status, list(reply.json)) == (422, ["profiles.0.timezone"])


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("POST", "/api/schedules", {"days": ["mon"], "nickname": "a", "name": "b"}),
        ("PATCH", "/api/schedules/1", {"nickname": "a", "name": "b"}),
        ("PATCH", "/api/profiles/1", {"nickname": "a", "name": None}),
        ("POST", "/api/campaigns", campaign_fields(schedule="weekdays", schedule_id=7)),
        ("PATCH", "/api/campaigns/1", {"schedule": "weekdays", "schedule_id": 7}),
        ("PATCH", "/api/campaigns", {"schedule": "weekdays", "schedule_id": 7}),
    ],
)
def test_two_names_of_one_field_that_differ_are_refused_and_nothing_is_done(
    ready: Customer, method: str, path: str, fields: dict[str, Any]
) -> None:
    before = ready.everything()
    first, second = (name for name in ("nickname", "name", "schedule", "schedule_id") if name in fields)
    reply = ready.ask(method, path, json.dumps(fields).encode())
    assert (reply.status, list(reply.json)) == (422, [first])
    assert f"The {first} and {second} fields are two names for one field" in reply.json[first][0]
    # One of them may be in the query.
    body = {name: value for name, value in fields.items() if name != second}
    assert ready.ask(method, f"{path}?{second}={fields[second]}", json.dumps(body).encode()).status == 422
    assert ready.everything() == before


def test_thousands_of_unknown_fields_are_not_all_listed(ready: Customer) -> None:
    fields = {f"field{number}": 1 for number in range(50_000)}
    reply = ready.ask("POST", "/api/schedules", json.dumps(fields).encode())
    assert reply.status == 422
    assert len(reply.text) < 10_000


@pytest.mark.parametrize("kind", ["schedules", "profiles", "campaigns"])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_an_answer_can_be_sent_back(ready: Customer, kind: str, method: str) -> None:
    shown = ready.get(f"/api/{kind}/1").json
    before = ready.everything()
    assert ready.ask(method, f"/api/{kind}/1", json.dumps(shown).encode()).status == 200
    form = {name: value if isinstance(value, str) else json.dumps(value) for name, value in shown.items()}
    assert (
        ready.ask(method, f"/api/{kind}/1", urlencode({k: v for k, v in form.items() if v != "null"}).encode()).status
        == 200
    )
    assert ready.everything() == before


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("schedules", "schedule_id", 2),
        ("profiles", "profile_id", 2),
        ("campaigns", "campaign_id", 2),
        ("campaigns", "id", "2"),
        ("campaigns", "status", "running"),
        ("campaigns", "schedule_nickname", "other"),
        ("campaigns", "phone_numbers", ["+12223334444"]),
    ],
)
def test_a_field_that_cannot_be_changed_is_refused_if_it_differs(
    ready: Customer, kind: str, name: str, value: object
) -> None:
    shown = ready.get(f"/api/{kind}/1").json
    reply = ready.ask("PATCH", f"/api/{kind}/1", json.dumps(shown | {name: value}).encode())
    assert (reply.status, list(reply.json)) == (422, [name])
    assert f"The {name} field can't be changed" in reply.json[name][0]


def test_a_profile_that_is_sent_back_with_anothers_nickname_is_refused(ready: Customer) -> None:
    window = ready.get("/api/campaigns/1").json["profiles"][0] | {"nickname": "other"}
    reply = ready.ask("PATCH", "/api/campaigns/1", json.dumps({"profiles": [window]}).encode())
    assert (reply.status, list(reply.json)) == (422, ["profiles.0.nickname"])


PHP_DAYS = b"days%5B0%5D=mon&days%5B1%5D=wed"
PHP_PROFILES = (
    b"profiles%5B0%5D%5Bprofile%5D=pace&profiles%5B0%5D%5Bstart_time%5D=09%3A30&profiles%5B0%5D%5Bend_time%5D=11%3A00"
)


@pytest.mark.parametrize("where", ["body", "query", "multipart"])
def test_arrays_as_php_and_node_write_them_are_arrays(ready: Customer, where: str) -> None:
    def patch(path: str, encoded: bytes) -> int:
        if where == "query":
            return ready.ask("PATCH", f"{path}?{encoded.decode()}").status
        if where == "body":
            return ready.ask("PATCH", path, encoded).status
        pairs = [pair.split("=") for pair in encoded.decode().replace("%5B", "[").replace("%5D", "]").split("&")]
        return ready.ask("PATCH", path, multipart(**{name: value.replace("%3A", ":") for name, value in pairs})).status

    assert patch("/api/schedules/1", PHP_DAYS) == 200
    assert ready.get("/api/schedules/1").json["days"] == ["mon", "wed"]
    assert patch("/api/campaigns/1", PHP_PROFILES) == 200
    (window,) = ready.get("/api/campaigns/1").json["profiles"]
    assert (window["start_time"], window["end_time"]) == ("09:30", "11:00")


def test_numbers_as_php_writes_them_are_queued(ready: Customer) -> None:
    body = b"campaign_id=1&phone_numbers%5B0%5D=%2B12225550142&phone_numbers%5B1%5D=%2B12225550143"
    assert ready.ask("POST", ADD, body).headers["x-numbers-accepted"] == "2"
    objects = b"campaign_id=1&phone_numbers[0][phone_number]=2225550144&phone_numbers[0][message_reference]=2024010512"
    assert ready.ask("POST", ADD, objects).status == 200
    assert ready.queue(1)[1:] == [
        ("tel:+12225550142", ""),
        ("tel:+12225550143", ""),
        ("tel:+12225550144", "2024010512"),
    ]


PART = b'Content-Disposition: form-data; name="days"\r\n\r\n["sun"]\r\n'
MIME = b'Content-Type: multipart/form-data;%sboundary="B"\r\n'
BODIES = {
    "MIME headers first": b'Content-Type: multipart/form-data; boundary="B"\r\nMIME-Version: 1.0\r\n\r\n--B\r\n' + PART,
    "folded MIME headers": b'MIME-Version: 1.0\r\nContent-Type: multipart/form-data;\r\n boundary="B"\r\n\r\n--B\r\n'
    + PART,
    "padding after the boundary": b"--B \t\r\n" + PART,
    "a folded header": b"--B\r\n" + PART.replace(b"; name", b";\r\n\tname"),
    "more headers": b"--B\r\nContent-Type: text/plain\r\n" + PART,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("end", [b"--B--", b"--B--\r\n", b"--B-- \r\n", b"--B--\r\nan epilogue\r\n"])
def test_all_forms_of_multipart_are_read(ready: Customer, body: bytes, end: bytes) -> None:
    assert ready.ask("PATCH", "/api/schedules/1", body + end).status == 200
    assert ready.get("/api/schedules/1").json["days"] == ["sun"]


def test_a_preamble_is_ignored_if_the_header_names_the_boundary(ready: Customer) -> None:
    body = b"This is a multipart message.\r\n--B\r\n" + PART + b"--B--\r\n"
    headers = {"Content-Type": 'multipart/form-data; boundary="B"'}
    assert ready.ask("PATCH", "/api/schedules/1", body, headers).status == 200
    assert ready.get("/api/schedules/1").json["days"] == ["sun"]
    assert ready.ask("PATCH", "/api/schedules/1", body).status == 422


@pytest.mark.parametrize(
    "body",
    [
        b"MIME-Version: 1.0\r\n\r\ndays=mon",
        b"Content-Type: multipart/form-data; boundary=C\r\n\r\n--B\r\n" + PART + b"--B--",
        b"-B\r\n" + PART + b"-B--",
        b"<days>mon</days>",
        b"days",
        b"days: mon",
    ],
)
def test_a_body_of_no_known_kind_is_refused(ready: Customer, body: bytes) -> None:
    before = ready.everything()
    for method, path in (("PATCH", "/api/schedules/1"), ("POST", "/api/schedules"), ("PATCH", "/api/campaigns/1")):
        assert ready.ask(method, path, body).status == 422
    assert ready.everything() == before


def test_a_file_keeps_every_byte_of_a_padded_body(ready: Customer) -> None:
    content = b'"2225550142","a\r\n'.replace(b"\r\n", b' --B -- folded"\r\n 2225550143,b\r\n')
    body = b'--B  \r\nContent-Disposition: form-data; name="campaign_id"\r\n\r\n1\r\n--B\r\n'
    body += b'Content-Disposition: form-data; name="phone_numbers"; filename="n.csv"\r\n\r\n' + content + b"\r\n--B--"
    assert ready.ask("POST", ADD, body).status == 200
    assert ready.queue(1)[1:] == [("tel:+12225550142", "a --B -- folded"), ("tel:+12225550143", "b")]


@pytest.mark.parametrize("path", ["/api/campaigns", ADD])
def test_a_dry_run_checks_all_and_queues_nothing(ready: Customer, path: str) -> None:
    fields = campaign_fields() if path != ADD else {"campaign_id": 1}
    numbers = ["(222) 333-4444, a", "2223334444", "tel:4443332222;ani=777", *(f"555333{n:04}" for n in range(9))]
    before = ready.everything()
    reply = ready.post(path, key="k", **fields, phone_numbers=numbers, unique=True, dry_run=True)
    assert (reply.status, reply.headers.get("x-numbers-accepted")) == (200, None)
    response = reply.json["response"]
    assert (response["dry_run"], response["queued"], response["dropped"]) == (True, 11, 1)
    assert response["first"][:2] == [
        {"phone_number": "tel:+12223334444", "message_reference": "a"},
        {"phone_number": "tel:+14443332222;ani=777", "message_reference": ""},
    ]
    assert len(response["first"]) == 5
    assert ready.post(path, **fields, phone_numbers=["2223334444", "112"], dry_run="true").status == 422
    assert ready.everything() == before
    # Nothing was done, so the key is still unused.
    assert ready.post(path, key="k", **fields, phone_numbers=numbers).headers["x-numbers-accepted"] == "12"


def test_a_dry_run_on_a_missing_campaign_is_not_found(ready: Customer) -> None:
    assert ready.post(ADD, campaign_id=2, phone_numbers=["2223334444"], dry_run=True).status == 404


def test_nicknames_that_differ_only_in_their_unicode_form_are_the_same(ready: Customer) -> None:
    assert ready.post("/api/schedules", days=["mon"], nickname="caf\N{LATIN SMALL LETTER E WITH ACUTE}").status == 200
    assert ready.post("/api/schedules", days=["mon"], nickname="cafe\N{COMBINING ACUTE ACCENT}").json == {
        "nickname": ["The nickname has already been taken."]
    }
    reply = ready.patch("/api/campaigns/1", schedule="cafe\N{COMBINING ACUTE ACCENT}")
    assert reply.status == 200
    assert ready.get("/api/campaigns/1").json["schedule_id"] == 2


@pytest.mark.parametrize(("day", "is_accepted"), [("2000-01-01", True), ("2200-12-31", True), ("1999-12-31", False)])
def test_dates_are_from_2000_to_2200(ready: Customer, day: str, *, is_accepted: bool) -> None:
    fields = {"start_date": min(day, "2026-01-05"), "end_date": max(day, "2026-01-05")}
    assert (ask_for(ready, **fields).status == 200) == is_accepted
    assert ask_for(ready, end_date="9999-12-31").status == 422
    if is_accepted:
        assert ready.get("/api/campaigns/2/forecast").status == 200


class TestLists:
    def test_a_list_links_to_its_next_page(self, customer: Customer) -> None:
        for _ in range(5):
            customer.any_campaign()
        for kind, name in (("schedules", "schedule_id"), ("profiles", "profile_id"), ("campaigns", "campaign_id")):
            found, query = [], "?limit=2"
            while query:
                reply = customer.get(f"/api/{kind}{query}")
                found.append([thing[name] for thing in reply.json])
                query = reply.headers.get("link", "").partition(">")[0].lstrip("<")
            assert found == [[1, 2], [3, 4], [5]]
            assert "link" not in customer.get(f"/api/{kind}").headers
            assert "link" not in customer.get(f"/api/{kind}?limit=5").headers

    def test_a_page_ends_before_the_answer_is_too_large(
        self, customer: Customer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("chalicelib.api.paging.MAX_ANSWER_BYTES", 1_000)
        for _ in range(3):
            customer.any_campaign()
        reply = customer.get("/api/campaigns")
        assert [one["campaign_id"] for one in reply.json] == [1]
        assert reply.headers["link"] == '<?after=1>; rel="next"'
        assert [one["campaign_id"] for one in customer.get("/api/campaigns?after=1").json] == [2]


class TestCallsAsAFile:
    REFERENCES = (
        "=1+2",
        "+12 months",
        "-5",
        "@home",
        "plain",
        "2024010512",
        "a, b",
        'say "hi"',
        "'=1",
        "''+1",
        "'a",
        "ani=5",
        "x 12",
    )

    def listed(self, customer: Customer, query: str = "", **headers: str) -> str:
        return customer.get(f"/api/campaigns/1/calls?format=csv{query}", **headers).text

    @pytest.fixture
    def customer(self, customer: Customer) -> Customer:
        entries = [
            {"phone_number": f"222333{index:04}", "ani": "777", "message_reference": reference}
            for index, reference in enumerate(self.REFERENCES)
        ]
        customer.any_campaign(phone_numbers=entries)
        return customer

    def test_no_cell_is_a_formula(self, customer: Customer) -> None:
        rows = list(csv.DictReader(io.StringIO(self.listed(customer))))
        assert [row["message_reference"] for row in rows[:5]] == ["'=1+2", "'+12 months", "'-5", "'@home", "plain"]
        assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())

    def test_the_file_can_be_uploaded_again(self, customer: Customer) -> None:
        for query in ("", "&bom=true"):
            queue, text = customer.queue(1), self.listed(customer, query)
            reply = customer.ask("POST", ADD, multipart(campaign_id="1", phone_numbers=text.encode()))
            assert (reply.status, reply.headers.get("x-numbers-accepted")) == (200, str(len(queue)))
            assert customer.queue(1)[len(queue) :] == queue

    def test_the_file_begins_with_a_byte_order_mark_on_request(self, customer: Customer) -> None:
        assert self.listed(customer, "&bom=true").startswith("\ufeffcall_id")
        assert self.listed(customer).startswith("call_id")

    @pytest.mark.parametrize("accept", ["text/csv", "text/csv, */*", "TEXT/CSV;q=0.9,text/plain"])
    def test_the_first_media_type_that_is_accepted_decides(self, customer: Customer, accept: str) -> None:
        assert customer.get("/api/campaigns/1/calls", Accept=accept).text.startswith("call_id")

    def test_a_spreadsheet_program_gets_a_byte_order_mark(self, customer: Customer) -> None:
        accepted = customer.get("/api/campaigns/1/calls", Accept="application/vnd.ms-excel")
        assert accepted.headers["content-type"] == "text/csv; charset=utf-8"
        assert accepted.text.startswith("\ufeffcall_id")


def test_the_answer_to_an_invalid_start_url_has_the_url(ready: Customer) -> None:
    reply = ask_for(ready, start_url="example.com/start")
    assert reply.json == {
        "start_url": ['The start_url field must be a valid http or https URL. It is "example.com/start".']
    }
