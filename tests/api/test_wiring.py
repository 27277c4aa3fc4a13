"""The deployed app serves the API, over the tables that its environment names."""

import logging
from collections.abc import Iterator

import pytest
from moto import mock_aws

from app import app
from chalicelib.api.routes import ENDPOINTS, METHODS, from_environment
from chalicelib.runtime.clock import SystemClock
from chalicelib.storage.client import connect
from chalicelib.storage.tokens import Tokens
from tests.support.databases import create_tables
from tests.support.http import TOKEN, Client

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "CALLPACER_TABLES": "wired",
    "CALLPACER_DEPLOYMENT": "wired once",
    "CALLPACER_QUEUE_URL": "http://queue.example/calls",
    "CALLPACER_DEAD_LETTER_QUEUE_URL": "http://queue.example/dead",
    "CALLPACER_DIALERS": "50",
}


@pytest.fixture
def client() -> Iterator[Client]:
    """A client of a function that has just started."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    from_environment.cache_clear()
    yield Client(app)
    from_environment.cache_clear()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_the_app_uses_the_tables_that_its_environment_names(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        database = connect("wired")
        create_tables(database)
        Tokens(database).create("acme", TOKEN, SystemClock().now())
        assert client.post("/api/schedules", key="k", days=["mon"]).json["response"]["id"] == 1
        assert client.post("/api/schedules", key="k", days=["mon"]).headers["idempotency-replayed"] == "true"
        assert client.get("/api/schedules/1").json["days"] == ["mon"]


def test_the_gateway_passes_every_method_of_every_path_to_the_app() -> None:
    """The gateway answers a method that it doesn't know like an unknown path."""
    assert {path: set(methods) for path, methods in app.routes.items()} == {path: set(METHODS) for path in ENDPOINTS}


def test_a_server_error_is_logged_and_its_cause_is_not_in_the_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("CALLPACER_TABLES", raising=False)
    reply = client.get("/api/schedules")
    assert (reply.status, reply.json) == (500, {"status": "error", "error": "Something went wrong on our side."})
    assert "GET /api/schedules failed" in caplog.text
    assert "CALLPACER_TABLES" in caplog.text
