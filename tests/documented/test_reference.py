"""Each example of the reference, sent as the bytes that curl sends, has the answer that the reference shows.

Where an answer has more than the reference's, or the reference's example can't be right, `documented` has the
reference's own answer.
"""

from typing import Any

import pytest

from chalicelib.storage.accounts import Kind
from tests.support.customer import RESULT_URL, START_URL, Customer
from tests.support.http import Reply
from tests.support.wire import replay

JSON = {"content-type": "application/json"}


def accepting(numbers: int) -> dict[str, str]:
    """The headers of an answer that accepts so many numbers."""
    return JSON | {"x-numbers-accepted": str(numbers), "x-numbers-dropped": "0"}


SUCCESS = {"status": "success"}
NICKNAME_TAKEN = {"nickname": ["The nickname has already been taken."]}
STATES = ("queued", "dialling", "in_progress", "deferred", "completed", "failed", "uncertain", "canceled")
NO_PROGRESS = dict.fromkeys(("total", *STATES), 0)
TWO_NUMBERS = [("tel:+12223334444;ani=7778889999", ""), ("tel:+14443332222;ani=9998887777", "")]
TWO_NUMBERS_ONE_NAMED = [("tel:+12223334444;ani=7778889999", ""), ("tel:+14443332222;ani=9998887777", "march campaign")]


def success(**response: object) -> dict[str, object]:
    return {"status": "success", "response": response}


def answer_of(reply: Reply) -> tuple[int, dict[str, str], Any]:
    return reply.status, dict(reply.headers), reply.json


def error(text: str) -> dict[str, str]:
    return {"status": "error", "error": text}


def includes(answer: Any, documented: Any) -> bool:
    """True if the answer has all that is documented, with the documented values."""
    if isinstance(documented, dict):
        return isinstance(answer, dict) and all(
            name in answer and includes(answer[name], value) for name, value in documented.items()
        )
    if isinstance(documented, list):
        return (
            isinstance(answer, list)
            and len(answer) == len(documented)
            and all(includes(*pair) for pair in zip(answer, documented, strict=True))
        )
    return bool(answer == documented)


def pace(period: int, amount: int, pause: int) -> dict[str, int]:
    return {"period": period, "amount_per_period": amount, "time_between_periods": pause}


@pytest.mark.parametrize("name", ["create_schedule", "create_schedule_json", "create_schedule_urlencoded"])
def test_a_schedule_is_created(customer: Customer, name: str) -> None:
    customer.set_next_id(Kind.SCHEDULE, 6)
    assert answer_of(replay(customer, name)) == (200, JSON, success(id=6, nickname="3wkdays"))
    assert customer.get("/api/schedules/6").json["days"] == ["mon", "wed", "fri"]


def test_a_schedule_with_a_taken_nickname_is_refused(customer: Customer) -> None:
    customer.schedule("3wkdays")
    assert answer_of(replay(customer, "create_schedule")) == (422, JSON, NICKNAME_TAKEN)


@pytest.mark.parametrize("name", ["get_schedules", "get_schedules_xml"])
def test_schedules_are_listed(customer: Customer, name: str) -> None:
    customer.set_next_id(Kind.SCHEDULE, 6)
    customer.schedule("3wkdays", "mon", "wed", "fri")
    assert answer_of(replay(customer, name)) == (
        200,
        JSON,
        [{"schedule_id": 6, "nickname": "3wkdays", "days": ["mon", "wed", "fri"]}],
    )


@pytest.mark.parametrize(
    "name", ["update_schedule", "update_schedule_encoded", "update_schedule_put", "update_schedule_form"]
)
def test_a_schedule_is_updated(customer: Customer, name: str) -> None:
    customer.set_next_id(Kind.SCHEDULE, 15)
    customer.schedule("MonWedOnly", "fri")
    assert answer_of(replay(customer, name)) == (200, JSON, success(id=15, days='["mon","wed"]', nickname="MonWedOnly"))
    assert customer.get("/api/schedules/15").json["days"] == ["mon", "wed"]


def test_a_schedule_is_deleted(customer: Customer) -> None:
    customer.set_next_id(Kind.SCHEDULE, 4)
    customer.schedule()
    assert answer_of(replay(customer, "delete_schedule")) == (200, JSON, SUCCESS)
    assert customer.get("/api/schedules").json == []


def test_a_schedule_in_use_is_not_deleted(customer: Customer) -> None:
    customer.set_next_id(Kind.SCHEDULE, 6)
    schedule, profile = customer.schedule("3wkdays"), customer.profile()
    assert [customer.campaign(schedule, profile) for _ in range(3)] == [1, 2, 3]
    assert answer_of(replay(customer, "delete_schedule_in_use")) == (
        409,
        JSON,
        error("Schedule 3wkdays(id 6) is being used with campaign id 3."),
    )
    assert len(customer.get("/api/schedules").json) == 1


