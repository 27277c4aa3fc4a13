"""The recorded requests are what curl sends for the command lines."""

import shutil
from pathlib import Path

import pytest

from tests.support.documented import ALL
from tests.support.wire import REQUESTS, recorded, sent_by_curl


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl isn't installed")
@pytest.mark.parametrize("name", ALL)
def test_curl_sends_what_is_recorded(name: str, tmp_path: Path) -> None:
    assert sent_by_curl(ALL[name], tmp_path) == recorded(name)


def test_every_recorded_request_has_a_command_line() -> None:
    assert {file.stem for file in REQUESTS.iterdir()} == set(ALL)
