"""Uploads through the API: all numbers of a list are queued in order, or none."""

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from chalicelib.api.request import MAX_BODY_BYTES
from chalicelib.api.services import Services
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.outcome import Answered
from chalicelib.storage.database import Database
from tests.support.customer import Customer, campaign_fields
from tests.support.http import Reply, multipart
from tests.support.world import World

ADD = "/api/campaigns/add-calls"


def numbers(count: int, first: int = 0) -> list[str]:
    return [f"tel:+1222{index:07};ani=7778889999" for index in range(first, first + count)]


def file_of(lines: list[str], *, line_end: str = "\r\n") -> bytes:
    return line_end.join(["destination,message_reference", *lines]).encode()


@pytest.fixture
def acme(world: World) -> Customer:
    """A customer whose campaign 1 holds one number."""
    customer = Customer(world.services)
    customer.any_campaign(phone_numbers=["+13334445555"])
    return customer


def stored(database: Database) -> tuple[int, int]:
    """How many segments and chunks all campaigns have."""
    return len(list(database.log.scan())), len(list(database.chunks.scan()))


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_hundred_thousand_numbers_in_one_request_are_queued_in_order(acme: Customer, form: str) -> None:
    """The body is about as large as a body may be."""
    lines = [f"{number}, ref{index}" for index, number in enumerate(numbers(100_000))]
    if form == "json":
        body = json.dumps({"campaign_id": 1, "phone_numbers": lines}, separators=(",", ":")).encode()
    else:
        body = multipart(campaign_id="1", phone_numbers=file_of(lines))
    assert 0.9 * MAX_BODY_BYTES < len(body) <= MAX_BODY_BYTES
    assert acme.ask("POST", ADD, body).json == {"status": "success"}
    assert acme.get("/api/campaigns/1").json["progress"]["queued"] == 100_001
    queue = acme.queue(1)
    assert queue[1:] == [(number, f"ref{index}") for index, number in enumerate(numbers(100_000))]


def test_uploads_are_queued_one_after_another(acme: Customer) -> None:
    """Each is stored in several chunks, some of few long entries and some of many short ones."""
    for first in (0, 3000, 6000):
        long = [f"{number}, {'x' * 200}" for number in numbers(1000, first)]
        assert acme.post(ADD, campaign_id=1, phone_numbers=[*long, *numbers(2000, first + 1000)]).status == 200
    assert [destination for destination, _ in acme.queue(1)][1:] == numbers(9000)


@pytest.mark.parametrize("bad", ["12", "tel:+12223334444;fax=1", "+12223334444, " + "x" * 256, '"+12223334444'])
def test_an_invalid_line_is_named_by_its_number_and_nothing_is_stored(
    acme: Customer, database: Database, bad: str
) -> None:
    lines = numbers(5000)
    lines[998] = bad  # the heading is line 1
    before = acme.everything(), stored(database)
    added = acme.ask("POST", ADD, multipart(campaign_id="1", phone_numbers=file_of(lines)))
    windows = json.dumps([{"profile": 1, "start_time": "08:00", "end_time": "11:00"}])
    made = acme.ask(
        "POST",
        "/api/campaigns",
        multipart(
            start_date="2026-01-05",
            end_date="2026-01-09",
            schedule="1",
            profiles=windows,
            start_url="http://a.example/",
            phone_numbers=file_of(lines),
        ),
    )
    for reply in (added, made):
        assert (reply.status, list(reply.json)) == (422, ["phone_numbers", "phone_numbers.1000"])
        assert reply.json["phone_numbers"] == ["The phone_numbers field has 1 invalid entry."]
    assert (acme.everything(), stored(database)) == before


def test_a_large_upload_to_a_missing_campaign_stores_nothing(acme: Customer, database: Database) -> None:
    before = acme.everything(), stored(database)
    assert acme.post(ADD, campaign_id=2, phone_numbers=numbers(5000)).status == 404
    assert (acme.everything(), stored(database)) == before


def test_the_first_hundred_faults_are_listed_and_all_are_counted(customer: Customer) -> None:
    customer.any_campaign()
    content = "\n".join(["rubbish"] * 150).encode()
    faults = customer.ask("POST", ADD, multipart(campaign_id="1", phone_numbers=content)).json
    assert faults.pop("phone_numbers") == ["The phone_numbers field has 150 invalid entries; the first 100 are listed."]
    assert list(faults) == [f"phone_numbers.{line}" for line in range(1, 101)]


