"""Names and values from a request are shown shortened, and in a number that is limited. Each answer can be encoded."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.api.envelope import MAX_FAULTS, refusal
from chalicelib.api.request import MAX_BODY_BYTES, MAX_FIELDS
from chalicelib.api.services import Services
from chalicelib.api.wording import InvalidFields
from chalicelib.domain.models import RetryKind
from tests.support.customer import Customer, campaign_fields, new_customer
from tests.support.http import Reply, multipart

RULE = {"attempts": 2, "gap": 60}
LONGEST = 1_000
ODD_NAMES = [
    "\ud800",
    "x" * 100_000,
    "\x00\x07\u202e",
    " nickname",
    "nickname ",
    "",
    '"',
    "\\",
    "\udfff\ud800" * 50,
    "é",
]


@pytest.fixture(scope="module")
def ready(services: Services) -> Customer:
    """A customer with a schedule, a profile and a campaign, each with the id 1."""
    customer = new_customer(services)
    customer.campaign(customer.schedule("weekdays"), customer.profile("pace"), phone_numbers=["+12223334444"])
    return customer


def window(**fields: object) -> dict[str, object]:
    return {"profile": "pace", "start_time": "08:00", "end_time": "11:00"} | fields


#: where a request may have a name of its own
PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "the body": lambda name: campaign_fields() | {name: 1},
    "retries": lambda name: campaign_fields(retries={name: RULE}),
    "retries as text": lambda name: campaign_fields(retries=json.dumps({name: RULE})),
    "a rule": lambda name: campaign_fields(retries={"busy": RULE | {name: 1}}),
    "a profile": lambda name: campaign_fields(profiles=[window(**{name: 1})]),
    "a phone number": lambda name: campaign_fields(phone_numbers=[{"phone_number": "2223334444", name: 1}]),
}
#: where it may have any value
VALUES: dict[str, Callable[[object], dict[str, Any]]] = {
    name: lambda value, name=name: campaign_fields(**{name: value})
    for name in (
        *campaign_fields(),
        "phone_numbers",
        "retries",
        "unique",
        "max_retries",
        "result_url",
        "call_timeout",
        "attempt_reports",
    )
} | {
    "a schedule in an array": lambda value: campaign_fields(schedule=[value]),
    "a profile's name": lambda value: campaign_fields(profiles=[window(profile=value)]),
    "a profile's time": lambda value: campaign_fields(profiles=[window(start_time=value)]),
    "an entry": lambda value: campaign_fields(phone_numbers=[value]),
    "an entry's number": lambda value: campaign_fields(phone_numbers=[{"phone_number": value}]),
}


def create(customer: Customer, fields: dict[str, Any]) -> Reply:
    return customer.ask("POST", "/api/campaigns", json.dumps(fields).encode())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ODD_NAMES, ids=lambda name: repr(name[:10]))
def test_an_unknown_name_is_refused_in_a_short_sentence(ready: Customer, place: str, name: str) -> None:
    reply = create(ready, PLACES[place](name))
    assert reply.status == 422
    assert len(reply.text) < LONGEST
    assert ("unknown" in reply.text) or ("required" in reply.text)


@pytest.mark.parametrize("name", ODD_NAMES, ids=lambda name: repr(name[:10]))
@pytest.mark.parametrize(
    "form", ["{}=1", "profiles[0][{}]=1", "profiles[{}]=1", "{}[0][1][2]=3", "days[0]=mon&days[{}]=1"]
)
def test_a_name_in_a_form_or_a_query_is_shown_in_a_short_sentence(ready: Customer, name: str, form: str) -> None:
    encoded = form.format(quote(name, safe="", errors="replace")) + "&dry_run=maybe"
    for target, body in (("/api/campaigns", encoded), (f"/api/campaigns?{encoded}", "")):
        reply = ready.ask("POST", target, body.encode())
        assert reply.status == 422
        assert len(reply.text) < 2 * LONGEST


@pytest.mark.parametrize("place", VALUES)
@pytest.mark.parametrize(
    "text", ["\ud800", "x" * 100_000, "\x00\x07\u202e", "2223334444\ud800", "9" * 5_000, " 2223334444"]
)
def test_a_value_is_shown_in_a_short_sentence(ready: Customer, place: str, text: str) -> None:
    for value in (text, [text], {"a": text}, {text: text}, [[text]]):
        reply = create(ready, VALUES[place](value))
        assert len(reply.text) < 4 * LONGEST


MANY = {f"name{number}": 1 for number in range(50)}


@pytest.mark.parametrize(
    "fields",
    [
        MANY,
        {"retries": MANY},
        {"retries": json.dumps(MANY)},
        {"retries": {"busy": RULE | MANY}},
        {"profiles": [window(**MANY)]},
    ],
    ids=["body", "retries", "retries as text", "rule", "profile"],
)
def test_of_many_unknown_names_20_are_listed_and_all_are_counted(ready: Customer, fields: dict[str, Any]) -> None:
    sentences = [one for (one,) in create(ready, campaign_fields(**fields)).json.values()]
    assert sum(" field is unknown; known here: " in one for one in sentences) == 20
    assert sum(one.endswith(" has 50 unknown fields; the first 20 are listed.") for one in sentences) == 1


def many_names(size: int) -> dict[str, int]:
    return {f"{number:x}": 1 for number in range(size)}


LARGEST: dict[str, bytes] = {
    "names": json.dumps(many_names(300_000)).encode(),
    "retries": json.dumps({"retries": many_names(300_000)}).encode(),
    "retries as text": json.dumps({"retries": json.dumps(many_names(200_000))}).encode(),
    "rules": json.dumps({"retries": dict.fromkeys(RetryKind, many_names(60_000))}).encode(),
    "profiles": json.dumps({"profiles": [many_names(9_000)] * 20}).encode(),
    "profiles with long names": json.dumps({"profiles": [{f"{n}{'x' * 9_000}": 1 for n in range(25)}] * 19}).encode(),
    "a name": json.dumps({"retries": {"x" * 4_400_000: 1}}).encode(),
    "a name in a form": b"x" * 4_400_000 + b"=1",
    "a name in brackets": b"profiles[0][" + b"x" * 4_400_000 + b"]=1",
    "a name of a part": multipart(**{"x" * 4_400_000: "1"}),
    "fields": b"&".join(b"a%d[=1" % number for number in range(MAX_FIELDS)),
    "an entry": json.dumps({"phone_numbers": [{"x" * 4_400_000: 1}]}).encode(),
    "entries": json.dumps({"phone_numbers": [{"x" * 40_000: 1}] * 105}).encode(),
    "days": json.dumps({"days": ["\u202e" * 90_000] * 7}).encode(),
    "a day": json.dumps({"days": [{"x" * 4_000_000: 1}]}).encode(),
}


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_bodies_have_small_answers(ready: Customer, name: str) -> None:
    assert len(LARGEST[name]) <= MAX_BODY_BYTES
    reply = ready.ask("POST", "/api/campaigns", LARGEST[name])
    assert reply.status == 422
    assert len(reply.text.encode()) < 2 * MAX_FAULTS


@pytest.mark.parametrize("identifier", ["%ED%A0%80", "x" * 60_000, "%00%07", "%22", "a%20b"])
@pytest.mark.parametrize("path", ["/api/schedules/{}", "/api/campaigns/{}/calls", "/api/calls/{}"])
def test_an_id_that_is_none_is_shown_in_a_short_sentence(ready: Customer, identifier: str, path: str) -> None:
    reply = ready.get(path.format(identifier))
    assert reply.status == 404
    assert len(reply.text) < 200


def test_faults_that_do_not_fit_are_counted() -> None:
    faults = {f"name{number}": ["x" * 1_000] for number in range(1_000)}
    answer = refusal(InvalidFields(faults))
    assert len(answer.body) < MAX_FAULTS + 10_000
    (sentence,) = json.loads(answer.body)["body"]
    listed = len(json.loads(answer.body)) - 1
    assert sentence == f"The request has faults in 1000 fields; the first {listed} are listed."


names = st.sampled_from(["retries", "busy", "profiles", "days", "nickname", "phone_numbers", "ani"]) | st.text(
    st.characters(exclude_categories=()), max_size=60
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text(st.characters(exclude_categories=()), max_size=60),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.dictionaries(names, values, max_size=5))
def test_the_answer_to_any_names_and_values_is_small(ready: Customer, fields: dict[str, Any]) -> None:
    assert len(create(ready, fields).text) < 20 * LONGEST
