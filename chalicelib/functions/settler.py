"""The settler's Lambda function: a rule invokes it each minute."""

import os
from datetime import timedelta
from functools import cache

from chalice.app import Blueprint, CloudWatchEvent

from chalicelib.clock import SystemClock
from chalicelib.functions.ending import ends_at
from chalicelib.settings import Settings
from chalicelib.settler import Settler
from chalicelib.storage.client import connect

settler_function = Blueprint(__name__)

#: What a walk that nears its end still needs, to finish its stride.
SPARE = timedelta(seconds=15)


@settler_function.schedule("rate(1 minute)", name="settler")
def handle(event: CloudWatchEvent) -> dict[str, int]:
    return {"settled": _settler().settle(deadline=ends_at(event) - SPARE)}


@cache
def _settler() -> Settler:
    return Settler(connect(Settings.from_env(os.environ).tables), SystemClock())