def test_repeats_are_kept_without_unique(customer: Customer) -> None:
    customer.any_campaign()
    twice: dict[str, Any] = {"campaign_id": 1, "phone_numbers": ["+12223334444", "222-333-4444, b", "+13334445555"]}
    assert customer.post(ADD, **twice).json == {"status": "success"}
    assert customer.post(ADD, **twice, unique=True).json == {"status": "success", "response": {"dropped": 1}}
    # Repeats within the upload are dropped, not repeats of numbers that are queued already.
    assert len(customer.queue(1)) == 3 + 2


def test_the_answer_to_a_new_campaign_has_the_number_of_dropped_repeats(customer: Customer) -> None:
    customer.schedule()
    customer.profile()
    fields = {
        "start_date": str(date(2026, 1, 5)),
        "end_date": "2026-01-09",
        "schedule": "1",
        "profiles": '[{"profile": 1, "start_time": "08:00", "end_time": "11:00"}]',
        "start_url": "http://a.example/",
        "unique": "true",
    }
    made = customer.ask("POST", "/api/campaigns", multipart(**fields, phone_numbers=file_of(["+12223334444"] * 3)))
    assert made.json == {"status": "success", "response": {"id": 1, "dropped": 2}}
    assert customer.queue(1) == [("tel:+12223334444", "")]


def figures(reply: Reply) -> tuple[int, str | None, str | None]:
    return reply.status, reply.headers.get("x-numbers-accepted"), reply.headers.get("x-numbers-dropped")


class TestUniqueInTheCampaign:
    """`unique=campaign` drops numbers that the campaign has already, and doubles inside the upload."""

    SENT = ("222-333-0000, again", "+12223330009;ani=7", "2223330009;postd=1", "tel:+12223330001;postd=5", "2223330008")

    def add(self, customer: Customer, numbers: Sequence[str] = SENT, key: str | None = None, **fields: object) -> Reply:
        return customer.post(ADD, key=key, campaign_id=1, phone_numbers=numbers, unique="campaign", **fields)

    @pytest.fixture
    def acme(self, world: World) -> Customer:
        """A customer whose campaign has numbers in two uploads."""
        customer = Customer(world.services)
        customer.any_campaign(
            start_date="2026-01-05", end_date="2026-01-09", phone_numbers=["2223330000, a", "2223330001;ani=777"]
        )
        customer.post(ADD, campaign_id=1, phone_numbers=["2223330002", "2223330000"])
        return customer

    def test_only_numbers_that_are_new_are_queued_and_the_headers_have_the_figures(self, acme: Customer) -> None:
        reply = self.add(acme)
        assert reply.json == {"status": "success", "response": {"dropped": 3}}
        assert figures(reply) == (200, "2", "3")
        assert acme.queue(1)[4:] == [("tel:+12223330009;ani=7", ""), ("tel:+12223330008", "")]

    def test_a_number_is_known_whether_it_is_queued_dialled_or_ended(self, world: World, acme: Customer) -> None:
        world.tenant.on_call = lambda form: Answered(202 if form["message_reference"] else 404, {}, b"")
        acme.post("/api/campaigns/start", campaign_id=1)
        world.run(minutes=1)
        acme.post(ADD, campaign_id=1, phone_numbers=["2223330003"])
        assert [call["state"] for call in acme.get("/api/campaigns/1/calls").json] == [
            *("in_progress", "failed", "failed", "dialling", "queued"),
        ]
        assert figures(self.add(acme, [f"222333000{digit}" for digit in range(5)])) == (200, "1", "4")
        assert [number for number, _ in acme.queue(1)[5:]] == ["tel:+12223330004"]

    def test_the_same_list_sent_twice_calls_everyone_once(self, acme: Customer) -> None:
        content = file_of([f"222444{number:04}, {'x' * 60}" for number in range(5000)])
        body = multipart(campaign_id="1", unique="campaign", phone_numbers=content)
        replies = [acme.ask("POST", ADD, body) for _ in range(2)]
        assert [figures(reply) for reply in replies] == [(200, "5000", "0"), (200, "0", "5000")]
        assert acme.get("/api/campaigns/1").json["progress"]["total"] == 5004

    def test_an_upload_of_known_numbers_succeeds_and_queues_nothing(self, acme: Customer, database: Database) -> None:
        before = acme.everything(), stored(database)
        reply = self.add(acme, ["2223330001", "2223330002"])
        assert (figures(reply), reply.json["status"]) == ((200, "0", "2"), "success")
        assert (acme.everything(), stored(database)) == before

    def test_a_dry_run_answers_the_same_figures(self, acme: Customer) -> None:
        before = acme.everything()
        reply = self.add(acme, dry_run=True)
        assert reply.json["response"] == {
            "dry_run": True,
            "queued": 2,
            "dropped": 3,
            "first": [
                {"phone_number": "tel:+12223330009;ani=7", "message_reference": ""},
                {"phone_number": "tel:+12223330008", "message_reference": ""},
            ],
        }
        assert acme.everything() == before
        assert figures(self.add(acme)) == (200, "2", "3")

    @pytest.mark.parametrize("numbers", [SENT, ("2223330001",)])
    def test_a_repeated_request_gets_the_figures_of_the_first(self, acme: Customer, numbers: Sequence[str]) -> None:
        first = self.add(acme, numbers, key="k")
        after = acme.everything()
        again = self.add(acme, numbers, key="k")
        assert (figures(again), again.text, again.headers["idempotency-replayed"]) == (
            figures(first),
            first.text,
            "true",
        )
        assert acme.everything() == after
        assert self.add(acme, ["2223330007"], key="k").status == 409

    def test_a_new_campaign_has_each_number_of_its_upload_once(self, acme: Customer) -> None:
        window = {"profile": 1, "start_time": "08:00", "end_time": "11:00"}
        fields: dict[str, Any] = campaign_fields(
            schedule=1, profiles=[window], unique="campaign", phone_numbers=self.SENT
        )
        reply = acme.post("/api/campaigns", **fields)
        assert (figures(reply), reply.json["response"]["dropped"]) == ((200, "4", "1"), 1)
        assert acme.queue(2) == [
            ("tel:+12223330000", "again"),
            ("tel:+12223330009;ani=7", ""),
            ("tel:+12223330001;postd=5", ""),
            ("tel:+12223330008", ""),
        ]
        response = acme.post("/api/campaigns", **fields, dry_run=True).json["response"]
        assert (response["queued"], response["dropped"]) == (4, 1)

    @pytest.mark.parametrize("fields", [{}, {"dry_run": True}])
    def test_a_campaign_of_more_numbers_than_can_be_compared_is_refused_with_the_limit(
        self, acme: Customer, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
    ) -> None:
        before = acme.everything()
        monkeypatch.setattr("chalicelib.domain.repeats.MOST_COMPARED", 3)
        reply = self.add(acme, key="k", **fields)
        sentence = "The unique field can't be campaign if the campaign has more than 3 numbers. It has 4."
        assert (reply.status, reply.json) == (422, {"unique": [sentence]})
        assert acme.everything() == before
        monkeypatch.setattr("chalicelib.domain.repeats.MOST_COMPARED", 4)
        assert self.add(acme, key="k", **fields).status == 200

    def test_another_value_is_refused_with_the_known_ones(self, acme: Customer) -> None:
        reply = acme.post(ADD, campaign_id=1, phone_numbers=["2223330008"], unique="account")
        assert reply.json == {"unique": ['The unique field must be true, false or campaign. It is "account".']}

    def test_a_missing_campaign_is_not_found(self, acme: Customer) -> None:
        for is_dry_run in (True, False):
            sent = {"campaign_id": 2, "phone_numbers": ["2223330008"], "unique": "campaign", "dry_run": is_dry_run}
            assert acme.ask("POST", ADD, json.dumps(sent).encode()).status == 404


