"""An account reads and changes only its own things. A request without a token reads and changes nothing."""

import json
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.api.routes import ENDPOINTS
from chalicelib.storage.accounts import Kind
from tests.support.customer import START_URL, Customer
from tests.support.http import Client

ALL = [(method, path) for path, endpoints in ENDPOINTS.items() for method in endpoints]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer {token}x",
        "Basic {token}",
        "{token}",
        "Bearer \xfc\0",
        "é",
    ],
)
def test_a_request_without_a_valid_token_is_refused(customer: Customer, authorization: str | None) -> None:
    body = b'{"days": ["mon"], "period": 1, "amount_per_period": 1, "time_between_periods": 1}'
    headers = {} if authorization is None else {"Authorization": authorization.format(token=customer.account)}
    without_token = Client(customer.app, token=None)
    for method, path in ALL:
        reply = without_token.ask(method, path.replace("{id}", "1"), body, headers)
        assert (reply.status, reply.json) == (401, {"status": "error", "error": "Unauthenticated."}), (method, path)
        assert reply.headers["www-authenticate"] == "Bearer"
    assert customer.everything() == [[], [], []]


def test_the_authorization_headers_name_and_scheme_may_have_any_case(customer: Customer) -> None:
    customer.schedule("weekdays")
    for name, scheme in (("authorization", "bearer"), ("AUTHORIZATION", "BEARER")):
        reply = customer.ask("GET", "/api/schedules/1", headers={name: f"{scheme} {customer.account}"})
        assert reply.json["nickname"] == "weekdays"


@pytest.fixture
def owner(customer: Customer) -> Customer:
    """A customer whose schedule, profile and campaign have the id 7. The other customer has nothing with this id."""
    for kind in Kind:
        customer.set_next_id(kind, 7)
    customer.campaign(customer.schedule("weekdays"), customer.profile("pace"), phone_numbers=["+12223334444"])
    return customer


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path in ALL if "{id}" in path])
def test_another_accounts_id_is_not_found(owner: Customer, other_customer: Customer, method: str, path: str) -> None:
    before = owner.everything()
    fields = {
        "schedules": {"days": ["sun"]},
        "profiles": {"period": 9},
        "campaigns": {"start_url": "http://a.example/"},
        "calls": {"status": "completed"},
    }
    body = json.dumps(fields[path.split("/")[2]]).encode()
    of_another = other_customer.ask(method, path.replace("{id}", "7"), body)
    missing = other_customer.ask(method, path.replace("{id}", "8"), body)
    assert of_another.status == missing.status == 404
    assert of_another.text == missing.text.replace("8", "7")
    assert owner.everything() == before


@pytest.mark.parametrize("action", ["start", "stop", "add-calls"])
def test_an_action_on_another_accounts_campaign_is_not_found(
    owner: Customer, other_customer: Customer, action: str
) -> None:
    before = owner.everything()
    numbers: dict[str, Any] = {"phone_numbers": ["+19998887777"]} if action == "add-calls" else {}
    reply = other_customer.post(f"/api/campaigns/{action}", campaign_id=7, **numbers)
    assert (reply.status, reply.json["error"]) == (404, "Campaign 7 does not exist.")
    assert owner.everything() == before


def test_a_campaign_cannot_use_another_accounts_schedule_and_profile(owner: Customer, other_customer: Customer) -> None:
    before = owner.everything()
    for schedule, profile in ((7, 7), ("weekdays", "pace")):
        reply = other_customer.post(
            "/api/campaigns",
            start_date="2026-01-05",
            end_date="2026-01-09",
            schedule=schedule,
            profiles=[{"profile": profile, "start_time": "08:00", "end_time": "11:00"}],
            start_url=START_URL,
        )
        assert (reply.status, sorted(reply.json)) == (422, ["profiles.0.profile", "schedule"])
    assert owner.everything() == before


def test_lists_show_only_what_belongs_to_the_account(owner: Customer, other_customer: Customer) -> None:
    assert len(owner.get("/api/campaigns").json) == 1
    assert other_customer.everything() == [[], [], []]


def test_accounts_with_the_same_ids_read_their_own_things(customer: Customer, other_customer: Customer) -> None:
    for one in (customer, other_customer):
        one.campaign(
            one.schedule(one.account), one.profile(one.account), phone_numbers=[f"+12223334444, {one.account}"]
        )
    targets = ["schedules/1", "profiles/1", "campaigns/1", "campaigns/1/calls", "schedules", "profiles", "campaigns"]
    for target in targets:
        first, second = (one.get(f"/api/{target}") for one in (customer, other_customer))
        assert customer.account in first.text
        assert second == replace(first, text=first.text.replace(customer.account, other_customer.account))


def test_each_account_has_its_own_ids_and_nicknames(owner: Customer, other_customer: Customer) -> None:
    assert owner.schedule() == 8
    assert other_customer.schedule("weekdays") == other_customer.profile("pace") == 1


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/", "/api/schedule", "/api/schedules/1/days", "/API/schedules", "/%00"]
)
def test_an_unknown_path_is_not_found(customer: Customer, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        reply = customer.ask(method, path)
        assert (reply.status, reply.json) == (404, {"status": "error", "error": "Not found."})


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/schedules", "GET, POST"),
        ("DELETE", "/api/campaigns", "GET, POST, PATCH, PUT"),
        ("POST", "/api/profiles/1", "GET, PATCH, PUT, DELETE"),
        ("GET", "/api/campaigns/start", "POST"),
        ("DELETE", "/api/campaigns/1/calls", "GET"),
        ("HEAD", "/api/campaigns/1/forecast", "GET"),
        ("OPTIONS", "/api/campaigns/add-calls", "POST"),
    ],
)
def test_a_method_that_a_path_does_not_have_is_not_allowed(
    customer: Customer, method: str, path: str, allowed: str
) -> None:
    reply = customer.ask(method, path)
    assert (reply.status, reply.json) == (405, {"status": "error", "error": "Method not allowed."})
    assert reply.headers["allow"] == allowed


def test_a_slash_at_the_end_of_a_path_is_ignored(customer: Customer) -> None:
    assert customer.post("/api/schedules/", days=["mon"]).status == 200
    assert [customer.get(path).status for path in ("/api/schedules/", "/api/schedules/1/")] == [200, 200]


@pytest.mark.parametrize("content_type", ["application/xml", "text/plain", "image/png", "", "nonsense"])
def test_a_request_is_read_whatever_its_content_type(customer: Customer, content_type: str) -> None:
    headers = {"Content-Type": content_type, "Accept": content_type}
    assert customer.ask("POST", "/api/schedules", b'{"days": ["mon"]}', headers).status == 200
    assert customer.ask("GET", "/api/schedules", headers=headers).json[0]["days"] == ["mon"]