def test_a_profile_is_created(customer: Customer) -> None:
    customer.set_next_id(Kind.PROFILE, 6)
    reply = replay(customer, "create_profile")
    assert answer_of(reply) == (200, JSON, success(id=6, nickname="MorningPace"))
    # The reference's answer has the nickname of its example of a schedule, which this request doesn't send.
    documented = {"status": "success", "response": {"id": 6, "nickname": "3wkdays"}}
    assert documented["response"].keys() == reply.json["response"].keys()  # type: ignore[attr-defined] # a dict
    assert customer.get("/api/profiles/6").json == {"profile_id": 6, "nickname": "MorningPace", **pace(30, 100, 10)}


def test_a_profile_with_a_taken_nickname_is_refused(customer: Customer) -> None:
    customer.profile("MorningPace")
    assert answer_of(replay(customer, "create_profile")) == (422, JSON, NICKNAME_TAKEN)


def test_profiles_are_listed(customer: Customer) -> None:
    customer.set_next_id(Kind.PROFILE, 5)
    customer.profile("MorningPace", period=30, amount=100, pause=10)
    customer.profile("MorningCalls", period=15, amount=50, pause=0)
    reply = replay(customer, "get_profiles")
    assert answer_of(reply) == (
        200,
        JSON,
        [
            {"profile_id": 5, "nickname": "MorningPace", **pace(30, 100, 10)},
            {"profile_id": 6, "nickname": "MorningCalls", **pace(15, 50, 0)},
        ],
    )
    documented = [{"profile_id": 5, "nickname": "MorningPace"}, {"profile_id": 6, "nickname": "MorningCalls"}]
    assert includes(reply.json, documented)


@pytest.mark.parametrize("name", ["update_profile", "update_profile_put"])
def test_a_profile_is_updated(customer: Customer, name: str) -> None:
    customer.set_next_id(Kind.PROFILE, 17)
    customer.profile("MorningPace")
    assert answer_of(replay(customer, name)) == (200, JSON, success(id=17, nickname="30-100-10"))
    assert customer.get("/api/profiles/17").json == {"profile_id": 17, "nickname": "30-100-10", **pace(31, 101, 11)}


def test_a_profile_is_deleted(customer: Customer) -> None:
    customer.set_next_id(Kind.PROFILE, 7)
    customer.profile()
    assert answer_of(replay(customer, "delete_profile")) == (200, JSON, SUCCESS)
    assert customer.get("/api/profiles").json == []


def test_a_profile_in_use_is_not_deleted(customer: Customer) -> None:
    customer.set_next_id(Kind.PROFILE, 5)
    customer.set_next_id(Kind.CAMPAIGN, 4)
    customer.campaign(customer.schedule(), customer.profile("MorningPace"))
    assert answer_of(replay(customer, "delete_profile_in_use")) == (
        409,
        JSON,
        error("Profile MorningPace(id 5) is being used with campaign id 4."),
    )


def test_a_campaign_is_created(customer: Customer) -> None:
    customer.set_next_id(Kind.SCHEDULE, 6)
    customer.set_next_id(Kind.CAMPAIGN, 2)
    customer.schedule("3wkdays")
    customer.profile("MorningPace")
    assert answer_of(replay(customer, "create_campaign")) == (200, accepting(2), success(id=2))
    assert customer.get("/api/campaigns/2").json == {
        "campaign_id": 2,
        "status": "created",
        "start_date": "2022-01-01 00:00:00",
        "end_date": "2022-01-05 00:00:00",
        "start_url": START_URL,
        "result_url": RESULT_URL,
        "schedule_id": 6,
        "schedule_nickname": "3wkdays",
        "profiles": [{"profile_id": 1, "nickname": "MorningPace", "start_time": "08:00", "end_time": "11:00"}],
        "max_retries": 0,
        "retry_interval": 3600,
        "call_timeout": 3600,
        "max_concurrent_calls": None,
        "lines_in_use": None,
        "retries": {},
        "attempt_reports": False,
        "progress": NO_PROGRESS | {"total": 2, "queued": 2},
    }
    assert customer.queue(2) == [
        ("tel:+12223334444;ani=7778889999", ""),
        ("tel:+14443332222;ani=9998887777", "marchcampaign"),
    ]


def test_a_campaign_is_created_without_numbers_and_with_two_profiles(customer: Customer) -> None:
    customer.schedule("3wkdays")
    customer.profile("MorningPace")
    customer.profile("AfternoonPace")
    reply = replay(customer, "create_campaign_without_numbers")
    assert answer_of(reply) == (200, accepting(0), success(id=1))
    created = customer.get("/api/campaigns/1").json
    assert created["profiles"] == [
        {"profile_id": 1, "nickname": "MorningPace", "start_time": "08:00", "end_time": "11:00"},
        {"profile_id": 2, "nickname": "AfternoonPace", "start_time": "12:00", "end_time": "16:00"},
    ]
    assert (created["result_url"], created["progress"]) == (None, NO_PROGRESS)


