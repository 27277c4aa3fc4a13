"""What the API shows of a campaign after a change, a delete or the end of its dates."""

from datetime import timedelta

import pytest

from chalicelib.api.routes import ENDPOINTS
from tests.support.customer import Customer
from tests.support.world import World

OF_A_CAMPAIGN = [
    (method, path.replace("{id}", "1"))
    for path, endpoints in ENDPOINTS.items()
    for method in endpoints
    if path.startswith("/api/campaigns/")
]


@pytest.mark.parametrize(("method", "path"), OF_A_CAMPAIGN)
def test_a_deleted_campaign_is_not_found(customer: Customer, method: str, path: str) -> None:
    customer.any_campaign(phone_numbers=["+12223334444"])
    customer.delete("/api/campaigns/1")
    body = b'{"campaign_id": 1}' if method == "POST" else b'{"max_retries": 1}'
    if path.endswith("add-calls"):
        body = b'{"campaign_id": 1, "phone_numbers": ["+12223334444"]}'
    if path.endswith("cancel-calls"):
        body = b'{"campaign_id": 1, "message_reference": "march"}'
    reply = customer.ask(method, path, body)
    assert (reply.status, reply.json["error"]) == (404, "Campaign 1 does not exist.")
    assert customer.get("/api/campaigns").json == []


def test_a_campaign_that_was_never_started_is_not_shown_as_ended(world: World) -> None:
    customer = Customer(world.services)
    customer.any_campaign(start_date="2026-01-05", end_date="2026-01-09")
    world.clock.turn_to(world.clock.now() + timedelta(days=7))
    assert customer.get("/api/campaigns/1").json["status"] == "created"


def test_a_campaign_shows_the_new_nicknames_of_what_it_uses(customer: Customer) -> None:
    customer.campaign(customer.schedule("old"), customer.profile("old"))
    for kind in ("schedules", "profiles"):
        customer.patch(f"/api/{kind}/1", nickname="new")
    shown = customer.get("/api/campaigns/1").json
    assert (shown["schedule_nickname"], shown["profiles"][0]["nickname"]) == ("new", "new")


def test_a_profile_can_be_deleted_when_its_campaign_no_longer_uses_it(customer: Customer) -> None:
    customer.campaign(customer.schedule(), customer.profile("first"), customer.profile("second"))
    customer.patch("/api/campaigns/1", profiles=[{"profile": "second", "start_time": "08:00", "end_time": "11:00"}])
    assert [customer.delete(f"/api/profiles/{profile}").status for profile in (1, 2)] == [200, 409]


def test_the_calls_as_csv_have_their_columns_in_the_order_of_the_json(customer: Customer) -> None:
    customer.any_campaign(phone_numbers=["+12223334444"])
    (call,) = customer.get("/api/campaigns/1/calls").json
    heading = customer.get("/api/campaigns/1/calls?format=csv").text.splitlines()[0]
    assert heading == ",".join(call)
