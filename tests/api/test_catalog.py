"""Schedules and profiles: their nicknames, fields, lists and deletion."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.customer import Customer

TAKEN = {"nickname": ["The nickname has already been taken."]}
NEW: dict[str, dict[str, Any]] = {
    "schedules": {"days": ["mon"]},
    "profiles": {"period": 1, "amount_per_period": 1, "time_between_periods": 0},
}
BOTH_KINDS = pytest.mark.parametrize("kind", ["schedules", "profiles"])


def chosen(customer: Customer, schedule: object) -> int:
    """The id of the schedule that a campaign gets by this reference."""
    return int(customer.get(f"/api/campaigns/{customer.campaign(schedule, customer.profile())}").json["schedule_id"])


@BOTH_KINDS
def test_a_nickname_is_unique_in_an_account_and_kind(customer: Customer, other_customer: Customer, kind: str) -> None:
    fields = NEW[kind] | {"nickname": "3wkdays"}
    (other_kind,) = NEW.keys() - {kind}
    assert customer.post(f"/api/{kind}", **fields).status == 200
    again = customer.post(f"/api/{kind}", **fields)
    assert (again.status, again.json) == (422, TAKEN)
    assert customer.post(f"/api/{other_kind}", **NEW[other_kind] | {"nickname": "3wkdays"}).status == 200
    assert other_customer.post(f"/api/{kind}", **fields).status == 200
    assert len(customer.get(f"/api/{kind}").json) == 1


@BOTH_KINDS
def test_a_nickname_may_be_left_out(customer: Customer, kind: str) -> None:
    for nickname in ({}, {"nickname": None}, {"nickname": ""}, {"nickname": "  "}):
        assert customer.post(f"/api/{kind}", **NEW[kind] | nickname).json["response"]["nickname"] is None


@BOTH_KINDS
def test_a_nickname_can_be_changed_and_the_old_one_used_again(customer: Customer, kind: str) -> None:
    customer.post(f"/api/{kind}", **NEW[kind], nickname="old")
    customer.post(f"/api/{kind}", **NEW[kind], nickname="other")
    assert customer.patch(f"/api/{kind}/1", nickname="other").json == TAKEN
    assert customer.patch(f"/api/{kind}/1", nickname="old").status == 200
    assert customer.patch(f"/api/{kind}/1", nickname="new").json["response"]["nickname"] == "new"
    assert customer.post(f"/api/{kind}", **NEW[kind], nickname="old").status == 200
    assert [one["nickname"] for one in customer.get(f"/api/{kind}").json] == ["new", "other", "old"]


@BOTH_KINDS
@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_nickname_removes_it(customer: Customer, kind: str, empty: str | None) -> None:
    customer.post(f"/api/{kind}", **NEW[kind], nickname="old")
    path = f"/api/{kind}/1"
    body = b'{"nickname": null}' if empty is None else b"nickname="
    assert customer.ask("PATCH", path, body).json["response"]["nickname"] is None
    assert customer.get(path).json["nickname"] is None
    assert customer.ask("PATCH", path, body).status == 200
    assert customer.post(f"/api/{kind}", **NEW[kind], nickname="old").status == 200


@BOTH_KINDS
def test_after_a_delete_the_nickname_can_be_used_again_but_not_the_id(customer: Customer, kind: str) -> None:
    customer.post(f"/api/{kind}", **NEW[kind], nickname="3wkdays")
    assert customer.delete(f"/api/{kind}/1").json == {"status": "success"}
    assert customer.delete(f"/api/{kind}/1").status == 404
    assert customer.post(f"/api/{kind}", **NEW[kind], nickname="3wkdays").json["response"]["id"] == 2


@BOTH_KINDS
def test_an_update_changes_only_the_given_fields(customer: Customer, kind: str) -> None:
    customer.post(f"/api/{kind}", **NEW[kind], nickname="kept")
    before = customer.get(f"/api/{kind}/1").json
    changes: dict[str, Any] = {"days": ["sat", "sun"]} if kind == "schedules" else {"period": 7}
    assert customer.patch(f"/api/{kind}/1", **changes).status == 200
    assert customer.get(f"/api/{kind}/1").json == before | changes


@pytest.mark.parametrize(
    "nickname", ["n" * 64, "é" * 64, "日本語", "🦜" * 64, "a/b", "' OR 1=1", "<b>", "%00", "null", "{}"]
)
def test_a_nickname_may_be_any_text(customer: Customer, nickname: str) -> None:
    created = customer.post("/api/schedules", days=["mon"], nickname=nickname)
    assert created.json["response"]["nickname"] == nickname
    assert customer.post("/api/schedules", days=["mon"], nickname=nickname).json == TAKEN
    assert customer.patch("/api/schedules/1", name=nickname).json["response"]["nickname"] == nickname
    assert chosen(customer, nickname) == 1


def test_a_campaign_names_its_schedule_by_id_or_nickname(customer: Customer) -> None:
    customer.schedule("3wkdays")
    assert [chosen(customer, name) for name in (1, "1", "3wkdays", " 3wkdays ")] == [1] * 4


def test_an_id_wins_over_a_nickname_that_is_the_same_text(customer: Customer) -> None:
    customer.schedule("2")
    assert chosen(customer, "2") == 1
    customer.schedule()
    assert [chosen(customer, "2"), chosen(customer, 2)] == [2, 2]


def test_days_are_answered_once_each_in_the_order_of_the_week(customer: Customer) -> None:
    customer.schedule(None, "sun", "mon", "sun")
    assert customer.get("/api/schedules/1").json["days"] == ["mon", "sun"]


def test_numbers_of_eleven_digits_are_stored_exactly(customer: Customer) -> None:
    customer.profile(period=99_999_999_999, amount=99_999_999_999, pause=99_999_999_999)
    assert set(customer.get("/api/profiles/1").json.values()) == {1, None, 99_999_999_999}


def test_a_windows_hours_may_reach_from_midnight_to_midnight(customer: Customer) -> None:
    profile = customer.profile()
    hours = [("00:00", "24:00"), ("23:59", "24:00"), ("00:00", "00:01")]
    windows = [{"profile": profile, "start_time": start, "end_time": end} for start, end in hours]
    campaign = customer.campaign(customer.schedule(), profiles=windows)
    shown = customer.get(f"/api/campaigns/{campaign}").json["profiles"]
    assert [(window["start_time"], window["end_time"]) for window in shown] == hours


def test_a_schedule_can_be_deleted_when_no_campaign_uses_it(customer: Customer) -> None:
    first, second, profile = customer.schedule("first"), customer.schedule(), customer.profile()
    campaigns = [customer.campaign(first, profile), customer.campaign(first, profile)]
    in_use = "Schedule first(id 1) is being used with campaign id {}."
    assert customer.delete("/api/schedules/1").json["error"] == in_use.format(2)
    customer.delete(f"/api/campaigns/{campaigns[1]}")
    assert customer.delete("/api/schedules/1").json["error"] == in_use.format(1)
    customer.patch(f"/api/campaigns/{campaigns[0]}", schedule=str(second))
    assert customer.delete("/api/schedules/1").status == 200
    unnamed = customer.delete("/api/schedules/2")
    assert (unnamed.status, unnamed.json["error"]) == (409, "Schedule (id 2) is being used with campaign id 1.")


@pytest.mark.parametrize("kind", ["schedules", "profiles", "campaigns"])
def test_a_list_is_in_the_order_of_ids_and_continues_after_one(customer: Customer, kind: str) -> None:
    makers: dict[str, Callable[[], int]] = {
        "schedules": customer.schedule,
        "profiles": customer.profile,
        "campaigns": customer.any_campaign,
    }
    for _ in range(11):
        makers[kind]()
    for deleted in (2, 10):
        customer.delete(f"/api/{kind}/{deleted}")

    def ids(query: str = "") -> list[int]:
        return [one[f"{kind[:-1]}_id"] for one in customer.get(f"/api/{kind}{query}").json]

    assert ids() == [1, 3, 4, 5, 6, 7, 8, 9, 11]
    assert ids("?limit=3") == [1, 3, 4]
    assert ids("?limit=3&after=4") == [5, 6, 7]
    assert ids("?after=2") == ids("?after=1") == [3, 4, 5, 6, 7, 8, 9, 11]
    assert ids("?after=11") == ids("?after=999999999999") == ids(f"?after={2**53}") == []
    assert ids("?limit=1000&after=0") == ids()