def test_campaigns_are_listed(customer: Customer) -> None:
    customer.set_next_id(Kind.SCHEDULE, 6)
    customer.set_next_id(Kind.PROFILE, 5)
    customer.set_next_id(Kind.CAMPAIGN, 12)
    customer.campaign(
        customer.schedule("3wkdays"),
        profiles=[{"profile": customer.profile("MorningPace"), "start_time": "08:00", "end_time": "23:00"}],
    )
    documented = {
        "campaign_id": 12,
        "start_date": "2022-01-01 00:00:00",
        "end_date": "2022-01-05 00:00:00",
        "start_url": "http://charles.plumgroup.com/~schan/src/charles/vxml/start.php",
        "result_url": "http://myserver.com/storesmsresults.php",
        "schedule_nickname": "3wkdays",
        "profiles": [{"profile_id": 5, "nickname": "MorningPace", "start_time": "08:00", "end_time": "23:00"}],
    }
    more = {
        "status": "created",
        "schedule_id": 6,
        "max_retries": 0,
        "retry_interval": 3600,
        "call_timeout": 3600,
        "max_concurrent_calls": None,
        "lines_in_use": None,
        "retries": {},
        "attempt_reports": False,
        "progress": NO_PROGRESS,
    }
    assert answer_of(replay(customer, "get_campaigns")) == (200, JSON, [documented | more])


@pytest.mark.parametrize("name", ["start_campaign", "start_campaign_json"])
def test_a_campaign_is_started(customer: Customer, name: str) -> None:
    customer.set_next_id(Kind.CAMPAIGN, 6)
    customer.any_campaign(end_date="2099-12-31")
    assert answer_of(replay(customer, name)) == (200, JSON, SUCCESS)
    assert customer.get("/api/campaigns/6").json["status"] == "running"
    assert answer_of(replay(customer, name)) == (200, JSON, SUCCESS)


def test_a_campaign_is_stopped(customer: Customer) -> None:
    customer.set_next_id(Kind.CAMPAIGN, 2)
    customer.any_campaign(end_date="2099-12-31")
    customer.post("/api/campaigns/start", campaign_id=2)
    assert answer_of(replay(customer, "stop_campaign")) == (200, JSON, SUCCESS)
    assert customer.get("/api/campaigns/2").json["status"] == "stopped"
    assert answer_of(replay(customer, "stop_campaign")) == (200, JSON, SUCCESS)


@pytest.mark.parametrize(
    ("name", "added"),
    [
        ("add_calls", TWO_NUMBERS),
        ("add_calls_json", TWO_NUMBERS_ONE_NAMED),
        ("add_calls_json_text", TWO_NUMBERS_ONE_NAMED),
        ("add_calls_one_element", TWO_NUMBERS_ONE_NAMED),
        ("add_calls_csv", [("tel:+12223334444", ""), ("tel:+14443332222;ani=9998887777", "march campaign")]),
        ("add_calls_txt", [("tel:+12223334444", ""), ("tel:+14443332222;ani=9998887777", "march campaign")]),
    ],
)
def test_numbers_are_added(customer: Customer, name: str, added: list[tuple[str, str]]) -> None:
    customer.set_next_id(Kind.CAMPAIGN, 2)
    customer.any_campaign(phone_numbers=["+13334445555"])
    assert answer_of(replay(customer, name)) == (200, accepting(len(added)), SUCCESS)
    assert customer.queue(2) == [("tel:+13334445555", ""), *added]


@pytest.mark.parametrize("name", ["update_campaign", "update_campaign_encoded"])
def test_a_campaign_is_updated(customer: Customer, name: str) -> None:
    customer.set_next_id(Kind.CAMPAIGN, 26)
    customer.any_campaign()
    customer.set_next_id(Kind.SCHEDULE, 11)
    customer.schedule("weekend", "sat", "sun")
    customer.profile("MorningPace")
    before = customer.get("/api/campaigns/26").json
    assert answer_of(replay(customer, name)) == (200, JSON, success(id=26))
    assert customer.get("/api/campaigns/26").json == before | {
        "schedule_id": 11,
        "schedule_nickname": "weekend",
        "start_date": "2022-04-15 00:00:00",
        "end_date": "2022-04-30 00:00:00",
        "profiles": [{"profile_id": 2, "nickname": "MorningPace", "start_time": "08:00", "end_time": "23:00"}],
    }


@pytest.mark.parametrize("name", ["update_campaign_without_id", "update_campaign_with_empty_id"])
def test_the_answer_to_an_update_without_an_id_is_the_list_and_nothing_changes(customer: Customer, name: str) -> None:
    customer.any_campaign()
    customer.any_campaign()
    listed = customer.get("/api/campaigns")
    assert answer_of(replay(customer, name)) == answer_of(listed)
    assert [campaign["start_date"] for campaign in listed.json] == ["2022-01-01 00:00:00"] * 2
    assert answer_of(customer.get("/api/campaigns")) == answer_of(listed)


def test_a_campaign_is_deleted(customer: Customer) -> None:
    customer.set_next_id(Kind.CAMPAIGN, 11)
    customer.campaign(customer.schedule("3wkdays"), customer.profile("MorningPace"))
    assert answer_of(replay(customer, "delete_campaign")) == (200, JSON, SUCCESS)
    assert customer.get("/api/campaigns").json == []
    assert len(customer.get("/api/schedules").json) == len(customer.get("/api/profiles").json) == 1
