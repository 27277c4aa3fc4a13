"""The answer to any request has a documented form, and is never a server error."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from chalicelib.api.routes import ENDPOINTS, METHODS
from chalicelib.api.services import Services
from tests.support.customer import Customer, new_customer
from tests.support.http import Reply, multipart

NAMES = [
    *("days", "nickname", "name", "period", "amount_per_period", "time_between_periods", "start_date", "end_date"),
    *("schedule", "schedule_id", "profiles", "phone_numbers", "start_url", "result_url", "campaign_id", "unique"),
    *("max_retries", "retry_interval", "limit", "after", "format", "profile", "days[]", ""),
    *("phone_number", "message_reference", "state"),
    *("retries", "busy", "machine", "attempts", "gap", "dry_run", "\x00", "x" * 5_000),
]

texts = st.text(max_size=20) | st.sampled_from(
    [
        *("1", "0", "-1", "9" * 11, "9" * 30, "true", "2026-01-05", "2026-01-09", "08:00", "24:00", '["mon"]', '["'),
        *('[{"profile":1,"start_time":"08:00","end_time":"11:00"}]', "http://a.example/", "http://[::1", "weekdays"),
        *("pace", "+12223334444", '["+12223334444, a", 7]', "tel:+1222,333;ani=", "\0", "\ud800", "\u2028", "csv"),
        *("campaign", "queued", "failed,queued"),
    ]
)
names = st.sampled_from(NAMES) | texts
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
objects = st.dictionaries(names, values, max_size=8)
encodable = texts.filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text))
fields = st.dictionaries(st.sampled_from(NAMES) | encodable, encodable, max_size=8)
bodies = (
    st.binary(max_size=60)
    | objects.map(lambda value: json.dumps(value).encode())
    | fields.map(lambda pairs: urlencode(pairs).encode())
    | fields.map(lambda pairs: multipart(**{name.replace('"', ""): value for name, value in pairs.items()}))
    | st.binary(max_size=60).map(lambda content: multipart(campaign_id="1", phone_numbers=content))
)
identifiers = st.sampled_from(["1", "1", "1", "2", "0", "abc", "9" * 11, "%00"]) | encodable.map(
    lambda text: quote(text, safe="")
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Idempotency-Key": st.sampled_from(["a", "b", "", "é"]) | encodable,
        "Accept": st.sampled_from(["text/csv", "*/*", "image/png"]) | encodable,
        "Content-Type": encodable,
    },
)


@pytest.fixture(scope="module")
def prepared(services: Services) -> Customer:
    """A customer with a schedule, a profile and a campaign."""
    customer = new_customer(services)
    customer.campaign(
        customer.schedule("weekdays"), customer.profile("pace"), phone_numbers=["+12223334444", "+13334445555"]
    )
    return customer


def is_documented(reply: Reply) -> bool:
    if reply.headers["content-type"].startswith("text/csv"):
        return reply.status == 200
    answer: Any = reply.json
    if reply.status == 200:
        return isinstance(answer, list) or "error" not in answer
    if reply.status == 422:
        return (
            isinstance(answer, dict)
            and bool(answer)
            and all(sentences and all(isinstance(one, str) for one in sentences) for sentences in answer.values())
        )
    return (
        reply.status in (404, 405, 409, 413)
        and answer.keys() == {"status", "error"}
        and answer["status"] == "error"
        and isinstance(answer["error"], str)
    )


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    method=st.sampled_from(METHODS),
    path=st.sampled_from(sorted(ENDPOINTS)),
    identifier=identifiers,
    query=fields,
    body=bodies,
    headers=headers,
)
def test_the_answer_to_any_request_is_documented(
    prepared: Customer,
    method: str,
    path: str,
    identifier: str,
    query: dict[str, str],
    body: bytes,
    headers: dict[str, str],
) -> None:
    assume(method != "DELETE" or identifier != "1")  # other examples need what it deletes
    reply = prepared.ask(method, f"{path.replace('{id}', identifier)}?{urlencode(query)}", body, headers)
    assert reply.status < 500
    assert is_documented(reply)


@pytest.mark.parametrize("depth", [*range(1, 20), *range(150, 1100, 25)])
def test_json_of_any_depth_is_answered(prepared: Customer, depth: int) -> None:
    nested = b'{"days":' + b"[" * depth + b"]" * depth + b"}"
    reply = prepared.ask("POST", "/api/schedules", nested, {"Idempotency-Key": f"depth {depth}"})
    assert reply.status == 422
