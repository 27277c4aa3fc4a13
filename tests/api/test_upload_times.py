"""`first`, `not_before` and `expires` of an upload, as requests write them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api import values
from chalicelib.domain import eastern
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Entry
from tests.support.customer import Customer, campaign_fields
from tests.support.world import EIGHT, World

ADD = "/api/campaigns/add-calls"
NINE = EIGHT + timedelta(hours=1)
TEN = EIGHT + timedelta(hours=2)


@pytest.fixture
def acme(world: World) -> Customer:
    """A customer whose campaign 1 holds one number."""
    customer = Customer(world.services)
    customer.any_campaign(phone_numbers=["+13334445555"])
    return customer


def added(acme: Customer, world: World, **fields: Any) -> Entry:
    reply = acme.post(ADD, campaign_id=1, phone_numbers=["2223334444, march"], **fields)
    assert reply.status == 200, reply.json
    ((_, entry),) = world.services.log.read(CampaignKey(acme.account, 1), 1, 1)
    return entry


@pytest.mark.parametrize(
    "written",
    [
        1767621600,
        1767621600.0,
        "1767621600",
        "2026-01-05 09:00",
        "2026-01-05T09:00:00",
        " 2026-01-05 09:00:00 ",
        "2026-01-05T14:00Z",
        "2026-01-05T14:00:00.000z",
        "2026-01-05t15:00:00+01:00",
        "2026-01-05 09:00:00 -05:00",
    ],
)
def test_a_time_is_read_in_seconds_as_eastern_time_or_with_an_offset(written: object) -> None:
    assert values.instant(written) == NINE


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-05",
        "09:00",
        "tomorrow",
        "2026-01-05 9:00",
        "2026-13-05 09:00",
        "2026-02-30 09:00",
        "2026-01-05 24:00",
        "2026-01-05T14:00:00+25:00",
        "2026-01-05T14:00:00 01:00",
        "2026-01-05T14:00:00+00:60",
        "01/05/2026 09:00",
        "20260105T140000Z",
        1767621600.5,
        True,
        -1,
        ["2026-01-05 09:00"],
        "9" * 40,
        "2026-01-05T09:00:00[America/New_York]",
    ],
)
def test_anything_else_is_no_time(written: object) -> None:
    with pytest.raises(values.Invalid, match="must be seconds since 1970, or a time like"):
        values.instant(written)


@pytest.mark.parametrize("written", [1767621600000 // 10, 0, "1999-12-31 12:00", "2201-01-02T00:00Z"])
def test_a_time_is_between_2000_and_2200(written: object) -> None:
    with pytest.raises(values.Invalid, match="must be a time from 2000 to 2200"):
        values.instant(written)


def test_milliseconds_are_no_seconds() -> None:
    with pytest.raises(values.Invalid):
        values.instant(1767621600000)


@pytest.mark.parametrize(
    ("written", "why"), [("2026-11-01 01:30", "comes twice"), ("2026-03-08 02:30", "doesn't exist")]
)
def test_an_eastern_time_without_a_single_instant_needs_an_offset(written: str, why: str) -> None:
    with pytest.raises(values.Invalid, match=f"needs an offset such as -05:00: this Eastern time {why}"):
        values.instant(written)
    assert values.instant(f"{written}-05:00").tzinfo is UTC


@given(
    st.datetimes(datetime(2000, 1, 2), datetime(2200, 12, 30)),  # noqa: DTZ001 # the strategy gives them a zone
    st.integers(-23 * 60, 23 * 60),
)
def test_a_time_with_an_offset_is_that_instant(moment: datetime, minutes: int) -> None:
    instant = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert values.instant(instant.isoformat(timespec="microseconds")) == instant


@given(st.datetimes(datetime(2000, 1, 2), datetime(2200, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001 # as above
def test_each_instant_is_one_of_its_local_time(instant: datetime) -> None:
    found = eastern.instants(eastern.local_time(instant))
    assert instant in found
    assert len(found) <= 2
    assert all(eastern.local_time(one) == eastern.local_time(instant) for one in found)


def test_an_upload_has_its_times_and_no_other_upload_has(acme: Customer, world: World) -> None:
    entry = added(acme, world, not_before="2026-01-05 09:00", expires=int(TEN.timestamp()))
    assert entry == Entry("tel:+12223334444", "march", NINE, TEN)
    acme.post(ADD, campaign_id=1, phone_numbers=["2223335555"])
    ((_, other),) = world.services.log.read(CampaignKey(acme.account, 1), 2, 1)
    assert other == Entry("tel:+12223335555")


def test_one_call_is_shown_with_its_times(acme: Customer, world: World) -> None:
    added(acme, world, not_before="2026-01-05 09:00")
    shown = acme.get(f"/api/calls/{CampaignKey(acme.account, 1).call(1).call_id}").json
    assert (shown["not_before"], shown["expires"]) == (int(NINE.timestamp()), None)


def test_rounding_makes_the_time_between_them_shorter(acme: Customer, world: World) -> None:
    entry = added(acme, world, not_before="2026-01-05T14:00:00.2Z", expires="2026-01-05T15:00:00.9Z")
    assert (entry.not_before, entry.expires) == (NINE + timedelta(seconds=1), TEN)


@pytest.mark.parametrize("empty", [None, "", " "])
def test_empty_times_are_none(acme: Customer, world: World, empty: object) -> None:
    entry = added(acme, world, not_before=empty, expires=empty, first="false")
    assert entry == Entry("tel:+12223334444", "march")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"expires": "2026-01-05 08:00"}, "The expires field must be a time in the future."),
        (
            {"expires": "2026-01-05 09:00:59", "not_before": "2026-01-05 09:00"},
            "The expires field must be at least a minute after not_before.",
        ),
        ({"not_before": "soon"}, "The not_before field must be seconds since 1970, or a time like"),
        ({"first": "maybe"}, "The first field must be true or false."),
    ],
)
def test_what_cannot_be_is_refused_with_its_value(acme: Customer, fields: dict[str, Any], sentence: str) -> None:
    reply = acme.post(ADD, campaign_id=1, phone_numbers=["2223334444"], **fields)
    assert reply.status == 422
    (found,) = (one for sentences in reply.json.values() for one in sentences)
    assert found.startswith(sentence)
    assert " It is " in found
    assert acme.get("/api/campaigns/1").json["progress"]["total"] == 1


def test_a_new_campaign_has_times_and_nothing_to_be_before(acme: Customer, world: World) -> None:
    identifier = acme.any_campaign(phone_numbers=["2223334444"], expires="2026-01-05 10:00")
    ((_, entry),) = world.services.log.read(CampaignKey(acme.account, identifier), 0, 1)
    assert entry.expires == TEN
    assert world.services.campaigns.get(CampaignKey(acme.account, identifier)).has_times


def test_times_without_numbers_are_refused(acme: Customer) -> None:
    fields: dict[str, Any] = campaign_fields(schedule=acme.schedule(), profiles=[])
    reply = acme.post("/api/campaigns", **fields, expires="2026-01-05 10:00")
    assert reply.json["phone_numbers"] == ["The phone_numbers field is required with not_before or expires."]
