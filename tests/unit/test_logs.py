"""Log lines are JSON, name their campaign and call, and have no whole phone number."""

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
def output() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def only_line(output: io.StringIO) -> dict[str, Any]:
    (line,) = output.getvalue().splitlines()
    fields: dict[str, Any] = json.loads(line)
    return fields


def test_a_line_names_its_call(output: io.StringIO) -> None:
    logging.getLogger("chalicelib.calling.dialer").info("not now: %s", "late", extra=logs.about(KEY, ENTRY, 2))
    line = only_line(output)
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


def test_a_line_includes_its_exception(output: io.StringIO) -> None:
    try:
        raise ValueError("for a reason")
    except ValueError:
        logging.getLogger("chalicelib.calling.pacer").exception(
            "not paced", extra=logs.about_campaign(CampaignKey("acme", 7))
        )
    line = only_line(output)
    assert line["campaign"] == "acme/7"
    assert line["exception"].endswith("ValueError: for a reason")


@pytest.mark.parametrize("text", ["x" * 5_000_000, "\ud800\x00" * 100_000], ids=["long", "not encodable"])
def test_a_line_has_a_bound_and_can_be_encoded_whatever_a_request_had(output: io.StringIO, text: str) -> None:
    logs.configure(output)  # pytest's own handler would put the text into its report
    try:
        raise ValueError(text)
    except ValueError as error:
        logging.getLogger("chalicelib").exception("failed: %s", error)
    line = only_line(output)
    assert len(output.getvalue().encode()) < 250_000
    assert line["message"].startswith("failed: ")
    assert "ValueError: " in line["exception"]


def test_a_second_configuration_does_not_repeat_lines(output: io.StringIO) -> None:
    logs.configure(output)
    logging.getLogger("chalicelib").info("once")
    assert only_line(output)["message"] == "once"


def test_debug_lines_and_lines_of_the_sdk_are_left_out(output: io.StringIO) -> None:
    logging.getLogger("chalicelib").debug("a detail")
    logging.getLogger("botocore.credentials").info("found credentials")
    assert output.getvalue() == ""
