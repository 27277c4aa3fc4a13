"""A campaign as the API shows it: its status, updates, calls and forecast."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.outcome import Answered, RequestResult, Unknown
from chalicelib.storage.database import Database
from tests.support.customer import Customer
from tests.support.world import World

NUMBERS = ["+12223330000", "+12223330001, march", "+12223330002"]
DATES = {"start_date": "2026-01-05", "end_date": "2026-01-09"}


@pytest.fixture
def acme(world: World) -> Customer:
    """A customer with a schedule of every day and a profile of one call a second."""
    customer = Customer(world.services)
    customer.schedule("every day", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
    customer.profile("pace", period=1, amount=60, pause=0)
    return customer


def shown(customer: Customer, campaign: int = 1) -> Any:
    return customer.get(f"/api/campaigns/{campaign}").json


def counts(customer: Customer) -> dict[str, int]:
    """The progress, without zeros."""
    return {name: number for name, number in shown(customer)["progress"].items() if number}


def act(customer: Customer, action: str) -> None:
    """Start or stop campaign 1."""
    assert customer.post(f"/api/campaigns/{action}", campaign_id=1).json == {"status": "success"}


def test_status_and_progress_follow_a_campaign_from_creation_to_deletion(world: World, acme: Customer) -> None:
    acme.campaign(1, 1, phone_numbers=[f"+1222333{number:04}" for number in range(90)], **DATES)
    assert (shown(acme)["status"], counts(acme)) == ("created", {"total": 90, "queued": 90})
    act(acme, "start")
    assert shown(acme)["status"] == "running"
    world.tick()
    world.drain(world.clock.now() + timedelta(seconds=19))  # a message is visible a second before its call is due
    dispatched = len(world.dispatched)
    progress = {"total": 90, "queued": 70 - dispatched, "dialling": dispatched, "completed": 20}
    assert (shown(acme)["status"], counts(acme)) == ("running", progress)
    act(acme, "stop")
    world.run(minutes=2)
    progress = {"total": 90, "queued": 70 - dispatched, "deferred": dispatched, "completed": 20}
    assert (shown(acme)["status"], counts(acme)) == ("stopped", progress)
    act(acme, "start")
    world.run(minutes=4)
    assert (shown(acme)["status"], counts(acme)) == ("completed", {"total": 90, "completed": 90})
    acme.post("/api/campaigns/add-calls", campaign_id=1, phone_numbers=NUMBERS)
    assert (shown(acme)["status"], counts(acme)) == ("running", {"total": 93, "queued": 3, "completed": 90})
    world.clock.turn_to(world.clock.now() + timedelta(days=7))
    assert shown(acme)["status"] == "ended"
    assert acme.delete("/api/campaigns/1").json == {"status": "success"}
    assert acme.get("/api/campaigns/1").status == acme.delete("/api/campaigns/1").status == 404
    assert acme.campaign(1, 1) == 2


def test_every_outcome_is_counted(world: World, acme: Customer) -> None:
    outcomes: Iterator[RequestResult] = iter([Answered(200, {}, b""), Answered(404, {}, b""), Unknown("timeout")])
    world.tenant.on_call = lambda _: next(outcomes)
    acme.campaign(1, 1, phone_numbers=NUMBERS, **DATES)
    act(acme, "start")
    world.run(minutes=2)
    assert counts(acme) == {"total": 3, "completed": 1, "failed": 1, "uncertain": 1}


def test_the_list_shows_each_campaign_as_it_is_shown_alone(acme: Customer) -> None:
    for _ in range(2):
        acme.campaign(1, 1, phone_numbers=NUMBERS, **DATES)
    assert acme.get("/api/campaigns").json == [shown(acme, 1), shown(acme, 2)]


def test_a_schedule_without_a_nickname_is_shown_by_its_id(acme: Customer) -> None:
    acme.patch("/api/schedules/1", nickname="")
    acme.campaign(1, 1)
    assert shown(acme)["schedule_nickname"] == "1"


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"start_date": "2022-01-03"}, {"start_date": "2022-01-03 00:00:00"}),
        ({"end_date": "2022-01-01"}, {"end_date": "2022-01-01 00:00:00"}),
        ({"start_url": "https://new.example/?a=1"}, {"start_url": "https://new.example/?a=1"}),
        ({"result_url": "https://new.example/"}, {"result_url": "https://new.example/"}),
        ({"result_url": ""}, {"result_url": None}),
        ({"schedule": "other"}, {"schedule_id": 2, "schedule_nickname": "other"}),
        ({"schedule_id": "2"}, {"schedule_id": 2, "schedule_nickname": "other"}),
        (
            {"profiles": [{"profile": "pace", "start_time": "09:00", "end_time": "24:00"}]},
            {"profiles": [{"profile_id": 1, "nickname": "pace", "start_time": "09:00", "end_time": "24:00"}]},
        ),
        ({"max_retries": "3"}, {"max_retries": 3}),
        ({"retry_interval": "60"}, {"retry_interval": 60}),
        ({"attempt_reports": "true"}, {"attempt_reports": True}),
        ({"max_concurrent_calls": "10"}, {"max_concurrent_calls": 10, "lines_in_use": 0}),
        (
            {"start_date": "2022-01-03 00:00:00", "max_retries": 3.0},
            {"start_date": "2022-01-03 00:00:00", "max_retries": 3},
        ),
    ],
)
def test_an_update_changes_only_the_given_fields(
    customer: Customer, given: dict[str, Any], changed: dict[str, Any]
) -> None:
    customer.campaign(customer.schedule(), customer.profile("pace"), max_retries=1, phone_numbers=NUMBERS)
    customer.schedule("other")
    before = shown(customer)
    assert customer.patch("/api/campaigns/1", **given).json == {"status": "success", "response": {"id": 1}}
    assert shown(customer) == before | changed
    assert len(customer.queue(1)) == 3


def test_a_new_date_is_compared_with_the_stored_other_date(customer: Customer) -> None:
    customer.any_campaign(start_date="2022-01-05", end_date="2022-01-10")
    early = customer.patch("/api/campaigns/1", end_date="2022-01-04", start_url="http://new.example/")
    late = customer.patch("/api/campaigns/1", start_date="2022-01-11")
    assert (early.status, list(early.json)) == (422, ["end_date"])
    assert (late.status, list(late.json)) == (422, ["start_date"])
    assert shown(customer)["start_url"] != "http://new.example/"
    assert customer.patch("/api/campaigns/1", start_date="2022-02-01", end_date="2022-02-01").status == 200


def test_a_running_campaign_can_be_updated_and_keeps_running(acme: Customer) -> None:
    acme.campaign(1, 1, **DATES)
    act(acme, "start")
    assert acme.patch("/api/campaigns/1", max_retries="2").status == 200
    assert (shown(acme)["status"], shown(acme)["max_retries"]) == ("running", 2)


def test_stopping_a_campaign_that_was_never_started_changes_nothing(acme: Customer) -> None:
    acme.campaign(1, 1, **DATES)
    act(acme, "stop")
    assert shown(acme)["status"] == "created"


def test_the_list_of_calls_shows_their_outcomes(world: World, acme: Customer) -> None:
    world.tenant.on_call = lambda form: Answered(404 if form["message_reference"] else 200, {}, b'{"duration": 5}')
    acme.campaign(1, 1, phone_numbers=NUMBERS, **DATES)
    act(acme, "start")
    world.run(minutes=2)
    acme.post("/api/campaigns/add-calls", campaign_id=1, phone_numbers=["+12223330003"])
    first, second, _, fourth = acme.get("/api/campaigns/1/calls").json
    called_at = int(world.tenant.calls[0].at.timestamp())
    assert first == {
        "call_id": 2**32,
        "phone_number": "tel:+12223330000",
        "message_reference": "",
        "state": "completed",
        "reason": "http_200",
        "callee_type": "unknown",
        "attempts": 1,
        "last_attempt_timestamp": called_at,
        "duration": 5,
        "report": "delivered",
        "report_attempts": 1,
        "report_error": None,
        "revision": 0,
    }
    assert [second[name] for name in ("message_reference", "state", "reason")] == ["march", "failed", "http_404"]
    never = {"reason", "callee_type", "last_attempt_timestamp", "duration", "report", "report_error"}
    assert {name for name, value in fourth.items() if value is None} == never
    assert (fourth["call_id"], fourth["state"], fourth["attempts"]) == (2**32 + 3, "queued", 0)


def test_a_call_whose_record_has_expired_is_listed_as_expired_and_still_counted(
    world: World, acme: Customer, database: Database
) -> None:
    acme.campaign(1, 1, phone_numbers=NUMBERS, **DATES)
    act(acme, "start")
    world.run(minutes=2)
    before = shown(acme)["progress"]
    for item in database.calls.scan():
        item.delete()  # as DynamoDB does after the retention
    world.run(minutes=10)
    assert shown(acme)["progress"] == before
    assert len(world.tenant.calls) == before["completed"] == 3
    calls = acme.get("/api/campaigns/1/calls").json
    assert [(call["state"], call["attempts"], call["report"]) for call in calls] == [("expired", None, None)] * 3


def test_calls_are_listed_as_csv_on_request(customer: Customer) -> None:
    customer.any_campaign(phone_numbers=NUMBERS)
    listed = customer.get("/api/campaigns/1/calls").json
    by_query = customer.get("/api/campaigns/1/calls?format=csv")
    by_header = customer.get("/api/campaigns/1/calls", Accept="text/csv")
    assert by_query.headers["content-type"] == by_header.headers["content-type"] == "text/csv; charset=utf-8"
    assert by_query.text == by_header.text
    rows = list(csv.DictReader(io.StringIO(by_query.text)))
    assert rows == [{name: "" if value is None else str(value) for name, value in call.items()} for call in listed]
    assert customer.get("/api/campaigns/1/calls?format=json", Accept="text/csv").json == listed
    assert customer.get("/api/campaigns/1/calls?format=xml").json == {
        "format": ['The selected format "xml" is invalid: one of json, csv.']
    }


def test_calls_are_listed_in_pages(customer: Customer) -> None:
    customer.any_campaign()
    customer.any_campaign(phone_numbers=[f"+1222333{number:04}" for number in range(600)])
    customer.post(
        "/api/campaigns/add-calls", campaign_id=2, phone_numbers=[f"+1222444{number:04}" for number in range(600)]
    )

    def sequences(query: str) -> list[int]:
        return [call["call_id"] - 2 * 2**32 for call in customer.get(f"/api/campaigns/2/calls{query}").json]

    assert sequences("") == list(range(1000))
    assert sequences(f"?after={2 * 2**32 + 999}") == list(range(1000, 1200))
    assert sequences(f"?after={2 * 2**32 + 598}&limit=3") == [599, 600, 601]
    assert sequences(f"?after={2 * 2**32 + 1199}") == sequences(f"?after={2**53 - 1}") == []
    assert sequences("?after=5&limit=1") == [0]
    assert customer.get("/api/campaigns/1/calls").json == []


def test_the_forecast_has_the_time_of_the_last_call(world: World, acme: Customer) -> None:
    acme.campaign(1, 1, phone_numbers=[f"+1222333{number:04}" for number in range(150)], **DATES)
    last = (world.clock.now() + timedelta(seconds=150)).isoformat()
    assert acme.get("/api/campaigns/1/forecast").json == {
        "campaign_id": 1,
        "queued": 150,
        "fits": True,
        "left_over": 0,
        "last_call_at": last,
    }
    act(acme, "start")
    world.run(minutes=4)
    assert world.tenant.calls[-1].at.isoformat() == last
    done = {"campaign_id": 1, "queued": 0, "fits": True, "left_over": 0, "last_call_at": None}
    assert acme.get("/api/campaigns/1/forecast").json == done


def test_the_forecast_counts_numbers_that_will_not_fit(acme: Customer) -> None:
    slow = acme.profile(period=60, amount=1, pause=0)
    acme.campaign(1, slow, phone_numbers=NUMBERS * 6, **DATES)
    acme.campaign(1, slow, phone_numbers=NUMBERS)
    forecast = acme.get("/api/campaigns/1/forecast").json
    # There are three calls a day for five days, less the one that is due right now.
    assert (forecast["fits"], forecast["left_over"], forecast["last_call_at"]) == (
        False,
        4,
        "2026-01-09T15:00:00+00:00",
    )
    over = {"campaign_id": 2, "queued": 3, "fits": False, "left_over": 3, "last_call_at": None}
    assert acme.get("/api/campaigns/2/forecast").json == over


RETRIES = {"busy": {"attempts": 3, "gap": 300, "growth": 2.0}, "no_answer": {"attempts": 2, "gap": 3600, "growth": 1.0}}


def test_retries_are_kept_for_each_outcome_and_shown(customer: Customer) -> None:
    campaign = customer.any_campaign(retries=RETRIES)
    shown = customer.get(f"/api/campaigns/{campaign}").json
    assert (shown["retries"], shown["max_retries"]) == (RETRIES, 2)
    assert customer.any_campaign(retries={})  # none
    by_form = customer.ask(
        "PATCH", f"/api/campaigns/{campaign}", b"retries[machine][attempts]=4&retries[machine][gap]=600"
    )
    assert by_form.status == 200
    shown = customer.get(f"/api/campaigns/{campaign}").json
    assert (shown["retries"], shown["max_retries"]) == ({"machine": {"attempts": 4, "gap": 600, "growth": 1.0}}, 3)
    assert customer.patch(f"/api/campaigns/{campaign}", max_retries=1).status == 200
    assert customer.patch(f"/api/campaigns/{campaign}", retries=RETRIES, max_retries=1).status == 200
    assert customer.get(f"/api/campaigns/{campaign}").json["max_retries"] == 1
    assert customer.ask("PATCH", f"/api/campaigns/{campaign}", b'{"retries": null}').status == 200
    assert customer.get(f"/api/campaigns/{campaign}").json["retries"] == {}


@pytest.mark.parametrize(
    ("retries", "field", "sentence"),
    [
        ({"rejected": {"attempts": 2, "gap": 60}}, "retries.rejected", "is unknown; known here: busy, no_answer, "),
        ({"busy": 3}, "retries.busy", "must be an object."),
        ({"busy": {"gap": 60}}, "retries.busy.attempts", "is required."),
        ({"busy": {"attempts": 2}}, "retries.busy.gap", "is required."),
        ({"busy": {"attempts": 12, "gap": 60}}, "retries.busy.attempts", "must not be greater"),
        ({"busy": {"attempts": 2, "gap": 59}}, "retries.busy.gap", "must be at least 60"),
        ({"busy": {"attempts": 2, "gap": 172_801}}, "retries.busy.gap", "must not be greater"),
        ({"busy": {"attempts": 2, "gap": 60, "growth": 0.5}}, "retries.busy.growth", "must be a number between 1 and"),
        ({"busy": {"attempts": 2, "gap": 60, "growth": "fast"}}, "retries.busy.growth", "must be a number between 1"),
        ({"busy": {"attempts": 2, "gap": 60, "factor": 2}}, "retries.busy.factor", "is unknown; known here: "),
        ([], "retries", "must be an object."),
        ("busy", "retries", "must be an object."),
    ],
)
def test_invalid_retries_are_refused_with_the_reason(
    customer: Customer, retries: object, field: str, sentence: str
) -> None:
    campaign = customer.any_campaign()
    reply = customer.ask("PATCH", f"/api/campaigns/{campaign}", json.dumps({"retries": retries}).encode())
    assert (reply.status, list(reply.json)) == (422, [field])
    assert reply.json[field][0].startswith(f"The {field} field {sentence}")


def test_attempts_are_reported_if_the_campaign_asks_for_it(customer: Customer) -> None:
    path = f"/api/campaigns/{customer.any_campaign(attempt_reports=True)}"
    assert customer.get(path).json["attempt_reports"] is True
    assert customer.patch(path, max_retries=1).status == 200
    assert customer.get(path).json["attempt_reports"] is True
    for nothing in (b"attempt_reports=0", b'{"attempt_reports": false}'):
        assert customer.patch(path, attempt_reports=1).status == 200
        assert customer.ask("PATCH", path, nothing).status == 200
        assert customer.get(path).json["attempt_reports"] is False
    refused = customer.patch(path, attempt_reports="all")
    assert (refused.status, list(refused.json)) == (422, ["attempt_reports"])


class TestLines:
    def test_a_limit_of_lines_is_shown_and_empty_or_null_removes_it(self, customer: Customer) -> None:
        campaign = customer.any_campaign(max_concurrent_calls=10_000)
        path = f"/api/campaigns/{campaign}"
        shown = customer.get(path).json
        assert (shown["max_concurrent_calls"], shown["lines_in_use"]) == (10_000, 0)
        for nothing in (b'{"max_concurrent_calls": null}', b"max_concurrent_calls="):
            assert customer.patch(path, max_concurrent_calls=1).status == 200
            assert customer.get(path).json["max_concurrent_calls"] == 1
            assert customer.ask("PATCH", path, nothing).status == 200
            shown = customer.get(path).json
            assert (shown["max_concurrent_calls"], shown["lines_in_use"]) == (None, None)

    @pytest.mark.parametrize("wrong", [0, -1, 10_001, "many", 1.5, True, []])
    def test_a_limit_that_is_no_number_of_lines_is_refused(self, customer: Customer, wrong: Any) -> None:
        refused = customer.patch(f"/api/campaigns/{customer.any_campaign()}", max_concurrent_calls=wrong)
        assert (refused.status, list(refused.json)) == (422, ["max_concurrent_calls"])

    def test_an_answer_with_lines_in_use_can_be_sent_back(self, customer: Customer) -> None:
        path = f"/api/campaigns/{customer.any_campaign(max_concurrent_calls=3)}"
        assert customer.patch(path, max_retries=1, lines_in_use=2).status == 200