def test_every_upload_is_answered_with_how_many_numbers_were_dropped(customer: Customer) -> None:
    customer.any_campaign()
    twice: dict[str, Any] = {"campaign_id": 1, "phone_numbers": ["2223334444", "2223334444"]}
    assert figures(customer.post(ADD, **twice)) == (200, "2", "0")
    assert figures(customer.post(ADD, **twice, unique=True)) == (200, "1", "1")


def test_every_form_of_a_number_is_queued_in_its_normal_form(customer: Customer, services: Services) -> None:
    customer.any_campaign()
    written = [
        *("tel:+12223334444", "+12223334444", "12223334444", "2223334444", "(222) 333-4444", " TEL:+1 222 333 4444 "),
        *("2223334444;ani=5", "2223334444 ; ANI = 5", "2223334444;postd=12#;ani=5", "+442071234567, späte Anrufe 🦜"),
    ]
    assert customer.post(ADD, campaign_id=1, phone_numbers=written).status == 200
    assert customer.queue(1) == [
        *[("tel:+12223334444", "")] * 6,
        *[("tel:+12223334444;ani=5", "")] * 2,
        ("tel:+12223334444;ani=5;postd=12#", ""),
        ("tel:+442071234567", "späte Anrufe 🦜"),
    ]
    assert services.campaigns.get(CampaignKey(customer.account, 1)).tail == len(written)
