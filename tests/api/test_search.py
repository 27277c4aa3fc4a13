"""Searching a campaign's calls by number, reference and state, a bounded part of the queue with each request."""

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.api.services import Services
from chalicelib.domain import search
from chalicelib.domain.call import ReportState, State
from chalicelib.domain.cancellation import Candidate
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Entry
from chalicelib.domain.outcome import CalleeType, Outcome, Result
from chalicelib.domain.search import EXPIRED, QUEUED, STATES
from chalicelib.storage.database import DynamoDB
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.support.customer import Customer
from tests.support.databases import with_tables
from tests.support.http import Reply
from tests.support.world import EIGHT, HandClock

CALLS = "/api/campaigns/1/calls"
#: each number of the campaign with its reference and its state; those from HEAD on are queued, or canceled
LISTED = [
    *(("2223330001", "a", EXPIRED), ("2223330002", "", EXPIRED)),
    *(("2223330001", "a", State.COMPLETED), ("2223330002;ani=777", "b", State.FAILED)),
    *(("2223330001;ani=777", "A", State.UNCERTAIN), ("2223330001;postd=1", "b", State.IN_PROGRESS)),
    *(("2223330002", "a", State.DEFERRED), ("2223330001", "", State.DIALLING), ("2223330003", "a", State.DIALLING)),
    *(("2223330001", "a", State.COMPLETED), ("2223330002", "b", State.COMPLETED), ("2223330001", "b", State.FAILED)),
    *(("2223330001", "a", QUEUED), ("2223330003", "a b", QUEUED), ("2223330001;ani=777", "b", State.CANCELED)),
    ("2223330001;ani=777", "b", QUEUED),
]
HEAD, SETTLED = 12, 2
#: it is dispatched, and isn't claimed yet
WITHOUT_RECORD = 8


class CountedReads:
    """A client that counts the keys of records that are asked for."""

    def __init__(self, client: DynamoDB) -> None:
        self._client = client
        self.records = 0

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        if operation_name == "BatchGetItem":
            self.records += sum(len(one["Keys"]) for one in api_params["RequestItems"].values())
        return self._client._make_api_call(operation_name, api_params)


@pytest.fixture(scope="module")
def reads() -> CountedReads:
    return CountedReads(SimulatedDynamoDB())


@pytest.fixture(scope="module")
def acme(reads: CountedReads) -> Customer:
    """A customer whose campaign 1 has all of LISTED."""
    services = Services.over(with_tables(reads), HandClock())
    customer = Customer(services)
    numbers = [{"phone_number": number, "message_reference": reference} for number, reference, _ in LISTED]
    customer.any_campaign(phone_numbers=numbers[:5])
    customer.post("/api/campaigns/add-calls", campaign_id=1, phone_numbers=numbers[5:])
    key = CampaignKey("acme", 1)
    for sequence, entry in services.log.read(key, 0, HEAD):
        state = LISTED[sequence][2]
        if state != EXPIRED and sequence != WITHOUT_RECORD:
            recorded(services, key.call(sequence), entry, State(state))
    campaign = services.campaigns.get(key)
    assert services.progress.advance_head(campaign, HEAD)
    canceled = [
        Candidate(key.call(sequence), entry, None)
        for sequence, entry in services.log.read(key, 0, len(LISTED))
        if LISTED[sequence][2] == State.CANCELED
    ]
    assert services.cancellations.cancel(campaign, canceled, EIGHT)
    services.database.campaigns("acme", 1).update([services.database.campaigns.settled.set(SETTLED)])
    return customer


def recorded(services: Services, key: CallKey, entry: Entry, state: State) -> None:
    claim = services.calls.claim(key, entry, 1, EIGHT)
    assert claim is not None
    match state:
        case State.IN_PROGRESS:
            assert services.calls.begin_progress(claim, EIGHT)
        case State.DEFERRED:
            assert services.calls.give_up(claim, "late")
        case State.COMPLETED | State.FAILED | State.UNCERTAIN:
            outcome = Outcome(Result(state), "http_200", CalleeType.UNKNOWN, 5)
            assert services.calls.finish(claim, outcome, EIGHT, ReportState.NONE)


def sequences(reply: Reply) -> list[int]:
    if reply.headers["content-type"].startswith("text/csv"):
        rows: list[Any] = list(csv.DictReader(io.StringIO(reply.text.removeprefix("\ufeff"))))
    else:
        rows = reply.json
    return [int(row["call_id"]) - 2**32 for row in rows]


