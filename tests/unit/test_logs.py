"""Log lines: JSON, by campaign and call, without a whole phone number."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Entry
from chalicelib.runtime import logs

KEY = CallKey("acme", 7, 3)
ENTRY = Entry("tel:+12223334444;ani=7778889999", "march")


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def only_line(said: io.StringIO) -> dict[str, Any]:
    (line,) = said.getvalue().splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_says_which_call_it_is_about(said: io.StringIO) -> None:
    logging.getLogger("chalicelib.calling.dialer").info("not now: %s", "late", extra=logs.about(KEY, ENTRY, 2))
    line = only_line(said)
    assert line.pop("timestamp").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "chalicelib.calling.dialer",
        "message": "not now: late",
        "campaign": "acme/7",
        "call_id": KEY.call_id,
        "number": "…4444",
        "attempt": 2,
    }


def test_an_exception_is_a_part_of_its_line(said: io.StringIO) -> None:
    try:
        raise ValueError("for a reason")
    except ValueError:
        logging.getLogger("chalicelib.calling.pacer").exception(
            "not paced", extra=logs.about_campaign(CampaignKey("acme", 7))
        )
    line = only_line(said)
    assert line["campaign"] == "acme/7"
    assert line["exception"].endswith("ValueError: for a reason")


def test_configured_twice_it_says_things_once(said: io.StringIO) -> None:
    logs.configure(said)
    logging.getLogger("chalicelib").info("once")
    assert only_line(said)["message"] == "once"


def test_details_and_the_sdk_are_not_said(said: io.StringIO) -> None:
    logging.getLogger("chalicelib").debug("a detail")
    logging.getLogger("botocore.credentials").info("found credentials")
    assert said.getvalue() == ""
