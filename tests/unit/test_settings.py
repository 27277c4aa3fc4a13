"""The settings in a function's environment."""

from datetime import timedelta

import pytest

from chalicelib.errors import MissingSettings
from chalicelib.runtime.settings import Settings

NAMED = {
    "CALLPACER_TABLES": "callpacer-prod",
    "CALLPACER_DEPLOYMENT": "the stack's id",
    "CALLPACER_QUEUE_URL": "http://queue.example/calls",
    "CALLPACER_DEAD_LETTER_QUEUE_URL": "http://queue.example/dead",
    "CALLPACER_DIALERS": "50",
}


def test_all_missing_settings_are_named_at_once() -> None:
    with pytest.raises(MissingSettings) as missing:
        Settings.from_env({})
    assert all(name in str(missing.value) for name in NAMED)


@pytest.mark.parametrize(("days", "kept"), [("400", timedelta(days=400)), ("0", None), (None, None)])
def test_records_are_kept_for_the_days_of_the_setting_or_for_ever(days: str | None, kept: timedelta | None) -> None:
    environment = NAMED | ({} if days is None else {"CALLPACER_RETENTION_DAYS": days})
    assert Settings.from_env(environment).retention == kept