def pages(customer: Customer, query: str) -> Iterator[list[int]]:
    """What each request finds, from the first one to the last that a `Link` names."""
    while query:
        reply = customer.get(f"{CALLS}{query}")
        assert reply.status == 200, reply.text
        yield sequences(reply)
        query = reply.headers.get("link", "").partition(">")[0].lstrip("<")


def found(customer: Customer, query: str) -> list[int]:
    return [sequence for page in pages(customer, query) for sequence in page]


def listed(holds: Callable[[str, str, str], bool]) -> list[int]:
    return [sequence for sequence, one in enumerate(LISTED) if holds(*one)]


def test_each_number_is_listed_in_its_state(acme: Customer) -> None:
    assert [call["state"] for call in acme.get(CALLS).json] == [state for _, _, state in LISTED]


@pytest.mark.parametrize("state", STATES)
def test_numbers_are_found_by_their_state(acme: Customer, state: str) -> None:
    assert found(acme, f"?state={state}") == listed(lambda _, __, one: one == state) != []


@pytest.mark.parametrize("query", ["?state=failed,queued", "?state=queued&state=failed", "?state[]=failed,%20queued"])
def test_several_states_are_separated_by_commas_or_repeated(acme: Customer, query: str) -> None:
    assert found(acme, query) == listed(lambda _, __, one: one in (State.FAILED, QUEUED))


@pytest.mark.parametrize(
    "written",
    [
        "2223330001",
        "1-222-333-0001",
        "(222)%20333-0001",
        "%2B12223330001",
        "tel:%2B1%20222%20333%200001",
        "%22222.333.0001%22",
    ],
)
def test_a_number_is_found_however_it_is_written_and_whatever_its_parameters(acme: Customer, written: str) -> None:
    assert found(acme, f"?phone_number={written}") == listed(lambda one, _, __: one.startswith("2223330001"))


def test_a_number_with_parameters_is_found_with_the_same_parameters(acme: Customer) -> None:
    query = "?phone_number=tel:%2B12223330001;ANI=777"
    assert found(acme, query) == listed(lambda one, _, __: one == "2223330001;ani=777")


@pytest.mark.parametrize("reference", ["", "a", "A", "b", "a b", "nobody's"])
def test_a_reference_is_found_as_it_is(acme: Customer, reference: str) -> None:
    query = f"?message_reference={reference.replace(' ', '%20')}"
    assert found(acme, query) == listed(lambda _, one, __: one == reference)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (
            "phone_number=112",
            '"112" is not a valid phone number: ten digits, or + and a country code.',
        ),
        (
            "phone_number=",
            '"" is not a valid phone number: ten digits, or + and a country code.',
        ),
        ("phone_number=2223330001%20x12", '"2223330001 x12" has digits behind its number'),
        ("phone_number=2223330001,%20a", '"2223330001, a" has a comma in its phone number.'),
        ("phone_number=2223330001;fax=1", '"2223330001;fax=1" has an unknown parameter'),
        ("phone_number=+222%20333%200001", "has a space before a number: + is written %2B in a query."),
        ("phone_number=tel:+222%20333%200001", "has a space before a number: + is written %2B in a query."),
        ("phone_number=2223330001&phone_number=2223330002", "must be a string."),
        ("message_reference=a&message_reference=b", "must be a string."),
        ("message_reference=a%0Ab", '"a\\u000ab" has control characters'),
        (f"message_reference={'x' * 256}", f'"{"x" * 40}\N{HORIZONTAL ELLIPSIS}" has a message_reference greater'),
    ],
)
def test_what_no_number_can_have_is_refused(acme: Customer, query: str, sentence: str) -> None:
    reply, name = acme.get(f"{CALLS}?{query}"), query.partition("=")[0]
    assert (reply.status, list(reply.json)) == (422, [name])
    assert reply.json[name][0].startswith(f"The {name} field {sentence}")


@pytest.mark.parametrize("state", ["", "busy", "Queued", "failed,", "failed&state=late", "x&state[a]=failed"])
def test_an_unknown_state_is_refused_with_the_known_ones(acme: Customer, state: str) -> None:
    reply = acme.get(f"{CALLS}?state={state}")
    assert (reply.status, list(reply.json)) == (422, ["state"])
    if "[" not in state:
        known = "queued, dialling, deferred, in_progress, completed, failed, uncertain, canceled, expired"
        assert reply.json["state"][0].endswith(f" is invalid: one of {known}.")


