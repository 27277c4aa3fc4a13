"""A POST with an Idempotency-Key is done once. The same request again gets the same answer."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.support.customer import START_URL, Customer
from tests.support.http import multipart
from tests.support.world import World

REQUESTS: dict[str, dict[str, object]] = {
    "/api/schedules": {"days": ["mon"], "nickname": "new"},
    "/api/profiles": {"period": 1, "amount_per_period": 2, "time_between_periods": 3, "nickname": "new"},
    "/api/campaigns": {
        "start_date": "2026-01-05",
        "end_date": "2026-01-09",
        "schedule": 1,
        "profiles": [{"profile": 1, "start_time": "08:00", "end_time": "11:00"}],
        "start_url": START_URL,
        "phone_numbers": ["+12223334444", "+12223334444"],
        "unique": True,
    },
    "/api/campaigns/start": {"campaign_id": 1},
    "/api/campaigns/stop": {"campaign_id": 1},
    "/api/campaigns/add-calls": {"campaign_id": 1, "phone_numbers": ["+12223334444"]},
}
EVERY_POST = pytest.mark.parametrize(("path", "fields"), REQUESTS.items())


def with_campaign(customer: Customer) -> Customer:
    """The customer, with a campaign 1 that can be started and stopped."""
    customer.any_campaign(end_date="2026-01-31")
    return customer


@EVERY_POST
def test_a_repeated_request_gets_the_same_answer_and_does_nothing(
    customer: Customer, path: str, fields: dict[str, Any]
) -> None:
    with_campaign(customer)
    first = customer.post(path, key="k", **fields)
    assert (first.status, first.headers.get("idempotency-replayed")) == (200, None)
    after = customer.everything()
    again = customer.post(path, key="k", **fields)
    assert (again.status, again.text, again.headers["idempotency-replayed"]) == (200, first.text, "true")
    assert again.headers["content-type"] == first.headers["content-type"]
    assert customer.everything() == after


@EVERY_POST
def test_another_request_with_the_same_key_is_refused(customer: Customer, path: str, fields: dict[str, Any]) -> None:
    with_campaign(customer)
    assert customer.post(path, key="k", **fields).status == 200
    after = customer.everything()
    reply = customer.post(path, key="k", **fields, more=1)
    assert (reply.status, reply.json) == (
        409,
        {"status": "error", "error": "The Idempotency-Key has already been used for another request."},
    )
    assert customer.everything() == after


@EVERY_POST
def test_a_key_can_be_used_again_after_a_day(world: World, path: str, fields: dict[str, Any]) -> None:
    customer = with_campaign(Customer(world.services))
    assert customer.post(path, key="k", **fields).status == 200
    world.clock.turn_to(world.clock.now() + timedelta(hours=24, seconds=-1))
    assert customer.post(path, key="k", **fields).headers["idempotency-replayed"] == "true"
    world.clock.turn_to(world.clock.now() + timedelta(seconds=1))
    later = customer.post(path, key="k", **fields)
    assert "idempotency-replayed" not in later.headers
    # The request is done again: only the nickname is taken.
    assert later.status == (422 if "nickname" in fields else 200)


def test_the_same_key_for_another_endpoint_is_refused(customer: Customer) -> None:
    with_campaign(customer)
    assert customer.post("/api/campaigns/start", key="k", campaign_id=1).status == 200
    assert customer.post("/api/campaigns/stop", key="k", campaign_id=1).status == 409
    assert customer.get("/api/campaigns/1").json["status"] == "running"


def test_the_same_key_of_another_account_is_another_key(customer: Customer, other_customer: Customer) -> None:
    first = customer.post("/api/schedules", key="k", days=["mon"], nickname="mine")
    second = other_customer.post("/api/schedules", key="k", days=["tue"])
    assert (first.status, second.status) == (200, 200)
    assert second.json["response"] == {"id": 1, "nickname": None}


def test_a_start_repeated_after_a_stop_does_nothing(customer: Customer) -> None:
    with_campaign(customer)
    customer.post("/api/campaigns/start", key="k", campaign_id=1)
    customer.post("/api/campaigns/stop", campaign_id=1)
    assert customer.post("/api/campaigns/start", key="k", campaign_id=1).status == 200
    assert customer.get("/api/campaigns/1").json["status"] == "stopped"


def test_a_start_of_a_running_campaign_has_a_receipt_too(customer: Customer) -> None:
    with_campaign(customer)
    customer.post("/api/campaigns/start", campaign_id=1)
    customer.post("/api/campaigns/start", key="k", campaign_id=1)
    customer.post("/api/campaigns/stop", campaign_id=1)
    assert customer.post("/api/campaigns/start", key="k", campaign_id=1).headers["idempotency-replayed"] == "true"
    assert customer.get("/api/campaigns/1").json["status"] == "stopped"


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/api/schedules", {"days": ["mon"], "nickname": "taken"}, 422),
        ("/api/schedules", {"days": []}, 422),
        ("/api/campaigns/start", {"campaign_id": 2}, 404),
        ("/api/campaigns/add-calls", {"campaign_id": 2, "phone_numbers": ["+12223334444"]}, 404),
        ("/api/campaigns", REQUESTS["/api/campaigns"] | {"schedule": "later"}, 422),
    ],
)
def test_a_corrected_request_may_have_the_key_of_a_refused_one(
    customer: Customer, path: str, fields: dict[str, Any], status: int
) -> None:
    with_campaign(customer)
    taken = customer.schedule("taken")
    first, again = (customer.post(path, key="k", **fields) for _ in range(2))
    assert first.status == again.status == status
    assert first.text == again.text
    assert "idempotency-replayed" not in {*first.headers, *again.headers}
    customer.delete(f"/api/schedules/{taken}")
    customer.schedule("later")
    customer.any_campaign()
    corrected = fields | ({"days": ["sun"]} if "days" in fields else {})
    done = customer.post(path, key="k", **corrected)
    assert (done.status, done.headers.get("idempotency-replayed")) == (200, None)
    after = customer.everything()
    repeated = customer.post(path, key="k", **corrected)
    assert (repeated.status, repeated.text, repeated.headers["idempotency-replayed"]) == (200, done.text, "true")
    assert repeated.headers.get("x-numbers-accepted") == done.headers.get("x-numbers-accepted")
    assert customer.everything() == after


def test_a_repeated_form_may_have_another_boundary(customer: Customer) -> None:
    """curl draws a new one for each request."""
    with_campaign(customer)
    body = multipart(campaign_id="1", phone_numbers=b"+12223334444\n")
    same = body.replace(b"--B", b"--another")
    other = body.replace(b"4444", b"5555")
    headers = {"Idempotency-Key": "k"}
    path = "/api/campaigns/add-calls"
    replies = [customer.ask("POST", path, sent, headers) for sent in (body, same, other)]
    assert [reply.status for reply in replies] == [200, 200, 409]
    assert customer.queue(1) == [("tel:+12223334444", "")]


@pytest.mark.parametrize("key", ["", "k" * 256, "é", "a\tb", "\0"])
def test_a_key_has_1_to_255_printable_characters(customer: Customer, key: str) -> None:
    reply = customer.post("/api/schedules", key=key, days=["mon"])
    assert (reply.status, list(reply.json)) == (422, ["Idempotency-Key"])
    assert customer.get("/api/schedules").json == []


def test_a_key_of_255_characters_works(customer: Customer) -> None:
    replies = [customer.post("/api/schedules", key="k" * 255, days=["mon"]) for _ in range(2)]
    assert [reply.json["response"]["id"] for reply in replies] == [1, 1]


def test_a_key_has_no_effect_on_other_methods(customer: Customer) -> None:
    customer.schedule("a")
    for nickname in ("b", "c"):
        body = json.dumps({"nickname": nickname}).encode()
        reply = customer.ask("PATCH", "/api/schedules/1", body, {"Idempotency-Key": "k"})
        assert reply.json["response"]["nickname"] == nickname


def test_a_repeated_create_uses_no_id(customer: Customer) -> None:
    for _ in range(3):
        customer.post("/api/schedules", key="k", days=["mon"])
    assert customer.schedule() == 2