criteria = st.fixed_dictionaries(
    {},
    optional={
        "phone_number": st.sampled_from(["2223330001", "2223330002", "2223330003", "2223330001;ani=777"]),
        "message_reference": st.sampled_from(["", "a", "b"]),
        "state": st.lists(st.sampled_from(STATES), min_size=1, max_size=3).map(",".join),
        "limit": st.integers(1, 4).map(str),
        "after": st.integers(-1, len(LISTED)).map(lambda sequence: str(2**32 + sequence)),
        "format": st.sampled_from(["json", "csv"]),
    },
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=criteria, most=st.integers(1, len(LISTED) + 1), batch=st.integers(1, 5))
def test_all_requests_of_a_search_find_each_match_once_and_in_order(
    acme: Customer, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str], most: int, batch: int
) -> None:
    monkeypatch.setattr(search, "MOST_EXAMINED", most)
    monkeypatch.setattr("chalicelib.api.calls._BATCH", batch)
    number, limit = asked.get("phone_number"), int(asked.get("limit", len(LISTED)))
    first = int(asked.get("after", 2**32 - 1)) - 2**32 + 1

    def holds(one: str, reference: str, state: str) -> bool:
        return (
            (number is None or one == number or one.partition(";")[0] == number)
            and reference == asked.get("message_reference", reference)
            and ("state" not in asked or state in asked["state"].split(","))
        )

    answered = list(pages(acme, "?" + "&".join(f"{name}={value}" for name, value in asked.items())))
    assert [one for page in answered for one in page] == [one for one in listed(holds) if one >= first]
    assert all(len(page) <= min(limit, most) for page in answered)
    assert len(answered) <= max(1, -(-len(LISTED) // most) + sum(len(page) == limit for page in answered))


def test_a_request_reads_a_bounded_number_of_records(
    acme: Customer, reads: CountedReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_EXAMINED", 5)
    before, read = reads.records, []
    for _ in pages(acme, "?state=failed"):
        read.append(reads.records - before)
        before = reads.records
    assert read == [5, 5, 2]


@pytest.mark.parametrize(
    ("query", "records"),
    [("?limit=3", 3), ("?state=queued", 1), ("?phone_number=2223330003", 1), ("?message_reference=b&limit=2", 2)],
)
def test_no_more_records_are_read_than_can_match(acme: Customer, reads: CountedReads, query: str, records: int) -> None:
    before = reads.records
    acme.get(f"{CALLS}{query}")
    assert reads.records - before == records


def test_a_request_that_finds_nothing_links_to_the_next_part(customer: Customer) -> None:
    numbers = [f"+1222{number:07}" for number in range(10_000)]
    customer.any_campaign(phone_numbers=[*numbers, "+13334445555"])
    first = customer.get(f"{CALLS}?phone_number=3334445555")
    goes_on = f'<?phone_number=3334445555&after={2**32 + 9_999}>; rel="next"'
    assert (first.json, first.headers["link"]) == ([], goes_on)
    assert list(pages(customer, "?phone_number=3334445555")) == [[], [10_000]]


def test_a_link_repeats_the_request_and_ends_with_the_last_number(acme: Customer) -> None:
    asked = "?phone_number=%2B12223330001&state=completed%2Cqueued&state=failed&format=csv&bom=true&limit=1&after="
    reply = acme.get(f"{CALLS}{asked}{2**32}")
    assert reply.text.startswith("\ufeffcall_id")
    assert reply.headers["link"] == f'<{asked}{2**32 + 2}>; rel="next"'
    assert found(acme, f"{asked}{2**32}") == [2, 9, 11, 12, 15]


def test_a_list_without_criteria_links_to_its_next_page_too(acme: Customer) -> None:
    assert [len(page) for page in pages(acme, "?limit=6")] == [6, 6, 4]
    assert "link" not in acme.get(CALLS).headers
    assert "link" not in acme.get(f"{CALLS}?limit={len(LISTED)}").headers


def test_another_accounts_calls_are_not_searched(acme: Customer) -> None:
    other = Customer(acme.services, "globex", token="globex")
    other.any_campaign(phone_numbers=["2223330001"])
    assert found(other, "?phone_number=2223330001") == [0]
    assert found(other, "?state=completed") == []
